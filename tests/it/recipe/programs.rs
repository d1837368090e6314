//! The programs that read the files on a Pi read them here.

use std::fs;
use std::path::Path;
use std::process::Command;

use pibake::cluster::*;
use pibake::recipe::{CloudConfig, Extras, Recipe, Volume};

use crate::fixture::{
    book, boot_file, bytes, closed, lan, lay_out, odd, of, on, root_file, wired_uplink, with, with_nodes,
};
use support::{run, tool, tool_path, unconfined};

/// All clusters that the golden files show, each with the number of a node.
fn recipes() -> Vec<(&'static str, Recipe)> {
    vec![
        ("book, control plane", of(&book(), 1)),
        ("book, worker", of(&book(), 3)),
        ("lan, static", of(&lan(LanAddressing::Static), 2)),
        ("lan, dhcp", of(&lan(LanAddressing::Dhcp), 1)),
        ("100 nodes", of(&with_nodes(100), 1)),
        ("wired uplink", of(&wired_uplink(), 1)),
        ("odd", of(&odd(), 1)),
        ("closed", of(&closed(), 1)),
        ("24.04", on(&book(), "24.04", 1)),
    ]
}

fn laid_out(recipe: &Recipe) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    lay_out(recipe, Volume::Root, dir.path());
    dir
}

fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn cloud_init_knows_every_key_of_the_user_data() {
    let extra = Extras {
        user_data: Some(CloudConfig {
            file: "extra.yaml".into(),
            text: "packages: [htop]\nwrite_files: [{path: /x, content: 'a: b'}]\n".to_owned(),
        }),
        ..Extras::default()
    };
    let mut all = recipes();
    all.push(("with extra", with(&book(), 1, &extra).unwrap()));
    for (name, recipe) in all {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("user-data");
        fs::write(&file, boot_file(&recipe, "/user-data")).unwrap();
        let said = run(tool("cloud-init", "cloud-init").args(["schema", "--config-file", arg(&file)]));
        assert!(said.contains("Valid"), "{name}: {said}");
    }
}

#[test]
fn cloud_init_takes_the_files_of_its_own_configuration() {
    let (password, network) =
        ("/etc/cloud/cloud.cfg.d/98-pibake-password.cfg", "/etc/cloud/cloud.cfg.d/99-pibake.cfg");
    let newer = on(&odd(), "24.04", 1);
    let older = of(&odd(), 1);
    for (recipe, path) in [(&newer, password), (&newer, network), (&older, password)] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        fs::write(&file, format!("#cloud-config\n{}", root_file(recipe, path))).unwrap();
        // `network` is a key of the system's configuration only, which the schema leaves alone.
        let said = run(tool("cloud-init", "cloud-init").args(["schema", "--config-file", arg(&file)]));
        assert!(said.contains("Valid"), "{path}: {said}");
    }
}

/// What cloud-init's own NoCloud makes of a seed: `dsmode` decides whether users, keys and the disk are
/// seen to before there is a network, or only after it.
#[test]
fn cloud_init_takes_the_node_for_one_that_needs_no_network() {
    let script = "import sys\n\
         from cloudinit import helpers\n\
         from cloudinit.sources.DataSourceNoCloud import DataSourceNoCloud\n\
         paths = helpers.Paths({'cloud_dir': sys.argv[1], 'run_dir': sys.argv[1]})\n\
         source = DataSourceNoCloud({'datasource': {'NoCloud': {}}}, None, paths)\n\
         found = source.get_data()\n\
         print(found, source.dsmode, source.get_instance_id(), source.metadata['local-hostname'])\n";
    for (name, recipe) in recipes() {
        let dir = tempfile::tempdir().unwrap();
        let seed = dir.path().join("seed/nocloud");
        fs::create_dir_all(&seed).unwrap();
        for file in ["meta-data", "user-data", "network-config"] {
            fs::write(seed.join(file), boot_file(&recipe, &format!("/{file}"))).unwrap();
        }
        // the interpreter that Debian's cloud-init runs with: another has no such module
        let mut python = tool("/usr/bin/python3", "cloud-init");
        let said = run(python.args(["-I", "-c", script, arg(dir.path())]));
        let words: Vec<_> = said.split_whitespace().collect();
        assert_eq!(words[..2], ["True", "local"], "{name}: {said}");
        let id = boot_file(&recipe, "/meta-data");
        assert!(id.contains(&format!("instance-id: \"{}\"\n", words[2])), "{name}: {said}");
    }
}

