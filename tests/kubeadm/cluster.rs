//! A cluster of one control plane and one worker, made by kubeadm.

use serde_json::{Value, json};

use crate::certificates;
use crate::configuration::{SETTLE, documents, token_of};
use crate::descriptions::{DESCRIPTIONS, Description};
use crate::machine::{Machine, Project, Segment};
use crate::made::{Made, flags};

/// The baked stages, as first boot runs them.
pub const CONTROL_PLANE: &str = "/pibake/stage /pibake/stages/65-control-plane act";
pub const JOIN: &str = "/pibake/stage /pibake/stages/65-join act";

/// `kubeadm init --dry-run` says what it would do. Without the baked CA: of this kubeadm, what
/// comes after the certificates looks for the CA where a dry run would have put a new one.
pub fn dry_run(description: &Description) {
    let project = Project::new(description);
    let machine = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    let version = segment.run(&machine, "kubeadm version --output short").well();
    let script = format!(
        "{SETTLE}rm -r /etc/kubernetes\nkubeadm init --dry-run --config \"$config\" --skip-token-print"
    );
    let said = segment.run(&machine, &script).well();
    Made::said(&said).assert_as_meant(description, &token_of(&project, description), version.trim_end());
    // nothing but the folder that it says it is trying in
    assert!(!machine.path("/etc/kubernetes/manifests").exists());
    assert!(!machine.path("/var/lib/kubelet").exists());
}

/// All of `kubeadm init` and `kubeadm join`, called by the baked stages; what kubeadm starts and talks
/// to is stood in for.
pub fn init_and_join(description: &Description) {
    let project = Project::new(description);
    let token = token_of(&project, description);
    let first = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    let version = segment.run(&first, "kubeadm version --output short").well();
    let version = version.trim_end();
    let said = segment.run(&first, CONTROL_PLANE).well();
    assert!(said.contains("Your Kubernetes control-plane has initialized successfully!"), "{said}");
    assert!(said.contains("[certs] Using existing ca certificate authority\n"), "{said}");

    certificates::assert_of_the_baked_authority(description, &project, &first);
    certificates::assert_admins(description, &project, &first);
    Made::on(&first).assert_as_meant(description, &token, version);
    assert_images(description, &first);
    assert_marked(description, &first);
    assert_own_admin(description, &project, &mut segment, &first);

    // Once more, as when the power was cut in the middle: what is there is completed, not made anew.
    let said_again = segment.run(&first, CONTROL_PLANE).well();
    assert!(said_again.contains("[upload-config] ") && !said_again.contains("[certs] "), "{said_again}");
    Made::on(&first).assert_as_meant(description, &token, version);

    let Some((worker, address)) = description.worker else { return };
    let second = project.machine(worker);
    // The hash that kubeadm itself would have an administrator type, and the one that is baked.
    let told = said.split("--discovery-token-ca-cert-hash ").nth(1).unwrap();
    let told = told.split_whitespace().next().unwrap();
    let baked = &documents(&second.read("/etc/pibake/kubeadm.yaml"))[0];
    assert_eq!(baked["discovery"]["bootstrapToken"]["caCertHashes"], json!([told]));
    assert_eq!(certificates::pin(&first.path("/etc/kubernetes/pki/ca.crt")), told);

    segment.address(address);
    let said = segment.run(&second, JOIN).well();
    assert!(said.contains("This node has joined the cluster:"), "{said}");
    let (ca, kubelet) = ("/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/config.yaml");
    assert_eq!(second.read(ca), first.read(ca));
    assert_eq!(second.read(kubelet), first.read(kubelet));
    let env = second.read("/var/lib/kubelet/kubeadm-flags.env");
    assert_eq!(env.trim_end(), flags(address, description.labels));
    let config = &documents(&second.read("/etc/kubernetes/kubelet.conf"))[0];
    let server = format!("https://{}:6443", description.api_name);
    assert_eq!(config["clusters"][0]["cluster"]["server"], server);
    let made = Made::on(&first);
    let socket = "kubeadm.alpha.kubernetes.io/cri-socket";
    for node in [description.control_plane.0, worker] {
        let annotations = &made.object("Node", node)["metadata"]["annotations"];
        assert_eq!(annotations[socket], "unix:///run/containerd/containerd.sock", "{node}");
    }
}

/// Each image came from the registry that is described.
fn assert_images(description: &Description, machine: &Machine) {
    let pulled = machine.read("/var/log/pulled");
    assert_eq!(pulled.lines().count(), 7, "{pulled}");
    let prefix = format!("{}/", description.registry);
    assert!(pulled.lines().all(|image| image.starts_with(&prefix)), "{pulled}");
}

