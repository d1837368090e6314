//! A copy of etcd, as a node's `snapshot` makes it and `pibake backup` fetches it.
//!
//! It is a tar archive: `about`, lines of KEY=value; `etcd.db`, etcd's database with its SHA-256 behind it; `pki/`, the
//! CAs and keys of the control plane that are not in the store.

mod error;
mod names;
mod parts;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use pgp::composed::Message;
use sha2::{Digest, Sha256};

use self::error::Fault;
pub use self::error::SnapshotError;
pub use self::names::{ARCHIVE, LARGEST, SEALED, STORE_COPY};
use self::parts::Parts;
use super::Identity;
use crate::cluster::KubernetesVersion;

/// A copy of etcd that is whole and of this cluster.
#[derive(Clone)]
pub struct Snapshot {
    /// The archive, compressed by gzip.
    pub archive: Arc<[u8]>,
    /// When it was made, as the node says it.
    pub made: String,
    /// The Kubernetes that it was made under.
    pub kubernetes: KubernetesVersion,
}

impl fmt::Debug for Snapshot {
    /// Without the archive, which is as secret as everything in the cluster.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Reads and verifies the copy at `path`: an archive, or a folder that `pibake backup` made. `store` is where the
    /// `identity` that it must be of is kept.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub fn read(path: &Path, identity: &Identity, store: &Path) -> Result<Self, SnapshotError> {
        let path = if path.is_dir() { path.join(ARCHIVE) } else { path.to_owned() };
        let sealed = path.extension().is_some_and(|extension| extension == SEALED);
        let read = || {
            let file = BufReader::with_capacity(1 << 20, File::open(&path)?);
            if sealed { Parts::read(unseal(file, identity, LARGEST)?) } else { Parts::read(file) }
        };
        let parts = read().map_err(|fault| fault.of(&path))?;
        if parts.value("ca") != Some(hex::encode(Sha256::digest(&identity.ca_certificate)).as_str()) {
            return Err(SnapshotError::OtherCluster { path, store: store.to_owned() });
        }
        let damaged = |reason: &str| SnapshotError::Damaged { path: path.clone(), reason: reason.to_owned() };
        let version = parts.value("kubernetes").and_then(|text| text.strip_prefix('v')?.parse().ok());
        Ok(Self {
            kubernetes: version.ok_or_else(|| damaged("it does not say which Kubernetes it is of"))?,
            made: parts.value("made").ok_or_else(|| damaged("it does not say when it was made"))?.to_owned(),
            archive: parts.archive.into(),
        })
    }
}

/// Decrypts a copy that was on another node. What is not whole fails while it is read, or at its end; and what has more
/// than `most` bytes, since a few of an archive may unpack to any number.
fn unseal(
    from: impl BufRead + Send + fmt::Debug + 'static,
    identity: &Identity,
    most: u64,
) -> Result<impl Read, Fault> {
    let keys = identity.host_keys.as_ref();
    let key = keys.ok_or_else(|| Fault::Damaged("no key for it is in .pibake".to_owned()))?.backup_key();
    let opened = Message::from_reader(from)
        .and_then(|(message, _)| message.decrypt_with_password(&key.reveal().into()))
        .and_then(|message| if message.is_compressed() { message.decompress() } else { Ok(message) });
    let opened = opened.map_err(|_| {
        Fault::Damaged("it is not encrypted under this cluster's key, or it is damaged".to_owned())
    })?;
    Ok(Bounded { from: opened, left: most })
}

/// What another one gives, and an error where that is more than it may be.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or(io::ErrorKind::InvalidData)?;
        Ok(count)
    }
}

/// Decrypts the copy in the open file `from`, into `to`. `path` is what the file is called.
///
/// # Errors
/// [`SnapshotError`] with `path` for what cannot be read, decrypted or written.
pub fn decrypt(from: File, path: &Path, identity: &Identity, to: impl Write) -> Result<(), SnapshotError> {
    decrypt_most(from, identity, to, LARGEST).map_err(|fault| fault.of(path))
}

