#!/bin/sh
# Usage: fuzz/run.sh TARGET [--empty] [OPTIONS OF LIBFUZZER]
#
# Runs a target from its corpus in the tree, with its dictionary. What is found goes to fuzz/found/, which
# is not in git. --empty: without corpus and dictionary, to see how far bytes without any lead get.
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    echo "usage: fuzz/run.sh TARGET [--empty] [OPTIONS OF LIBFUZZER]; targets:" fuzz/fuzz_targets/*.rs >&2
    exit 2
fi
target=$1
shift
corpus=fuzz/corpus/$target
dictionary=fuzz/dictionaries/$target.dict
[ -f "$dictionary" ] || dictionary=fuzz/dictionaries/images.dict
found=fuzz/found/$target
if [ "${1-}" = --empty ]; then
    shift
    found=$(mktemp -d)
    trap 'rm -r "$found"' EXIT
    set -- "$found" -- "$@"
else
    mkdir -p "$found"
    set -- "$found" "$corpus" -- -dict="$dictionary" "$@"
fi
# the versions that pibake is built with
if [ ! -e fuzz/Cargo.lock ] || [ -n "$(find Cargo.lock -newer fuzz/Cargo.lock)" ]; then
    cp Cargo.lock fuzz/Cargo.lock
fi
RUSTC_BOOTSTRAP=1 cargo fuzz run -s none "$target" "$@" -rss_limit_mb=2048
