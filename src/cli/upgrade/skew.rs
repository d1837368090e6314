//! Which version of Kubernetes can follow on which (kubernetes.io/releases/version-skew-policy).

use crate::cluster::KubernetesVersion;
use crate::identity::kubelet_may_lag;

/// Why a cluster whose API server is `server` and whose kubelets are these cannot become `target`; what to do instead
/// stands there, too.
pub(super) fn fault(
    target: KubernetesVersion,
    server: KubernetesVersion,
    kubelets: &[(String, KubernetesVersion)],
) -> Option<String> {
    if target.minor < server.minor
        || target.minor == server.minor && target.patch.is_some() && target < server
    {
        return Some(format!(
            "the API server is {server}, and there is no way back to {target}: what etcd holds by now the older one may \
             not know. A copy of etcd from before goes with a new card of node-1 (pibake restore)"
        ));
    }
    if target.minor > server.minor + 1 {
        let next = KubernetesVersion::minor(server.minor + 1);
        return Some(format!(
            "the API server is {server}, and kubeadm goes one minor version at a time: pibake upgrade --kubernetes {next} \
             comes first"
        ));
    }
    if let Some((node, kubelet)) =
        kubelets.iter().find(|(_, kubelet)| kubelet.minor > server.minor.max(target.minor))
    {
        return Some(format!(
            "the kubelet of {node} is {kubelet}, which is newer than the API server ({server}): write its card again, \
             with what this cluster has"
        ));
    }
    let lag = kubelet_may_lag(target);
    let is_too_old = |(_, kubelet): &&(String, KubernetesVersion)| kubelet.minor + lag < target.minor;
    kubelets.iter().find(is_too_old).map(|(node, kubelet)| {
        format!(
            "the kubelet of {node} is {kubelet}, and under an API server {target} it may not be older than 1.{}: \
             pibake upgrade --kubernetes {} brings it to what the API server is now",
            target.minor.saturating_sub(lag),
            KubernetesVersion::minor(server.minor)
        )
    })
}

/// Whether `running` is what `target` asks for.
pub(super) fn is_met(target: KubernetesVersion, running: KubernetesVersion) -> bool {
    target.minor == running.minor && target.patch.is_none_or(|patch| running.patch == Some(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(target: &str, server: &str, kubelets: &[&str]) -> String {
        let of = |text: &str| text.parse::<KubernetesVersion>().unwrap();
        let kubelets: Vec<_> =
            kubelets.iter().enumerate().map(|(i, text)| (format!("node-{}", i + 1), of(text))).collect();
        fault(of(target), of(server), &kubelets).unwrap_or_else(|| "goes".to_owned())
    }

    #[test]
    fn one_minor_version_follows_on_another() {
        for (target, server, kubelets) in [
            ("1.35", "1.34.2", &["1.34.2", "1.34.2"][..]),
            ("1.35.1", "1.34.2", &["1.34.2", "1.32.0"]),
            // Where it stopped: node-1 is done.
            ("1.35", "1.35.0", &["1.35.0", "1.34.2"]),
            ("1.35", "1.35.0", &["1.35.0", "1.32.9"]),
            // node-1's kubelet is done before it is asked for the API server that runs.
            ("1.35", "1.34.2", &["1.35.0", "1.34.2"]),
            ("1.34.3", "1.34.2", &["1.34.2"]),
            ("1.34", "1.34.2", &["1.34.2"]),
            ("1.27", "1.26.1", &["1.25.0"]),
        ] {
            assert_eq!(said(target, server, kubelets), "goes", "{target} on {server}, {kubelets:?}");
        }
    }

    #[test]
    fn what_cannot_follow_is_said_with_the_way() {
        let lines: Vec<String> = [
            ("1.36", "1.34.2", &["1.34.2"][..]),
            ("1.33", "1.34.2", &["1.34.2"]),
            ("1.34.1", "1.34.2", &["1.34.2"]),
            ("1.35", "1.34.2", &["1.34.2", "1.36.0"]),
            ("1.35", "1.34.2", &["1.34.2", "1.31.9"]),
            // Two before 1.28.
            ("1.27", "1.26.1", &["1.26.1", "1.24.0"]),
        ]
        .iter()
        .map(|(target, server, kubelets)| {
            format!("{target} on {server}, {kubelets:?}\n  {}\n", said(target, server, kubelets))
        })
        .collect();
        insta::assert_snapshot!(lines.concat());
    }

    #[test]
    fn a_minor_version_is_met_by_each_of_its_releases() {
        let of = |text: &str| text.parse::<KubernetesVersion>().unwrap();
        for (target, running, met) in [
            ("1.35", "1.35.3", true),
            ("1.35.3", "1.35.3", true),
            ("1.35.2", "1.35.3", false),
            ("1.35", "1.34.9", false),
        ] {
            assert_eq!(is_met(of(target), of(running)), met, "{target} {running}");
        }
    }
}
