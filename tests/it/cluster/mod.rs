//! What a description says: its defaults, the plan of addresses, the software that follows.

mod errors;
mod project;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use pibake::boards::Board;
use pibake::cluster::{
    Cluster, INIT, LanAddressing, Link, Mode, Overrides, Platform, Role, UplinkAddressing, Warning, WifiKey,
};
use proptest::prelude::*;

fn try_parse(text: &str, nodes: Option<u32>) -> Result<Cluster, String> {
    let overrides = Overrides { nodes, ..Overrides::default() };
    Cluster::parse("pibake.toml", text, Path::new("/etc/cluster"), &overrides).map_err(|e| e.to_string())
}

fn parse(text: &str) -> Cluster {
    try_parse(text, None).unwrap_or_else(|e| panic!("{e}"))
}

/// `a "quoted" text`, as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[test]
fn the_defaults_are_the_books_cluster() {
    let cluster = parse("");
    insta::assert_debug_snapshot!(cluster);
    assert_eq!(cluster.api_name(), "kubernetes.cluster.home");
    assert_eq!(cluster.control_plane().map(|n| n.name.as_str()), Some("node-1"));
    assert_eq!(cluster.stated_platform().map(|p| p.name), Some("20.04"));
}

#[test]
fn init_writes_the_defaults_and_every_line_of_it_works() {
    assert_eq!(parse(INIT), parse(""));
    // Lines that begin with "#" and a letter or "[" are the defaults themselves.
    let is_default = |line: &&str| {
        line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let spoken: String =
        INIT.lines().map(|l| if is_default(&l) { &l[1..] } else { l }).map(|l| format!("{l}\n")).collect();
    assert!(spoken.contains("\nnodes = 4\n") && spoken.contains("\nsubnet = "));
    assert_eq!(parse(&spoken), parse(""), "a default in the template is not the default");
}

#[test]
fn examples_in_init_are_read() {
    // "# key = value" is an example: each is put into its table and must be understood, if not
    // accepted (some name files that are not there).
    let mut table = String::new();
    for line in INIT.lines() {
        let bare = line.trim_start_matches("# ").trim_start_matches('#');
        if let Some(end) = bare.rfind(']').filter(|_| bare.starts_with('[')) {
            table = bare[..=end].to_owned();
            continue;
        }
        let is_pair = bare.split_once(" = ").is_some_and(|(key, _)| {
            key.trim_matches('"').chars().all(|c| c.is_ascii_lowercase() || "-.0123456789".contains(c))
        });
        if is_pair && line.starts_with('#') {
            let told = try_parse(&format!("{table}\n{bare}\n"), None).err().unwrap_or_default();
            assert!(!told.contains("unknown key") && !told.contains(":2:1:"), "{line}: {told}");
        }
    }
    let tables: BTreeSet<&str> =
        INIT.lines().map(|l| l.trim_start_matches("# ")).filter(|l| l.starts_with('[')).collect();
    assert_eq!(tables.len(), 21, "{tables:?}");
}

#[test]
fn a_description_with_everything_in_it() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEllzXTs1NIiqSoXZtvzVbb0SM/JOrg9D8lr3uVQdmcp";
    insta::assert_debug_snapshot!(parse(&format!(
        r#"
name = "attic"
domain = "attic.example"
nodes = [
  {{ name = "store", address = "172.16.0.20", mac = "DC-A6-32-01-02-03", labels = {{ "example.com/disk" = "ssd" }} }},
  {{ name = "head", role = "control-plane" }},
  {{}},
]
[network]
subnet = "172.16.0.16/28"
interface = "end0"
dns = ["9.9.9.9"]
[network.wifi]
ssid = "Café \"π\" $HOME #1"
password = "p'\"`$(x)#\\ ü"
country = "de"
hidden = true
[network.uplink]
interface = "wlan1"
address = "192.168.1.5/24"
router = "192.168.1.1"
[network.dhcp]
range = "172.16.0.17-172.16.0.22"
default-lease-time = 60
max-lease-time = 60
[kubernetes]
version = "v1.31.4"
pods = "10.8.0.0/20"
services = "10.9.0.0/24"
containerd = "1.7.27"
cgroup = "v2"
pause-image = "10.0.0.9:5000/pause:3.10"
schedule-on-control-plane = true
[kubernetes.flannel]
image = "mirror.example/flannel:v0.27.4"
cni-plugin-image = "mirror.example/cni@sha256:{digest}"
[access]
user = "pi"
ssh-keys = ["  {key}   me  ", "{key} me"]
password = "secret enough"
ssh-password = true
[base]
image = "images/ours.img.xz"
mirror = "https://mirror.example/ubuntu/"
sha256 = "{digest}"
platform = "22.04"
kernel-arguments = ["quiet"]
[image]
preload = true
preload-images = ["nginx:1.29"]
[sources]
ubuntu = "http://mirror.example/ports/"
image-registry = "10.0.0.9:5000/k8s"
ntp = ["10.0.0.9", "time.example"]
[sources.docker]
url = "http://mirror.example/docker"
key-url = "http://mirror.example/docker.gpg"
fingerprint = "9dc8 5822 9fc7 dd38 854a e2d8 8d81 803c 0ebf cd88"
[sources.kubernetes]
url = "http://mirror.example/k8s/{{minor}}"
[sources.registry-mirrors]
"docker.io" = ["http://10.0.0.9:5000"]
[sources.proxy]
https = "http://me:word@proxy.example:3128"
bypass = [".example.com", "192.168.0.0/16"]
"#,
        digest = "0123456789abcdef".repeat(4),
    )));
}

