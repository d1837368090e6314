//! From what is asked and what is secret to all that changes on one card.

use std::collections::BTreeMap;
use std::str;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};

use super::baked::BakedList;
use super::context::Context;
use super::inputs::Inputs;
use super::instance_id::{instance_id, is_meta_data};
use super::overlays::{Item, ItemKind};
use super::render::View;
use super::secret_scanner::SecretScanner;
use super::secrets::{CardSecrets, MASK, Variable};
use super::{Access, Action, Change, Error, Extras, Recipe, Secrecy, Volume};
use super::{apt, kernel, registries, render};
use crate::cluster::{Cluster, Node, Platform, defaults};
use crate::identity::Identity;
use crate::image_path::ImagePath;
use crate::node_paths;

/// Stands in templates' paths for the host name of a registry: such a template makes one file for
/// each registry that has mirrors.
const REGISTRY: &str = "@registry@";

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
    let secrets = CardSecrets::of(cluster, identity, node)?;
    let scanner = secrets.scanner(cluster);
    build(cluster, &secrets, &scanner, node, platform, extras, None)
}

/// The same recipe with asterisks in the place of every secret, to be shown; also where no secrets
/// have been made yet. What is marked as [`Secrecy::Secret`] is a private file of the user's own,
/// which pibake cannot tell the secrets of.
pub fn preview(
    cluster: &Cluster,
    identity: Option<&Identity>,
    node: &Node,
    platform: &Platform,
    extras: &Extras,
) -> Result<Recipe, Error> {
    let (secrets, id) = match identity {
        Some(identity) => {
            let baked = recipe(cluster, identity, node, platform, extras)?;
            (CardSecrets::of(cluster, identity, node)?, instance_id(node, &baked.changes))
        }
        None => (CardSecrets::unknown(cluster, node), format!("pibake-{}-{MASK}", node.name)),
    };
    build(cluster, &secrets.masked(), &secrets.scanner(cluster), node, platform, extras, Some(id))
}

fn build(
    cluster: &Cluster,
    secrets: &CardSecrets,
    scanner: &SecretScanner,
    node: &Node,
    platform: &Platform,
    extras: &Extras,
    known_id: Option<String>,
) -> Result<Recipe, Error> {
    let software = cluster.software(platform)?;
    let control_plane = cluster.control_plane().ok_or(Error::NoControlPlane)?;
    let from = Inputs { cluster, node, control_plane, platform, software: &software, secrets };
    let renderer = Renderer {
        from: &from,
        extras,
        scanner,
        env: render::environment(),
        view: View { actual: context_of(&from), replaced: with_replaced(&from, &Variable::ALL) },
    };
    let mut changes = Changes::new();
    renderer.add_overlays(&mut changes)?;
    renderer.add_keys(&mut changes)?;
    renderer.add_command_line(&mut changes)?;
    renderer.check_extra(&changes)?;
    renderer.add_list(&mut changes)?;
    // Last: the id hangs on all the rest.
    let id = known_id.unwrap_or_else(|| instance_id(node, &as_list(&changes)));
    renderer.add_meta_data(&mut changes, &id)?;
    Ok(Recipe { node: node.name.to_string(), board: node.board, changes: as_list(&changes) })
}

fn context_of(from: &Inputs<'_>) -> Value {
    Value::from(Serde(Context::new(from)))
}

/// What templates see, with other secrets in the place of those.
fn with_replaced(from: &Inputs<'_>, variables: &[Variable]) -> Value {
    context_of(&Inputs { secrets: &from.secrets.replaced(variables), ..*from })
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
struct Renderer<'a> {
    from: &'a Inputs<'a>,
    extras: &'a Extras,
    scanner: &'a SecretScanner,
    env: Environment<'static>,
    view: View,
}

