//! From what is asked and what is secret to all that changes on one card.

use super::inputs::Inputs;
use super::instance_id::{disk_id, instance_id};
use super::kernel;
use super::render::{self, View};
use super::renderer::{Changes, Renderer, as_list, context_of, with_replaced};
use super::secret_scanner::SecretScanner;
use super::secrets::{CardSecrets, MASK, Variable};
use super::{Error, Extras, Recipe};
use crate::cluster::{Cluster, Node, Platform};
use crate::identity::Identity;

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
/// have been made yet. What is marked as [`Secret`](super::Secrecy::Secret) is a private file of the user's own,
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
    renderer.add_fstab(&mut changes)?;
    renderer.check_extra(&changes)?;
    renderer.add_list(&mut changes)?;
    // Last: the id hangs on all the rest.
    let id = known_id.unwrap_or_else(|| instance_id(node, &as_list(&changes)));
    renderer.add_meta_data(&mut changes, &id)?;
    Ok(Recipe {
        node: node.name.to_string(),
        board: node.board,
        modules: kernel::modules(&from),
        disk_id: disk_id(&id),
        changes: as_list(&changes),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Overrides;
    use crate::recipe::context::Context;

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
