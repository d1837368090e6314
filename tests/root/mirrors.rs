//! Mirrors of registries, as a real containerd asks them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Failed, Trial};
use pibake::recipe::Volume;

use crate::fixture::{book, lay_out, of};
use crate::images::Disk;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("mirrors::each_is_asked_at_its_own_path", || -> Result<(), Failed> {
        each_is_asked_at_its_own_path();
        Ok(())
    })]
}

/// The paths that were asked for, all in vain.
fn listen() -> (u16, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            if let Some(path) = lines.next().and_then(|line| Some(line.split(' ').nth(1)?.to_owned())) {
                noted.lock().unwrap().insert(path.split('?').next().unwrap().to_owned());
            }
            for _ in lines.by_ref().take_while(|line| !line.is_empty()) {}
            _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, asked)
}

fn each_is_asked_at_its_own_path() {
    let (port, asked) = listen();
    let mut cluster = book();
    let own = format!("127.0.0.1:{port}");
    for (registry, path) in [
        ("docker.io", "/v2/hub"),
        ("quay.io", ""),
        ("ghcr.io", "/v2"),
        ("registry.k8s.io", "/below/v2/a/b"),
        ("gcr.io", "/below"),
        (own.as_str(), ""),
    ] {
        let endpoints = vec![format!("http://127.0.0.1:{port}{path}")];
        cluster.sources.registry_mirrors.insert(registry.to_owned(), endpoints);
    }
    let baked = tempfile::tempdir().unwrap();
    lay_out(&of(&cluster, 2), Volume::Root, baked.path());
    let hosts = baked.path().join("etc/containerd/certs.d");

    let disk = Disk::new();
    for (image, path) in [
        ("docker.io/library/a:1", "/v2/hub/library/a/manifests/1"),
        ("quay.io/x/y:1", "/v2/x/y/manifests/1"),
        ("ghcr.io/x/z:1", "/v2/x/z/manifests/1"),
        ("registry.k8s.io/pause:3", "/below/v2/a/b/pause/manifests/3"),
        ("gcr.io/x/y:2", "/below/v2/x/y/manifests/2"),
        (&format!("{own}/x/own:1"), "/v2/x/own/manifests/1"),
    ] {
        // It goes on to the registry itself by a proxy that is not there; loopback is without one.
        let mut pull = disk.ctr_command(&["images", "pull", "--hosts-dir", hosts.to_str().unwrap(), image]);
        let out = pull.env("HTTPS_PROXY", "http://127.0.0.1:1").output().unwrap();
        assert!(!out.status.success());
        let asked = asked.lock().unwrap();
        assert!(asked.contains(path), "{image} at {path}: {asked:?}");
        assert!(!asked.iter().any(|path| path.matches("/v2/").count() > 1), "{asked:?}");
    }
}
