//! A real web server on loopback, for as long as it is held.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{tool, tool_path};

/// nginx with files of a test's.
pub struct Nginx {
    child: Child,
    port: u16,
    work: tempfile::TempDir,
}

impl Nginx {
    /// Serves the files below `root` over HTTP on a free port of 127.0.0.1; those in `slow/` at 200
    /// kB/s.
    pub fn serve(root: &Path) -> Self {
        // Between finding a port and taking it, somebody else may have taken it.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            if let Some(server) = Self::start(root, port) {
                return server;
            }
        }
        panic!("nginx does not start, see above");
    }

    fn start(root: &Path, port: u16) -> Option<Self> {
        let work = tempfile::tempdir().unwrap();
        std::fs::write(work.path().join("nginx.conf"), configuration(root, port)).unwrap();
        // It must not outlive a test that is killed.
        let child = tool("setpriv", "util-linux")
            .args(["--pdeathsig", "KILL"])
            .arg(tool_path("nginx", "nginx-light"))
            .arg("-p")
            .arg(work.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, port, work };
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if server.child.try_wait().unwrap().is_some() {
                eprintln!("{}", server.log("error.log"));
                return None;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nginx takes no connections: {}", server.log("error.log"));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked for, in order: `GET /path 200`.
    pub fn requests(&self) -> Vec<String> {
        self.log("access.log").lines().map(str::to_owned).collect()
    }

    /// What was answered, in the order of its end: `status|path|Range|If-Range|bytes sent`.
    pub fn answers(&self) -> Vec<String> {
        self.log("answers.log").lines().map(str::to_owned).collect()
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.work.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(root: &Path, port: u16) -> String {
    let root = root.display();
    format!(
        "daemon off;\n\
         master_process off;\n\
         pid nginx.pid;\n\
         events {{}}\n\
         http {{\n\
           log_format asked '$request_method $uri $status';\n\
           log_format answered escape=none\n\
             '$status|$request_uri|$http_range|$http_if_range|$body_bytes_sent';\n\
           access_log access.log asked;\n\
           access_log answers.log answered;\n\
           client_body_temp_path body;\n\
           proxy_temp_path proxy;\n\
           fastcgi_temp_path fastcgi;\n\
           uwsgi_temp_path uwsgi;\n\
           scgi_temp_path scgi;\n\
           sendfile on;\n\
           server {{ listen 127.0.0.1:{port}; root {root}; location /slow/ {{ limit_rate 200k; }} }}\n\
         }}\n"
    )
}
