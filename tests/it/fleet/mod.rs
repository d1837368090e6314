//! Clusters in a registry: Debian's, on loopback; skopeo, minisign and age as judges.

mod attacks;
mod claims;
mod copies;
mod faulty;
mod line;
mod logins;
mod names;
mod pushes;
pub(crate) mod secrets;
mod sites;
mod stations;
mod whole;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pibake::fleet::SigningKey;
use serde_json::{Value, json};
use support::fetching::sha256;
use support::registry::Registry;
use support::{run, tool};

/// A user's folder on a machine: its cache, its keys, and perhaps a description.
pub struct Machine {
    pub dir: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("SOURCE_DATE_EPOCH", "1700000000");
        command.args(words);
        command
    }

    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a run that succeeds says, as a document.
    pub fn good(&self, words: &[&str]) -> Value {
        let out = self.output(&[&["--json"], words].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{words:?}: {said}");
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}: {said}"))
    }

    /// What a run says that ends with this exit code.
    pub fn refused(&self, code: i32, words: &[&str]) -> String {
        let out = self.output(words);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{words:?}: {said}");
        // as it is wrapped for nobody
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Its public key.
    pub fn key(&self) -> String {
        self.good(&["key"])["public"].as_str().unwrap().to_owned()
    }

    /// Trusts what another one's clusters are signed with.
    pub fn trust(&self, key: &str) {
        self.good(&["key", "--trust", key]);
    }

    /// The bytes of an image, or of what else it made.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// One who describes a cluster of two nodes, one who makes its cards, and the registry between them.
pub struct Fleet {
    pub registry: Registry,
    pub owner: Machine,
    pub station: Machine,
    /// `oci://…/home`
    pub name: String,
    /// What it is signed with.
    pub key: String,
}

impl Fleet {
    pub fn pushed() -> Self {
        Self::of(Machine::new())
    }

    /// Of an owner who may have a description already.
    pub fn of(owner: Machine) -> Self {
        let (registry, station) = (Registry::open(), Machine::new());
        let name = format!("oci://{}/home", registry.host());
        let mut fleet = Self { registry, owner, station, name, key: String::new() };
        let pushed = fleet.push();
        fleet.key = pushed["key"].as_str().unwrap().to_owned();
        fleet.station.trust(&fleet.key);
        fleet
    }

    /// Puts it there once more.
    pub fn push(&self) -> Value {
        let key = self.station.key();
        self.owner.good(&["push", &self.name, "--base", "sample", "--nodes", "2", "--recipient", &key])
    }

    /// The document under a tag or a digest.
    pub fn manifest(&self, object: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/home/manifests/{object}", self.registry.host());
        let mut curl = tool("curl", "curl");
        curl.args(["--fail", "--silent", "--show-error", "-H", "Accept: */*"]);
        for kind in [INDEX, MANIFEST] {
            curl.args(["-H", &format!("Accept: {kind}")]);
        }
        let out = curl.arg(url).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    /// Puts a document under a tag, as anybody may who can write to the registry.
    pub fn put(&self, object: &str, kind: &str, bytes: &[u8]) {
        self.registry.put_manifest("home", object, kind, bytes);
    }

    /// Puts a blob there.
    pub fn put_blob(&self, bytes: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let curl = || {
            let mut curl = tool("curl", "curl");
            curl.args(["--fail", "--silent", "--show-error", "-o", "/dev/null"]);
            curl
        };
        let url = format!("http://{}/v2/home/blobs/uploads/", self.registry.host());
        let head = run(curl().args(["-D", "-", "-d", ""]).arg(url));
        let at = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        let at = at.unwrap_or_else(|| panic!("{head}"));
        let whole =
            format!("{at}{}digest=sha256:{}", if at.contains('?') { '&' } else { '?' }, sha256(bytes));
        let mut put = curl();
        put.args(["-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary"]);
        run(put.arg(format!("@{}", file.path().display())).arg(whole));
    }

    /// Puts an index under the name, signed by somebody who has the key of this machine's cluster.
    pub fn put_signed(&self, signer: &Machine, index: &[u8]) {
        let key: SigningKey = String::from_utf8(signer.read(".pibake/fleet_key")).unwrap().parse().unwrap();
        let signature = key.sign(index, "as you like it");
        self.put_blob(signature.as_bytes());
        let of = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.pibake.signature.v1",
            "config": of("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [of("application/vnd.pibake.minisig", signature.as_bytes())],
            "subject": of(INDEX, index),
        });
        self.put(&format!("sha256-{}.minisig", sha256(index)), MANIFEST, manifest.to_string().as_bytes());
        self.put("latest", INDEX, index);
    }

    /// Has the registry forget a tag, as its administrators can.
    pub fn forget(&self, tag: &str) {
        let all = self.registry.data().parent().unwrap().join("repositories/home/_manifests/tags");
        std::fs::remove_dir_all(all.join(tag)).unwrap();
    }

    /// The index.
    pub fn index(&self) -> Value {
        serde_json::from_slice(&self.manifest("latest")).unwrap()
    }

    /// The manifest of the base, or of a node, and its digest.
    pub fn listed(&self, annotation: &str, value: Option<&str>) -> (Value, String) {
        let index = self.index();
        let entries = index["manifests"].as_array().unwrap();
        let is_it = |entry: &&Value| match (&entry["annotations"][annotation], value) {
            (Value::String(text), Some(value)) => text == value,
            (found, None) => found.is_string(),
            _ => false,
        };
        let digest = entries.iter().find(is_it).unwrap()["digest"].as_str().unwrap().to_owned();
        (serde_json::from_slice(&self.manifest(&digest)).unwrap(), digest)
    }
}

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// All files below a folder.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found
}
