//! A copy of etcd, as a node's `snapshot` makes it and `pibake backup` fetches it.
//!
//! It is a tar archive: `about`, lines of KEY=value; `etcd.db`, etcd's database with its SHA-256 behind it; `pki/`, the
//! CAs and keys of the control plane that are not in the store.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use pgp::composed::Message;
use sha2::{Digest, Sha256};

use super::Identity;
use crate::cluster::KubernetesVersion;
use crate::error::{Classified, ErrorClass};
use crate::io::shell_word;

/// Name of the archive in a folder that `pibake backup` made, and of the store's copy beside it.
pub const ARCHIVE: &str = "etcd.tar";
/// As [`ARCHIVE`].
pub const STORE_COPY: &str = "pibake";

/// What the name of a copy ends in that was encrypted for other nodes, by OpenPGP (RFC 9580) under a passphrase.
pub const SEALED: &str = "gpg";

/// Most that is baked, compressed: recipes are held in memory, and images have little free space.
const MOST: usize = 512 << 20;
/// What the files but the database are read up to, in bytes: keys, certificates, and lines of text.
const SMALL: u64 = 1 << 16;
/// tar's unit, in bytes (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK: usize = 512;
/// etcd appends the SHA-256 of a snapshot to it; a database is whole pages, and so whole blocks of 512 bytes (hasHash in
/// etcdutl/snapshot/v3_snapshot.go).
const HASH: u64 = 32;

/// What the archive has besides `about` and `etcd.db`.
const KEYS: [&str; 6] = [
    "pki/sa.key",
    "pki/sa.pub",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
];

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

/// Why there is no usable copy of etcd.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be opened or read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is something else, or not all of it.
    #[error("{} is not a whole copy of etcd: {reason}. Use another copy, or fetch one with pibake backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was taken of another cluster, or of this one under another CA.
    #[error(
        "{} is a copy of another cluster: its nodes trust another CA than the one in {}. Use it in its own cluster's \
         folder{}", path.display(), store.display(), beside(path, store)
    )]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// Where this cluster's secrets are.
        store: PathBuf,
    },
    /// It is larger than what can be baked.
    #[error("{} has more than {} MiB when compressed, and so much cannot be baked onto a card", path.display(), MOST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// What else can be done where the copy has its own secrets beside it.
fn beside(path: &Path, store: &Path) -> String {
    let own = path.with_file_name(STORE_COPY);
    if !own.is_dir() {
        return String::new();
    }
    format!(
        "; if that folder is lost, move {} away and copy the one that the backup has: cp -a {} {}",
        store.display(),
        shell_word(&own),
        shell_word(store)
    )
}

impl Classified for SnapshotError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => ErrorClass::of_named(source),
            Self::Damaged { .. } => ErrorClass::Verification,
            Self::OtherCluster { .. } => ErrorClass::Refused,
            Self::TooLarge { .. } => ErrorClass::NoSpace,
        }
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
            if sealed { Parts::read(unseal(file, identity)?) } else { Parts::read(file) }
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

/// Decrypts a copy that was on another node. What is not whole fails while it is read, or at its end.
fn unseal(from: impl BufRead + Send + fmt::Debug + 'static, identity: &Identity) -> Result<impl Read, Fault> {
    let keys = identity.host_keys.as_ref();
    let key = keys.ok_or_else(|| Fault::Damaged("no key for it is in .pibake".to_owned()))?.backup_key();
    let opened = Message::from_reader(from)
        .and_then(|(message, _)| message.decrypt_with_password(&key.reveal().into()))
        .and_then(|message| if message.is_compressed() { message.decompress() } else { Ok(message) });
    opened.map_err(|_| {
        Fault::Damaged("it is not encrypted under this cluster's key, or it is damaged".to_owned())
    })
}

/// Decrypts the copy at `path`, into `to`.
///
/// # Errors
/// [`SnapshotError`] with `path` for what cannot be read, decrypted or written.
pub fn decrypt(path: &Path, identity: &Identity, to: &mut impl Write) -> Result<(), SnapshotError> {
    let mut decrypt = || -> Result<(), Fault> {
        let from = BufReader::with_capacity(1 << 20, File::open(path)?);
        Ok(io::copy(&mut unseal(from, identity)?, to).map(drop)?)
    };
    decrypt().map_err(|fault| fault.of(path))
}

enum Fault {
    Read(io::Error),
    Damaged(String),
    TooLarge,
}

impl Fault {
    fn of(self, path: &Path) -> SnapshotError {
        let path = path.to_owned();
        match self {
            Self::Read(source) => SnapshotError::Read { path, source },
            Self::Damaged(reason) => SnapshotError::Damaged { path, reason },
            Self::TooLarge => SnapshotError::TooLarge { path },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends in the middle".to_owned()),
            // What the decryption and the decompression say; the operating system has other kinds.
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged("it is damaged".to_owned())
            }
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Read(error),
        }
    }
}

/// What a whole archive has in it.
struct Parts {
    about: String,
    archive: Vec<u8>,
}

