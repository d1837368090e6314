#!/bin/bash
# Prints the directory that holds what two nodes make a real cluster of, and makes it first where it
# is not there.
#
#     packages/      Debian packages as Kubernetes' own repository has them: kubelet, kubeadm, kubectl,
#                    cri-tools
#     cni/           kubernetes-cni of that repository
#     cni-11/        the same for nodes of Debian 11, whose C library is older
#     images/        an OCI layout for each image, tagged `latest`
#     version        Kubernetes' version, as in v1.20.2
#
# Kubernetes is compiled (kubernetes.sh); etcd, kubectl, CNI's plugins and busybox are Debian's. Stood
# in for are flannel, CoreDNS, crictl and the pause program (programs/): their source is in no package.
#
#     tests/real_cluster/build.sh [--if-cached]     --if-cached: fail at once where it is not there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/../kubeadm/source.sh"

mapfile -t scripts < <(find "$here/build.sh" "$here/kubernetes.sh" "$here/packages" "$here/programs" -type f | LC_ALL=C sort)
offer cluster "$(hash_of "${scripts[@]}" "${SOURCE_SCRIPTS[@]}")" test-cluster "$@"
kubernetes=$("$here/kubernetes.sh")
require_sources
command -v umoci >/dev/null || die "umoci is missing: install the package umoci (\`make test-cluster\` does)"
begin "the packages and images of a cluster, a minute"

mkdir "$part/work" "$part/packages" "$part/cni" "$part/cni-11" "$part/images" "$part/programs"
cd "$part/work"
version=$(cat "$kubernetes/version")
cp "$kubernetes/version" "$part/version"

# --- programs of the tests' own
mkdir -p go/src
cp -r "$kubernetes/src/." "$here/programs/." go/src/
export GOPATH=$PWD/go GOCACHE=$cache/$kept_name.compiled GO111MODULE=off GOPROXY=off GOFLAGS='' CGO_ENABLED=0 GOARCH=arm64
flags=
for program in crictl flanneld flannel-cni install-conf coredns pause; do
    compile "$part/programs/$program" "$program"
done

# --- Debian's programs, with the libraries that they need
own_apt arm64
mkdir debs debian
(cd debs && apt-get download -q "${apt[@]}" kubernetes-client containernetworking-plugins etcd-server \
    busybox busybox-static iptables libxtables12 libip4tc2 libip6tc2 libnftnl11 libmnl0 libnfnetlink0 \
    libnetfilter-conntrack3 conntrack libc6 libgcc-s1)
mkdir older
(cd older && SUITE=bullseye && own_apt arm64 && apt-get download -q "${apt[@]}" containernetworking-plugins &&
    dpkg-deb -x containernetworking-plugins_*.deb debian)
unpack() { # DIRECTORY PACKAGE...
    local dir=$1 name
    shift
    mkdir -p "$dir"
    for name; do
        dpkg-deb -x debs/"${name}"_*.deb "$dir"
    done
}
for name in kubernetes-client containernetworking-plugins etcd-server busybox busybox-static; do
    unpack "debian/$name" "$name"
done

# --- images: a file system each, which `add` turns into an image
base=images/base
unpack "$base" libc6 libgcc-s1 iptables libxtables12 libip4tc2 libip6tc2 libnftnl11 libmnl0 libnfnetlink0 \
    libnetfilter-conntrack3 conntrack
rm -rf "${base:?}/usr/share"
# as the alternatives are by default, which no maintainer script sets here
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$base/usr/sbin/$name"
done
with_busybox() { # DIRECTORY APPLET...
    local dir=$1 applet
    shift
    [ -e "$dir/bin/busybox" ] || install -D -t "$dir/bin" debian/busybox-static/bin/busybox
    for applet; do
        ln -s busybox "$dir/bin/$applet"
    done
}
add() { # NAME DIRECTORY [CONFIGURATION...]
    local layout=$part/images/$1 tree=$2
    shift 2
    mkdir -p "$tree/tmp" "$tree/etc" "$tree/run"
    tar -C "$tree" --owner=0 --group=0 --sort=name -cf layer.tar .
    umoci init --layout "$layout"
    umoci new --image "$layout:latest"
    umoci raw add-layer --image "$layout:latest" layer.tar
    umoci config --image "$layout:latest" --architecture arm64 --os linux \
        --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    umoci gc --layout "$layout"
    rm layer.tar
}
for program in kube-apiserver kube-controller-manager kube-scheduler; do
    install -D "$kubernetes/$program" "images/$program/usr/local/bin/$program"
    add "$program" "images/$program"
