#!/bin/sh
# Stands in for each command that first boot runs, under that command's name: writes down what it
# was called with, does to the scratch node ($PIBAKE_ROOT, $STATE) what the real one would do as
# far as first boot can tell, and fails or kills the whole process group where it is told to.
#   TRACE    file: a line "COMMAND ARGUMENTS @POINT" for each point that was reached
#   KILL_AT  such a line: everything is killed there
#   FAIL_AT  "COMMAND ARGUMENTS": fails the first two times
#   BREAK_AT such a line: the command gives up there, the first time
# What is in $STATE/active is lost with the power; the rest of $STATE is on the disk. Files of the
# node's that were not synced are named in $STATE/unsynced: a power cut may leave them empty.
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

# above FILE: the folder that it is in is there.
above() {
	[ -d "${1%/*}" ] || mkdir -p "${1%/*}"
}

put() {
	above "$STATE/$1"
	: >"$STATE/$1"
}

# put_file PATH TEXT: below the root, and on the disk, as dpkg and etcd write.
put_file() {
	above "$root$1"
	printf %s "$2" >"$root$1"
}

# write_file PATH TEXT: the same without a sync, as kubeadm, kubelet and containerd write.
write_file() {
	put_file "$1" "$2"
	echo "$root$1" >>"$STATE/unsynced"
}

# synced [FILE]...: those, or all, are on the disk.
synced() {
	[ $# != 0 ] || { rm -f "$STATE/unsynced"; return; }
	for file; do
		! is_unsynced "$file" || grep -vxF "$file" "$STATE/unsynced" >"$STATE/unsynced.new" || :
		[ ! -e "$STATE/unsynced.new" ] || mv "$STATE/unsynced.new" "$STATE/unsynced"
	done
}

is_unsynced() {
	has unsynced || return
	while read -r unsynced; do
		[ "$unsynced" != "$1" ] || return 0
	done <"$STATE/unsynced"
	return 1
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
		# Its drop-in keeps the DHCP server from starting beside another.
		if [ "$1" != isc-dhcp-server ] || ! has other-dhcp; then put "active/${1%.io}"; fi
		;;
	esac
	# The package's own files, and a kubelet that its package starts before kubeadm is there: it runs
	# on its own, and makes itself a certificate.
	if [ "$1" = kubelet ]; then
		put_file /etc/kubernetes/manifests/.kubelet-keep ""
		put_file /var/lib/kubelet/.kubelet-keep ""
		put_file /var/lib/kubelet/pki/kubelet.crt own
		put_file /var/lib/kubelet/pki/kubelet.key own
		put active/kubelet-standalone
	fi
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
	stop) rm -f "$STATE/active/$unit" "$STATE/active/$unit-standalone" ;;
	restart)
		rm -f "$STATE/active/$unit-standalone"
		put "active/$unit"
		;;
	esac
}

# The API server is up where kubelet finds all it needs, and the database is sound.
api_up() {
	has active/kubelet && ! has etcd-torn || return 1
	for file in /etc/kubernetes/kubelet.conf /etc/kubernetes/manifests/etcd.yaml \
		/etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/pki/apiserver.crt \
		/var/lib/kubelet/config.yaml; do
		[ -s "$root$file" ] || return 1
	done
	put_file /var/lib/etcd/member/db ""
}

