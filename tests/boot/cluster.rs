//! A cluster's description with all that its machines need: package servers, a time server, cards.
#![allow(dead_code)] // each test binary uses its own part

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::Machine;
use crate::ntp::TimeServer;
use crate::repository::{self, Repositories};
use crate::ssh::Ssh;
use support::images::put;
use support::nginx::Nginx;
use support::run;
use support::standin::{self, Age};

/// How a guest behind QEMU's user-mode network reaches this machine's loopback.
pub const HOST: &str = "10.0.2.2";

/// Two nodes, and the servers that their description names.
pub struct Cluster {
    pub age: &'static Age,
    dir: tempfile::TempDir,
    /// Sockets: their paths must be short.
    segment: tempfile::TempDir,
    host: String,
    pub server: Nginx,
    repositories: Repositories,
    _time: TimeServer,
    epoch: String,
}

/// What the nodes of a test's cluster run, and where they get it.
pub struct Software<'a> {
    /// The system that they are.
    pub age: &'static Age,
    pub repositories: Repositories,
    /// Where whoever fetches from them finds them: [`HOST`] for a machine.
    pub host: &'a str,
    /// Lines of the description's section `[kubernetes]`.
    pub kubernetes: &'a str,
    /// Sections at the end of the description.
    pub more: &'a str,
}

impl Software<'_> {
    /// Recorders in the place of Kubernetes' programs. Whatever is asked for, containerd is the age's own.
    pub fn recorders(age: &'static Age) -> Self {
        Self {
            age,
            repositories: Repositories::make(age, repository::CONTAINERD, repository::recorders),
            host: HOST,
            kubernetes: "version = \"1.34\"\ncontainerd = \"1.7\"\n",
            more: "",
        }
    }
}

impl Cluster {
    /// With recorders in the place of Kubernetes' programs.
    pub fn new() -> Self {
        Self::of_age(&standin::USUAL)
    }

    /// The same of nodes of that age.
    pub fn of_age(age: &'static Age) -> Self {
        Self::of(Software::recorders(age))
    }

    pub fn of(software: Software<'_>) -> Self {
        let cluster = Self::described(software);
        cluster.make_ready();
        cluster
    }

    /// With nothing made yet.
    pub fn described(software: Software<'_>) -> Self {
        // not in /tmp, which may be small and in memory: cards grow
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let Software { age, repositories, host, kubernetes, more } = software;
        let server = Nginx::serve(repositories.root());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let cluster = Self {
            age,
            dir,
            segment: tempfile::tempdir().unwrap(),
            host: host.to_owned(),
            server,
            repositories,
            _time: TimeServer::start(),
            epoch: now.as_secs().to_string(),
        };
        cluster.describe(kubernetes, more);
        cluster
    }

    /// The base is unpacked, the secrets are made and all is fetched once, before machines start side by side.
    pub fn make_ready(&self) {
        self.output(&["build", "--node", "1", "-o", "images"]);
    }

