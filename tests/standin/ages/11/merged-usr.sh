#!/bin/bash
# Runs in mmdebstrap before anything is unpacked: programs and libraries are in /usr alone, as on Ubuntu since 19.04.
# Later releases of Debian see to that themselves.
set -euo pipefail
for dir in bin lib sbin; do
    mkdir -p "$1/usr/$dir"
    ln -s "usr/$dir" "$1/$dir"
done
