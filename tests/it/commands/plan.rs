//! `pibake init` and `pibake plan`.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use support::plan;

fn pibake(dir: &std::path::Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("pibake").unwrap().current_dir(dir).args(arguments).assert()
}

#[test]
fn the_default_cluster_needs_no_description_and_makes_no_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = "NODE    ROLE           ADDRESS\nnode-1  control-plane  10.0.0.1\nnode-2  worker         10.0.0.2\n\
                 node-3  worker         10.0.0.3\nnode-4  worker         10.0.0.4\n\
                 base image 20.04.5, Kubernetes 1.34, containerd 1.7, pibake 0.1.0\n";
    pibake(dir.path(), &["plan"]).success().stdout(predicates::str::starts_with(nodes));
    let control_plane = pibake(dir.path(), &["plan", "--node", "1"]).success();
    for row in ["/etc/hostname", "/etc/netplan", "/etc/dhcp/dhcpd.conf", "cgroup_memory=1", "/meta-data"] {
        assert!(contains(row).eval(&String::from_utf8_lossy(&control_plane.get_output().stdout)), "{row}");
    }
    pibake(dir.path(), &["plan", "--node", "node-3", "/etc/hostname"]).success().stdout("node-3\n");
    pibake(dir.path(), &["plan", "--node", "2"]).success().stdout(contains("dhcpd.conf").not());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "plan left something");
}

#[test]
fn what_init_writes_is_the_default_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let planned = || {
        let stdout =
            pibake(dir.path(), &["plan", "--node", "1", "--json"]).success().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&stdout).unwrap()["changes"].take()
    };
    let before = planned();
    pibake(dir.path(), &["init"]).success().stdout(contains("pibake.toml"));
    assert!(before.is_array());
    assert_eq!(before, planned());
    pibake(dir.path(), &["init"]).code(4).stderr(contains("is there already"));
    pibake(dir.path(), &["init", "deeper/still"]).success();
    assert!(dir.path().join("deeper/still/pibake.toml").is_file());
}

#[test]
fn wrong_descriptions_and_arguments_end_with_2_and_say_where() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "domian = \"x\"\n").unwrap();
    pibake(dir.path(), &["plan", "-C", "bad.toml"])
        .code(2)
        .stderr(contains("bad.toml:1"))
        .stderr(contains("domain"));
    pibake(dir.path(), &["plan", "-C", "none.toml"]).code(2).stderr(contains("none.toml"));
    pibake(dir.path(), &["plan", "--nodes", "0"]).code(2);
    pibake(dir.path(), &["plan", "--nodes", "300"]).code(2);
    pibake(dir.path(), &["plan", "--node", "9"]).code(2).stderr(contains("node-1, node-2"));
    pibake(dir.path(), &["plan", "--node", "1", "etc"]).code(2);
    pibake(dir.path(), &["plan", "--node", "1", "/none"])
        .code(2)
        .stderr(contains("nothing changes at /none"));
    for node in [&["--node", "1"][..], &[]] {
        let plan = [&["plan", "--base", "./none.img"], node].concat();
        pibake(dir.path(), &plan).code(2).stderr(contains("none.img"));
    }
}

/// What the user's own files do wrong is told alike, whoever reads them.
#[test]
fn plan_and_build_end_alike() {
    let dir = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("[overlays]\ndir = \"none\"\n", "none"),
        ("[cloud-init]\nextra = \"none.yaml\"\n", "none.yaml"),
        ("[kubernetes]\nversion = \"1.36\"\n", "kubernetes.version"),
    ] {
        std::fs::write(dir.path().join("pibake.toml"), text).unwrap();
        for command in [&["plan", "--node", "1"][..], &["build"]] {
            pibake(dir.path(), command).code(2).stderr(contains(said));
        }
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["pibake.toml"], "nothing was made");
}

