//! What is left of certificates' time, and what the baked program has the real kubeadm do about it.

use std::collections::BTreeMap;

use crate::certificates;
use crate::cluster::CONTROL_PLANE;
use crate::descriptions::DESCRIPTIONS;
use crate::machine::{Machine, Project, Ran, Segment};
use support::pki::LEAVES;
use support::{run, tool};

/// Gives kubeadm's certificates 30 days from now on, with the same keys, subjects and extensions.
const SHORTEN: &str = r#"
again() { # CERTIFICATE KEY CA
    openssl x509 -x509toreq -in "$1" -signkey "$2" -copy_extensions copyall -out /run/csr 2>/dev/null
    openssl x509 -req -in /run/csr -CA "$3.crt" -CAkey "$3.key" -set_serial "0x$(openssl rand -hex 8)" -days 30 \
        -copy_extensions copyall -out "$1" 2>/dev/null
}
cd /etc/kubernetes
for name in apiserver apiserver-kubelet-client; do again pki/$name.crt pki/$name.key pki/ca; done
again pki/front-proxy-client.crt pki/front-proxy-client.key pki/front-proxy-ca
again pki/apiserver-etcd-client.crt pki/apiserver-etcd-client.key pki/etcd/ca
for name in server peer healthcheck-client; do again pki/etcd/$name.crt pki/etcd/$name.key pki/etcd/ca; done
for conf in admin controller-manager scheduler; do
    sed -n 's/^ *client-certificate-data: //p' $conf.conf | base64 -d >/run/crt
    sed -n 's/^ *client-key-data: //p' $conf.conf | base64 -d >/run/key
    again /run/crt /run/key pki/ca
    sed -i "s|client-certificate-data: .*|client-certificate-data: $(base64 -w 0 /run/crt)|" $conf.conf
done
mkdir -p /var/lib/pibake/first-boot
echo done >/var/lib/pibake/first-boot/complete
systemctl restart kubelet
until kubectl --kubeconfig admin.conf get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
"#;

const RENEW: &str = "PIBAKE_PATIENCE=60 PIBAKE_SLEEP=0.5 /bin/sh /pibake/certificates renew";

struct Lab {
    project: Project,
    machine: Machine,
    segment: Segment,
}

fn lab() -> Lab {
    let description = &DESCRIPTIONS[0];
    let project = Project::new(description);
    let machine = project.machine(description.control_plane.0);
    let mut segment = Segment::new();
    segment.address(description.control_plane.1);
    segment.run(&machine, CONTROL_PLANE).well();
    well(segment.run(&machine, SHORTEN));
    Lab { project, machine, segment }
}

fn well(ran: Ran) -> String {
    assert_eq!(ran.status, 0, "{}\n{}", ran.out, ran.err);
    ran.out
}

impl Lab {
    fn files(&self) -> BTreeMap<&'static str, String> {
        LEAVES.into_iter().map(|leaf| (leaf, self.machine.read(&format!("/etc/kubernetes/{leaf}")))).collect()
    }

    /// What kubeadm itself says of each certificate's time: `364d`.
    fn times(&mut self) -> BTreeMap<String, String> {
        let said = well(self.segment.run(&self.machine, "kubeadm certs check-expiration --config /given"));
        let rows = said.lines().skip_while(|line| !line.starts_with("CERTIFICATE ")).skip(1);
        let rows = rows.take_while(|line| !line.trim().is_empty());
        let left = |word: &&str| word.ends_with(['d', 'y']) && word.starts_with(|c: char| c.is_ascii_digit());
        rows.map(|row| {
            let words: Vec<&str> = row.split_whitespace().collect();
            (words[0].to_owned(), (*words.iter().find(|word| left(word)).unwrap()).to_owned())
        })
        .collect()
    }

    fn serves(&mut self) {
        let ask = "kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz";
        assert_eq!(well(self.segment.run(&self.machine, ask)), "ok");
    }

    fn status(&self) -> Vec<String> {
        self.machine.read("/var/log/pibake/certificates").lines().map(str::to_owned).collect()
    }
}

/// What kubeadm is asked with: it would look for a default route otherwise.
fn asked(lab: &mut Lab) {
    let given = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n---\n\
                 apiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: 10.0.0.1\n";
    lab.machine.put("/given", given, 0o600);
}

