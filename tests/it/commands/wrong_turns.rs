//! What people do by mistake on the machine that builds: in the wrong folder, with a slip in a name, without
//! the secrets, with passwords where others can read them. No second cluster comes of it, and no secret is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pibake::cluster::WRITTEN;
use support::with_clock;

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn put(&self, path: &str, text: &str, mode: u32) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, folder: &str, arguments: &[&str]) -> Command {
        fs::create_dir_all(self.at(folder)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.at(folder)).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.dir.path()).env("XDG_CACHE_HOME", self.at("cache")).args(arguments);
        command
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> (i32, String, String) {
        said(self.command(folder, arguments).output().unwrap())
    }

    /// Panics unless it succeeds; what it says on stderr.
    fn good(&self, folder: &str, arguments: &[&str]) -> String {
        let (code, _, err) = self.run(folder, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        err
    }

    /// Panics unless it ends with this code and says all of this.
    fn bad(&self, folder: &str, arguments: &[&str], code: i32, words: &[&str]) {
        let (found, _, err) = self.run(folder, arguments);
        assert_eq!(found, code, "{arguments:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{word:?} is not in: {err}");
        }
    }

    fn ca(&self, state: &str) -> Vec<u8> {
        fs::read(self.at(state).join("ca.crt")).unwrap()
    }
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

const BUILD: [&str; 3] = ["build", "--base", "sample"];

fn build<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BUILD[..], more].concat()
}

/// The record of a cluster as if it had been made with this version of Kubernetes.
fn with_kubernetes(label: &str, version: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("kubernetes", _)) => format!("kubernetes = \"{version}\"\n"),
        _ => format!("{line}\n"),
    };
    label.lines().map(line).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_description_is_found_from_below_and_named() {
    let desk = Desk::new();
    desk.put("lab/pibake.toml", "name = \"lab\"\nnodes = 2\n", 0o600);
    let err = desk.good("lab/deep/er", &build(&["--node", "1"]));
    assert!(err.contains("the description is ../../pibake.toml"), "{err}");
    assert!(err.contains("created cluster \"lab\" in ") && err.contains("lab/.pibake: keep a copy"), "{err}");
    assert!(desk.at("lab/images/node-1.img").exists() && !desk.at("lab/deep/er/images").exists());
    assert!(desk.at("lab/.pibake/ca.key").exists());
    // It is announced once only.
    let err = desk.good("lab", &build(&["--node", "2"]));
    assert!(!err.contains("created") && err.contains("the description is pibake.toml"), "{err}");
    // The state alone marks a project, too.
    let plain = Desk::new();
    plain.good("lab", &build(&["--nodes", "2"]));
    plain.good("lab/images", &build(&["--nodes", "3", "--node", "3"]));
    assert!(plain.at("lab/images/node-3.img").exists());
    assert_eq!(
        fs::read_dir(plain.at("lab/images")).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(),
        0
    );
}

#[test]
fn a_slip_in_the_name_is_told() {
    let desk = Desk::new();
    desk.put("lab/pibake.tml", "name = \"lab\"\n", 0o600);
    for arguments in [build(&[]), vec!["plan"], build(&["--node", "2"])] {
        desk.bad("lab", &arguments, 2, &["pibake.tml", "rename it, or name it with -C"]);
    }
    assert!(!desk.at("lab/.pibake").exists());
    desk.bad("lab", &["plan", "-C", "lab.toml"], 2, &["lab.toml does not exist"]);
    // of a cluster that is there already, also from a folder below
    fs::create_dir_all(desk.at("lab/.pibake")).unwrap();
    fs::create_dir_all(desk.at("lab/below")).unwrap();
    for from in ["lab", "lab/below"] {
        desk.bad(from, &["plan"], 2, &["pibake.tml", "rename it, or name it with -C"]);
    }
}

