#!/bin/sh
# shellcheck disable=SC2153 # NODE is the one, node is another
#
# Stands in for each command that an upgrade runs on a node, under that command's name: writes down what it was called with,
# and does what the real one would do as far as versions go. It is strict: what is held is not changed unless that is
# allowed, what no list has cannot be installed, kubeadm takes no other release than its own, and a kubelet that is newer
# than the API server does not run.
#   STATE    folder of what this node is
#   CLUSTER  folder of what the cluster is, which all nodes share
#   NODE     the node's name
#   TRACE    file: a line "COMMAND ARGUMENTS @start" or "... @end" for each
#   KILL_AT  "NUMBER": everything is killed at that line of the trace, as the power is cut
#   FAIL_AT  a line of the trace without its end: that command fails
#   LAUNCH   a program: units are started by it, and a restart of the machine takes a moment
set -eu

name=${0##*/}
root=$PIBAKE_ROOT
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

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
	exit "${2:-1}"
}

has() { [ -e "$STATE/$1" ]; }
put() {
	[ -d "$STATE/${1%/*}" ] || { above=$STATE/$1 && mkdir -p "${above%/*}"; }
	printf '%s\n' "${2:-}" >"$STATE/$1"
}
installed() { cat "$STATE/installed/$1" 2>/dev/null; }
minor_of() {
	rest=${1#*.}
	echo "${rest%%[!0-9]*}"
}
server() { cat "$CLUSTER/server"; }
# member KEY [VALUE]: what the cluster knows of a node.
member() {
	[ -d "$CLUSTER/nodes/$1" ] || mkdir -p "$CLUSTER/nodes/$1"
	if [ $# = 3 ]; then echo "$3" >"$CLUSTER/nodes/$1/$2"; else cat "$CLUSTER/nodes/$1/$2" 2>/dev/null || :; fi
}

# On the control plane itself it is up where kubelet finds the manifests of all four pods, and whole.
api_up() {
	[ -e "$CLUSTER/up" ] || return
	[ -d "$root/etc/kubernetes/manifests" ] || return 0
	for pod in etcd kube-apiserver kube-controller-manager kube-scheduler; do
		[ -s "$root/etc/kubernetes/manifests/$pod.yaml" ] || return
	done
}

# What the kubelet tells the cluster when it starts.
kubelet_starts() {
	rm -f "$STATE/active/kubelet"
	member "$NODE" ready False
	version=$(installed kubelet)
	[ "$(minor_of "$version")" -le "$(minor_of "$(server)")" ] || return 0
	[ "$(cat "$root/var/lib/kubelet/config.yaml")" != "" ] && has active/containerd && ! has kubelet-broken || return 0
	put active/kubelet
	member "$NODE" kubelet "v${version%%-*}"
	member "$NODE" runtime "containerd://$(containerd_version)"
	member "$NODE" boot "$(cat "$root/proc/sys/kernel/random/boot_id")"
	member "$NODE" ready True
}

containerd_version() {
	for package in containerd containerd.io; do
		! has "installed/$package" || installed "$package" | sed 's/-.*//'
	done
}

# A configuration of version 3 is one that containerd 1 does not read.
containerd_starts() {
	rm -f "$STATE/active/containerd"
	version=$(containerd_version)
	[ -n "$version" ] || return 0
	if grep -q '^version = 3' "$root/etc/containerd/config.toml" && [ "${version%%.*}" -lt 2 ]; then return 0; fi
	! grep -qx "$version" "$STATE/containerd-broken" 2>/dev/null || return 0
	put active/containerd
}

# What the lists have, by `apt-get update`: PACKAGE VERSION, the newest first.
offered() {
	minor=$(sed -n 's,.*/v1\.\([0-9]*\)/.*,\1,p' "$root/etc/apt/sources.list.d/pibake-kubernetes.list")
	[ ! -e "$STATE/other-repository" ] || minor=
	if [ -n "$minor" ]; then
		for package in kubeadm kubelet kubectl; do
			printf "$package 1.$minor.%s-1.1\n" 10 3 2 0
		done
		printf "cri-tools 1.$minor.%s-1.1\n" 0
	fi
	[ ! -e "$root/etc/apt/sources.list.d/pibake-docker.list" ] || printf 'containerd.io %s-1\n' 2.2.0 1.7.27
	printf 'containerd %s-0ubuntu1~24.04.1\n' 2.2.1
}

install_one() {
	package=${1%%=*}
	version=${1#*=}
	grep -qxF "$package $version" "$STATE/lists" || die "E: Version '$version' for '$package' was not found" 100
	if has "held/$package" && [ "$(installed "$package")" != "$version" ]; then
		case $line in
		*--allow-change-held-packages*) rm "$STATE/held/$package" ;;
		*) die "E: Held packages were changed and -y was used without --allow-change-held-packages." 100 ;;
		esac
	fi
	put "half/$package" "$version"
	at "unpacking $package"
	# The two are one another's.
	case $package in
	containerd) rm -f "$STATE/installed/containerd.io" ;;
	containerd.io) rm -f "$STATE/installed/containerd" ;;
	esac
	configure "$package"
}