/// Everything is good for a year again, by kubeadm's own count, for the same names and under the same authority.
pub fn renews() {
    let mut lab = lab();
    asked(&mut lab);
    let before = lab.times();
    assert_eq!(before.len(), 10, "{before:?}");
    assert!(before.values().all(|left| left == "29d"), "{before:?}");
    let said = well(lab.segment.run(&lab.machine, RENEW));
    for pod in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        assert!(said.contains(&format!("restarting {pod}\n")), "{said}");
    }
    assert!(lab.times().values().all(|left| left == "364d"), "{said}");
    lab.serves();
    certificates::assert_of_the_baked_authority(&DESCRIPTIONS[0], &lab.project, &lab.machine);
    certificates::assert_admins(&DESCRIPTIONS[0], &lab.project, &lab.machine);
    assert!(!lab.machine.path("/etc/kubernetes/pibake").exists());
    // kubeadm was told what it keeps in the cluster itself.
    let kept = lab.machine.read("/var/lib/pibake/certificates/cluster-configuration.yaml");
    assert!(kept.contains("kind: ClusterConfiguration") && kept.contains("certSANs"), "{kept}");
    assert_eq!(lab.status()[3], "state=ok", "{:?}", lab.status());
    let said = well(lab.segment.run(&lab.machine, RENEW));
    assert!(!said.contains("restarting"), "{said}");
}

/// An API server that does not come up with what kubeadm made gets back what it had.
pub fn goes_back() {
    let mut lab = lab();
    let before = lab.files();
    let mut openssl = tool("openssl", "openssl");
    let certificate = lab.machine.path("/etc/kubernetes/pki/apiserver.crt");
    let serial = run(openssl.args(["x509", "-noout", "-serial", "-in"]).arg(certificate));
    lab.machine.put("/run/dislikes", &serial, 0o644);
    let ran = lab.segment.run(&lab.machine, RENEW);
    assert_eq!(ran.status, 1, "{}\n{}", ran.out, ran.err);
    assert!(lab.files() == before, "{}", ran.out);
    lab.serves();
    let message = &lab.status()[4];
    // It ends and is started again, and again; whether it runs when it is looked at is a matter of time.
    let is_said = message.starts_with("message=with new certificates kube-apiserver ");
    assert!(is_said && message.ends_with("; the old ones are back"), "{message}");
}

/// node-1's kubelet was off until its certificate had ended, and nobody can sign it another but node-1 itself.
pub fn kubelet() {
    let mut lab = lab();
    let script = r#"
cd /var/lib/kubelet && mkdir -p pki && cd pki
printf '[req]\ndistinguished_name=dn\n[dn]\n' >/run/cnf
openssl req -config /run/cnf -new -newkey rsa:2048 -nodes -keyout key -subj /O=system:nodes/CN=system:node:node-1 -out csr 2>/dev/null
openssl x509 -req -in csr -CA /etc/kubernetes/pki/ca.crt -CAkey /etc/kubernetes/pki/ca.key -set_serial 7 -days -1 -out crt 2>/dev/null
cat crt key >kubelet-client-2026-01-01-00-00-00.pem
ln -s kubelet-client-2026-01-01-00-00-00.pem kubelet-client-current.pem
sed -i -E '/client-(certificate|key)-data/d' /etc/kubernetes/kubelet.conf
printf '    client-certificate: %s\n    client-key: %s\n' /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet-client-current.pem >>/etc/kubernetes/kubelet.conf
"#;
    well(lab.segment.run(&lab.machine, script));
    well(lab.segment.run(&lab.machine, RENEW));
    let current =
        std::fs::canonicalize(lab.machine.path("/var/lib/kubelet/pki/kubelet-client-current.pem")).unwrap();
    let mut verify = tool("openssl", "openssl");
    verify.args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"]);
    run(verify.arg(lab.machine.path("/etc/kubernetes/pki/ca.crt")).arg(&current));
    let mut subject = tool("openssl", "openssl");
    let subject =
        run(subject.args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in"]).arg(&current));
    assert!(subject.contains("CN=system:node:node-1") && subject.contains("O=system:nodes"), "{subject}");
    // Its key is there, too, and the API server takes the two.
    let ask = "kubectl --kubeconfig /etc/kubernetes/kubelet.conf get --raw /api/v1/nodes/node-1";
    assert!(well(lab.segment.run(&lab.machine, ask)).contains("node-1"));
}
