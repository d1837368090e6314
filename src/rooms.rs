//! Keeps the order of the rooms, which module may import which, and that of the files inside each room.
//! docs/architecture.md says why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and all rooms that it may import. `main.rs`, `lib.rs` and this file are no rooms.
const MAY_IMPORT: [(&str, &[&str]); 22] = [
    // mechanisms that know nobody
    ("error", &[]),
    ("io", &[]),
    ("progress", &["io"]),
    ("image_path", &[]),
    ("node_paths", &[]),
    ("catalog", &[]),
    ("firmware", &["image_path"]),
    // bytes and file systems: nothing of Pis, clusters or Kubernetes
    ("disk", &["io"]),
    ("fs", &["io", "disk", "image_path"]),
    ("drives", &["io", "disk", "fs"]),
    ("opened", &["io", "disk", "fs", "image_path", "node_paths"]),
    // what is asked, what is secret, what changes: nothing of disks
    ("cluster", &["io", "catalog"]),
    ("identity", &["io", "progress", "cluster"]),
    ("recipe", &["io", "cluster", "identity", "image_path", "node_paths"]),
    ("project", &["io", "progress", "cluster", "identity", "recipe"]),
    // where images come from and go to: nothing of recipes
    ("base", &["io", "disk", "catalog", "progress"]),
    ("sink", &["io", "disk", "fs", "base", "progress"]),
    ("emulator", &["io", "image_path", "node_paths", "opened"]),
    // the one place where both halves meet
    ("bake", &["io", "disk", "fs", "image_path", "firmware", "recipe"]),
    // the one way through all of them
    (
        "workflow",
        &[
            "io",
            "progress",
            "image_path",
            "disk",
            "opened",
            "drives",
            "catalog",
            "cluster",
            "identity",
            "recipe",
            "project",
            "base",
            "bake",
        ],
    ),
    // people
    ("ui", &["io", "progress"]),
    (
        "cli",
        &[
            "io",
            "progress",
            "image_path",
            "firmware",
            "node_paths",
            "catalog",
            "drives",
            "disk",
            "fs",
            "opened",
            "cluster",
            "identity",
            "recipe",
            "project",
            "base",
            "sink",
            "emulator",
            "bake",
            "workflow",
            "ui",
        ],
    ),
];

/// Imported by all: what an error is.
const FOR_ALL: &str = "error";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A file that no `mod` names is not compiled, and nobody notices what is wrong in it.
#[test]
fn every_file_is_part_of_the_program() {
    let is_named = |path: &PathBuf| {
        let (dir, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        let parents = [dir.join("mod.rs"), dir.with_extension("rs"), dir.join("lib.rs")];
        ["lib", "main", "mod"].contains(&name)
            || parents
                .iter()
                .filter_map(|parent| fs::read_to_string(parent).ok())
                .any(|text| text.contains(&format!("mod {name};")))
    };
    let orphans: Vec<_> = files_below(vec![source()]).into_iter().filter(|path| !is_named(path)).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
}

/// The files of a room: `src/ROOM.rs` and all below `src/ROOM/`.
fn files(room: &str) -> Vec<PathBuf> {
    files_below(vec![source().join(format!("{room}.rs")), source().join(room)])
}

/// All source files among these paths and below them.
fn files_below(mut left: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") && path.exists() {
            found.push(path);
        }
    }
    found
}

/// A path that is written in a file, such as `super::plan::Plan`: one for each name in a list.
#[derive(Debug)]
struct Mention {
    path: Vec<String>,
    /// What the file calls it.
    name: String,
    /// It stands in a `use`, and not one that hands it on.
    is_use: bool,
    is_handed_on: bool,
}

