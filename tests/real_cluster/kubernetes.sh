#!/bin/bash
# Prints the directory that holds Kubernetes for arm64, and makes it first where it is not there: from
# Debian 12's source package, whose binary package has kubectl alone.
#
#     kubeadm, kubelet, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy
#     src/           the sources of the runtime interface's client, which that of Kubernetes brings
#     version        as in v1.20.2
#
# Making it needs a Debian mirror, 4 GB of disk for the time being, and 10 to 30 minutes, but not
# root. It is kept in ${XDG_CACHE_HOME:-~/.cache}/pibake-test, under the hash of all that makes it.
#
#     tests/real_cluster/kubernetes.sh [--if-cached]     --if-cached: fail at once where it is not there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
. "$here/../kubeadm/source.sh"

programs=(kubeadm kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy)

offer kubernetes "$(hash_of "$(readlink -f "$0")" "${SOURCE_SCRIPTS[@]}")" test-cluster "$@"
require_sources
begin "Kubernetes for arm64, 10 to 30 minutes"

mkdir "$part/work"
cd "$part/work"
own_apt "$(dpkg --print-architecture)"
unpack_kubernetes

# One file of the API server's is generated, as Kubernetes' own makefiles do, and is in no source package.
# The generator names all that is against the rules of the API; what is known is listed.
"$go" build -o "$part/work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
described=$(grep -rl --include='*.go' '^// +k8s:openapi-gen=' pkg cmd plugin vendor/k8s.io/*/ |
    grep -v -e '^vendor/k8s.io/code-generator/' -e '^vendor/k8s.io/sample-' |
    xargs -n 1 dirname | LC_ALL=C sort -u | sed 's,^,k8s.io/kubernetes/,' | paste -s -d ,)
"$part/work/openapi-gen" --logtostderr -i "$described" -p k8s.io/kubernetes/pkg/generated/openapi \
    -O zz_generated.openapi -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$part/work/violations"
diff "$part/work/violations" api/api-rules/violation_exceptions.list

export GOARCH=arm64
for program in "${programs[@]}"; do
    date "+%T compiling $program"
    compile "$part/$program" "./cmd/$program"
done
date "+%T compiled"
mkdir "$part/src"
cd vendor
"$go" list -deps -f '{{if not .Standard}}{{.ImportPath}}{{end}}' \
    k8s.io/kubernetes/vendor/k8s.io/cri-api/pkg/apis/runtime/v1alpha2 k8s.io/kubernetes/vendor/google.golang.org/grpc |
    sed 's,^k8s.io/kubernetes/vendor/,,' | while read -r package; do
    mkdir -p "$part/src/$package"
    find "$(readlink -f "$package")" -maxdepth 1 -type f -exec cp -t "$part/src/$package" {} +
done
echo "$flags" | grep -o 'gitVersion=v[0-9.]*' | head -n 1 | cut -d = -f 2 >"$part/version"
grep -q . "$part/version" || die "this Kubernetes does not know its own version"

cd "$part"
rm -rf --one-file-system "$part/work"
keep
rm -rf --one-file-system "$GOCACHE"
