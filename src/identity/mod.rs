//! What is secret and made once: the cluster's CA, a bootstrap token, the administrator's key, a
//! pair of SSH keys; and the hashing of passwords and radio keys.

use crate::cluster::Secret;

/// The secrets of one cluster, made once and kept beside its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The CA's certificate, PEM.
    pub ca_certificate: String,
    /// The CA's key, PEM (PKCS #8, ECDSA P-256).
    pub ca_key: Secret,
    /// What a joining node pins: `sha256:` and the hex SHA-256 of the CA's SubjectPublicKeyInfo.
    pub ca_hash: String,
    /// The bootstrap token, `[a-z0-9]{6}\.[a-z0-9]{16}`.
    pub token: Secret,
    /// The administrator's certificate, PEM, signed by the CA.
    pub admin_certificate: String,
    /// The administrator's key, PEM.
    pub admin_key: Secret,
    /// The public half of the pair of SSH keys made for the cluster, as in `authorized_keys`.
    pub ssh_public_key: Option<String>,
    /// What makes password hashes differ between clusters and not between builds.
    pub salt: Secret,
}
