//! Keeps the order of the rooms: which module may import which. docs/architecture.md says why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and all rooms that it may import. `main.rs`, `lib.rs` and this file are no rooms.
const MAY_IMPORT: [(&str, &[&str]); 22] = [
    // mechanisms that know nobody
    ("error", &[]),
    ("io", &[]),
    ("progress", &[]),
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
    ("identity", &["io", "cluster"]),
    ("recipe", &["io", "cluster", "identity", "image_path", "node_paths"]),
    ("project", &["io", "cluster", "identity", "recipe"]),
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

/// The rooms that a file imports: what follows `crate::`, also in braces.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name.trim();
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            found.insert(name[..end].to_owned());
        }
    }
    found
}

#[test]
fn no_room_imports_against_the_order() {
    let rooms: BTreeSet<&str> = MAY_IMPORT.iter().map(|(room, _)| *room).collect();
    let mut faults = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        let files = files(room);
        assert!(!files.is_empty(), "there is no room {room}");
        for file in files {
            let imported = imports(&fs::read_to_string(&file).unwrap());
            let forbidden = imported.iter().filter(|i| {
                rooms.contains(i.as_str()) && *i != room && *i != FOR_ALL && !allowed.contains(&i.as_str())
            });
            faults.extend(forbidden.map(|other| format!("{} imports {other}", file.display())));
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

/// The commands whose files a file of `cli` imports, by what is said from the command's own folder up.
fn commands_in(text: &str, commands: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for prefix in ["super::", "cli::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            found.extend(names.into_iter().filter_map(|name| {
                let name = name.trim();
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                commands.get(&name[..end]).cloned()
            }));
        }
    }
    found
}

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
    for file in files("cli") {
        let own = file.strip_prefix(&cli).unwrap().components().next().unwrap();
        let own = stem(Path::new(own.as_os_str()));
        if own == "mod" {
            continue;
        }
        let others = commands_in(&fs::read_to_string(&file).unwrap(), &commands);
        faults
            .extend(others.iter().filter(|c| **c != own).map(|c| format!("{} imports {c}", file.display())));
    }
    assert!(faults.is_empty(), "what two commands share belongs into workflow:\n{}", faults.join("\n"));
}

#[test]
fn imports_of_commands_are_found_in_every_form() {
    let commands: BTreeSet<String> = ["build", "drives", "plan"].map(str::to_owned).into();
    let text = "super::super::build::chosen(x);\nuse super::{exit, plan::y};\n// super::z\nuse crate::cli::drives;\n";
    assert_eq!(commands_in(text, &commands).into_iter().collect::<Vec<_>>(), ["build", "drives", "plan"]);
    assert!(commands_in("use super::building;\nuse crate::drives::Own;\n", &commands).is_empty());
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::disk::Patch;\nuse crate::{base, sink::{self}};\n// crate::cli\nlet x = crate::io::is_zero;";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["base", "disk", "io", "sink"]);
}