/// What one file says.
#[derive(Default)]
struct Text {
    mentions: Vec<Mention>,
    /// All words but those in `use`, and the names of modules where they are declared.
    words: BTreeSet<String>,
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// The words and signs of some source, without its comments and texts.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let behind =
            |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (len, is_code) = match rest {
            _ if rest.starts_with("//") => (behind(2, "\n"), false),
            _ if rest.starts_with("'\"'") => (3, false),
            _ if rest.starts_with("r#\"") => (behind(3, "\"#"), false),
            _ if first == '"' => {
                let mut end = 1;
                while !rest[end..].starts_with('"') && end < rest.len() {
                    end += rest[end..]
                        .chars()
                        .take(1 + usize::from(rest[end..].starts_with('\\')))
                        .map(char::len_utf8)
                        .sum::<usize>();
                }
                (end + 1, false)
            }
            _ if rest.starts_with("::") => (2, true),
            _ => (word.max(first.len_utf8()), !first.is_whitespace()),
        };
        if is_code {
            found.push(rest[..len].to_owned());
        }
        rest = &rest[len..];
    }
    found
}

/// Reads the path at `tokens[at]` and all that its lists hold, each with what it is called. Returns
/// where it ends.
fn read_path(
    tokens: &[String],
    mut at: usize,
    above: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut path = above.to_vec();
    loop {
        if token(at) == "{" {
            at += 1;
            while !["}", ""].contains(&token(at)) {
                at = read_path(tokens, at, &path, found).max(at + 1);
            }
            return at + 1;
        }
        if !is_word(token(at)) {
            // a comma, a glob, or the angle of a type's parameters
            return at;
        }
        // `self` in a list is the module before the list
        if token(at) != "self" || path.is_empty() {
            path.push(token(at).to_owned());
        }
        at += 1;
        if token(at) == "::" && (is_word(token(at + 1)) || token(at + 1) == "{") {
            at += 1;
            continue;
        }
        let renamed = token(at) == "as";
        let name = if renamed { token(at + 1) } else { path.last().map_or("", String::as_str) };
        found.push((path.clone(), name.to_owned()));
        return if renamed { at + 2 } else { at };
    }
}

fn parse(text: &str) -> Text {
    let tokens = tokens(text);
    let mut parsed = Text::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).map_or("", |at| &tokens[at]);
        let is_use = token == "use";
        if is_use || is_word(token) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            let is_handed_on = is_use && ["pub", ")"].contains(&before);
            let mut paths = Vec::new();
            let end = read_path(&tokens, at + usize::from(is_use), &[], &mut paths);
            if !is_use {
                parsed.words.insert(token.clone());
            }
            let mentions = paths.into_iter().map(|(path, name)| Mention { path, name, is_use, is_handed_on });
            parsed.mentions.extend(mentions);
            at = end.max(at + 1);
        } else {
            if before != "mod" {
                parsed.words.insert(token.clone());
            }
            at += 1;
        }
    }
    parsed
}

/// A module, by the names on the way to it from the root of the crate.
type Module = Vec<String>;

