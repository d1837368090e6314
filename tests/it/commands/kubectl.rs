//! A cluster that does not answer, and whoever does not want to wait for it: kubectl ends with the run.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{put_program, run, tool, tool_path};

/// A description that was built, and a kubectl in front of all others.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(desk.path("pibake.toml"), "nodes = 2\n").unwrap();
        std::fs::create_dir(desk.path("bin")).unwrap();
        let built = desk.pibake(&["build", "--base", "sample"]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pibake(&self, words: &[&str]) -> Command {
        let kubectl = tool_path("kubectl", "kubernetes-client");
        let path =
            format!("{}:{}:/usr/bin:/bin", self.path("bin").display(), kubectl.parent().unwrap().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", path)
            .args(words);
        command
    }

    /// What comes of a run that is asked to end when `is_begun` says so, and how long it takes from then on.
    fn ended(&self, words: &[&str], mut is_begun: impl FnMut() -> bool) -> (Output, Duration) {
        let child = self.pibake(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while !is_begun() {
            assert!(Instant::now() < end, "{words:?}: nobody was asked");
            std::thread::sleep(Duration::from_millis(10));
        }
        let asked = Instant::now();
        run(tool("kill", "procps").args(["-TERM", &child.id().to_string()]));
        let out = child.wait_with_output().unwrap();
        (out, asked.elapsed())
    }
}

/// Well below what the cluster is waited for.
const SOON: Duration = Duration::from_secs(4);

#[test]
fn a_run_that_is_cancelled_takes_kubectl_along() {
    let desk = Desk::new();
    for stubborn in [false, true] {
        let ignores = if stubborn { "trap '' TERM INT\n" } else { "" };
        let pid = desk.path("pid");
        let text = format!("#!/bin/sh\n{ignores}echo $$ >pid.part\nmv pid.part pid\nexec sleep 60\n");
        put_program(&desk.path("bin/kubectl"), text);
        for words in [
            &["token"][..],
            &["token", "new", "2"],
            &["token", "revoke", "2"],
            &["kubeconfig", "--merge"],
            &["kubeconfig", "--renew"],
        ] {
            let _ = std::fs::remove_file(&pid);
            let (out, took) = desk.ended(words, || pid.exists());
            let (said, err) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            assert_eq!((out.status.code(), out.status.signal()), (Some(1), None), "{words:?}: {err}");
            assert!(took < SOON, "{words:?}: {took:?}");
            assert!(err.contains("cancelled"), "{words:?}: {err}");
            // what was done here already is not kept to oneself
            let is_change = words.len() == 3;
            assert_eq!(said.contains("sudo kubeadm token delete "), is_change, "{words:?}: {said}");
            assert_eq!(
                said.contains("sudo kubeadm token create "),
                words.contains(&"new"),
                "{words:?}: {said}"
            );
            let number = std::fs::read_to_string(&pid).unwrap();
            let process = PathBuf::from("/proc").join(number.trim());
            assert!(!process.exists(), "{words:?}: kubectl goes on");
        }
    }
    assert!(!desk.path(".pibake/lent.conf").exists());
}

/// The real one, at a server that takes connections and says nothing.
#[test]
fn kubectl_itself_ends_with_the_run() {
    let desk = Desk::new();
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    server.set_nonblocking(true).unwrap();
    let via = server.local_addr().unwrap().to_string();
    let mut held = Vec::new();
    let (out, took) = desk.ended(&["kubeconfig", "--renew", "--via", &via], || {
        held.extend(server.accept());
        !held.is_empty()
    });
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(1) && err.contains("cancelled"), "{:?}: {err}", out.status);
    assert!(took < SOON, "{took:?}");
}
