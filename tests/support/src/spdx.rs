//! SPDX's own validator, which judges bills: `tests/install-spdx` puts it there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Panics unless pyspdxtools finds the document valid.
pub fn assert_valid(document: &Path) {
    run(Command::new(program()).arg("--infile").arg(document));
}

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folders = cache.map(|cache| cache.join("pibake-test")).and_then(|dir| std::fs::read_dir(dir).ok());
    let folders = folders.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_ours =
        |dir: &PathBuf| dir.file_name().is_some_and(|n| n.to_string_lossy().starts_with("spdx-tools-"));
    let found =
        folders.filter(is_ours).map(|dir| dir.join("bin/pyspdxtools")).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("this test needs pyspdxtools of the Python package spdx-tools: run tests/install-spdx (`make test` does)")
    })
}
