#!/bin/sh
# Stands in for each command that `certificates` runs on a control plane, under that command's name: writes
# down what it was called with, and does what the real one would do as far as certificates go.
#   TRACE    file: a line "COMMAND ARGUMENTS @start" or "... @end" for each
#   KILL_AT  "NUMBER": everything is killed at that line of the trace, as the power is cut
# What kubelet does is here, too: a container that has ended is started again. A container uses what it read
# when it was started ($STATE/containers/POD), and runs only where that is sound.
set -eu

name=${0##*/}
root=$PIBAKE_ROOT
kubernetes=$root/etc/kubernetes
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
. "$STATE/pki.sh"

line="$name $*"
while :; do
	case $line in
	*"$root"*) line="${line%%"$root"*}${line#*"$root"}" ;;
	*) break ;;
	esac
done

at() {
	echo "$line @$1" >>"$TRACE"
	[ -n "${KILL_AT:-}" ] || return 0
	if [ "$(wc -l <"$TRACE")" = "${KILL_AT:-}" ]; then
		kill -9 0
	fi
}

die() {
	echo "$1" >&2
	exit 1
}

pem_of() {
	sed -n "s/^ *$2: //p" "$1" | base64 -d
}

# fits CERTIFICATE KEY CA: as a server or client would find out.
fits() {
	[ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$2" -pubout)" ] &&
		openssl verify -CAfile "$3" "$1" >/dev/null
} 2>/dev/null

# reads POD: what it has in memory from its start on.
reads() {
	at=$STATE/containers/$1
	rm -rf "$at"
	mkdir -p "$at"
	cp -r "$kubernetes/pki" "$at/"
	cp "$kubernetes"/*.conf "$at/"
	echo "$(date +%s%N)$$" >"$at/id"
}

# is_sound POD: what it has in memory fits together. That does not change as long as it runs, but for the time, so by one
# clock it is found out once; a note that was cut off says nothing.
is_sound() {
	at=$STATE/containers/$1
	by=$at/sound-${FAKETIME:-now}
	found=
	[ ! -e "$by" ] || read -r found <"$by" || :
	if [ -z "$found" ]; then
		found=no
		! fits_together "$1" || found=yes
		echo "$found" >"$by"
	fi
	[ "$found" = yes ]
}

fits_together() {
	case $1 in
	etcd)
		fits "$at/pki/etcd/server.crt" "$at/pki/etcd/server.key" "$at/pki/etcd/ca.crt" &&
			fits "$at/pki/etcd/peer.crt" "$at/pki/etcd/peer.key" "$at/pki/etcd/ca.crt"
		;;
	kube-apiserver)
		fits "$at/pki/apiserver.crt" "$at/pki/apiserver.key" "$at/pki/ca.crt" &&
			fits "$at/pki/apiserver-etcd-client.crt" "$at/pki/apiserver-etcd-client.key" "$at/pki/etcd/ca.crt" &&
			fits "$at/pki/front-proxy-client.crt" "$at/pki/front-proxy-client.key" "$at/pki/front-proxy-ca.crt"
		;;
	kube-*)
		conf=$at/${1#kube-}.conf
		pem_of "$conf" client-certificate-data >"$at/crt"
		pem_of "$conf" client-key-data >"$at/key"
		fits "$at/crt" "$at/key" "$at/pki/ca.crt"
		;;
	esac
}

runs() {
	[ -e "$STATE/containers/$1/id" ] || return 1
	if [ "$1" = kube-apiserver ]; then
		runs etcd || return 1
		if [ -e "$STATE/disliked" ]; then
			serial=$(openssl x509 -in "$STATE/containers/$1/pki/apiserver.crt" -noout -serial)
			! grep -qxF "$serial" "$STATE/disliked" || return 1
		fi
	fi
	is_sound "$1"
}

kubectl_() {
	[ "$1" = --kubeconfig ] || die "no credentials"
	runs kube-apiserver || die "The connection to the server was refused"
	pem_of "$2" client-certificate-data >"$STATE/client.crt"
	pem_of "$2" client-key-data >"$STATE/client.key"
	fits "$STATE/client.crt" "$STATE/client.key" "$kubernetes/pki/ca.crt" ||
		die "error: You must be logged in to the server (Unauthorized)"
	case $* in
	*"--raw /readyz") echo ok ;;
	*configmap/kubeadm-config*) cat "$STATE/cluster-configuration" ;;
	*) die "unknown: kubectl $*" ;;
	esac
}

# As the real one: in the folder that it is told is the root, into the files that are there, and for a
# year from now on, whatever the CA says.
kubeadm_() {
	case $* in
	"version --output short") echo v1.31.4 ;;
	"config print init-defaults") printf 'apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n' ;;
	"certs renew all --rootfs "*" --config /kubeadm.yaml")
		[ ! -e "$STATE/no-kubeadm" ] || die "open /etc/kubernetes/pki/ca.key: input/output error"
		given=365
		cp "$5/kubeadm.yaml" "$STATE/given"
		for needed in "kind: ClusterConfiguration" "kind: InitConfiguration" "  advertiseAddress: 10.0.0.1"; do
			grep -qxF "$needed" "$STATE/given" || die "no default route, and no $needed"
		done
		hours=$(sed -n 's/^certificateValidityPeriod: "*\([0-9]*\)h0m0s"*$/\1/p' "$STATE/given" 2>/dev/null || :)
		[ -z "$hours" ] || given=$((hours / 24))
		at begun
		[ ! -e "$STATE/other-authority" ] || authority "$5/etc/kubernetes/pki/ca" 100
		leaves "$5/etc/kubernetes" "$given"
		[ ! -e "$STATE/refused" ] || openssl x509 -in "$5/etc/kubernetes/pki/apiserver.crt" -noout -serial >"$STATE/disliked"
		;;
	"init phase kubeconfig kubelet --rootfs "*" --node-name node-1 "*)
		kubeconfig "$6/etc/kubernetes/kubelet.conf" "$6/etc/kubernetes/pki/ca" 365 /O=system:nodes/CN=system:node:node-1
		;;
	*) die "unknown: kubeadm $*" ;;
	esac
}

crictl_() {
	case $* in
	"ps -q --label io.kubernetes.pod.name="*-node-1" --label io.kubernetes.pod.namespace=kube-system")
		pod=${4#*=}
		pod=${pod%-node-1}
		# One that has ended kubelet starts again.
		runs "$pod" || reads "$pod"
		! runs "$pod" || cat "$STATE/containers/$pod/id"
		;;
	"stop -t 30 "*)
		pod=$(grep -lxF "$4" "$STATE"/containers/*/id) || die "no such container"
		pod=${pod%/id}
		rm -rf "$pod"
		at "stopped ${pod##*/}"
		reads "${pod##*/}"
		;;
	*) die "unknown: crictl $*" ;;
	esac
}

