//! Clusters to make recipes of, with an identity that is always the same.
#![allow(dead_code)] // each test binary uses its own part

use std::net::Ipv4Addr;
use std::path::Path;

use pibake::cluster::*;
use pibake::identity::{HostKeys, Identity, Joining, SshKeyPair, Tokens};
use pibake::recipe::{Action, Error, Extras, Recipe, Volume, recipe};

/// The key of the radio network.
pub const PSK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The book's cluster: node-1 with a radio uplink, and three workers.
pub fn book() -> Cluster {
    with_nodes(4)
}

pub fn with_nodes(count: u32) -> Cluster {
    // Made of a passphrase it would be no other file, but each recipe slower.
    let text =
        format!("nodes = {count}\n[network.wifi]\nssid = \"home\"\npsk = \"{PSK}\"\ncountry = \"DE\"\n");
    read(&text)
}

/// The cluster that a description describes.
pub fn read(text: &str) -> Cluster {
    Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Made up, and always the same.
pub fn identity() -> Identity {
    Identity {
        cluster: "kubernetes".to_owned(),
        ca_certificate: "-----BEGIN CERTIFICATE-----\nTEST\n-----END CERTIFICATE-----\n".to_owned(),
        ca_key: Secret::new("-----BEGIN PRIVATE KEY-----\nTEST KEY\n-----END PRIVATE KEY-----\n"),
        ca_hash: format!("sha256:{}", "ab".repeat(32)),
        not_before: 1_700_000_000,
        not_after: 2_015_360_000,
        tokens: Tokens::new((1..=250).map(token).collect()),
        admin_certificate: String::new(),
        admin_key: Secret::new(""),
        ssh_key: Some(SshKeyPair {
            public: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtest somebody@somewhere".to_owned(),
            private: Secret::new(""),
        }),
        joining: Joining::default(),
        host_keys: HostKeys::read(&"5e".repeat(32)),
        salt: Secret::new("salt"),
        made: None,
    }
}

/// What the node with that number joins with.
pub fn token(number: u16) -> Secret {
    Secret::new(format!("ab{number:04}.0123456789abcdef"))
}

pub fn platform() -> Platform {
    Platform::named("20.04").unwrap()
}

/// The recipe of the node with that number.
pub fn of(cluster: &Cluster, number: u16) -> Recipe {
    with(cluster, number, &Extras::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The same over another image.
pub fn on(cluster: &Cluster, platform: &str, number: u16) -> Recipe {
    made(cluster, &Platform::named(platform).unwrap(), number, &Extras::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// The same with more than the cluster.
pub fn with(cluster: &Cluster, number: u16, extras: &Extras) -> Result<Recipe, Error> {
    made(cluster, &platform(), number, extras)
}

fn made(cluster: &Cluster, platform: &Platform, number: u16, extras: &Extras) -> Result<Recipe, Error> {
    let node = cluster.nodes.iter().find(|node| node.number == number).unwrap();
    recipe(cluster, &identity(), node, platform, extras)
}

/// The content of a file that the recipe writes; `None` where it writes none.
pub fn bytes<'a>(recipe: &'a Recipe, volume: Volume, path: &str) -> Option<&'a [u8]> {
    recipe.changes.iter().find_map(|change| match &change.action {
        Action::Write { content, .. } if change.volume == volume && change.path.as_str() == path => {
            Some(content.as_slice())
        }
        _ => None,
    })
}

/// The text of a file on the root file system.
pub fn root_file(recipe: &Recipe, path: &str) -> String {
    text(recipe, Volume::Root, path)
}

/// The text of a file on the boot file system.
pub fn boot_file(recipe: &Recipe, path: &str) -> String {
    text(recipe, Volume::Boot, path)
}

fn text(recipe: &Recipe, volume: Volume, path: &str) -> String {
    let content = bytes(recipe, volume, path).unwrap_or_else(|| panic!("{path} is not baked"));
    String::from_utf8(content.to_vec()).unwrap()
}

/// Writes the files of one file system below `dir`, with their modes.
pub fn lay_out(recipe: &Recipe, volume: Volume, dir: &Path) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    for change in recipe.changes.iter().filter(|change| change.volume == volume) {
        let place = dir.join(change.path.as_str().trim_start_matches('/'));
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        match &change.action {
            Action::Write { content, access, .. } => {
                match access.mode & 0o111 {
                    0 => std::fs::write(&place, content).unwrap(),
                    _ => support::put_program(&place, content),
                }
                let mode = std::fs::Permissions::from_mode(u32::from(access.mode));
                std::fs::set_permissions(&place, mode).unwrap();
            }
            Action::Symlink { target } => symlink(target, &place).unwrap(),
            Action::Directory { .. } => std::fs::create_dir_all(&place).unwrap(),
            Action::Remove | Action::KernelArguments { .. } | Action::Fstab => {}
        }
    }
}

/// The book's cluster behind a router of its own.
pub fn lan(addressing: LanAddressing) -> Cluster {
    let mut cluster = book();
    cluster.network.mode = Mode::Lan(Lan { router: Ipv4Addr::new(10, 0, 0, 254), addressing });
    cluster
}

/// The book's cluster with a second Ethernet card, which has an address of its own.
pub fn wired_uplink() -> Cluster {
    let mut cluster = book();
    gateway(&mut cluster).uplink = Uplink {
        link: Link::ethernet("eth1"),
        addressing: UplinkAddressing::Static {
            address: "192.168.1.5/24".parse().unwrap(),
            router: Ipv4Addr::new(192, 168, 1, 1),
        },
        allow: vec![Opening::Api, Opening::NodePorts, Opening::Port(443, Protocol::Tcp)],
    };
    cluster
}

pub fn gateway(cluster: &mut Cluster) -> &mut Gateway {
    match &mut cluster.network.mode {
        Mode::Gateway(gateway) => gateway,
        Mode::Lan(_) => panic!("the cluster has no gateway"),
    }
}

/// The radio network of the gateway.
pub fn wifi(cluster: &mut Cluster) -> &mut Wifi {
    match &mut gateway(cluster).uplink.link.medium {
        Medium::Wifi(radio) => &mut radio.networks[0],
        _ => panic!("the uplink is no radio"),
    }
}

/// 31 bytes.
pub const ODD_SSID: &str = r#"a "b" 'c' $d #ü 🎉\"#;
pub const ODD_USER: &str = "jörg's";

/// Everything that a user types is odd.
pub fn odd() -> Cluster {
    let mut cluster = book();
    let wifi = wifi(&mut cluster);
    wifi.ssid = ODD_SSID.to_owned();
    wifi.hidden = true;
    cluster.access.user = ODD_USER.to_owned();
    cluster.access.password = Some(Password::Hash(Secret::new(r#"$6$sa"lt$ha'sh"#)));
    cluster.access.ssh_password = true;
    cluster.access.ssh_keys.push(r#"ssh-ed25519 AAAA "quoted" & 'more' #$(x) ü🎉"#.to_owned());
    cluster.nodes[1].mac = Some("dc:a6:32:01:02:03".parse().unwrap());
    cluster.nodes[0].labels.insert("disk".to_owned(), "ssd".to_owned());
    cluster
}

/// A cluster that fetches everything from its own network.
pub fn closed() -> Cluster {
    let mut cluster = book();
    let sources = &mut cluster.sources;
    sources.ubuntu = "http://mirror.lan/ubuntu-ports".to_owned();
    sources.docker.url = "http://mirror.lan/docker".to_owned();
    sources.docker.fingerprint = "A".repeat(40).parse().unwrap();
    sources.kubernetes.url = "http://mirror.lan/k8s/{minor}".to_owned();
    sources.image_registry = "registry.lan:5000/k8s".to_owned();
    let endpoints = vec!["http://registry.lan:5000".to_owned(), "https://two.lan".to_owned()];
    sources.registry_mirrors.insert("docker.io".to_owned(), endpoints.clone());
    sources.registry_mirrors.insert("registry.lan:5000".to_owned(), endpoints);
    sources.ntp = vec!["time.lan".to_owned(), "10.1.1.1".to_owned()];
    sources.proxy = Some(Proxy {
        http: Some("http://u:p%40w@proxy.lan:3128".parse().unwrap()),
        https: Some("http://proxy.lan:3128".parse().unwrap()),
        bypass: vec!["mirror.lan".to_owned(), ".corp".to_owned(), "10.1.0.0/16".to_owned()],
    });
    cluster
}