#[test]
fn a_worker_alone_founds_no_cluster() {
    let desk = Desk::new();
    desk.good("made", &["fetch", "sample"]);
    let cached = fs::read_dir(desk.at("cache/pibake/images")).unwrap().map(|entry| entry.unwrap().path());
    let image = cached.into_iter().find(|path| path.extension().is_some_and(|e| e == "img")).unwrap();
    let image = image.to_str().unwrap();
    for more in [&["--node", "2"][..], &["--nodes", "5", "--node", "5"], &["--node", "node-3", "--node", "2"]]
    {
        let arguments = [&["build", "--base", image][..], more].concat();
        desk.bad("lab", &arguments, 2, &[".pibake", "--new-cluster"]);
        desk.put("described/pibake.toml", "nodes = 4\n", 0o600);
        desk.bad("described", &arguments, 2, &[".pibake", "--new-cluster"]);
    }
    // The sample is for trying out, but not for adding a node.
    desk.bad("lab", &build(&["--nodes", "5", "--node", "5"]), 2, &[".pibake", "--new-cluster"]);
    assert_eq!(fs::read_dir(desk.at("lab")).unwrap().count(), 0, "nothing was made");
    assert!(desk.good("trial", &build(&["--node", "2"])).contains("created cluster"));
    desk.good("lab", &["build", "--base", image, "--node", "2", "--new-cluster"]);
    desk.bad("lab", &build(&["--node", "1", "--new-cluster"]), 4, &["there is a cluster in .pibake already"]);
    desk.good("lab", &build(&["--nodes", "5", "--node", "5"]));
    // plan makes none, of whichever node
    let other = Desk::new();
    other.good("lab", &["plan", "--base", "sample", "--node", "4"]);
    assert!(!other.at("lab/.pibake").exists());
}

#[test]
fn images_of_another_cluster_stay() {
    let desk = Desk::new();
    desk.good("lab", &build(&["--nodes", "2"]));
    let before = fs::read(desk.at("lab/images/node-1.img")).unwrap();
    fs::rename(desk.at("lab/.pibake"), desk.at("lost")).unwrap();
    let words = ["is of another cluster", "-o", "put the .pibake"];
    desk.bad("lab", &build(&["--nodes", "2"]), 4, &words);
    desk.bad("lab", &build(&["--node", "1", "--new-cluster"]), 4, &words);
    // also where nothing but the images themselves can tell
    fs::remove_file(desk.at("lab/images/.pibake-images.toml")).unwrap();
    desk.bad("lab", &build(&["--nodes", "2"]), 4, &words);
    desk.bad("lab", &build(&["--node", "2", "--new-cluster"]), 4, &words);
    assert!(!desk.at("lab/.pibake").exists());
    assert!(fs::read(desk.at("lab/images/node-1.img")).unwrap() == before);
    // with the secrets back all goes on
    fs::rename(desk.at("lost"), desk.at("lab/.pibake")).unwrap();
    desk.good("lab", &build(&["--nodes", "3"]));
}

#[test]
fn two_descriptions_in_one_folder_are_two_clusters() {
    let desk = Desk::new();
    desk.put("lab/pibake.toml", "nodes = 1\n", 0o600);
    desk.put("lab/attic.toml", "nodes = 1\n", 0o600);
    desk.put("lab/cellar.toml", "nodes = 1\n", 0o600);
    desk.good("lab", &build(&[]));
    desk.good("lab", &build(&["-C", "attic.toml"]));
    desk.good("", &build(&["-C", "lab/cellar.toml"]));
    let cas = [".pibake", ".pibake-attic", ".pibake-cellar"].map(|state| desk.ca(&format!("lab/{state}")));
    assert!(cas[0] != cas[1] && cas[1] != cas[2] && cas[0] != cas[2]);
    for images in ["images", "images-attic", "images-cellar"] {
        assert!(desk.at(&format!("lab/{images}/node-1.img")).exists(), "{images}");
    }
    // A folder that somebody names is looked at as well.
    desk.bad("lab", &build(&["-C", "attic.toml", "-o", "images"]), 4, &["is of another cluster"]);
    // A description that was renamed does not take a stranger's secrets.
    fs::rename(desk.at("lab/.pibake-attic"), desk.at("lab/.pibake-other")).unwrap();
    desk.put("lab/other.toml", "nodes = 1\n", 0o600);
    desk.bad("lab", &build(&["-C", "other.toml"]), 2, &["belongs to the description attic.toml"]);
}