done
cp -a "$base" images/kube-proxy
install -D "$kubernetes/kube-proxy" images/kube-proxy/usr/local/bin/kube-proxy
add kube-proxy images/kube-proxy
unpack images/etcd libc6 libgcc-s1
rm -rf images/etcd/usr/share
install -D -t images/etcd/usr/local/bin debian/etcd-server/usr/bin/etcd
# as the image of Kubernetes' own for arm64 has it
add etcd images/etcd --config.env ETCD_UNSUPPORTED_ARCH=arm64
install -D "$part/programs/pause" images/pause/pause
add pause images/pause --config.entrypoint /pause
install -D "$part/programs/coredns" images/coredns/coredns
add coredns images/coredns --config.entrypoint /coredns
cp -a "$base" images/flannel
with_busybox images/flannel cp ip sh
install -D -t images/flannel/opt/bin "$part/programs/flanneld" "$part/programs/install-conf"
add flannel images/flannel --config.entrypoint /opt/bin/flanneld
with_busybox images/flannel-cni-plugin cp sh
install -D "$part/programs/flannel-cni" images/flannel-cni-plugin/flannel
add flannel-cni-plugin images/flannel-cni-plugin
applets=(cat date echo hostname httpd ls mkdir nslookup ping sh sha256sum sleep wget)
# the static one cannot look up names: glibc's getaddrinfo wants libraries at run time, and crashes
with_libc() { # DIRECTORY
    unpack "$1" libc6 libgcc-s1
    rm -rf "${1:?}/usr/share"
    install -D -t "$1/bin" debian/busybox/bin/busybox
}
with_libc images/busybox
with_busybox images/busybox "${applets[@]}"
add busybox images/busybox --config.cmd sh
# large enough that much of it is not on the disk yet, seconds after it was pulled
with_libc images/late
with_busybox images/late "${applets[@]}"
head -c 24M /dev/urandom >images/late/data
(cd images/late && sha256sum data bin/busybox >sums)
add late images/late --config.cmd sh

# --- packages: what Kubernetes' own of today say of themselves, and have beside the program
package() { # NAME VERSION DEPENDS [FOLDER]
    local tree=${4:-packages}/$1
    [ ! -d "$here/$tree" ] || cp -r "$here/$tree/." "$tree/"
    mkdir -p "$tree/DEBIAN"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: arm64\nMaintainer: the tests <root@localhost>\n' "$1" "$2"
        [ -z "$3" ] || printf 'Depends: %s\n' "$3"
        printf 'Section: net\nPriority: optional\nDescription: %s, packed for tests\n' "$1"
    } >"$tree/DEBIAN/control"
    # with the sums that dpkg --verify compares
    (cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z |
        xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$part/${4:-packages}"
}
release=${version#v}-1.1
install -D "$kubernetes/kubelet" packages/kubelet/usr/bin/kubelet
mkdir -p packages/kubelet/var/lib/kubelet packages/kubelet/etc/kubernetes/manifests
touch packages/kubelet/var/lib/kubelet/.kubelet-keep packages/kubelet/etc/kubernetes/manifests/.kubelet-keep
package kubelet "$release" 'iptables (>= 1.4.21), kubernetes-cni (>= 0.8.7), mount, util-linux, libc6'
install -D "$kubernetes/kubeadm" packages/kubeadm/usr/bin/kubeadm
package kubeadm "$release" ''
install -D -t packages/kubectl/usr/bin debian/kubernetes-client/usr/bin/kubectl
package kubectl "$release" ''
# Kubernetes' own are static and run anywhere; Debian's want the C library of their release, or a newer one.
cni() { # VERSION FOLDER PLUGIN...
    local version=$1 folder=$2
    shift 2
    install -D -t "$folder/kubernetes-cni/opt/cni/bin" "$@"
    mkdir -p "$folder/kubernetes-cni/etc/cni/net.d"
    touch "$folder/kubernetes-cni/etc/cni/net.d/.kubernetes-cni-keep"
    package kubernetes-cni "$version" '' "$folder"
}
cni 1.1.1-1.1 cni debian/containernetworking-plugins/usr/lib/cni/*
cni 0.9.0-1.1 cni-11 older/debian/usr/lib/cni/*
install -D "$part/programs/crictl" packages/cri-tools/usr/bin/crictl
package cri-tools 1.20.0-1.1 ''

cd "$part"
rm -rf --one-file-system "$part/work" "$part/programs"
keep
rm -rf --one-file-system "$GOCACHE"
