//! A machine that has no network at all, when its owner most wants to log in.

use crate::cluster::{Cluster, Software};
use support::standin;

const PASSWORD: &str = "correct horse battery staple";

pub fn a_node_without_a_network_lets_its_owner_in() {
    let cluster = Cluster::of(Software {
        more: &format!("[access]\npassword = \"{PASSWORD}\"\n"),
        ..Software::recorders(&standin::USUAL)
    });
    // as Ubuntu's images wait, not as the stand-in does
    cluster.add_file(
        "etc/systemd/system/systemd-networkd-wait-online.service.d/standin.conf",
        "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online\n",
    );
    // another node's disk beside its own, where both its kernel and cloud-init look first for what is labelled so
    let qemu = with_disk_of_node_1(&cluster);
    // a cable that leads to nobody: no DHCP server, no control plane, no way out
    let arguments = ["--machine", "virt", "--net", cluster.segment(), "--qemu", &qemu];
    let mut node = cluster.boot("node-2", "cards", &arguments);
    // the password is set with what cloud-init does last but one, seconds after there is a prompt
    node.wait_for("finished at");
    node.answer("node-2 login: ", "ubuntu");
    node.answer("Password: ", PASSWORD);
    node.note("the console takes the password");
    // what is typed comes back, too: the shell puts together what only it can say
    let order = "sed -n \"/ running 'init' at/q; s/.*config-\\(users-groups\\|growpart\\) .*/before-the-network:\\1/p\" /var/log/cloud-init.log | sort -u";
    node.answer("$ ", order);
    node.wait_for("before-the-network:growpart");
    node.wait_for("before-the-network:users-groups");
    node.answer("$ ", "echo size_$((1))= $(df --output=size -BM / | tail -n 1)");
    let line = node.wait_for("size_1= ");
    let size: u64 = line.trim().trim_start_matches("size_1=").trim().trim_end_matches('M').parse().unwrap();
    assert!(size > 7400, "the file system has {size} MiB");
    let order = "for at in / /boot/firmware; do findmnt -n -o SOURCE $at; done; ls /dev/vd?";
    node.answer("$ ", &format!("echo disks_$((1))= $({order})"));
    let line = node.wait_for("disks_1= ");
    assert!(line.contains("/dev/vda2 /dev/vda1 /dev/vda /dev/vdb"), "{line}");
    node.answer("$ ", "echo instance_$((1))= $(cat /run/cloud-init/.instance-id) $(hostname)");
    let line = node.wait_for("instance_1= ");
    assert!(line.contains(" pibake-node-2-") && line.contains(" node-2"), "{line}");
    node.wait_for("] network: waiting: no address on eth0");
    node.note("user, disk and first boot did not wait for a network");
}

/// QEMU with one disk more, which sorts behind the machine's own, as one at USB sorts behind a card.
fn with_disk_of_node_1(cluster: &Cluster) -> String {
    cluster.output(&["build", "--node", "1", "-o", "other"]);
    let (program, image) = (cluster.path().join("qemu"), cluster.path().join("other/node-1.img"));
    let drive = format!("if=none,id=other,format=raw,snapshot=on,file={}", image.display());
    let qemu = support::tool_path("qemu-system-aarch64", "qemu-system-arm");
    let text = format!(
        "#!/bin/sh\nexec {} \"$@\" -drive {drive} -device virtio-blk-pci,drive=other\n",
        qemu.display()
    );
    support::put_program(&program, text);
    program.to_str().unwrap().to_owned()
}
