//! What else people call the releases that base images are made of.

use crate::catalog::{Image, InvalidSpec};
use crate::cluster::platform;

/// Names of other systems for Pis, which people ask for.
const OTHER_SYSTEMS: [&str; 8] =
    ["raspios", "raspbian", "raspberry", "dietpi", "armbian", "alpine", "fedora", "talos"];

/// What is wrong with the name of an image, and which one is meant by a code name (`focal`), by a name with more
/// in it (`ubuntu-22.04-server`), or by that of another system.
pub(super) fn meant(fault: &InvalidSpec) -> String {
    let InvalidSpec::Unknown { given, suggestion: None } = fault else { return fault.to_string() };
    let lower = given.to_lowercase();
    let words = || lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let of_codename = |word: &str| platform::by_codename(word).and_then(|known| Image::find(known.version));
    if let Some(image) = words().find_map(|word| Image::find(word).or_else(|| of_codename(word))) {
        return format!("unknown base image {given:?}: did you mean {}?", image.release);
    }
    if OTHER_SYSTEMS.iter().any(|other| lower.starts_with(other)) {
        return format!(
            "{fault}. pibake makes nodes of Ubuntu's images for the Raspberry Pi, not of other systems"
        );
    }
    fault.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_other_names() {
        let said = |given: &str| meant(&given.parse::<crate::catalog::Spec>().unwrap_err());
        for (given, release) in [
            ("focal", "20.04.5"),
            ("Jammy", "22.04.5"),
            ("ubuntu-22.04-server", "22.04.5"),
            ("noble-arm64", "24.04"),
        ] {
            assert!(said(given).contains(&format!("did you mean {release}")), "{}", said(given));
        }
        assert!(said("raspios-lite").contains("Ubuntu's images"), "{}", said("raspios-lite"));
        // no image that could be given is behind these
        for given in ["bookworm", "ubuntu", "latest"] {
            assert!(!said(given).contains("did you mean"), "{}", said(given));
        }
    }
}
