//! Nothing that a user types can break out of the file that it goes into: it is read back as it
//! was typed, or refused.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use pibake::cluster::*;
use pibake::recipe::{Error, Extras, Recipe, Volume};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::{book, boot_file, bytes, of, on, root_file, with};
use support::unconfined;

/// Texts of what grammars are made of, besides any text at all. Without control characters, which
/// no description of a cluster may hold.
fn typed() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("$"),
        Just("$("),
        Just("`"),
        Just("#"),
        Just(" #"),
        Just(": "),
        Just("- "),
        Just("{{"),
        Just("{%"),
        Just("}}"),
        Just("%"),
        Just("%n"),
        Just("&a"),
        Just("*a"),
        Just("!x"),
        Just(";"),
        Just("}"),
        Just("\\n"),
        Just("ü"),
        Just("🎉"),
        Just("\u{2028}"),
        Just("\u{85}"),
        Just("\u{feff}"),
        Just("no"),
        Just("0x1"),
        Just("~"),
        Just("a"),
        Just("]"),
        Just(",")
    ];
    let mixed = prop::collection::vec(odd, 1..8).prop_map(|parts| parts.concat());
    prop_oneof![mixed, "\\PC{1,16}"]
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// What the recipe says, or `None` where it was refused for a character in a value.
fn or_refused(made: Result<Recipe, Error>) -> Option<Recipe> {
    match made {
        Ok(recipe) => Some(recipe),
        Err(Error::Template { error, .. }) => {
            let detail = error.to_string();
            assert!(detail.contains("cannot stand unquoted"), "{detail}");
            None
        }
        Err(Error::Path(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn yaml_holds_what_was_typed(
        ssid in typed(), user in "[a-z]\\PC{0,8}", key in typed(), hash in typed(), label in typed()
    ) {
        let mut cluster = book();
        crate::fixture::wifi(&mut cluster).ssid = ssid.clone();
        cluster.access.user = user.clone();
        cluster.access.ssh_keys = vec![key.clone()];
        cluster.access.password = Some(Password::Hash(Secret::new(hash.clone())));
        cluster.nodes[0].labels = BTreeMap::from([("l".to_owned(), label.clone())]);
        let recipe = of(&cluster, 1);

        let netplan = yaml(&root_file(&recipe, "/etc/netplan/50-cloud-init.yaml"));
        let points = &netplan["network"]["wifis"]["wlan0"]["access-points"];
        prop_assert_eq!(points.as_object().unwrap().keys().collect::<Vec<_>>(), [&ssid]);

        let user_data = yaml(&boot_file(&recipe, "/user-data"));
        prop_assert_eq!(&user_data["users"][0]["name"], &user);
        prop_assert_eq!(&user_data["users"][0]["ssh_authorized_keys"], &serde_json::json!([key]));

        let password = yaml(&root_file(&recipe, "/etc/cloud/cloud.cfg.d/98-pibake-password.cfg"));
        prop_assert_eq!(&password["chpasswd"]["list"][0], &format!("{user}:{hash}"));

        let docs: Vec<Value> =
            serde_saphyr::from_multiple(&root_file(&recipe, "/etc/pibake/kubeadm.yaml")).unwrap();
        let arguments = docs[0]["nodeRegistration"]["kubeletExtraArgs"].as_array().unwrap();
        prop_assert_eq!(&arguments[1]["value"], &format!("l={label}"));
    }

    #[test]
    fn toml_holds_what_was_typed(pause in typed(), endpoint in typed()) {
        let mut cluster = book();
        cluster.kubernetes.version = Some(KubernetesVersion::minor(34));
        cluster.kubernetes.pause_image = Some(pause.clone());
        // A project of a registry, whose address is printed as it is.
        let endpoint = format!("https://mirror/v2/{endpoint}x");
        cluster.sources.registry_mirrors =
            BTreeMap::from([("docker.io".to_owned(), vec![endpoint.clone()])]);
        for (platform, plugin, path) in [
            ("20.04", "io.containerd.grpc.v1.cri", &["sandbox_image"][..]),
            ("24.04", "io.containerd.cri.v1.images", &["pinned_images", "sandbox"]),
        ] {
            let recipe = on(&cluster, platform, 1);
            let config: toml::Table =
                root_file(&recipe, "/etc/containerd/config.toml").parse().unwrap();
            let found = path.iter().fold(&config["plugins"][plugin], |table, key| &table[*key]);
            prop_assert_eq!(found.as_str(), Some(pause.as_str()));
            let hosts: toml::Table =
                root_file(&recipe, "/etc/containerd/certs.d/docker.io/hosts.toml").parse().unwrap();
            let hosts = hosts["host"].as_table().unwrap();
            prop_assert_eq!(hosts.keys().collect::<Vec<_>>(), [&endpoint]);
        }
    }

    #[test]
    fn files_without_quotes_refuse_what_needs_some(
        domain in typed(), interface in typed(), url in typed(), host in typed()
    ) {
        let mut cluster = book();
        cluster.domain = domain.clone();
        cluster.network.link = Link::ethernet(&interface);
        cluster.sources.docker.url = url.clone();
        cluster.sources.ntp = vec![host];
        let Some(recipe) = or_refused(with(&cluster, 1, &Extras::default())) else { return Ok(()) };
        let hosts = root_file(&recipe, "/etc/hosts");
        let expected = format!("10.0.0.2 node-2.{domain} node-2");
        prop_assert!(hosts.lines().any(|line| line == expected), "{hosts}");
        let list = root_file(&recipe, "/etc/apt/sources.list.d/pibake-docker.list");
        prop_assert_eq!(list.lines().count(), 1);
        let end = format!("] {url} focal stable\n");
        prop_assert!(list.ends_with(&end));
    }
}

proptest! {
    // Each case runs programs.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_shell_holds_what_was_typed(user in typed(), url in typed()) {
        let mut cluster = book();
        cluster.access.user = user.clone();
        cluster.sources.kubernetes.key_url = url.clone();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.env");
        fs::write(&file, root_file(&of(&cluster, 1), "/etc/pibake/node.env")).unwrap();
        let script = r#"set -eu; . "$1"; printf '%s\0%s\0' "$LOGIN_USER" "$KUBERNETES_KEY_URL""#;
        let out = Command::new("sh").arg("-c").arg(script).arg("sh").arg(&file).output().unwrap();
        prop_assert!(out.status.success());
        let url = url.replace("{minor}", "1.34");
        prop_assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{user}\0{url}\0"));
    }

    #[test]
    fn dhcpd_takes_any_name_that_is_not_refused(name in "[a-z0-9][a-z0-9-]{0,9}", domain in typed()) {
        let mut cluster = book();
        let Ok(name) = name.parse::<NodeName>() else { return Ok(()) };
        cluster.nodes[1].name = name;
        cluster.domain = domain;
        let Some(recipe) = or_refused(with(&cluster, 1, &Extras::default())) else { return Ok(()) };
        takes(bytes(&recipe, Volume::Root, "/etc/dhcp/dhcpd.conf").unwrap());
    }

    #[test]
    fn dhcpd_reads_any_text_between_quotes(text in typed()) {
        let quoted = pibake::recipe::quote::dhcpd(&text).unwrap();
        let config = format!(
            "class {quoted} {{ match if option host-name = {quoted}; }}\nsubnet 10.0.0.0 netmask \
             255.255.255.0 {{ pool {{ allow members of {quoted}; range 10.0.0.2; }} }}\n"
        );
        // A class of another name than the one allowed would be an error.
        takes(config.as_bytes());
    }
}

fn takes(config: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let (file, leases) = (dir.path().join("dhcpd.conf"), dir.path().join("leases"));
    fs::write(&file, config).unwrap();
    fs::write(&leases, "").unwrap();
    let mut dhcpd = Command::new(unconfined("dhcpd", "isc-dhcp-server", dir.path()));
    let out = dhcpd.arg("-t").arg("-cf").arg(&file).arg("-lf").arg(&leases).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(config));
}
