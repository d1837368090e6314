//! What the files are for that pibake ships, as `overlays/manifest.toml` says.

use super::BUILT_IN;
use crate::recipe::Volume;

/// What is at `path`, in words; `None` if pibake ships no such file.
pub(in crate::recipe) fn purpose(volume: Volume, path: &str) -> Option<&'static str> {
    let file = BUILT_IN.iter().rev().find(|file| file.layer.volume() == volume && lands_at(file.path, path));
    file.map(|file| file.why)
}

/// Whether a file of that path lands at `path`: `@registry@` in it stands for any one name.
fn lands_at(own: &str, path: &str) -> bool {
    let stands_for_any = |part: &str| part.len() > 1 && part.starts_with('@') && part.ends_with('@');
    let (mut own, mut path) = (own.split('/'), path.split('/'));
    loop {
        match (own.next(), path.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || stands_for_any(a) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_files_have_a_purpose_and_others_have_none() {
        let of = |path| purpose(Volume::Root, path);
        assert_eq!(of("/etc/crictl.yaml"), Some("where crictl finds containerd"));
        assert!(of("/etc/containerd/certs.d/docker.io/hosts.toml").is_some());
        for other in
            ["/etc/containerd/certs.d/hosts.toml", "/etc/crictl", "/etc/crictl.yaml/x", "/meta-data", "/"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(purpose(Volume::Boot, "/meta-data").is_some());
    }
}
