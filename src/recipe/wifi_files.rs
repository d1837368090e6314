//! The files that join radio networks where a password does not: certificates, and the key of one.

use std::io;
use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, EapMethod, Secret, WifiKey};
use crate::error::{Classified, ErrorClass};
use crate::io::read_small;
use crate::node_paths;

/// Bundles of all public authorities take a fifth of that.
const PEM_MAX: u64 = 1 << 20;

/// Why a file cannot be baked.
#[derive(Debug, thiserror::Error)]
pub enum WifiFileError {
    /// It cannot be read.
    #[error("reading {}, which {key} in [network.wifi] names", path.display())]
    Read {
        /// The key of pibake.toml that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not in the form that wpa_supplicant is told it is in.
    #[error(
        "{}, which {key} in [network.wifi] names, must be {what} in PEM, and is not; perhaps this makes one: {command} {}",
        path.display(), path.display()
    )]
    NotPem {
        /// The key of pibake.toml that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it must hold.
        what: &'static str,
        /// What makes that of another form.
        command: &'static str,
    },
}

impl Classified for WifiFileError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { .. } | Self::NotPem { .. } => ErrorClass::Configuration,
        }
    }
}

/// A file that joins a radio network, as it lands.
#[derive(Debug, Clone)]
pub struct WifiFile {
    /// Where.
    pub path: String,
    /// PEM.
    pub text: Secret,
    /// It is a private key.
    pub is_key: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Authority,
    Certificate,
    Key,
}

impl Kind {
    /// The key of the description that names the file.
    const fn setting(self) -> &'static str {
        match self {
            Self::Authority => "eap.ca-certificate",
            Self::Certificate => "eap.certificate",
            Self::Key => "eap.private-key",
        }
    }

    /// What it is called on the card.
    const fn stem(self) -> &'static str {
        match self {
            Self::Authority => "ca",
            Self::Certificate => "certificate",
            Self::Key => "key",
        }
    }

    /// What it must be, and what makes that of the other forms that such files come in.
    const fn converted(self) -> (&'static str, &'static str) {
        match self {
            Self::Authority | Self::Certificate => ("a certificate", "openssl x509 -inform DER -in"),
            Self::Key => ("a private key", "openssl pkcs12 -nocerts -in"),
        }
    }

    /// What the first line of what it must hold ends with (RFC 7468, and OpenSSL's own kinds of keys).
    const fn label(self) -> &'static str {
        match self {
            Self::Authority | Self::Certificate => "CERTIFICATE-----",
            Self::Key => "PRIVATE KEY-----",
        }
    }
}

/// Where a file of the network with this number, from 1, lands.
pub(super) fn place(number: usize, kind: Kind) -> String {
    format!("{}/{number}-{}.pem", node_paths::WIFI, kind.stem())
}

/// The files of all networks.
pub(super) fn load(cluster: &Cluster) -> Result<Vec<WifiFile>, WifiFileError> {
    let networks = cluster.network.radio().map_or(&[][..], |radio| &radio.networks);
    let mut files = Vec::new();
    for (wifi, number) in networks.iter().zip(1..) {
        let WifiKey::Enterprise(enterprise) = &wifi.key else { continue };
        files.push(file(number, Kind::Authority, &enterprise.ca_certificate)?);
        if let EapMethod::Certificate { certificate, key, .. } = &enterprise.method {
            files.push(file(number, Kind::Certificate, certificate)?);
            files.push(file(number, Kind::Key, key)?);
        }
    }
    Ok(files)
}

fn file(number: usize, kind: Kind, path: &Path) -> Result<WifiFile, WifiFileError> {
    let bytes = read_small(path, PEM_MAX).map_err(|source| WifiFileError::Read {
        key: kind.setting(),
        path: path.to_owned(),
        source,
    })?;
    let is_first = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(kind.label());
    let is_marked = |text: &String| text.lines().any(is_first);
    let text = String::from_utf8(bytes).ok().filter(is_marked);
    let text = text.ok_or_else(|| {
        let (what, command) = kind.converted();
        WifiFileError::NotPem { key: kind.setting(), path: path.to_owned(), what, command }
    })?;
    Ok(WifiFile { path: place(number, kind), text: Secret::new(text), is_key: kind == Kind::Key })
}
