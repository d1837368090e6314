//! What users put in the place of pibake's files, and on top of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use pibake::cluster::{Password, Secret};
use pibake::recipe::{
    Action, CloudConfig, Error, ExtraError, Extras, OverlayError, Overlays, Recipe, Volume,
};

use crate::fixture::{book, boot_file, bytes, lan, root_file, with};

fn put(dir: &Path, path: &str, content: &str) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn chmod(dir: &Path, path: &str, mode: u32) {
    fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).unwrap();
}

fn recipe(dir: &Path, number: u16) -> Result<Recipe, Error> {
    let extras = Extras { overlays: Overlays::with_dir(dir).unwrap(), ..Extras::default() };
    with(&book(), number, &extras)
}

fn access(recipe: &Recipe, path: &str) -> (u16, bool) {
    recipe
        .changes
        .iter()
        .find_map(|change| match &change.action {
            Action::Write { access, secrecy, .. } if change.path.as_str() == path => {
                Some((access.mode, secrecy.is_secret()))
            }
            _ => None,
        })
        .unwrap()
}

#[test]
fn files_are_added_replaced_and_rendered() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "common/etc/motd.j2", "{{ node.name }} of {{ nodes | length }}\n");
    put(dir, "common/etc/crictl.yaml", "mine\n");
    put(dir, "common/etc/hosts.j2", "{{ node.address }} me\n");
    put(dir, "worker/etc/only-workers", "w\n");
    put(dir, "control-plane/etc/motd.j2", "the first of {{ domain }}\n");
    put(dir, "cloud-init/usercfg.txt", "dtparam=audio=on\n");

    let (first, second) = (recipe(dir, 1).unwrap(), recipe(dir, 2).unwrap());
    assert_eq!(root_file(&first, "/etc/motd"), "the first of cluster.home\n");
    assert_eq!(root_file(&second, "/etc/motd"), "node-2 of 4\n");
    assert_eq!(root_file(&second, "/etc/crictl.yaml"), "mine\n");
    assert_eq!(root_file(&second, "/etc/hosts"), "10.0.0.2 me\n");
    assert_eq!(root_file(&second, "/etc/only-workers"), "w\n");
    assert_eq!(bytes(&first, Volume::Root, "/etc/only-workers"), None);
    assert_eq!(boot_file(&first, "/usercfg.txt"), "dtparam=audio=on\n");
    // All the rest is as it was.
    assert_eq!(root_file(&second, "/etc/hostname"), "node-2\n");
}

#[test]
fn a_file_of_the_users_beats_pibakes_in_any_layer() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "common/etc/dhcp/dhcpd.conf", "# mine\n");
    assert_eq!(root_file(&recipe(dir.path(), 1).unwrap(), "/etc/dhcp/dhcpd.conf"), "# mine\n");
    // What the user puts somewhere lands, also where pibake would have had nothing.
    let extras = Extras { overlays: Overlays::with_dir(dir.path()).unwrap(), ..Extras::default() };
    let cluster = lan(pibake::cluster::LanAddressing::Static);
    assert_eq!(root_file(&with(&cluster, 1, &extras).unwrap(), "/etc/dhcp/dhcpd.conf"), "# mine\n");
}

#[test]
fn an_overlay_of_nothing_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("common")).unwrap();
    assert_eq!(recipe(dir.path(), 2).unwrap(), with(&book(), 2, &Extras::default()).unwrap());
}

#[test]
fn modes_do_not_hang_on_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (name, mode) in
        [("a", 0o664), ("b", 0o600), ("c", 0o775), ("d", 0o700), ("e", 0o444), ("f", 0o640), ("g", 0o750)]
    {
        put(dir, &format!("common/opt/{name}"), "x");
        chmod(dir, &format!("common/opt/{name}"), mode);
    }
    put(dir, "common/etc/pibake/kubeadm.yaml", "x");
    chmod(dir, "common/etc/pibake/kubeadm.yaml", 0o644);
    let recipe = recipe(dir, 1).unwrap();
    let of = |name: &str| access(&recipe, &format!("/opt/{name}"));
    assert_eq!(of("a"), (0o644, false));
    assert_eq!(of("b"), (0o600, true));
    assert_eq!(of("c"), (0o755, false));
    assert_eq!(of("d"), (0o700, true));
    assert_eq!(of("e"), (0o644, false));
    // What not everybody may read here is not opened there.
    assert_eq!((of("f"), of("g")), ((0o600, true), (0o700, true)));
    // In the place of a private file stands a private file.
    assert_eq!(access(&recipe, "/etc/pibake/kubeadm.yaml"), (0o600, true));
}