/// What a packed image holds is looked up in the cache, which is filled where it is not yet.
#[test]
fn a_packed_image_is_planned_like_a_raw_one() {
    let dir = tempfile::tempdir().unwrap();
    let plan = |base: &str| {
        let mut command = Command::cargo_bin("pibake").unwrap();
        command.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
        command.args(["plan", "--node", "1", "--base", base]).assert()
    };
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/src/base/sample.img.xz");
    std::fs::copy(packed, dir.path().join("base.img.xz")).unwrap();
    let planned = plan("base.img.xz").success().get_output().stdout.clone();
    assert_eq!(plan("sample").success().get_output().stdout, planned);
    assert_eq!(plan("20.04.5").success().get_output().stdout, planned);

    std::fs::write(dir.path().join("cut.img.xz"), &std::fs::read(packed).unwrap()[..1000]).unwrap();
    plan("cut.img.xz").code(3).stderr(contains("truncated"));
    // nothing is fetched for a plan
    plan("https://127.0.0.1:9/other.img.xz")
        .code(2)
        .stderr(contains("pibake fetch"))
        .stderr(contains("base.platform"));
}

/// The judge of the tests that compare a plan with a card.
#[test]
fn a_mask_stands_for_something() {
    assert!(plan::shows("a\nb\n", "a\nb\n"));
    assert!(!plan::shows("a\n", "a\nb\n"));
    assert!(plan::shows("token: \"********\"\nx\n", "token: \"abc.def\"\nx\n"));
    assert!(plan::shows("********\n", "-----BEGIN\nkey\n-----END\n"));
    assert!(!plan::shows("a ******** b ********\n", "a 1 b \n"));
    assert!(!plan::shows("token: ********\n", "token: ********\n"));
    assert!(!plan::shows("token: ********\n", "token: 1\nmore"));
}

/// One page: who is who, how the nodes get out, who gets in.
#[test]
fn a_plan_is_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = |description: &str| {
        std::fs::write(dir.path().join("pibake.toml"), description).unwrap();
        let stdout = pibake(dir.path(), &["plan"]).success().get_output().stdout.clone();
        let text = String::from_utf8(stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        text
    };
    let radio = "[network.wifi]\nssid = \"home\"\npassword = \"correct horse\"\ncountry = \"DE\"\n";
    let pages = [
        page("nodes = 2\n"),
        page(&format!(
            "nodes = 1\n{radio}[network.uplink]\naddress = \"192.168.1.5/24\"\nrouter = \"192.168.1.1\"\n\
                       allow = [\"api\", \"443/tcp\"]\n[access]\npassword = \"long enough\"\nssh-password = true\n"
        )),
        page(
            "nodes = 2\n[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.50\"\n",
        ),
    ];
    let dual = "[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\n";
    let lan = "[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.50\"\n";
    let dual_pages = [
        page(&format!("nodes = [{{ board = \"pi5\" }}, {{}}]\n{dual}[base]\nimage = \"24.04\"\n")),
        page(&format!("nodes = 2\n{lan}{dual}")),
        page(&format!("nodes = 2\n{lan}{dual}router = \"fe80::1\"\n")),
    ];
    // which networks this machine is in decides some warnings
    let pages = pages
        .into_iter()
        .chain(dual_pages)
        .map(|page| page.lines().filter(|line| !line.starts_with("warnings")).collect::<Vec<_>>().join("\n"));
    insta::assert_snapshot!(pages.collect::<Vec<_>>().join("\n\n"));
}

/// The template names everything and decides nothing: what is worth a warning without it is worth one with it.
#[test]
fn the_template_silences_no_warning() {
    let dir = tempfile::tempdir().unwrap();
    let no_way_out = "no radio network is described in [network.wifi]";
    pibake(dir.path(), &["plan"]).success().stderr(contains(no_way_out));
    pibake(dir.path(), &["init"]).success();
    pibake(dir.path(), &["plan"]).success().stderr(contains(no_way_out)).stdout(contains("\nwarnings "));
    // and who wants to hear nothing hears that
    pibake(dir.path(), &["plan", "-q"])
        .success()
        .stderr(contains(no_way_out))
        .stderr(contains("the description is").not());
    let text = std::fs::read_to_string(dir.path().join("pibake.toml")).unwrap();
    std::fs::write(
        dir.path().join("pibake.toml"),
        text.replace("#interface = \"eth1\"", "interface = \"eth1\""),
    )
    .unwrap();
    pibake(dir.path(), &["plan"]).success().stderr(contains(no_way_out).not());
}