impl Renderer<'_> {
    /// All that lands, but for the meta-data and the command line.
    fn add_overlays(&self, changes: &mut Changes) -> Result<(), Error> {
        for (volume, path, item) in self.extras.overlays.for_role(self.from.node.role) {
            let policy = item.policy.filter(|_| item.from.is_none());
            let unwanted = policy.is_some_and(|policy| !policy.when.holds(self.from));
            if unwanted || is_meta_data(volume, path) || is_command_line(volume, path) {
                continue;
            }
            if path.as_str().contains(REGISTRY) {
                self.add_registries(changes, volume, path, item)?;
                continue;
            }
            if let Some(action) = self.action(volume, path, item, &self.view)? {
                changes.insert((volume, path.clone()), action);
            }
            if item.policy.is_some_and(|policy| policy.enable) {
                enable(changes, path)?;
            }
        }
        Ok(())
    }

    fn add_registries(
        &self,
        changes: &mut Changes,
        volume: Volume,
        path: &ImagePath,
        item: &Item,
    ) -> Result<(), Error> {
        for registry in registries::registries(&self.from.cluster.sources) {
            let place = ImagePath::new(path.as_str().replace(REGISTRY, registry.folder()))?;
            let view = self.view.with(&context! { registry => Value::from(Serde(registry)) });
            if let Some(action) = self.action(volume, &place, item, &view)? {
                changes.insert((volume, place), action);
            }
        }
        Ok(())
    }

    /// The list of all that, on the card itself. The meta-data is not in it, whose id hangs on the list.
    fn add_list(&self, changes: &mut Changes) -> Result<(), Error> {
        let content = BakedList::text(&as_list(changes)).into_bytes();
        let action = Action::Write { content, access: Access::root(0o600), secrecy: Secrecy::Public };
        changes.insert((Volume::Root, ImagePath::new(node_paths::BAKED)?), action);
        Ok(())
    }

    fn add_meta_data(&self, changes: &mut Changes, id: &str) -> Result<(), Error> {
        let view = self.view.with(&context! { instance_id => id });
        for (volume, path, item) in self.extras.overlays.for_role(self.from.node.role) {
            if is_meta_data(volume, path)
                && let Some(action) = self.action(volume, path, item, &view)?
            {
                changes.insert((volume, path.clone()), action);
            }
        }
        Ok(())
    }

    /// The node's SSH host key, where the user has none for it; what a worker joins with again; and the cluster's CA. Its
    /// key goes to the control plane alone, as do the key of encrypted copies of etcd and the copy that it begins with.
    fn add_keys(&self, changes: &mut Changes) -> Result<(), Error> {
        let secrets = self.from.secrets;
        let mut place = |path: &str, content: &str, mode, secrecy| -> Result<(), Error> {
            let content = secrets.mask(content.to_owned()).into_bytes();
            let action = Action::Write { content, access: Access::root(mode), secrecy };
            changes.insert((Volume::Root, ImagePath::new(path)?), action);
            Ok(())
        };
        if let Some(pair) = &secrets.host_key {
            place(node_paths::HOST_KEY, pair.private.reveal(), 0o600, self.secret())?;
            place(node_paths::HOST_PUBLIC_KEY, &format!("{}\n", pair.public), 0o644, Secrecy::Public)?;
        }
        if let Some(conf) = &secrets.join_conf {
            place(node_paths::JOIN_CONF, conf.reveal(), 0o600, self.secret())?;
        }
        if !self.from.node.is_control_plane() {
            return Ok(());
        }
        place(node_paths::CA_CERTIFICATE, &secrets.ca_certificate, 0o644, Secrecy::Public)?;
        place(node_paths::CA_KEY, secrets.ca_key.reveal(), 0o600, self.secret())?;
        if let Some(key) = &secrets.backup_key {
            place(node_paths::BACKUP_KEY, &format!("{}\n", key.reveal()), 0o600, self.secret())?;
        }
        for manifest in &self.extras.manifests {
            // It may have a Secret in it, which pibake cannot tell from other objects' data.
            let content = manifest.text.clone().into_bytes();
            let action = Action::Write { content, access: Access::root(0o600), secrecy: Secrecy::Secret };
            let path = format!("{}/{}", node_paths::MANIFESTS, manifest.name);
            changes.insert((Volume::Root, ImagePath::new(path)?), action);
        }
        if let Some(snapshot) = &self.extras.snapshot {
            let content = snapshot.archive.to_vec();
            let action = Action::Write { content, access: Access::root(0o600), secrecy: Secrecy::Secret };
            changes.insert((Volume::Root, ImagePath::new(node_paths::RESTORED_COPY)?), action);
        }
        Ok(())
    }

    /// The kernel's command line: the image's, or one of the user's own, with what pibake adds.
    fn add_command_line(&self, changes: &mut Changes) -> Result<(), Error> {
        let mut line = None;
        for (volume, path, item) in self.extras.overlays.for_role(self.from.node.role) {
            if is_command_line(volume, path) {
                let action = self.action(volume, path, item, &self.view)?;
                let why = match action {
                    Some(Action::Write { content, .. }) => match String::from_utf8(content) {
                        Ok(text) if text.lines().filter(|line| !line.trim().is_empty()).count() == 1 => {
                            line = Some(text);
                            continue;
                        }
                        Ok(_) => "it must be one line: the firmware ignores all others",
                        Err(_) => "it is not UTF-8",
                    },
                    _ => "it is not a file",
                };
                return Err(Error::CommandLine { file: source_of(path, item), why });
            }
        }
        let arguments = kernel::arguments(self.from, line);
        changes.insert((Volume::Boot, ImagePath::new(node_paths::COMMAND_LINE)?), arguments);
        Ok(())
    }

    /// Refuses settings of the user's with which cloud-init would overwrite what is baked.
    fn check_extra(&self, changes: &Changes) -> Result<(), Error> {
        let Some(extra) = &self.extras.user_data else { return Ok(()) };
        let baked = changes.iter().filter(|(_, action)| !matches!(action, Action::Directory { .. }));
        let baked = baked.map(|((volume, path), _)| match volume {
            Volume::Boot => format!("{}{path}", node_paths::BOOT_MOUNT),
            Volume::Root => path.to_string(),
        });
        let meta_data = format!("{}{}", node_paths::BOOT_MOUNT, node_paths::META_DATA);
        let baked = baked.chain([meta_data]).collect();
        Ok(extra.read(&self.from.cluster.access.user)?.check_files(&baked)?)
    }

    /// What is done at `path`; `None` if nothing is.
    fn action(
        &self,
        volume: Volume,
        path: &ImagePath,
        item: &Item,
        view: &View,
    ) -> Result<Option<Action>, Error> {
        Ok(match &item.kind {
            ItemKind::Directory(mode) => Some(Action::Directory { access: Access::root(*mode) }),
            ItemKind::Symlink(target) => Some(Action::Symlink { target: target.clone() }),
            ItemKind::File { content, template, mode } => {
                let Some((content, printed)) = self.content(path, item, content, *template, view)? else {
                    return Ok(None);
                };
                // Found by its text alone, it is no mask that a preview shows in its place.
                let found = !printed && self.scanner.finds_secret(&content);
                if volume == Volume::Boot && (printed || found) {
                    return Err(self.secret_on_boot(path, item, found));
                }
                let content = if is_user_data(volume, path) { self.with_extra(content)? } else { content };
                let (access, private) = access(item, *mode, printed || found);
                let secrecy = match printed {
                    _ if found || private => Secrecy::Secret,
                    true => self.secret(),
                    false => Secrecy::Public,
                };
                Some(Action::Write { content, access, secrecy })
            }
        })
    }

    /// What a file is that pibake knows the secrets of.
    const fn secret(&self) -> Secrecy {
        if self.from.secrets.is_masked() { Secrecy::Masked } else { Secrecy::Secret }
    }

    /// The bytes that land, and whether a template printed a secret into them.
    fn content(
        &self,
        path: &ImagePath,
        item: &Item,
        content: &[u8],
        template: bool,
        view: &View,
    ) -> Result<Option<(Vec<u8>, bool)>, Error> {
        if item.from.is_none()
            && let Some(key) = self.apt_key(path)
        {
            return Ok(match key {
                apt::RepositoryKey::BuiltIn => Some((content.to_vec(), false)),
                apt::RepositoryKey::FromFile(armoured) => Some((armoured.as_bytes().to_vec(), false)),
                apt::RepositoryKey::Fetched => None,
            });
        }
        if !template {
            return Ok(Some((content.to_vec(), false)));
        }
        let source = || source_of(path, item);
        let text = str::from_utf8(content).map_err(|_| Error::TemplateEncoding { template: source() })?;
        let made = render::render(&self.env, path.as_str(), text, view)
            .map_err(|error| Error::Template { template: source(), error })?;
        Ok(Some((self.from.secrets.mask(made.text).into_bytes(), made.secret)))
    }

    /// Says which secrets the file at `path` holds.
    fn secret_on_boot(&self, path: &ImagePath, item: &Item, found: bool) -> Error {
        let holds = |variable: &Variable| {
            let view =
                View { actual: self.view.actual.clone(), replaced: with_replaced(self.from, &[*variable]) };
            let ItemKind::File { content, .. } = &item.kind else { return false };
            let text = str::from_utf8(content).unwrap_or_default();
            render::render(&self.env, path.as_str(), text, &view).is_ok_and(|made| made.secret)
        };
        let names: Vec<_> = Variable::ALL.iter().filter(|v| !found && holds(v)).map(|v| v.name()).collect();
        let variables = if names.is_empty() { ITS_TEXT.to_owned() } else { names.join(", ") };
        Error::SecretOnBoot { template: source_of(path, item), variables }
    }

    fn apt_key(&self, path: &ImagePath) -> Option<apt::RepositoryKey<'_>> {
        let sources = &self.from.cluster.sources;
        let (source, built_in, file) = match path.as_str() {
            node_paths::DOCKER_KEYRING => {
                (&sources.docker, defaults::DOCKER_FINGERPRINT, &self.extras.docker_key)
            }
            node_paths::KUBERNETES_KEYRING => {
                (&sources.kubernetes, defaults::KUBERNETES_FINGERPRINT, &self.extras.kubernetes_key)
            }
            _ => return None,
        };
        Some(apt::repository_key(source, built_in, file.as_deref()))
    }

    /// pibake's user-data with the user's joined in, which may bring a secret no more than a file may: neither as it
    /// stands there, nor written in one of YAML's other ways.
    fn with_extra(&self, content: Vec<u8>) -> Result<Vec<u8>, Error> {
        let Some(extra) = &self.extras.user_data else { return Ok(content) };
        let user = &self.from.cluster.access.user;
        let texts = extra.read(user)?.texts();
        let mut texts = texts.iter().map(String::as_str).chain([extra.text.as_str()]);
        if texts.any(|text| self.scanner.finds_secret(text.as_bytes())) {
            let (template, variables) = (extra.file.display().to_string(), ITS_TEXT.to_owned());
            return Err(Error::SecretOnBoot { template, variables });
        }
        Ok(extra.merged_into(&String::from_utf8_lossy(&content), user)?.into_bytes())
    }
}

