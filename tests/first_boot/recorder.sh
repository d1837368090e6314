#!/bin/sh
# Stands in for each command that first boot runs, under that command's name: writes down what it
# was called with, does to the scratch node ($PIBAKE_ROOT, $STATE) what the real one would do as
# far as first boot can tell, and fails or kills the whole process group where it is told to.
#   TRACE    file: a line "COMMAND ARGUMENTS @POINT" for each point that was reached
#   KILL_AT  such a line: everything is killed there
#   FAIL_AT  "COMMAND ARGUMENTS": fails the first two times
#   BREAK_AT such a line: the command gives up there, the first time
# What is in $STATE/active is lost with the power; the rest of $STATE is on the disk.
set -eu

name=${0##*/}
root=$PIBAKE_ROOT
real_path=/usr/sbin:/usr/bin:/sbin:/bin

# The scratch folder is another each time.
line="$name $*"
while :; do
	case $line in
	*"$root"*) line="${line%%"$root"*}${line#*"$root"}" ;;
	*) break ;;
	esac
done

at() {
	echo "$line @$1" >>"$TRACE"
	if [ "${KILL_AT:-}" = "$line @$1" ]; then
		kill -9 0
	fi
	if [ "${BREAK_AT:-}" = "$line @$1" ] && [ ! -e "$STATE/broken" ]; then
		: >"$STATE/broken"
		echo "error: broken off by the test" >&2
		exit 1
	fi
}

die() {
	echo "$1" >&2
	exit "${2:-1}"
}

has() {
	[ -e "$STATE/$1" ]
}

put() {
	mkdir -p "$(dirname "$STATE/$1")"
	: >"$STATE/$1"
}

# put_file PATH TEXT: below the root.
put_file() {
	mkdir -p "$(dirname "$root$1")"
	printf %s "$2" >"$root$1"
}

unit_of() {
	echo "${1%.service}"
}

