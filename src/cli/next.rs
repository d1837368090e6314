//! What to do next, in the words that this description asks for.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::session::Session;
use crate::cluster::{Cluster, Mode, Node, UplinkAddressing};
use crate::io::shell_word;
use crate::project::Project;
use crate::sink::Format;
use crate::ui::page_lines;

/// How people reach a cluster.
pub(super) struct Reach {
    user: String,
    /// The key that pibake made, where the user gave none.
    key: Option<PathBuf>,
    kubeconfig: PathBuf,
    control_plane: String,
    /// Its address on the nodes' own network.
    address: String,
    /// Whence the control plane is reached besides, and its address there; `None` in lan mode.
    outside: Option<(String, Option<String>)>,
    /// The nodes that cards are not written for now.
    others: Vec<String>,
    has_workers: bool,
    /// Of nodes that are made now: their names, what they start from, and what must be so for that.
    disks: Vec<(String, &'static str, &'static str)>,
}

impl Reach {
    /// Of a cluster of which cards for `nodes` are made.
    pub(super) fn of(project: &Project, nodes: &[&Node]) -> Option<Self> {
        let cluster = &project.cluster;
        let control_plane = cluster.control_plane()?;
        let is_made = |node: &&Node| nodes.iter().any(|made| made.number == node.number);
        let others = cluster.nodes.iter().filter(|node| !is_made(node));
        Some(Self {
            user: cluster.access.user.clone(),
            key: made_key(project),
            kubeconfig: project.store().admin_conf(),
            control_plane: control_plane.name.to_string(),
            address: control_plane.address.to_string(),
            outside: outside(cluster),
            others: others.map(|node| node.name.to_string()).collect(),
            has_workers: cluster.nodes.len() > 1,
            disks: nodes.iter().filter_map(|node| disk(node)).collect(),
        })
    }

    /// Switching on, and the first look.
    fn first_look(&self, step: usize, text: &mut String) {
        let wire = match (&self.outside, self.has_workers) {
            (Some(_), true) => "all nodes on one switch, and that on nothing else; switch on.",
            (Some(_), false) => "switch on.",
            (None, _) => "all nodes in your router's network; switch on.",
        };
        let _ = writeln!(text, "  {step}. Cards in, {wire}");
        for (node, from, condition) in &self.disks {
            let told = format!("{node} starts from {from} if {condition}: docs/disks.md");
            *text += &page_lines("     ", &told);
        }
        let _ = writeln!(text, "     The first boot takes about 15 minutes.");
        let step = step + 1;
        let key = self.key.as_ref().map_or_else(String::new, |key| format!("-i {} ", shell_word(key)));
        let (user, kubeconfig) = (&self.user, shell_word(&self.kubeconfig));
        let (address, node) = (&self.address, &self.control_plane);
        let kubectl = format!("kubectl --kubeconfig {kubeconfig} get nodes");
        match &self.outside {
            None => {
                let _ = writeln!(text, "  {step}. See the cluster:\n       {kubectl}");
                let _ = writeln!(text, "     Log in: ssh {key}{user}@{address}");
            }
            Some((network, known)) => {
                let shown = known.clone().unwrap_or_else(|| "ADDRESS".to_owned());
                let _ = writeln!(text, "  {step}. See the cluster, from {network}:");
                let _ = writeln!(text, "       ssh {key}{user}@{shown} kubectl get nodes");
                if known.is_none() {
                    let _ = writeln!(text, "     where ADDRESS is what its router lists for {node},");
                }
                let _ = writeln!(text, "     or from a computer on the nodes' switch:\n       {kubectl}");
            }
        }
    }

    /// What to do with images that were built.
    pub(super) fn after_build(&self, first: &Path, format: Format) -> String {
        let first = shell_word(first);
        let mut text = "Next:\n".to_owned();
        let _ = match format {
            Format::Qcow2 => {
                writeln!(text, "  1. Boot an image here, or write it to a card:\n       pibake boot {first}")
            }
            Format::Raw | Format::Zst | Format::Xz => writeln!(text, "  1. Write each image to its card:"),
        };
        let _ = writeln!(text, "       pibake flash /dev/sdX --image {first}");
        text += "     pibake drives lists the card readers.\n";
        self.first_look(2, &mut text);
        text
    }

