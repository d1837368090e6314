//! A control plane that is lost, and made again from a copy of etcd: by the image that `pibake restore` makes, the
//! real kubeadm, and etcd's own programs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::certificates;
use crate::cluster::CONTROL_PLANE;
use crate::descriptions::DESCRIPTIONS;
use crate::machine::{Machine, Project, Segment};
use support::{run, tool};

const KEPT: [&str; 6] = [
    "pki/sa.key",
    "pki/sa.pub",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
];

/// An etcd on loopback, without certificates.
struct Etcd {
    server: Child,
    client: String,
}

impl Etcd {
    /// Over that data; as `kubeadm` calls the member where it is told so.
    fn over(data: &Path, member: &[&str]) -> Self {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [client, peer] = ports.map(|port| format!("http://{}", port.local_addr().unwrap()));
        let mut etcd = tool("etcd", "etcd-server");
        etcd.arg("--data-dir").arg(data);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer]).args(member);
        let server = etcd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let etcd = Self { server, client };
        for _ in 0..600 {
            if etcd.etcdctl(&["endpoint", "health"]).output().unwrap().status.success() {
                return etcd;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("etcd does not come up over {}", data.display());
    }

    fn etcdctl(&self, arguments: &[&str]) -> Command {
        let mut command = tool("etcdctl", "etcd-client");
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(&self.client).args(arguments);
        command
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What `snapshot` makes on a node, of a database that has one key.
fn copy(machine: &Machine, dir: &Path) {
    fs::create_dir_all(dir.join("copy/pki/etcd")).unwrap();
    let etcd = Etcd::over(&dir.join("old"), &[]);
    run(&mut etcd.etcdctl(&["put", "/registry/x", "in the cluster"]));
    run(etcd.etcdctl(&["snapshot", "save"]).arg(dir.join("copy/etcd.db")));
    for file in KEPT {
        fs::write(dir.join("copy").join(file), machine.read(&format!("/etc/kubernetes/{file}"))).unwrap();
    }
    let ca = hex::encode(Sha256::digest(machine.read("/etc/kubernetes/pki/ca.crt")));
    let about = format!(
        "format=1\nnode=node-1\nmade=2026-11-26T13:12:27Z\nrevision=2\nkubernetes=v1.20.2\nca={ca}\n"
    );
    fs::write(dir.join("copy/about"), about).unwrap();
    run(tool("tar", "tar")
        .arg("-C")
        .arg(dir.join("copy"))
        .arg("-cf")
        .arg(dir.join("etcd.tar"))
        .args(["about", "etcd.db", "pki"]));
}

pub fn goes_on() {
    let description = &DESCRIPTIONS[0];
    let (node, address) = description.control_plane;
    let project = Project::new(description);
    let first = project.machine(node);
    let mut segment = Segment::new();
    segment.address(address);
    segment.run(&first, CONTROL_PLANE).well();
    let before = KEPT.map(|file| first.read(&format!("/etc/kubernetes/{file}")));
    let dir = tempfile::tempdir().unwrap();
    copy(&first, dir.path());
    // The card dies.
    drop(segment);
    fs::remove_dir_all(first.path("/")).unwrap();

    run(project.pibake().args(["restore", "--base", "sample"]).arg(dir.path().join("etcd.tar")));
    let second = project.machine(node);
    let archive = "/var/lib/pibake/restore.tar.gz";
    let mut inspect = project.pibake();
    inspect.args(["inspect", "images/node-1.img", archive]);
    let out = inspect.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    fs::create_dir_all(second.path("/var/lib/pibake")).unwrap();
    fs::write(second.path(archive), out.stdout).unwrap();
    let mut segment = Segment::new();
    segment.address(address);
    let said = segment.run(&second, CONTROL_PLANE).well();
    assert!(said.contains("restoring etcd from the copy"), "{said}");
    for authority in ["ca", "front-proxy-ca", "etcd/ca"] {
        assert!(
            said.contains(&format!("[certs] Using existing {authority} certificate authority\n")),
            "{said}"
        );
    }
    assert!(said.contains("[certs] Using the existing \"sa\" key\n"), "{said}");
    assert!(said.contains("Your Kubernetes control-plane has initialized successfully!"), "{said}");
    assert_eq!(KEPT.map(|file| second.read(&format!("/etc/kubernetes/{file}"))), before);
    certificates::assert_of_the_baked_authority(description, &project, &second);
    let mode = fs::metadata(second.path("/var/lib/etcd")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);

    // etcd takes it under the name and address that kubeadm's manifest has.
    drop(segment);
    let manifest = second.read("/etc/kubernetes/manifests/etcd.yaml");
    let of_member = ["--name=", "--initial-cluster=", "--initial-advertise-peer-urls="];
    let flags = manifest.lines().filter_map(|line| line.trim_start().strip_prefix("- "));
    let flags: Vec<&str> = flags.filter(|flag| of_member.iter().any(|name| flag.starts_with(name))).collect();
    assert_eq!(flags.len(), 3, "{manifest}");
    let etcd = Etcd::over(&second.path("/var/lib/etcd"), &flags);
    assert_eq!(
        run(&mut etcd.etcdctl(&["get", "--print-value-only", "/registry/x"])).trim_end(),
        "in the cluster"
    );
    let members = run(&mut etcd.etcdctl(&["member", "list"]));
    assert!(members.contains(&format!("https://{address}:2380")), "{members}");
}