curl_() {
	for url; do :; done
	case $url in
	http://127.0.0.1:2381/health) runs etcd ;;
	https://127.0.0.1:10257/healthz) runs kube-controller-manager ;;
	https://127.0.0.1:10259/healthz) runs kube-scheduler ;;
	*) exit 7 ;;
	esac
}

at start
case $name in
kubectl) kubectl_ "$@" ;;
kubeadm) kubeadm_ "$@" ;;
crictl) crictl_ "$@" ;;
curl) curl_ "$@" ;;
mv | ln | rm) "$name" "$@" ;;
cp)
	[ ! -e "$STATE/full" ] || die "cp: error writing: No space left on device"
	cp "$@"
	;;
systemctl)
	[ "$*" = "restart kubelet" ] || die "unknown: systemctl $*"
	echo restarted >>"$STATE/kubelet"
	if [ ! -e "$root/var/lib/kubelet/pki/kubelet.crt" ] && [ ! -e "$root/var/lib/kubelet/pki/kubelet.key" ]; then
		authority "$root/var/lib/kubelet/pki/kubelet" 365
	fi
	;;
timedatectl) if [ -e "$STATE/clock" ]; then echo yes; else echo no; fi ;;
chronyc) exit 1 ;;
getent) echo "$2:x:1000:1000::/home/$2:/bin/sh" ;;
# What a scratch node writes is in memory.
sync) ;;
# Not a command: the power is on again, and kubelet starts all pods.
kubelet-starts)
	for pod in etcd kube-apiserver kube-controller-manager kube-scheduler; do
		reads "$pod"
	done
	;;
*) die "unknown: $name" ;;
esac
at end
