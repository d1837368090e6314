//! A cluster's later years: nodes that come and go, a control plane whose card died, certificates that end.

use std::collections::BTreeSet;

use crate::power::have_pods;
use crate::real::{NODES, Real};

/// How far the clock is moved, in days: kubeadm's certificates, which are good for 365, have a month left then.
const DAYS: u32 = 334;
/// What certificates that were just made have left, at least, in days.
const FRESH: u32 = 300;

const CERTIFICATES: &str = "/usr/lib/pibake/certificates";
const TOLD: &str = "/var/log/pibake/certificates";

/// A third node is described, switched on, and is part of the cluster; then it is taken out again.
pub fn a_node_comes_and_goes(real: &mut Real) {
    have_pods(real);
    let before = real.containers();
    real.cluster.describe_otherwise("nodes = 2", "nodes = 3");
    real.begin();
    real.switch_on("node-3");
    real.wait_until_through("node-3");
    real.note("first boot of node-3 is complete");
    let pods = real.wait_for_pods_on(&["node-3"], &["answers", "asks"], &before);
    real.assert_pods_answer(&pods);

    real.begin();
    let said = real.cluster.output(&["remove", "--node", "3", "--direct"]);
    assert!(said.contains("node-3 is no longer part of the cluster"), "{said}");
    real.cluster.describe_otherwise("nodes = 3", "nodes = 2");
    // what it would register again with is gone
    std::thread::sleep(std::time::Duration::from_secs(60));
    let left = real.until("the nodes", |real| real.outside.nodes());
    assert_eq!(left.into_iter().map(|node| node.name).collect::<Vec<_>>(), NODES);
    real.cut(&["node-3"]);
    real.note("node-3 is out of the cluster");
    let pods = real.wait_for_pods_on(&[], &["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// node-1's card is thrown away. The next one is written with what `pibake restore` makes of a copy: the cluster is what it
/// was when the copy was made, and node-2 goes on in it.
pub fn node_1_goes_on_with_a_copy_of_etcd(real: &mut Real) {
    have_pods(real);
    note_in_the_cluster(real, "before-the-copy");
    real.begin();
    real.cluster.output(&["backup", "--direct", "--to", "copies"]);
    real.note("pibake has a copy of etcd");
    note_in_the_cluster(real, "after-the-copy");
    let copies = std::fs::read_dir(real.cluster.path().join("copies")).unwrap();
    let copies: Vec<_> = copies.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let [copy] = copies.as_slice() else { panic!("{copies:?}") };
    let (before, boots) = (real.containers(), real.boots());

    real.cut(&["node-1"]);
    real.cluster.output(&["restore", "--offline", &format!("copies/{copy}"), "-o", "restored"]);
    real.take_a_new_card_of("node-1", "restored/node-1.img");
    real.begin();
    real.switch_on("node-1");
    // another start of node-1; node-2 is the one that it was
    real.wait_until_ready(&boots.into_iter().filter(|(name, _)| name == "node-1").collect());
    real.wait_until_through("node-1");
    let pods = real.wait_for_pods_on(&["node-1"], &["answers", "asks"], &before);
    assert!(
        pods.iter().filter(|pod| pod.node == "node-2").all(|pod| before.contains(&pod.container)),
        "node-2's pods were started again: {pods:?}"
    );
    let kept =
        real.until("what was noted", |real| real.outside.kubectl(&["get", "configmaps", "--output", "name"]));
    assert!(kept.contains("before-the-copy") && !kept.contains("after-the-copy"), "{kept}");
    real.assert_pods_answer(&pods);
}

/// Eleven months go by in a closed network, where no time server tells of them: what ends soon is renewed, and pods
/// notice nothing.
pub fn a_year_passes(real: &mut Real) {
    have_pods(real);
    let before = real.containers();
    real.begin();
    for node in NODES {
        well(real, node, &move_the_clock());
        // as the timer does once a day
        well(real, node, "systemctl start --no-block pibake-certificates");
    }
    let day = well(real, "node-1", "date -u +%Y-%m-%d").trim().to_owned();
    let all = "/etc/kubernetes/pki/apiserver.crt /etc/kubernetes/pki/apiserver-kubelet-client.crt \
               /etc/kubernetes/pki/front-proxy-client.crt /etc/kubernetes/pki/apiserver-etcd-client.crt \
               /etc/kubernetes/pki/etcd/server.crt /etc/kubernetes/pki/etcd/peer.crt";
    wait_until_fresh(real, "node-1", all);
    real.note("node-1 has renewed its certificates");
    // by kubelet itself, from the API server
    for node in NODES {
        wait_until_fresh(real, node, "/var/lib/kubelet/pki/kubelet-client-current.pem");
    }
    real.note("both kubelets have new certificates");
    for node in NODES {
        real.until(&format!("a sign of life of {node}"), |real| {
            let lease = ["--namespace", "kube-node-lease", "get", "lease", node];
            let said =
                real.outside.kubectl(&[&lease[..], &["--output", "jsonpath={.spec.renewTime}"]].concat())?;
            if said >= day { Ok(()) } else { Err(format!("{said}, and it is {day}")) }
        });
    }
    real.wait_until_ready(&std::collections::BTreeMap::new());
    assert_eq!(real.containers(), before, "pods were started again");
    let pods = real.wait_for_pods_on(&[], &["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// A kubeadm whose certificates look sound and do not serve: etcd does not take the API server's for a client's.
/// The old ones come back, and the next attempt, of a kubeadm that is sound, renews them.
pub fn certificates_that_do_not_serve_are_taken_back(real: &mut Real) {
    have_pods(real);
    let before = real.containers();
    real.begin();
    let own = |real: &Real| well(real, "node-1", "sha256sum /etc/kubernetes/pki/apiserver-etcd-client.crt");
    for node in NODES {
        well(real, node, &move_the_clock());
    }
    let certificate = own(real);
    // nobody waits for 20 minutes here to learn that it does not come up
    let renew = format!("PATH=/run/unsound:$PATH PIBAKE_PATIENCE=300 sh {CERTIFICATES} renew");
    let out = real.ssh("node-1").run(&format!("{UNSOUND_KUBEADM}\n{renew}"));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let told = well(real, "node-1", &format!("cat {TOLD}"));
    assert_eq!(out.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&out.stderr));
    assert!(told.contains("state=failed") && told.contains("the old ones are back"), "{told}");
    assert_eq!(own(real), certificate, "{told}");
    real.note("the old certificates are back");
    real.until("the API server, from outside", |real| real.outside.kubectl(&["get", "nodes"]));

    // what is said to do at once
    well(
        real,
        "node-1",
        "rm -r /run/unsound /var/lib/pibake/certificates/failed; systemctl start --no-block pibake-certificates",
    );
    wait_until_fresh(real, "node-1", "/etc/kubernetes/pki/apiserver-etcd-client.crt");
    assert_ne!(own(real), certificate);
    assert_eq!(real.containers(), before, "pods were started again");
    let pods = real.wait_for_pods_on(&[], &["answers", "asks"], &BTreeSet::new());
    real.assert_pods_answer(&pods);
}

/// The real one, and then another certificate for the same key, which is good for servers alone.
const UNSOUND_KUBEADM: &str = r#"mkdir /run/unsound
cat >/run/unsound/kubeadm <<'END'
#!/bin/sh
set -e
/usr/bin/kubeadm "$@"
[ "$1 $2" = "certs renew" ] || exit 0
pki=$5/etc/kubernetes/pki
openssl req -new -key "$pki/apiserver-etcd-client.key" -subj /O=system:masters/CN=kube-apiserver-etcd-client -out /run/unsound/csr
echo extendedKeyUsage=serverAuth >/run/unsound/extensions
openssl x509 -req -in /run/unsound/csr -CA "$pki/etcd/ca.crt" -CAkey "$pki/etcd/ca.key" -CAcreateserial \
	-days 365 -extfile /run/unsound/extensions -out "$pki/apiserver-etcd-client.crt"
END
chmod +x /run/unsound/kubeadm"#;

/// Runs a script as root; fails where it does.
fn well(real: &Real, node: &str, script: &str) -> String {
    let out = real.ssh(node).run(script);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{node}: {script}: {said}{}", String::from_utf8_lossy(&out.stderr));
    said
}

/// Programs that count the time that they ran, as Go's timers do, see nothing of a moved clock: kubelet is started again,
/// as it was more than once in a year.
fn move_the_clock() -> String {
    format!("date -u -s '+{DAYS} days' && systemctl restart kubelet")
}

/// Waits until all of these certificates were made lately.
fn wait_until_fresh(real: &mut Real, node: &str, files: &str) {
    let script = format!(
        "for file in {files}; do openssl x509 -noout -checkend $(({FRESH} * 86400)) -in $file >/dev/null || \
         {{ echo $file ends soon; cat {TOLD}; exit 1; }}; done"
    );
    real.until(&format!("new certificates of {node}"), |real| {
        let out = real.ssh(node).run(&script);
        out.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&out.stdout).into_owned())
    });
}

/// Has something in etcd that no controller makes.
fn note_in_the_cluster(real: &mut Real, name: &str) {
    real.until(&format!("a note called {name}"), |real| {
        // an answer that was lost on the way may have been a good one
        let made = real.outside.kubectl(&["create", "configmap", name]);
        real.outside.kubectl(&["get", "configmap", name]).map_err(|why| format!("{why}; {made:?}"))
    });
}
