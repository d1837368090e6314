//! What kubeadm is told, in the form that its version reads.

use std::fmt::Display;

use serde::Serialize;

use super::inputs::Inputs;
use crate::cluster::KubernetesVersion;

/// How long kubeadm waits for the API server to be healthy. On a card it takes minutes, and with
/// images still to be pulled, many. First boot has the same in `lib/kubernetes`.
const CONTROL_PLANE_TIMEOUT: &str = "20m0s";

/// How long one `kubeadm join` looks for the control plane. First boot starts it again after.
const DISCOVERY_TIMEOUT: &str = "30m0s";

/// How long kubeadm's certificates are good for where that can be said (v1beta4): three years. They are renewed
/// long before; this is for a cluster that lies in a drawer, and for one whose renewal has failed unseen. As
/// hours, which is what `lib/kubernetes` reads.
const CERTIFICATE_VALIDITY: &str = "26280h0m0s";

/// Where containerd listens.
const CRI_SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// A command line argument of a component.
#[derive(Debug, Serialize)]
pub(super) struct Argument {
    name: &'static str,
    value: String,
}

/// What both kubeadm.yaml are made of.
#[derive(Debug, Serialize)]
pub(super) struct Kubeadm {
    api: &'static str,
    /// v1beta4 has arguments as a list of names and values, those before as a mapping.
    arguments_as_list: bool,
    /// v1beta4 has all timeouts in one place.
    timeouts_apart: bool,
    /// Of the certificates that kubeadm makes, where it takes one.
    certificate_validity: Option<&'static str>,
    version: String,
    cri_socket: &'static str,
    control_plane_timeout: &'static str,
    discovery_timeout: &'static str,
    pods: String,
    services: String,
    /// The pods' IPv6 network, where there is one.
    ipv6_pods: Option<String>,
    /// The networks of both kinds, the first of which is the one that is preferred.
    pod_subnet: String,
    service_subnet: String,
    schedule_on_control_plane: bool,
    kubelet_arguments: Vec<Argument>,
    single_leader: Vec<Argument>,
}

/// What kubeadm is told on a node.
pub(super) fn kubeadm(from: &Inputs<'_>) -> Kubeadm {
    let Inputs { node, cluster, .. } = from;
    let version = from.software.kubernetes;
    let api = version.kubeadm_api();
    let newest_form = api == "v1beta4";
    let ipv6 = cluster.network.ipv6.as_ref();
    let (pods, services) = (cluster.kubernetes.pods, cluster.kubernetes.services);
    let node_ip = both(node.address, node.ipv6);
    let mut kubelet_arguments = vec![Argument { name: "node-ip", value: node_ip }];
    if !node.labels.is_empty() {
        let labels = node.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let value = labels.collect::<Vec<_>>().join(",");
        kubelet_arguments.push(Argument { name: "node-labels", value });
    }
    Kubeadm {
        api,
        arguments_as_list: newest_form,
        timeouts_apart: newest_form,
        certificate_validity: newest_form.then_some(CERTIFICATE_VALIDITY),
        version: image_version(version),
        cri_socket: CRI_SOCKET,
        control_plane_timeout: CONTROL_PLANE_TIMEOUT,
        discovery_timeout: DISCOVERY_TIMEOUT,
        pods: pods.to_string(),
        services: services.to_string(),
        ipv6_pods: ipv6.map(|ipv6| ipv6.pods.to_string()),
        pod_subnet: both(pods, ipv6.map(|ipv6| ipv6.pods)),
        service_subnet: both(services, ipv6.map(|ipv6| ipv6.services)),
        schedule_on_control_plane: cluster.kubernetes.schedule_on_control_plane,
        kubelet_arguments,
        single_leader: vec![Argument { name: "leader-elect", value: "false".to_owned() }],
    }
}

/// What there is of IPv4 and IPv6, as kubeadm and kubelet take both: IPv4 is before, and so the kind that the API server
/// and the cluster's own services are of.
fn both(ipv4: impl Display, ipv6: Option<impl Display>) -> String {
    ipv6.map_or_else(|| ipv4.to_string(), |ipv6| format!("{ipv4},{ipv6}"))
}

/// A whole version, or kubeadm's name for the newest patch release of a minor one. First boot puts
/// the installed kubeadm's own version in the latter's place.
fn image_version(version: KubernetesVersion) -> String {
    match version.patch {
        Some(_) => format!("v{version}"),
        None => format!("stable-{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waits for a control plane waits equally long everywhere.
    #[test]
    fn first_boot_has_the_same_patience() {
        let minutes: u64 = CONTROL_PLANE_TIMEOUT.strip_suffix("m0s").unwrap().parse().unwrap();
        let library = include_str!("../../overlays/common/usr/lib/pibake/lib/kubernetes");
        let patience = format!("\npatience=${{PIBAKE_PATIENCE:-{}}}\n", minutes * 60);
        assert!(library.contains(&patience), "{patience}");
    }

    #[test]
    fn the_control_planes_images_are_of_the_version_asked_for() {
        assert_eq!(image_version(KubernetesVersion { minor: 34, patch: Some(2) }), "v1.34.2");
        assert_eq!(image_version(KubernetesVersion::minor(34)), "stable-1.34");
    }
}
