//! kubeadm's own words for what it read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::descriptions::Description;
use crate::machine::{Project, Segment};

/// What first boot does before it calls kubeadm on the control plane, by its own baked library;
/// afterwards `$config` is what kubeadm gets.
pub const SETTLE: &str =
    "here=/pibake\n. /pibake/lib/base\n. /pibake/lib/kubernetes\nprepare\nconfig=$(settle_version)\n";

/// How many nodes can be added to a cluster before its control plane must be told of their tokens.
const SPARE_TOKENS: usize = 16;

/// `kubeadm config migrate` prints all that it understood, and nothing of what it did not.
pub fn read_as_meant(description: &Description) {
    let project = Project::new(description);
    let first = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    let version = segment.run(&first, "kubeadm version --output short").well();
    let said =
        segment.run(&first, &format!("{SETTLE}kubeadm config migrate --old-config \"$config\"")).well();
    let documents = documents(&said);
    let token = token_of(&project, description);
    let mut init = document(&documents, "InitConfiguration").clone();
    // One for each worker, and for those to come.
    let tokens = init["bootstrapTokens"].take();
    let tokens = tokens.as_array().unwrap();
    let own = bootstrap_token(description, &token);
    assert_eq!(tokens.iter().filter(|token| **token == own).count(), 1, "{tokens:#?}");
    let names: BTreeSet<_> = tokens.iter().map(|token| token["description"].as_str().unwrap()).collect();
    assert_eq!(names.len(), tokens.len(), "two tokens for one node: {tokens:#?}");
    assert_eq!(tokens.len(), project.nodes() - 1 + SPARE_TOKENS, "{tokens:#?}");
    assert_eq!(init, init_configuration(description));
    let cluster = cluster_configuration(description, version.trim_end());
    assert_eq!(document(&documents, "ClusterConfiguration"), &cluster);
    assert_eq!(documents.len(), 2);

    // The token has the form of kubeadm's own.
    let own = segment.run(&first, "kubeadm token generate").well();
    assert_eq!(shape(&token), shape(own.trim_end()));

    let images =
        segment.run(&first, &format!("{SETTLE}kubeadm config images list --config \"$config\"")).well();
    let images: Vec<&str> = images.lines().collect();
    assert_eq!(images.len(), 7, "{images:?}");
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        let image = format!("{}/{name}:{}", description.registry, version.trim_end());
        assert!(images.contains(&image.as_str()), "{images:?}");
    }
    // All of them are known without asking it.
    let patch = version.trim_end().rsplit('.').next().unwrap().parse().unwrap();
    let known = project.kubeadm_images(patch);
    let known: BTreeSet<&str> =
        known.control_plane.iter().chain(&known.any_node).map(String::as_str).collect();
    assert_eq!(images.iter().copied().collect::<BTreeSet<_>>(), known);
    // The pause image that containerd is told is kubeadm's own.
    let containerd: toml::Table =
        project.baked(description.control_plane.0, "/etc/containerd/config.toml").parse().unwrap();
    let pause = containerd["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"].as_str().unwrap();
    assert!(images.contains(&pause), "{images:?} has no {pause}");

    let Some((worker, address)) = description.worker else { return };
    let second = project.machine(worker);
    let said = segment.run(&second, "kubeadm config migrate --old-config /etc/pibake/kubeadm.yaml").well();
    let mut arguments = json!({ "node-ip": address });
    if let Some(labels) = description.labels {
        arguments["node-labels"] = labels.into();
    }
    let expected = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta2",
        "kind": "JoinConfiguration",
        "caCertPath": "/etc/kubernetes/pki/ca.crt",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": format!("{}:6443", description.api_name),
                "caCertHashes": [crate::certificates::pin(&first.path("/etc/kubernetes/pki/ca.crt"))],
                "token": token,
            },
            "timeout": "30m0s",
            "tlsBootstrapToken": token,
        },
        "nodeRegistration": {
            "criSocket": "unix:///run/containerd/containerd.sock",
            "kubeletExtraArgs": arguments,
            "name": worker,
            "taints": null,
        },
    });
    let documents = self::documents(&said);
    assert_eq!(documents, [expected]);
}

fn bootstrap_token(description: &Description, token: &str) -> Value {
    json!({
        "description": format!("pibake: {}", description.worker.map_or("node-2", |worker| worker.0)),
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
        "token": token,
        "ttl": "2160h0m0s",
        "usages": ["signing", "authentication"],
    })
}

fn init_configuration(description: &Description) -> Value {
    let (name, address) = description.control_plane;
    let taint = json!([{ "effect": "NoSchedule", "key": "node-role.kubernetes.io/master" }]);
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta2",
        "kind": "InitConfiguration",
        "bootstrapTokens": null,
        "localAPIEndpoint": { "advertiseAddress": address, "bindPort": 6443 },
        "nodeRegistration": {
            "criSocket": "unix:///run/containerd/containerd.sock",
            "kubeletExtraArgs": { "node-ip": address },
            "name": name,
            "taints": if description.control_plane_works { json!([]) } else { taint },
        },
    })
}

/// With what kubeadm adds of its own.
fn cluster_configuration(description: &Description, version: &str) -> Value {
    let (name, address) = description.control_plane;
    let single_leader = json!({ "extraArgs": { "leader-elect": "false" } });
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta2",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "certSANs": [
                description.api_name,
                format!("{name}.{}", description.domain),
                name,
                address,
                "localhost",
                "127.0.0.1",
            ],
            "timeoutForControlPlane": "20m0s",
        },
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": description.cluster,
        "controlPlaneEndpoint": format!("{}:6443", description.api_name),
        "controllerManager": single_leader,
        "dns": { "type": "CoreDNS" },
        "etcd": { "local": { "dataDir": "/var/lib/etcd" } },
        "imageRepository": description.registry,
        "kubernetesVersion": version,
        "networking": {
            "dnsDomain": "cluster.local",
            "podSubnet": description.pods,
            "serviceSubnet": description.services,
        },
        "scheduler": single_leader,
    })
}

/// The token that the project keeps for the description's worker.
pub fn token_of(project: &Project, description: &Description) -> String {
    // without a worker, that of the first one to come
    let number = description.worker.map_or(2, |worker| project.number(worker.0));
    std::fs::read_to_string(project.dir.path().join(".pibake/token"))
        .unwrap()
        .lines()
        .nth(number - 1)
        .unwrap()
        .to_owned()
}

/// `x` for each letter and digit that a token may have.
fn shape(token: &str) -> String {
    token.chars().map(|c| if matches!(c, 'a'..='z' | '0'..='9') { 'x' } else { c }).collect()
}

pub fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub fn document<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    let only = found.next().unwrap_or_else(|| panic!("no {kind} in {documents:?}"));
    assert!(found.next().is_none(), "more than one {kind}");
    only
}