configure() {
	mv "$STATE/half/$1" "$STATE/installed/$1"
	mkdir -p "$root/var/lib/dpkg/info"
	echo "/usr/bin/$1" >"$root/var/lib/dpkg/info/$1.list"
	# Postinst: what runs is started again.
	case $1 in containerd*) containerd_starts ;; esac
}

apt_get() {
	case $* in
	*update) ;;
	*) [ -z "$(ls "$STATE/half" 2>/dev/null)" ] || die "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'" 100 ;;
	esac
	case $* in
	*update)
		if has offline; then
			echo "W: Failed to fetch https://pkgs.k8s.io/InRelease  Could not resolve 'pkgs.k8s.io'"
			echo "W: Some index files failed to download. They have been ignored, or old ones used instead."
			case $* in *Error-Mode=any*) exit 100 ;; esac
		else
			offered >"$STATE/lists"
		fi
		;;
	*--fix-broken*) ;;
	*"--simulate dist-upgrade")
		for number in $(seq "$(cat "$STATE/newer")"); do echo "Inst package-$number [1] (2 Ubuntu:24.04)"; done
		;;
	*" dist-upgrade")
		for option in force-confdef force-confold DPkg::Lock::Timeout; do
			case $* in *"$option"*) ;; *) die "E: it asks, and nobody answers" 100 ;; esac
		done
		if [ "$(cat "$STATE/newer")" != 0 ]; then
			put half/linux-image 2
			at "unpacking linux-image"
			configure linux-image
			echo 0 >"$STATE/newer"
			if has kernel-comes; then
				ln -sfn "vmlinuz-$(cat "$STATE/kernel-comes")" "$root/boot/vmlinuz"
				! has piboot-try || { mkdir -p "$root/boot/firmware/new" && echo unknown >"$root/boot/firmware/new/state"; }
			fi
			! has asks-for-restart || : >"$root/run/reboot-required"
		fi
		;;
	*" install "*)
		for word; do
			case $word in
			-* | *::* | install) ;;
			*=*) install_one "$word" ;;
			esac
		done
		;;
	*) die "unknown: apt-get $*" ;;
	esac
}

dpkg_query() {
	format=$3
	shift 3
	found=no
	for package; do
		version=$(installed "$package") || continue
		found=yes
		printf '%s' "$format" | sed "s/\${Package}/$package/; s/\${db:Status-Status}/installed/; s/\${Version}/$version/; s/\\\\n/\n/"
	done
	[ "$found" = yes ] || die "dpkg-query: no packages found matching $*"
}

kubeadm_() {
	release=v$(installed kubeadm | sed 's/-.*//')
	case $* in
	"version --output short") echo "$release" ;;
	"config images pull --config "*)
		api_up || die "The connection to the server was refused"
		grep -qx "kubernetesVersion: $release" "$5" || die "it would pull other images"
		[ "$(stat -c %a "$5")" = 600 ] || die "others may read it"
		put "images/$release"
		;;
	"upgrade apply $release --yes --ignore-preflight-errors CreateJob")
		api_up || die "[upgrade] the API server does not answer"
		ours=$(minor_of "$(server)")
		[ "$(minor_of "$release")" -le $((ours + 1)) ] || die "Specified version to upgrade to is too high"
		[ "$(minor_of "$release")" -ge "$ours" ] || die "Specified version to upgrade to is too low"
		kept=$root/etc/kubernetes/tmp/kubeadm-backup-manifests-2026
		mkdir -p "$kept"
		for pod in etcd kube-apiserver kube-controller-manager kube-scheduler; do
			[ ! -s "$root/etc/kubernetes/manifests/$pod.yaml" ] || cp "$root/etc/kubernetes/manifests/$pod.yaml" "$kept/"
			: >"$root/etc/kubernetes/manifests/$pod.yaml"
			at "writing $pod"
			echo "$pod $release" >"$root/etc/kubernetes/manifests/$pod.yaml"
		done
		echo "$release" >"$CLUSTER/server"
		echo "admin of $release" >"$root/etc/kubernetes/admin.conf"
		echo "config of $(minor_of "$release")" >"$root/var/lib/kubelet/config.yaml"
		;;
	"upgrade node")
		api_up || die "couldn't get the cluster's configuration"
		[ "$(minor_of "$release")" = "$(minor_of "$(server)")" ] || die "kubeadm is not of the cluster's version"
		echo "config of $(minor_of "$release")" >"$root/var/lib/kubelet/config.yaml"
		;;
	*) die "unknown: kubeadm $*" ;;
	esac
}