# dpkg refuses to work on a database that it cannot read.
sound_database() {
	[ -s "$root/var/lib/dpkg/status" ] || die "dpkg: error: status database is empty" 2
	for update in "$root"/var/lib/dpkg/updates/*; do
		[ ! -e "$update" ] || [ -s "$update" ] || die "dpkg: error: parsing file $update near line 0" 2
	done
	for list in "$root"/var/lib/dpkg/info/*.list; do
		[ ! -e "$list" ] || [ -z "$(tail -c 1 "$list")" ] ||
			die "dpkg: unrecoverable fatal error: files list file is missing final newline" 2
	done
}

unpack() {
	package=${1%%=*}
	at "unpacking $package"
	# What a power cut at the worst moment leaves: everything torn.
	put "half/$package"
	cp "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/status-old"
	: >"$root/var/lib/dpkg/status"
	: >"$root/var/lib/dpkg/updates/0001"
	printf /usr >"$root/var/lib/dpkg/info/$package.list"
	put_file "/usr/bin/$package-binary" ""
	put_file "/var/cache/apt/archives/$package.deb" torn
	at "unpacked $package"
	echo ok >"$root/var/lib/dpkg/status"
	rm "$root/var/lib/dpkg/updates/0001"
	printf '/.\n' >"$root/var/lib/dpkg/info/$package.list"
	put_file "/usr/bin/$package-binary" binary
	put_file "/var/cache/apt/archives/$package.deb" whole
	configure "$package"
}

configure() {
	rm -f "$STATE/half/$1"
	put "installed/$1"
	case $1 in
	isc-dhcp-server | containerd.io | kubelet)
		put "enabled/${1%.io}"
		put "active/${1%.io}"
		;;
	esac
}

halves() {
	ls "$STATE/half" 2>/dev/null || :
}

apt_get() {
	verb=
	again=no
	names=
	while [ $# -gt 0 ]; do
		case $1 in
		-o) shift ;;
		--reinstall) again=yes ;;
		-*) ;;
		*) if [ -z "$verb" ]; then verb=$1; else names="$names $1"; fi ;;
		esac
		shift
	done
	[ "$verb" = install ] || return 0
	sound_database
	[ -z "$(halves)" ] || die "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'" 100
	for deb in "$root"/var/cache/apt/archives/*.deb; do
		[ ! -e "$deb" ] || [ "$(cat "$deb")" = whole ] || die "dpkg-deb: error: $deb is torn" 100
	done
	for package in $names; do
		if [ $again = yes ] || ! has "installed/${package%%=*}"; then
			unpack "$package"
		fi
	done
}

dpkg_() {
	sound_database
	case $* in
	*"--configure -a"*)
		for package in $(halves); do
			configure "$package"
			at "configured $package"
		done
		;;
	"--verify "*)
		[ "$(cat "$root/usr/bin/$2-binary")" = binary ] || echo "??5??????   /usr/bin/$2-binary"
		echo "??5?????? c /etc/$2.conf"
		;;
	esac
}

systemctl_() {
	quiet=no
	[ "$1" != --quiet ] || { quiet=yes; shift; }
	unit=$(unit_of "$2")
	case $1 in
	is-active)
		has "active/$unit" || { [ $quiet = yes ] || echo inactive; exit 3; }
		;;
	is-enabled) has "enabled/$unit" || exit 1 ;;
	enable) put "enabled/$unit" ;;
	disable) rm -f "$STATE/enabled/$unit" ;;
	start) put "active/$unit" ;;
	esac
}

# The API server is up where kubelet finds all it needs, and the database is sound.
api_up() {
	has active/kubelet && ! has etcd-torn && [ -s "$root/etc/kubernetes/kubelet.conf" ] &&
		[ -s "$root/etc/kubernetes/manifests/etcd.yaml" ] &&
		[ -s "$root/etc/kubernetes/manifests/kube-apiserver.yaml" ] || return 1
	# A cluster is born when its database is begun; twice would be a fault.
	if [ ! -e "$root/var/lib/etcd/member/born" ]; then
		put_file /var/lib/etcd/member/born ""
		echo born >>"$STATE/births"
	fi
}

addons() {
	put_file /var/lib/etcd/member/addons ""
}

# settled FILE: a configuration that names a release, and asks nobody which.
settled() {
	grep -q '^kubernetesVersion: "v1.34.2"$' "$1" || die "cannot look up the version of $1 on the internet"
	[ "$(stat -c %a "$1")" = 600 ] || die "others may read the token in $1"
}

kubeadm_init() {
	[ ! -e "$root/etc/kubernetes/admin.conf" ] || die "[ERROR FileAvailable] admin.conf exists"
	[ -s "$root/etc/pibake/kubeadm.yaml" ] || die "cannot read the configuration"
	[ -z "$(ls "$root/etc/kubernetes/manifests" 2>/dev/null)" ] || die "[ERROR FileAvailable] manifests"
	[ "$(cat "$STATE/baked-key")" = "$(cat "$root/etc/kubernetes/pki/ca.key")" ] || die "the CA is not the baked one"
	put_file /etc/kubernetes/pki/apiserver.crt ""
	at "certificate begun"
	put_file /etc/kubernetes/pki/apiserver.crt signed
	at "certificates made"
	put_file /etc/kubernetes/admin.conf admin
	put_file /etc/kubernetes/kubelet.conf node
	put_file /etc/kubernetes/manifests/etcd.yaml ""
	at "manifests begun"
	put_file /etc/kubernetes/manifests/etcd.yaml pod
	put_file /etc/kubernetes/manifests/kube-apiserver.yaml pod
	put_file /var/lib/kubelet/config.yaml config
	put active/kubelet
	at "manifests written"
	api_up || die "timed out waiting for the condition"
	at "API server up"
	addons
	echo "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef"
}

kubeadm_join() {
	[ -s "$root/etc/pibake/kubeadm.yaml" ] || die "cannot read the configuration"
	for file in kubelet.conf bootstrap-kubelet.conf pki/ca.crt; do
		[ ! -e "$root/etc/kubernetes/$file" ] || die "[ERROR FileAvailable] $file exists"
	done
	put_file /etc/kubernetes/bootstrap-kubelet.conf bootstrap
	put_file /etc/kubernetes/pki/ca.crt "baked CA"
	at "discovered"
	put_file /var/lib/kubelet/config.yaml config
	put active/kubelet
	put_file /etc/kubernetes/kubelet.conf ""
	at "bootstrap begun"
	put_file /etc/kubernetes/kubelet.conf node
	put_file /var/lib/kubelet/pki/kubelet-client-current.pem certificate
	echo joined >>"$STATE/joins"
	at "certificate signed"
	rm "$root/etc/kubernetes/bootstrap-kubelet.conf"
}

kubeadm_reset() {
	rm -rf "$root"/etc/kubernetes/*.conf
	at "configurations removed"
	rm -rf "$root/etc/kubernetes/manifests"
	rm -rf "$root/etc/kubernetes/pki"
	at "certificates removed"
	rm -rf "$root/var/lib/etcd/member" "$STATE/etcd-torn" "$STATE/active/kubelet"
	rm -rf "$root"/var/lib/kubelet/*
}

kubectl_() {
	case $* in
	*"--raw /livez"*) has control-plane-up || die "connection refused"; return ;;
	esac
	if [ "$(cat "$STATE/role")" = worker ]; then
		has control-plane-up || die "Unable to connect to the server: connection refused"
		has active/kubelet || die "not found"
	else
		api_up || die "The connection to the server 10.0.0.1:6443 was refused"
	fi
	case $* in
	*configmap/kubeadm-config*) [ -e "$root/var/lib/etcd/member/addons" ] || die "not found" ;;
	*"apply --filename"*) put_file /var/lib/etcd/member/flannel "" ;;
	*"get --filename"*) [ -e "$root/var/lib/etcd/member/flannel" ] || die "not found" ;;
	*type==*status*) echo True ;;
	esac
}

if [ "${FAIL_AT:-}" = "$line" ]; then
	echo failed >>"$STATE/failures"
	if [ "$(wc -l <"$STATE/failures")" -le 2 ]; then
		die "E: $name refuses, for the test"
	fi
fi
at start
case $name in
# All that this machine has to write is no business of the scratch node's.
sync | mv) [ $# = 0 ] || PATH=$real_path "$name" "$@" ;;
apt-get) apt_get "$@" ;;
dpkg) dpkg_ "$@" ;;
dpkg-query)
	for last; do :; done
	has "installed/$last" || die "no packages found matching $last"
	printf installed
	;;
dpkg-deb) [ "$(cat "$2")" = whole ] || die "torn" ;;
apt-mark)
	case $1 in
	hold) put "held/$2" ;;
	showhold) ls "$STATE/held" 2>/dev/null || : ;;
	esac
	;;
systemctl) systemctl_ "$@" ;;
curl)
	for last; do :; done
	while [ "$1" != --output ]; do shift; done
	cp "$STATE/served/${last##*/}" "$2" || die "curl: (22) The requested URL returned error: 404" 22
	;;