fn decrypt_most(from: File, identity: &Identity, mut to: impl Write, most: u64) -> Result<(), Fault> {
    let mut from = unseal(BufReader::with_capacity(1 << 20, from), identity, most)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return to.flush().map_err(Fault::Write),
            count => to.write_all(&buffer[..count]).map_err(Fault::Write)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::parts::KEYS;
    use super::*;
    use crate::cluster::{Ttl, now_for_tests};

    const ABOUT: &str =
        "format=1\nnode=node-1\nmade=2026-11-26T13:12:27Z\nrevision=2\nkubernetes=v1.35.2\nca=abc\n";

    /// An archive by the tar of this machine, as on a node, with changes.
    fn archive(change: impl FnOnce(&Path)) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("pki/etcd")).unwrap();
        let mut database = vec![7; 3 * 4096];
        let hash = Sha256::digest(&database);
        database.extend_from_slice(&hash);
        std::fs::write(dir.path().join("etcd.db"), database).unwrap();
        std::fs::write(dir.path().join("about"), ABOUT).unwrap();
        for key in KEYS {
            std::fs::write(dir.path().join(key), "-----BEGIN X-----\nAA==\n-----END X-----\n").unwrap();
        }
        change(dir.path());
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(dir.path()).args(["-cf", "-", "about", "etcd.db", "pki"]);
        let out = tar.output().unwrap();
        assert!(out.status.success());
        out.stdout
    }

    fn fault(bytes: &[u8]) -> String {
        match Parts::read(bytes) {
            Ok(_) => "none".to_owned(),
            Err(Fault::Damaged(reason)) => reason,
            Err(Fault::Read(error) | Fault::Write(error)) => error.to_string(),
            Err(Fault::TooLarge) => "too large".to_owned(),
        }
    }

    #[test]
    fn a_whole_archive_is_taken_as_it_is() {
        let whole = archive(|_| {});
        let parts = Parts::read(whole.as_slice()).unwrap_or_else(|_| panic!("{}", fault(&whole)));
        assert_eq!((parts.value("kubernetes"), parts.value("mad")), (Some("v1.35.2"), None));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(parts.archive.as_slice()).read_to_end(&mut unpacked).unwrap();
        // But for tar's own padding of the end.
        assert!(whole.starts_with(&unpacked) && whole[unpacked.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn half_an_archive_is_told_wherever_it_ends() {
        let whole = archive(|_| {});
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        for length in (0..end).step_by(997) {
            assert_ne!(fault(&whole[..length]), "none", "{length}");
        }
    }

    #[test]
    fn a_changed_byte_in_the_database_is_found() {
        let mut bytes = archive(|_| {});
        let at = bytes.windows(64).position(|window| window.iter().all(|byte| *byte == 7)).unwrap();
        bytes[at + 5000] ^= 1;
        assert_eq!(fault(&bytes), "its database is not what etcd handed out");
    }

    /// By the gpg of this machine, as on a node.
    #[test]
    fn an_encrypted_one_is_read_under_its_own_key_alone() {
        let seed = |digits: &str| Identity {
            host_keys: crate::identity::HostKeys::read(&digits.repeat(32)),
            ..Identity::make("attic", now_for_tests(), Ttl::NEVER).unwrap()
        };
        let (ours, other) = (seed("5e"), seed("5f"));
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let whole = archive(|_| {});
        std::fs::write(path("x.tar"), &whole).unwrap();
        std::fs::write(path("key"), format!("{}\n", ours.host_keys.as_ref().unwrap().backup_key().reveal()))
            .unwrap();
        let mut gpg = Command::new("gpg");
        gpg.args([
            "--batch",
            "--quiet",
            "--no-autostart",
            "--pinentry-mode",
            "loopback",
            "--s2k-count",
            "65536",
        ]);
        gpg.args(["--cipher-algo", "AES256", "--homedir"])
            .arg(dir.path())
            .arg("--passphrase-file")
            .arg(path("key"));
        gpg.arg("--output").arg(path("x.tar.gpg")).arg("--symmetric").arg(path("x.tar"));
        assert!(gpg.status().unwrap().success());

        let decrypted = |most: u64| {
            let mut opened = Vec::new();
            let sealed = File::open(path("x.tar.gpg")).unwrap();
            decrypt_most(sealed, &ours, &mut opened, most).map(|()| opened)
        };
        assert!(decrypted(whole.len() as u64).is_ok_and(|opened| opened == whole));
        // What unpacks to more than it may is not unpacked to its end.
        assert!(matches!(decrypted(whole.len() as u64 - 1), Err(Fault::Damaged(_))));
        let read = |bytes: &[u8], identity: &Identity| {
            let unsealed = unseal(io::Cursor::new(bytes.to_vec()), identity, LARGEST);
            unsealed.and_then(Parts::read).map(|parts| parts.about)
        };
        let sealed = std::fs::read(path("x.tar.gpg")).unwrap();
        assert_eq!(read(&sealed, &ours).ok().as_deref(), Some(ABOUT));
        assert!(matches!(read(&sealed, &other), Err(Fault::Damaged(_))));
        assert!(matches!(read(&whole, &ours), Err(Fault::Damaged(_))));
        for at in (0..sealed.len()).step_by(sealed.len() / 40) {
            assert!(read(&sealed[..at], &ours).is_err(), "cut at {at}");
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            assert!(read(&changed, &ours).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let write = |name: &'static str, text: &'static str| {
            archive(move |dir| std::fs::write(dir.join(name), text).unwrap())
        };
        for (bytes, reason) in [
            (archive(|dir| std::fs::remove_file(dir.join("pki/sa.key")).unwrap()), "it has no pki/sa.key"),
            (write("pki/etcd/ca.key", ""), "its pki/etcd/ca.key is empty or damaged"),
            (write("etcd.db", ""), "its database is not whole"),
            (write("about", "format=2\n"), "a newer pibake made it, and only that can use it"),
            (write("about", "x\n"), "it does not say which format it has"),
            (write("pki/passwd", "x"), "pibake did not make it"),
            (vec![b'x'; 4096], "it is damaged, or not a tar archive"),
            (Vec::new(), "it ends in the middle"),
        ] {
            assert_eq!(fault(&bytes), reason);
        }
    }
}
