//! Binary packages (deb(5)): an ar archive of three members, the last of which is the tree of files, a packed tar.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;

const MAGIC: &[u8; 8] = b"!<arch>\n";

/// The size of a member's head: its name in 16 bytes, its size in the ten from the 48th on, in decimal digits.
const HEAD: usize = 60;

/// The tree of files of the package at `path`: an unpacked tar.
///
/// # Errors
/// What reading answers; [`io::ErrorKind::InvalidData`] where it is not a package.
pub fn tree(path: &Path) -> io::Result<Box<dyn Read>> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut file = File::open(path)?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged("it is not a Debian package"));
    }
    loop {
        let mut head = [0; HEAD];
        file.read_exact(&mut head)?;
        let text = |range| std::str::from_utf8(&head[range]).map(str::trim_end).unwrap_or_default();
        let len: u64 = text(48..58).parse().map_err(|_| damaged("a member of the package has no size"))?;
        let name = text(0..16);
        // some writers end names with a slash
        if let Some(packing) = name.trim_end_matches('/').strip_prefix("data.tar") {
            let packed = BufReader::new(file.take(len));
            return match packing {
                "" => Ok(Box::new(packed)),
                ".gz" => Ok(Box::new(MultiGzDecoder::new(packed))),
                ".xz" => Ok(Box::new(XzDecoder::new_multi_decoder(packed))),
                ".zst" => Ok(Box::new(zstd::Decoder::with_buffer(packed)?)),
                _ => Err(damaged("its files are packed in a way that is not known")),
            };
        }
        let next = i64::try_from(len.next_multiple_of(2)).map_err(|_| damaged("a member is too large"))?;
        file.seek(SeekFrom::Current(next))?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        let mut found = Vec::new();
        tree(file.path())?.read_to_end(&mut found)?;
        Ok(found)
    }

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len()).into_bytes();
        assert_eq!(bytes.len(), HEAD);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    }

    fn package(data: &str, content: &[u8]) -> Vec<u8> {
        [
            MAGIC.to_vec(),
            member("debian-binary", b"2.0\n"),
            member("control.tar.xz/", b"odd"),
            member(data, content),
        ]
        .concat()
    }

    #[test]
    fn the_tree_is_unpacked_however_it_is_packed() {
        let tar = b"what a tar would be".repeat(1000);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&tar).unwrap();
        for (name, packed) in [
            ("data.tar", tar.clone()),
            ("data.tar.gz/", gz.finish().unwrap()),
            ("data.tar.xz", xz.finish().unwrap()),
            ("data.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
        ] {
            assert_eq!(read(&package(name, &packed)).unwrap(), tar, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_package_is_refused() {
        let whole = package("data.tar", b"x");
        for bad in
            [&b""[..], b"!<arch>\n", b"not a package at all", &package("data.tar.lzma", b"x"), &whole[..100]]
        {
            assert!(read(bad).is_err());
        }
    }
}