#[test]
fn nodes_are_added_without_moving_the_others() {
    let addresses = |nodes| {
        let cluster = try_parse("", Some(nodes)).unwrap();
        cluster.nodes.iter().map(|n| (n.name.clone(), n.address)).collect::<Vec<_>>()
    };
    for nodes in 1..=250 {
        assert_eq!(addresses(nodes + 1).get(..nodes as usize), Some(&addresses(nodes)[..]));
        if nodes == 249 {
            break;
        }
    }
    let list = "nodes = [{ name = \"a\", address = \"10.0.0.9\" }, { name = \"b\" }]";
    let more = try_parse(list, Some(3)).unwrap();
    let names: Vec<_> = more.nodes.iter().map(|n| format!("{} {}", n.name, n.address)).collect();
    assert_eq!(names, ["a 10.0.0.9", "b 10.0.0.2", "node-3 10.0.0.3"]);
    assert_eq!(try_parse(list, Some(1)).unwrap().nodes.len(), 1);
}

#[test]
fn future_nodes_have_what_they_will_have() {
    let now = try_parse("", Some(4)).unwrap();
    let future = now.future_nodes();
    assert_eq!(future.len(), 200, "up to the pool at .205");
    for later in [5, 100, 204] {
        let later = try_parse("", Some(later)).unwrap();
        let known = now.nodes.iter().map(|n| (n.name.clone(), n.address)).chain(future.iter().cloned());
        let built: Vec<_> = later.nodes.iter().map(|n| (n.name.clone(), n.address)).collect();
        assert_eq!(known.take(built.len()).collect::<Vec<_>>(), built);
    }
    assert_eq!(try_parse("", Some(250)).unwrap().future_nodes(), []);
}

#[test]
fn lone_nodes_run_the_pods_as_well() {
    assert!(try_parse("", Some(1)).unwrap().kubernetes.schedule_on_control_plane);
    assert!(!try_parse("", Some(2)).unwrap().kubernetes.schedule_on_control_plane);
    assert!(
        !parse("nodes = 1\n[kubernetes]\nschedule-on-control-plane = false")
            .kubernetes
            .schedule_on_control_plane
    );
}

#[test]
fn lan_mode_takes_the_router_that_is_there() {
    let text = "[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.201\"\n";
    let cluster = parse(text);
    let addresses: Vec<_> = cluster.nodes.iter().map(|n| n.address.to_string()).collect();
    assert_eq!(addresses, ["192.168.1.201", "192.168.1.202", "192.168.1.203", "192.168.1.204"]);
    let Mode::Lan(lan) = &cluster.network.mode else { panic!("{:?}", cluster.network.mode) };
    assert_eq!((lan.router.to_string().as_str(), lan.addressing), ("192.168.1.1", LanAddressing::Static));
    assert!(cluster.warnings().is_empty());
    let each = "nodes = [{ address = \"192.168.1.7\" }, { address = \"192.168.1.9\" }]\n\
                [network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\naddressing = \"dhcp\"\n";
    let Mode::Lan(lan) = parse(each).network.mode else { panic!() };
    assert_eq!(lan.addressing, LanAddressing::Dhcp);
}

