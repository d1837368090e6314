//! A node with a second disk that was made of the same image, and so has the same labels.

use std::fs;
use std::os::unix::fs::symlink;

use super::node::{Node, Role};
use support::{put_program, run, tool};

/// A disk with a boot partition and a root file system, plugged in where the kernel calls it `name`.
fn plug_in(node: &Node, name: &str, infix: &str, id: &str, instance: &str) {
    for (number, label) in [(1, "system-boot"), (2, "writable")] {
        let partition = format!("{name}{infix}{number}");
        node.put(&format!("sys/devices/{name}/{partition}/partition"), &format!("{number}\n"));
        let blocks = node.root().join("sys/class/block");
        fs::create_dir_all(&blocks).unwrap();
        symlink(format!("../../devices/{name}/{partition}"), blocks.join(&partition)).unwrap();
        node.state(&format!("blkid/{partition}.LABEL"), &format!("{label}\n"));
        node.state(&format!("blkid/{partition}.PART_ENTRY_UUID"), &format!("{id}-0{number}\n"));
    }
    symlink(format!("../../devices/{name}"), node.root().join("sys/class/block").join(name)).unwrap();
    let boot = format!("disks/{name}{infix}1");
    node.state(&format!("{boot}/meta-data"), &format!("instance-id: {instance}\n"));
    node.state(&format!("{boot}/user-data"), &format!("#cloud-config\nhostname: {instance}\n"));
}

/// A node that runs from its card, with a disk at USB.
fn with_two_disks(id_of_other: &str) -> Node {
    let node = Node::new(Role::Worker);
    plug_in(&node, "mmcblk0", "p", "4a3b2c1d", "own");
    plug_in(&node, "sda", "", id_of_other, "other");
    for (name, text) in [
        (
            "findmnt",
            "case $* in *' -S '*) cat \"$STATE/mounted\" 2>/dev/null || exit 1 ;; *) echo /dev/mmcblk0p2 ;; esac",
        ),
        // -p -s TAG -o value DEVICE
        ("blkid", "cat \"$STATE/blkid/${6#/dev/}.$3\" 2>/dev/null || exit 2"),
        // -o ro DEVICE FOLDER
        ("mount", "[ ! -e \"$STATE/broken\" ] || exit 32; cp -r \"$STATE/disks/${3#/dev/}/.\" \"$4\""),
        ("umount", "rm -r \"${1:?}\"/*"),
    ] {
        put_program(
            &node.path("bin").join(name),
            format!("#!/bin/sh\necho \"{name} $*\" >>\"$STATE/disk-calls\"\n{text}\n"),
        );
    }
    node
}

/// What cloud-init's own code makes of what it finds, with labels looked for as Ubuntu's images have it: the instance,
/// or `disks` where it would go on and look for some.
fn instance(node: &Node) -> String {
    const ASK: &str = r#"
import sys
from cloudinit import helpers, util
from cloudinit.sources.DataSourceNoCloud import DataSourceNoCloud
root = sys.argv[1]
image = {"datasource": {"NoCloud": {"fs_label": "system-boot"}}}
configuration = util.mergemanydict([image, util.read_conf(root + "/run/cloud-init/cloud.cfg")], reverse=True)
class Source(DataSourceNoCloud):
    def _get_devices(self, label):
        print("disks")
        sys.exit()
source = Source(configuration, None, helpers.Paths({"cloud_dir": root + "/var/lib/cloud"}))
source.ds_cfg = configuration["datasource"]["NoCloud"]
assert source._get_data()
assert util.decode_binary(source.userdata_raw).strip().endswith(source.metadata["instance-id"]), source.userdata_raw
print(source.metadata["instance-id"])
"#;
    run(tool("/usr/bin/python3", "cloud-init").arg("-c").arg(ASK).arg(node.root())).trim().to_owned()
}

#[test]
fn cloud_init_reads_what_is_on_the_disk_that_the_node_started_from() {
    let node = with_two_disks("99999999");
    assert_eq!(instance(&node), "disks", "before, it looks for labels");
    // what an earlier start left there, of whatever disk
    node.put("var/lib/cloud/seed/nocloud/meta-data", "instance-id: stale\n");
    node.put("var/lib/cloud/seed/nocloud/vendor-data", "#cloud-config\n");
    node.put("run/cloud-init/cloud.cfg", "datasource_list: [ NoCloud, None ]\n");
    for _ in 0..2 {
        node.guard_cloud_init("start");
        assert_eq!(instance(&node), "own");
        assert!(!node.exists("var/lib/cloud/seed/nocloud/vendor-data"));
        let told = fs::read_to_string(node.root().join("run/cloud-init/cloud.cfg")).unwrap();
        assert_eq!(told, "datasource_list: [ NoCloud, None ]\ndatasource: {NoCloud: {fs_label: null}}\n");
    }
    let calls = node.read_state("disk-calls");
    assert!(
        calls.contains("mount -o ro /dev/mmcblk0p1 ") && !calls.contains("mount -o ro /dev/sda1"),
        "{calls}"
    );
    // also later, when it is long through with its first run
    node.put("var/lib/pibake/first-boot/cloud-init-through", "yes\n");
    fs::remove_file(node.root().join("run/cloud-init/cloud.cfg")).unwrap();
    node.guard_cloud_init("start");
    assert_eq!(instance(&node), "own");
}

#[test]
fn boot_files_that_are_mounted_are_not_mounted_again() {
    let node = with_two_disks("99999999");
    node.put("boot/firmware/meta-data", "instance-id: mounted\n");
    node.put("boot/firmware/user-data", "#cloud-config\nhostname: mounted\n");
    node.state("mounted", &format!("{}\n", node.root().join("boot/firmware").display()));
    node.guard_cloud_init("start");
    assert_eq!(instance(&node), "mounted");
    assert!(!node.read_state("disk-calls").contains("\nmount "), "{}", node.read_state("disk-calls"));
    assert!(node.exists("boot/firmware/meta-data"));
}

#[test]
fn where_its_own_cannot_be_read_cloud_init_looks_as_ever() {
    let unreadable = with_two_disks("99999999");
    unreadable.state("broken", "");
    let half = with_two_disks("99999999");
    fs::remove_file(half.path("state/disks/mmcblk0p1/user-data")).unwrap();
    let elsewhere = Node::new(Role::Worker);
    for node in [unreadable, half, elsewhere] {
        node.put("var/lib/cloud/seed/nocloud/meta-data", "instance-id: stale\n");
        node.put("var/lib/cloud/seed/nocloud/user-data", "hostname: stale\n");
        node.guard_cloud_init("start");
        assert_eq!(instance(&node), "disks");
        assert!(!node.exists("var/lib/cloud/seed/nocloud"));
    }
}

#[test]
fn a_copy_of_the_own_disk_is_waited_out() {
    let node = with_two_disks("4a3b2c1d");
    let mut running = node.start(&[]);
    let status = node.await_status(&mut running, &["name=disk", "state=waiting"]);
    assert!(status.contains("another disk (sda) is a copy of this one (mmcblk0)"), "{status}");
    assert!(node.calls().iter().all(|call| !call.starts_with("growpart")), "{:?}", node.calls());
    node.state("blkid/sda2.PART_ENTRY_UUID", "99999999-02\n");
    assert!(running.end(&node).success(), "{}", node.output());
}
