//! Making the cluster's CA and what it signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::error::Error;
use crate::cluster::{Secret, WRITTEN};

/// How long before its making a certificate is valid: clocks of the machines that check it may be
/// behind, and kubeadm's certificates begin where the CA's does.
const BACKDATED_SECONDS: i64 = 24 * 60 * 60;
/// kubeadm's CAs are valid for ten years (`CACertificateValidity`).
const VALID_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;

/// A CA with its key.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Authority {
    /// A new CA as kubeadm makes them (`NewSelfSignedCACert` of client-go), but with an ECDSA
    /// P-256 key.
    pub(super) fn make(now: i64) -> Result<Self, Error> {
        check_clock(now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Self::of(key, now - BACKDATED_SECONDS, now.saturating_add(VALID_SECONDS))
    }

    /// The CA of that key again: what it signs is signed by the first one, which has the same name.
    pub(super) fn again(key: &Secret, not_before: i64, not_after: i64) -> Result<Self, Error> {
        Self::of(KeyPair::from_pem(key.reveal())?, not_before, not_after)
    }

    fn of(key: KeyPair, not_before: i64, not_after: i64) -> Result<Self, Error> {
        let mut params = params("kubernetes", not_before, not_after)?;
        params.subject_alt_names = vec![SanType::DnsName("kubernetes".try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key)?, not_before, not_after })
    }

    pub(super) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn key(&self) -> Secret {
        Secret::new(self.issuer.key().serialize_pem())
    }

    pub(super) fn hash(&self) -> String {
        public_key_hash(&self.issuer.key().subject_public_key_info())
    }

    /// Certificate and key of the cluster's administrator for so many seconds from `now` on, or until the CA ends.
    /// The group is `system:masters`, which every API server obeys from its first second on;
    /// `kubeadm:cluster-admins`, kubeadm's own from 1.29 on, means nothing until kubeadm has bound it to a role.
    pub(super) fn administrator(&self, now: i64, seconds: Option<i64>) -> Result<(String, Secret), Error> {
        self.client("kubernetes-admin", Some("system:masters"), now, seconds)
    }

    /// The same for a user that has no rights by itself: one that can be taken away again.
    pub(super) fn client(
        &self,
        user: &str,
        group: Option<&str>,
        now: i64,
        seconds: Option<i64>,
    ) -> Result<(String, Secret), Error> {
        check_clock(now)?;
        let end = seconds.map_or(self.not_after, |seconds| now.saturating_add(seconds).min(self.not_after));
        let mut params = params(user, self.not_before, end)?;
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), Secret::new(key.serialize_pem())))
    }
}

/// That `now` can be the time. Certificates of another would be refused by nodes whose clocks are right, or end too
/// early, and so would those of a CA that was made when the clock was still right.
fn check_clock(now: i64) -> Result<(), Error> {
    if now >= WRITTEN.midnight().assume_utc().unix_timestamp() {
        return Ok(());
    }
    let time = OffsetDateTime::from_unix_timestamp(now);
    let text = |t: OffsetDateTime| format!("{} {:02}:{:02} UTC", t.date(), t.hour(), t.minute());
    Err(Error::Clock { now: time.map_or_else(|_| now.to_string(), text) })
}

fn params(name: &str, not_before: i64, not_after: i64) -> Result<CertificateParams, Error> {
    let time = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time);
    let mut params = CertificateParams::default();
    params.not_before = time(not_before)?;
    params.not_after = time(not_after)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    Ok(params)
}

/// What `--discovery-token-ca-cert-hash` takes: the SHA-256 of a DER SubjectPublicKeyInfo.
pub(super) fn public_key_hash(public_key_info: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(public_key_info)))
}