/// What netplan makes of a recipe: each file below /run with its text.
pub(super) fn netplan(recipe: &Recipe) -> String {
    let dir = laid_out(recipe);
    run(tool("netplan", "netplan.io").args(["generate", "--root-dir", arg(dir.path())]));
    let mut all = String::new();
    let mut folders = vec![dir.path().join("run")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false => {
                    let text = fs::read(&entry).unwrap_or_default();
                    let shown = entry.strip_prefix(dir.path()).unwrap().display().to_string();
                    all += &format!("### {shown}\n{}\n", String::from_utf8_lossy(&text));
                }
            }
        }
    }
    all
}

#[test]
fn netplan_takes_every_nodes_network() {
    for (name, recipe) in recipes() {
        assert!(netplan(&recipe).contains("[Match]\nName=eth0\n"), "{name}");
    }
}

#[test]
fn netplan_makes_a_gateway_of_the_first_node() {
    let made = netplan(&of(&book(), 1));
    for line in [
        "Address=10.0.0.1/24",
        "ConfigureWithoutCarrier=yes",
        "RequiredForOnline=no",
        "Destination=10.96.0.0/12",
        "Scope=link",
        "Table=253",
        "ssid=\"home\"",
        "psk=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        assert!(made.contains(line), "{line} is not in\n{made}");
    }
    let radio = made.split("### ").find(|file| file.contains("Name=wlan0")).unwrap();
    assert!(radio.contains("DHCP=ipv4") && !radio.contains("RequiredForOnline=no"), "{radio}");
}

/// `CriticalConnection=` (0.106 and older) is an older name of `KeepConfiguration=` (1.0).
#[test]
fn netplan_keeps_the_workers_lease() {
    for recipe in [of(&book(), 2), of(&lan(LanAddressing::Dhcp), 2)] {
        let made = netplan(&recipe);
        assert!(
            made.contains("CriticalConnection=true") || made.contains("KeepConfiguration=true"),
            "{made}"
        );
    }
    let made = netplan(&of(&book(), 1));
    assert!(!made.contains("CriticalConnection") && !made.contains("KeepConfiguration"), "{made}");
}

/// What wpa_supplicant itself reads out of what netplan writes, for names that people give.
#[test]
fn odd_radio_names_arrive() {
    let names = [
        "a\"b",
        "\"",
        "\\o_home\\",
        "\\\"",
        "Zoë’s iPhone",
        "🍕",
        "a#b",
        " lead",
        "trail ",
        "  ",
        "100%",
        "$HOME",
        "b: c",
        "null",
        "P\"x\"",
        "\\x41",
        "a\\nb",
        "'",
        "{}",
        "&a",
        "~",
    ];
    for name in names {
        let mut cluster = book();
        crate::fixture::wifi(&mut cluster).ssid = name.to_owned();
        let made = netplan(&of(&cluster, 1));
        let written = made.lines().find_map(|line| line.trim().strip_prefix("ssid=")).unwrap();
        // Netplan of Debian 12 and Ubuntu 22.04 writes it bare; from the first quote to the last is the name.
        assert_eq!(written, format!("\"{name}\""));
    }
}

#[test]
fn netplan_passes_an_odd_radio_name_on() {
    let made = netplan(&of(&odd(), 1));
    assert!(made.contains(&format!("ssid=\"{}\"", crate::fixture::ODD_SSID)), "{made}");
    assert!(made.contains("scan_ssid=1"), "{made}");
}

#[test]
fn netplan_sets_the_country_where_it_can() {
    let recipe = on(&book(), "24.04", 1);
    assert!(root_file(&recipe, "/etc/netplan/50-cloud-init.yaml").contains("regulatory-domain: \"DE\""));
    netplan(&recipe);
}

