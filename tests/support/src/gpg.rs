//! Signatures made by the real gpg, in a home of their own.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::{run, tool};

/// A home for gpg, whose agent ends with it.
pub struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    pub fn new() -> Self {
        // the agent's socket lies in it, and its path may have 107 bytes
        let home = tempfile::Builder::new()
            .prefix("pibake-gpg")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .unwrap();
        Self { home }
    }

    pub fn command(&self) -> Command {
        let mut gpg = tool("gpg", "gnupg");
        gpg.arg("--homedir").arg(self.home.path());
        gpg.args([
            "--batch",
            "--yes",
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        gpg
    }

    /// Makes a key and returns its fingerprint. `when` is gpg's `--faked-system-time`, `expire` as
    /// gpg wants it (`never`, `1d`).
    pub fn key(&self, name: &str, algorithm: &str, usage: &str, expire: &str, when: Option<&str>) -> String {
        let mut gpg = self.command();
        fake_time(&mut gpg, when);
        run(gpg.args(["--quick-gen-key", name, algorithm, usage, expire]));
        self.fingerprint(name)
    }

    pub fn fingerprint(&self, name: &str) -> String {
        let list = run(self.command().args(["--with-colons", "--list-keys", name]));
        let line = list.lines().find(|l| l.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_lowercase()
    }

    /// Fingerprints of the subkeys, oldest first.
    pub fn subkeys(&self, name: &str) -> Vec<String> {
        let list = run(self.command().args(["--with-colons", "--list-keys", name]));
        let prints = list.lines().filter(|l| l.starts_with("fpr:")).skip(1);
        prints.map(|l| l.split(':').nth(9).unwrap().to_lowercase()).collect()
    }

    /// The public key as others get it.
    pub fn export(&self, name: &str) -> Vec<u8> {
        let out = self.command().args(["--export", name]).output().unwrap();
        assert!(out.status.success() && !out.stdout.is_empty());
        out.stdout
    }

    /// A detached signature over `content` by `key`.
    pub fn sign(&self, key: &str, content: &[u8], extra: &[&str]) -> Vec<u8> {
        let mut gpg = self.command();
        gpg.args(["--local-user", key]).args(extra).arg("--detach-sign");
        pipe(&mut gpg, content)
    }

    /// Whether gpg itself takes the signature for good.
    pub fn verifies(&self, content: &[u8], signature: &[u8]) -> bool {
        let file = self.home.path().join("verify.sig");
        std::fs::write(&file, signature).unwrap();
        let mut gpg = self.command();
        gpg.arg("--verify").arg(&file).arg("-");
        let mut child = gpg.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), content).unwrap();
        child.wait().unwrap().success()
    }

    /// The revocation certificate that gpg made together with the key.
    pub fn revoke(&self, fingerprint: &str) {
        let path =
            self.home.path().join("openpgp-revocs.d").join(format!("{}.rev", fingerprint.to_uppercase()));
        // gpg puts a colon before it, against accidents
        let text = std::fs::read_to_string(path).unwrap().replace(":-----BEGIN", "-----BEGIN");
        pipe(self.command().arg("--import"), text.as_bytes());
    }
}

pub fn fake_time(gpg: &mut Command, when: Option<&str>) {
    if let Some(when) = when {
        gpg.args(["--faked-system-time", when]);
    }
}

/// Feeds a command and returns what it printed.
pub fn pipe(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{command:?} failed");
    out.stdout
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut end = tool("gpgconf", "gnupg");
        let _ = end.arg("--homedir").arg(self.home.path()).args(["--kill", "gpg-agent"]).status();
    }
}
