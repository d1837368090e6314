//! The arguments of the kernel are put where the firmware looks for them.

use std::path::Path;

use pibake::bake::Error;
use pibake::recipe::{Action, Recipe, Volume};

use super::{NOW, bake, change, device, write, write_out};
use support::images::{self, Spec};
use support::{run, tool};

/// What is baked into a base whose boot partition has these files as well: the content of `wanted`.
fn baked(files: &[(&str, &[u8])], more: Vec<pibake::recipe::Change>, wanted: &str) -> Result<String, Error> {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec { ext4_mib: 16, ..Spec::default() }.make(dir.path());
    let fat = dir.path().join("fat");
    images::extract(&image, places.boot, &fat);
    for (name, content) in files {
        if let Some((folder, _)) = name.split_once('/') {
            let _ = tool("mmd", "mtools").arg("-i").arg(&fat).arg(format!("::{folder}")).output();
        }
        put(&fat, name, content, dir.path());
    }
    images::splice(&fat, &image, places.boot.0);
    let arguments =
        Action::KernelArguments { line: None, set: vec!["cgroup_memory=1".into()], unset: vec![] };
    let mut changes = vec![change(Volume::Boot, "/cmdline.txt", arguments)];
    changes.extend(more);
    let patch = bake(device(&image), &Recipe { node: "node-1".into(), changes }, NOW)?;
    let node = dir.path().join("node.img");
    write_out(&image, &patch, &node);
    images::assert_clean(&node, places);
    images::extract(&node, places.boot, &fat);
    Ok(run(tool("mtype", "mtools").arg("-i").arg(&fat).arg(format!("::{wanted}"))))
}

fn put(fat: &Path, name: &str, content: &[u8], dir: &Path) {
    let file = dir.join("put");
    std::fs::write(&file, content).unwrap();
    run(tool("mcopy", "mtools").arg("-o").arg("-i").arg(fat).arg(&file).arg(format!("::{name}")));
}

#[test]
fn another_file_that_config_txt_names_is_edited() {
    let files: [(&str, &[u8]); 2] = [("config.txt", b"[all]\r\ncmdline=my.txt\r\n"), ("my.txt", b"a\r\n")];
    assert_eq!(baked(&files, vec![], "my.txt").unwrap(), "a cgroup_memory=1\n");
    let files: [(&str, &[u8]); 2] =
        [("config.txt", b"[all]\nos_prefix=current/\n"), ("current/cmdline.txt", b"b\n")];
    assert_eq!(baked(&files, vec![], "current/cmdline.txt").unwrap(), "b cgroup_memory=1\n");
}

#[test]
fn a_config_txt_that_the_recipe_brings_counts() {
    let config = write(Volume::Boot, "/config.txt", b"cmdline=my.txt\n", 0o644);
    let line = write(Volume::Boot, "/my.txt", b"c\n", 0o644);
    assert_eq!(baked(&[], vec![config, line], "my.txt").unwrap(), "c cgroup_memory=1\n");
}

#[test]
fn what_leads_nowhere_is_refused() {
    let missing = baked(&[("config.txt", b"cmdline=gone.txt\n")], vec![], "x").unwrap_err();
    assert!(matches!(missing, Error::CommandLine(_)), "{missing:?}");
    let escaping = baked(&[("config.txt", b"cmdline=../x\n")], vec![], "x").unwrap_err();
    assert!(matches!(escaping, Error::CommandLine(_)), "{escaping:?}");
    let folder: [(&str, &[u8]); 2] = [("config.txt", b"cmdline=dir\n"), ("dir/x", b"")];
    assert!(baked(&folder, vec![], "x").is_err());
    let long = "x".repeat(2040);
    assert!(baked(&[("cmdline.txt", long.as_bytes())], vec![], "x").is_err());
}
