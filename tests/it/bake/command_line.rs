//! The arguments of the kernel are put where the firmware looks for them.

use std::path::Path;

use pibake::bake::Error;
use pibake::boards::Board;
use pibake::recipe::{Action, Recipe, Volume};

use super::{CLOCK, bake, change, device, write, write_out};
use support::images::{self, Spec};
use support::{run, tool};

/// What is baked into a base whose boot partition has these files as well: the content of `wanted`.
fn baked(files: &[(&str, &[u8])], more: Vec<pibake::recipe::Change>, wanted: &str) -> Result<String, Error> {
    baked_for(None, files, more, wanted)
}

/// The same for this board.
fn baked_for(
    board: Option<Board>,
    files: &[(&str, &[u8])],
    more: Vec<pibake::recipe::Change>,
    wanted: &str,
) -> Result<String, Error> {
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
        Action::KernelArguments { line: None, set: vec!["cgroup_memory=1".parse().unwrap()], unset: vec![] };
    let mut changes = vec![change(Volume::Boot, "/cmdline.txt", arguments)];
    changes.extend(more);
    let patch = bake(
        device(&image),
        &Recipe { node: "node-1".into(), board, modules: vec![], disk_id: [7; 16], changes },
        CLOCK,
    )?;
    let node = dir.path().join("node.img");
    write_out(&image, &patch, &node);
    images::assert_clean(&node, places);
    images::extract(&node, places.boot, &fat);
    Ok(run(tool("mtype", "mtools").arg("-i").arg(&fat).arg(format!("::{wanted}"))))
}

/// A line as it becomes where it had no `root=`: an MBR's id is four bytes, little-endian.
fn with_root(line: &str) -> String {
    format!("{line} root=PARTUUID=07070707-02\n")
}

fn put(fat: &Path, name: &str, content: &[u8], dir: &Path) {
    let file = dir.join("put");
    std::fs::write(&file, content).unwrap();
    run(tool("mcopy", "mtools").arg("-o").arg("-i").arg(fat).arg(&file).arg(format!("::{name}")));
}

#[test]
fn another_file_that_config_txt_names_is_edited() {
    let files: [(&str, &[u8]); 2] = [("config.txt", b"[all]\r\ncmdline=my.txt\r\n"), ("my.txt", b"a\r\n")];
    assert_eq!(baked(&files, vec![], "my.txt").unwrap(), with_root("a cgroup_memory=1"));
    let files: [(&str, &[u8]); 2] =
        [("config.txt", b"[all]\nos_prefix=current/\n"), ("current/cmdline.txt", b"b\n")];
    assert_eq!(baked(&files, vec![], "current/cmdline.txt").unwrap(), with_root("b cgroup_memory=1"));
}

#[test]
fn a_config_txt_that_the_recipe_brings_counts() {
    let config = write(Volume::Boot, "/config.txt", b"cmdline=my.txt\n", 0o644);
    let line = write(Volume::Boot, "/my.txt", b"c\n", 0o644);
    assert_eq!(baked(&[], vec![config, line], "my.txt").unwrap(), with_root("c cgroup_memory=1"));
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

#[test]
fn of_a_board_that_is_known_its_own_files_decide() {
    let base: [(&str, &[u8]); 3] = [
        ("config.txt", b"[pi4]\ncmdline=four.txt\n[pi5]\ncmdline=five.txt\n[all]\n"),
        ("four.txt", b"a\n"),
        ("bcm2711-rpi-4-b.dtb", b"x"),
    ];
    let pi4 = |wanted| baked_for(Some(Board::Pi4), &base, vec![], wanted).unwrap();
    assert_eq!(pi4("four.txt"), with_root("a cgroup_memory=1"));
    // nobody will read it
    assert!(!pi4("cmdline.txt").contains("cgroup_memory"));
    // what a Pi 5 needs is not there: neither its device tree, nor the file that it is told to read
    let pi5 = |more| baked_for(Some(Board::Pi5), &base, more, "five.txt");
    let error = pi5(vec![]).unwrap_err();
    assert!(matches!(error, Error::Board(_)), "{error:?}");
    let tree = || write(Volume::Boot, "/bcm2712-rpi-5-b.dtb", b"x", 0o644);
    let error = pi5(vec![tree()]).unwrap_err();
    assert!(matches!(error, Error::CommandLine(_)), "{error:?}");
    let line = write(Volume::Boot, "/five.txt", b"b\n", 0o644);
    assert_eq!(pi5(vec![tree(), line]).unwrap(), with_root("b cgroup_memory=1"));
    // and of any board it is as ever
    assert_eq!(baked(&base, vec![], "four.txt").unwrap(), with_root("a cgroup_memory=1"));
}

/// config.txt of Ubuntu 26.04, as far as it matters here.
const RESOLUTE: &[u8] = b"[all]\nkernel=vmlinuz\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n";

#[test]
fn an_upgrade_that_was_not_started_yet_is_refused() {
    let base: [(&str, &[u8]); 2] = [("config.txt", RESOLUTE), ("current/cmdline.txt", b"a\n")];
    let wanted = "current/cmdline.txt";
    assert_eq!(baked(&base, vec![], wanted).unwrap(), with_root("a cgroup_memory=1"));
    // What was tried and kept, and what was kept before it, are no trials.
    let old = [&base[..], &[("old/vmlinuz", b"x"), ("old/cmdline.txt", b"b\n")]].concat();
    assert_eq!(baked(&old, vec![], wanted).unwrap(), with_root("a cgroup_memory=1"));
    // Whatever of it is there: power may have been cut while it was written.
    for file in ["new/vmlinuz", "new/cmdline.txt", "NEW/overlays.tmp"] {
        let pending = [&base[..], &[(file, b"x\n")]].concat();
        let error = baked(&pending, vec![], wanted).unwrap_err();
        assert!(
            matches!(&error, Error::PendingTrial { folder } if folder.as_str() == "/new"),
            "{file}: {error:?}"
        );
    }
    // The same folder is nothing where no trial boot looks into it.
    let own: [(&str, &[u8]); 2] = [("cmdline.txt", b"c\n"), ("new/vmlinuz", b"x")];
    assert_eq!(baked(&own, vec![], "cmdline.txt").unwrap(), with_root("c cgroup_memory=1"));
    // And a configuration of its own for trials counts, too.
    let apart: [(&str, &[u8]); 3] =
        [("cmdline.txt", b"c\n"), ("tryboot.txt", b"os_prefix=try/\n"), ("try/vmlinuz", b"x")];
    assert!(matches!(baked(&apart, vec![], "cmdline.txt"), Err(Error::PendingTrial { .. })));
}

#[test]
fn a_trial_folder_that_is_empty_is_no_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let (image, places) = Spec { ext4_mib: 16, ..Spec::default() }.make(dir.path());
    let fat = dir.path().join("fat");
    images::extract(&image, places.boot, &fat);
    put(&fat, "config.txt", RESOLUTE, dir.path());
    run(tool("mmd", "mtools").arg("-i").arg(&fat).arg("::new"));
    images::splice(&fat, &image, places.boot.0);
    let arguments = Action::KernelArguments { line: None, set: vec!["a=1".parse().unwrap()], unset: vec![] };
    let changes = vec![change(Volume::Boot, "/cmdline.txt", arguments)];
    assert!(
        bake(
            device(&image),
            &Recipe { node: "node-1".into(), board: None, modules: vec![], disk_id: [7; 16], changes },
            CLOCK
        )
        .is_ok()
    );
}