#[test]
fn folders_that_others_are_kept_out_of_are_named_and_others_only_where_they_are_empty() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "common/srv/open/x", "");
    put(dir, "common/srv/keys/x", "");
    chmod(dir, "common/srv/keys", 0o700);
    fs::create_dir_all(dir.join("common/srv/empty")).unwrap();
    let recipe = recipe(dir, 1).unwrap();
    let made: Vec<_> = recipe
        .changes
        .iter()
        .filter_map(|change| match change.action {
            Action::Directory { access } => Some((change.path.as_str(), access.mode)),
            _ => None,
        })
        .collect();
    assert_eq!(made, [("/srv/empty", 0o755), ("/srv/keys", 0o700)]);
}

#[test]
fn one_ending_is_the_templates_and_what_is_left_is_the_name() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "common/etc/x.j2", "{{ node.name }}\n");
    put(dir.path(), "common/etc/x.j2.j2", "{{ node.number }}\n");
    put(dir.path(), "common/etc/.j2", "{{ kept }}\n");
    let recipe = recipe(dir.path(), 2).unwrap();
    let files = ["/etc/x", "/etc/x.j2", "/etc/.j2"].map(|path| root_file(&recipe, path));
    assert_eq!(files, ["node-2\n", "2\n", "{{ kept }}\n"]);
}

#[test]
fn a_file_with_a_secret_is_roots_alone_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(
        dir,
        "common/etc/wpa.conf.j2",
        "{% for g in netplan %}{% for p in g.ports %}{% for a in p.access_points %}{{ a.auth.password | bare }}{% endfor %}{% endfor %}{% endfor %}\n",
    );
    put(dir, "common/etc/netplan/60-mine.yaml.j2", "x: {{ join.tokens[0].token[:6] }}\n");
    put(dir, "common/usr/bin/tool.sh.j2", "#!/bin/sh\necho {{ join.tokens[0].token | upper }}\n");
    chmod(dir, "common/usr/bin/tool.sh.j2", 0o755);
    put(dir, "common/etc/pasted", &format!("key={}\n", crate::fixture::PSK));
    put(dir, "common/etc/encoded.j2", "{{ node.name }} {{ join.tokens[0].token | length }}\n");
    let recipe = recipe(dir, 1).unwrap();
    assert_eq!(access(&recipe, "/etc/wpa.conf"), (0o600, true));
    assert_eq!(access(&recipe, "/etc/netplan/60-mine.yaml"), (0o600, true));
    assert_eq!(access(&recipe, "/usr/bin/tool.sh"), (0o700, true));
    assert_eq!(access(&recipe, "/etc/pasted"), (0o600, true));
    assert_eq!(access(&recipe, "/etc/encoded"), (0o644, false));
}

#[test]
fn a_secret_on_the_boot_partition_is_refused_by_name() {
    for (file, text, words) in [
        (
            "usercfg.txt.j2",
            "# {{ join.tokens[0].token }}\n",
            "usercfg.txt.j2 would put a secret (join.token, join.tokens)",
        ),
        (
            "sub/x.yaml.j2",
            "{% for g in netplan %}{% for p in g.ports %}{% for a in p.access_points %}a: {{ a.auth.password }}{% endfor %}{% endfor %}{% endfor %}\n",
            "the WiFi key in netplan",
        ),
        ("cmdline.txt.j2", "root=x token={{ join.tokens[0].token | bare }}\n", "(join.token, join.tokens)"),
        ("x.txt", crate::fixture::PSK, "its text is in the file"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &format!("cloud-init/{file}"), text);
        let error = recipe(dir.path(), 1).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words}");
        let extras = Extras { overlays: Overlays::with_dir(dir.path()).unwrap(), ..Extras::default() };
        let cluster = book();
        for identity in [None, Some(crate::fixture::identity())] {
            let node = &cluster.nodes[0];
            let shown = pibake::recipe::preview(
                &cluster,
                identity.as_ref(),
                node,
                &crate::fixture::platform(),
                &extras,
            );
            assert!(matches!(shown, Err(Error::SecretOnBoot { .. })), "a plan of {file} is refused alike");
        }
    }
}

