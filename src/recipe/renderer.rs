//! Makes the files of a card from overlays, templates and settings, each with its owner, mode and secrecy.

use std::collections::BTreeMap;
use std::str;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};

use super::baked::BakedList;
use super::context::Context;
use super::inputs::Inputs;
use super::instance_id::is_meta_data;
use super::overlays::{Item, ItemKind};
use super::render::View;
use super::secret_scanner::SecretScanner;
use super::secrets::Variable;
use super::wifi_files::WifiFile;
use super::{Access, Action, Change, Error, Extras, Secrecy, Volume};
use super::{apt, kernel, registries, render};
use crate::cluster::defaults;
use crate::image_path::ImagePath;
use crate::node_paths;

/// Stands in templates' paths for the host name of a registry: such a template makes one file for
/// each registry that has mirrors.
const REGISTRY: &str = "@registry@";

/// Where units that are not a package's are.
const UNITS: &str = "/etc/systemd/system/";

pub(super) type Changes = BTreeMap<(Volume, ImagePath), Action>;

pub(super) fn context_of(from: &Inputs<'_>) -> Value {
    Value::from(Serde(Context::new(from)))
}

/// What templates see, with other secrets in the place of those.
pub(super) fn with_replaced(from: &Inputs<'_>, variables: &[Variable]) -> Value {
    context_of(&Inputs { secrets: &from.secrets.replaced(variables), ..*from })
}

pub(super) fn as_list(changes: &Changes) -> Vec<Change> {
    let change = |((volume, path), action): (&(Volume, ImagePath), &Action)| Change {
        volume: *volume,
        path: path.clone(),
        action: action.clone(),
    };
    changes.iter().map(change).collect()
}

/// Where files are made.
pub(super) struct Renderer<'a> {
    pub(super) from: &'a Inputs<'a>,
    pub(super) extras: &'a Extras,
    pub(super) scanner: &'a SecretScanner,
    pub(super) env: Environment<'static>,
    pub(super) view: View,
}

impl Renderer<'_> {
    /// All that lands, but for the meta-data and the command line.
    pub(super) fn add_overlays(&self, changes: &mut Changes) -> Result<(), Error> {
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
    pub(super) fn add_list(&self, changes: &mut Changes) -> Result<(), Error> {
        let content = BakedList::text(&as_list(changes)).into_bytes();
        let action = Action::Write { content, access: Access::root(0o600), secrecy: Secrecy::Public };
        changes.insert((Volume::Root, ImagePath::new(node_paths::BAKED)?), action);
        Ok(())
    }

    pub(super) fn add_meta_data(&self, changes: &mut Changes, id: &str) -> Result<(), Error> {
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

    /// The node's SSH host key, where the user has none for it; what a worker joins with again; what joins radio networks;
    /// and the cluster's CA. Its
    /// key goes to the control plane alone, as do the key of encrypted copies of etcd and the copy that it begins with.
    pub(super) fn add_keys(&self, changes: &mut Changes) -> Result<(), Error> {
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
        if self.from.cluster.radio_of(self.from.node).is_some() {
            for WifiFile { path, text, is_key } in &self.extras.wifi_files {
                let (mode, secrecy) =
                    if *is_key { (0o600, Secrecy::Secret) } else { (0o644, Secrecy::Public) };
                place(path, text.reveal(), mode, secrecy)?;
            }
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
    pub(super) fn add_command_line(&self, changes: &mut Changes) -> Result<(), Error> {
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

    /// The image's fstab, unless the user has one of their own.
    pub(super) fn add_fstab(&self, changes: &mut Changes) -> Result<(), Error> {
        changes.entry((Volume::Root, ImagePath::new(node_paths::FSTAB)?)).or_insert(Action::Fstab);
        Ok(())
    }

    /// Refuses settings of the user's with which cloud-init would overwrite what is baked.
    pub(super) fn check_extra(&self, changes: &Changes) -> Result<(), Error> {
        let Some(extra) = &self.extras.user_data else { return Ok(()) };
        let is_whole = |action: &Action| !matches!(action, Action::Directory { .. } | Action::Fstab);
        let baked = changes.iter().filter(|(_, action)| is_whole(action));
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