# let_join: workers can join from now on; a cluster is born. Twice would be a fault.
let_join() {
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

# fail_kubeadm TEXT: in the words with which it ends, whatever was wrong.
fail_kubeadm() {
	die "error: error execution phase $1
To see the stack trace of this error execute with --v=5 or higher"
}

# preflight WHAT FILE...: refuses where a file is there that kubeadm writes.
preflight() {
	echo "[preflight] Running pre-flight checks"
	what=$1
	shift
	faults=
	for file; do
		[ ! -e "$root$file" ] || faults="$faults	[ERROR FileAvailable-$(echo "$file" | tr / -)]: $file already exists
"
	done
	# A kubelet with kubeadm's drop-in and no configuration does not run.
	if has active/kubelet && { has active/kubelet-standalone || [ -s "$root/var/lib/kubelet/config.yaml" ]; }; then
		faults="$faults	[ERROR Port-10250]: Port 10250 is in use
"
	fi
	if [ "$what" = init ] && [ -n "$(ls -A "$root/var/lib/etcd" 2>/dev/null)" ] &&
		[ "${line%"--ignore-preflight-errors DirAvailable--var-lib-etcd"*}" = "$line" ]; then
		faults="$faults	[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty
"
	fi
	[ -z "$faults" ] || die "[preflight] Some fatal errors occurred:
${faults}[preflight] If you know what you are doing, you can make a check non-fatal with \`--ignore-preflight-errors=...\`
error: error execution phase preflight: preflight checks failed
To see the stack trace of this error execute with --v=5 or higher"
}

kubeadm_init() {
	[ -s "$root/etc/pibake/kubeadm.yaml" ] || die "cannot read the configuration"
	preflight init /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/etcd.yaml
	[ "$(cat "$STATE/baked-key")" = "$(cat "$root/etc/kubernetes/pki/ca.key")" ] || die "the CA is not the baked one"
	# It would make keys and authorities that nobody in a restored database knows.
	if [ -e "$root/var/lib/etcd/member/restored" ]; then
		for file in sa.pub sa.key front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key; do
			[ "$(cat "$root/etc/kubernetes/pki/$file")" = "$file of the copy" ] || die "$file is not the copy's"
		done
	fi
	# What is there already it takes, and what is damaged it does not get over.
	for file in pki/apiserver.crt admin.conf kubelet.conf; do
		[ ! -e "$root/etc/kubernetes/$file" ] || [ -s "$root/etc/kubernetes/$file" ] ||
			fail_kubeadm "certs/apiserver: failed to load certificate: $file"
	done
	write_file /etc/kubernetes/pki/apiserver.crt ""
	at "certificate begun"
	write_file /etc/kubernetes/pki/apiserver.crt signed
	at "certificates made"
	write_file /etc/kubernetes/admin.conf admin
	write_file /etc/kubernetes/kubelet.conf node
	write_file /var/lib/kubelet/kubeadm-flags.env flags
	write_file /var/lib/kubelet/config.yaml config
	write_file /etc/kubernetes/manifests/etcd.yaml ""
	at "manifests begun"
	write_file /etc/kubernetes/manifests/etcd.yaml pod
	write_file /etc/kubernetes/manifests/kube-apiserver.yaml pod
	put active/kubelet
	at "manifests written"
	api_up || fail_kubeadm "wait-control-plane: timed out waiting for the condition"
	at "API server up"
	# It uploads its configuration and marks the node, which takes its time, before workers can join.
	tries=500
	until [ -s "$root/var/lib/pibake/first-boot/api-answered" ] || [ $tries = 0 ]; do
		tries=$((tries - 1))
		PATH=$real_path sleep 0.01
	done
	let_join
	at "workers can join"
	addons
	echo "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef"
}

# containerd's own client, of a containerd that runs. Which images are in an archive, the archive says here. An image's
# files are there once it was pulled or imported; a mount does not outlive the power, what containerd knows of it does.
ctr_() {
	has active/containerd || die 'ctr: failed to dial "/run/containerd/containerd.sock": connect: no such file'
	for last; do :; done
	imported=$root/var/lib/containerd/imported
	case $* in
	"--namespace k8s.io images import "*)
		[ -s "$last" ] || die "ctr: unrecognized image format"
		others=$(grep -vxF -f "$last" "$imported" 2>/dev/null || :)
		write_file /var/lib/containerd/imported "$others"
		at "import begun"
		write_file /var/lib/containerd/imported "${others:+$others
}$(cat "$last")
"
		;;
	"--namespace k8s.io images ls -q") cat "$imported" 2>/dev/null || : ;;
	"--namespace k8s.io images mount registry.k8s.io/etcd:3.6.5-0 "*)
		[ -s "$root/var/lib/containerd/images" ] || grep -qxF "$5" "$imported" || die "ctr: image \"$5\": not found"
		! has mounted || die "ctr: snapshot \"$last\": already exists"
		put mounted
		at "mounted"
		mkdir -p "$last/usr/local/bin"
		ln -sf "${0%/*}/recorder" "$last/usr/local/bin/etcdutl"
		;;
	"--namespace k8s.io images unmount --rm "*)
		rm -rf "${last:?}/usr" "$STATE/mounted"
		;;
	*) die "unknown: ctr $*" ;;
	esac
}

# etcd's, of 3.6: refuses a folder that is there, and what is not whole.
etcdutl_() {
	[ "$1 $2" = "snapshot restore" ] || die "unknown: etcdutl $*"
	if [ "$3" = --help ]; then
		echo "      --bump-revision uint    How much to increase the latest revision after restore"
		return
	fi
	case $line in
	*" --name node-1 --initial-cluster node-1=https://10.0.0.1:2380 --initial-advertise-peer-urls https://10.0.0.1:2380 --bump-revision 1000000000 --mark-compacted") ;;
	*) die "Error: unknown flags: $*" ;;
	esac
	[ "$(cat "$3")" = "copy of etcd" ] || die "Error: expected sha256 [1], got [2]"
	[ ! -e "$5" ] || die "Error: data-dir \"$5\" not empty or could not be read"
	mkdir -p "$5/member"
	: >"$5/member/db"
	at "database begun"
	echo "from the copy" >"$5/member/restored"
	# The cluster that it is of was born long ago.
	: >"$5/member/born"
}

kubeadm_join() {
	[ -s "$root/etc/pibake/kubeadm.yaml" ] || die "cannot read the configuration"
	preflight join /etc/kubernetes/kubelet.conf /etc/kubernetes/bootstrap-kubelet.conf /etc/kubernetes/pki/ca.crt
	if [ "${line%kubeadm-join.yaml*}" != "$line" ]; then
		cp "$root/run/pibake/kubeadm-join.yaml" "$STATE/joined-with"
	fi
	has control-plane-up || fail_kubeadm "preflight: couldn't validate the identity of the API Server: connection refused"
	kubelet_start
}

# The order in which kubeadm and the kubelet write; kubelet.conf is there before the certificate that
# it names.
kubelet_start() {
	write_file /etc/kubernetes/bootstrap-kubelet.conf bootstrap
	if [ ! -e "$root/etc/kubernetes/pki/ca.crt" ]; then
		write_file /etc/kubernetes/pki/ca.crt "$(cat "$STATE/cluster/ca.crt")"
	fi
	at "discovered"
	write_file /var/lib/kubelet/config.yaml config
	write_file /var/lib/kubelet/kubeadm-flags.env flags
	rm -f "$STATE/active/kubelet-standalone"
	put active/kubelet
	at "kubelet started"
	if [ ! -s "$root/var/lib/kubelet/pki/kubelet-client-current.pem" ] || [ ! -s "$root/etc/kubernetes/kubelet.conf" ]; then
		write_file /etc/kubernetes/kubelet.conf ""
		at "bootstrap begun"
		write_file /etc/kubernetes/kubelet.conf "users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
"
		at "certificate requested"
		write_file /var/lib/kubelet/pki/kubelet-client-2026-11-25-10-00-00.pem "$(cat "$STATE/cluster/node.pem")"
		ln -sfn kubelet-client-2026-11-25-10-00-00.pem "$root/var/lib/kubelet/pki/kubelet-client-current.pem"
		echo joined >>"$STATE/joins"
	fi
	at "certificate signed"
	rm "$root/etc/kubernetes/bootstrap-kubelet.conf"
}

kubeadm_reset() {
	rm -rf "$root"/etc/kubernetes/*.conf
	at "configurations removed"
	# The data of a database whose manifest is gone it does not find.
	database=
	[ ! -s "$root/etc/kubernetes/manifests/etcd.yaml" ] || database=$root/var/lib/etcd/member
	rm -rf "$root"/etc/kubernetes/manifests/* "$root"/etc/kubernetes/manifests/.kubelet-keep
	rm -rf "$root/etc/kubernetes/pki"
	at "certificates removed"
	[ -z "$database" ] || rm -rf "$database"
	rm -rf "$STATE/etcd-torn" "$STATE/active/kubelet" "$STATE/active/kubelet-standalone"
	rm -rf "$root"/var/lib/kubelet/* "$root"/var/lib/kubelet/.kubelet-keep
}

kubectl_() {
	# Without credentials it asks for them before it connects, be there anybody or not.
	case $* in
	*"--kubeconfig /dev/null"*"--token"*) ;;
	*"--kubeconfig /dev/null"*)
		printf 'Please enter Username: '
		die "error: EOF"
		;;
	esac
	if [ "$(cat "$STATE/role")" = worker ]; then
		has control-plane-up || die "Unable to connect to the server: dial tcp 10.0.0.1:6443: connect: connection refused"
		[ -s "$root/var/lib/kubelet/pki/kubelet-client-current.pem" ] ||
			die "error: unable to read client-cert /var/lib/kubelet/pki/kubelet-client-current.pem"
		if ! has active/kubelet || has node-deleted; then
			die 'Error from server (NotFound): nodes "node-2" not found'
		fi
	else
		api_up || die "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?"
	fi
	case $* in
	*configmap/kubeadm-config*) [ -e "$root/var/lib/etcd/member/addons" ] || die "not found" ;;
	*"apply --server-side --force-conflicts --filename"*)
		for last; do :; done
		if grep -q "^kind: Custom$" "$last" && [ ! -e "$root/var/lib/etcd/member/defined" ]; then
			die 'error: resource mapping not found for name: "x" namespace: "" from "": no matches for kind "Custom"'
		fi
		if grep -q "^kind: CustomResourceDefinition$" "$last"; then put_file /var/lib/etcd/member/defined ""; fi
		put_file "/var/lib/etcd/member/applied-${last##*/}" ""
		;;
	*"apply --filename"*) put_file /var/lib/etcd/member/flannel "" ;;
	*"get --filename"*) [ -e "$root/var/lib/etcd/member/flannel" ] || die "not found" ;;
	*type==*status*) echo True ;;
	esac
}

# curl of a key, or of the control plane, of which $STATE/answers/NAME has what it says: the status in
# the first line, and the body.
curl_() {
	output=
	url=
	while [ $# -gt 0 ]; do
		case $1 in
		--output)
			output=$2
			shift
			;;
		https://* | http://*) url=$1 ;;
		esac
		shift
	done
	case $url in
	https://10.0.0.1:6443/*)
		if ! has control-plane-up; then
			printf 000
			die "curl: (7) Failed to connect to 10.0.0.1 port 6443 after 0 ms: Couldn't connect to server" 7
		fi
		said=$STATE/answers/${url##*/}
		if has not-tls; then
			printf 000
			die "curl: (35) error:0A00010B:SSL routines::wrong version number" 35
		elif [ -e "$said" ]; then
			tail -n +2 "$said" >"$output"
			printf %s "$(head -n 1 "$said")"
		elif [ "${url##*/}" = livez ]; then
			printf ok >"$output"
			printf 200
		else
			printf '{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}' >"$output"
			printf 403
		fi
		;;
	*)
		served=${url#*://}
		[ -e "$STATE/served/${served#*/}" ] || served=${url##*/}
		cp "$STATE/served/${served#*/}" "$output" || die "curl: (22) The requested URL returned error: 404" 22
		;;
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
sync)
	[ $# = 0 ] || PATH=$real_path sync "$@"
	synced "$@"
	;;
mv) PATH=$real_path mv "$@" ;;
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
curl) curl_ "$@" ;;
timedatectl) if has clock; then echo yes; else echo no; fi ;;
chronyc | modprobe | growpart | resize2fs | cloud-init | unattended-upgrade) [ "$name" != chronyc ] || exit 1 ;;
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
	"-6 -o addr show "*) cat "$STATE/address6" 2>/dev/null || : ;;
	*"route show default"*) echo "default via 10.0.0.1 dev eth0" ;;
	*"route show"*) cat "$STATE/routes" 2>/dev/null || echo "default via 10.0.0.1 dev eth0" ;;
	*"dev wlan0"*)
		address=$(cat "$STATE/uplink-address" 2>/dev/null || echo 192.168.1.77/24)
		! has uplink || echo "3: wlan0    inet $address scope global wlan0"
		;;
	*) ! has link || echo "2: eth0    inet $(cat "$STATE/address")/24 scope global eth0" ;;
	esac
	;;
# The search for other DHCP servers.
python3) cat "$STATE/other-dhcp" 2>/dev/null || : ;;
getent) echo "$2:x:1000:1000::/home/$2:/bin/sh" ;;
kubeadm)
	for last; do :; done
	case $* in
	"version --output short") echo v1.34.2 ;;
	"config images list "*)
		printf 'registry.k8s.io/%s\n' kube-apiserver:v1.34.2 coredns/coredns:v1.12.1 pause:3.10.1 etcd:3.6.5-0
		;;
	"config images pull "*)
		settled "$last"
		write_file /var/lib/containerd/images "seven images"
		;;
	"init phase addon all "*) api_up && addons ;;
	"init phase bootstrap-token "*) api_up && let_join ;;
	"init phase "*) api_up ;;
	"init "*) settled "$root/run/pibake/kubeadm.yaml" && kubeadm_init ;;
	"join phase kubelet-start "*) kubelet_start ;;
	"join "*) kubeadm_join ;;
	"reset --force") kubeadm_reset ;;
	*) die "unknown: kubeadm $*" ;;
	esac
	;;
kubectl) kubectl_ "$@" ;;
ctr) ctr_ "$@" ;;
etcdutl) etcdutl_ "$@" ;;
# A clock that tests may set: the machine's own is not the scratch node's.
date)
	case $* in
	"-s @"*) echo "${2#@}" >"$STATE/date" ;;
	+%s) cat "$STATE/date" 2>/dev/null || PATH=$real_path date +%s ;;
	*) PATH=$real_path date "$@" ;;
	esac
	;;
*) die "the recorder does not know $name" 127 ;;
esac
at end