fn assert_marked(description: &Description, machine: &Machine) {
    let made = Made::on(machine);
    let node = made.object("Node", description.control_plane.0);
    assert_eq!(node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"], "");
    let taint = json!([{ "effect": "NoSchedule", "key": "node-role.kubernetes.io/master" }]);
    let expected = if description.control_plane_works { Value::Null } else { taint };
    assert_eq!(node["spec"]["taints"], expected);
}

/// The admin.conf that pibake keeps opens the cluster that kubeadm made.
fn assert_own_admin(description: &Description, project: &Project, segment: &mut Segment, machine: &Machine) {
    let own = std::fs::read_to_string(project.dir.path().join(".pibake/admin.conf")).unwrap();
    machine.put("/root/own.conf", &own, 0o600);
    let path = format!("/api/v1/nodes/{}", description.control_plane.0);
    let node = segment.run(machine, &format!("kubectl --kubeconfig /root/own.conf get --raw {path}")).well();
    let node: Value = serde_json::from_str(&node).unwrap();
    assert_eq!(node["metadata"]["name"], description.control_plane.0);
}

/// The power was cut before the API server was up: first boot has kubeadm throw away what it made,
/// and begin anew under the same authority.
pub fn anew() {
    let description = &DESCRIPTIONS[0];
    let project = Project::new(description);
    let machine = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    let version = segment.run(&machine, "kubeadm version --output short").well();
    let mut script = SETTLE.to_owned();
    for phase in ["certs all", "kubeconfig all", "kubelet-start", "etcd local"] {
        script += &format!("kubeadm init phase {phase} --config \"$config\"\n");
    }
    segment.run(&machine, &script).well();
    let certificate = "/etc/kubernetes/pki/apiserver.crt";
    let before = machine.read(certificate);
    let said = segment.run(&machine, CONTROL_PLANE).well();
    assert!(said.contains("starting over: "), "{said}");
    assert_ne!(machine.read(certificate), before);
    certificates::assert_of_the_baked_authority(description, &project, &machine);
    Made::on(&machine).assert_as_meant(description, &token_of(&project, description), version.trim_end());
}

/// A worker joins only what has the baked CA and knows the token.
pub fn refusals() {
    let description = &DESCRIPTIONS[0];
    let (worker, address) = description.worker.unwrap();
    let project = Project::new(description);
    let first = project.machine(description.control_plane.0);
    let second = project.machine(worker);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    segment.address(address);
    segment.run(&first, CONTROL_PLANE).well();

    let baked = second.read("/etc/pibake/kubeadm.yaml");
    let token = token_of(&project, description);
    let last = if token.ends_with('0') { '1' } else { '0' };
    let other_token = format!("{}{last}", &token[..token.len() - 1]);
    let pin = certificates::pin(&first.path("/etc/kubernetes/pki/ca.crt"));
    let last = if pin.ends_with('0') { '1' } else { '0' };
    let other_pin = format!("{}{last}", &pin[..pin.len() - 1]);
    // The stage compares the CA's hash before kubeadm does, and kubeadm would not take another one either.
    let plain = "kubeadm join --config /etc/pibake/kubeadm.yaml";
    for (from, to, by, reason) in [
        (&token, &other_token, JOIN, "failed to verify JWS signature of received cluster info object"),
        (&pin, &other_pin, JOIN, "its CA is not the one that this card was made for"),
        (&pin, &other_pin, plain, "is invalid: none of the public keys"),
    ] {
        assert!(baked.contains(from.as_str()));
        second.put("/etc/pibake/kubeadm.yaml", &baked.replace(from.as_str(), to), 0o600);
        let ran = segment.run(&second, by);
        assert_ne!(ran.status, 0, "{}", ran.out);
        assert!(ran.out.contains(reason) || ran.err.contains(reason), "{}{}", ran.out, ran.err);
        assert!(!second.path("/etc/kubernetes/kubelet.conf").exists());
    }
    second.put("/etc/pibake/kubeadm.yaml", &baked, 0o600);
    segment.run(&second, JOIN).well();
}

/// A new card of a node whose token is gone from the cluster.
pub fn joins_by_certificate() {
    let description = &DESCRIPTIONS[0];
    let (worker, address) = description.worker.unwrap();
    let project = Project::new(description);
    let first = project.machine(description.control_plane.0);
    let second = project.machine(worker);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    segment.address(address);
    segment.run(&first, CONTROL_PLANE).well();
    let token = token_of(&project, description);
    let baked = second.read("/etc/pibake/kubeadm.yaml");
    let unknown = if token.starts_with("unused") { "others" } else { "unused" };
    second.put("/etc/pibake/kubeadm.yaml", &baked.replace(&token[..6], unknown), 0o600);
    let said = segment.run(&second, JOIN).well();
    assert!(said.contains("by the certificate that is on it"), "{said}");
    assert!(said.contains("This node has joined the cluster:"), "{said}");
    assert_eq!(second.read("/etc/kubernetes/pki/ca.crt"), first.read("/etc/kubernetes/pki/ca.crt"));
    assert_eq!(second.read("/var/lib/kubelet/config.yaml"), first.read("/var/lib/kubelet/config.yaml"));
    let env = second.read("/var/lib/kubelet/kubeadm-flags.env");
    assert_eq!(env.trim_end(), flags(address, description.labels));
    // What kubelet asks for its own certificate with is that node's, and nobody else's.
    let config = &documents(&second.read("/etc/kubernetes/kubelet.conf"))[0];
    let data = config["users"][0]["user"]["client-certificate-data"].as_str().unwrap();
    let mut subject = support::tool("sh", "dash");
    subject.args([
        "-c",
        "printf %s \"$1\" | base64 -d | openssl x509 -noout -subject -nameopt RFC2253",
        "sh",
        data,
    ]);
    let subject = support::run(&mut subject);
    assert!(
        subject.contains(&format!("CN=system:node:{worker}")) && subject.contains("O=system:nodes"),
        "{subject}"
    );
}
