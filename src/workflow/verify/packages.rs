//! What is installed on a card, against the packages that the base had when it was made.

use std::collections::BTreeMap;

use super::outcome::{Difference, Ordinary, Verified};
use crate::bill::{Listed, Package};
use crate::image_reader::ImageReader;
use crate::workflow::bills::{STATUS, installed};

/// Adds what differs. A node that was started installs and upgrades.
pub(super) fn compare(image: &ImageReader, bill: &Listed, verified: &mut Verified) {
    let found = match installed(image) {
        Ok(found) => found,
        Err(fault) => {
            verified.differences.push(Difference::unreadable(STATUS, &fault));
            return;
        }
    };
    for (package, what) in differences(&bill.installed, &found) {
        let path = format!("the package {package}");
        match verified.is_used {
            true => verified.ordinary.push(Ordinary { path, what, why: "installed or upgraded by the node" }),
            false => verified.differences.push(Difference { path, what }),
        }
    }
}

/// What is otherwise among the packages that are there, by their names.
fn differences(wanted: &[Package], found: &[Package]) -> Vec<(String, String)> {
    let versions = |packages: &[Package]| -> BTreeMap<(String, String), String> {
        let one = |p: &Package| ((p.name.clone(), p.architecture.clone()), p.version.clone());
        packages.iter().map(one).collect()
    };
    let (wanted, found) = (versions(wanted), versions(found));
    let mut all = Vec::new();
    for ((name, architecture), version) in &wanted {
        match found.get(&(name.clone(), architecture.clone())) {
            Some(other) if other == version => {}
            Some(other) => all.push((name.clone(), format!("it is {other}, not {version}"))),
            None => all.push((name.clone(), format!("it is not installed, and was in version {version}"))),
        }
    }
    for (key, version) in found.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        all.push((key.0.clone(), format!("it is installed, in version {version}, and was not")));
    }
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_gone_new_or_others_are_named() {
        let package = |name: &str, version: &str| Package {
            name: name.to_owned(),
            architecture: "arm64".to_owned(),
            version: version.to_owned(),
        };
        let wanted = [package("a", "1"), package("b", "1"), package("c", "1")];
        let found = [package("a", "1"), package("b", "2"), package("d", "1")];
        let said: Vec<_> =
            differences(&wanted, &found).into_iter().map(|(name, what)| format!("{name}: {what}")).collect();
        assert_eq!(
            said,
            [
                "b: it is 2, not 1",
                "c: it is not installed, and was in version 1",
                "d: it is installed, in version 1, and was not"
            ]
        );
        assert_eq!(differences(&wanted, &wanted), []);
    }
}
