//! The pibake program with a cache of its own, and images for it to fetch.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rand::Rng;
use sha2::{Digest, Sha256};

use crate::noise::noise;

/// A raw image: a boot sector, text that packs well, noise that does not, and zeros.
pub fn image(seed: u8) -> Vec<u8> {
    let mut noise = noise(seed.into());
    let mut data = vec![0; 2 << 20];
    noise.fill_bytes(&mut data[..8]);
    data[510..512].copy_from_slice(&[0x55, 0xaa]);
    noise.fill_bytes(&mut data[300 << 10..800 << 10]);
    data[1 << 20..(1 << 20) + 300_000].fill(b'x');
    data
}

/// Packed as Ubuntu does: one stream, many blocks with their sizes in their headers.
pub fn xz(data: &[u8]) -> Vec<u8> {
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(1)
        .preset(0)
        .check(liblzma::stream::Check::Crc64)
        .block_size(256 << 10)
        .encoder()
        .unwrap();
    let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

pub fn gz(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

pub fn zst(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A list as Ubuntu's, with others in it.
pub fn sums(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = format!("{} *another.img.xz\n", sha256(b"another"));
    for (name, bytes) in files {
        text += &format!("{} *{name}\n", sha256(bytes));
    }
    text.into_bytes()
}

/// What a run ended with.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Panics unless it succeeded; what it printed of the base image, as JSON.
    pub fn good(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.document()["base"].take()
    }

    fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Panics unless it succeeded and printed the same as an earlier run, but for what was looked at.
    pub fn good_as(&self, first: &serde_json::Value) {
        let mut again = self.good();
        again["checked"] = first["checked"].clone();
        assert_eq!(again, *first);
    }

    /// Panics unless it ended with this code.
    pub fn code_is(&self, code: i32) {
        assert_eq!(self.code, code, "{}", self.stderr);
    }

    /// Panics unless it failed with this code and said this.
    pub fn bad(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert!(self.stderr.contains(said), "{said:?} is not in: {}", self.stderr);
        // with --json a document says it, too
        assert!(self.stdout.is_empty() || self.document()["error"]["exit_code"] == code, "{}", self.stdout);
        let errors = self.stderr.lines().skip_while(|l| !l.starts_with("error:"));
        assert!((1..=3).contains(&errors.count()), "an error has one to three lines: {}", self.stderr);
    }
}

/// A user's machine: a folder to work in, with a cache.
pub struct Machine {
    dir: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Machine {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// Sets a variable for all that follows.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file of the user's.
    pub fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program in the user's folder, with nothing of the tester's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::pibake());
        command.current_dir(self.path()).env_clear();
        command.env("XDG_CACHE_HOME", self.path().join("cache")).env("HOME", self.path());
        command.envs(self.environment.iter().map(|(n, v)| (n, v))).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// `pibake fetch --json` with these arguments.
    pub fn fetch(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["fetch", "--json"], arguments].concat())
    }

    pub fn cache(&self) -> PathBuf {
        self.path().join("cache/pibake")
    }

    /// Where the raw image of the file with this digest lies.
    pub fn cached(&self, packed: &[u8]) -> PathBuf {
        self.cache().join(format!("images/{}.img", sha256(packed)))
    }

    /// The names in a folder of the cache, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.cache().join(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Panics unless nothing is in the cache that could be taken for an image or a part of one.
    pub fn assert_nothing_kept(&self) {
        assert_eq!(self.names("images"), [""; 0]);
        assert_eq!(self.names("downloads"), [""; 0]);
    }

    /// How much of the one download that is under way lies on the disk.
    pub fn partial(&self) -> u64 {
        let names = self.names("downloads");
        let part = names.iter().find(|n| n.ends_with(".part"));
        part.map_or(0, |n| std::fs::metadata(self.cache().join("downloads").join(n)).unwrap().len())
    }

    /// Panics unless the cache holds the image and vouches for it.
    pub fn assert_cached(&self, packed: &[u8], raw: &[u8]) {
        let path = self.cached(packed);
        assert!(std::fs::read(&path).unwrap() == raw, "{} is another image", path.display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
        assert!(path.with_extension("json").exists());
        assert!(!self.names("images").iter().any(|n| n.ends_with(".tmp")));
        assert_eq!(self.lasting("downloads"), [""; 0]);
    }

    /// As [`Self::names`], but for the small files that a killed process was about to rename: those
    /// go after an hour.
    pub fn lasting(&self, folder: &str) -> Vec<String> {
        self.names(folder).into_iter().filter(|n| !n.starts_with(".new-")).collect()
    }
}

/// Waits for what another process does.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let late = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !happened() {
        assert!(std::time::Instant::now() < late, "it never happened that {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
