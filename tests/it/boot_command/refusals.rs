//! What cannot be booted, and emulators that cannot be used.

use std::path::Path;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use pibake::emulator::fdt::DeviceTree;
use predicates::prelude::*;
use predicates::str::contains;

use super::lab::{Lab, PATIENCE};
use support::images::Spec;

#[test]
fn what_cannot_be_booted_is_said_before_anything_is_started() {
    let lab = Lab::new();
    let image = lab.image("a");
    let emulator = lab.path("pid");
    let ends = |image: &Path, code: i32, says: &str| {
        let mut command = lab.boot("login");
        command.arg(image).env("FAKE_PID", &emulator).args(["--until", "login:", "--timeout", PATIENCE]);
        command.assert().code(code).stderr(contains(says));
        assert!(!emulator.exists(), "QEMU was started although {says}");
    };
    let fails = |image: &Path, says: &str| ends(image, 1, says);
    let tree_of = |machine| {
        let mut tree = DeviceTree::empty();
        tree.root.set_string("compatible", machine);
        tree.to_bytes()
    };

    let tree = "bcm2711-rpi-4-b.dtb";
    lab.put_bytes(&image, b"not one", tree);
    fails(&image, "bcm2711-rpi-4-b.dtb cannot be used");
    let pi4 = tree_of("raspberrypi,4-model-b");
    lab.put_bytes(&image, &pi4[..pi4.len() - 30], tree);
    fails(&image, "damaged device tree");
    lab.put_bytes(&image, &tree_of("raspberrypi,3-model-b"), tree);
    fails(&image, "it describes raspberrypi,3-model-b; QEMU's raspi4b needs");
    lab.delete(&image, tree);
    fails(&image, "the image has no /boot/firmware/bcm2711-rpi-4-b.dtb");
    // which the other machine has no use for
    let mut virt = lab.boot("login");
    virt.arg(&image).args(["--machine", "virt", "--until", "login:", "--timeout", PATIENCE]);
    virt.assert().success();

    lab.put_bytes(&image, &pi4, tree);
    let kernel = lab.path("a parts/kernel.gz");
    let packed = std::fs::read(&kernel).unwrap();
    lab.put_bytes(&image, &packed[..packed.len() / 2], "vmlinuz");
    fails(&image, "it cannot be unpacked");
    lab.put_bytes(&image, &[0x5a; 100_000], "vmlinuz");
    fails(&image, "not a Linux kernel for arm64\n");
    lab.put_bytes(&image, b"a placeholder", "vmlinuz");
    fails(&image, "not made to boot");
    lab.put(&image, &kernel, "vmlinuz");
    lab.delete(&image, "cmdline.txt");
    fails(&image, "the image has no /boot/firmware/cmdline.txt");

    let bare = lab.path("bare");
    std::fs::create_dir(&bare).unwrap();
    let (bare, _) = Spec::default().make(&bare);
    fails(&bare, "the image has no /boot/firmware/vmlinuz");
    ends(Path::new("none.img"), 2, "none.img");
    let mut sample = lab.boot("login");
    sample.args(["--base", "sample", "--node", "1"]).env("FAKE_PID", &emulator);
    sample.assert().code(1).stderr(contains("not made to boot"));
    assert!(!emulator.exists());
}

#[test]
fn a_kernel_is_found_where_config_txt_has_it() {
    let lab = Lab::new();
    let image = lab.image("a");
    lab.as_resolute(&image);
    let boot = || {
        let mut command = lab.boot("login");
        command.arg(&image).args(["--until", "login:", "--timeout", PATIENCE]);
        command
    };
    boot().assert().success();
    // One that is not there is looked for without the prefix, as the firmware does.
    lab.delete(&image, "current/vmlinuz");
    boot().assert().code(1).stderr(contains("the image has no /boot/firmware/vmlinuz"));
    lab.put(&image, &lab.path("a parts/kernel.gz"), "current/vmlinuz");
    lab.delete(&image, "current/cmdline.txt");
    boot().assert().code(1).stderr(contains("the image has no /boot/firmware/current/cmdline.txt"));
    lab.put_bytes(&image, b"root=LABEL=writable\n", "current/cmdline.txt");
    lab.delete(&image, "current/bcm2711-rpi-4-b.dtb");
    boot().assert().code(1).stderr(contains("the image has no /boot/firmware/current/bcm2711-rpi-4-b.dtb"));
}

#[test]
fn an_emulator_that_is_missing_old_or_none_is_said_with_where_to_get_one() {
    let lab = Lab::new();
    let image = lab.image("a");
    let boot = |version: &str| {
        let mut command = lab.boot("login");
        command.arg(&image).env("FAKE_VERSION", version);
        command
    };
    boot("QEMU emulator version 8.2.2")
        .assert()
        .code(1)
        .stderr(contains("9.0").and(contains("qemu-system-arm")));
    boot("hello").assert().code(1).stderr(contains("is not QEMU"));
    Command::new(env!("CARGO_BIN_EXE_pibake"))
        .args(["boot", "--qemu", "/none/qemu"])
        .arg(&image)
        .assert()
        .code(1)
        .stderr(contains("/none/qemu was not found").and(contains("qemu-system-arm")));
}
