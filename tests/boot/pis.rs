//! Two Raspberry Pi 4s on one segment, as far as the worker's address. Left out of `make test`: it takes
//! longer than a cluster of faster machines, and what differs is the Pi's own USB, card and kernel.

use crate::cluster::{Cluster, free_port};
use crate::pair;

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
