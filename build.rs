//! Builds the files of `overlays/` and `cloud-init/` into the program, each as
//! `overlays/manifest.toml` says: `built_in.rs` for the recipes, `node_paths.rs` for all who know a
//! path. A file without an entry, or an entry without a file, is an error. `PIBAKE_VERSION` is what
//! `pibake --version` says.

#[path = "build/commit.rs"]
mod commit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;

const MANIFEST: &str = "overlays/manifest.toml";

/// The folders, as the manifest names them, where they are, and the layers that they are.
const FOLDERS: [(&str, &str, &str); 4] = [
    ("cloud-init", "cloud-init", "CloudInit"),
    ("common", "overlays/common", "Common"),
    ("control-plane", "overlays/control-plane", "ControlPlane"),
    ("worker", "overlays/worker", "Worker"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    when: String,
    mode: String,
    owner: String,
    secret: bool,
    #[serde(default)]
    enable: bool,
    #[serde(rename = "const")]
    constant: Option<String>,
    why: String,
}

type Manifest = BTreeMap<String, BTreeMap<String, Entry>>;

fn main() {
    for watched in ["build.rs", "build", "overlays", "cloud-init"] {
        println!("cargo::rerun-if-changed={watched}");
    }
    version();
    if let Err(fault) = generate() {
        println!("cargo::error={MANIFEST}: {fault}");
        std::process::exit(1);
    }
}

/// The commit is looked up for a release alone: looked up always, each commit of a developer's would
/// compile all of pibake again.
fn version() {
    let package = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let build = if env::var("PROFILE").as_deref() == Ok("release") {
        for watched in commit::watched(&root) {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
        for watched in ["src", "Cargo.toml", "Cargo.lock"] {
            println!("cargo::rerun-if-changed={watched}");
        }
        commit::commit(&root)
    } else {
        Some("debug build".to_owned())
    };
    let build = build.map_or_else(String::new, |build| format!(" ({build})"));
    println!("cargo::rustc-env=PIBAKE_VERSION={package}{build}");
}

fn generate() -> Result<(), String> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets no CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let text = fs::read_to_string(root.join(MANIFEST)).map_err(|e| e.to_string())?;
    let manifest: Manifest = toml::from_str(&text).map_err(|e| e.to_string())?;
    if let Some(unknown) = manifest.keys().find(|name| FOLDERS.iter().all(|(known, ..)| known != name)) {
        return Err(format!("[{unknown}] is none of the folders"));
    }
    let mut table = String::from("static BUILT_IN: &[BuiltIn] = &[\n");
    let mut constants: BTreeMap<&str, String> = BTreeMap::new();
    let empty = BTreeMap::new();
    for (name, folder, layer) in FOLDERS {
        let mut found = BTreeSet::new();
        walk(&root.join(folder), "", &mut found)?;
        let entries = manifest.get(name).unwrap_or(&empty);
        if let Some(missing) = found.iter().find(|file| !entries.contains_key(*file)) {
            return Err(format!(
                "{folder}/{missing} has no entry in [{name}]: say when, mode, owner, secret and why"
            ));
        }
        for (file, entry) in entries {
            let place = format!("{folder}/{file}");
            if !found.contains(file) {
                return Err(format!("there is no {place}, and [{name}] has an entry for it"));
            }
            let path = format!("/{}", file.strip_suffix(".j2").unwrap_or(file));
            let source = root.join(&place);
            row(&mut table, layer, &path, &source, file.ends_with(".j2"), entry)
                .map_err(|why| format!("{place}: {why}"))?;
            if let Some(constant) = &entry.constant
                && constants.insert(constant, path.clone()).is_some_and(|other| other != path)
            {
                return Err(format!("{place}: {constant} is another path elsewhere"));
            }
        }
    }
    table.push_str("];\n");
    let mut paths = String::new();
    for (name, path) in constants {
        let _ = write!(
            paths,
            "/// `{path}`, which is one of the shipped files.\npub const {name}: &str = {path:?};\n"
        );
    }
    let write = |name: &str, text: String| {
        fs::write(out.join(name), text).map_err(|e| format!("writing {name}: {e}"))
    };
    write("built_in.rs", table)?;
    write("node_paths.rs", paths)
}

/// One line of the table.
fn row(
    table: &mut String,
    layer: &str,
    path: &str,
    source: &Path,
    template: bool,
    entry: &Entry,
) -> Result<(), String> {
    let Entry { when, mode, owner, secret, enable, why, .. } = entry;
    let word = when.split('-').map(|part| part[..1].to_uppercase() + &part[1..]).collect::<String>();
    if !when.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') || when.is_empty() {
        return Err(format!("`when` is {when:?}"));
    }
    let bits = u16::from_str_radix(mode, 8).ok().filter(|bits| *bits <= 0o777 && mode.len() == 4);
    let bits = bits.ok_or_else(|| format!("`mode` is {mode:?}, and must be as in \"0644\""))?;
    let group = match owner.as_str() {
        "root:root" => 0,
        // Debian's and Ubuntu's number of the group, in base-passwd
        "root:nogroup" => 65534,
        _ => return Err(format!("`owner` is {owner:?}, and must be root:root or root:nogroup")),
    };
    if *secret && (bits & 0o007 != 0 || (group == 0 && bits & 0o070 != 0)) {
        return Err(format!("it may hold a secret, and mode {mode} lets others read it"));
    }
    if *secret && layer == "CloudInit" {
        return Err("the boot file system keeps no secrets".into());
    }
    // systemd.exec(5) on Environment=: not fit for secrets, since every user may ask for it
    if *secret && path.contains("systemd/system/") {
        return Err(
            "systemd shows what stands in a unit to everybody: name a file of the secret's own there".into(),
        );
    }
    let script = fs::read(source).map_err(|e| e.to_string())?.starts_with(b"#!");
    if script != (bits & 0o111 != 0) && layer != "CloudInit" {
        return Err(format!("mode {mode} does not fit: what begins with #! is executable, and nothing else"));
    }
    if *enable && ![".service", ".timer", ".socket"].iter().any(|end| path.ends_with(end)) {
        return Err("only services, timers and sockets can be enabled".into());
    }
    if why.trim().is_empty() {
        return Err("`why` is empty".into());
    }
    let _ = writeln!(
        table,
        "    BuiltIn {{ layer: Layer::{layer}, path: {path:?}, content: include_bytes!({source:?}), template: {template}, \
         policy: FilePolicy {{ when: When::{word}, access: Access {{ mode: 0o{bits:o}, uid: 0, gid: {group} }}, secret: {secret}, enable: {enable} }}, why: {why:?} }},"
    );
    Ok(())
}

/// The names of all files below `dir`, relative to where the walk began.
fn walk(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) -> Result<(), String> {
    for entry in fs::read_dir(dir).map_err(|e| format!("reading {}: {e}", dir.display()))? {
        let entry = entry.map_err(|e| e.to_string())?;
        let name =
            entry.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
        let name = format!("{prefix}{name}");
        if entry.file_type().map_err(|e| e.to_string())?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.insert(name);
        }
    }
    Ok(())
}
