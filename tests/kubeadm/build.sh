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
. "$here/../standin/lib.sh"
go=/usr/lib/go-1.19/bin/go

key=$(sha256sum "$0" "$here/../standin/lib.sh" | cut -d ' ' -f 1 | sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pibake-test
final=$cache/kubeadm-$key
if [ -d "$final" ]; then
    echo "$final"
    exit
fi
case ${1:-} in
--if-cached) die "$final is not there: \`make test-kubeadm\` makes it" ;;
'') ;;
*) die "unknown argument $1" ;;
esac
[ -x "$go" ] || die "$go is missing: install the package golang-1.19-go (\`make test-kubeadm\` does)"
command -v dpkg-source >/dev/null || die "dpkg-source is missing: install the package dpkg-dev"
mirror=$(debian_mirror)
[ -n "$mirror" ] || die "apt uses no Debian mirror here, and the source of kubeadm is Debian's"
mkdir -p "$cache"

# Two at once: the second waits and finds it made.
exec 9>"$cache/kubeadm.lock"
flock 9
if [ -d "$final" ]; then
    echo "$final"
    exit
fi
find "$cache" -maxdepth 1 -name 'kubeadm-*.part' -exec rm -rf --one-file-system {} + # of killed runs
part=$final.part
log=$cache/kubeadm.log
rm -f "$log"
mkdir -p "$part/work"
echo "compiling kubeadm, some minutes; it is kept in $final" >&2
exec 3>&1 4>&2 >"$log" 2>&1
ended() {
    local status=$?
    exec >&3 2>&4
    rm -rf --one-file-system "$part"
    [ $status = 0 ] && exit
    tail -n 40 "$log"
    die "making kubeadm failed; all it said is in $log"
} >&4
trap ended EXIT

# apt's lists of sources and packages stay as they are: it gets folders of its own, which no other
# user can enter, so that it cannot become one for the download. What it downloads is signed.
cd "$part/work"
mkdir -p lists/partial cache/archives/partial
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" >sources.list
apt=(-o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User=root)
apt-get update -q "${apt[@]}"
apt-get source -q --download-only "${apt[@]}" kubernetes golang-github-modern-go-reflect2
dpkg-source -x kubernetes_*.dsc tree
# The reflect2 that it brings reads maps in the way of Go before 1.18, and crashes with a later one.
rm -r tree/vendor/github.com/modern-go/reflect2
dpkg-source -x golang-github-modern-go-reflect2_*.dsc tree/vendor/github.com/modern-go/reflect2

# As Debian's and Kubernetes' own build does: where GOPATH expects it, with the dependencies that
# the source brings. Kubernetes' own script knows which version this is; without one kubeadm
# looks for the newest on the internet.
mkdir -p go/src/k8s.io
ln -s "$PWD/tree" go/src/k8s.io/kubernetes
export GOPATH=$PWD/go GOCACHE=$PWD/gocache GO111MODULE=off GOPROXY=off GOFLAGS='' CGO_ENABLED=0
cd go/src/k8s.io/kubernetes
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
flags=$(
    export SOURCE_DATE_EPOCH KUBE_ROOT=$PWD KUBE_GO_PACKAGE=k8s.io/kubernetes
    # shellcheck source=/dev/null
    . hack/lib/version.sh
    kube::version::ldflags
)
nice "$go" build -p 2 -trimpath -ldflags "-s -w $flags" -o "$part/kubeadm" ./cmd/kubeadm
[[ $("$part/kubeadm" version --output short) =~ ^v1\.[0-9]+\.[0-9]+$ ]] ||
    die "this kubeadm does not know its own version: $("$part/kubeadm" version)"
dpkg-parsechangelog -S Version >"$part/source"

cd "$part"
rm -rf --one-file-system "$part/work"
sync -f "$part"
mv -T "$part" "$final"
echo "$final" >&3