#[test]
fn what_leaves_no_place_for_a_file_of_pibake_s_is_refused() {
    let refused = |make: &dyn Fn(&Path), words: &str| {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let error = Overlays::with_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    };
    let folder = |path: &'static str| move |dir: &Path| fs::create_dir_all(dir.join(path)).unwrap();
    let file = |path: &'static str| move |dir: &Path| put(dir, path, "x");
    refused(&folder("common/etc/hostname"), "pibake writes /etc/hostname");
    refused(&folder("worker/etc/hostname"), "pibake writes /etc/hostname");
    refused(&folder("common/usr/lib/pibake/nat"), "pibake writes /usr/lib/pibake/nat");
    refused(&file("common/etc/hostname/x"), "pibake writes /etc/hostname");
    refused(&file("common/etc/netplan"), "pibake writes /etc/netplan/50-cloud-init.yaml");
    refused(&file("common/etc/pibake/manifests/ingress.yaml"), "manifests of pibake.toml");
    refused(&file("control-plane/var/lib/pibake/restore.tar.gz"), "pibake restore puts");
    for layer in ["common", "cloud-init"] {
        let link = move |dir: &Path| {
            fs::create_dir_all(dir.join(layer)).unwrap();
            symlink("../shared.j2", dir.join(layer).join("motd.j2")).unwrap();
        };
        refused(&link, "is a link, which is baked as it is");
    }
    // what a worker gets is no matter to a file that only the control plane has
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("worker/usr/lib/pibake/nat")).unwrap();
    fs::create_dir_all(dir.path().join("common/etc")).unwrap();
    symlink("/srv/netplan", dir.path().join("common/etc/netplan")).unwrap();
    Overlays::with_dir(dir.path()).unwrap();
}

#[test]
fn a_secret_in_cloud_init_s_extra_is_refused_by_name() {
    let mut cluster = book();
    cluster.access.password = Some(Password::Plain(Secret::new("correct horse")));
    let upper = crate::fixture::PSK.to_uppercase();
    for text in [
        format!("write_files:\n- path: /etc/x\n  content: psk={}\n", crate::fixture::PSK),
        format!("runcmd:\n- [wpa_passphrase, {upper}]\n"),
        "runcmd:\n- echo 'ubuntu:correct horse' | chpasswd\n".to_owned(),
        // the same text, written otherwise
        "runcmd:\n- \"echo ubuntu:correct\\x20horse | chpasswd\"\n".to_owned(),
    ] {
        let file = "extra.yaml".into();
        let extras =
            Extras { user_data: Some(CloudConfig { file, text: text.clone() }), ..Extras::default() };
        let error = with(&cluster, 1, &extras).unwrap_err();
        assert!(matches!(error, Error::SecretOnBoot { .. }), "{text}: {error}");
        assert!(error.to_string().contains("extra.yaml would put a secret"), "{error}");
    }
    let harmless = "runcmd:\n- echo correct horses\n".to_owned();
    let user_data = Some(CloudConfig { file: "extra.yaml".into(), text: harmless });
    cluster.access.password = Some(Password::Plain(Secret::new("correct-horse")));
    with(&cluster, 1, &Extras { user_data, ..Extras::default() }).unwrap();
}

#[test]
fn what_people_choose_is_found_in_their_own_files() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "common/etc/wpa.conf", "psk=\"battery staple\"\n");
    put(dir.path(), "common/etc/upper.conf", &crate::fixture::PSK.to_uppercase());
    let mut cluster = book();
    cluster.access.password = Some(Password::Plain(Secret::new("battery staple")));
    let extras = Extras { overlays: Overlays::with_dir(dir.path()).unwrap(), ..Extras::default() };
    let recipe = with(&cluster, 1, &extras).unwrap();
    assert_eq!(access(&recipe, "/etc/wpa.conf"), (0o600, true));
    assert_eq!(access(&recipe, "/etc/upper.conf"), (0o600, true));
}

