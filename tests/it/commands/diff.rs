//! `pibake plan --diff`: a card that was baked, against what would be baked now.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{run, tool};

const WIFI: &str =
    "[base]\nimage = \"sample\"\n[network.wifi]\nssid = \"home\"\npassword = \"radio-secret-1\"\n";
const PROXY: &str = "[sources.proxy]\nhttp = \"http://ada:proxy-secret-2@proxy:3128\"\n";
const LOGIN: &str = "[access]\npassword = \"login-secret-3\"\n";

/// A folder with a description, and what is run there.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(description: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        desk.describe(description);
        desk
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn describe(&self, description: &str) {
        fs::write(self.path().join("pibake.toml"), description).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_CACHE_HOME", self.path().join("cache"));
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        let out = command.args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    }

    fn diff(&self, card: &str) -> String {
        self.good(&["plan", "--diff", card])
    }

    fn json(&self, card: &str) -> Value {
        serde_json::from_str(&self.good(&["plan", "--diff", card, "--json"])).unwrap()
    }
}

/// What of a document's changes is at `path`.
fn at<'v>(document: &'v Value, path: &str) -> Option<&'v Value> {
    document["changes"].as_array().unwrap().iter().find(|change| change["path"] == path)
}

#[test]
fn a_card_that_was_just_baked_is_as_it_would_be() {
    let desk = Desk::new(&format!("{WIFI}{LOGIN}"));
    desk.good(&["build", "--nodes", "2"]);
    for card in ["images/node-1.img", "images/node-2.img"] {
        let shown = desk.good(&["plan", "--nodes", "2", "--diff", card]);
        assert!(shown.ends_with("\nA new bake would change nothing of this.\n"), "{shown}");
        assert_eq!(shown.lines().count(), 3, "{shown}");
    }
}

#[test]
fn what_changes_is_shown_and_no_secret_is() {
    let desk = Desk::new(WIFI);
    fs::create_dir_all(desk.path().join("overlay/common/etc")).unwrap();
    fs::write(desk.path().join("overlay/common/etc/motd"), "one\ntwo\nthree\n").unwrap();
    fs::write(desk.path().join("overlay/common/etc/gone"), "once\n").unwrap();
    fs::write(desk.path().join("overlay/common/etc/own-secret"), "own-secret-4\n").unwrap();
    private(&desk.path().join("overlay/common/etc/own-secret"));
    let overlay = "[overlays]\ndir = \"overlay\"\n";
    desk.describe(&format!("{WIFI}{LOGIN}{PROXY}{overlay}"));
    desk.good(&["build"]);

    fs::write(desk.path().join("overlay/common/etc/motd"), "one\nTWO\nthree\n").unwrap();
    fs::remove_file(desk.path().join("overlay/common/etc/gone")).unwrap();
    fs::write(desk.path().join("overlay/common/etc/new"), "new\n").unwrap();
    fs::write(desk.path().join("overlay/common/etc/own-secret"), "own-secret-5\n").unwrap();
    let secrets = ["radio-secret", "proxy-secret", "login-secret", "own-secret-", "$6$", "-----BEGIN"];
    // less of everything: what was secret on the card is not in the new files at all
    for description in [
        format!("{}{overlay}", WIFI.replace("radio-secret-1", "radio-secret-6")),
        format!("[base]\nimage = \"sample\"\n{overlay}"),
        format!("{WIFI}{}{overlay}", PROXY.replace("secret-2", "secret-7")),
    ] {
        desk.describe(&description);
        for card in ["images/node-1.img", "images/node-2.img"] {
            let (shown, document) = (desk.diff(card), desk.json(card));
            for secret in secrets {
                assert!(!shown.contains(secret), "{secret}:\n{shown}");
                assert!(!document.to_string().contains(secret), "{secret}:\n{document}");
            }
            assert_eq!(at(&document, "/etc/new").unwrap()["what"], "added");
            assert_eq!(at(&document, "/etc/gone").unwrap()["what"], "removed");
            let text = at(&document, "/etc/motd").unwrap()["text"].as_str().unwrap();
            assert!(text.ends_with("@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"), "{text}");
            let own = at(&document, "/etc/own-secret").unwrap();
            assert_eq!(
                (&own["what"], &own["secret"], &own["text"]),
                (&"changed".into(), &true.into(), &Value::Null)
            );
            assert!(shown.contains("\n/etc/own-secret: secret differs\n"), "{shown}");
            assert!(shown.contains("\n/etc/gone: removed\n"), "{shown}");
            assert!(shown.contains("\n/etc/new: added\n"), "{shown}");
            assert!(shown.contains("\n  -two\n  +TWO\n"), "{shown}");
            assert_eq!(document["lists_files"], true);
            assert_eq!(document["same_cluster"], true);
        }
    }
    // the network's key is secret, and so is that of the card where the new file has none
    desk.describe(&format!("{WIFI}{overlay}"));
    let netplan = desk.json("images/node-1.img");
    assert!(at(&netplan, "/etc/netplan/50-cloud-init.yaml").is_none(), "{netplan}");
    desk.describe(&format!("[base]\nimage = \"sample\"\n{overlay}"));
    let document = desk.json("images/node-1.img");
    let netplan = at(&document, "/etc/netplan/50-cloud-init.yaml").unwrap();
    assert_eq!((&netplan["secret"], &netplan["text"]), (&true.into(), &Value::Null));
}

