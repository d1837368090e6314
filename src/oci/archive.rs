//! Images as one file that containerd imports: an OCI image layout (image-spec, image-layout.md) in a tar.
//!
//! Each image stands there as its manifest for `linux/arm64`, not as the index that its name may stand for: an index
//! lists images that are not in the archive, and containerd's import fails on them wherever it does not filter by
//! platform.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use serde::Serialize;

use super::error::{Error, Result};
use super::manifest::Blob;
use super::pull::Image;
use crate::base::Cache;
use crate::catalog::Digest;
use crate::registry::Version;

/// The unit of a tar.
const BLOCK: u64 = 512;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: String,
    size: u64,
    annotations: Annotations,
}

#[derive(Serialize)]
struct Annotations {
    /// The whole name, for containerd.
    #[serde(rename = "io.containerd.image.name")]
    name: String,
    /// The part of it that other programs know.
    #[serde(rename = "org.opencontainers.image.ref.name")]
    version: String,
}

/// What is in an archive. The same images make the same bytes, in whatever order they come.
#[derive(Debug)]
pub struct Archive {
    index: Vec<u8>,
    blobs: BTreeMap<Digest, u64>,
}

impl Archive {
    /// An archive of these images; what several of them are made of is in it once.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] where two of them say different sizes of one thing.
    pub fn of(images: &[Image]) -> Result<Self> {
        let mut sorted: Vec<&Image> = images.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.dedup_by(|a, b| a.name == b.name);
        let mut blobs = BTreeMap::new();
        for image in &sorted {
            for Blob { digest, len, .. } in image.blobs() {
                let known = *blobs.entry(*digest).or_insert(*len);
                if known != *len {
                    let fault = format!("sha256:{digest} should have {len} bytes, and elsewhere {known}");
                    return Err(Error::Inconsistent { image: image.name.to_string(), fault });
                }
            }
        }
        let manifests = sorted.iter().map(|image| Entry {
            media_type: &image.manifest.media_type,
            digest: format!("sha256:{}", image.manifest.digest),
            size: image.manifest.len,
            annotations: Annotations {
                name: image.name.to_string(),
                version: match image.name.version() {
                    Version::Tag(tag) => tag.clone(),
                    Version::Digest(digest) => format!("sha256:{digest}"),
                },
            },
        });
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = Index { schema_version: 2, media_type, manifests: manifests.collect() };
        let index = serde_json::to_vec(&index).map_err(|e| Error::Write(e.into()))?;
        Ok(Self { index, blobs })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let small = [LAYOUT.len() as u64, self.index.len() as u64];
        let files = small.iter().chain(self.blobs.values());
        files.map(|len| BLOCK + len.next_multiple_of(BLOCK)).sum::<u64>() + 2 * BLOCK
    }

    /// Its bytes, of what [`pull`](fn@super::pull) put into the cache, which is verified while it is read.
    #[must_use]
    pub fn read<'a>(&'a self, cache: &'a Cache) -> impl Read + 'a {
        let small = [("oci-layout", LAYOUT), ("index.json", &self.index[..])].into_iter();
        let small = small.map(|(name, content)| -> io::Result<Box<dyn Read + 'a>> {
            Ok(entry(name, content.len() as u64, Cursor::new(content)))
        });
        let blobs = self.blobs.iter().map(|(digest, len)| -> io::Result<Box<dyn Read + 'a>> {
            Ok(entry(&format!("blobs/sha256/{digest}"), *len, cache.read_file(digest, *len)?))
        });
        let end: Box<dyn Read + 'a> = Box::new(zeros(2 * BLOCK));
        Chain { parts: small.chain(blobs).chain([Ok(end)]), now: None }
    }
}

/// Readers one after the other, each made when the one before it is at its end.
struct Chain<'a, I> {
    parts: I,
    now: Option<Box<dyn Read + 'a>>,
}

impl<'a, I: Iterator<Item = io::Result<Box<dyn Read + 'a>>>> Read for Chain<'a, I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(now) = &mut self.now {
                match now.read(buf)? {
                    0 => {}
                    count => return Ok(count),
                }
            }
            match self.parts.next() {
                Some(next) => self.now = Some(next?),
                None => return Ok(0),
            }
        }
    }
}

/// A file of a tar.
fn entry<'a>(name: &str, len: u64, content: impl Read + 'a) -> Box<dyn Read + 'a> {
    let fill = zeros(len.next_multiple_of(BLOCK) - len);
    Box::new(Cursor::new(head(name, len)).chain(content).chain(fill))
}