/// Taking the "#" from a setting and not from its header must not move a password to another login.
#[test]
fn a_setting_below_a_commented_header_is_told_from_one_in_the_wrong_place() {
    let dir = tempfile::tempdir().unwrap();
    pibake(dir.path(), &["init"]).success();
    let text = std::fs::read_to_string(dir.path().join("pibake.toml")).unwrap();
    for key in ["ssid", "password", "country"] {
        let text = text.replacen(&format!("# {key} = "), &format!("{key} = "), 1);
        std::fs::write(dir.path().join("pibake.toml"), text).unwrap();
        pibake(dir.path(), &["plan"])
            .code(2)
            .stderr(contains("[network.wifi], is commented out above"))
            .stderr(contains("[access]").not());
    }
    std::fs::write(dir.path().join("pibake.toml"), "nodes: 4\nnetwork:\n  mode: lan\n").unwrap();
    pibake(dir.path(), &["plan"]).code(2).stderr(contains("looks like YAML"));
    std::fs::write(dir.path().join("pibake.toml"), "nodes = [{ role = \"master\" }]\n").unwrap();
    pibake(dir.path(), &["plan"]).code(2).stderr(contains("did you mean \"control-plane\"?"));
}

/// The words of a picture and how many boxes it has, as a reader of XML finds them.
fn picture(svg: &[u8]) -> (Vec<String>, usize) {
    const READ: &str = "import sys, xml.dom.minidom as m\n\
        d = m.parse(sys.stdin.buffer)\n\
        assert d.documentElement.tagName == 'svg'\n\
        print(len(d.getElementsByTagName('rect')))\n\
        for t in d.getElementsByTagName('text'): print(t.firstChild.data)\n";
    let mut python = Command::from_std(support::tool("python3", "python3"));
    let out = python.args(["-c", READ]).env("PYTHONUTF8", "1").write_stdin(svg).assert().success();
    let printed = String::from_utf8(out.get_output().stdout.clone()).unwrap();
    let mut lines = printed.lines().map(str::to_owned);
    let boxes = lines.next().unwrap().parse().unwrap();
    (lines.collect(), boxes)
}

