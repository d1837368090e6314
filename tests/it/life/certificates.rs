//! Certificates renew themselves: the baked program with real openssl, and stand-ins for what is Kubernetes.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::machine::Machine;
use support::pki::LEAVES;

const PODS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

fn assert_days(machine: &Machine, days: i64) {
    for leaf in LEAVES {
        assert_eq!(machine.days(&format!("etc/kubernetes/{leaf}")), days, "{leaf}");
    }
}

fn copy_of_the_user(machine: &Machine) -> String {
    let home = std::fs::read_dir(machine.path("root/home")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_to_string(home.join(".kube/config")).unwrap()
}

#[test]
fn what_ends_soon_is_renewed_and_used() {
    let machine = Machine::control_plane(3650, 89);
    machine.forget_trace();
    let ran = machine.renew();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_days(&machine, 1095);
    assert_eq!(machine.restarted(), PODS);
    assert!(machine.serves());
    assert_eq!(copy_of_the_user(&machine), machine.read("etc/kubernetes/admin.conf"));
    assert!(!machine.exists("etc/kubernetes/pibake"), "keys of old certificates are left");
    let status = machine.status();
    assert_eq!(status[..4], ["format=1", "node=node-1", "state=ok", "message="]);
    for leaf in LEAVES {
        let line = format!("certificate=/etc/kubernetes/{leaf} 20");
        assert!(status.iter().any(|said| said.starts_with(&line)), "{leaf}: {status:?}");
    }
    // The next day there is nothing to do.
    machine.forget_trace();
    let files = machine.files();
    assert_eq!(machine.renew().code, Some(0));
    assert_eq!((machine.files(), machine.restarted()), (files, vec![]));
}

#[test]
fn a_year_passes_with_nobody_there() {
    let machine = Machine::control_plane(3650, 365);
    // As a kubeadm that cannot be told a length, and gives a year.
    machine.state(
        "cluster-configuration",
        "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n",
    );
    machine.forget_trace();
    assert_eq!(machine.renew_later("+270d").code, Some(0));
    assert_eq!(machine.restarted(), [""; 0], "95 days are left");
    let ran = machine.renew_later("+335d");
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(machine.restarted(), PODS);
    assert_days(&machine, 335 + 365);
    // A copy that its owner has changed is theirs.
    assert_eq!(copy_of_the_user(&machine), machine.read("etc/kubernetes/admin.conf"));
}

#[test]
fn one_that_is_the_users_own_is_not_overwritten() {
    let machine = Machine::control_plane(3650, 30);
    machine.shell("echo '# mine' >>$H/config");
    assert_eq!(machine.renew().code, Some(0));
    assert!(copy_of_the_user(&machine).ends_with("# mine\n"));
}

#[test]
fn the_old_ones_come_back_where_the_api_server_does_not_answer() {
    let machine = Machine::control_plane(3650, 60);
    let before = machine.files();
    machine.state("refused", "");
    let ran = machine.renew();
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(machine.files(), before);
    assert!(machine.serves(), "{}", ran.said);
    let message = "message=with new certificates kube-apiserver did not come up again; the old ones are back";
    assert_eq!(machine.status()[2..4], ["state=failed", message]);
    // Not each day: a restart is felt.
    machine.forget_trace();
    machine.unset_state("refused");
    let ran = machine.renew_later("+1d");
    assert_eq!((ran.code, machine.restarted()), (Some(1), vec![]), "{}", ran.said);
    assert!(machine.status()[3].contains("the next one is made a week after it"), "{}", ran.said);
    let ran = machine.renew_later("+8d");
    assert_eq!((ran.code, machine.restarted()), (Some(0), PODS.map(str::to_owned).to_vec()), "{}", ran.said);
    assert!(machine.serves_later("+8d"));
}

#[test]
fn where_new_ones_cannot_be_made_nothing_is_changed() {
    for (state, why) in [
        ("no-kubeadm", "kubeadm cannot renew them"),
        ("other-authority", "is not signed by"),
        ("full", "they cannot be written: is there enough free space?"),
    ] {
        let machine = Machine::control_plane(3650, 60);
        let before = machine.files();
        machine.state(state, "");
        machine.forget_trace();
        let ran = machine.renew();
        assert_eq!(ran.code, Some(1), "{state}: {}", ran.said);
        assert_eq!((machine.files(), machine.restarted()), (before, vec![]), "{state}");
        let status = machine.status();
        assert!(
            status[3].starts_with("message=nothing was changed: ") && status[3].contains(why),
            "{status:?}"
        );
        machine.unset_state(state);
        assert_eq!(machine.renew().code, Some(0), "{state}: the next day");
    }
}

#[test]
fn nothing_is_good_for_longer_than_its_ca() {
    let machine = Machine::control_plane(200, 30);
    assert_eq!(machine.renew().code, Some(0));
    for leaf in LEAVES {
        // kubeadm counts in hours.
        assert!((199..=200).contains(&machine.days(&format!("etc/kubernetes/{leaf}"))), "{leaf}");
    }
    // A CA that ends in a month: renewing, day after day, would help nothing.
    let machine = Machine::control_plane(30, 30);
    machine.forget_trace();
    assert_eq!(machine.renew().code, Some(0));
    assert_eq!(machine.restarted(), [""; 0]);
    let status = machine.status();
    assert!(status[3].starts_with("message=the CA pki/ca.crt ends on 20"), "{status:?}");
    // kubeadm that cannot be told gives a year, of which no more counts than the CA's.
    let machine = Machine::control_plane(60, 365);
    machine.forget_trace();
    assert_eq!(machine.renew().code, Some(0));
    assert_eq!(machine.restarted(), [""; 0]);
}

#[test]
fn a_cluster_that_was_off_until_all_had_ended_comes_back() {
    let machine = Machine::control_plane(3650, -1);
    machine.shell("rm $D/root/var/lib/kubelet/pki/kubelet*\nkubelet_of node-1 -1");
    machine.power_on();
    assert!(!machine.serves());
    let ran = machine.renew();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(machine.serves());
    // What cannot be asked for in the cluster: kubeadm's own default.
    assert_days(&machine, 365);
    let current = "var/lib/kubelet/pki/kubelet-client-current.pem";
    assert_eq!(machine.days(current), 365);
    assert!(machine.read(current).contains("PRIVATE KEY"));
    assert_eq!(machine.days("var/lib/kubelet/pki/kubelet.crt"), 365);
    assert!(machine.read_state("kubelet").starts_with("restarted\n"));
    assert_eq!(machine.renew().code, Some(0));
}

#[test]
fn new_ones_stay_where_the_old_had_ended() {
    let machine = Machine::control_plane(3650, -1);
    machine.state("refused", "");
    let ran = machine.renew();
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(machine.status()[3].ends_with("The old certificates had ended, so the new ones stay"));
    assert_days(&machine, 365);
}

#[test]
fn a_worker_looks_after_its_own_port_and_says_when_it_is_out() {
    let machine = Machine::worker(80);
    let before = machine.read("var/lib/kubelet/pki/kubelet.crt");
    assert_eq!(machine.renew().code, Some(0));
    assert_ne!(machine.read("var/lib/kubelet/pki/kubelet.crt"), before);
    assert_eq!(machine.days("var/lib/kubelet/pki/kubelet.crt"), 365);
    let machine = Machine::worker(-1);
    assert_eq!(machine.renew().code, Some(1));
    assert!(machine.status()[3].contains("run pibake token new node-2, then write its card again"));
}

#[test]
fn a_pair_of_which_one_is_lost_is_made_again() {
    for lost in ["crt", "key"] {
        let machine = Machine::worker(300);
        std::fs::write(machine.path(&format!("root/var/lib/kubelet/pki/kubelet.{lost}")), "").unwrap();
        machine.power_on();
        assert!(!machine.exists("var/lib/kubelet/pki/kubelet.crt"));
        assert!(!machine.exists("var/lib/kubelet/pki/kubelet.key"));
    }
}

#[test]
fn while_first_boot_is_at_work_nothing_is_touched() {
    let machine = Machine::control_plane(3650, 30);
    std::fs::remove_file(machine.path("root/var/lib/pibake/first-boot/complete")).unwrap();
    let before = machine.files();
    assert_eq!(machine.renew().code, Some(0));
    assert_eq!(machine.files(), before);
}

/// As in a closed network. A clock that is before the cluster's own beginning is not believed.
#[test]
fn where_no_time_server_answers_the_own_clock_decides_after_a_while() {
    let machine = Machine::control_plane(3650, 89);
    machine.unset_state("clock");
    let told = "var/log/pibake/certificates";
    let ran = std::thread::scope(|threads| {
        let renewing = threads.spawn(|| machine.renew());
        support::fetching::until("it waits", || machine.exists(told));
        assert_eq!(machine.status()[2], "state=waiting");
        assert!(machine.status()[3].starts_with("message=the clock is not set"), "{:?}", machine.status());
        assert_eq!(machine.restarted(), [""; 0]);
        machine.put("proc/uptime", "901.00 500.00\n");
        renewing.join().unwrap()
    });
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("going by the clock of this node"), "{}", ran.said);
    assert_days(&machine, 1095);

    let machine = Machine::control_plane(3650, 89);
    machine.unset_state("clock");
    machine.put("proc/uptime", "90000.00 500.00\n");
    let env = machine.read("etc/pibake/node.env");
    machine.put("etc/pibake/node.env", &env.replace("='1000000000'", "='99000000000'"));
    machine.forget_trace();
    // many rounds
    assert!(machine.renew_until(60).killed);
    assert_eq!(machine.status()[2], "state=waiting");
    assert_eq!(machine.restarted(), [""; 0]);
}

