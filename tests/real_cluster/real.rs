//! A running cluster of two machines, with all that it fetches from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::closed;
use crate::cluster::{Cluster, HOST, Software, free_port};
use crate::laptop::Laptop;
use crate::machine::Machine;
use crate::outside::{Node, Outside};
use crate::registry::Registry;
use crate::repository::Repositories;
use crate::ssh::Ssh;
use support::standin::{self, Age};

/// How long anything may take: on a machine with nothing else to do all of a cluster takes ten minutes.
pub const PATIENCE: Duration = Duration::from_secs(3000);

/// How long a lease lasts here, in seconds: so that a test can wait for the end of one.
pub const LEASE: u64 = 180;

/// kubeadm's own names for what it does not make itself (cmd/kubeadm/app/constants of 1.20.2).
const ETCD: &str = "etcd:3.4.13-0";
const COREDNS: &str = "coredns:1.7.0";

/// The nodes that every cluster has here.
pub const NODES: [&str; 2] = ["node-1", "node-2"];

/// What leads out of the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// node-1's uplink, behind which is all that nodes fetch; its owner comes in by it, too.
    Uplink,
    /// Nothing: what the nodes need is on their cards, and the owner's laptop is on their segment.
    Closed,
}

pub struct Real {
    // first: they end before what they fetch from
    machines: BTreeMap<&'static str, Machine>,
    pub outside: Outside,
    laptop: Option<Laptop>,
    pub cluster: Cluster,
    port: u16,
    cards: BTreeMap<&'static str, String>,
    /// Images that cards were written with, of nodes whose cards were not written by name.
    images: BTreeMap<&'static str, String>,
    begun: Instant,
    _registry: Registry,
}

impl Real {
    /// A cluster as it is on its first day.
    pub fn form(way: Way) -> Self {
        let mut real = Self::prepare(way);
        let both_ready = real.come_up();
        closed::compare(way, both_ready);
        real
    }

    /// What leads out of it.
    pub fn way(&self) -> Way {
        if self.laptop.is_some() { Way::Closed } else { Way::Uplink }
    }

    /// Switches both machines on with new cards, and waits for what their owner waits for. Says how long it took until
    /// both were Ready.
    fn come_up(&mut self) -> Duration {
        self.switch_on_both();
        self.wait_until_ready(&BTreeMap::new());
        let both_ready = self.begun.elapsed();
        NODES.into_iter().for_each(|node| self.wait_until_through(node));
        self.note("first boot is complete on both");
        both_ready
    }

    /// What is offered, the description, and cards.
    fn prepare(way: Way) -> Self {
        let parts = parts();
        let registry = Registry::start();
        // what is preloaded is fetched here, and not by a machine
        let host = if way == Way::Closed { "127.0.0.1" } else { HOST };
        let mirror = format!("http://{host}:{}", registry.port());
        let age = Age::chosen();
        let (containerd, containerd_version) = age.containerd;
        let repositories = Repositories::make(age, containerd_version, |pool| {
            for folder in ["packages", if *age == standin::OLDEST { "cni-11" } else { "cni" }] {
                for package in std::fs::read_dir(parts.join(folder)).unwrap() {
                    let package = package.unwrap();
                    std::fs::copy(package.path(), pool.join(package.file_name())).unwrap();
                }
            }
        });
        let preload = match way {
            Way::Closed => "[image]\npreload = true\npreload-images = [\"docker.io/library/busybox:1\"]\n",
            Way::Uplink => "",
        };
        let cluster = Cluster::described(Software {
            age,
            repositories,
            host,
            kubernetes: &format!("version = \"1.20\"\ncontainerd = \"{containerd}\"\n"),
            more: &format!(
                "[sources.registry-mirrors]\n\
                 \"registry.k8s.io\" = [\"{mirror}\"]\n\
                 \"ghcr.io\" = [\"{mirror}\"]\n\
                 \"docker.io\" = [\"{mirror}\"]\n\
                 [network.dhcp]\ndefault-lease-time = {LEASE}\nmax-lease-time = {LEASE}\n{preload}"
            ),
        });
        offer(&registry, &parts, &cluster);
        if way == Way::Closed {
            // what an image of Ubuntu's has itself, and the stand-in's is empty
            let list = format!("deb {}/mirror {} main\n", cluster.url(), age.codename);
            cluster.add_file("etc/apt/sources.list", &list);
        }
        cluster.make_ready();
        let port = free_port();
        let admin = cluster.path().join(".pibake/admin.conf");
        let laptop = (way == Way::Closed).then(|| Laptop::plug_in(Path::new(cluster.segment())));
        let outside = Outside::new(&admin, laptop.is_none().then(|| cluster.ssh(port)));
        Self {
            machines: BTreeMap::new(),
            outside,
            laptop,
            cluster,
            port,
            cards: BTreeMap::new(),
            images: BTreeMap::new(),
            begun: Instant::now(),
            _registry: registry,
        }
    }