#[test]
fn the_picture_has_every_node_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = |text: &str, arguments: &[&str]| {
        std::fs::write(dir.path().join("pibake.toml"), text).unwrap();
        let out = pibake(dir.path(), &[&["plan", "--svg"], arguments].concat()).success();
        picture(&out.get_output().stdout)
    };
    // the page, node-1, what is outside, and the others
    let radio = "[network.wifi]\nssid = \"a <&> \\\"b\\uffff\"\npassword = \"longenough\"\n\
                 [network.uplink]\nallow = [\"api\", \"443/tcp\"]\n";
    for (nodes, text) in [("1", radio), ("2", radio), ("4", ""), ("11", radio), ("250", "")] {
        let (words, boxes) = drawn(text, &["--nodes", nodes]);
        let count: usize = nodes.parse().unwrap();
        assert_eq!(boxes, count + 2, "{nodes}: {words:?}");
        for n in 1..=count {
            assert_eq!(words.iter().filter(|word| **word == format!("node-{n}")).count(), 1, "node-{n}");
        }
        let way = if text.is_empty() { "second Ethernet adapter" } else { "a <&> \"b" };
        assert!(words.iter().any(|word| word.contains(way)), "{way}: {words:?}");
        let open = if text.is_empty() { "open: ssh" } else { "open: ssh, api, 443/tcp" };
        assert!(words.iter().any(|word| word == open), "{words:?}");
    }
    let lan = "[network]\nmode = \"lan\"\nsubnet = \"192.168.7.0/24\"\nfirst-address = \"192.168.7.10\"\n";
    let (words, boxes) = drawn(lan, &["--nodes", "3"]);
    assert_eq!(boxes, 3 + 3, "{words:?}");
    for word in
        ["your router", "192.168.7.1", "192.168.7.10", "192.168.7.0/24 on eth0", "control plane, API server"]
    {
        assert!(words.iter().any(|other| other == word), "{word}: {words:?}");
    }
    let dual = format!("{lan}[network.ipv6]\nsubnet = \"fd12:3456:789a::/64\"\nrouter = \"fe80::1\"\n");
    let (words, _) = drawn(&dual, &["--nodes", "3"]);
    for word in
        ["fe80::1", "192.168.7.12", "fd12:3456:789a::12", "fd12:3456:789a::/64", "control plane, API server"]
    {
        assert!(words.iter().any(|other| other == word), "{word}: {words:?}");
    }
    let boards =
        "board = \"cm4\"\nnodes = [{}, { boot-from = \"nvme\" }, { board = \"pi4\", boot-from = \"usb\" }]\n";
    let (words, _) = drawn(boards, &[]);
    let count = |text: &str| words.iter().filter(|word| *word == text).count();
    let said = ["Compute Module 4", "Pi 4", "starts from an NVMe disk", "starts from a USB disk"];
    assert_eq!(said.map(count), [2, 1, 1, 1], "{words:?}");
    pibake(dir.path(), &["plan", "--svg", "--node", "1"]).code(2);
    pibake(dir.path(), &["plan", "--svg", "--json"]).code(2);
}

#[test]
fn what_changes_on_a_node_is_grouped_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("own/common/srv/mine.txt", "mine\n");
    let lan = "[network]\nmode = \"lan\"\nsubnet = \"192.168.7.0/24\"\nfirst-address = \"192.168.7.10\"\n";
    let full = "[network.wifi]\nssid = \"a\"\npassword = \"longenough\"\n[access]\npassword = \"secret words\"\n\
                [sources]\nntp = [\"10.0.0.9\"]\n[sources.proxy]\nhttp = \"http://10.0.0.9:3128\"\n\
                [sources.registry-mirrors]\n\"docker.io\" = [\"http://10.0.0.9:5000\"]\n";
    for (text, base) in [("", "20.04.5"), (lan, "24.04.3"), (full, "20.04.5"), (full, "24.04.3")] {
        write("pibake.toml", &format!("{text}[overlays]\ndir = \"own\"\n"));
        for node in ["1", "2"] {
            let plan = ["plan", "--base", base, "--node", node];
            let json =
                pibake(dir.path(), &[&plan[..], &["--json"]].concat()).success().get_output().stdout.clone();
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let page = pibake(dir.path(), &plan).success().get_output().stdout.clone();
            let page = String::from_utf8(page).unwrap();
            let changes = json["changes"].as_array().unwrap();
            for change in changes {
                let path = change["path"].as_str().unwrap();
                let is_its = |line: &&str| {
                    let third = line.split_whitespace().nth(2).unwrap_or_default();
                    line.starts_with("  ") && third.trim_end_matches([',', ':']) == path
                };
                assert_eq!(page.lines().filter(is_its).count(), 1, "{path} on node {node}:\n{page}");
                assert_eq!(change["why"].is_null(), path == "/srv/mine.txt", "{path}: {}", change["why"]);
            }
            let headings: Vec<&str> =
                page.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
            let expected = [
                "Boot partition",
                "Name and network",
                "Access",
                "Packages",
                "Containers and Kubernetes",
                "System",
                "Units",
                "First boot and upkeep",
                "Others",
            ];
            assert_eq!(headings, expected, "{page}");
            // what is not pibake's own stands apart
            assert!(page.contains("\nOthers\n  0644      5  /srv/mine.txt\n"), "{page}");
            let wide: Vec<&str> =
                page.lines().filter(|line| line.starts_with("     ") && line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{wide:?}");
        }
    }
}
