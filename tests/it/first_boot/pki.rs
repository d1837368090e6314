//! Certificates of a cluster, made by openssl.

use std::path::Path;
use std::sync::OnceLock;

use support::{run, tool};

/// What a worker gets from its control plane.
pub struct Cluster {
    /// The CA's certificate.
    pub authority: String,
    /// What kubeadm calls its hash.
    pub pin: String,
    /// The kubelet's certificate and key in one file, as the kubelet keeps them.
    pub node: String,
    /// The same, and its time is over.
    pub expired: String,
    /// The certificate without its key.
    pub keyless: String,
}

/// The cluster that the cards of these tests are made for.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(make)
}

/// One that has nothing to do with it.
pub fn other() -> &'static Cluster {
    static OTHER: OnceLock<Cluster> = OnceLock::new();
    OTHER.get_or_init(make)
}

fn make() -> Cluster {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let mut command = tool("openssl", "openssl");
        run(command.current_dir(dir.path()).args(arguments.split(' ')))
    };
    let read = |name: &str| std::fs::read_to_string(Path::new(dir.path()).join(name)).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=kubernetes -days 3650"));
    openssl(&format!("req {key} -keyout node.key -out node.csr -subj /O=system:nodes/CN=system:node:node-2"));
    openssl("x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out node.crt -days 365");
    openssl("x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out old.crt -days -1");
    openssl("x509 -in ca.crt -noout -pubkey -out ca.pub");
    openssl("pkey -pubin -in ca.pub -outform DER -out ca.der");
    let hash = openssl("dgst -sha256 -r ca.der");
    Cluster {
        authority: read("ca.crt"),
        pin: format!("sha256:{}", hash.split(' ').next().unwrap()),
        node: read("node.crt") + &read("node.key"),
        expired: read("old.crt") + &read("node.key"),
        keyless: read("node.crt"),
    }
}
