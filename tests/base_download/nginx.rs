//! The same with a real web server.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::fetching::{Machine, image, sha256, sums, until, xz};
use crate::gpg::Gpg;
use crate::support::tool;

/// nginx without privileges, in a folder and at a port of its own, until dropped.
struct Nginx {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Nginx {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        std::fs::create_dir_all(dir.path().join("root/slow")).unwrap();
        let base = dir.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {base}/temporary;\n"))
            .concat();
        // as root it would serve as somebody who may not look into the folder
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let configuration = format!(
            "{user}
            daemon off;
            worker_processes 1;
            pid {base}/pid;
            error_log {base}/errors;
            events {{ worker_connections 64; }}
            http {{
                {temporary}
                log_format seen escape=none '$status|$request_uri|$http_range|$http_if_range|$body_bytes_sent';
                access_log {base}/seen seen;
                server {{
                    listen 127.0.0.1:{port};
                    root {base}/root;
                    location /slow/ {{ limit_rate 200k; }}
                }}
            }}"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut nginx = tool("nginx", "nginx-light");
        nginx.arg("-p").arg(dir.path()).arg("-c").arg(&file).arg("-e").arg(dir.path().join("errors"));
        let process = nginx.stdin(Stdio::null()).spawn().unwrap();
        let server = Self { dir, port, process };
        until("nginx listens", || TcpStream::connect(("127.0.0.1", server.port)).is_ok());
        server
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The lines of its log for `path`, once there are so many: it writes them when all is sent.
    fn seen(&self, path: &str, count: usize) -> Vec<String> {
        let read = || {
            let mut text = String::new();
            let log = std::fs::File::open(self.dir.path().join("seen"));
            log.and_then(|mut f| f.read_to_string(&mut text)).unwrap_or(0);
            let lines = text.lines().filter(|l| l.split('|').nth(1) == Some(path));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        until("nginx has logged all", || read().len() >= count);
        read()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // the workers end with their master only if that is told to end
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

#[test]
fn a_signed_image_from_nginx() {
    let nginx = Nginx::start();
    let gpg = Gpg::new();
    let fingerprint = gpg.key("test", "ed25519", "sign", "never", None);
    let raw = image(80);
    let packed = xz(&raw);
    let list = sums(&[("some+raspi.img.xz", &packed)]);
    for folder in [nginx.root(), nginx.root().join("slow")] {
        std::fs::write(folder.join("some+raspi.img.xz"), &packed).unwrap();
        std::fs::write(folder.join("SHA256SUMS"), &list).unwrap();
        std::fs::write(folder.join("SHA256SUMS.gpg"), gpg.sign("test", &list, &[])).unwrap();
    }
    let machine = || {
        let machine = Machine::new();
        machine.put("key.gpg", &gpg.export("test"));
        machine.put("pibake.toml", b"[base]\nkeyring = \"key.gpg\"\n");
        machine
    };
    let one = machine();
    assert_eq!(one.fetch(&[&nginx.url("/some+raspi.img.xz")]).good()["signed_by"], fingerprint);
    one.assert_cached(&packed, &raw);
    assert_eq!(nginx.seen("/some+raspi.img.xz", 1), [format!("200|/some+raspi.img.xz|||{}", packed.len())]);

    // killed after about a second, with two to go
    let (two, path) = (machine(), "/slow/some+raspi.img.xz");
    let url = nginx.url(path);
    let mut child = two.command(&["fetch", "-q", &url]).spawn().unwrap();
    until("some of it is on the disk", || two.partial() > 50_000);
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = two.partial();
    assert!(kept < packed.len() as u64, "nothing was left to be taken up");
    two.fetch(&[&url]).good();
    two.assert_cached(&packed, &raw);
    let seen = nginx.seen(path, 2);
    let rest = seen.iter().find(|l| l.starts_with("206|")).unwrap();
    assert!(rest.starts_with(&format!("206|{path}|bytes={kept}-|\"")), "{rest}");
    assert!(rest.ends_with(&format!("|{}", packed.len() as u64 - kept)), "{rest}");

    // the file is another one by the time that it is taken up
    let (three, new) = (machine(), image(81));
    let new_packed = xz(&new);
    let mut child = three.command(&["fetch", "-q", &url, "--sha256", &sha256(&new_packed)]).spawn().unwrap();
    until("some of it is on the disk", || three.partial() > 50_000);
    child.kill().unwrap();
    child.wait().unwrap();
    // nginx makes its tags of time and size: a time of its own, and renamed so that no half is served
    let fresh = nginx.root().join("slow/fresh");
    std::fs::write(&fresh, &new_packed).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options().write(true).open(&fresh).unwrap().set_modified(later).unwrap();
    std::fs::rename(&fresh, nginx.root().join("slow/some+raspi.img.xz")).unwrap();
    three.fetch(&[&url, "--sha256", &sha256(&new_packed)]).good();
    three.assert_cached(&new_packed, &new);
    assert_eq!(
        nginx.seen(path, 4).iter().filter(|l| l.starts_with("200|") && l.contains("bytes=")).count(),
        1
    );
}
