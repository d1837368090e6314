//! What is true of every recipe, and what each file must say.

use std::collections::{BTreeMap, BTreeSet};

use pibake::boards::Board;
use pibake::cluster::*;
use pibake::recipe::{Action, Extras, Recipe, Secrecy, Volume, preview, show};
use serde_json::{Value, json};

use crate::fixture::{
    PSK, book, boot_file, bytes, closed, identity, lan, odd, of, on, platform, root_file, token, with_nodes,
};

fn clusters() -> Vec<Cluster> {
    let mut all = vec![odd(), lan(LanAddressing::Static), closed(), with_nodes(2)];
    for cluster in &mut all {
        cluster.access.password = Some(Password::Hash(Secret::new("$6$salt$hash")));
    }
    all
}

fn all_recipes() -> impl Iterator<Item = (Cluster, u16, Recipe)> {
    clusters().into_iter().flat_map(|cluster| {
        let numbers: Vec<_> = cluster.nodes.iter().map(|node| node.number).collect();
        let cluster = cluster.clone();
        numbers.into_iter().map(move |number| (cluster.clone(), number, of(&cluster, number)))
    })
}

fn files(recipe: &Recipe) -> impl Iterator<Item = (Volume, &str, &[u8], u16, bool)> {
    recipe.changes.iter().filter_map(|change| match &change.action {
        Action::Write { content, access, secrecy } => {
            Some((change.volume, change.path.as_str(), content.as_slice(), access.mode, secrecy.is_secret()))
        }
        _ => None,
    })
}

fn secrets() -> Vec<String> {
    let identity = identity();
    let key = identity.ca_key.reveal().lines().nth(1).unwrap().to_owned();
    vec![key, token(2).reveal().to_owned(), PSK.to_owned(), "$6$salt$hash".to_owned(), "u:p%40w".to_owned()]
}

fn holds(content: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(content).contains(text)
}

#[test]
fn secrets_are_in_private_files_of_the_root_file_system_only() {
    let mut seen = BTreeSet::new();
    for (_, number, recipe) in all_recipes() {
        for (volume, path, content, mode, secret) in files(&recipe) {
            for text in secrets() {
                if !holds(content, &text) {
                    continue;
                }
                seen.insert(text);
                assert_eq!(volume, Volume::Root, "{path} of {number}");
                assert!(secret, "{path} of {number} is not marked");
                // apt's own user reads this one, and nobody else.
                let wanted = if path == "/etc/apt/apt.conf.d/90pibake-proxy" { 0o640 } else { 0o600 };
                assert!(mode == wanted, "{path} of {number} has mode {mode:o}");
            }
        }
    }
    assert_eq!(seen.len(), secrets().len());
}

#[test]
fn each_node_has_the_secrets_that_it_needs_and_no_others() {
    let all = secrets();
    let (key, token) = (&all[0], &all[1]);
    for (cluster, number, recipe) in all_recipes() {
        let having =
            |text: &str| -> Vec<&str> { files(&recipe).filter(|f| holds(f.2, text)).map(|f| f.1).collect() };
        let first = number == 1;
        let joins = having(token);
        assert_eq!(joins, if number <= 2 { vec!["/etc/pibake/kubeadm.yaml"] } else { vec![] });
        // a worker has its own and no other; the control plane those of all that may join
        let spare = cluster.nodes.len() as u16 + 16;
        for other in 1..=250 {
            let has = !having(self::token(other).reveal()).is_empty();
            let wanted = if first { (2..=spare.min(250)).contains(&other) } else { other == number };
            assert_eq!(has, wanted, "the token of node {other} on node {number}'s card");
        }
        assert_eq!(having(key), if first { vec!["/etc/kubernetes/pki/ca.key"] } else { vec![] });
        let radio = first && cluster.network.radio().is_some();
        assert_eq!(!having(PSK).is_empty(), radio);
    }
}

#[test]
fn a_passphrase_is_baked_as_what_it_makes() {
    let mut cluster = book();
    let wifi = crate::fixture::wifi(&mut cluster);
    wifi.key = WifiKey::Passphrase(Secret::new("correct horse"));
    let recipe = of(&cluster, 1);
    for (_, path, content, ..) in files(&recipe) {
        assert!(!holds(content, "correct horse"), "{path}");
    }
    let mut wpa = support::tool("wpa_passphrase", "wpasupplicant");
    let said = support::run(wpa.args(["home", "correct horse"]));
    let psk = said.lines().find_map(|line| line.trim().strip_prefix("psk=")).unwrap();
    assert!(root_file(&recipe, "/etc/netplan/50-cloud-init.yaml").contains(psk), "{said}");
}