fn zeros(count: u64) -> impl Read {
    io::repeat(0).take(count)
}

/// What stands before a file of root's that anybody may read, made at the beginning of time (POSIX.1-2001, pax(1),
/// "ustar Interchange Format"). Names here have at most 100 characters, what fits without a second header.
fn head(name: &str, len: u64) -> [u8; BLOCK as usize] {
    let mut head = [0; BLOCK as usize];
    let mut put = |at: usize, field: &[u8]| {
        head.iter_mut().skip(at).zip(field).for_each(|(to, from)| *to = *from);
    };
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    match len {
        0..0o100_000_000_000 => put(124, format!("{len:011o}\0").as_bytes()),
        // GNU tar's form of larger ones, which Go's reads, too
        _ => put(124, &[&[0x80, 0, 0, 0][..], &len.to_be_bytes()].concat()),
    }
    put(136, b"00000000000\0");
    put(148, b"        0");
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    head.iter_mut().skip(148).zip(sum.as_bytes()).for_each(|(to, from)| *to = *from);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Fetcher, Ledger};
    use std::process::Command;

    fn blob(bytes: &[u8], fetcher: &Fetcher<'_>) -> Blob {
        let digest = fetcher.put(bytes).unwrap();
        Blob { media_type: "x/y".to_owned(), digest, len: bytes.len() as u64 }
    }

    fn image(name: &str, parts: [&[u8]; 3], fetcher: &Fetcher<'_>) -> Image {
        let [manifest, config, layer] = parts.map(|part| blob(part, fetcher));
        let (name, resolved) = (name.parse().unwrap(), manifest.digest);
        Image { name, resolved, manifest, config, layers: vec![layer] }
    }

    #[test]
    fn tar_reads_it_and_it_is_the_same_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let ledger = Ledger::default();
        let fetcher = Fetcher { offline: true, ..Fetcher::new(&cache, &ledger) };
        let shared = vec![7; 1000];
        let images = [
            image("b.example/x:1", [b"m1", b"c1", &shared], &fetcher),
            image("a.example/x:1", [b"m2", b"", &shared], &fetcher),
        ];
        let bytes = |images: &[Image]| {
            let archive = Archive::of(images).unwrap();
            let mut bytes = Vec::new();
            archive.read(&cache).read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, archive.size());
            bytes
        };
        let written = bytes(&images);
        let [one, other] = images.clone();
        assert!(written == bytes(&[other.clone(), one.clone(), other]), "order or repetition changes it");

        let path = dir.path().join("x.tar");
        std::fs::write(&path, &written).unwrap();
        let tar = |arguments: &[&str]| {
            let out = Command::new("tar").arg("-f").arg(&path).args(arguments).output().unwrap();
            assert!(
                out.status.success() && out.stderr.is_empty(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
            String::from_utf8(out.stdout).unwrap()
        };
        let names = tar(&["-t"]);
        assert_eq!(names.lines().count(), 2 + 5, "{names}");
        let listed = tar(&["--numeric-owner", "--utc", "-tv", "oci-layout"]);
        let words: Vec<&str> = listed.split_whitespace().collect();
        assert_eq!(words, ["-rw-r--r--", "0/0", "30", "1970-01-01", "00:00", "oci-layout"]);
        let digest = Digest::of(&shared);
        assert_eq!(tar(&["-xO", &format!("blobs/sha256/{digest}")]).as_bytes(), shared);
        let index: serde_json::Value = serde_json::from_str(&tar(&["-xO", "index.json"])).unwrap();
        let annotations = &index["manifests"][0]["annotations"];
        assert_eq!(annotations["io.containerd.image.name"], "a.example/x:1");
        assert_eq!(annotations["org.opencontainers.image.ref.name"], "1");

        // what the cache has no longer is not written as if it were
        for damage in [vec![8; 1000], vec![7; 999], vec![7; 1001]] {
            std::fs::write(cache.file(&digest), damage).unwrap();
            let archive = Archive::of(&images).unwrap();
            let error = archive.read(&cache).read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn files_of_more_than_8_gib_have_a_size_that_tar_reads() {
        for (len, field) in
            [((8 << 30) - 1, &b"77777777777\0"[..]), (8 << 30, b"\x80\0\0\0\0\0\0\x02\0\0\0\0")]
        {
            assert_eq!(&head("x", len)[124..136], field);
        }
    }
}
