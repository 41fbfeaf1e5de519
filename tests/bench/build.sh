#!/bin/sh
# Builds the small programs of the benchmark, the bare handler, the plain client and the maker of a large file, into a folder.
#
#   sh tests/bench/build.sh FOLDER
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
flags="-std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086 # flags are words
cc $flags "$here/bare_mhd.c" -o "$1/bare_mhd" $(pkg-config --cflags --libs libmicrohttpd)
# shellcheck disable=SC2086
cc $flags "$here/puller.c" -o "$1/puller"
# shellcheck disable=SC2046,SC2086
cc $flags "$here/hdf5_start.c" -o "$1/hdf5_start" $(pkg-config --cflags --libs hdf5 libcrypto)
