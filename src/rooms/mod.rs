//! Keeps the order of the rooms, which module may import which, and that of the files inside each room.
//! docs/architecture.md says why.

mod mentions;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mentions::parse;
use modules::{Module, asks, modules, reached};

/// Each room, and all rooms that it may import. `main.rs`, `lib.rs` and this folder are no rooms.
const MAY_IMPORT: [(&str, &[&str]); 30] = [
    // mechanisms that know nobody
    ("error", &[]),
    ("io", &[]),
    ("progress", &[]),
    ("image_path", &[]),
    ("node_paths", &[]),
    ("catalog", &[]),
    ("registry", &["catalog"]),
    ("boards", &[]),
    ("firmware", &["image_path", "boards"]),
    // bytes and file systems: nothing of Pis, clusters or Kubernetes
    ("disk", &["io"]),
    ("fs", &["io", "disk", "image_path"]),
    ("drives", &["io", "disk", "fs"]),
    ("image_reader", &["io", "disk", "fs", "image_path", "node_paths"]),
    // what is asked, what is secret, what changes: nothing of disks
    ("cluster", &["io", "catalog", "registry", "boards"]),
    ("identity", &["io", "cluster"]),
    ("recipe", &["io", "registry", "boards", "cluster", "identity", "image_path", "node_paths"]),
    ("project", &["io", "cluster", "identity", "recipe"]),
    // where images come from and go to: nothing of recipes
    ("http", &["io", "catalog", "progress"]),
    ("base", &["io", "disk", "catalog", "progress", "http"]),
    ("oci", &["io", "catalog", "registry", "progress", "http", "base"]),
    ("apt", &["io", "catalog", "http", "base"]),
    ("fleet", &["io", "disk", "catalog", "registry", "progress", "http", "base", "oci"]),
    ("sink", &["io", "disk", "fs", "base", "progress"]),
    ("emulator", &["io", "image_path", "node_paths", "boards", "firmware", "image_reader"]),
    // what is on a card, for people and their programs: nothing of how it came there
    ("bill", &["catalog", "image_path"]),
    // what all nodes need besides: of what a base has and a recipe changes
    (
        "payload",
        &[
            "io",
            "image_path",
            "node_paths",
            "catalog",
            "registry",
            "http",
            "fs",
            "image_reader",
            "cluster",
            "recipe",
            "base",
            "apt",
            "oci",
        ],
    ),
    // the one place where both halves meet
    ("bake", &["io", "disk", "fs", "image_path", "node_paths", "catalog", "boards", "firmware", "recipe"]),
    // the one way through all of them
    (
        "workflow",
        &[
            "io",
            "progress",
            "image_path",
            "node_paths",
            "disk",
            "fs",
            "image_reader",
            "drives",
            "catalog",
            "registry",
            "boards",
            "cluster",
            "identity",
            "recipe",
            "project",
            "base",
            "oci",
            "payload",
            "bake",
            "apt",
            "bill",
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
            "boards",
            "firmware",
            "node_paths",
            "catalog",
            "drives",
            "disk",
            "fs",
            "image_reader",
            "cluster",
            "identity",
            "recipe",
            "project",
            "base",
            "sink",
            "emulator",
            "payload",
            "bake",
            "fleet",
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

/// The table of docs/architecture.md is this one.
#[test]
fn the_rooms_are_as_they_are_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let cell =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
        let [name, _, imports] = cells.as_slice() else { return None };
        Some((name.trim_end_matches('`').to_owned(), cell(imports)))
    });
    let documented: Vec<(String, Vec<String>)> = rows.collect();
    let known: Vec<(String, Vec<String>)> = MAY_IMPORT
        .map(|(room, imports)| (room.to_owned(), imports.iter().map(|i| (*i).to_owned()).collect()))
        .into();
    assert_eq!(documented, known);
}

/// A file that no `mod` names is not compiled, and nobody notices what is wrong in it.
#[test]
fn every_file_is_part_of_the_program() {
    let is_named = |path: &PathBuf| {
        let (dir, name) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
        let parents = [dir.join("mod.rs"), dir.join("lib.rs")];
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
const SHARED: [&str; 21] = [
    "awake",
    "baked",
    "base_flags",
    "compared",
    "description",
    "exit",
    "fleets",
    "gitignore",
    "images",
    "json",
    "kubectl",
    "mod",
    "named",
    "next",
    "readers",
    "remote",
    "session",
    "shortened",
    "stranger",
    "talk",
    "written",
];

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
