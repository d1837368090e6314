//! From what is asked and what is secret to all that changes on one card.

use std::collections::BTreeMap;
use std::str;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use sha2::{Digest, Sha256};

use super::context::{Context, Sources};
use super::hidden::{Hidden, MASK};
use super::overlays::{Item, ItemKind};
use super::placement::placement;
use super::{Access, Action, Change, Error, Extras, Recipe, Volume};
use super::{apt, kernel, registries, render, user_data};
use crate::cluster::{Cluster, Node, Platform};
use crate::identity::Identity;
use crate::image_path::ImagePath;

/// Stands in templates' paths for the host name of a registry: such a template makes one file for
/// each registry that has mirrors.
const REGISTRY: &str = "@registry@";

/// Where cloud-init's NoCloud looks for what the user wants, on the boot file system.
const USER_DATA: &str = "/user-data";
const META_DATA: &str = "/meta-data";

/// Where units that are not a package's are.
const UNITS: &str = "/etc/systemd/system/";

type Changes = BTreeMap<(Volume, ImagePath), Action>;

/// All that is to change on the card of `node`, as one of the `cluster`'s, over an image of
/// `platform`. The same arguments always give the same recipe.
pub fn recipe(
    cluster: &Cluster,
    identity: &Identity,
    node: &Node,
    platform: &Platform,
    extras: &Extras,
) -> Result<Recipe, Error> {
    build(cluster, Hidden::of(cluster, identity, node), node, platform, extras, None)
}

/// The same recipe with asterisks in the place of every secret, to be shown; also where no secrets
/// have been made yet. What is still marked as secret is a private file of the user's own, which
/// pibake cannot tell the secrets of.
pub fn preview(
    cluster: &Cluster,
    identity: Option<&Identity>,
    node: &Node,
    platform: &Platform,
    extras: &Extras,
) -> Result<Recipe, Error> {
    let (hidden, id) = match identity {
        Some(identity) => {
            let baked = recipe(cluster, identity, node, platform, extras)?;
            (Hidden::of(cluster, identity, node).masked(), instance_id(node, &baked.changes))
        }
        None => (Hidden::unmade(cluster, node), format!("pibake-{}-{MASK}", node.name)),
    };
    build(cluster, hidden, node, platform, extras, Some(id))
}

fn build(
    cluster: &Cluster,
    hidden: Hidden,
    node: &Node,
    platform: &Platform,
    extras: &Extras,
    known_id: Option<String>,
) -> Result<Recipe, Error> {
    let software = cluster.software(platform)?;
    let from = Sources {
        cluster,
        node,
        control_plane: cluster.control_plane().ok_or(Error::NoControlPlane)?,
        platform,
        software: &software,
        hidden: &hidden,
    };
    let kitchen = Kitchen {
        from: &from,
        extras,
        env: render::environment(),
        context: Value::from(Serde(Context::new(&from))),
    };
    let mut changes = Changes::new();
    kitchen.place_overlays(&mut changes)?;
    kitchen.place_certificates(&mut changes)?;
    place_boot(&mut changes, &from)?;
    // Last: the id hangs on all the rest.
    let id = known_id.unwrap_or_else(|| instance_id(node, &as_list(&changes)));
    kitchen.place_meta_data(&mut changes, &id)?;
    Ok(Recipe { node: node.name.clone(), changes: as_list(&changes) })
}

fn as_list(changes: &Changes) -> Vec<Change> {
    let change = |((volume, path), action): (&(Volume, ImagePath), &Action)| Change {
        volume: *volume,
        path: path.clone(),
        action: action.clone(),
    };
    changes.iter().map(change).collect()
}

/// Where files are made.
struct Kitchen<'a> {
    from: &'a Sources<'a>,
    extras: &'a Extras,
    env: Environment<'static>,
    context: Value,
}