#[test]
fn the_api_server_is_known_by_a_fixed_uplink_address() {
    let told = |cluster: &Cluster| root_file(&of(cluster, 1), "/etc/pibake/kubeadm.yaml");
    assert!(told(&crate::fixture::wired_uplink()).contains("\"192.168.1.5\"]"));
    assert!(!told(&book()).contains("192.168.1.5"));
}

/// WPA3 needs the passphrase itself, and it stands where nobody but root can read it.
#[test]
fn a_passphrase_is_baked_only_where_wpa3_needs_it() {
    let radio = |security: &str, key: &str, platform: &str| {
        let text = format!("[network.wifi]\nssid = \"home\"\nsecurity = \"{security}\"\n{key}");
        let recipe = on(&crate::fixture::read(&text), platform, 1);
        let netplan: Value =
            serde_saphyr::from_str(&root_file(&recipe, "/etc/netplan/50-cloud-init.yaml")).unwrap();
        let holders: Vec<_> = files(&recipe).filter(|f| holds(f.2, "correct horse")).collect();
        assert!(holders.iter().all(|f| f.0 == Volume::Root && f.3 == 0o600 && f.4), "{security}");
        let points = &netplan["network"]["wifis"]["wlan0"]["access-points"];
        (points["home"].clone(), holders.len())
    };
    let key = "password = \"correct horse\"\n";
    let sae = json!({"hidden": false, "auth": {"key-management": "sae", "password": "correct horse"}});
    assert_eq!(radio("wpa3", key, "24.04"), (sae, 1));
    assert_eq!(radio("wpa2-wpa3", key, "24.04"), (json!({"hidden": false, "password": "correct horse"}), 1));
    for (security, platform) in [("wpa2", "24.04"), ("wpa2", "20.04"), ("wpa2-wpa3", "22.04")] {
        let (point, holders) = radio(security, key, platform);
        assert_eq!((&point["auth"]["key-management"], holders), (&json!("psk"), 0), "{security} {platform}");
        assert_eq!(point["auth"]["password"].as_str().unwrap().len(), 64);
        assert_eq!(point.get("password"), None);
    }
    assert_eq!(radio("open", "", "24.04"), (json!({"hidden": false}), 0));
}

#[test]
fn wpa3_alone_needs_a_system_that_knows_it() {
    let text = "[network.wifi]\nssid = \"home\"\nsecurity = \"wpa3\"\npassword = \"correct horse\"\n";
    let error = crate::fixture::with(&crate::fixture::read(text), 1, &Extras::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("pibake.toml:3:12: network.wifi.security: netplan of 20.04"),
        "{error}"
    );
}