    /// What to do with cards that were written.
    pub(super) fn after_flash(&self) -> String {
        let mut text = "Next:\n".to_owned();
        let mut step = 1;
        if !self.others.is_empty() {
            let others = match self.others.as_slice() {
                [first, .., last] if self.others.len() > 4 => format!("{first} … {last}"),
                others => others.join(", "),
            };
            let _ =
                writeln!(text, "  1. Write the cards of the other nodes, unless they are there: {others}");
            step = 2;
        }
        self.first_look(step, &mut text);
        text
    }
}

/// What a node starts from that is no card, and what must be so for that.
fn disk(node: &Node) -> Option<(String, &'static str, &'static str)> {
    let from = node.boot_from?;
    Some((node.name.to_string(), from.title(), from.condition(node.board)?))
}

/// What to do with a new description.
pub(super) fn after_init(dir: &Path) -> String {
    let go = if dir == Path::new(".") { String::new() } else { format!("cd {} && ", shell_word(dir)) };
    format!(
        "Next:\n  1. In pibake.toml, say how node-1 gets to the internet: take the \"#\" from\n     [network.wifi] and \
         what is below it. Without that it needs a second\n     Ethernet adapter.\n  2. {go}pibake plan\n  3. pibake \
         flash /dev/sdX=1 /dev/sdY=2 …, or pibake build for images\n"
    )
}

/// Tells it to people.
pub(super) fn tell(text: &str, session: &Session) {
    if !session.is_json() {
        session.progress().note(text.trim_end());
    }
}

/// Where the key is that pibake makes because the description names none.
pub(super) fn made_key(project: &Project) -> Option<PathBuf> {
    project.cluster.access.ssh_keys.is_empty().then(|| project.store().ssh_key())
}

/// The network that the control plane is in besides the nodes' own, and its address there where that is known.
fn outside(cluster: &Cluster) -> Option<(String, Option<String>)> {
    let Mode::Gateway(gateway) = &cluster.network.mode else { return None };
    let uplink = &gateway.uplink;
    let network = match uplink.link.radio().map(|radio| radio.networks.as_slice()) {
        Some([wifi]) => format!("the WiFi {:?}", wifi.ssid),
        Some(_) => "the WiFi that it joined".to_owned(),
        None => format!("the network of its uplink, {}", uplink.link.title()),
    };
    let address = match uplink.addressing {
        UplinkAddressing::Static { address, .. } => Some(address.addr().to_string()),
        UplinkAddressing::Dhcp => None,
    };
    Some((network, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Overrides;

    fn reach(description: &str, written: usize) -> Reach {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pibake.toml");
        std::fs::write(&file, description).unwrap();
        let project = Project::open(Some(&file), &Overrides::default()).unwrap();
        let nodes: Vec<&Node> = project.cluster.nodes.iter().take(written).collect();
        let mut reach = Reach::of(&project, &nodes).unwrap();
        // as from the folder itself
        let state = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_owned();
        reach.key = reach.key.as_ref().map(state);
        reach.kubeconfig = state(&reach.kubeconfig);
        reach
    }

    #[test]
    fn steps_are_those_of_the_description() {
        let radio = "[network.wifi]\nssid = \"home\"\npassword = \"correct horse\"\ncountry = \"DE\"\n";
        let fixed =
            format!("{radio}[network.uplink]\naddress = \"192.168.1.5/24\"\nrouter = \"192.168.1.1\"\n");
        let own_key = "[access]\nuser = \"jane\"\nssh-keys = [\"ssh-ed25519 \
                       AAAAC3NzaC1lZDI1NTE5AAAAIJ1gnwCFrh3AJUrA1RrXPbmMoQTpuJd2vVdWFT2bKXzt me\"]\n";
        let lan = "nodes = 2\n[network]\nmode = \"lan\"\nsubnet = \"192.168.1.0/24\"\nfirst-address = \"192.168.1.50\"\n";
        let disks = "nodes = [{ board = \"pi5\", boot-from = \"nvme\" }, { boot-from = \"usb\" }, { boot-from = \"sd\" }]\n";
        let all = [
            reach("", 4).after_build(Path::new("images/node-1.img"), Format::Raw),
            reach(radio, 4).after_build(Path::new("my images/node-1.qcow2"), Format::Qcow2),
            reach(&(fixed + own_key), 2).after_flash(),
            reach(lan, 2).after_flash(),
            reach(disks, 2).after_flash(),
            after_init(Path::new(".")),
            after_init(Path::new("my lab")),
        ];
        assert!(all.iter().flat_map(|text| text.lines()).all(|line| line.chars().count() <= 80), "{all:#?}");
        insta::assert_snapshot!(all.join("\n"));
    }
}
