//! Registries that want a token, which ends in the middle of the work.

use std::path::PathBuf;
use std::time::Duration;

use support::images::{self, Spec};
use support::noise;
use support::registry::{Registry, USER};
use support::tokens::{Given, Tokens};

use super::Machine;
use super::line::{Line, Weakness};

/// The second token, by which blobs are put there, ends before what is late has come. All others outlive a machine that is
/// as busy as it likes.
const SHORT: u64 = 6;
const LATE: Duration = Duration::from_secs(SHORT + 1);

const ALL: Given = Given { lives: &[3600, SHORT, 3600], most: usize::MAX, actions: &["pull", "push"] };

impl Machine {
    /// Logs in as `docker login` writes it down.
    fn login(&self, registries: &[String]) {
        let own = serde_json::json!({ "username": USER.0, "password": USER.1 });
        let auths: serde_json::Map<_, _> =
            registries.iter().map(|name| (name.clone(), own.clone())).collect();
        std::fs::create_dir(self.path(".docker")).unwrap();
        let config = serde_json::json!({ "auths": auths }).to_string();
        std::fs::write(self.path(".docker/config.json"), config).unwrap();
    }
}

/// A registry behind a line that is late, and two who are logged in at it.
struct Slow {
    tokens: Tokens,
    registry: Registry,
    line: Line,
    owner: Machine,
    station: Machine,
    base: PathBuf,
}

impl Slow {
    fn new(given: Given) -> Self {
        let tokens = Tokens::start(given);
        let registry = Registry::with_tokens(&tokens);
        // the first ones; whoever is refused in the middle of a blob comes back by another
        let line = Line::to(&registry, i64::MAX, |number| match number {
            0..4 => Weakness::Late(LATE),
            _ => Weakness::None,
        });
        let (owner, station) = (Machine::new(), Machine::new());
        // blobs so large that a registry hangs up on whoever sends one in vain
        let root = owner.path("root");
        for (path, content) in images::ROOT_FILES {
            images::put(&root.join(path), content);
        }
        std::fs::write(root.join("noise"), noise::bytes(5, 24 << 20)).unwrap();
        let (base, _) = Spec::default().make_from(&owner.path(""), &root);
        for machine in [&owner, &station] {
            machine.login(&[registry.host(), line.address.to_string()]);
        }
        Self { tokens, registry, line, owner, station, base }
    }

    fn push(&self) -> Vec<String> {
        let name = format!("oci://{}/home", self.line.address);
        let (base, key) = (self.base.display().to_string(), self.station.key());
        ["push", &name, "--base", &base, "--nodes", "2", "--recipient", &key].map(str::to_owned).to_vec()
    }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_token_that_ends_in_the_middle_of_a_push_is_got_again() {
    let slow = Slow::new(ALL);
    // whoever meets a fault of the network is through after the first
    let push = [slow.push(), ["--network-tries", "1"].map(str::to_owned).to_vec()].concat();
    let pushed = slow.owner.good(&words(&push));
    slow.station.trust(pushed["key"].as_str().unwrap());
    let asked = slow.tokens.asked();
    assert!(asked.len() >= 3, "no token ended: {asked:?}");
    let writes = |scopes: &Vec<String>| scopes.iter().any(|scope| scope == "repository:home:pull,push");
    let first = asked.iter().position(writes).unwrap();
    assert!(asked[first..].iter().all(writes), "one who reads took the others' right to write: {asked:?}");
    let name = format!("oci://{}/home", slow.registry.host());
    slow.station.good(&["pull", &name, "-o", "images"]);
    let base = slow.base.display().to_string();
    slow.owner.good(&["build", "--base", &base, "--nodes", "2"]);
    for node in ["node-1.img", "node-2.img"] {
        assert!(slow.station.read(&format!("images/{node}")) == slow.owner.read(&format!("images/{node}")));
    }
}

#[test]
fn a_login_that_ends_is_said_at_once_and_is_no_fault_of_the_network() {
    // the password was changed meanwhile
    let slow = Slow::new(Given { most: 2, ..ALL });
    let said = slow.owner.refused(2, &words(&slow.push()));
    assert!(said.contains(&format!("run docker login {}", slow.line.address)), "{said}");
    assert!(said.contains("does not accept the user name and password"), "{said}");
    assert!(!said.contains("trying again") && !said.contains(USER.1), "{said}");
    // each of those who were at work asks once
    let asked = slow.tokens.asked();
    assert!(asked.len() <= 2 + 4, "{asked:?}");

    // one who may read alone; nothing ends here, or whoever is slow would ask once more to read
    let slow = Slow::new(Given { actions: &["pull"], lives: &[3600], ..ALL });
    let said = slow.owner.refused(2, &words(&slow.push()));
    assert!(
        said.contains(&format!("run docker login {} as one who may push there", slow.line.address)),
        "{said}"
    );
    assert!(!said.contains("trying again"), "{said}");
    let asked = slow.tokens.asked();
    assert!(asked.len() <= 1 + 4, "{asked:?}");

    // one who may do nothing, and one who is nobody
    let slow = Slow::new(Given { actions: &[], ..ALL });
    slow.station.trust("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3");
    let name = format!("oci://{}/home", slow.registry.host());
    let said = slow.station.refused(2, &["pull", &name]);
    assert!(said.contains("as one who may read there"), "{said}");
    std::fs::remove_file(slow.station.path(".docker/config.json")).unwrap();
    let said = slow.station.refused(2, &["pull", &name]);
    assert!(said.contains("gives no token to strangers"), "{said}");
}