#[test]
fn dhcpd_takes_its_configuration() {
    for (name, recipe) in recipes() {
        let Some(config) = bytes(&recipe, Volume::Root, "/etc/dhcp/dhcpd.conf") else {
            assert!(name.starts_with("lan") || name.ends_with("worker"), "{name} has no DHCP server");
            continue;
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dhcpd.conf");
        fs::write(&file, config).unwrap();
        let leases = dir.path().join("leases");
        fs::write(&leases, "").unwrap();
        let mut dhcpd = Command::new(unconfined("dhcpd", "isc-dhcp-server", dir.path()));
        let out = dhcpd.args(["-t", "-cf", arg(&file), "-lf", arg(&leases)]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{name}: {said}");
        for bad in ["WARNING", "semicolon", "Dynamic and static"] {
            assert!(!said.contains(bad), "{name}: {said}");
        }
    }
}

#[test]
fn containerd_1_takes_its_configuration() {
    let dir = laid_out(&of(&book(), 1));
    let file = dir.path().join("etc/containerd/config.toml");
    let dump = run(tool("containerd", "containerd").args(["--config", arg(&file), "config", "dump"]));
    let dump: toml::Table = dump.parse().unwrap();
    let cri = &dump["plugins"]["io.containerd.grpc.v1.cri"];
    assert_eq!(cri["cni"]["bin_dir"].as_str(), Some("/opt/cni/bin"));
    let runc = &cri["containerd"]["runtimes"]["runc"];
    assert_eq!(runc["options"]["SystemdCgroup"].as_bool(), Some(true));
    assert_eq!(runc["runtime_type"].as_str(), Some("io.containerd.runc.v2"));
    assert_eq!(cri["containerd"]["default_runtime_name"].as_str(), Some("runc"));
    assert_eq!(cri["sandbox_image"].as_str(), Some("registry.k8s.io/pause:3.10.1"));
    assert_eq!(cri["registry"]["config_path"].as_str(), Some("/etc/containerd/certs.d"));
    assert!(!dump["disabled_plugins"].as_array().unwrap().iter().any(|p| p.as_str() == Some("cri")));
}

#[test]
fn sshd_takes_its_configuration() {
    for (cluster, answer) in [(book(), "no"), (odd(), "yes")] {
        let dir = laid_out(&of(&cluster, 1));
        let key = dir.path().join("key");
        run(tool("ssh-keygen", "openssh-client").args(["-q", "-t", "ed25519", "-N", "", "-f", arg(&key)]));
        let main = dir.path().join("sshd_config");
        let include = dir.path().join("etc/ssh/sshd_config.d");
        let text = format!(
            "Include {}/*.conf\nHostKey {}\nPasswordAuthentication yes\n",
            include.display(),
            key.display()
        );
        fs::write(&main, text).unwrap();
        // sshd wants to be called by its whole path, and a folder that its unit makes.
        let sshd = tool_path("sshd", "openssh-server");
        let _ = fs::create_dir_all("/run/sshd");
        run(Command::new(&sshd).args(["-t", "-f", arg(&main)]));
        let effective = run(Command::new(&sshd).args(["-T", "-f", arg(&main)]));
        assert!(effective.contains(&format!("\npasswordauthentication {answer}\n")), "{effective}");
        assert!(effective.contains("\npermitrootlogin no\n"), "{effective}");
        assert!(effective.contains("\nkbdinteractiveauthentication no\n"), "{effective}");
    }
}

#[test]
fn systemd_takes_the_units() {
    let mut old = book();
    old.kubernetes.containerd = Some(ContainerdVersion::line(1, 6));
    for cluster in [book(), closed(), old] {
        let dir = laid_out(&of(&cluster, 1));
        let units = dir.path().join("etc/systemd/system");
        // What is not pibake's: the units that the drop-ins are for.
        for name in ["isc-dhcp-server.service", "containerd.service"] {
            fs::write(units.join(name), "[Service]\nExecStart=/bin/true\n").unwrap();
        }
        let targets = dir.path().join("lib/systemd/system");
        fs::create_dir_all(&targets).unwrap();
        for entry in fs::read_dir("/lib/systemd/system").unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|extension| extension == "target") && entry.is_file() {
                fs::copy(&entry, targets.join(entry.file_name().unwrap())).unwrap();
            }
        }
        let bin = dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        for program in ["true", "sh"] {
            fs::copy(format!("/bin/{program}"), bin.join(program)).unwrap();
        }
        let mut checked: Vec<_> = fs::read_dir(&units)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| format!("/{}", path.strip_prefix(dir.path()).unwrap().display()))
            .collect();
        checked.sort();
        assert!(checked.len() >= 3, "{checked:?}");
        let mut analyze = tool("systemd-analyze", "systemd");
        let root = format!("--root={}", arg(dir.path()));
        let out = analyze.args(["verify", "--man=no", &root]).args(&checked).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{said}");
    }
}

