//! Every document that kubeadm is given, of every version and of every kind of cluster, against the
//! types that it is decoded into.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use pibake::cluster::platform::{NEWEST_KUBERNETES, OLDEST_KUBERNETES};
use pibake::cluster::*;
use serde_json::{Value, json};

use super::api::Api;
use crate::fixture::{book, closed, lan, odd, on, read, root_file, with_nodes};

/// The kubeadms that read each version of its API (`kubeadm config migrate` of each; v1beta3 is gone
/// with 1.37, kubernetes#139203).
fn readers(api: &str) -> RangeInclusive<u16> {
    match api {
        "kubeadm.k8s.io/v1beta2" => 15..=26,
        "kubeadm.k8s.io/v1beta3" => 22..=36,
        "kubeadm.k8s.io/v1beta4" => 31..=NEWEST_KUBERNETES,
        "kubelet.config.k8s.io/v1beta1" => OLDEST_KUBERNETES..=NEWEST_KUBERNETES,
        other => panic!("no such API: {other}"),
    }
}

fn clusters() -> Vec<(&'static str, Cluster)> {
    let upstream =
        "nodes = 2\n[sources]\nimage-registry = \"registry.lan:5000/k8s\"\nimage-layout = \"upstream\"\n";
    let networks = "nodes = 2\n[kubernetes]\npods = \"100.64.0.0/14\"\nservices = \"172.30.16.0/20\"\nschedule-on-control-plane = true\n";
    vec![
        ("book", book()),
        ("one", with_nodes(1)),
        ("odd", odd()),
        ("closed", closed()),
        ("lan", lan(LanAddressing::Static)),
        ("dhcp", lan(LanAddressing::Dhcp)),
        ("upstream", read(upstream)),
        ("networks", read(networks)),
    ]
}

/// All documents, each with the version that it is for and what it is.
static DOCUMENTS: LazyLock<Vec<(KubernetesVersion, String, Value)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (name, cluster) in clusters() {
        for minor in OLDEST_KUBERNETES..=NEWEST_KUBERNETES {
            // Only around the moves of CoreDNS does a patch release matter.
            let patches: &[_] = if minor < 26 { &[None, Some(0), Some(2)] } else { &[None] };
            for patch in patches.iter().copied() {
                let version = KubernetesVersion { minor, patch };
                let mut cluster = cluster.clone();
                cluster.kubernetes.version = Some(version);
                "http://mirror.lan/{minor}".clone_into(&mut cluster.sources.kubernetes.url);
                for node in [&cluster.nodes[0], &cluster.nodes[cluster.nodes.len() - 1]] {
                    let recipe = on(&cluster, "24.04", node.number);
                    let text = root_file(&recipe, "/etc/pibake/kubeadm.yaml");
                    let found: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
                    let place = format!("{version} {name} {}", node.name);
                    let kinds: Vec<_> = found.iter().map(|d| d["kind"].as_str().unwrap()).collect();
                    if node.is_control_plane() {
                        let wanted = ["InitConfiguration", "ClusterConfiguration", "KubeletConfiguration"];
                        assert_eq!(kinds, wanted, "{place}");
                    } else {
                        assert_eq!(kinds, ["JoinConfiguration"], "{place}");
                    }
                    all.extend(found.into_iter().map(|document| (version, place.clone(), document)));
                }
            }
        }
    }
    all
});

#[test]
fn every_document_is_what_its_kubeadm_decodes() {
    let mut seen = 0;
    for (version, place, document) in DOCUMENTS.iter() {
        let api = document["apiVersion"].as_str().unwrap();
        assert!(readers(api).contains(&version.minor), "{place}: kubeadm does not read {api}");
        let faults = Api::named(api).unwrap().faults(document);
        assert!(faults.is_empty(), "{place}: {faults:?}");
        let dns = document.pointer("/dns/imageRepository").and_then(Value::as_str);
        if document["kind"] == "ClusterConfiguration" {
            let nested = !place.contains("closed") && version.minor > 20;
            let first = version.minor == 21 && version.patch == Some(0);
            let own = document["imageRepository"] == "registry.k8s.io" && version.minor >= 25;
            let wanted = nested && !first && !own;
            assert_eq!(dns.is_some(), wanted, "{place}");
            let repository = document["imageRepository"].as_str().unwrap();
            assert!(dns.is_none_or(|dns| dns == format!("{repository}/coredns")), "{place}");
            seen += usize::from(wanted);
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn a_document_that_is_wrong_is_found_out() {
    let mut tried = 0;
    for (_, place, document) in DOCUMENTS.iter().step_by(17) {
        let api = Api::named(document["apiVersion"].as_str().unwrap()).unwrap();
        let wrong = |what: &str, change: &dyn Fn(&mut Value)| {
            let mut other = document.clone();
            change(&mut other);
            if other != *document {
                assert_ne!(api.faults(&other), [""; 0], "{place}: {what}");
            }
        };
        wrong("an unknown field", &|d| d["somethingElse"] = json!("x"));
        wrong("a field one level too low", &|d| d["nodeRegistration"]["node-ip"] = json!("10.0.0.1"));
        wrong("another kind", &|d| d["kind"] = json!("NodeConfiguration"));
        for (pointer, value) in [
            ("/nodeRegistration/kubeletExtraArgs", json!("--v=2")),
            ("/localAPIEndpoint/bindPort", json!("6443")),
            ("/bootstrapTokens/0/ttl", json!(0)),
            ("/bootstrapTokens/0/token", json!("short")),
            ("/networking", json!("10.244.0.0/16")),
            ("/apiServer/certSANs", json!("one")),
            ("/discovery/bootstrapToken/caCertHashes", json!("sha256:")),
            ("/cgroupDriver", json!(true)),
        ] {
            wrong(pointer, &|d| {
                if let Some(place) = d.pointer_mut(pointer) {
                    *place = value.clone();
                }
            });
        }
        // The other version's form of arguments.
        wrong("arguments", &|d| {
            if let Some(arguments) = d.pointer_mut("/nodeRegistration/kubeletExtraArgs") {
                *arguments = match arguments {
                    Value::Array(_) => json!({"node-ip": "10.0.0.1"}),
                    _ => json!([{"name": "node-ip", "value": "10.0.0.1"}]),
                };
            }
        });
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}
