//! Paths on a node's card that the program knows, each in one place. Those of shipped files come
//! from `overlays/manifest.toml`, so that a file cannot be renamed without them.

include!(concat!(env!("OUT_DIR"), "/node_paths.rs"));

/// Where the boot file system is mounted on a running node.
pub const BOOT_MOUNT: &str = "/boot/firmware";

/// The kernel's command line, on the boot file system.
pub const COMMAND_LINE: &str = "/cmdline.txt";

/// The certificate of the cluster's CA, where kubeadm looks for one that is there already.
pub const CA_CERTIFICATE: &str = "/etc/kubernetes/pki/ca.crt";

/// The key of the cluster's CA, as [`CA_CERTIFICATE`].
pub const CA_KEY: &str = "/etc/kubernetes/pki/ca.key";

/// What the first boot did (`lib/base`).
pub const FIRST_BOOT_LOG: &str = "/var/log/pibake/first-boot.log";

/// Where the first boot stands (`lib/base`).
pub const FIRST_BOOT_STATUS: &str = "/var/log/pibake/status";

/// Where first boot finds packages and images that were baked (`lib/payload`).
pub const PAYLOAD: &str = "/var/lib/pibake/payload";
