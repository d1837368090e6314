//! Debian's registry on loopback, for as long as it is held.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::tokens::Tokens;
use crate::{run, tool, tool_path};

/// The one user of a registry that knows somebody, and bcrypt's hash of the password.
pub const USER: (&str, &str) = ("me", "se:cret");
const USER_HASH: &str = "$2b$04$Hjr52.ooBpofW1QQh1qpHurkjhQZGD6ILhQ/7keicpF/CThOkmtnC";

/// A registry that ends when it is dropped.
pub struct Registry {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
    /// What its configuration says about logins.
    auth: Auth,
}

/// Whom a registry lets in.
#[derive(Clone)]
enum Auth {
    Anybody,
    Password,
    /// Who has a token; what the configuration says of it.
    Token(String),
}

impl Registry {
    /// One that anybody may read and write.
    pub fn open() -> Self {
        Self::start(&Auth::Anybody)
    }

    /// One that wants a user name and a password.
    pub fn locked() -> Self {
        Self::start(&Auth::Password)
    }

    /// One that wants a token of this server.
    pub fn with_tokens(tokens: &Tokens) -> Self {
        Self::start(&Auth::Token(tokens.config()))
    }

    fn start(auth: &Auth) -> Self {
        // Between finding a port and taking it, somebody else may have taken it.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some(registry) = Self::at(port, auth) {
                return registry;
            }
        }
        panic!("docker-registry does not start, see above");
    }

    fn at(port: u16, auth: &Auth) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let child = Self::run_in(dir.path(), port, auth, false)?;
        Some(Self { child, port, dir, auth: auth.clone() })
    }

    /// Runs it over what is in this folder, until it takes connections.
    fn run_in(dir: &Path, port: u16, auth: &Auth, read_only: bool) -> Option<Child> {
        let mut config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}, maintenance: {{readonly: {{enabled: {read_only}}}}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\"}}\n",
            dir.display()
        );
        match auth {
            Auth::Anybody => {}
            Auth::Password => {
                let passwords = dir.join("htpasswd");
                std::fs::write(&passwords, format!("{}:{USER_HASH}\n", USER.0)).unwrap();
                config += &format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", passwords.display());
            }
            Auth::Token(own) => config += own,
        }
        let file = dir.join("config.yml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        // It must not outlive a test that is killed.
        let mut child = tool("setpriv", "util-linux")
            .args(["--pdeathsig", "KILL"])
            .arg(tool_path("docker-registry", "docker-registry"))
            .arg("serve")
            .arg(&file)
            .env_remove("OTEL_TRACES_EXPORTER")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if child.try_wait().unwrap().is_some() {
                eprintln!("{}", std::fs::read_to_string(dir.join("log")).unwrap());
                return None;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(child);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("docker-registry takes no connections");
    }

    /// From now on it gives what it has, and takes nothing.
    pub fn read_only(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let child = Self::run_in(self.dir.path(), self.port, &self.auth, true);
        self.child = child.expect("docker-registry does not start again, see above");
    }

    /// It does not answer any more, as if the line was cut: whoever asks waits.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on where it was.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        run(tool("kill", "procps").args([signal, &self.child.id().to_string()]));
    }

    /// Its host and port, as names of images begin.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Has skopeo put an image here that lies in a folder of OCI's layout under the name `x`, in OCI's form (`oci`) or in
    /// Docker's (`v2s2`). Returns its name.
    pub fn copy(&self, layout: &Path, name: &str, format: &str) -> String {
        let whole = format!("{}/{name}", self.host());
        let mut skopeo = tool("skopeo", "skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--all",
            "--dest-tls-verify=false",
            "--format",
            format,
        ]);
        if !matches!(self.auth, Auth::Anybody) {
            skopeo.args(["--dest-creds", &format!("{}:{}", USER.0, USER.1)]);
        }
        run(skopeo.arg(format!("oci:{}:x", layout.display())).arg(format!("docker://{whole}")));
        whole
    }

    /// Puts a manifest or an index under a tag or a digest of a repository, as anybody may who can write to it.
    pub fn put_manifest(&self, repository: &str, object: &str, kind: &str, bytes: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let url = format!("http://{}/v2/{repository}/manifests/{object}", self.host());
        let kind = format!("Content-Type: {kind}");
        let mut curl = tool("curl", "curl");
        curl.args(["--fail", "--silent", "--show-error", "-X", "PUT", "-H", &kind, "--data-binary"]);
        run(curl.arg(format!("@{}", file.path().display())).arg(url));
    }

    /// Where the registry keeps all that it has.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data/docker/registry/v2/blobs")
    }

    /// Where the registry keeps something.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
