# Certificates as kubeadm makes them, by openssl, with keys that are made quickly.
#   authority FILE DAYS              a CA: FILE.crt, FILE.key
#   leaf FILE CA DAYS SUBJECT USE [NAMES]     FILE.crt and FILE.key, signed by CA
#   kubeconfig FILE CA DAYS SUBJECT  FILE with both in it
# They begin now, where kubeadm's begin with the CA. DAYS may be negative.

ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'

authority() {
	mkdir -p "${1%/*}"
	# shellcheck disable=SC2086
	openssl req -x509 $ec -keyout "$1.key" -out "$1.crt" -subj "/CN=${1##*/}" -days "$2" 2>/dev/null
	chmod 600 "$1.key"
}

leaf() {
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n%s\n' \
		"$5" "${6:+subjectAltName=$6}" >"$1.ext"
	# shellcheck disable=SC2086
	openssl req $ec -keyout "$1.key.made" -out "$1.csr" -subj "$4" 2>/dev/null
	openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 8)" \
		-days "$3" -extfile "$1.ext" -out "$1.made" 2>/dev/null
	# As kubeadm writes: into the files that are there.
	cat "$1.made" >"$1.crt"
	(umask 077 && cat "$1.key.made" >"$1.key")
	rm -f "$1.ext" "$1.csr" "$1.made" "$1.key.made"
}

kubeconfig() {
	leaf "$1" "$2" "$3" "$4" clientAuth
	(
		umask 077
		cat >"$1" <<-CONF
			apiVersion: v1
			clusters:
			- cluster:
			    certificate-authority-data: $(base64 -w 0 "$2.crt")
			    server: https://kubernetes.cluster.home:6443
			  name: kubernetes
			users:
			- name: user
			  user:
			    client-certificate-data: $(base64 -w 0 "$1.crt")
			    client-key-data: $(base64 -w 0 "$1.key")
		CONF
	)
	rm -f "$1.crt" "$1.key"
}

# authorities DIR DAYS
authorities() {
	authority "$1/pki/ca" "$2"
	authority "$1/pki/etcd/ca" "$2"
	authority "$1/pki/front-proxy-ca" "$2"
}

# leaves DIR DAYS
leaves() {
	names=DNS:kubernetes,DNS:kubernetes.cluster.home,IP:10.0.0.1,IP:127.0.0.1
	leaf "$1/pki/apiserver" "$1/pki/ca" "$2" /CN=kube-apiserver serverAuth "$names"
	leaf "$1/pki/apiserver-kubelet-client" "$1/pki/ca" "$2" /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
	leaf "$1/pki/front-proxy-client" "$1/pki/front-proxy-ca" "$2" /CN=front-proxy-client clientAuth
	leaf "$1/pki/apiserver-etcd-client" "$1/pki/etcd/ca" "$2" /O=system:masters/CN=kube-apiserver-etcd-client clientAuth
	for name in server peer; do
		leaf "$1/pki/etcd/$name" "$1/pki/etcd/ca" "$2" /CN=node-1 serverAuth,clientAuth DNS:node-1,IP:127.0.0.1
	done
	leaf "$1/pki/etcd/healthcheck-client" "$1/pki/etcd/ca" "$2" /O=system:masters/CN=kube-etcd-healthcheck-client clientAuth
	kubeconfig "$1/admin.conf" "$1/pki/ca" "$2" /O=system:masters/CN=kubernetes-admin
	kubeconfig "$1/controller-manager.conf" "$1/pki/ca" "$2" /CN=system:kube-controller-manager
	kubeconfig "$1/scheduler.conf" "$1/pki/ca" "$2" /CN=system:kube-scheduler
}
