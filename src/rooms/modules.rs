//! Which module asks which other for something.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::mentions::{Text, parse};
use super::{files_below, source};

/// A module, by the names on the way to it from the root of the crate.
pub(super) type Module = Vec<String>;

/// All modules that are files, without their tests.
pub(super) fn modules() -> BTreeMap<Module, Text> {
    let names = |path: &Path| {
        let path = path.strip_prefix(source()).unwrap().with_extension("");
        let mut names: Module = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.pop_if(|last| ["mod", "lib"].contains(&last.as_str()));
        names
    };
    let text = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        parse(text.split("#[cfg(test)]\nmod tests {").next().unwrap())
    };
    let files = files_below(vec![source()]).into_iter().filter(|path| {
        !path.starts_with(source().join("rooms"))
            && !["tests", "main"].contains(&path.file_stem().unwrap().to_str().unwrap())
    });
    files.map(|path| (names(&path), text(&path))).collect()
}

/// The module that defines what `path` means in the module `from`: names that others hand on are
/// followed. `None` for what is not of this crate, and for modules.
fn definer(modules: &BTreeMap<Module, Text>, from: &[String], path: &[String]) -> Option<Module> {
    let (mut at, mut rest) = (from.to_vec(), path.to_vec());
    // of modules that are written inside a file, one may hand on what it has from the file
    for _ in 0..20 {
        match rest.first()?.as_str() {
            "crate" => (at, rest) = (Vec::new(), rest.split_off(1)),
            "self" => rest = rest.split_off(1),
            "super" => {
                at.pop()?;
                rest = rest.split_off(1);
            }
            name => {
                let child = [&at[..], &rest[..1]].concat();
                let import = modules.get(&at)?.mentions.iter().find(|m| m.is_use && m.name == name);
                match import {
                    _ if modules.contains_key(&child) => (at, rest) = (child, rest.split_off(1)),
                    Some(import) if import.path[0] != name => {
                        rest.splice(..1, import.path.clone()).for_each(drop)
                    }
                    _ => return Some(at),
                }
            }
        }
    }
    None
}

/// Which modules of its own room each module asks for something, with one thing that it asks for.
pub(super) fn asks(modules: &BTreeMap<Module, Text>) -> BTreeMap<Module, BTreeMap<Module, String>> {
    let mut asks: BTreeMap<Module, BTreeMap<Module, String>> = BTreeMap::new();
    for (module, text) in modules {
        for mention in &text.mentions {
            let Some(other) = definer(modules, module, &mention.path) else { continue };
            // what is only handed on, to all the world or to the modules below, is not asked for
            let only_handed_on = mention.is_use
                && (mention.is_handed_on || other.starts_with(module))
                && !text.words.contains(&mention.name);
            if other != *module && other.first() == module.first() && !only_handed_on {
                asks.entry(module.clone()).or_default().insert(other, mention.path.join("::"));
            }
        }
    }
    asks
}

/// All that `from` asks, and all that these ask.
pub(super) fn reached(asks: &BTreeMap<Module, BTreeMap<Module, String>>, from: &Module) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        left.extend(
            asks.get(module)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .filter(|other| found.insert((*other).clone())),
        );
    }
    found
}

#[test]
fn imports_are_found_in_every_form() {
    let own =
        "pub(crate) use crate::base::{Spec as S, sink::{self, Copy}};\nuse child::Kind;\nuse super::other;\n";
    let body = "// super::no\nconst T: &str = \"super::no \\\" other\";\nfn f(x: other::Own) -> Kind { sink::go::<u8>(); std::fs::read(); let y = super::super::io::Z; }\n";
    let at =
        |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Module>();
    let mut modules: BTreeMap<Module, Text> =
        ["", "base", "base/sink", "io", "room/other", "room/part/child"].map(|m| (at(m), parse(""))).into();
    modules.insert(at("room/part"), parse(&[own, body].concat()));
    // handed on from below
    modules.insert(at("room"), parse("mod part;\npub use part::{S, Kind};\nmod other;"));
    let definers = |from: &str| -> BTreeSet<String> {
        let mentions = modules[&at(from)].mentions.iter();
        mentions
            .filter_map(|m| definer(&modules, &at(from), &m.path))
            .map(|m| m.join("/"))
            .filter(|m| m != from)
            .collect()
    };
    assert_eq!(
        definers("room/part").into_iter().collect::<Vec<_>>(),
        ["base", "base/sink", "io", "room/other", "room/part/child"]
    );
    assert_eq!(definers("room").into_iter().collect::<Vec<_>>(), ["base", "room/part/child"]);
    let asks = asks(&modules);
    assert_eq!(asks.keys().map(|m| m.join("/")).collect::<Vec<_>>(), ["room/part"], "{asks:?}");
    assert_eq!(
        asks[&at("room/part")].keys().map(|m| m.join("/")).collect::<Vec<_>>(),
        ["room/other", "room/part/child"]
    );
}
