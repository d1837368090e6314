//! The stages of the first boot as the pages show them: `[8/18] dhcp: done`.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

/// Stages that a card has only where its description asks for them.
const ON_REQUEST: [&str; 3] = ["52-preloaded-images", "57-time-servers", "72-manifests"];

/// The names of a role's stages on the card of a description as `init` writes it, in their order.
fn stages(role: &str) -> Vec<String> {
    let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays");
    let mut files = BTreeSet::new();
    for part in ["common", role] {
        let folder = overlays.join(part).join("usr/lib/pibake/stages");
        files.extend(
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()),
        );
    }
    let on_request = |file: &String| ON_REQUEST.contains(&file.as_str());
    assert_eq!(files.iter().filter(|file| on_request(file)).count(), if role == "worker" { 2 } else { 3 });
    let kept = files.into_iter().filter(|file| !on_request(file));
    kept.map(|file| file.split_once('-').unwrap().1.to_owned()).collect()
}

#[test]
fn stages_on_the_pages_are_those_of_a_card() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let step = Regex::new(r"\[(\d+)/(\d+)\] ([a-z-]+)").unwrap();
    let total = Regex::new(r"start \d+, (\d+) stages|(?m:^stages=(\d+)$)").unwrap();
    let status = Regex::new(r"(?m)^step=(\d+) ([a-z-]+) ").unwrap();
    let roles = ["control-plane", "worker"].map(stages);
    let mut seen = 0;
    for page in ["README.md", "docs/first-boot.md", "docs/testing.md", "docs/tutorial.md"] {
        let text = std::fs::read_to_string(top.join(page)).unwrap();
        for found in step.captures_iter(&text) {
            let [number, of] = [1, 2].map(|group| found[group].parse::<usize>().unwrap());
            let right = roles.iter().any(|role| role.len() == of && role[number - 1] == found[3]);
            assert!(right, "{page}: {}; the stages are {roles:?}", &found[0]);
            seen += 1;
        }
        for found in total.captures_iter(&text) {
            let of: usize = found.get(1).or(found.get(2)).unwrap().as_str().parse().unwrap();
            assert!(roles.iter().any(|role| role.len() == of), "{page}: {}", &found[0]);
        }
        for found in status.captures_iter(&text) {
            let number: usize = found[1].parse().unwrap();
            let right = roles.iter().any(|role| role.get(number - 1).is_some_and(|name| *name == found[2]));
            assert!(right, "{page}: {}", &found[0]);
        }
    }
    assert!(seen > 10, "the pages show {seen} stages");
}