    /// The way into a node.
    pub fn ssh(&self, node: &str) -> Ssh {
        // as pibake numbers them
        let address = format!("10.0.0.{}", node.trim_start_matches("node-"));
        match self.way() {
            Way::Closed => self.cluster.ssh(22).at(&address),
            Way::Uplink if node == "node-1" => self.cluster.ssh(self.port),
            Way::Uplink => self.cluster.ssh(self.port).beyond(&address),
        }
    }

    /// node-1 with the uplink, if there is one, the others with nothing but the segment; each with its card.
    pub fn switch_on(&mut self, node: &'static str) {
        let port = self.port.to_string();
        let mut arguments = vec!["--machine", "virt", "--net", self.cluster.segment()];
        match &self.laptop {
            // the cards are made of what was fetched before
            Some(_) => arguments.push("--offline"),
            None if node == "node-1" => arguments.extend(["--uplink", "--ssh", &port]),
            None => {}
        }
        let cards = self.cards.entry(node).or_insert_with(|| "cards".to_owned());
        let machine = match self.images.get(node) {
            Some(image) => self.cluster.boot_image(node, image, cards, &arguments),
            None => self.cluster.boot(node, cards, &arguments),
        };
        self.machines.insert(node, machine);
    }

    pub fn switch_on_both(&mut self) {
        self.begun = Instant::now();
        NODES.into_iter().for_each(|node| self.switch_on(node));
    }

    /// Cuts the power of these, one right after the other.
    pub fn cut(&mut self, nodes: &[&str]) {
        let machines: Vec<_> = nodes.iter().map(|node| self.machines.remove(*node).unwrap()).collect();
        machines.into_iter().for_each(Machine::cut);
    }

    /// The node's card is thrown away, and the next one is a new one, of the node as it is described now.
    pub fn take_a_new_card(&mut self, node: &'static str) {
        let folder = self.cards.get_mut(node).unwrap();
        std::fs::remove_dir_all(self.cluster.path().join(&*folder).join(node)).unwrap();
        folder.push_str("-again");
        self.images.remove(node);
    }

    /// The same, and the next one is written with this image, named from the project's folder.
    pub fn take_a_new_card_of(&mut self, node: &'static str, image: &str) {
        self.take_a_new_card(node);
        self.images.insert(node, image.to_owned());
    }

    /// Has the node's next card join with a token that was not used before, as the documentation says.
    pub fn take_a_new_token(&mut self, node: &str) {
        self.until("the API server, from outside", |real| real.outside.kubectl(&["get", "nodes"]));
        let said = self.cluster.output(&["token", "new", node]);
        assert!(!said.contains("does not know yet"), "{said}");
    }

    /// A machine that is on.
    pub fn machine(&mut self, node: &str) -> &mut Machine {
        self.machines.get_mut(node).unwrap_or_else(|| panic!("{node} is off"))
    }

