//! What kubeadm makes below /etc/kubernetes.

/// The files with certificates that are no CA's, of a control plane with its own etcd (kubeadm's certlist.go).
pub const LEAVES: [&str; 10] = [
    "pki/apiserver.crt",
    "pki/apiserver-kubelet-client.crt",
    "pki/front-proxy-client.crt",
    "pki/apiserver-etcd-client.crt",
    "pki/etcd/server.crt",
    "pki/etcd/peer.crt",
    "pki/etcd/healthcheck-client.crt",
    "admin.conf",
    "controller-manager.conf",
    "scheduler.conf",
];
