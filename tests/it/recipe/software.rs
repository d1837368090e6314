//! Which packages the nodes get, from where, and what may change them later.

use std::fs;

use pibake::cluster::{KubernetesVersion, Platform, Warning};
use pibake::recipe::Volume;

use crate::fixture::{book, bytes, on, read, root_file};

const DOCKER_FILES: [&str; 2] =
    ["/etc/apt/sources.list.d/pibake-docker.list", "/etc/apt/keyrings/docker.asc"];

/// `PACKAGES of CONTAINERD, PIN, whether Docker's repository is set up` on a platform.
fn containerd(text: &str, platform: &str) -> String {
    let recipe = on(&read(text), platform, 1);
    let env = root_file(&recipe, "/etc/pibake/node.env");
    let value = |name: &str| {
        let line = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map_or_else(|| "none".to_owned(), |value| value.trim_matches('\'').to_owned())
    };
    let package = value("CONTAINERD_PACKAGES");
    let preferences = root_file(&recipe, "/etc/apt/preferences.d/pibake");
    let pin = preferences.lines().skip_while(|line| *line != format!("Package: {package}")).nth(1).unwrap();
    let files = DOCKER_FILES.map(|path| bytes(&recipe, Volume::Root, path).is_some());
    assert_eq!(files[0], files[1]);
    assert_eq!(value("DOCKER_KEYRING") != "none", files[0], "first boot fetches what apt uses");
    format!("{package}, {pin}, {}", if files[0] { "docker" } else { "no docker" })
}

#[test]
fn containerd_is_the_distributions_own_where_that_is_good_enough() {
    for (text, platform, expected) in [
        ("", "20.04", "containerd.io, Pin: version 1.7.*, docker"),
        ("", "22.04", "containerd, Pin: version 2.2.*, no docker"),
        ("", "24.04", "containerd, Pin: version 2.2.*, no docker"),
        ("", "26.04", "containerd, Pin: version 2.2.*, no docker"),
        ("", "debian-12", "containerd.io, Pin: version 2.2.*, docker"),
        ("[kubernetes]\ncontainerd = \"2.2\"\n", "24.04", "containerd, Pin: version 2.2.*, no docker"),
        (
            "[kubernetes]\ncontainerd-from = \"docker\"\n",
            "24.04",
            "containerd.io, Pin: version 2.2.*, docker",
        ),
        (
            "[kubernetes]\ncontainerd = \"1.7\"\nversion = \"1.35\"\n",
            "24.04",
            "containerd.io, Pin: version 1.7.*, docker",
        ),
        ("[kubernetes]\ncontainerd = \"2.3\"\n", "26.04", "containerd.io, Pin: version 2.3.*, docker"),
        // An exact release is nowhere but where old ones are kept.
        ("[kubernetes]\ncontainerd = \"2.2.1\"\n", "24.04", "containerd.io, Pin: version 2.2.1-*, docker"),
        (
            "[kubernetes]\ncontainerd = \"2.2.1\"\ncontainerd-from = \"distribution\"\n",
            "24.04",
            "containerd, Pin: version 2.2.1-*, no docker",
        ),
        // Who names a repository wants it to be used.
        (
            "[sources.docker]\nurl = \"http://m.lan/d\"\n",
            "24.04",
            "containerd.io, Pin: version 2.2.*, docker",
        ),
    ] {
        assert_eq!(containerd(text, platform), expected, "{platform} {text:?}");
    }
}

#[test]
fn a_containerd_that_is_not_there_is_refused_with_the_way_out() {
    let refused = |text: &str, platform: &str| {
        read(text).software(&Platform::named(platform).unwrap()).unwrap_err().to_string()
    };
    let own = "[kubernetes]\ncontainerd-from = \"distribution\"\n";
    for platform in ["20.04", "debian-12"] {
        let said = refused(own, platform);
        assert!(said.contains("kubernetes.containerd-from") && said.contains("leave it out"), "{said}");
    }
    let said = refused(&format!("{own}containerd = \"1.7\"\nversion = \"1.34\"\n"), "24.04");
    assert!(said.contains("is 2.2") && said.contains("containerd-from = \"docker\""), "{said}");
    let said = refused("[kubernetes]\ncgroup = \"v1\"\n", "26.04");
    assert!(said.contains("has no cgroup v1"), "{said}");
}