#[test]
fn boards_are_those_of_the_nodes_or_of_all() {
    let boards = |text: &str, nodes| {
        let cluster = try_parse(text, nodes).unwrap();
        cluster.nodes.iter().map(|node| node.board.map_or("any", Board::as_str)).collect::<Vec<_>>()
    };
    assert_eq!(boards("", Some(2)), ["any", "any"]);
    assert_eq!(boards("board = \"pi400\"\n", Some(2)), ["pi400", "pi400"]);
    let list = "board = \"pi4\"\nnodes = [{}, { board = \"pi5\" }]\n";
    assert_eq!(boards(list, None), ["pi4", "pi5"]);
    // those that are added later are as all
    assert_eq!(boards(list, Some(3)), ["pi4", "pi5", "pi4"]);
    let warned = |text: &str| parse(text).warnings().iter().any(|w| w.to_string().contains("on a Pi 3"));
    assert!(warned("board = \"pi3\"\n"));
    assert!(!warned("board = \"pi3\"\nnodes = [{ board = \"pi4\" }, {}]\n"));
}

/// Each base with each board: what is offered, and what is refused with what to take.
#[test]
fn a_base_is_offered_for_the_boards_that_it_starts() {
    let table: String = ["20.04", "22.04", "24.04", "26.04"]
        .into_iter()
        .map(|series| {
            let boards = Board::ALL.map(|board| {
                let cluster = parse(&format!("board = \"{board}\"\n[base]\nimage = \"{series}\"\n"));
                let nodes: Vec<_> = cluster.nodes.iter().collect();
                match cluster.check_boards(&cluster.stated_platform().unwrap(), &nodes) {
                    Ok(()) => board.to_string(),
                    Err(fault) => {
                        let said = fault.to_string();
                        let takes = ["image = \"24.04\"", "--base 24.04"];
                        assert!(takes.iter().all(|take| said.contains(take)), "{said}");
                        "-".to_owned()
                    }
                }
            });
            format!("{series} {}\n", boards.join(" "))
        })
        .collect();
    insta::assert_snapshot!(table, @r"
    20.04 pi3 pi4 pi400 cm4 - -
    22.04 pi3 pi4 pi400 cm4 - -
    24.04 pi3 pi4 pi400 cm4 pi5 cm5
    26.04 pi3 pi4 pi400 cm4 pi5 cm5
    ");
}

#[test]
fn the_uplink_is_the_radio_or_a_second_card() {
    let plain = parse("");
    let uplink = &plain.network.gateway().unwrap().uplink;
    assert_eq!(uplink.link, Link::ethernet("eth1"));
    assert_eq!(uplink.addressing, UplinkAddressing::Dhcp);
    insta::assert_snapshot!(plain.warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @"no radio network is described in [network.wifi]: node-1 expects its way to the internet on a second Ethernet adapter, eth1");
    // the table alone, as pibake init writes it, or what is open by it, says nothing of the way out
    for text in ["[network.uplink]\n", "[network.uplink]\nallow = [\"api\"]\n"] {
        assert_eq!(parse(text).warnings(), plain.warnings());
    }
    assert!(parse("[network.uplink]\ninterface = \"eth1\"\n").warnings().is_empty());
    assert!(
        parse("[network.uplink]\naddress = \"192.168.1.5/24\"\nrouter = \"192.168.1.1\"\n")
            .warnings()
            .is_empty()
    );
    let wifi = parse("[network.wifi]\nssid = \"home\"\nopen = true\n");
    assert_eq!(wifi.network.gateway().unwrap().uplink.link.interface(), "wlan0");
    assert_eq!(wifi.network.radio().unwrap().networks[0].key, WifiKey::Open);
    let warnings = wifi.warnings();
    assert!(warnings == [Warning::NoCountry], "{warnings:?}");
    assert!(parse("[network.wifi]\nssid = \"home\"\nopen = true\ncountry = \"DE\"\n").warnings().is_empty());
}

#[test]
fn the_command_line_stands_above_the_file() {
    let overrides = Overrides { nodes: Some(7), base: Some("./x.img".to_owned()), ..Overrides::default() };
    let file = "nodes = 2\n[base]\nimage = \"22.04.5\"\n";
    let cluster = Cluster::parse("pibake.toml", file, Path::new("/etc"), &overrides).unwrap();
    assert_eq!((cluster.nodes.len(), cluster.base.image.to_string()), (7, "./x.img".to_owned()));
    assert_eq!(cluster.stated_platform(), None);
    assert_eq!(parse(file).stated_platform().map(|p| p.name), Some("22.04"));
}

#[test]
fn images_that_are_preloaded_have_a_version_and_are_not_asked_for_in_vain() {
    let read = |text: &str, preload| {
        let overrides = Overrides { preload, ..Overrides::default() };
        let read = Cluster::parse("pibake.toml", text, Path::new(""), &overrides);
        read.map(|cluster| cluster.image).map_err(|e| e.to_string())
    };
    let names = "[image]\npreload-images = [\"nginx:1.29\", \"a.example/b:1\"]\n";
    let image = read(names, true).unwrap();
    let named: Vec<String> = image.preload_images.iter().map(ToString::to_string).collect();
    assert_eq!(
        (image.preload, named),
        (true, vec!["docker.io/library/nginx:1.29".into(), "a.example/b:1".into()])
    );
    assert!(read(names, false).unwrap_err().contains("--preload"));
    // switched off for now
    let off = format!("{names}preload = false\n");
    assert_eq!([false, true].map(|flag| read(&off, flag).unwrap().preload), [false, true]);
    for bad in ["nginx", "https://a.example/b:1", "a b:1", ""] {
        let text = format!("[image]\npreload = true\npreload-images = [\"{bad}\"]\n");
        assert!(read(&text, false).unwrap_err().contains("with its tag or digest"), "{bad}");
    }
    assert!(read("[image]\npreload = \"yes\"\n", false).is_err());
}

#[test]
fn paths_begin_at_the_description() {
    let image = |text: &str| parse(&format!("[base]\nimage = {}\n", quoted(text))).base.image.to_string();
    assert_eq!(image("a/b.img.xz"), "/etc/cluster/a/b.img.xz");
    assert_eq!(image("b.img"), "/etc/cluster/b.img");
    for as_it_is in ["20.04.5", "sample", "/srv/b.img", "https://a.example/b.img.xz"] {
        assert_eq!(image(as_it_is), as_it_is);
    }
    let dir = tempfile::tempdir().unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEllzXTs1NIiqSoXZtvzVbb0SM/JOrg9D8lr3uVQdmcp me";
    std::fs::write(dir.path().join("k.pub"), format!("# mine\n\n{key}\n")).unwrap();
    std::fs::write(dir.path().join("pibake.toml"), "[access]\nssh-key-files = [\"k.pub\"]\n").unwrap();
    let cluster = Cluster::read(Some(&dir.path().join("pibake.toml")), &Overrides::default()).unwrap();
    assert_eq!(cluster.access.ssh_keys, [key]);
}

#[test]
fn software_follows_from_the_platform() {
    let table: String = ["20.04", "22.04", "24.04", "26.04", "debian-12"]
        .iter()
        .flat_map(|platform| {
            let platform = Platform::named(platform).unwrap();
            [
                "",
                "version = \"1.24\"",
                "version = \"1.31.4\"",
                "version = \"1.34\"",
                "cgroup = \"v2\"",
                "containerd = \"1.7\"",
            ]
            .map(|keys| {
                let said = parse(&format!("[kubernetes]\n{keys}\n")).software(&platform);
                let said = said.map_or_else(
                    |e| e.to_string(),
                    |s| {
                        let unified = s.unified_cgroup_argument;
                        format!(
                            "Kubernetes {}, containerd {}, cgroup {} {unified:?}, {}",
                            s.kubernetes, s.containerd, s.cgroup, s.pause_image
                        )
                    },
                );
                format!("{:<10}{keys:<20} {said}\n", platform.name)
            })
        })
        .collect();
    insta::assert_snapshot!(table);
}

#[test]
fn every_known_kubernetes_runs_somewhere() {
    for minor in 20..=37 {
        let text = format!(
            "[kubernetes]\nversion = \"1.{minor}\"\n[sources.kubernetes]\nurl = \"http://m.example/k\"\n"
        );
        let runs = |name: &str| parse(&text).software(&Platform::named(name).unwrap()).is_ok();
        assert!(runs("22.04") && runs("24.04"), "1.{minor}");
        assert_eq!(runs("20.04"), minor <= 34, "1.{minor}");
        assert_eq!(runs("26.04"), minor >= 23, "1.{minor}");
    }
}

proptest! {
    #[test]
    fn any_network_has_a_plan_without_a_clash(
        base in any::<u32>(), prefix in 8_u8..=30, nodes in 1_u32..=250, first in 0_u32..300
    ) {
        let subnet = ipnet::Ipv4Net::new(Ipv4Addr::from_bits(base), prefix).unwrap().trunc();
        let start = Ipv4Addr::from_bits(subnet.network().to_bits().saturating_add(first));
        let text = format!("[network]\nsubnet = \"{subnet}\"\nfirst-address = \"{start}\"\n");
        if let Ok(cluster) = try_parse(&text, Some(nodes)) {
            let taken: BTreeSet<_> = cluster.nodes.iter().map(|n| n.address).collect();
            prop_assert_eq!(taken.len(), nodes as usize);
            prop_assert_eq!(cluster.nodes.iter().filter(|n| n.role == Role::ControlPlane).count(), 1);
            let inside = |a: &Ipv4Addr| subnet.contains(a) && *a != subnet.network() && *a != subnet.broadcast();
            prop_assert!(taken.iter().all(inside));
            let future: Vec<_> = cluster.future_nodes().into_iter().map(|(_, a)| a).collect();
            for (from, to) in &cluster.network.gateway().unwrap().dhcp.pool {
                prop_assert!(from <= to && inside(from) && inside(to));
                prop_assert!(!taken.iter().chain(&future).any(|a| (from..=to).contains(&a)));
            }
            prop_assert!(future.iter().all(|a| inside(a) && !taken.contains(a)));
        }
    }

    #[test]
    fn whatever_a_radio_network_is_called_is_kept(ssid in "\\PC{1,32}", password in "[ -~äöü]{8,40}") {
        prop_assume!(ssid.len() <= 32 && (8..=63).contains(&password.len()));
        let text = format!("[network.wifi]\nssid = {}\npassword = {}\n", quoted(&ssid), quoted(&password));
        let cluster = parse(&text);
        let wifi = &cluster.network.radio().unwrap().networks[0];
        prop_assert_eq!(&wifi.ssid, &ssid);
        let WifiKey::Passphrase(kept) = &wifi.key else { panic!("{:?}", wifi.key) };
        prop_assert_eq!(kept.reveal(), &password);
        let shown = format!("{cluster:?}");
        prop_assert!(!shown.contains(&password) || ssid.contains(&password));
    }

    #[test]
    fn names_that_pass_are_labels_and_labels_pass(name in "[a-z0-9-]{0,70}") {
        let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
        let good = name.len() <= 63
            && edge(name.chars().next())
            && edge(name.chars().last())
            && name.contains(|c: char| !c.is_ascii_digit())
            // inet_aton(3) takes it for an address
            && !name.strip_prefix("0x").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit()));
        let told = try_parse(&format!("nodes = [{{ name = {} }}]", quoted(&name)), None);
        prop_assert_eq!(told.is_ok(), good, "{:?}", told);
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "(\\[[a-z.]{0,12}\\]\n|[a-z-]{1,9} ?= ?[\"a-z0-9.\\[\\]{}-]{0,9}\n|\\PC{0,12}\n){0,8}") {
        let _ = try_parse(&text, None);
    }
}