#[test]
fn a_preview_masks_what_templates_of_the_users_print_and_hides_what_is_pasted() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "common/etc/a.j2", "{{ join.tokens[0].token | bare }}\n");
    put(dir.path(), "common/etc/b", crate::fixture::PSK);
    let extras = Extras { overlays: Overlays::with_dir(dir.path()).unwrap(), ..Extras::default() };
    let (cluster, identity) = (book(), crate::fixture::identity());
    let shown = pibake::recipe::preview(
        &cluster,
        Some(&identity),
        &cluster.nodes[0],
        &crate::fixture::platform(),
        &extras,
    )
    .unwrap();
    let text = |path: &str| {
        let found = pibake::recipe::show::at(&shown, &path.parse().unwrap());
        pibake::recipe::show::text(found[0])
    };
    assert_eq!(text("/etc/a"), "********\n");
    assert_eq!(text("/etc/b"), "(64 bytes, secret)\n");
    assert_eq!(access(&shown, "/etc/a"), (0o600, true));
}

#[test]
fn the_kernels_command_line_may_be_the_users_own() {
    for name in ["cmdline.txt", "CMDLINE.TXT", "cmdline.txt.j2"] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &format!("cloud-init/{name}"), "root=LABEL=writable quirk=1\n");
        let recipe = recipe(dir.path(), 1).unwrap();
        let lines: Vec<_> = recipe
            .changes
            .iter()
            .filter_map(|change| match &change.action {
                Action::KernelArguments { line, set, .. } => Some((line.clone(), set.len() > 2)),
                _ => None,
            })
            .collect();
        assert_eq!(lines, [(Some("root=LABEL=writable quirk=1\n".to_owned()), true)]);
        assert_eq!(bytes(&recipe, Volume::Boot, &format!("/{}", name.trim_end_matches(".j2"))), None);
    }
    for (text, words) in [("a\nb\n", "one line"), ("", "one line")] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "cloud-init/cmdline.txt", text);
        let error = recipe(dir.path(), 1).unwrap_err().to_string();
        assert!(error.contains("cloud-init/cmdline.txt cannot be") && error.contains(words), "{error}");
    }
}

#[test]
fn units_are_enabled_unless_the_user_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "common/etc/systemd/system/pibake-nat.service", "[Unit]\n");
    put(dir.path(), "common/etc/systemd/system/pibake-mine.service", "[Unit]\n");
    let wants = dir.path().join("common/etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    symlink("/dev/null", wants.join("pibake-first-boot.service")).unwrap();
    let recipe = recipe(dir.path(), 1).unwrap();
    let links: Vec<_> = recipe
        .changes
        .iter()
        .filter_map(|change| match &change.action {
            Action::Symlink { target } => Some((change.path.file_name().unwrap(), target.clone())),
            _ => None,
        })
        .collect();
    let own = |unit: &'static str| (unit, format!("/etc/systemd/system/{unit}"));
    let mut expected = vec![("pibake-first-boot.service", "/dev/null".to_owned())];
    expected.extend([
        own("pibake-nat.service"),
        own("pibake-tokens.service"),
        own("pibake-upgrade.service"),
        own("pibake-copies.socket"),
        own("pibake-card.timer"),
        own("pibake-certificates.timer"),
        own("pibake-member.timer"),
        own("pibake-snapshot.timer"),
    ]);
    assert_eq!(links, expected);
}

#[test]
fn links_and_empty_folders_land_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir_all(dir.join("common/srv/empty")).unwrap();
    symlink("../nowhere", dir.join("common/srv/link")).unwrap();
    let recipe = recipe(dir, 1).unwrap();
    let at = |path: &str| &recipe.changes.iter().find(|change| change.path.as_str() == path).unwrap().action;
    assert_eq!(*at("/srv/link"), Action::Symlink { target: "../nowhere".to_owned() });
    assert!(matches!(at("/srv/empty"), Action::Directory { .. }));
}

