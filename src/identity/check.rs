//! Whether the parts of an identity belong together.

use std::time::Duration;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, spki_for_anchor};

use super::authority::public_key_hash;

/// What is wrong with the parts of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file's content is not what its name says.
    Damaged(&'static str, &'static str),
    /// Two parts are of different clusters.
    Mixed(&'static str),
    /// The certificates are not valid yet, or no longer.
    OutOfDate(&'static str),
}

/// The PEM texts of an identity.
pub(super) struct Parts<'a> {
    pub(super) ca_certificate: &'a str,
    pub(super) ca_key: &'a str,
    pub(super) admin_certificate: &'a str,
    pub(super) admin_key: &'a str,
}

/// Checks that keys and certificates match and that the CA signed the administrator's certificate, which may have
/// ended before `now`, in seconds since 1970: it can be made again. Gives the CA's public key hash.
pub(super) fn check(parts: &Parts<'_>, now: i64) -> Result<String, Fault> {
    let ca = certificate("ca.crt", parts.ca_certificate)?;
    let admin = certificate("admin.crt", parts.admin_certificate)?;
    let anchor =
        anchor_from_trusted_cert(&ca).map_err(|_| Fault::Damaged("ca.crt", "it is not a CA certificate"))?;
    let ca_public = spki_for_anchor(&anchor);
    if key("ca.key", parts.ca_key)? != ca_public.as_ref() {
        return Err(Fault::Mixed("ca.key is not the key of ca.crt"));
    }
    let admin_public = anchor_from_trusted_cert(&admin)
        .map(|as_anchor| spki_for_anchor(&as_anchor))
        .map_err(|_| Fault::Damaged("admin.crt", "it is not a certificate"))?;
    if key("admin.key", parts.admin_key)? != admin_public.as_ref() {
        return Err(Fault::Mixed("admin.key is not the key of admin.crt"));
    }
    let end = EndEntityCert::try_from(&admin)
        .map_err(|_| Fault::Damaged("admin.crt", "it is not a certificate"))?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    let anchors = [anchor];
    let verified = end.verify_for_usage(algorithms, &anchors, &[], time, KeyUsage::client_auth(), None, None);
    match verified {
        Ok(_) => Ok(public_key_hash(ca_public.as_ref())),
        Err(webpki::Error::CertExpired { .. }) => Ok(public_key_hash(ca_public.as_ref())),
        Err(webpki::Error::CertNotValidYet { .. }) => Err(Fault::OutOfDate("they are not valid yet")),
        Err(_) => Err(Fault::Mixed("admin.crt was not signed by ca.crt")),
    }
}

/// Whether that certificate of the CA's has ended by `now`.
pub(super) fn has_ended(ca: &str, pem: &str, now: i64) -> bool {
    let (Ok(ca), Ok(pem)) = (certificate("ca.crt", ca), certificate("admin.crt", pem)) else { return false };
    let (Ok(anchor), Ok(end)) = (anchor_from_trusted_cert(&ca), EndEntityCert::try_from(&pem)) else {
        return false;
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    let anchors = [anchor];
    let verified = end.verify_for_usage(algorithms, &anchors, &[], time, KeyUsage::client_auth(), None, None);
    matches!(verified, Err(webpki::Error::CertExpired { .. }))
}

fn certificate(file: &'static str, pem: &str) -> Result<CertificateDer<'static>, Fault> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| Fault::Damaged(file, "it holds no certificate in PEM"))
}

/// The public half of a private key, a DER SubjectPublicKeyInfo.
fn key(file: &'static str, pem: &str) -> Result<Vec<u8>, Fault> {
    let key = KeyPair::from_pem(pem).map_err(|_| Fault::Damaged(file, "it holds no private key in PEM"))?;
    Ok(key.subject_public_key_info())
}