field() {
	case $1 in
	*nodeInfo.kubeletVersion*) member "$2" kubelet ;;
	*nodeInfo.containerRuntimeVersion*) member "$2" runtime ;;
	*nodeInfo.bootID*) member "$2" boot ;;
	*conditions*.status*) member "$2" ready ;;
	*conditions*.message*) echo "kubelet is posting nothing" ;;
	*unschedulable*annotations*) echo "$(member "$2" cordoned)|$(member "$2" mark)" ;;
	*annotations*) member "$2" mark ;;
	*taints*) member "$2" taint ;;
	name) echo "node/$2" ;;
	*) die "unknown: $1" ;;
	esac
}

kubectl_() {
	case "$1 ${2#"$root"}" in
	"--kubeconfig /etc/kubernetes/admin.conf") ;;
	# A node may ask for itself alone.
	"--kubeconfig /etc/kubernetes/kubelet.conf") case $* in *" get node/$NODE "*) ;; *) die "Error from server (Forbidden)" ;; esac ;;
	*) die "no credentials" ;;
	esac
	[ -s "$2" ] || die "error: stat $2: no such file or directory"
	shift 2
	while [ "$1" = --request-timeout ]; do shift 2; done
	api_up || die "The connection to the server was refused - did you specify the right host or port?"
	case $* in
	"get --raw /readyz") echo ok ;;
	"get --raw /version") printf '{\n  "major": "1",\n  "gitVersion": "%s"\n}\n' "$(server)" ;;
	*configmap/kubeadm-config*) printf 'apiVersion: kubeadm.k8s.io/v1beta4\nkubernetesVersion: %s\nclusterName: attic\n' "$(server)" ;;
	"get nodes --output "*)
		for folder in "$CLUSTER"/nodes/*; do
			node=${folder##*/}
			echo "member=$node|$(member "$node" ready)|$(member "$node" cordoned)|$(member "$node" mark)|$(member "$node" kubelet)"
		done
		;;
	"get node/"*)
		node=${2#node/}
		[ -d "$CLUSTER/nodes/$node" ] || die "Error from server (NotFound): nodes \"$node\" not found"
		field "$4" "$node"
		;;
	"annotate --overwrite node/"*"pibake-upgrade=cordoned") member "${3#node/}" mark cordoned ;;
	"annotate node/"*"pibake-upgrade-") rm "$CLUSTER/nodes/${2#node/}/mark" ;;
	"label --overwrite node/"*) member "${3#node/}" label "$4 $5" ;;
	"taint --overwrite nodes "*) member "$4" taint "$5" ;;
	"uncordon "*)
		member "$2" cordoned ""
		echo "node/$2 uncordoned"
		;;
	"drain "*)
		member "$2" cordoned true
		case $* in *--ignore-daemonsets*) ;; *) die "error: cannot delete DaemonSet-managed Pods" ;; esac
		case $* in *--delete-emptydir-data*) ;; *) die "error: cannot delete Pods with local storage" ;; esac
		if [ -n "$(member "$2" bare)" ]; then
			case $* in *--force*) ;; *) die "error: unable to drain node \"$2\" due to error: cannot delete cannot delete Pods that declare no controller (use --force to override): default/mine" ;; esac
		fi
		[ -z "$(member "$2" budget)" ] || die "error: unable to drain node \"$2\" due to error: global timeout reached: 30s"
		echo "node/$2 drained"
		;;
	*) die "unknown: kubectl $*" ;;
	esac
}

# power_cycles KERNEL: what is only in memory is gone.
power_cycles() {
	rm -rf "$root/run"
	mkdir -p "$root/run"
	cat /proc/sys/kernel/random/uuid >"$root/proc/sys/kernel/random/boot_id"
	if [ "$1" = trial ] && ! has kernel-is-bad; then
		rm -rf "$root/boot/firmware/new"
	elif [ "$1" = trial ]; then
		echo bad >"$root/boot/firmware/new/state"
	fi
	if [ "$1" = trial ] || ! has piboot-try; then
		has kernel-is-bad || readlink "$root/boot/vmlinuz" | sed 's/^vmlinuz-//' >"$STATE/kernel"
	fi
	containerd_starts
	kubelet_starts
}