#[test]
fn what_a_running_cluster_has_is_kept() {
    let desk = Desk::new();
    desk.good("lab", &build(&["--nodes", "2"]));
    let label = desk.at("lab/.pibake/identity.toml");
    let text = fs::read_to_string(&label).unwrap();
    for key in [
        "kubernetes = ",
        "platform = ",
        "base = \"sample\"",
        "subnet = \"10.0.0.0/24\"",
        "pibake = ",
        "domain = ",
    ] {
        assert!(text.contains(key), "{key} is not in: {text}");
    }
    for (change, key) in [
        ("domain = \"attic.home\"", "domain"),
        ("[network]\nsubnet = \"10.1.0.0/24\"", "network.subnet"),
        ("[network]\nfirst-address = \"10.0.0.9\"", "network.first-address"),
        ("[kubernetes]\npods = \"10.200.0.0/16\"", "kubernetes.pods"),
        ("[kubernetes]\nservices = \"10.50.0.0/16\"", "kubernetes.services"),
    ] {
        desk.put("lab/pibake.toml", change, 0o600);
        desk.bad("lab", &build(&["--node", "2"]), 2, &[key, "Set it back", ".pibake away"]);
        desk.bad("lab", &build(&[]), 2, &[key]);
        desk.bad("lab", &["plan", "--base", "sample", "--node", "2"], 2, &[key]);
    }
    fs::remove_file(desk.at("lab/pibake.toml")).unwrap();
    // With a new card of the control plane the cluster begins anew, as what it is then.
    let anew = Desk::new();
    anew.good("lab", &build(&["--nodes", "2"]));
    anew.put("lab/pibake.toml", "nodes = 2\n[network]\nsubnet = \"10.1.0.0/24\"\n", 0o600);
    let err = anew.good("lab", &build(&["--node", "1"]));
    assert!(
        err.contains("network.subnet was 10.0.0.0/24") && err.contains("write all others again"),
        "{err}"
    );
    anew.good("lab", &build(&["--node", "2"]));
    // What it is made with is written down anew, also where Kubernetes is the same.
    let recorded = || fs::read_to_string(anew.at("lab/.pibake/identity.toml")).unwrap();
    let lasting = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("created = ")).map(str::to_owned).collect()
    };
    let newest = recorded();
    let older = newest.lines().map(|line| match line.split_once(" = ") {
        Some((key @ ("pibake" | "base" | "platform" | "containerd"), _)) => format!("{key} = \"0.1\"\n"),
        _ => format!("{line}\n"),
    });
    let older: String = older.collect();
    assert_ne!(older, newest);
    fs::write(anew.at("lab/.pibake/identity.toml"), &older).unwrap();
    anew.good("lab", &build(&["--node", "2"]));
    assert_eq!(recorded(), older, "a worker's card changes nothing of it");
    anew.good("lab", &build(&["--node", "1"]));
    assert_eq!(lasting(&recorded()), lasting(&newest));

    // A record that says nothing lets nothing through, such as a kubelet that is newer than its API server.
    let set = |version: &str| fs::write(&label, with_kubernetes(&text, version)).unwrap();
    for bad in ["1.34.2-rc.1", "", "2.0"] {
        set(bad);
        for arguments in [build(&["--node", "2"]), build(&["--node", "1"]), vec!["plan", "--base", "sample"]]
        {
            desk.bad("lab", &arguments, 1, &["identity.toml is damaged", "set it to what node-1 runs"]);
        }
    }

    // As if an older pibake had made it, whose newest Kubernetes was 1.31.
    set("1.31");
    let (_, out, _) = desk.run("lab", &build(&["--nodes", "5", "--node", "5"]));
    assert!(out.contains("Kubernetes 1.31,"), "{out}");
    let (_, out, _) = desk.run(
        "lab",
        &["plan", "--base", "24.04.3", "--node", "2", "/etc/apt/sources.list.d/pibake-kubernetes.list"],
    );
    assert!(out.contains("v1.31"), "{out}");
    for (version, words) in
        [("1.32", &["newer", "pibake upgrade --kubernetes"][..]), ("1.27", &["too much older"])]
    {
        desk.put("lab/pibake.toml", &format!("[kubernetes]\nversion = \"{version}\"\n"), 0o600);
        desk.bad("lab", &build(&["--node", "2"]), 2, words);
    }
    desk.put("lab/pibake.toml", "[kubernetes]\nversion = \"1.28\"\n", 0o600);
    desk.good("lab", &build(&["--node", "2"]));
}