#[test]
fn shellcheck_has_nothing_to_say_of_the_scripts() {
    let recipe = of(&book(), 1);
    let dir = laid_out(&recipe);
    for script in ["nat", "await-address"] {
        let file = dir.path().join("usr/lib/pibake").join(script);
        run(tool("shellcheck", "shellcheck").args(["--severity=style", arg(&file)]));
    }
    let file = dir.path().join("etc/pibake/node.env");
    run(tool("shellcheck", "shellcheck").args(["--shell=sh", "--exclude=SC2034", arg(&file)]));
}

/// A package in dpkg's list of those that are installed.
const PACKAGES: &str = "Package: kubelet
Status: install ok installed
Maintainer: nobody
Architecture: arm64
Version: 1.34.2-1.1
Description: x

";

#[test]
fn apt_takes_sources_pins_and_proxy() {
    let dir = laid_out(&of(&closed(), 2));
    let etc = dir.path().join("etc/apt");
    // The one outside of apt's own folders is no part of the test.
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let sourcelist = format!("Dir::Etc::sourcelist={}", empty.display());
    // Configuration is read before options are, but after this file.
    let first = dir.path().join("first.conf");
    fs::write(&first, format!("Dir::Etc \"{}\";\n", etc.display())).unwrap();
    let options = |command: &mut Command| {
        command
            .env("APT_CONFIG", &first)
            .args(["-o", &sourcelist])
            .arg("-o")
            .arg(format!("Dir::State={}", dir.path().join("state").display()))
            .arg("-o")
            .arg(format!("Dir::Cache={}", dir.path().join("cache").display()))
            .args(["-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64"]);
    };
    let mut update = tool("apt-get", "apt");
    options(update.args(["update", "--print-uris"]));
    let said = run(&mut update);
    for url in ["http://mirror.lan/docker/dists/focal/InRelease", "http://mirror.lan/k8s/1.34/InRelease"] {
        assert!(said.contains(&format!("'{url}'")), "{said}");
    }
    // A package that exists shows what is pinned; one that does not tells of a broken file only.
    let status = dir.path().join("status");
    fs::write(&status, PACKAGES).unwrap();
    let mut policy = tool("apt-cache", "apt");
    options(policy.arg("policy"));
    let said = run(policy.arg("-o").arg(format!("Dir::State::status={}", status.display())).arg("kubelet"));
    assert!(said.contains("1.34.2-1.1 1001"), "{said}");
    let mut config = tool("apt-config", "apt");
    options(config.arg("dump"));
    let said = run(&mut config);
    assert!(said.contains("Acquire::http::Proxy \"http://u:p%40w@proxy.lan:3128\";"), "{said}");
    assert!(said.contains("Acquire::https::Proxy::mirror.lan \"DIRECT\";"), "{said}");
}

#[test]
fn the_keys_of_the_repositories_are_the_ones_that_are_trusted() {
    let dir = laid_out(&of(&book(), 2));
    for (name, fingerprint) in
        [("docker", defaults::DOCKER_FINGERPRINT), ("kubernetes", defaults::KUBERNETES_FINGERPRINT)]
    {
        let file = dir.path().join(format!("etc/apt/keyrings/{name}.asc"));
        let home = tempfile::tempdir().unwrap();
        let mut gpg = tool("gpg", "gpg");
        gpg.arg("--homedir").arg(home.path()).args(["--batch", "--with-colons", "--show-keys"]);
        let said = run(gpg.arg(&file));
        let primary = said.split("pub:").nth(1).unwrap().lines().find(|l| l.starts_with("fpr:")).unwrap();
        assert_eq!(primary.trim_matches(['f', 'p', 'r', ':']).parse(), Ok(fingerprint));
        assert_eq!(said.matches("pub:").count(), 1);
        let read = pibake::recipe::read_key(&fs::read(&file).unwrap(), fingerprint);
        assert!(read.unwrap().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
    }
}

#[test]
fn a_shell_reads_node_env_as_it_was_meant() {
    let recipe = of(&odd(), 1);
    let dir = laid_out(&recipe);
    let script = r#"set -eu; . "$1"; printf '%s\n' "$NODE_NAME" "$ROLE" "$LOGIN_USER" "$GATEWAY""#;
    let file = dir.path().join("etc/pibake/node.env");
    let said = run(Command::new("sh").args(["-c", script, "sh", arg(&file)]));
    assert_eq!(said, format!("node-1\ncontrol-plane\n{}\nyes\n", crate::fixture::ODD_USER));
}
