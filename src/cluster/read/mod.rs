//! From the text of a pibake.toml to a [`Cluster`].

mod machine;
mod network;
mod nodes;
mod overrides;
mod passwords;
mod software;
mod values;
mod wifi;

use std::path::Path;

use super::problem::{Error, Origin, Problem};
use super::toml::Document;
use super::{Cluster, check, consistency, defaults};
use crate::io::read_small;
pub use overrides::Overrides;
pub use passwords::{NotUnicode, Passwords};

/// No description comes near this size.
const DESCRIPTION_MAX: u64 = 1 << 20;

impl Cluster {
    /// Reads the description in `path`, or takes all defaults where there is none. Paths within
    /// it start from its directory.
    pub fn read(path: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let Some(path) = path else { return Self::parse("pibake.toml", "", Path::new(""), overrides) };
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let bytes = read_small(path, DESCRIPTION_MAX).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|e| not_utf8(path, &e))?;
        let dir = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, dir, overrides)
    }

    /// Reads the description in `text`. `file` is what messages call it, `dir` is where the
    /// paths in it start from.
    pub fn parse(file: &str, text: &str, dir: &Path, overrides: &Overrides) -> Result<Self, Error> {
        let document = Document::new(file, text);
        let cluster = read(&document, dir, overrides);
        let (origins, problems) = document.finish();
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        let cluster = Cluster { origins, ..cluster };
        // What one part says is compared with the others only once each is sound by itself.
        match consistency::problems(&cluster) {
            problems if problems.is_empty() => Ok(cluster),
            problems => {
                Err(Error::Invalid(problems.into_iter().map(|problem| problem.shown_in(text)).collect()))
            }
        }
    }
}

/// Where the text stops being UTF-8, which TOML files are, and netplan's and cloud-init's.
fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Error {
    let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = sound.iter().filter(|b| **b == b'\n').count() + 1;
    let before = sound.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(before).chars().count() + 1;
    let message = "is not UTF-8: save the file in that encoding. A radio network whose name is not UTF-8 \
                   cannot be described: rename it";
    let origin = Origin::File { file: path.display().to_string(), line, column };
    Error::Invalid(vec![Problem { origin, key: String::new(), message: message.to_owned(), excerpt: None }])
}

/// The keys of each table that reading `text` asks for.
#[cfg(test)]
pub(super) fn known_keys(
    text: &str,
) -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
    let document = Document::new("pibake.toml", text);
    read(&document, Path::new(""), &Overrides::default());
    document.known_keys()
}

fn read(document: &Document<'_>, dir: &Path, overrides: &Overrides) -> Cluster {
    let mut root = document.root();
    let name = root.read("name", |t| check::label(t).map(|()| t.to_owned()));
    let domain = root.read("domain", check::domain);
    let hardware = nodes::Hardware::read(&mut root);
    let usb_quirks = machine::usb_quirks(&mut root, document);
    let addresses = network::addresses(&mut root, document);
    let nodes = nodes::nodes(&mut root, document, overrides, &addresses, hardware);
    let network = network::network(addresses, document, &nodes, dir, &overrides.passwords);
    let kubernetes = software::kubernetes(&mut root, document, dir, nodes.len());
    let access = machine::access(&mut root, document, dir, &overrides.passwords);
    let sources = software::sources(&mut root, dir, &overrides.passwords);
    let base = machine::base(&mut root, document, dir, overrides);
    let upgrade = machine::upgrade(&mut root);
    let image = machine::image(&mut root, document, overrides);
    let overlays = machine::overlays(&mut root, dir);
    let cloud_init_extra = machine::cloud_init_extra(&mut root, dir);
    root.finish();
    Cluster {
        name: name.unwrap_or_else(|| defaults::NAME.to_owned()),
        domain: domain.unwrap_or_else(|| defaults::DOMAIN.to_owned()),
        nodes,
        usb_quirks,
        network,
        kubernetes,
        access,
        sources,
        base,
        upgrade,
        image,
        overlays,
        cloud_init_extra,
        origins: super::problem::Origins::default(),
    }
}