#[test]
fn a_kubernetes_that_came_later_is_told_the_newest_forms_and_warned_of() {
    let text = |version: &str| format!("[kubernetes]\nversion = \"{version}\"\n");
    let newer = read(&text("1.39"));
    let version = KubernetesVersion::minor(39);
    assert!(newer.warnings().contains(&Warning::UnknownKubernetes { version }));
    assert!(!read(&text("1.37")).warnings().iter().any(|w| matches!(w, Warning::UnknownKubernetes { .. })));
    for (platform, number) in [("24.04", 1), ("26.04", 2)] {
        let (of_newer, of_known) = (on(&newer, platform, number), on(&read(&text("1.37")), platform, number));
        for path in ["/etc/pibake/kubeadm.yaml", "/etc/containerd/config.toml", "/etc/pibake/node.env"] {
            let known = root_file(&of_known, path).replace("1.37", "1.39");
            assert_eq!(root_file(&of_newer, path), known, "{path}");
        }
        let list = root_file(&of_newer, "/etc/apt/sources.list.d/pibake-kubernetes.list");
        assert!(list.contains("/v1.39/"), "{list}");
    }
    // Not where it is known that it cannot be.
    let said = newer.software(&Platform::named("20.04").unwrap()).unwrap_err().to_string();
    assert!(said.contains("cgroup v1"), "{said}");
    let text = text("1.38") + "containerd = \"1.7\"\n";
    let said = read(&text).software(&Platform::named("24.04").unwrap()).unwrap_err().to_string();
    assert!(said.contains("1.37 is the last that supports containerd 1.7"), "{said}");
}

/// What apt itself reads of the settings for upgrades, over those that Ubuntu's images have.
fn upgrades(text: &str, platform: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let recipe = on(&read(text), platform, 2);
    // As in Ubuntu's package unattended-upgrades, which the images have
    for (name, content) in [
        (
            "20auto-upgrades",
            "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n",
        ),
        (
            "50unattended-upgrades",
            "Unattended-Upgrade::Allowed-Origins {\n\t\"${distro_id}:${distro_codename}-security\";\n};\n",
        ),
        ("52pibake-upgrades", &root_file(&recipe, "/etc/apt/apt.conf.d/52pibake-upgrades")),
    ] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let mut config = support::tool("apt-config", "apt");
    // apt reads its folder before it looks at options: only a file can name another one.
    let main = tempfile::NamedTempFile::new().unwrap();
    let nothing = "Dir::Etc::main \"/dev/null\";\n";
    fs::write(main.path(), format!("{nothing}Dir::Etc::parts \"{}\";\n", dir.path().display())).unwrap();
    let said = support::run(config.env("APT_CONFIG", main.path()).arg("dump"));
    let ours = |line: &&str| line.contains("Unattended-Upgrade") && !line.ends_with("\"\";");
    said.lines().filter(ours).collect::<Vec<_>>().join("\n")
}

#[test]
fn apt_reads_what_may_be_upgraded() {
    let upgrade = |value: &str| format!("[system]\nupgrade = \"{value}\"\n");
    let docker = "[kubernetes]\ncontainerd-from = \"docker\"\n";
    insta::assert_snapshot!(
        [
            ("default", upgrades("", "24.04")),
            ("all", upgrades(&upgrade("all"), "24.04")),
            ("none", upgrades(&upgrade("none"), "24.04")),
            ("docker", upgrades(&(upgrade("all") + docker), "24.04")),
        ]
        .map(|(name, said)| format!("{name}\n{said}\n"))
        .concat()
    );
    assert_eq!(upgrades("", "24.04"), upgrades(&upgrade("security"), "24.04"));
    let env = |text: &str| root_file(&on(&read(text), "24.04", 1), "/etc/pibake/node.env");
    assert!(
        env("").contains("\nUPGRADE='security'\n") && env(&upgrade("none")).contains("\nUPGRADE='none'\n")
    );
    assert_eq!(book().upgrade, pibake::cluster::Upgrade::Security);
}