/// All modules that are files, without their tests.
fn modules() -> BTreeMap<Module, Text> {
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
    let files = files_below(vec![source()]).into_iter();
    let files = files
        .filter(|path| !["tests", "rooms", "main"].contains(&path.file_stem().unwrap().to_str().unwrap()));
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
fn asks(modules: &BTreeMap<Module, Text>) -> BTreeMap<Module, BTreeMap<Module, String>> {
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
fn reached(asks: &BTreeMap<Module, BTreeMap<Module, String>>, from: &Module) -> BTreeSet<Module> {
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

/// The files of a room stand in an order, too: none asks another for something that, by whatever way,
/// asks it back. That holds for a module and those below it as well: either it is made of them and uses
/// them, or it holds what they share, but not both. Declaring a module and handing on what is in it is
/// no use of it. Methods are not seen, so an `impl` may be spread over the files of a folder.
#[test]
fn no_files_of_a_room_import_each_other_in_a_circle() {
    let asks = asks(&modules());
    let reached: BTreeMap<&Module, BTreeSet<Module>> = asks.keys().map(|m| (m, reached(&asks, m))).collect();
    let mut faults = Vec::new();
    for (module, others) in &asks {
        let back =
            others.iter().filter(|(other, _)| reached.get(other).is_some_and(|all| all.contains(module)));
        faults.extend(
            back.map(|(other, what)| format!("{} asks {} for {what}", module.join("/"), other.join("/"))),
        );
    }
    assert!(asks.len() > 100, "the imports are not found");
    assert!(
        faults.is_empty(),
        "in circles; move what they share to where both may see it:\n{}",
        faults.join("\n")
    );
}

#[test]
fn no_room_imports_against_the_order() {
    let rooms: BTreeSet<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    let mut faults = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        let files = files(room);
        assert!(!files.is_empty(), "there is no room {room}");
        for file in files {
            let text = parse(&fs::read_to_string(&file).unwrap());
            let forbidden = text.mentions.iter().filter(|m| m.path[0] == "crate").filter(|m| {
                let other = m.path.get(1).map_or("", String::as_str);
                rooms.contains(other) && other != room && other != FOR_ALL && !allowed.contains(&other)
            });
            faults.extend(forbidden.map(|m| format!("{} imports {}", file.display(), m.path.join("::"))));
        }
    }
    assert!(faults.is_empty(), "against the order of the rooms:\n{}", faults.join("\n"));
}

/// What the files of all rooms derive `thiserror::Error` for, and where.
fn errors() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for file in MAY_IMPORT.iter().flat_map(|(room, _)| files(room)) {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("thiserror::Error)]") {
            let mut words = text[at..].split(|c: char| !c.is_alphanumeric() && c != '_');
            words.find(|word| ["struct", "enum"].contains(word));
            found.push((words.next().unwrap().to_owned(), file.clone()));
        }
    }
    found
}

#[test]
fn every_error_has_a_class() {
    let errors = errors();
    assert!(errors.len() > 30, "the derivations are not found: {errors:?}");
    for (name, file) in errors {
        let text = fs::read_to_string(&file).unwrap();
        let is_classified = [format!("Classified for {name} {{"), format!("Classified for {name}<")];
        assert!(
            is_classified.iter().any(|line| text.contains(line)),
            "{name} in {} is not Classified",
            file.display()
        );
        // a variant that is added must be thought about
        let classes = text.split("fn class(&self) -> ErrorClass {").skip(1);
        for class in classes.map(|rest| rest.split("\n    }\n").next().unwrap()) {
            assert!(!class.contains("_ =>"), "{}: {class} is not exhaustive", file.display());
        }
    }
}

#[test]
fn every_room_has_its_place() {
    let named: BTreeSet<String> = MAY_IMPORT.iter().map(|(room, _)| (*room).to_owned()).collect();
    let there: BTreeSet<String> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["main", "lib", "rooms"].contains(&name.as_str()))
        .collect();
    assert_eq!(named, there);
    // the order has no circle: each room imports only rooms that stand before it
    for (n, (room, allowed)) in MAY_IMPORT.iter().enumerate() {
        let before: Vec<&str> = MAY_IMPORT.iter().take(n).map(|(room, _)| *room).collect();
        assert!(allowed.iter().all(|other| before.contains(other)), "{room} stands too early");
    }
}

/// The files of `cli` that are no commands: what several of them share.
const SHARED: [&str; 6] = ["base_flags", "description", "exit", "images", "mod", "signals"];

#[test]
fn no_command_imports_another() {
    let cli = source().join("cli");
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let parts: BTreeSet<String> =
        fs::read_dir(&cli).unwrap().map(|entry| stem(&entry.unwrap().path())).collect();
    let commands: BTreeSet<String> =
        parts.iter().filter(|part| !SHARED.contains(&part.as_str())).cloned().collect();
    assert!(commands.contains("build") && commands.contains("flash"), "{commands:?}");
    let mut faults = Vec::new();
    for (module, others) in
        asks(&modules()).iter().filter(|(module, _)| module[0] == "cli" && module.len() > 1)
    {
        let of_commands =
            others.keys().filter(|o| o.get(1).is_some_and(|c| commands.contains(c) && *c != module[1]));
        faults.extend(of_commands.map(|other| format!("{} imports {}", module.join("/"), other.join("/"))));
    }
    assert!(faults.is_empty(), "what two commands share belongs into workflow:\n{}", faults.join("\n"));
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