impl Kitchen<'_> {
    /// All that lands, but for the meta-data.
    fn place_overlays(&self, changes: &mut Changes) -> Result<(), Error> {
        for (volume, path, item) in self.extras.overlays.for_role(self.from.node.role) {
            let unwanted = item.from.is_none() && !(placement(path.as_str()).wanted)(self.from);
            if unwanted || is_meta_data(volume, path) {
                continue;
            }
            if path.as_str().contains(REGISTRY) {
                self.place_registries(changes, volume, path, item)?;
            } else if let Some(action) = self.action(volume, path, item, &self.context)? {
                changes.insert((volume, path.clone()), action);
            }
        }
        Ok(())
    }

    fn place_registries(
        &self,
        changes: &mut Changes,
        volume: Volume,
        path: &ImagePath,
        item: &Item,
    ) -> Result<(), Error> {
        for registry in registries::registries(&self.from.cluster.sources) {
            let place = ImagePath::new(path.as_str().replace(REGISTRY, registry.folder()))?;
            let context = context! { registry => Value::from(Serde(registry)), ..self.context.clone() };
            if let Some(action) = self.action(volume, &place, item, &context)? {
                changes.insert((volume, place), action);
            }
        }
        Ok(())
    }

    fn place_meta_data(&self, changes: &mut Changes, id: &str) -> Result<(), Error> {
        let context = context! { instance_id => id, ..self.context.clone() };
        for (volume, path, item) in self.extras.overlays.for_role(self.from.node.role) {
            if is_meta_data(volume, path)
                && let Some(action) = self.action(volume, path, item, &context)?
            {
                changes.insert((volume, path.clone()), action);
            }
        }
        Ok(())
    }

    /// The cluster's CA. Its key goes to the control plane alone.
    fn place_certificates(&self, changes: &mut Changes) -> Result<(), Error> {
        if !self.from.node.is_control_plane() {
            return Ok(());
        }
        let hidden = self.from.hidden;
        let mut place = |path: &str, content: &str, mode, secret| -> Result<(), Error> {
            let content = content.as_bytes().to_vec();
            let action = Action::Write { content, access: Access::root(mode), secret };
            changes.insert((Volume::Root, ImagePath::new(path)?), action);
            Ok(())
        };
        place("/etc/kubernetes/pki/ca.crt", &hidden.ca_certificate, 0o644, false)?;
        place("/etc/kubernetes/pki/ca.key", &hidden.ca_key, 0o600, !hidden.is_masked())
    }

    /// What is done at `path`; `None` if nothing is.
    fn action(
        &self,
        volume: Volume,
        path: &ImagePath,
        item: &Item,
        context: &Value,
    ) -> Result<Option<Action>, Error> {
        Ok(match &item.kind {
            ItemKind::Directory => Some(Action::Directory { access: Access::root(0o755) }),
            ItemKind::Symlink(target) => Some(Action::Symlink { target: target.clone() }),
            ItemKind::File { content, template, mode } => {
                let Some(content) = self.content(path, item, content, *template, context)? else {
                    return Ok(None);
                };
                let content = if is_user_data(volume, path) { self.with_extra(content)? } else { content };
                let (mode, secret) = self.access(path, item, *mode, &content);
                Some(Action::Write { content, access: Access::root(mode), secret })
            }
        })
    }

    fn content(
        &self,
        path: &ImagePath,
        item: &Item,
        content: &[u8],
        template: bool,
        context: &Value,
    ) -> Result<Option<Vec<u8>>, Error> {
        if item.from.is_none()
            && let Some(key) = self.apt_key(path)
        {
            return Ok(match key {
                apt::Baked::Own => Some(content.to_vec()),
                apt::Baked::Given(armoured) => Some(armoured.as_bytes().to_vec()),
                apt::Baked::Fetched => None,
            });
        }
        if !template {
            return Ok(Some(content.to_vec()));
        }
        let source = || item.from.as_ref().map_or_else(|| path.to_string(), |f| f.display().to_string());
        let text = str::from_utf8(content).map_err(|_| Error::TemplateEncoding { template: source() })?;
        let rendered = render::render(&self.env, path.as_str(), text, context)
            .map_err(|error| Error::Template { template: source(), error })?;
        Ok(Some(rendered.into_bytes()))
    }

    fn apt_key(&self, path: &ImagePath) -> Option<apt::Baked<'_>> {
        let sources = &self.from.cluster.sources;
        let (source, own, given) = match path.as_str() {
            apt::DOCKER_KEYRING => (&sources.docker, apt::DOCKER_FINGERPRINT, &self.extras.docker_key),
            apt::KUBERNETES_KEYRING => {
                (&sources.kubernetes, apt::KUBERNETES_FINGERPRINT, &self.extras.kubernetes_key)
            }
            _ => return None,
        };
        Some(apt::baked(source, own, given.as_deref()))
    }

    /// pibake's user-data with the user's joined in.
    fn with_extra(&self, content: Vec<u8>) -> Result<Vec<u8>, Error> {
        match &self.extras.user_data {
            None => Ok(content),
            Some(extra) => {
                let own = String::from_utf8_lossy(&content);
                Ok(user_data::merge(&own, extra)?.into_bytes())
            }
        }
    }

    /// Mode, and whether the content is to be hidden.
    fn access(&self, path: &ImagePath, item: &Item, mode: Option<u16>, content: &[u8]) -> (u16, bool) {
        let placement = placement(path.as_str());
        let by_content = if content.starts_with(b"#!") { 0o755 } else { 0o644 };
        let mode = placement.mode.or(mode).unwrap_or(by_content);
        let hidden = self.from.hidden;
        let secret = match item.from {
            None => !hidden.is_masked() && (placement.secret)(self.from),
            Some(_) => mode & 0o077 == 0,
        };
        (mode, secret)
    }
}

