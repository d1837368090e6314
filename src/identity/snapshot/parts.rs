//! What is in a copy of etcd: its archive is read once, verified, and compressed meanwhile.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::error::Fault;
use super::names::MOST;
use crate::io::assignment;

/// What the files but the database are read up to, in bytes: keys, certificates, and lines of text.
const SMALL: u64 = 1 << 16;
/// tar's unit, in bytes (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK: usize = 512;
/// etcd appends the SHA-256 of a snapshot to it; a database is whole pages, and so whole blocks of 512 bytes (hasHash in
/// etcdutl/snapshot/v3_snapshot.go).
const HASH: u64 = 32;

/// What the archive has besides `about` and `etcd.db`.
pub(super) const KEYS: [&str; 6] = [
    "pki/sa.key",
    "pki/sa.pub",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
];

/// What a whole archive has in it.
pub(super) struct Parts {
    pub(super) about: String,
    pub(super) archive: Vec<u8>,
}

impl Parts {
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        assignment(&self.about, key)
    }

    pub(super) fn read(from: impl Read) -> Result<Self, Fault> {
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
