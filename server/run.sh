#!/bin/sh
# Builds lailad and runs it on its embedded default: alpha << hdf5, data under ./data.
#
#   sh server/run.sh [options of lailad]
#
# Installs the Debian packages that are missing (Debian 12 and 13, Ubuntu 24.04). Ctrl-C ends the daemon.
# LAILAD_BUILD_DIR names a finished build to run instead; nothing is installed or compiled then.
set -eu

PACKAGES="ca-certificates cmake ninja-build pkg-config gcc g++ libmicrohttpd-dev libjansson-dev libsodium-dev libssl-dev
    libsqlite3-dev libcurl4-openssl-dev libexpat1-dev libhdf5-dev libtomlplusplus-dev curl"

root=$(cd "$(dirname "$0")/.." && pwd)
build=${LAILAD_BUILD_DIR:-$root/build/release}

die() {
    echo "server/run.sh: $*" >&2
    exit 1
}

missing_packages() {
    for package in $PACKAGES; do
        # shellcheck disable=SC2016 # dpkg-query's own variable
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install_packages() {
    command -v dpkg-query >/dev/null || die "this script knows Debian and Ubuntu; elsewhere install the libraries and use cmake"
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "these packages are missing and there is no sudo to install them: $missing"
    fi
    echo "installing: $missing" >&2
    as_root apt-get update -q >&2
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
}

compile() {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLAILAD_TESTS=OFF &&
        cmake --build "$build" --target lailad
}

build_release() {
    if ! compile >"$build.log" 2>&1; then
        tail -n 40 "$build.log" >&2
        die "the build failed; all of it is in $build.log"
    fi
}

print_what_to_try() {
    cat <<END
Once it listens, try (from another terminal):
  curl -X PUT -H 'Content-Type: text/plain' --data-binary 'hello' http://$1/pools/hdf5/entries/hello
  curl -i http://$1/pools/alpha/entries/hello      # found in hdf5, copied to alpha; a second time it is a hit
  curl http://$1/pools
Ctrl-C ends it.
END
}

if [ -z "${LAILAD_BUILD_DIR:-}" ]; then
    install_packages
    mkdir -p "$root/build"
    echo "building (the first time takes a minute or two)" >&2
    build_release
fi

address=${LAILAD_LISTEN:-127.0.0.1:8080}
previous=
for argument in "$@"; do
    case $previous in
    --listen) address=$argument ;;
    esac
    case $argument in
    --listen=*) address=${argument#--listen=} ;;
    esac
    previous=$argument
done
print_what_to_try "$address"
unset LAILAD_BUILD_DIR # ours, not the daemon's
exec "$build/server/lailad" "$@"
