//! Paths on a node's card that the program knows, each in one place. Those of shipped files come
//! from `overlays/manifest.toml`, so that a file cannot be renamed without them.

include!(concat!(env!("OUT_DIR"), "/node_paths.rs"));

/// Where the boot file system is mounted on a running node.
pub const BOOT_MOUNT: &str = "/boot/firmware";

/// The kernel's command line, on the boot file system.
pub const COMMAND_LINE: &str = "/cmdline.txt";

/// What is mounted where (fstab(5)).
pub const FSTAB: &str = "/etc/fstab";

/// The kubeconfig that a worker joins with where its token is not accepted (`65-join`).
pub const JOIN_CONF: &str = "/etc/pibake/join.conf";

/// The certificate of the cluster's CA, where kubeadm looks for one that is there already.
pub const CA_CERTIFICATE: &str = "/etc/kubernetes/pki/ca.crt";

/// The key of the cluster's CA, as [`CA_CERTIFICATE`].
pub const CA_KEY: &str = "/etc/kubernetes/pki/ca.key";

/// The private half of sshd's Ed25519 host key (sshd_config(5), HostKey).
pub const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// The public half of [`HOST_KEY`].
pub const HOST_PUBLIC_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// What pibake put onto the card (`recipe::BakedList`).
pub const BAKED: &str = "/usr/lib/pibake/baked";

/// Which certificates of the node end when (`/usr/lib/pibake/certificates`).
pub const CERTIFICATES: &str = "/var/log/pibake/certificates";

/// How the card of the node is (`/usr/lib/pibake/card`).
pub const CARD: &str = "/var/log/pibake/card";

/// What the first boot did (`lib/base`).
pub const FIRST_BOOT_LOG: &str = "/var/log/pibake/first-boot.log";

/// Where the first boot stands (`lib/base`).
pub const FIRST_BOOT_STATUS: &str = "/var/log/pibake/status";

/// What copies of etcd that leave the control plane are encrypted with (`snapshot`).
pub const BACKUP_KEY: &str = "/etc/pibake/backup.key";

/// The user's manifests (`72-manifests`).
pub const MANIFESTS: &str = "/etc/pibake/manifests";

/// Certificates and keys that join radio networks.
pub const WIFI: &str = "/etc/pibake/wifi";

/// The copy of etcd that a card of the control plane begins with (`lib/restore`).
pub const RESTORED_COPY: &str = "/var/lib/pibake/restore.tar.gz";

/// Where first boot finds packages and images that were baked (`lib/base`).
pub const PAYLOAD: &str = "/var/lib/pibake/payload";
