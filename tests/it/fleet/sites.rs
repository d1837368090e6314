//! docs/fleets.md, "Forty sites": the lines that it has, as they stand, with fewer sites and the sample for a base.

use std::path::Path;

use super::Machine;
use support::registry::Registry;
use support::{put_program, run, tool};

/// So many of the forty: the last one's number has two digits, as in the page.
const SITES: usize = 10;

/// The blocks of shell below a heading of the page.
fn blocks(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleets.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let fenced = section.split("```sh\n").skip(1);
    fenced.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn forty_sites_are_kept_by_the_lines_of_the_page() {
    let (registry, office, site, other) = (Registry::open(), Machine::new(), Machine::new(), Machine::new());
    std::fs::create_dir(office.path("bin")).unwrap();
    put_program(
        &office.path("bin/pibake"),
        format!("#!/bin/sh\nexec '{}' \"$@\" --base sample\n", env!("CARGO_BIN_EXE_pibake")),
    );
    std::fs::write(office.path("stations.txt"), format!("{} the office\n", office.key())).unwrap();
    let here = |block: &str| {
        let block = block.replace("registry.example", &registry.host()).replace("40)", &format!("{SITES})"));
        let mut shell = tool("bash", "bash");
        shell.current_dir(office.path("")).env("HOME", office.path(""));
        shell.env("PATH", format!("{}:{}", office.path("bin").display(), std::env::var("PATH").unwrap()));
        shell.env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
        run(shell.args(["-euc", &block]))
    };
    let [describe, push, change] = &blocks("Forty sites")[..] else { panic!("three blocks") };
    here(describe);
    for n in 1..=SITES {
        let machine = if n == SITES { &site } else { &other };
        std::fs::write(office.path(&format!("site-{n:02}/stations.txt")), machine.key()).unwrap();
    }
    let printed = here(push);
    let keys: Vec<_> = printed.split_whitespace().filter(|word| word.starts_with("RW")).collect();
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), SITES, "{printed}");
    site.trust(keys[SITES - 1]);
    for key in &keys {
        office.trust(key);
        other.trust(key);
    }
    let printed = here(change);
    assert!(!printed.contains("failed"), "{printed}");

    let name = |n: usize| format!("oci://{}/site-{n:02}", registry.host());
    let listed: Vec<_> = (1..=SITES).map(|n| other.good(&["inspect", &name(n)])).collect();
    let first = &listed[0];
    for (n, listed) in listed.iter().enumerate() {
        assert_eq!((&listed["signed_by"], &listed["serial"]), (&keys[n].into(), &2.into()), "site {}", n + 1);
        assert_eq!(listed["cluster"], format!("site-{:02}", n + 1));
        assert!(listed["base"].is_object() && listed["base"] == first["base"], "one base for all");
    }
    let node = format!("{}#node-2", name(SITES));
    let motd = site.good(&["inspect", &node, "/etc/motd"]);
    assert_eq!(motd["text"], "Changes are made by operations: +49 30 123456.\n");
    assert_eq!(office.good(&["inspect", &node, "/etc/motd"]), motd, "the office makes any card");
    let said = other.refused(2, &["inspect", &node, "/etc/motd"]);
    assert!(said.contains("is not encrypted for this machine"), "{said}");
}
