//! What `kubeadm init` makes of a description, for real or in words, and whether it is what was meant.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::configuration::documents;
use crate::descriptions::Description;
use crate::machine::Machine;

const KUBELET: &str = "/var/lib/kubelet/config.yaml";
const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

pub struct Made {
    files: BTreeMap<String, String>,
    objects: Vec<Value>,
}

impl Made {
    /// What a machine has after `kubeadm init`, and what is stored.
    pub fn on(machine: &Machine) -> Self {
        let manifests = COMPONENTS.map(manifest);
        let paths = manifests.iter().map(String::as_str).chain([KUBELET, FLAGS]);
        let files = paths.map(|path| (path.to_owned(), machine.read(path))).collect();
        let objects: BTreeMap<String, Value> =
            serde_json::from_str(&machine.read("/var/lib/etcd/objects.json")).unwrap();
        Self { files, objects: objects.into_values().collect() }
    }

    /// What `kubeadm init --dry-run` says that it would do.
    pub fn said(text: &str) -> Self {
        let mut made = Self { files: BTreeMap::new(), objects: Vec::new() };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let mut block = String::new();
            while let Some(indented) = lines.next_if(|line| line.starts_with('\t')) {
                block += &indented[1..];
                block.push('\n');
            }
            if let Some(rest) = line.strip_prefix("[dryrun] Would write file \"") {
                made.files.insert(rest.split('"').next().unwrap().to_owned(), block);
            } else if line == "[dryrun] Attached object:" {
                made.objects.extend(documents(&block));
            }
        }
        made
    }

    fn file(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("{path} is not among {:?}", self.files.keys()))
    }

    pub fn object(&self, kind: &str, name: &str) -> &Value {
        let named = |object: &&Value| object["metadata"]["name"] == name;
        // what is stored has its kind in its path alone
        let of_kind = |object: &&Value| object.get("kind").is_none_or(|found| found == kind);
        let mut found = self.objects.iter().filter(named).filter(of_kind);
        found.next().unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The arguments of a component, and its image.
    fn component(&self, name: &str) -> (Vec<String>, String) {
        let pod = &documents(self.file(&manifest(name)))[0];
        let container = &pod["spec"]["containers"][0];
        let arguments = container["command"].as_array().unwrap().iter();
        let arguments = arguments.map(|argument| argument.as_str().unwrap().to_owned()).collect();
        (arguments, container["image"].as_str().unwrap().to_owned())
    }

    pub fn assert_as_meant(&self, description: &Description, token: &str, version: &str) {
        let (_, address) = description.control_plane;
        let services = format!("--service-cluster-ip-range={}", description.services);
        let wanted = [
            vec![
                format!("--advertise-address={address}"),
                "--secure-port=6443".to_owned(),
                "--enable-bootstrap-token-auth=true".to_owned(),
                services.clone(),
            ],
            vec![
                format!("--cluster-cidr={}", description.pods),
                format!("--cluster-name={}", description.cluster),
                "--leader-elect=false".to_owned(),
                "--allocate-node-cidrs=true".to_owned(),
                services,
            ],
            vec!["--leader-elect=false".to_owned()],
        ];
        for (name, wanted) in COMPONENTS.iter().zip(wanted) {
            let (arguments, image) = self.component(name);
            for argument in wanted {
                let flag = argument.split_inclusive('=').next().unwrap();
                let given: Vec<&String> = arguments.iter().filter(|given| given.starts_with(flag)).collect();
                assert_eq!(given, [&argument], "{name}");
            }
            assert_eq!(image, format!("{}/{name}:{version}", description.registry));
        }

        let kubelet = &documents(self.file(KUBELET))[0];
        assert_eq!(kubelet["cgroupDriver"], "systemd");
        assert_eq!(kubelet["clusterDNS"], json!([description.service_addresses.1]));
        assert_eq!(kubelet["clusterDomain"], "cluster.local");
        // systemd-resolved's own address in /etc/resolv.conf would send CoreDNS round in a circle
        assert_eq!(kubelet["resolvConf"], "/run/systemd/resolve/resolv.conf");
        assert_eq!(self.file(FLAGS).trim_end(), flags(address, None));

        let info = &self.object("ConfigMap", "cluster-info")["data"]["kubeconfig"];
        let info = &documents(info.as_str().unwrap())[0];
        assert_eq!(
            info["clusters"][0]["cluster"]["server"],
            format!("https://{}:6443", description.api_name)
        );
        let (id, secret) = token.split_once('.').unwrap();
        let stored = &self.object("Secret", &format!("bootstrap-token-{id}"))["data"];
        let mut stored: BTreeMap<&str, String> = stored
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| {
                let value = STANDARD.decode(value.as_str().unwrap()).unwrap();
                (key.as_str(), String::from_utf8(value).unwrap())
            })
            .collect();
        assert!(stored.remove("expiration").is_some(), "it ends");
        let expected = BTreeMap::from([
            ("auth-extra-groups", "system:bootstrappers:kubeadm:default-node-token".to_owned()),
            ("description", format!("pibake: {}", description.worker.map_or("node-2", |worker| worker.0))),
            ("token-id", id.to_owned()),
            ("token-secret", secret.to_owned()),
            ("usage-bootstrap-authentication", "true".to_owned()),
            ("usage-bootstrap-signing", "true".to_owned()),
        ]);
        assert_eq!(stored, expected);
        let dns = self.object("Service", "kube-dns");
        assert_eq!(dns["spec"]["clusterIP"], description.service_addresses.1);
        let proxy = &self.object("ConfigMap", "kube-proxy")["data"]["config.conf"];
        let proxy = &documents(proxy.as_str().unwrap())[0];
        assert_eq!(proxy["clusterCIDR"], description.pods);
    }
}

fn manifest(component: &str) -> String {
    format!("/etc/kubernetes/manifests/{component}.yaml")
}

/// What kubelet is told on its command line. No --hostname-override: the node's name is its host's.
pub fn flags(address: &str, labels: Option<&str>) -> String {
    let labels = labels.map(|labels| format!(" --node-labels={labels}")).unwrap_or_default();
    format!(
        "KUBELET_KUBEADM_ARGS=\"--container-runtime=remote \
         --container-runtime-endpoint=unix:///run/containerd/containerd.sock --node-ip={address}{labels}\""
    )
}