/// The numbers of the lines at which something changes, one of each kind, and all around the moment in which
/// files get their names.
fn cuts(trace: &[String]) -> Vec<usize> {
    let mut seen = std::collections::BTreeMap::new();
    // The end of one step is the start of the next.
    let changes = |line: &String| {
        let begins = !line.ends_with("@end");
        ["mv ", "ln ", "rm -rf ", "rm -f /etc", "kubeadm certs", "crictl stop", "systemctl "]
            .iter()
            .any(|c| begins && line.starts_with(c))
    };
    let kind = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let last = words.pop().unwrap();
        let verb = words[0].clone();
        let place =
            line.split(' ').nth(2).unwrap_or_default().split('/').take(5).collect::<Vec<_>>().join("/");
        format!("{verb} {place} {last}")
    };
    let numbered = trace.iter().enumerate().filter(|(_, line)| changes(line));
    numbered
        .filter(|(_, line)| {
            let count = seen.entry(kind(line)).or_insert(0);
            *count += 1;
            // Of what is renamed one after the other: the first ones, and some between a certificate and its key.
            *count <= 1 || line.contains("/new/./") && *count % 5 == 0
        })
        .map(|(number, _)| number + 1)
        .collect()
}

fn cut_everywhere(refused: bool) {
    let sound = Machine::control_plane(3650, 60);
    if refused {
        sound.state("refused", "");
    }
    sound.forget_trace();
    let make = || sound.copy();
    let whole = make();
    assert_eq!(whole.renew().code, Some(i32::from(refused)));
    let trace = whole.trace();
    let cuts = cuts(&trace);
    assert!(cuts.len() > 15, "{cuts:?}");
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(&line) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = &trace[line - 1];
                    let machine = make();
                    let old = machine.files();
                    let ran = machine.renew_until(line);
                    assert!(ran.killed, "{at}: {}", ran.said);
                    machine.power_on();
                    // With the new ones, or with the old: never with some of each.
                    let refuses = refused && machine.files() != old;
                    assert!(machine.serves() || refuses, "{at}");
                    let ran = machine.renew();
                    assert_eq!(ran.code, Some(i32::from(refused)), "{at}: {}", ran.said);
                    assert!(machine.serves(), "{at}: {}", ran.said);
                    assert!(!machine.exists("etc/kubernetes/pibake"), "{at}");
                    if refused {
                        assert_eq!(machine.files(), old, "{at}");
                    } else {
                        assert_days(&machine, 1095);
                    }
                }
            });
        }
    });
}

#[test]
fn a_power_cut_at_each_step_of_a_renewal_is_survived() {
    cut_everywhere(false);
}

#[test]
fn a_power_cut_at_each_step_of_going_back_is_survived() {
    cut_everywhere(true);
}
