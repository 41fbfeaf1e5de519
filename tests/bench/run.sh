#!/bin/sh
# Benchmarks hits on this machine: lailad (release build) against a bare libmicrohttpd handler and nginx serving a file.
#
#   sh tests/bench/run.sh [--rounds 7] [--seconds 3]
#
# The server has one core, the client (wrk, 32 connections) the other; nothing else should run meanwhile. Prints a table and writes
# build/bench/results.json. tests/README.md says how to read it.
set -eu

PACKAGES="wrk nginx-light util-linux python3 pkg-config gcc cmake ninja-build libmicrohttpd-dev"

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

missing=
for package in $PACKAGES; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "tests/bench/run.sh: run as root: apt-get install$missing" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # a list
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
fi

mkdir -p build/bench
cmake --preset release >/dev/null
cmake --build --preset release
# shellcheck disable=SC2046 # flags are words
cc -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror tests/bench/bare_mhd.c -o build/bench/bare_mhd \
    $(pkg-config --cflags --libs libmicrohttpd)
exec python3 tests/bench/bench.py "$@"
