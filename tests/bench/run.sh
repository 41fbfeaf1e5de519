#!/bin/sh
# Measures lailad (release build) on this machine: hits, writes, cold reads, memory and the hdf5 pool by itself, against what else could do the
# same work.
#
#   sh tests/bench/run.sh                         everything, about 18 minutes
#   sh tests/bench/run.sh --only alpha-nginx,memory --rounds 3 --seconds 2 --json FILE
#   sh tests/bench/run.sh --list                  what there is to measure, with its goal
#
# Nothing else should run meanwhile. Prints a table and writes build/bench/results.json. tests/README.md says how to read it. A peer that
# cannot be installed leaves its comparisons out, with the reason in their rows.
set -eu

NEEDS="wrk util-linux python3 pkg-config gcc cmake ninja-build libmicrohttpd-dev libhdf5-dev libssl-dev git"
PEERS="nginx-light varnish webdis redis-server swift-proxy swift-account swift-container swift-object python3-swift python3-boto3"

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

is_missing() {
    state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)
    [ "$state" != installed ]
}

# install PACKAGE... : no service is started, whatever the package would like.
install() {
    [ "$(id -u)" -eq 0 ] || return 1
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

for package in $NEEDS; do
    if is_missing "$package" && ! install "$package"; then
        echo "tests/bench/run.sh: needs $package: as root, apt-get install $package" >&2
        exit 1
    fi
done
case " $* " in
*" --list "*) ;;
*)
    for package in $PEERS; do
        if is_missing "$package" && ! install "$package"; then
            echo "tests/bench/run.sh: no $package here; what needs it is left out" >&2
        fi
    done
    cmake --preset release -DLAILAD_BENCH=ON >/dev/null
    cmake --build --preset release
    sh tests/bench/build.sh build/bench
    ;;
esac
python3 tests/bench/bench.py "$@"
