//! `pibake plan --svg`: the cluster as a picture, for a page or a wall.

use std::fmt::Write;

use crate::cli::json::{Internet, Member};
use crate::cluster::{Cluster, Node, Role};
use crate::ui::visible_line;

/// In units of the picture, which are pixels where it is shown at its own size.
const MARGIN: usize = 24;
const WIDTH: usize = 190;
/// How high a box is for up to two lines below the name, and how much more each further one takes.
const HEIGHT: usize = 76;
const LINE: usize = 17;
const GAP: (usize, usize) = (26, 34);
/// Nodes beside each other.
const COLUMNS: usize = 4;
/// What fits into a box, in characters: what is longer ends in an ellipsis.
const FITTING: usize = 24;

const STYLE: &str = "\
    .page{fill:#fff}.box{fill:#f6f8fa;stroke:#57606a;stroke-width:1.5}.main{fill:#ddf4ff;stroke:#0969da;\
    stroke-width:1.5}.line{fill:none;stroke:#57606a;stroke-width:1.5}.radio{fill:none;stroke:#0969da;\
    stroke-width:1.5;stroke-dasharray:4 4}.name{fill:#1f2328;font-weight:600}.small{fill:#59636e;font-size:12px}\
    .beside{text-anchor:start}text{text-anchor:middle}";

/// The picture. `internet` is how the cluster gets out, as `pibake plan` tells it.
pub(super) fn svg(cluster: &Cluster, internet: &Internet) -> String {
    let network = &cluster.network;
    let is_gateway = network.gateway().is_some();
    let (at_the_top, below): (Vec<&Node>, Vec<&Node>) =
        cluster.nodes.iter().partition(|node| is_gateway && node.is_control_plane());
    let columns = below.len().clamp(1, COLUMNS);
    let lines = cluster.nodes.iter().map(|node| described(node).len()).max().unwrap_or(0);
    let box_height = HEIGHT + lines.saturating_sub(2) * LINE;
    // the two boxes at the top, and room for what is written between them
    let width = (columns * WIDTH + (columns - 1) * GAP.0).max(3 * WIDTH) + 2 * MARGIN + 20;
    let rows = below.len().div_ceil(COLUMNS);
    let bus = MARGIN + box_height + GAP.1 + 20;
    let first_row = bus + GAP.1;
    let height = bus + rows * (box_height + GAP.1) + MARGIN;

    let mut picture = Picture { text: String::new(), height: box_height };
    // the way out
    let outside = MARGIN + WIDTH + (width - 2 * MARGIN - 2 * WIDTH);
    match at_the_top.as_slice() {
        [] => {
            let ipv6 = network.ipv6.as_ref().and_then(|ipv6| ipv6.router);
            let ipv6 = ipv6.map_or_else(String::new, |router| router.to_string());
            picture.cell("box", (MARGIN, MARGIN), "your router", &[&internet.by, &ipv6]);
        }
        [node, ..] => picture.node(node, (MARGIN, MARGIN)),
    }
    let ssid = internet.ssid.as_ref().map(|ssid| format!("WiFi \u{201c}{}\u{201d}", visible_line(ssid)));
    let inner = match (&ssid, network.gateway()) {
        (_, None) => String::new(),
        (Some(ssid), Some(_)) => ssid.clone(),
        (None, Some(gateway)) if gateway.uplink.link.vlan.is_some() => "by a VLAN".to_owned(),
        (None, Some(_)) => "second Ethernet adapter".to_owned(),
    };
    picture.cell("box", (outside, MARGIN), "internet", &[&inner]);
    let y = MARGIN + box_height / 2;
    let kind = |is_radio| if is_radio { "radio" } else { "line" };
    picture.line(kind(ssid.is_some() && is_gateway), &format!("M{} {y}H{outside}", MARGIN + WIDTH));
    if is_gateway {
        let middle = (MARGIN + WIDTH + outside) / 2;
        let address = internet.address.as_deref().unwrap_or("by DHCP");
        picture.label("small", (middle, y - 8), &format!("{}, {address}", internet.interface));
        picture.label("small", (middle, y + 18), &format!("open: {}", internet.open.join(", ")));
    }

    // the network of the nodes: one line above each row, joined at the left
    let spine = MARGIN + 6;
    let wire = kind(network.link.radio().is_some());
    picture.line(wire, &format!("M{} {}V{bus}", MARGIN + WIDTH / 2, MARGIN + box_height));
    let by = ssid.filter(|_| !is_gateway).unwrap_or_else(|| network.link.title());
    let beside = MARGIN + WIDTH / 2 + 10;
    picture.label("small beside", (beside, bus - 8), &format!("{} on {by}", network.subnet));
    if let Some(ipv6) = &network.ipv6 {
        picture.label("small beside", (beside, bus + LINE), &ipv6.subnet.to_string());
    }
    let left = |column: usize| MARGIN + 20 + column * (WIDTH + GAP.0);
    for (row, nodes) in below.chunks(COLUMNS).enumerate() {
        let top = first_row + row * (box_height + GAP.1);
        let line = if row == 0 { bus } else { top - GAP.1 / 2 };
        let end = left(nodes.len() - 1) + WIDTH / 2;
        picture.line(wire, &format!("M{spine} {bus}V{line}H{end}"));
        for (column, node) in nodes.iter().enumerate() {
            picture.line(wire, &format!("M{} {line}V{top}", left(column) + WIDTH / 2));
            picture.node(node, (left(column), top));
        }
    }
    let title = escaped(&format!("The cluster {}", cluster.name));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\" role=\"img\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n{}</svg>\n",
        picture.text
    )
}

struct Picture {
    text: String,
    /// Of each box.
    height: usize,
}

impl Picture {
    fn node(&mut self, node: &Node, at: (usize, usize)) {
        let class = match node.role {
            Role::ControlPlane => "main",
            Role::Worker => "box",
        };
        let lines = described(node);
        self.cell(class, at, node.name.as_str(), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// A box with a name in it and lines below that, empty ones left out.
    fn cell(&mut self, class: &str, (x, y): (usize, usize), name: &str, lines: &[&str]) {
        let (width, height) = (WIDTH, self.height);
        let _ = writeln!(
            self.text,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        );
        let middle = x + width / 2;
        self.label("name", (middle, y + 26), name);
        for (n, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
            self.label("small", (middle, y + 46 + n * LINE), line);
        }
    }

    fn label(&mut self, class: &str, (x, y): (usize, usize), text: &str) {
        let text = escaped(&fitting(text));
        let _ = writeln!(self.text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }

    fn line(&mut self, class: &str, path: &str) {
        let _ = writeln!(self.text, "<path class=\"{class}\" d=\"{path}\"/>");
    }
}

/// What is said of a node below its name: what it does, on what where that is named, and at which addresses.
fn described(node: &Node) -> Vec<String> {
    let Member { role, address, ipv6, .. } = Member::from(node);
    let role = match node.role {
        Role::ControlPlane => "control plane, API server".to_owned(),
        Role::Worker => role,
    };
    let board = node.board.map(|board| board.name().to_owned());
    let disk = node.boot_from.map(|from| format!("starts from {}", from.title()));
    [Some(role), board, disk, Some(address), ipv6].into_iter().flatten().collect()
}

fn fitting(text: &str) -> String {
    if text.chars().count() <= FITTING + 4 {
        return text.to_owned();
    }
    text.chars().take(FITTING + 3).chain(['…']).collect()
}

/// For XML, which has no way to write control characters and two others.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible_line(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