/// Whoever emulates node-1, or ends a build before its image stands, has changed nothing of the cluster that runs.
#[test]
fn a_cluster_is_another_one_only_when_a_card_of_node_1_stands() {
    let desk = Desk::new();
    // nor is anything settled by a build that came to nothing
    let unknown = ["build", "--offline", "--base", "24.04.5"];
    let (code, ..) = desk.run("lab", &unknown);
    assert_ne!(code, 0);
    desk.put("lab/pibake.toml", "nodes = 2\n[network]\nsubnet = \"10.9.0.0/24\"\n", 0o600);
    desk.good("lab", &build(&["--nodes", "2"]));
    let label = desk.at("lab/.pibake/identity.toml");
    let record = || fs::read_to_string(&label).unwrap();
    let before = record();
    assert!(before.contains("subnet = \"10.9.0.0/24\""), "{before}");
    let other = "nodes = 2\n[network]\nsubnet = \"10.1.0.0/24\"\n[kubernetes]\nversion = \"1.33\"\n";
    desk.put("lab/pibake.toml", other, 0o600);
    for tried in [
        &["boot", "--print", "--base", "sample", "--node", "1"][..],
        &["build", "--offline", "--base", "24.04.5", "--node", "1"],
    ] {
        desk.run("lab", tried);
        assert_eq!(record(), before, "{tried:?}");
    }
    desk.good("lab", &build(&["--node", "1"]));
    let after = record();
    assert!(after.contains("subnet = \"10.1.0.0/24\"") && after.contains("kubernetes = \"1.33\""), "{after}");
}

#[test]
fn a_base_that_cannot_run_the_clusters_kubernetes_gets_one_that_may_be_older() {
    let desk = Desk::new();
    desk.good("lab", &build(&["--nodes", "2"]));
    let label = desk.at("lab/.pibake/identity.toml");
    let text = fs::read_to_string(&label).unwrap();
    // 20.04 runs cgroup v1, on which 1.34 is the last.
    fs::write(&label, with_kubernetes(&text, "1.37")).unwrap();
    let (code, out, err) = desk.run("lab", &["plan", "--base", "20.04.5"]);
    assert!(code == 0 && out.contains("Kubernetes 1.34,"), "{out}{err}");
}

#[test]
fn versions_are_shown() {
    let desk = Desk::new();
    let words = ["Kubernetes 1.", "containerd ", "pibake 0."];
    for arguments in
        [build(&["--nodes", "1"]), vec!["plan", "--base", "24.04.3"], vec!["plan", "--base", "sample"]]
    {
        let (_, out, _) = desk.run("lab", &arguments);
        assert!(words.iter().all(|word| out.contains(word)), "{arguments:?}: {out}");
    }
}