    /// Waits until the node's first boot is complete.
    pub fn wait_until_through(&mut self, node: &str) {
        self.machine(node).wait_for(&format!("first boot of {node} is complete"));
    }

    /// From here on times are counted anew.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
    }

    pub fn note(&self, what: &str) {
        println!("[cluster] {:>6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Asks until the answer is `Ok`. Fails with the last answer, and where a machine ends meanwhile.
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Result<T, String>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            self.machines.values_mut().for_each(Machine::assert_runs);
            match ask(self) {
                Ok(answer) => return answer,
                Err(answer) if Instant::now() > end => {
                    panic!("waited {PATIENCE:?} for {what}: {answer}\n{}", self.outside.explain())
                }
                Err(_) => std::thread::sleep(Duration::from_secs(3)),
            }
        }
    }

    /// Which start of each machine the API server knows.
    pub fn boots(&mut self) -> BTreeMap<String, String> {
        let nodes = self.until("the nodes", |real| real.outside.nodes());
        nodes.into_iter().map(|node| (node.name, node.boot)).collect()
    }

    /// Waits until both nodes are Ready, each after another start than the ones in `before`.
    pub fn wait_until_ready(&mut self, before: &BTreeMap<String, String>) {
        for name in NODES {
            let is_ready =
                |node: &Node| node.name == name && node.ready && before.get(name) != Some(&node.boot);
            self.until(&format!("{name} to be Ready"), |real| {
                let nodes = real.outside.nodes()?;
                nodes.iter().any(is_ready).then_some(()).ok_or_else(|| format!("{nodes:?}"))
            });
            self.note(&format!("{name} is Ready, as kubectl says from outside"));
        }
    }
}

/// Says more of a cluster that a test failed with.
impl Drop for Real {
    fn drop(&mut self) {
        if std::thread::panicking() && self.machines.contains_key("node-1") {
            eprintln!("--- what the API server says\n{}", self.outside.explain());
            for node in self.machines.keys() {
                let script =
                    "tail -n 30 /var/log/pibake/first-boot.log; journalctl --no-pager -n 30 -u kubelet";
                let out = self.ssh(node).run(script);
                eprintln!("--- {node}'s first boot and kubelet\n{}", String::from_utf8_lossy(&out.stdout));
            }
        }
    }
}

/// The folder with packages and images. `make test-cluster` makes it.
fn parts() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_cluster/build.sh");
    let out = Command::new(script).arg("--if-cached").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim_end())
}

/// Offers each image under the name that it has where it comes from, without the registry's host.
/// Those that the cards name are named as there; the others are kubeadm's choice.
fn offer(registry: &Registry, parts: &Path, cluster: &Cluster) {
    let version = std::fs::read_to_string(parts.join("version")).unwrap();
    let offer = |layout: &str, name: &str| registry.offer(&parts.join("images").join(layout), name);
    for program in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        offer(program, &format!("{program}:{}", version.trim()));
    }
    offer("etcd", ETCD);
    offer("coredns", COREDNS);
    offer("busybox", "library/busybox:1");
    offer("late", "library/late:1");
    let pause = baked(cluster, "/etc/containerd/config.toml", "registry.k8s.io/", "pause:");
    offer("pause", &pause);
    for layout in ["flannel", "flannel-cni-plugin"] {
        let name = baked(cluster, "/etc/pibake/flannel.yaml", "ghcr.io/", &format!("flannel-io/{layout}:"));
        offer(layout, &name);
    }
}

/// The name of an image that node-1's file `path` has, without the registry's host.
fn baked(cluster: &Cluster, path: &str, host: &str, image: &str) -> String {
    let text = cluster.output(&["plan", "--node", "1", path]);
    let (_, rest) =
        text.split_once(&format!("{host}{image}")).unwrap_or_else(|| panic!("no {image} in {text}"));
    let tag: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
    format!("{image}{tag}")
}
