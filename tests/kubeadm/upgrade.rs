//! What the steps of an upgrade have the real kubeadm do. There is one release of it here, so nothing becomes another version; what
//! is held against it is that it takes each command as the steps give it, and finds in the cluster what it looks for.

use crate::cluster::{CONTROL_PLANE, JOIN};
use crate::descriptions::DESCRIPTIONS;
use crate::machine::{Machine, Project, Ran, Segment};

/// Runs one step, as `upgrade` does.
const STEP: &str =
    "mkdir -p /run/pibake\nPIBAKE_PATIENCE=60 PIBAKE_SLEEP=0.5 /bin/sh /pibake/stage /pibake/lib/upgrade";

/// What a kubelet tells the API server of itself, and the stand-in for it does not.
const REGISTERED: &str = r#"
node=/api/v1/nodes/$(cat /etc/hostname)
kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw $node | python3 -c '
import json, sys
node = json.load(sys.stdin)
node["status"] = {"nodeInfo": {"kubeletVersion": sys.argv[1]}, "conditions": [{"type": "Ready", "status": "True"}]}
json.dump(node, sys.stdout)
' "$(kubeadm version --output short)" >/run/node
kubectl --kubeconfig /etc/kubernetes/admin.conf replace --raw $node -f /run/node >/dev/null
"#;

struct Lab {
    machine: Machine,
    project: Project,
    segment: Segment,
}

fn lab() -> Lab {
    let description = &DESCRIPTIONS[0];
    let project = Project::new(description);
    let machine = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    segment.run(&machine, CONTROL_PLANE).well();
    Lab { machine, project, segment }
}

fn well(ran: Ran) -> String {
    assert_eq!(ran.status, 0, "{}\n{}", ran.out, ran.err);
    ran.out
}

/// The images are those of the release that kubeadm is of, from the registry that the cluster was made with.
pub fn images() {
    let Lab { machine, project: _project, mut segment } = lab();
    machine.put("/var/log/pulled", "", 0o644);
    well(segment.run(&machine, &format!("{STEP} do_images")));
    let pulled = machine.read("/var/log/pulled");
    let prefix = format!("{}/", DESCRIPTIONS[0].registry);
    assert_eq!(pulled.lines().count(), 7, "{pulled}");
    assert!(pulled.lines().all(|image| image.starts_with(&prefix)), "{pulled}");
    assert!(!machine.path("/run/pibake/kubeadm-images.yaml").exists());
}

/// `kubeadm upgrade apply` takes what the step gives it, finds the cluster well, and goes through all that it would do. It
/// does it dry: what is no etcd cannot be upgraded.
pub fn apply() {
    let Lab { machine, project: _project, mut segment } = lab();
    well(segment.run(&machine, REGISTERED));
    let steps = machine.read("/pibake/lib/upgrade");
    let line = steps.lines().map(str::trim).find(|line| line.starts_with("kubeadm upgrade apply")).unwrap();
    let dry = line.replace(" 8>&-", " --dry-run");
    let said = well(segment.run(&machine, &format!("release=$(kubeadm version --output short)\n{dry}")));
    assert!(said.contains("You have chosen to change the cluster version to"), "{said}");
    assert!(said.contains("Finished dryrunning successfully"), "{said}");
}

/// `kubeadm upgrade node` on a worker brings kubelet's configuration, by the kubelet's own rights.
pub fn worker() {
    let Lab { machine, project, mut segment } = lab();
    let (name, address) = DESCRIPTIONS[0].worker.unwrap();
    let second = project.machine(name);
    segment.address(address);
    segment.run(&second, JOIN).well();
    second.put("/var/lib/kubelet/config.yaml", "", 0o644);
    well(segment.run(&second, &format!("{STEP} do_configure")));
    let path = "/var/lib/kubelet/config.yaml";
    assert_eq!(second.read(path), machine.read(path));
}
