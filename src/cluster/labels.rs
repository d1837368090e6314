//! Kubernetes labels.

use super::check;

/// Prefixes under kubernetes.io and k8s.io that a kubelet may label its own node with
/// (kubernetes.io/docs/reference/labels-annotations-taints, admission plugin NodeRestriction).
const OWN_PREFIXES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// Whole keys there that it may set.
const OWN_KEYS: [&str; 9] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// A label's key: an optional domain and `/`, then a name.
pub(super) fn key(text: &str) -> Result<(), String> {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(p, n)| (Some(p), n));
    if name.is_empty() || !word(name) {
        return Err(format!("the label {text:?} must have a name of 1 to 63 letters, digits, '-', '_', '.'"));
    }
    let Some(prefix) = prefix else { return Ok(()) };
    check::domain(prefix)
        .map_err(|e| format!("the label {text:?} must have a domain before its '/': {e}"))?;
    let reserved = ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|d| prefix == *d || prefix.strip_suffix(d).is_some_and(|rest| rest.ends_with('.')));
    let own = |p: &str| prefix == p || prefix.strip_suffix(p).is_some_and(|rest| rest.ends_with('.'));
    if reserved && !OWN_PREFIXES.iter().any(|p| own(p)) && !OWN_KEYS.contains(&text) {
        return Err(format!(
            "the label {text:?} is one that a node may not give itself; set it with kubectl, or take \
             another domain"
        ));
    }
    Ok(())
}

/// A label's value; it may be empty.
pub(super) fn value(text: &str) -> Result<String, String> {
    if text.is_empty() || word(text) {
        return Ok(text.to_owned());
    }
    Err("must be at most 63 letters, digits, '-', '_', '.', with a letter or digit at both ends".to_owned())
}

fn word(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= 63 && edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_that_a_kubelet_may_set() {
        for good in ["disk", "example.com/disk", "node.kubernetes.io/x", "topology.kubernetes.io/zone"] {
            assert_eq!(key(good), Ok(()), "{good}");
        }
        for bad in
            ["", "-x", "a/b/c", "/x", "x/", "Ex.com/x", "kubernetes.io/x", "node-role.kubernetes.io/worker"]
        {
            assert!(key(bad).is_err(), "{bad}");
        }
        assert!(value("").is_ok() && value("a.b_c-D").is_ok());
        assert!(value("a b").is_err() && value(&"x".repeat(64)).is_err());
    }
}