impl Parts {
    fn value(&self, key: &str) -> Option<&str> {
        self.about.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn read(from: impl Read) -> Result<Self, Fault> {
        let damaged = |reason: &str| Fault::Damaged(reason.to_owned());
        // The same archive gives the same bytes.
        let packed = GzBuilder::new().mtime(0).write(Limited(Vec::new()), Compression::default());
        let mut from = Tee { from, packed };
        let mut about = None;
        let mut has_database = false;
        let mut found = Vec::new();
        while let Some(Entry { name, size, is_file }) = from.entry()? {
            let name = name.trim_start_matches("./").to_owned();
            if !is_file {
                continue;
            }
            if name == "etcd.db" {
                from.database(size)?;
                has_database = true;
                continue;
            }
            if size > SMALL || !(name == "about" || KEYS.contains(&name.as_str())) {
                return Err(damaged("pibake did not make it"));
            }
            let text = String::from_utf8(from.content(size)?).map_err(|_| damaged("it is damaged"))?;
            if name == "about" {
                about = Some(text);
            } else if text.starts_with("-----BEGIN ") && text.trim_end().ends_with("-----") {
                found.push(name);
            } else {
                return Err(Fault::Damaged(format!("its {name} is empty or damaged")));
            }
        }
        if let Some(missing) = KEYS.iter().find(|key| !found.iter().any(|name| name == *key)) {
            return Err(Fault::Damaged(format!("it has no {missing}")));
        }
        // Whether an encrypted one is genuine is known only at its end.
        io::copy(&mut from.from, &mut io::sink())?;
        let about = about.ok_or_else(|| damaged("it does not say what it is a copy of"))?;
        if !has_database {
            return Err(damaged("it has no database"));
        }
        let parts = Self { about, archive: from.packed.finish()?.0 };
        match parts.value("format") {
            Some("1") => Ok(parts),
            Some(_) => Err(damaged("a newer pibake made it, and only that can use it")),
            None => Err(damaged("it does not say which format it has")),
        }
    }
}

struct Entry {
    name: String,
    size: u64,
    is_file: bool,
}

/// Keeps what is written, up to a limit.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tar archive that is compressed while it is read.
struct Tee<R> {
    from: R,
    packed: GzEncoder<Limited>,
}

impl<R: Read> Tee<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.from.read_exact(buffer)?;
        Ok(self.packed.write_all(buffer)?)
    }

    /// The next file's header, or `None` at the end: a block of zeros, of which there are two.
    fn entry(&mut self) -> Result<Option<Entry>, Fault> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            self.fill(&mut block)?;
            return Ok(None);
        }
        // The checksum counts its own field as blanks.
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
        if octal(&block[148..156]) != Some(sum - own + 8 * u64::from(b' ')) {
            return Err(Fault::Damaged("it is damaged, or not a tar archive".to_owned()));
        }
        let size = octal(&block[124..136]).ok_or_else(|| Fault::Damaged("it is damaged".to_owned()))?;
        let end = block[..100].iter().position(|byte| *byte == 0).unwrap_or(100);
        let name = String::from_utf8_lossy(&block[..end]).into_owned();
        Ok(Some(Entry { name, size, is_file: matches!(block[156], b'0' | 0) }))
    }

    fn content(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let mut content = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        self.fill(&mut content)?;
        self.pad(size)?;
        Ok(content)
    }

    /// Goes past a file's end, to the next whole block.
    fn pad(&mut self, size: u64) -> Result<(), Fault> {
        let rest = (size as usize).wrapping_neg() % BLOCK;
        self.fill(&mut vec![0; rest])
    }

    /// Compares the database with the hash behind it.
    fn database(&mut self, size: u64) -> Result<(), Fault> {
        if size < HASH || size % BLOCK as u64 != HASH {
            return Err(Fault::Damaged("its database is not whole".to_owned()));
        }
        let mut hash = Sha256::new();
        let mut left = size - HASH;
        let mut buffer = vec![0; 1 << 20];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.fill(&mut buffer[..count])?;
            hash.update(&buffer[..count]);
            left -= count as u64;
        }
        let mut told = [0; HASH as usize];
        self.fill(&mut told)?;
        self.pad(size)?;
        if hash.finalize().as_slice() != told {
            return Err(Fault::Damaged("its database is not what etcd handed out".to_owned()));
        }
        Ok(())
    }
}

/// A number as tar writes them. Files of 8 GiB and more have another form, and are none of ours.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

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
            Err(Fault::Read(error)) => error.to_string(),
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
            ..Identity::make("attic", 1_800_000_000, crate::cluster::Ttl::NEVER).unwrap()
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

        let mut opened = Vec::new();
        decrypt(&path("x.tar.gpg"), &ours, &mut opened).unwrap();
        assert!(opened == whole);
        let read = |bytes: &[u8], identity: &Identity| {
            unseal(io::Cursor::new(bytes.to_vec()), identity).and_then(Parts::read).map(|parts| parts.about)
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