/// How a secret came into a file that no template printed it into.
const ITS_TEXT: &str = "its text is in the file";

/// Owner and mode, and whether the user keeps the file to themselves. A file with a secret is
/// root's alone, unless the manifest says who else needs it, whatever the user's file may be.
fn access(item: &Item, mode: u16, secret: bool) -> (Access, bool) {
    let private = item.from.is_some() && (mode & 0o077 == 0 || item.policy.is_some_and(|p| p.secret));
    let alone = Access::root(if mode & 0o100 == 0 { 0o600 } else { 0o700 });
    let access = match item.policy {
        Some(policy) if policy.secret => policy.access,
        _ if secret => alone,
        Some(policy) if item.from.is_none() => policy.access,
        _ => Access::root(mode),
    };
    (access, private)
}

/// What a file is called in messages.
fn source_of(path: &ImagePath, item: &Item) -> String {
    item.from.as_ref().map_or_else(|| path.to_string(), |from| from.display().to_string())
}

fn is_user_data(volume: Volume, path: &ImagePath) -> bool {
    volume == Volume::Boot && path.as_str() == node_paths::USER_DATA
}

/// FAT knows no case.
fn is_command_line(volume: Volume, path: &ImagePath) -> bool {
    volume == Volume::Boot && path.as_str().eq_ignore_ascii_case(node_paths::COMMAND_LINE)
}

/// The link that systemd knows an enabled unit by, unless the user has put something there.
fn enable(changes: &mut Changes, unit: &ImagePath) -> Result<(), Error> {
    let name = unit.file_name().unwrap_or_default();
    let target = match name.rsplit_once('.') {
        Some((_, "timer")) => "timers",
        Some((_, "socket")) => "sockets",
        _ => "multi-user",
    };
    let link = ImagePath::new(format!("{UNITS}{target}.target.wants/{name}"))?;
    changes.entry((Volume::Root, link)).or_insert_with(|| Action::Symlink { target: unit.to_string() });
    Ok(())
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
        let from = Inputs {
            cluster: &cluster,
            node: &cluster.nodes[0],
            control_plane: &cluster.nodes[0],
            platform: &platform,
            software: &software,
            secrets: &CardSecrets::unknown(&cluster, &cluster.nodes[0]),
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