#[test]
fn what_cannot_be_baked_is_refused_by_name() {
    type Make = fn(&Path);
    let cases: [(Make, &str); 20] = [
        (|dir| put(dir, "comon/etc/x", ""), "comon has no place"),
        (|dir| put(dir, "file", ""), "file has no place"),
        (
            |dir| {
                put(dir, "common/x", "");
                put(dir, "common/x.j2", "");
            },
            "is there twice",
        ),
        (
            |dir| {
                fs::create_dir(dir.join("cloud-init")).unwrap();
                symlink("x", dir.join("cloud-init/link")).unwrap();
            },
            "cannot be baked: only files can",
        ),
        (
            |dir| {
                fs::create_dir(dir.join("common")).unwrap();
                let socket = std::os::unix::net::UnixListener::bind(dir.join("common/socket"));
                drop(socket.unwrap());
            },
            "socket cannot be baked",
        ),
        (
            |dir| {
                put(dir, "common/large", "");
                let file = fs::OpenOptions::new().write(true).open(dir.join("common/large")).unwrap();
                file.set_len(pibake::recipe::MAX_OVERLAY_BYTES + 1).unwrap();
            },
            "hold more than 32 MiB",
        ),
        (|dir| put(dir, "cloud-init/user-data", "x"), "[cloud-init] extra"),
        (|dir| put(dir, "cloud-init/User-Data.j2", "x"), "[cloud-init] extra"),
        (|dir| put(dir, "cloud-init/VENDOR-DATA", "x"), "[cloud-init] extra"),
        (|dir| put(dir, "cloud-init/meta-data", "x"), "instance-id"),
        (|dir| put(dir, "cloud-init/Network-Config", "x"), "[network]"),
        (|dir| put(dir, "common/etc/kubernetes/pki/ca.crt", "x"), ".pibake"),
        (|dir| put(dir, "worker/etc/kubernetes/pki/ca.key.j2", "x"), ".pibake"),
        (|dir| put(dir, "common/boot/firmware/config.txt", "x"), "the folder cloud-init"),
        (
            |dir| {
                put(dir, "cloud-init/a/Config.txt", "");
                put(dir, "cloud-init/a/config.TXT", "");
            },
            "are one file on the boot partition",
        ),
        (|dir| put(dir, "cloud-init/a:b", ""), "FAT has no ':'"),
        (|dir| put(dir, "cloud-init/a.", ""), "end in a dot"),
        (
            |dir| {
                put(dir, "common/bin", "");
                chmod(dir, "common/bin", 0o4755);
            },
            "set-user-ID",
        ),
        (
            |dir| {
                put(dir, "cloud-init/key", "");
                chmod(dir, "cloud-init/key", 0o600);
            },
            "readable by you alone",
        ),
        (
            |dir| {
                fs::create_dir(dir.join("common")).unwrap();
                rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("common/pipe"), rustix::fs::Mode::RUSR)
                    .unwrap();
            },
            "pipe cannot be baked",
        ),
    ];
    for (make, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let error = Overlays::with_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    }
    let missing = Overlays::with_dir(Path::new("/nonexistent/overlays")).unwrap_err();
    assert!(matches!(missing, OverlayError::Read { .. }));
}