/// What root alone may read is shown as long as there is no secret in it, on neither side.
#[test]
fn private_files_without_secrets_are_shown() {
    let desk = Desk::new("[base]\nimage = \"sample\"\n");
    desk.good(&["build"]);
    desk.describe("[base]\nimage = \"sample\"\n[system]\nupgrade = \"none\"\n");
    let document = desk.json("images/node-2.img");
    let settings = at(&document, "/etc/pibake/node.env").unwrap();
    assert!(
        settings["text"].as_str().unwrap().contains("\n-UPGRADE='security'\n+UPGRADE='none'\n"),
        "{settings}"
    );
    // with a proxy's password in it, it is none of these
    desk.describe(&format!("[base]\nimage = \"sample\"\n{PROXY}"));
    let document = desk.json("images/node-2.img");
    let settings = at(&document, "/etc/pibake/node.env").unwrap();
    assert_eq!((&settings["secret"], &settings["text"]), (&true.into(), &Value::Null));
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Somebody edits a file on the node, and a password gets into it.
#[test]
fn what_was_written_into_a_private_file_on_the_node_is_not_shown() {
    let desk = Desk::new("[base]\nimage = \"sample\"\n");
    desk.good(&["build"]);
    desk.edit("images/node-2.img", "/etc/netplan/50-cloud-init.yaml", "network: {typed-secret-8: 1}\n");
    let shown = desk.diff("images/node-2.img");
    assert!(!shown.contains("typed-secret-8"), "{shown}");
    assert!(shown.contains("/etc/netplan/50-cloud-init.yaml: secret differs"), "{shown}");
}

impl Desk {
    /// Does this to the root file system of an image, as a node would.
    fn debugfs(&self, image: &str, request: &str) {
        let document: Value = serde_json::from_str(&self.good(&["inspect", image, "--json"])).unwrap();
        let is_root = |partition: &&Value| partition["role"] == "root";
        let root = document["partitions"].as_array().unwrap().iter().find(is_root).unwrap();
        let place = format!("{}?offset={}", self.path().join(image).display(), root["offset"]);
        run(tool("debugfs", "e2fsprogs").args(["-w", "-R", request]).arg(place));
    }

    /// Writes a file, 0600.
    fn edit(&self, image: &str, path: &str, text: &str) {
        let from = self.path().join("edited");
        fs::write(&from, text).unwrap();
        for request in [
            format!("rm {path}"),
            format!("write {} {path}", from.display()),
            format!("sif {path} mode 0100600"),
        ] {
            self.debugfs(image, &request);
        }
    }
}

#[test]
fn the_kernels_arguments_are_compared_word_by_word() {
    let desk = Desk::new("[base]\nimage = \"sample\"\n");
    desk.good(&["build"]);
    desk.describe("[base]\nimage = \"sample\"\nkernel-arguments = [\"mine=1\"]\n");
    let document = desk.json("images/node-1.img");
    let line = at(&document, "/cmdline.txt").unwrap();
    assert_eq!((&line["what"], &line["text"]), (&"arguments".into(), &"+mine=1\n".into()));
}

#[test]
fn cards_of_others_and_of_nobody_are_told() {
    let desk = Desk::new("[base]\nimage = \"sample\"\n");
    desk.good(&["build", "--nodes", "4"]);
    let other = Desk::new("nodes = 2\n[base]\nimage = \"sample\"\n");
    let card = desk.path().join("images/node-1.img");
    let card = card.to_str().unwrap();
    let shown = other.diff(card);
    assert!(shown.contains("There is no .pibake here yet"), "{shown}");
    assert!(shown.contains("/etc/pibake/kubeadm.yaml: secret differs"), "{shown}");
    other.good(&["build"]);
    assert!(other.diff(card).contains("It belongs to another cluster"), "{}", other.diff(card));
    assert_eq!(other.json(card)["same_cluster"], false);

    let fourth = desk.path().join("images/node-4.img");
    let (code, _, err) = other.run(&["plan", "--diff", fourth.to_str().unwrap()]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("is the card of node-4, which the description does not have"), "{err}");
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/src/base/sample.img.xz");
    let (code, _, err) = desk.run(&["plan", "--diff", packed]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("is not the image of a node: pibake did not bake it"), "{err}");
    assert_eq!(desk.run(&["plan", "--diff", "images/node-9.img"]).0, 2);
    assert_eq!(desk.run(&["plan", "--diff", card, "--node", "1"]).0, 2);
    // a card of an older version has no list
    desk.debugfs("images/node-1.img", "rm /usr/lib/pibake/baked");
    let shown = desk.diff("images/node-1.img");
    assert!(shown.contains("It does not say what was baked onto it"), "{shown}");
}