#[test]
fn git_takes_no_secret() {
    let desk = Desk::new();
    let git = |arguments: &[&str]| {
        let out =
            Command::new("git").current_dir(desk.at("lab")).env("HOME", desk.at("")).args(arguments).output();
        let out = out.expect("this test needs git: install the Debian package git");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    desk.good("lab", &["init"]);
    desk.good("lab", &build(&["--nodes", "2"]));
    desk.put("lab/attic.toml", "nodes = 1\n", 0o600);
    desk.good("lab", &build(&["-C", "attic.toml", "-o", "out"]));
    git(&["init", "-q", "."]);
    git(&["add", "-A"]);
    assert_eq!(git(&["ls-files"]), "attic.toml\npibake.toml\n");
    // A folder of the user's own is not hidden from git.
    desk.put("mine/notes", "x", 0o644);
    desk.good("lab", &build(&["--nodes", "2", "-o", "../mine"]));
    assert!(!desk.at("mine/.gitignore").exists());
}

#[test]
fn passwords_that_others_can_read_are_told() {
    let desk = Desk::new();
    desk.good("lab", &["init"]);
    assert_eq!(mode(&desk.at("lab/pibake.toml")), 0o600);
    let wifi = "nodes = 1\n[network.wifi]\nssid = \"home\"\npassword = \"correct horse\"\n";
    for (text, key) in [
        (wifi, "network.wifi.password"),
        ("nodes = 1\n[access]\npassword = \"hunter22\"\n", "access.password"),
        ("nodes = 1\n[access]\npassword-hash = \"$6$salt$hash\"\n", "access.password-hash"),
        ("nodes = 1\n[sources.proxy]\nhttp = \"http://me:secret@proxy:3128\"\n", "sources.proxy.http"),
    ] {
        desk.put("lab/pibake.toml", text, 0o644);
        let (_, _, err) = desk.run("lab", &["plan"]);
        assert!(err.contains(key) && err.contains("(mode 644): chmod 600 pibake.toml"), "{err}");
        desk.put("lab/pibake.toml", text, 0o600);
        let (_, _, err) = desk.run("lab", &["plan"]);
        assert!(!err.contains("chmod"), "{err}");
    }
    desk.put("lab/pibake.toml", "nodes = 1\n[sources.proxy]\nhttp = \"http://proxy:3128\"\n", 0o644);
    assert!(!desk.run("lab", &["plan"]).2.contains("chmod"));
    desk.put("lab/extra.yaml", "#cloud-config\nchpasswd: {list: [\"a:b\"]}\n", 0o644);
    desk.put("lab/pibake.toml", "nodes = 1\n[cloud-init]\nextra = \"extra.yaml\"\n", 0o644);
    let (_, _, err) = desk.run("lab", &["plan"]);
    assert!(err.contains("extra.yaml may hold a password") && err.contains("chmod 600 extra.yaml"), "{err}");
}

#[test]
fn passwords_come_from_files_and_from_the_environment() {
    let desk = Desk::new();
    let text = "nodes = 1\n[network.wifi]\nssid = \"home\"\npassword-file = \"wifi\"\n[access]\npassword-file = \"~/login\"\n\
                [sources.proxy]\nhttp = \"http://me@proxy:3128\"\npassword-file = \"proxy\"\n";
    desk.put("lab/pibake.toml", text, 0o644);
    desk.put("lab/wifi", "correct horse\n", 0o600);
    desk.put("login", "battery staple\r\n", 0o640);
    desk.put("lab/proxy", "p@ss", 0o600);
    let (code, _, err) = desk.run("lab", &build(&[]));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("login holds a password and can be read by others (mode 640)"), "{err}");
    assert!(!err.contains("wifi holds") && !err.contains("pibake.toml holds"), "{err}");
    let baked = |path: &str| desk.run("lab", &["inspect", "images/node-1.img", path]).1;
    let netplan = baked("/etc/netplan/50-cloud-init.yaml");
    assert!(!netplan.contains("correct horse"), "{netplan}");
    assert!(baked("/etc/apt/apt.conf.d/90pibake-proxy").contains("http://me:p%40ss@proxy:3128"));

    // The environment goes first, and makes another key.
    let mut command = desk.command("lab", &build(&["-o", "other"]));
    command.env("PIBAKE_WIFI_PASSWORD", "another horse").env("PIBAKE_PROXY_PASSWORD", "other");
    assert_eq!(said(command.output().unwrap()).0, 0);
    let other = |path: &str| desk.run("lab", &["inspect", "other/node-1.img", path]).1;
    assert_ne!(other("/etc/netplan/50-cloud-init.yaml"), netplan);
    assert!(other("/etc/apt/apt.conf.d/90pibake-proxy").contains("http://me:other@proxy:3128"));

    let mut short = desk.command("lab", &["plan"]);
    let (code, _, err) = said(short.env("PIBAKE_WIFI_PASSWORD", "zqx").output().unwrap());
    assert!(code == 2 && err.contains("PIBAKE_WIFI_PASSWORD") && !err.contains("zqx"), "{err}");
    for (text, words) in [
        (
            "[network.wifi]\nssid = \"x\"\npassword = \"correct horse\"\npassword-file = \"wifi\"\n",
            "network.wifi.password-file",
        ),
        ("[access]\npassword = \"correct horse\"\npassword-file = \"wifi\"\n", "access.password-file"),
        ("[access]\npassword-hash = \"$6$a$b\"\npassword-file = \"wifi\"\n", "access.password-hash"),
        ("[access]\npassword-file = \"none\"\n", "none"),
        (
            "[sources.proxy]\nhttp = \"http://proxy:3128\"\npassword-file = \"proxy\"\n",
            "http://me@proxy:3128",
        ),
    ] {
        desk.put("lab/pibake.toml", text, 0o600);
        desk.bad("lab", &["plan"], 2, &[words]);
    }
}