fn is_meta_data(volume: Volume, path: &ImagePath) -> bool {
    volume == Volume::Boot && path.as_str() == META_DATA
}

fn is_user_data(volume: Volume, path: &ImagePath) -> bool {
    volume == Volume::Boot && path.as_str() == USER_DATA
}

/// The kernel's command line, and the links that systemd knows enabled units by.
fn place_boot(changes: &mut Changes, from: &Sources<'_>) -> Result<(), Error> {
    let arguments = kernel::arguments(from);
    changes.insert((Volume::Boot, ImagePath::new(kernel::COMMAND_LINE)?), arguments);
    let units = changes.keys().filter_map(|(volume, path)| {
        let name = path.as_str().strip_prefix(UNITS)?;
        (*volume == Volume::Root && name.starts_with("pibake-") && name.ends_with(".service"))
            .then(|| name.to_owned())
    });
    for name in units.collect::<Vec<_>>() {
        let link = ImagePath::new(format!("{UNITS}multi-user.target.wants/{name}"))?;
        let target = format!("{UNITS}{name}");
        changes.insert((Volume::Root, link), Action::Symlink { target });
    }
    Ok(())
}

/// What cloud-init knows a machine by: another one whenever anything on the card is another, so
/// that a card written anew is set up anew. The hash tells nothing of what went into it, as that
/// always holds a secret that cannot be guessed: the CA's key or the token.
fn instance_id(node: &Node, changes: &[Change]) -> String {
    let mut hash = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        // With the length before each part, no two lists of parts run into one text.
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    for change in changes.iter().filter(|change| !is_meta_data(change.volume, &change.path)) {
        feed(change.volume.label().as_bytes());
        feed(change.path.as_str().as_bytes());
        match &change.action {
            Action::Write { content, access, .. } => {
                feed(b"write");
                feed(format!("{access:?}").as_bytes());
                feed(content);
            }
            other => feed(format!("{other:?}").as_bytes()),
        }
    }
    let digest = hash.finalize();
    let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("pibake-{}-{short}", node.name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;

    /// Every name that a template may print, `network.mode` and the like, but not below lists.
    fn names(prefix: &str, value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    names(&name, value, found);
                }
            }
            _ => found.push(prefix.to_owned()),
        }
    }

    #[test]
    fn the_page_on_overlays_names_all_that_templates_can_print() {
        let text = "[network.wifi]\nssid = \"x\"\nopen = true\n[sources.proxy]\nhttp = \"http://p\"\n";
        let cluster = Cluster::parse("pibake.toml", text, Path::new(""), &Overrides::default()).unwrap();
        let platform = Platform::named("20.04").unwrap();
        let software = cluster.software(&platform).unwrap();
        let from = Sources {
            cluster: &cluster,
            node: &cluster.nodes[0],
            control_plane: &cluster.nodes[0],
            platform: &platform,
            software: &software,
            hidden: &Hidden::unmade(&cluster, &cluster.nodes[0]),
        };
        let mut found = Vec::new();
        names("", &serde_json::to_value(Context::new(&from)).unwrap(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        let page = include_str!("../../docs/overlays.md");
        for name in found {
            let (group, last) = name.rsplit_once('.').unwrap_or(("", &name));
            let row = page.lines().find(|line| {
                let top = group.split('.').next().filter(|top| !top.is_empty()).unwrap_or(last);
                line.starts_with("| `") && line.contains(&format!("`{top}"))
            });
            let row = row.unwrap_or_else(|| panic!("no row for {name}"));
            assert!(row.contains(&format!("{last}`")), "{name} is not in: {row}");
        }
    }
}
