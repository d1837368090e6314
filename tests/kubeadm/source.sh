# shellcheck shell=bash
# Debian 12's source package of Kubernetes, which compiles without network, with the Go of the same
# release; and apt with lists of its own, for packages of any architecture. Sourced.
. "$(dirname "${BASH_SOURCE[0]}")/../standin/lib.sh"

SUITE=bookworm
go=/usr/lib/go-1.19/bin/go

# What changes a program that is made from here, besides the script that makes it.
# shellcheck disable=SC2034  # used by the scripts that source this
SOURCE_SCRIPTS=("$(readlink -f "${BASH_SOURCE[0]}")"
    "$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../standin/lib.sh")")

require_sources() {
    [ -x "$go" ] || die "$go is missing: install the package golang-1.19-go (\`make test-kubeadm\` does)"
    command -v dpkg-source >/dev/null || die "dpkg-source is missing: install the package dpkg-dev"
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || die "apt uses no Debian mirror here, and Kubernetes' source is Debian's"
}

# own_apt ARCHITECTURE: sets the options $apt with which apt works in the current folder. This
# machine's lists of sources and packages stay as they are: apt gets folders of its own, which no
# other user can enter, so that it cannot become one for the download. What it downloads is signed.
own_apt() {
    local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
    mkdir -p lists/partial cache/archives/partial
    printf '%s\n' "deb $signed $mirror $SUITE main" "deb-src $signed $mirror $SUITE main" >sources.list
    apt=(-o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User=root
        -o APT::Architecture="$1" -o APT::Architectures::="$1")
    apt-get update -q "${apt[@]}"
}

# unpack_kubernetes: into the current folder, and goes where it is compiled. Sets $flags for the
# linker and $source to the version of the source package.
unpack_kubernetes() {
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
    # What was compiled before the power or the patience ended is not compiled again.
    export GOPATH=$PWD/go GOCACHE=$cache/$kept_name.compiled GO111MODULE=off GOPROXY=off GOFLAGS='' CGO_ENABLED=0
    cd go/src/k8s.io/kubernetes || exit
    SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
    flags=$(
        export SOURCE_DATE_EPOCH KUBE_ROOT=$PWD KUBE_GO_PACKAGE=k8s.io/kubernetes
        # shellcheck source=/dev/null
        . hack/lib/version.sh
        kube::version::ldflags
    )
    # shellcheck disable=SC2034  # used by the scripts that source this
    source=$(dpkg-parsechangelog -S Version)
}

# compile OUTPUT PACKAGE: static, for GOARCH.
compile() {
    "$go" build -p 2 -trimpath -ldflags "-s -w $flags" -o "$1" "$2"
}
