//! An image registry on loopback, until dropped: Debian's own.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::free_port;
use support::images::put;
use support::{run, tool, tool_path};

pub struct Registry {
    child: Child,
    port: u16,
    work: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free_port();
        let configuration = format!(
            "version: 0.1\nlog: {{level: warn}}\n\
             storage: {{filesystem: {{rootdirectory: {}/images}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n",
            work.path().display()
        );
        put(&work.path().join("config.yml"), &configuration);
        let log = std::fs::File::create(work.path().join("log")).unwrap();
        let child = tool("setpriv", "util-linux")
            .args(["--pdeathsig", "KILL"])
            .arg(tool_path("docker-registry", "docker-registry"))
            .arg("serve")
            .arg(work.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self { child, port, work };
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = std::fs::read_to_string(registry.work.path().join("log")).unwrap();
            assert!(Instant::now() < end, "the registry takes no connections: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Offers the image in an OCI layout as `name`, a repository and a tag.
    pub fn offer(&self, layout: &Path, name: &str) {
        let target = format!("docker://127.0.0.1:{}/{name}", self.port);
        run(tool("skopeo", "skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
            .arg(format!("oci:{}:latest", layout.display()))
            .arg(target));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
