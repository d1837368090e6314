#!/bin/bash
# Prints the directory that holds a real kubeadm for this machine, and makes it first where it is
# not there: from Debian 12's source package of Kubernetes, which compiles without network, with the
# Go of the same release.
#
#     kubeadm
#     source         the version of the source package
#
# Making it needs a Debian mirror, 2 GB of disk for the time being, and some minutes, but not root.
# It is kept in ${XDG_CACHE_HOME:-~/.cache}/pibake-test, under the hash of all that makes it.
#
#     tests/kubeadm/build.sh [--if-cached]     --if-cached: fail at once where it is not there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/source.sh"

offer kubeadm "$(hash_of "$(readlink -f "$0")" "${SOURCE_SCRIPTS[@]}")" test-kubeadm "$@"
require_sources
begin "kubeadm, some minutes"

mkdir "$part/work"
cd "$part/work"
own_apt "$(dpkg --print-architecture)"
unpack_kubernetes
compile "$part/kubeadm" ./cmd/kubeadm
[[ $("$part/kubeadm" version --output short) =~ ^v1\.[0-9]+\.[0-9]+$ ]] ||
    die "this kubeadm does not know its own version: $("$part/kubeadm" version)"
echo "$source" >"$part/source"

cd "$part"
rm -rf --one-file-system "$part/work"
keep
rm -rf --one-file-system "$GOCACHE"