#[test]
fn a_backslash_is_doubled_where_netplan_has_it_decoded() {
    let mut cluster = book();
    crate::fixture::wifi(&mut cluster).ssid = r"\o_home\".to_owned();
    let name = |platform: &str| {
        let netplan: Value =
            serde_saphyr::from_str(&root_file(&on(&cluster, platform, 1), "/etc/netplan/50-cloud-init.yaml"))
                .unwrap();
        let points = netplan["network"]["wifis"]["wlan0"]["access-points"].as_object().unwrap().clone();
        points.keys().next().unwrap().clone()
    };
    assert_eq!((name("22.04").as_str(), name("24.04").as_str()), (r"\o_home\", r"\\o_home\\"));
}

/// An address that a node is known by is kept while the DHCP server is away; that of the uplink is
/// not, since the board may be carried into another network.
#[test]
fn leases_that_the_cluster_hangs_on_are_kept() {
    let critical = |cluster: &Cluster, number: u16| {
        root_file(&of(cluster, number), "/etc/netplan/50-cloud-init.yaml").matches("critical: true").count()
    };
    assert_eq!((critical(&book(), 1), critical(&book(), 2)), (0, 1));
    assert_eq!((critical(&lan(LanAddressing::Dhcp), 1), critical(&lan(LanAddressing::Static), 2)), (1, 0));
}

#[test]
fn a_preview_is_the_recipe_with_nothing_secret_in_it() {
    for cluster in clusters() {
        for node in &cluster.nodes {
            let baked = of(&cluster, node.number);
            let shown = preview(&cluster, Some(&identity()), node, &platform(), &Extras::default()).unwrap();
            let paths = |recipe: &Recipe| -> Vec<_> {
                recipe.changes.iter().map(|c| (c.volume, c.path.clone())).collect()
            };
            assert_eq!(paths(&baked), paths(&shown));
            assert_eq!(boot_file(&baked, "/meta-data"), boot_file(&shown, "/meta-data"));
            for change in &shown.changes {
                let text = show::text(change);
                for secret in secrets() {
                    assert!(!text.contains(&secret), "{} shows {secret}", change.path);
                }
            }
            assert_eq!(
                files(&baked).map(|f| (f.1, f.3, f.4)).collect::<Vec<_>>(),
                files(&shown).map(|f| (f.1, f.3, f.4)).collect::<Vec<_>>(),
                "what is secret, and its mode, is said truly"
            );
            for (a, b) in baked.changes.iter().zip(&shown.changes) {
                if let Action::Write { secrecy: Secrecy::Public, .. } = a.action {
                    assert_eq!(a, b);
                }
            }
        }
    }
}

#[test]
fn a_preview_needs_no_secrets() {
    let cluster = odd();
    for node in &cluster.nodes {
        let shown = preview(&cluster, None, node, &platform(), &Extras::default()).unwrap();
        let baked = of(&cluster, node.number);
        let of = |recipe: &Recipe| -> Vec<_> { files(recipe).map(|f| (f.1.to_owned(), f.3, f.4)).collect() };
        assert_eq!(of(&shown), of(&baked));
        assert_eq!(shown.changes.len(), baked.changes.len());
        assert!(files(&shown).all(|file| !holds(file.2, PSK)));
    }
}

#[test]
fn a_plan_says_what_each_change_is() {
    let recipe = of(&odd(), 1);
    let lines: Vec<_> = recipe.changes.iter().map(show::line).collect();
    let line = |path: &str| lines.iter().find(|line| line.path.as_str() == path).unwrap();
    let psk = line("/etc/netplan/50-cloud-init.yaml");
    assert_eq!((psk.mode, psk.secret, psk.what.as_str()), (Some(0o600), true, "file"));
    assert_eq!(line("/user-data").mode, None);
    assert_eq!(line("/etc/hostname").size, Some(7));
    let at = |path: &str| show::at(&recipe, &path.parse().unwrap()).len();
    assert_eq!((at("/user-data"), at("/boot/firmware/user-data"), at("/boot/user-data")), (1, 1, 0));
}

#[test]
fn the_instance_id_is_another_for_each_node_and_each_content() {
    let id = |recipe: &Recipe| boot_file(recipe, "/meta-data");
    let nodes: BTreeSet<_> = (1..=4).map(|number| id(&of(&book(), number))).collect();
    assert_eq!(nodes.len(), 4);
    assert_eq!(id(&of(&book(), 3)), id(&of(&book(), 3)));
    let mut other = book();
    other.kubernetes.flannel.image.push('x');
    assert_ne!(id(&of(&book(), 1)), id(&of(&other, 1)));
    let read: BTreeMap<String, String> = serde_saphyr::from_str(&id(&of(&book(), 2))).unwrap();
    assert!(read["instance-id"].starts_with("pibake-node-2-"), "{read:?}");
    assert_eq!(read["local-hostname"], "node-2");
}

#[test]
fn a_card_says_which_board_it_is_for() {
    let cluster = crate::fixture::read("board = \"pi4\"\nnodes = [{}, { board = \"cm4\" }]\n");
    for (number, board) in [(1, "pi4"), (2, "cm4")] {
        let recipe = of(&cluster, number);
        assert_eq!(recipe.board.map(Board::as_str), Some(board));
        let env = root_file(&recipe, "/etc/pibake/node.env");
        assert!(env.contains(&format!("\nBAKED_BOARD='{board}'\n")), "{env}");
    }
    let any = of(&book(), 1);
    assert_eq!(any.board, None);
    assert!(!root_file(&any, "/etc/pibake/node.env").contains("BAKED_BOARD"));
}

/// What differs from board to board is the firmware's and the kernel's business: with the kernel's own names the port is
/// eth0 on each of them, and the memory cgroup is switched on for each in the same way.
#[test]
fn a_board_changes_nothing_but_what_the_card_says_of_itself() {
    let mut seen = 0;
    for series in ["20.04", "22.04", "24.04", "26.04"] {
        for board in Board::ALL.into_iter().filter(|board| board.starts_with(series)) {
            for number in [1, 2] {
                let mut cluster = book();
                let any = on(&cluster, series, number);
                cluster.nodes.iter_mut().for_each(|node| node.board = Some(board));
                let one = on(&cluster, series, number);
                assert_eq!(any.changes.len(), one.changes.len());
                let both = any.changes.iter().zip(&one.changes);
                let differ: Vec<_> = both.filter(|(a, b)| a != b).map(|(a, _)| a.path.as_str()).collect();
                let own = ["/meta-data", "/etc/pibake/node.env", "/usr/lib/pibake/baked"];
                assert_eq!(differ, own, "{board} on {series}");
                assert!(kernel_arguments(&one).0.contains(&"net.ifnames=0".to_owned()));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}

#[test]
fn recipes_are_in_order_and_name_no_path_twice() {
    for (_, _, recipe) in all_recipes() {
        let keys: Vec<_> = recipe.changes.iter().map(|c| (c.volume, c.path.clone())).collect();
        let sorted: BTreeSet<_> = keys.iter().cloned().collect();
        assert_eq!(keys, sorted.into_iter().collect::<Vec<_>>());
        assert!(
            keys.iter().all(|(_, path)| !path.as_str().contains(".j2") && !path.as_str().contains("@reg"))
        );
        assert!(keys.iter().all(|(_, path)| path.as_str() != "/etc/machine-id"));
    }
}

#[test]
fn scripts_can_be_run_and_units_are_enabled() {
    let recipe = of(&book(), 1);
    for (_, path, content, mode, _) in files(&recipe) {
        assert_eq!(content.starts_with(b"#!"), mode == 0o755, "{path}");
    }
    let link = recipe.changes.iter().find_map(|change| match &change.action {
        Action::Symlink { target } if target.ends_with("/pibake-nat.service") => Some(change.path.as_str()),
        _ => None,
    });
    assert_eq!(link, Some("/etc/systemd/system/multi-user.target.wants/pibake-nat.service"));
}

#[test]
fn each_shipped_file_is_as_private_as_what_it_may_hold() {
    let told: BTreeMap<String, BTreeMap<String, Value>> =
        toml::from_str(include_str!("../../../overlays/manifest.toml")).unwrap();
    let mut secret = BTreeSet::new();
    for (_, number, recipe) in all_recipes() {
        for (_, path, _, mode, is_secret) in files(&recipe).filter(|f| f.4) {
            assert!(is_secret && mode & 0o007 == 0, "{path} of {number} has mode {mode:o}");
            secret.insert(path.to_owned());
        }
    }
    for key in ["/etc/kubernetes/pki/ca.key", "/etc/ssh/ssh_host_ed25519_key", "/etc/pibake/backup.key"] {
        assert!(secret.remove(key), "{key}");
    }
    let declared = told.values().flatten().filter(|(_, entry)| entry["secret"] == true);
    let declared: BTreeSet<_> =
        declared.map(|(path, _)| format!("/{}", path.trim_end_matches(".j2"))).collect();
    assert_eq!(secret, declared, "the manifest names what holds secrets, and nothing else");
}

#[test]
fn sudo_asks_for_the_password_where_there_is_one() {
    let rule = |cluster: &Cluster| -> Value {
        let text = boot_file(&of(cluster, 2), "/user-data");
        serde_saphyr::from_str::<Value>(&text).unwrap()["users"][0]["sudo"].clone()
    };
    assert_eq!(rule(&book()), "ALL=(ALL) NOPASSWD:ALL");
    for password in [Password::Plain(Secret::new("x")), Password::Hash(Secret::new("$6$salt$hash"))] {
        let mut cluster = book();
        cluster.access.password = Some(password);
        assert_eq!(rule(&cluster), "ALL=(ALL) ALL");
    }
}

fn kernel_arguments(recipe: &Recipe) -> (Vec<String>, Vec<String>) {
    recipe
        .changes
        .iter()
        .find_map(|change| match &change.action {
            Action::KernelArguments { set, unset, .. } => {
                assert_eq!((change.volume, change.path.as_str()), (Volume::Boot, "/cmdline.txt"));
                let texts = |all: &[KernelArgument]| all.iter().map(ToString::to_string).collect();
                Some((texts(set), texts(unset)))
            }
            _ => None,
        })
        .unwrap()
}

#[test]
fn the_kernel_is_told_what_it_must_know() {
    let (set, _) = kernel_arguments(&of(&book(), 1));
    let always = ["cgroup_enable=memory", "cgroup_memory=1", "net.ifnames=0"];
    assert_eq!(set, [&always[..], &["cfg80211.ieee80211_regdom=DE"]].concat());
    let (set, unset) = kernel_arguments(&of(&book(), 2));
    assert_eq!(set, always);
    assert_eq!(unset, ["cgroup_disable=memory", "net.ifnames="]);
    let (set, _) = kernel_arguments(&on(&book(), "24.04", 1));
    assert_eq!(set, always);
    let mut cluster = book();
    cluster.network.link = Link::ethernet("end0");
    assert_eq!(kernel_arguments(&of(&cluster, 2)).0, always[..2]);
    let mut cluster = book();
    cluster.kubernetes.cgroup = Some(Cgroup::V2);
    cluster.base.kernel_arguments =
        ["quiet", "cgroup_memory=1", "cgroup-memory=1"].map(|a| a.parse().unwrap()).to_vec();
    let (set, unset) = kernel_arguments(&of(&cluster, 2));
    let more = ["systemd.unified_cgroup_hierarchy=1", "quiet"];
    assert_eq!(set, [&always[..], &more].concat());
    let expected = ["cgroup_disable=memory", "net.ifnames=", "systemd.unified_cgroup_hierarchy="];
    assert_eq!(unset, expected);
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn kubeadm(minor: u16, patch: Option<u16>, number: u16) -> BTreeMap<String, Value> {
    let mut cluster = book();
    cluster.kubernetes.version = Some(KubernetesVersion { minor, patch });
    // The old ones are not in pkgs.k8s.io.
    cluster.sources.kubernetes.url = "http://mirror.lan/{minor}".to_owned();
    let all = documents(&root_file(&of(&cluster, number), "/etc/pibake/kubeadm.yaml"));
    all.into_iter().map(|doc| (doc["kind"].as_str().unwrap().to_owned(), doc)).collect()
}

#[test]
fn kubeadm_is_told_the_same_in_each_of_its_languages() {
    for (minor, api) in [(20, "v1beta2"), (22, "v1beta3"), (30, "v1beta3"), (31, "v1beta4"), (34, "v1beta4")]
    {
        let api = format!("kubeadm.k8s.io/{api}");
        let docs = kubeadm(minor, Some(2), 1);
        let (init, cluster) = (&docs["InitConfiguration"], &docs["ClusterConfiguration"]);
        assert_eq!((&init["apiVersion"], &cluster["apiVersion"]), (&json!(api), &json!(api)));
        let first = &init["bootstrapTokens"][0];
        assert_eq!(first["token"], token(2).reveal());
        assert_eq!((&first["description"], &first["ttl"]), (&json!("pibake: node-2"), &json!("2160h")));
        assert_eq!(init["localAPIEndpoint"], json!({"advertiseAddress": "10.0.0.1", "bindPort": 6443}));
        assert_eq!(init["nodeRegistration"]["name"], "node-1");
        assert_eq!(cluster["kubernetesVersion"], format!("v1.{minor}.2"));
        assert_eq!(cluster["controlPlaneEndpoint"], "kubernetes.cluster.home:6443");
        assert_eq!(cluster["networking"]["podSubnet"], "10.244.0.0/16");
        assert_eq!(cluster["networking"]["serviceSubnet"], "10.96.0.0/12");
        let names = cluster["apiServer"]["certSANs"].as_array().unwrap();
        assert!(names.contains(&json!("kubernetes.cluster.home")) && names.contains(&json!("10.0.0.1")));
        assert_eq!(docs["KubeletConfiguration"]["cgroupDriver"], "systemd");

        let join = &kubeadm(minor, Some(2), 3)["JoinConfiguration"];
        assert_eq!(join["apiVersion"], json!(api));
        let discovery = &join["discovery"];
        assert_eq!(discovery["bootstrapToken"]["apiServerEndpoint"], "kubernetes.cluster.home:6443");
        assert_eq!(discovery["bootstrapToken"]["caCertHashes"], json!([identity().ca_hash]));
        assert_eq!(discovery["bootstrapToken"].get("unsafeSkipCAVerification"), None);

        let address = |ip: &str| match api.ends_with("v1beta4") {
            true => json!([{"name": "node-ip", "value": ip}]),
            false => json!({"node-ip": ip}),
        };
        assert_eq!(init["nodeRegistration"]["kubeletExtraArgs"], address("10.0.0.1"));
        assert_eq!(join["nodeRegistration"]["kubeletExtraArgs"], address("10.0.0.3"));
        let single = match api.ends_with("v1beta4") {
            true => json!([{"name": "leader-elect", "value": "false"}]),
            false => json!({"leader-elect": "false"}),
        };
        assert_eq!(cluster["controllerManager"]["extraArgs"], single);
        assert_eq!(cluster["scheduler"]["extraArgs"], single);
        if api.ends_with("v1beta4") {
            assert_eq!(init["timeouts"]["controlPlaneComponentHealthCheck"], "20m0s");
            assert_eq!(join["timeouts"]["discovery"], "30m0s");
            assert_eq!(cluster["apiServer"].get("timeoutForControlPlane"), None);
            assert_eq!(discovery.get("timeout"), None);
        } else {
            assert_eq!(cluster["apiServer"]["timeoutForControlPlane"], "20m0s");
            assert_eq!(discovery["timeout"], "30m0s");
            assert_eq!((init.get("timeouts"), join.get("timeouts")), (None, None));
        }
    }
    assert_eq!(kubeadm(34, None, 1)["ClusterConfiguration"]["kubernetesVersion"], "stable-1.34");
}

#[test]
fn a_password_is_told_to_cloud_init_in_the_words_that_it_knows() {
    let told = |platform: &str| -> Value {
        let path = "/etc/cloud/cloud.cfg.d/98-pibake-password.cfg";
        serde_saphyr::from_str(&root_file(&on(&clusters()[0], platform, 1), path)).unwrap()
    };
    let user = crate::fixture::ODD_USER;
    let list = json!({"expire": false, "list": [format!("{user}:$6$salt$hash")]});
    assert_eq!(told("20.04")["chpasswd"], list);
    let users = json!([{"name": user, "password": "$6$salt$hash", "type": "hash"}]);
    assert_eq!(told("24.04")["chpasswd"], json!({"expire": false, "users": users}));
}

#[test]
fn pods_may_be_let_onto_the_control_plane() {
    let mut cluster = book();
    let taints = |cluster: &Cluster| {
        let init = documents(&root_file(&of(cluster, 1), "/etc/pibake/kubeadm.yaml")).remove(0);
        init["nodeRegistration"].get("taints").cloned()
    };
    assert_eq!(taints(&cluster), None);
    cluster.kubernetes.schedule_on_control_plane = true;
    assert_eq!(taints(&cluster), Some(json!([])));
}

#[test]
fn flannels_manifest_says_what_flannel_needs() {
    let docs = documents(&root_file(&of(&book(), 1), "/etc/pibake/flannel.yaml"));
    let of_kind = |kind: &str| docs.iter().find(|doc| doc["kind"] == kind).unwrap();
    let kinds: Vec<_> = docs.iter().map(|doc| doc["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]
    );
    let namespace = &of_kind("Namespace")["metadata"];
    assert_eq!(namespace["name"], "kube-flannel");
    assert_eq!(namespace["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
    for kind in ["ServiceAccount", "ConfigMap", "DaemonSet"] {
        assert_eq!(of_kind(kind)["metadata"]["namespace"], "kube-flannel", "{kind}");
    }
    let rules = of_kind("ClusterRole")["rules"].as_array().unwrap();
    let may = |verb: &str, resource: &str| {
        rules.iter().any(|rule| {
            let has = |key: &str, what: &str| rule[key].as_array().unwrap().contains(&json!(what));
            has("verbs", verb) && has("resources", resource)
        })
    };
    assert!(
        may("get", "pods") && may("list", "nodes") && may("watch", "nodes") && may("patch", "nodes/status")
    );
    assert!(!may("delete", "pods") && !may("patch", "nodes"));
    let binding = of_kind("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], of_kind("ClusterRole")["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], of_kind("ServiceAccount")["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["namespace"], "kube-flannel");

    let config = &of_kind("ConfigMap")["data"];
    let json_of = |key: &str| -> Value { serde_json::from_str(config[key].as_str().unwrap()).unwrap() };
    assert_eq!(json_of("net-conf.json")["Network"], "10.244.0.0/16");
    assert_eq!(json_of("net-conf.json")["Backend"], json!({"Type": "host-gw"}));
    let plugins: Vec<_> =
        json_of("cni-conf.json")["plugins"].as_array().unwrap().iter().map(|p| p["type"].clone()).collect();
    assert_eq!(plugins, ["flannel", "portmap"]);

    let set = &of_kind("DaemonSet")["spec"];
    assert_eq!(set["selector"]["matchLabels"]["app"], set["template"]["metadata"]["labels"]["app"]);
    let pod = &set["template"]["spec"];
    assert_eq!((&pod["hostNetwork"], &pod["serviceAccountName"]), (&json!(true), &json!("flannel")));
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists", "effect": "NoSchedule"}]));
    let flannel = &pod["containers"][0];
    assert!(flannel["args"].as_array().unwrap().contains(&json!("--iface=eth0")));
    assert_eq!(flannel["image"], defaults::FLANNEL_IMAGE);
    assert_eq!(pod["initContainers"][0]["image"], defaults::FLANNEL_CNI_PLUGIN_IMAGE);
    let volumes: BTreeSet<_> =
        pod["volumes"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    let containers = pod["containers"].as_array().unwrap().iter();
    for container in containers.chain(pod["initContainers"].as_array().unwrap()) {
        for mount in container["volumeMounts"].as_array().unwrap() {
            assert!(volumes.contains(mount["name"].as_str().unwrap()), "{mount}");
        }
    }
}

#[test]
fn containerd_2_has_its_configuration_in_its_own_form() {
    let mut cluster = book();
    cluster.kubernetes.version = Some(KubernetesVersion::minor(34));
    cluster.kubernetes.containerd = Some(ContainerdVersion::line(2, 1));
    let config: toml::Table =
        root_file(&on(&cluster, "24.04", 2), "/etc/containerd/config.toml").parse().unwrap();
    assert_eq!(config["version"].as_integer(), Some(3));
    let plugins = &config["plugins"];
    let images = &plugins["io.containerd.cri.v1.images"];
    assert_eq!(images["pinned_images"]["sandbox"].as_str(), Some("registry.k8s.io/pause:3.10.1"));
    assert_eq!(images["registry"]["config_path"].as_str(), Some("/etc/containerd/certs.d"));
    let runc = &plugins["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"];
    assert_eq!(runc["options"]["SystemdCgroup"].as_bool(), Some(true));
}

/// Debian builds its own containerd with another folder of CNI plugins than that which kubernetes-cni fills, and other
/// distributions may: nothing is left to what a containerd takes where it is told nothing.
#[test]
fn each_containerd_is_told_where_cni_plugins_are() {
    for (version, is_list) in
        [("1.4", false), ("1.6", false), ("1.7", false), ("2.0", false), ("2.1", true), ("2.2", true)]
    {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion::minor(25));
        let version: ContainerdVersion = version.parse().unwrap();
        cluster.kubernetes.containerd = Some(version);
        let recipe = on(&cluster, "24.04", 2);
        let config: toml::Table = root_file(&recipe, "/etc/containerd/config.toml").parse().unwrap();
        let plugin =
            if version.major == 1 { "io.containerd.grpc.v1.cri" } else { "io.containerd.cri.v1.runtime" };
        let cni = config["plugins"][plugin]["cni"].as_table().unwrap();
        let folders = if is_list { "bin_dirs = [\"/opt/cni/bin\"]" } else { "bin_dir = \"/opt/cni/bin\"" };
        let told = format!("{folders}\nconf_dir = \"/etc/cni/net.d\"\n");
        assert_eq!(toml::to_string(cni).unwrap(), told, "{version}");
    }
}

/// The kubelet's images, of a containerd of each kind of configuration.
#[test]
fn images_are_on_the_disk_before_they_count_as_there() {
    let of_version = |version: &str| {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion::minor(25));
        cluster.kubernetes.containerd = Some(version.parse().unwrap());
        let recipe = on(&cluster, "24.04", 2);
        let config: toml::Table = root_file(&recipe, "/etc/containerd/config.toml").parse().unwrap();
        let helps = ["/usr/lib/pibake/images", "/etc/systemd/system/pibake-images.service"]
            .map(|path| bytes(&recipe, Volume::Root, path).is_some());
        let cri = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"]
            .iter()
            .find_map(|plugin| config["plugins"].get(plugin)?.get("image_pull_with_sync_fs")?.as_bool());
        let diff = &config["plugins"].get("io.containerd.service.v1.diff-service");
        (cri, diff.map(|diff| diff["sync_fs"].as_bool().unwrap()), helps)
    };
    for version in ["1.5", "1.6", "1.6.20", "1.7.13"] {
        assert_eq!(of_version(version), (None, None, [true; 2]), "{version}");
    }
    assert_eq!(of_version("1.7.24"), (Some(true), None, [false; 2]));
    for version in ["1.7", "1.7.27", "2.0.0", "2.1", "2.3"] {
        assert_eq!(of_version(version), (Some(true), Some(true), [false; 2]), "{version}");
    }
}

#[test]
fn containerd_1_4_has_its_mirrors_in_its_own_configuration() {
    let mut cluster = closed();
    cluster.kubernetes.version = Some(KubernetesVersion::minor(20));
    let hub = vec!["https://harbor.lan/v2/hub".to_owned(), "http://10.0.0.9:5000".to_owned()];
    cluster.sources.registry_mirrors.insert("docker.io".to_owned(), hub);
    let recipe_of = |version: &str| {
        let mut cluster = cluster.clone();
        cluster.kubernetes.containerd = Some(version.parse().unwrap());
        of(&cluster, 2)
    };
    let registry = |recipe: &Recipe| {
        let config: toml::Table = root_file(recipe, "/etc/containerd/config.toml").parse().unwrap();
        config["plugins"]["io.containerd.grpc.v1.cri"]["registry"].clone()
    };
    let old = recipe_of("1.4");
    let endpoints = registry(&old)["mirrors"]["docker.io"]["endpoint"].clone();
    let endpoints: Vec<_> = endpoints.as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    assert_eq!(endpoints, ["https://harbor.lan/v2/hub", "http://10.0.0.9:5000/v2"]);
    assert!(registry(&old).get("config_path").is_none());
    assert!(!old.changes.iter().any(|change| change.path.as_str().contains("certs.d")));
    let new = recipe_of("1.5");
    assert!(registry(&new).get("mirrors").is_none());
    let hosts: toml::Table = root_file(&new, "/etc/containerd/certs.d/docker.io/hosts.toml").parse().unwrap();
    assert_eq!(hosts["host"]["https://harbor.lan/v2/hub"]["override_path"].as_bool(), Some(true));
    assert!(hosts["host"]["http://10.0.0.9:5000"].get("override_path").is_none());
}

#[test]
fn an_older_flannel_is_started_as_it_was() {
    let containers = |image: &str| {
        let mut cluster = book();
        cluster.kubernetes.flannel.image = image.to_owned();
        let text = root_file(&of(&cluster, 1), "/etc/pibake/flannel.yaml");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let set = documents.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
        let pod = &set["spec"]["template"]["spec"];
        (pod["initContainers"][1].clone(), pod["containers"][0].clone())
    };
    let (install, flannel) = containers(defaults::FLANNEL_IMAGE);
    assert_eq!(install["command"], json!(["/opt/bin/install-conf"]));
    assert_eq!(install["args"].as_array().unwrap().len(), 2);
    assert_eq!(flannel["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "healthz"}));
    assert_eq!(flannel["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "healthz"}));
    assert_eq!(flannel["ports"][0]["containerPort"], json!(8081));
    assert!(flannel["args"].as_array().unwrap().contains(&json!("--healthz-port=8081")));
    let (install, flannel) = containers("registry.lan/flannel:v0.27.4");
    assert_eq!((&install["command"], &install["args"][0]), (&json!(["cp"]), &json!("-f")));
    assert!(flannel.get("readinessProbe").is_none());
}

#[test]
fn what_first_boot_calls_is_installed_by_name() {
    let env = |minor: u16, number: u16| {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion::minor(minor));
        root_file(&on(&cluster, "24.04", number), "/etc/pibake/node.env")
    };
    for number in [1, 2] {
        assert!(env(31, number).contains(" conntrack ") && !env(32, number).contains("conntrack"));
        for minor in [24, 31, 37] {
            let env = env(minor, number);
            assert!(env.contains("\nKUBERNETES_PACKAGES='kubelet kubeadm kubectl cri-tools'\n"), "{env}");
        }
    }
    let pins = root_file(&of(&book(), 2), "/etc/apt/preferences.d/pibake");
    assert!(pins.contains("\nPackage: cri-tools\nPin: version 1.34.*\n"), "{pins}");
}

#[test]
fn registries_have_their_mirrors() {
    let recipe = of(&closed(), 3);
    let hosts: toml::Table =
        root_file(&recipe, "/etc/containerd/certs.d/docker.io/hosts.toml").parse().unwrap();
    assert_eq!(hosts["server"].as_str(), Some("https://registry-1.docker.io"));
    let mirror = &hosts["host"]["http://registry.lan:5000"];
    assert_eq!(mirror["capabilities"].as_array().map(Vec::len), Some(2));
    assert!(bytes(&recipe, Volume::Root, "/etc/containerd/certs.d/registry.lan:5000/hosts.toml").is_some());
    assert!(!of(&book(), 3).changes.iter().any(|c| c.path.as_str().contains("certs.d")));
}

#[test]
fn a_key_that_is_not_known_is_left_to_be_fetched() {
    let has = |recipe: &Recipe, name: &str| {
        bytes(recipe, Volume::Root, &format!("/etc/apt/keyrings/{name}.asc")).map(<[u8]>::to_vec)
    };
    let recipe = of(&closed(), 2);
    assert_eq!((has(&recipe, "docker"), has(&recipe, "kubernetes").is_some()), (None, true));
    let env = root_file(&recipe, "/etc/pibake/node.env");
    assert!(env.contains(&format!("\nDOCKER_KEY_FINGERPRINT='{}'\n", "A".repeat(40))), "{env}");
    let extras = Extras { docker_key: Some("KEY\n".to_owned()), ..Extras::default() };
    let recipe = crate::fixture::with(&closed(), 2, &extras).unwrap();
    assert_eq!(has(&recipe, "docker"), Some(b"KEY\n".to_vec()));
}

#[test]
fn only_a_gateway_serves() {
    let served = ["/etc/dhcp/dhcpd.conf", "/etc/default/isc-dhcp-server", "/usr/lib/pibake/nat"];
    let has = |recipe: &Recipe| served.map(|path| bytes(recipe, Volume::Root, path).is_some());
    assert_eq!(has(&of(&book(), 1)), [true; 3]);
    assert_eq!(has(&of(&book(), 2)), [false; 3]);
    assert_eq!(has(&of(&lan(LanAddressing::Dhcp), 1)), [false; 3]);
    let env = root_file(&of(&lan(LanAddressing::Dhcp), 1), "/etc/pibake/node.env");
    assert!(!env.contains("GATEWAY") && !env.contains("UPLINK") && !env.contains("isc-dhcp"), "{env}");
}

#[test]
fn a_stranger_to_the_image_is_refused_with_the_way_out() {
    let mut cluster = book();
    cluster.kubernetes.version = Some(KubernetesVersion::minor(35));
    let error = crate::fixture::with(&cluster, 1, &Extras::default()).unwrap_err().to_string();
    assert!(error.contains("cgroup"), "{error}");
}