#[test]
fn a_template_at_fault_is_named_with_its_line() {
    for (text, words) in [
        ("a\n{{ nodde.name }}\n", "line 2: `nodde` is undefined"),
        ("{{ node.name", "line 1: "),
        ("{{ login.ssh_keys[0] }}", "cannot stand unquoted"),
        ("{{ node }}", "cannot be printed"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "common/etc/motd.j2", text);
        let error = recipe(dir.path(), 1).unwrap_err().to_string();
        assert!(error.contains("common/etc/motd.j2: ") && error.contains(words), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("common")).unwrap();
    fs::write(dir.path().join("common/x.j2"), [0xff, 0xfe]).unwrap();
    assert!(recipe(dir.path(), 1).unwrap_err().to_string().contains("it is not UTF-8"));
    fs::rename(dir.path().join("common/x.j2"), dir.path().join("common/x")).unwrap();
    assert_eq!(bytes(&recipe(dir.path(), 1).unwrap(), Volume::Root, "/x"), Some(&[0xff, 0xfe][..]));
}

#[test]
fn the_users_cloud_init_settings_are_joined_in() {
    let extra = |text: &str| Extras { user_data: Some(cloud_config(text)), ..Extras::default() };
    let recipe = with(&book(), 3, &extra("#cloud-config\npackages: [htop]\nusers:\n- name: bob\n")).unwrap();
    let text = boot_file(&recipe, "/user-data");
    assert!(text.starts_with("#cloud-config\n"), "{text}");
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(value["packages"], serde_json::json!(["htop"]));
    assert_eq!((&value["users"][0]["name"], &value["users"][1]["name"]), (&"ubuntu".into(), &"bob".into()));
    assert_eq!(value["hostname"], "node-3");
    let error = with(&book(), 3, &extra("ssh_pwauth: true")).unwrap_err();
    assert!(matches!(&error, Error::UserData(ExtraError { line: 1, .. })), "{error}");
    for path in [
        "/etc/netplan/50-cloud-init.yaml",
        "/etc/./hosts",
        "/boot/firmware/user-data",
        "/boot/firmware/meta-data",
    ] {
        let error = with(&book(), 3, &extra(&format!("a: 1\nwrite_files: [{{path: {path}}}]"))).unwrap_err();
        assert!(error.to_string().starts_with("extra.yaml:2: write_files would overwrite"), "{error}");
    }
    assert!(with(&book(), 3, &extra("write_files: [{path: /etc/mine}]")).is_ok());
}

/// Settings of the user's, from a file that nobody reads.
fn cloud_config(text: &str) -> CloudConfig {
    CloudConfig { file: "extra.yaml".into(), text: text.to_owned() }
}

/// A description in `dir` that says `text`.
fn described(dir: &Path, text: &str) -> pibake::cluster::Cluster {
    pibake::cluster::Cluster::parse("pibake.toml", text, dir, &Default::default()).unwrap()
}

#[test]
fn what_the_description_names_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    put(dir, "mine/common/etc/motd", "hello\n");
    put(dir, "extra.yaml", "packages: [htop]\n");
    let key = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/overlays/common/etc/apt/keyrings/docker.asc"));
    fs::write(dir.join("docker.asc"), key.unwrap()).unwrap();
    let cluster = described(
        dir,
        "[overlays]\ndir = \"mine\"\n[cloud-init]\nextra = \"extra.yaml\"\n\
         [sources.docker]\nkey-file = \"docker.asc\"\n",
    );
    let extras = Extras::load(&cluster).unwrap();
    assert!(extras.docker_key.as_deref().unwrap().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"));
    assert_eq!(extras.kubernetes_key, None);
    let recipe = with(&cluster, 2, &extras).unwrap();
    assert_eq!(root_file(&recipe, "/etc/motd"), "hello\n");
    assert!(boot_file(&recipe, "/user-data").contains("- htop\n"));
}

#[test]
fn what_cannot_be_read_or_trusted_is_named_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let keyrings = concat!(env!("CARGO_MANIFEST_DIR"), "/overlays/common/etc/apt/keyrings");
    fs::copy(format!("{keyrings}/kubernetes.asc"), dir.join("other.asc")).unwrap();
    put(dir, "no-key", "hello\n");
    for (text, words) in [
        (
            "[sources.docker]\nkey-file = \"other.asc\"\n",
            "sources.docker.key-file names, cannot be trusted: it holds the key DE15B14486CD377B9E876E1A234654DA9A296436",
        ),
        ("[sources.kubernetes]\nkey-file = \"no-key\"\n", "it holds no OpenPGP public key"),
    ] {
        let error = Extras::load(&described(dir, text)).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    }
    fs::write(dir.join("latin.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    let latin = described(dir, "[cloud-init]\nextra = \"latin.yaml\"\n");
    let error = Extras::load(&latin).unwrap_err().to_string();
    assert!(error.contains("latin.yaml:2: it is not UTF-8"), "{error}");
    // What went away after the description was checked.
    put(dir, "extra.yaml", "");
    let cluster = described(dir, "[cloud-init]\nextra = \"extra.yaml\"\n");
    fs::remove_file(dir.join("extra.yaml")).unwrap();
    let error = Extras::load(&cluster).unwrap_err().to_string();
    assert!(error.contains("extra.yaml, which cloud-init.extra names"), "{error}");
}
