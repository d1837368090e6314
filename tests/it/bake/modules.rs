//! Kernel modules that a recipe needs, and bases with and without them.

use super::{CLOCK, bake, device, recipe};
use pibake::bake::Error;
use pibake::recipe::{KernelModule, Recipe};
use support::images::{ROOT_FILES, Spec, put};

/// Whether a base with these files takes a recipe that needs a VLAN.
fn takes(files: &[(&str, &str)]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (path, content) in ROOT_FILES.iter().chain(files) {
        put(&root.join(path), content);
    }
    // as on most systems
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    }
    let (image, _) = Spec::default().make_from(dir.path(), &root);
    let needs = Recipe { modules: vec![KernelModule { name: "8021q", setting: "network.vlan" }], ..recipe() };
    match bake(device(&image), &needs, CLOCK) {
        Ok(_) => Ok(()),
        Err(error @ Error::KernelModule { .. }) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_base_without_a_module_that_is_needed_is_refused() {
    const DEP: &str = "usr/lib/modules/6.8.0-raspi/modules.dep";
    const BUILTIN: &str = "usr/lib/modules/6.8.0-raspi/modules.builtin";
    let others = "kernel/net/8021qx.ko: kernel/net/bridge/bridge.ko.zst\n";
    let refused = [&[(DEP, others)][..], &[(DEP, ""), (BUILTIN, "kernel/fs/ext4/ext4.ko\n")]];
    for files in refused {
        let said = takes(files).unwrap_err();
        assert!(said.contains("no module 8021q, which network.vlan needs"), "{said}");
    }
    for files in [
        &[(DEP, "kernel/net/8021q/8021q.ko.zst: kernel/net/802/garp.ko.zst\n")][..],
        &[(DEP, "kernel/net/8021q/8021q.ko: kernel/net/802/garp.ko\n")],
        &[(DEP, others), (BUILTIN, "kernel/net/8021q/8021q.ko\n")],
        // another kernel that has it may be the one that starts
        &[(DEP, others), ("usr/lib/modules/6.9.0-raspi/modules.dep", "kernel/net/8021q/8021q.ko:\n")],
        &[("lib/modules/5.4.0-raspi/modules.dep", "kernel/net/8021q/8021q.ko:\n")],
        &[(DEP, "kernel/net/8021q/8021q.ko:\n"), ("usr/lib/modules/README", "no kernel\n")],
        // nothing is known
        &[],
    ] {
        takes(files).unwrap();
    }
}