#[test]
fn a_clock_of_another_time_makes_no_certificates() {
    let desk = Desk::new();
    let run = |time: &str, arguments: &[&str]| {
        let mut command = with_clock(&format!("@{time}"));
        command.current_dir(desk.at("")).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", desk.at("")).env("XDG_CACHE_HOME", desk.at("cache")).env("TZ", "UTC");
        command.arg(env!("CARGO_BIN_EXE_pibake")).args(arguments);
        said(command.output().unwrap())
    };
    let (code, _, err) = run("2020-01-01 00:00:00", &BUILD);
    assert!(code == 1 && err.contains("2020-01-0") && err.contains("set the clock"), "{code}: {err}");
    assert!(!desk.at(".pibake").exists());
    // Nor for a cluster that is there already: its CA was valid a day before it was made.
    let (code, _, err) = run(&format!("{WRITTEN} 00:01:00"), &build(&["--nodes", "2"]));
    assert_eq!(code, 0, "{err}");
    let joining = || fs::read(desk.at(".pibake/joining")).unwrap();
    let before = joining();
    let earlier = format!("{} 23:00:00", WRITTEN.previous_day().unwrap());
    let (code, _, err) = run(&earlier, &build(&["--nodes", "2"]));
    assert!(code == 1 && err.contains("23:0") && err.contains("set the clock"), "{code}: {err}");
    assert!(joining() == before, "a certificate was made by a clock that is wrong");
    let desk = Desk::new();
    // What goes into files may be of any time.
    let mut command = desk.command("", &BUILD);
    let (code, _, err) = said(command.env("SOURCE_DATE_EPOCH", "1").output().unwrap());
    assert_eq!(code, 0, "{err}");
}

#[test]
fn an_image_in_place_needs_no_cache() {
    let desk = Desk::new();
    desk.good("made", &["fetch", "sample"]);
    let cached = fs::read_dir(desk.at("cache/pibake/images")).unwrap().map(|entry| entry.unwrap().path());
    let image = cached.into_iter().find(|path| path.extension().is_some_and(|e| e == "img")).unwrap();
    fs::copy(image, desk.at("x.img")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = desk.command("lab", arguments);
        // nothing can be made below this, not even by root
        said(command.env_remove("XDG_CACHE_HOME").env("HOME", "/dev/null").output().unwrap())
    };
    for arguments in
        [&["build", "--base", "../x.img", "--node", "1"][..], &["plan", "--base", "../x.img", "--node", "1"]]
    {
        let (code, _, err) = run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
    }
    let (code, _, err) = run(&["build", "--base", "sample", "--node", "1"]);
    assert!(code == 1 && err.contains("XDG_CACHE_HOME"), "{err}");
}