goes_down() {
	put restarts "$(($(cat "$STATE/restarts" 2>/dev/null || echo 0) + 1))"
	member "$NODE" ready Unknown
	if [ -n "${LAUNCH:-}" ]; then
		: >"$STATE/down"
		for session in "$STATE"/sessions/*; do
			[ ! -e "$session" ] || { rm "$session" && kill -9 "-${session##*/}"; } || :
		done
		rm -f "$STATE/apart"
		setsid sh -c ": >'$STATE/apart'; sleep 1; '${0%/*}/$1'; rm '$STATE/down'; '$LAUNCH'" </dev/null >/dev/null 2>&1 &
		# what is still in this group then does not switch the machine on again
		until [ -e "$STATE/apart" ]; do sleep 0.01; done
	else
		put goes-down "$1"
	fi
	at "the machine goes down"
	kill -9 0
}

systemctl_() {
	for word; do
		shift
		case $word in --quiet | --no-block) ;; *) set -- "$@" "$word" ;; esac
	done
	case $* in
	"daemon-reload" | "reset-failed "* | "enable "*) ;;
	"restart kubelet") kubelet_starts ;;
	"restart containerd" | "start containerd") containerd_starts ;;
	"start pibake-upgrade.service")
		put started
		[ -z "${LAUNCH:-}" ] || setsid "$LAUNCH" </dev/null >/dev/null 2>&1 &
		;;
	"start pibake-snapshot.service")
		! has no-snapshot || die "Job for pibake-snapshot.service failed because the control process exited with error code."
		echo copied >>"$CLUSTER/snapshots"
		;;
	"is-active "*) has "active/$2" ;;
	reboot) goes_down power-on ;;
	*) die "unknown: systemctl $*" ;;
	esac
}

curl_() {
	for url; do :; done
	case $url in
	http://127.0.0.1:10248/healthz) has active/kubelet || exit 7 ;;
	*/Release.key)
		[ ! -e "$STATE/offline" ] || die "curl: (6) Could not resolve host" 6
		while [ "$1" != --output ]; do shift; done
		echo "the key of now" >"$2"
		;;
	*) exit 7 ;;
	esac
}

# Of keys: one of now is good, any other has expired.
gpg_() {
	for last; do :; done
	case $* in
	*--show-keys*)
		if grep -qx "the key of now" "$last"; then echo "pub:-:"; else echo "pub:e:"; fi
		echo "fpr:::::::::DE15B14486CD377B9E876E1A234654DA9A296436:"
		;;
	*--import*) ;;
	*--export*) echo "the key of now" ;;
	esac
}

case $name in
power-on | trial) ;;
*) at start ;;
esac
if [ "${FAIL_AT:-}" = "$line" ]; then
	die "E: $name refuses, for the test" 100
fi
case $name in
apt-get) apt_get "$@" ;;
apt-cache) sed -n "s/^\($2\) \(.*\)/   \1 | \2 | https:\/\/pkgs.k8s.io Packages/p" "$STATE/lists" ;;
apt-mark) put "held/$2" ;;
dpkg)
	case $* in
	*"--configure -a")
		for half in "$STATE"/half/*; do [ ! -e "$half" ] || configure "${half##*/}"; done
		;;
	--verify*) ;;
	esac
	;;
dpkg-deb) ;;
dpkg-query) dpkg_query "$@" ;;
kubeadm) kubeadm_ "$@" ;;
kubectl) kubectl_ "$@" ;;
kubelet) echo "Kubernetes v$(installed kubelet | sed 's/-.*//')" ;;
containerd) echo "containerd containerd.io $(containerd_version) 05044ec0a9a75232cad458027ca83437aae3f4da" ;;
ctr | crictl) has active/containerd || die "ctr: failed to dial \"/run/containerd/containerd.sock\"" ;;
systemctl) systemctl_ "$@" ;;
curl) curl_ "$@" ;;
gpg) gpg_ "$@" ;;
df) printf 'Avail\n8000\n' ;;
uname) cat "$STATE/kernel" ;;
getent) echo "$2:x:1000:1000::/home/$2:/bin/sh" ;;
chown | sync) ;;
mv) mv "$@" ;;
# Only where it was linked to this.
piboot-try)
	case $1 in
	--test) [ "$(cat "$root/boot/firmware/new/state" 2>/dev/null)" = unknown ] || exit 1 ;;
	--reboot)
		echo trying >"$root/boot/firmware/new/state"
		goes_down trial
		;;
	esac
	;;
# Not commands: the machine starts, with the kernel that is tried or as ever.
power-on | trial)
	power_cycles "$name"
	exit
	;;
*) die "unknown: $name" ;;
esac
at end
