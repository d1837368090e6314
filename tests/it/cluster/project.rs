//! A description with its secrets beside it, and the recipes that come of both.

use std::fs;
use std::path::Path;

use pibake::cluster::{Overrides, Platform};
use pibake::project::{Error, Project};
use pibake::recipe::{Action, Recipe};

fn open(dir: &Path, text: &str) -> Project {
    let file = dir.join("pibake.toml");
    fs::write(&file, text).unwrap();
    Project::open(Some(&file), &Overrides::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn focal() -> Platform {
    Platform::named("20.04").unwrap()
}

fn all_text<'r>(recipes: impl IntoIterator<Item = &'r Recipe>) -> String {
    let changes = recipes.into_iter().flat_map(|r| &r.changes);
    let texts = changes.filter_map(|c| match &c.action {
        Action::Write { content, .. } => Some(String::from_utf8_lossy(content).into_owned()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn a_project_is_a_description_with_its_secrets_beside() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pibake.toml");
    fs::write(&file, "nodes = 2\n").unwrap();
    let project = Project::open(Some(&file), &Overrides::default()).unwrap();
    assert_eq!(project.existing_identity().unwrap(), None);
    let identity = project.identity().unwrap();
    assert_eq!(project.store().dir(), dir.path().join(".pibake"));
    let grown = Overrides { nodes: Some(5), ..Overrides::default() };
    let again = Project::open(Some(&file), &grown).unwrap();
    let mut found = again.identity().unwrap();
    assert_eq!(again.cluster.nodes.len(), 5);
    // The new nodes have something to join with, and all else is what it was.
    assert_ne!(found.joining, identity.joining);
    found.joining = identity.joining.clone();
    assert_eq!(found, identity);
    let missing = Project::open(Some(&dir.path().join("other.toml")), &grown).unwrap_err();
    assert!(missing.to_string().contains("other.toml does not exist: write one with pibake init"));
}

#[test]
fn the_same_project_gives_the_same_recipes() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[access]\npassword = \"never in clear\"\n[network.wifi]\nssid = \"home\"\npassword = \"never in clear\"\n";
    let recipes = open(dir.path(), text).recipes(&focal()).unwrap();
    assert!(recipes.iter().all(|(name, recipe)| *name == recipe.node));
    let names: Vec<&str> = recipes.keys().map(String::as_str).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3", "node-4"]);
    assert_eq!(open(dir.path(), text).recipes(&focal()).unwrap(), recipes);
    assert!(!all_text(recipes.values()).contains("never in clear"), "passwords are hashed on cards");
    let elsewhere = tempfile::tempdir().unwrap();
    assert_ne!(open(elsewhere.path(), text).recipes(&focal()).unwrap(), recipes, "secrets differ");
}

#[test]
fn previews_make_nothing_and_show_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let project = open(dir.path(), "");
    let previews = || -> Vec<Recipe> {
        let nodes = project.cluster.nodes.iter();
        nodes.map(|node| project.preview(node, &focal()).unwrap()).collect()
    };
    assert_eq!(previews().len(), 4);
    assert!(!project.store().dir().exists());
    let identity = project.identity().unwrap();
    let shown = all_text(&previews());
    let baked = all_text(project.recipes(&focal()).unwrap().values());
    assert!(shown.contains(&identity.ca_hash) && baked.contains(identity.tokens.of(4).unwrap().reveal()));
    for secret in [identity.tokens.of(2).unwrap(), &identity.ca_key, &identity.admin_key, &identity.salt] {
        assert!(!shown.contains(secret.reveal().trim()));
    }
    assert!(!baked.contains(identity.salt.reveal()) && !baked.contains(identity.admin_key.reveal()));
}

#[test]
fn what_cannot_be_built_leaves_no_secrets_behind() {
    let dir = tempfile::tempdir().unwrap();
    let project = open(dir.path(), "[kubernetes]\nversion = \"1.36\"\n");
    let refused = project.recipes(&focal()).unwrap_err();
    assert!(matches!(refused, Error::Recipe(_)), "{refused:?}");
    assert!(refused.to_string().contains(":2:11: kubernetes.version: "), "{refused}");
    assert!(!project.store().dir().exists());
}