timedatectl) if has clock; then echo yes; else echo no; fi ;;
chronyc | modprobe | growpart | resize2fs | cloud-init) [ "$name" != chronyc ] || exit 1 ;;
findmnt) echo /dev/mmcblk0p2 ;;
df)
	echo Avail
	cat "$STATE/free"
	;;
sysctl)
	case $1 in
	--system) put active/sysctl ;;
	*) if has active/sysctl; then echo 1; else echo 0; fi ;;
	esac
	;;
ip)
	case $* in
	*"route show default"*) echo "default via 10.0.0.1 dev eth0" ;;
	*"dev wlan0"*) ! has uplink || echo "3: wlan0    inet 192.168.1.77/24 scope global wlan0" ;;
	*) ! has link || echo "2: eth0    inet $(cat "$STATE/address")/24 scope global eth0" ;;
	esac
	;;
getent) echo "$2:x:1000:1000::/home/$2:/bin/sh" ;;
kubeadm)
	for last; do :; done
	case $* in
	"version --output short") echo v1.34.2 ;;
	"config images pull "*) settled "$last" ;;
	"init phase addon all "*) api_up && addons ;;
	"init phase "*) api_up ;;
	"init "*) settled "$root/run/pibake/kubeadm.yaml" && kubeadm_init ;;
	"join "*) kubeadm_join ;;
	"reset --force") kubeadm_reset ;;
	*) die "unknown: kubeadm $*" ;;
	esac
	;;
kubectl) kubectl_ "$@" ;;
*) die "the recorder does not know $name" 127 ;;
esac
at end