    fn describe(&self, kubernetes: &str, more: &str) {
        let base = self.age.dir().join("standin.img.xz");
        let (url, fingerprint) = (self.url(), self.repositories.fingerprint());
        let dir = self.dir.path();
        std::fs::write(dir.join("key.gpg"), self.repositories.key()).unwrap();
        // of the mirror of the distribution: its key is in the distribution's own images
        for keyring in ["etc/apt/trusted.gpg.d/mirror.gpg"].into_iter().chain(self.age.keyring) {
            let path = dir.join("overlays/common").join(keyring);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.repositories.key()).unwrap();
        }
        if !self.age.knows_ignore_carrier {
            self.leave_out_ignore_carrier();
        }
        put(
            &dir.join("pibake.toml"),
            &format!(
                "nodes = 2\n\
                 [base]\nimage = \"{base}\"\nplatform = \"{platform}\"\n\
                 [kubernetes]\n{kubernetes}\
                 [overlays]\ndir = \"overlays\"\n\
                 [sources]\nubuntu = \"{url}/mirror\"\nntp = [\"{host}\"]\n\
                 [sources.docker]\nurl = \"{url}/docker\"\nkey-file = \"key.gpg\"\nfingerprint = \"{fingerprint}\"\n\
                 [sources.kubernetes]\nurl = \"{url}/kubernetes\"\nkey-file = \"key.gpg\"\nfingerprint = \"{fingerprint}\"\n{more}",
                base = base.display(),
                platform = self.age.platform,
                host = self.host
            ),
        );
    }

    /// The network as pibake has it but for this key, with which a netplan that does not know it reads nothing at all.
    fn leave_out_ignore_carrier(&self) {
        let template = "etc/netplan/50-cloud-init.yaml.j2";
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays/common").join(template);
        let own = std::fs::read_to_string(own).unwrap();
        let lines = "{% if port.ignore_carrier %}\n      ignore-carrier: true\n{% endif %}\n";
        assert_eq!(own.matches(lines).count(), 1, "{own}");
        self.add_file(template, &own.replace(lines, ""));
    }

    /// Has the file on every card that is made from now on.
    pub fn add_file(&self, path: &str, text: &str) {
        put(&self.dir.path().join("overlays/common").join(path), text);
    }

    /// Where a machine finds the package servers.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.server.port())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
        command.current_dir(self.dir.path()).args(arguments);
        command.env("XDG_CACHE_HOME", self.dir.path().join("cache")).env("SOURCE_DATE_EPOCH", &self.epoch);
        command
    }

    /// What pibake prints, called so in the project.
    pub fn output(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// Switches a node on, with the card `cards` has for it, a new one at first.
    pub fn boot(&self, node: &str, cards: &str, arguments: &[&str]) -> Machine {
        let mut command = self.command(&["boot", "--node", node, "--keep", cards]);
        Machine::start(node, command.args(arguments), self.dir.path())
    }

    /// The same with a card that this image, named from the project's folder, was written to.
    pub fn boot_image(&self, node: &str, image: &str, cards: &str, arguments: &[&str]) -> Machine {
        let mut command = self.command(&["boot", image, "--keep", cards]);
        Machine::start(node, command.args(arguments), self.dir.path())
    }

    /// Changes a line of the description.
    pub fn describe_otherwise(&self, line: &str, other: &str) {
        let path = self.dir.path().join("pibake.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line} in {text}");
        let lines = text.lines().map(|found| if found == line { other } else { found });
        std::fs::write(path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }

    /// Where the machines of this cluster are plugged in.
    pub fn segment(&self) -> &str {
        self.segment.path().to_str().unwrap()
    }

    /// The card of a machine that was booted with `--keep`, as a raw image.
    pub fn card(&self, node: &str, cards: &str) -> PathBuf {
        let (dir, raw) = (self.dir.path(), self.dir.path().join(format!("{cards}-{node}.img")));
        let card = dir.join(cards).join(node).join("card.qcow2");
        run(support::tool("qemu-img", "qemu-utils").args(["convert", "-O", "raw"]).arg(card).arg(&raw));
        raw
    }

    /// A way into the machine behind this port, with the key that pibake made.
    pub fn ssh(&self, port: u16) -> Ssh {
        Ssh::new(&self.dir.path().join(".pibake/ssh_key"), port)
    }

    /// A secret of the cluster's.
    pub fn secret(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(".pibake").join(name)).unwrap().trim().to_owned()
    }

    /// What node `number` joins with; of node-1, which does not, what node-2 does.
    pub fn token(&self, number: &str) -> String {
        let number: usize = number.parse().unwrap();
        self.secret("token").lines().nth(number.max(2) - 1).unwrap().to_owned()
    }

    /// Fails unless `text` is what the plan has as `path` on `node`'s card.
    pub fn assert_baked(&self, node: &str, path: &str, text: &str) {
        let planned = self.output(&["plan", "--node", node, path]);
        let baked = format!("{}\n", text.trim_end());
        assert!(
            support::plan::shows(&planned, &baked),
            "{node}: {path} should be\n{planned}\nand is\n{baked}"
        );
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A port of loopback that nobody listens to.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
