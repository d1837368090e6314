//! Two Raspberry Pi 4s on one segment, as far as the worker's address, a Pi 3, and a Pi 4 with Ubuntu 26.04's boot
//! partition. Left out of `make test`: they take longer than a cluster of faster machines, and what differs is the
//! Pi's own USB, card and kernel.

use crate::ages;
use crate::cluster::{Cluster, free_port};
use crate::{pair, pi};
use support::standin;

pub fn two_pis_find_each_other() {
    let cluster = Cluster::new();
    let port = free_port();
    let segment = ["--machine", "raspi4b", "--net", cluster.segment()];
    let mut first =
        cluster.boot("node-1", "pis", &[&segment[..], &["--uplink", "--ssh", &port.to_string()]].concat());
    let mut second = cluster.boot("node-2", "pis", &segment);
    for pi in [&mut first, &mut second] {
        pi.wait_for("Machine model: Raspberry Pi 4 Model B");
    }
    pair::wait(&mut first, &mut second, "] dhcp: done");
    pair::wait(&mut second, &mut first, "] network: done");
    let to_second = cluster.ssh(port).beyond("10.0.0.2");
    pair::assert_in_the_network(&cluster, &second, &to_second);
}

/// Its board decides the machine, and its first boot gets as far as on the other.
pub fn a_pi_3_starts_by_its_board() {
    let cluster = Cluster::new();
    cluster.describe_otherwise("nodes = 2", "nodes = [{}, { board = \"pi3\" }]");
    // a cable that leads to nobody
    let mut pi = cluster.boot("node-2", "pi3", &["--net", cluster.segment()]);
    pi.wait_for("Machine model: Raspberry Pi 3 Model B");
    pi.wait_for("register 'cdc_ether'");
    pi.wait_for("] network: waiting: no address on eth0");
    pi.note("a Pi 3 waits for an address");
}

/// What the firmware loads lies in a folder that config.txt names, and the card is the newest system's.
pub fn a_pi_starts_from_the_current_slot() {
    let cluster = Cluster::of_age(&standin::NEWEST);
    let port = free_port();
    let (mut pi, _) = pi::switch_on(&cluster, port);
    pi.wait_for("Machine model: Raspberry Pi 4 Model B");
    pi.wait_for("EXT4-fs (mmcblk0p2): mounted filesystem");
    pi.wait_for("Cloud-init v. ");
    pi.wait_for("] network: waiting: there is no interface eth1, the uplink");
    let ssh = cluster.ssh(port);
    ages::assert_slot(&pi, &ssh);
    ages::assert_network(&cluster, &pi, &ssh);
    // it may take the connection with it
    let _ = ssh.run("poweroff");
    pi.wait_until_off();
}
