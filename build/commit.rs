//! Which commit the program is built from, for `pibake --version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit that are shown: enough to find it, few enough to read aloud.
const SHOWN: usize = 12;

/// The commit of the sources in `root`, followed by `-modified` if they differ from it.
///
/// A crate says so in the file that `cargo package` puts into it. Anything else is asked of git, and
/// only where `root` is a checkout of its own: the commit of a repository that the sources were
/// merely unpacked in is not theirs. `None` where nobody knows, also where there is no git.
pub fn commit(root: &Path) -> Option<String> {
    let (commit, modified) = match fs::read_to_string(root.join(".cargo_vcs_info.json")) {
        Ok(text) => (packaged(&text)?, text.contains("\"dirty\": true")),
        Err(_) if own_checkout(root) => (
            git(root, &["rev-parse", "HEAD"])?,
            !git(root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty(),
        ),
        Err(_) => return None,
    };
    let shown = commit.get(..SHOWN)?;
    Some(if modified { format!("{shown}-modified") } else { shown.to_owned() })
}

/// The files whose change may mean another commit.
pub fn watched(root: &Path) -> Vec<PathBuf> {
    if !own_checkout(root) {
        return Vec::new();
    }
    let path = |name: &str| git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
    // a branch that moves leaves HEAD as it is, and is noted in the log
    ["HEAD", "logs/HEAD", "packed-refs"].into_iter().filter_map(path).filter(|path| path.exists()).collect()
}

/// The commit in what `cargo package` writes: `{ "git": { "sha1": "…" }, … }`.
fn packaged(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    (commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit())).then(|| commit.to_owned())
}

fn own_checkout(root: &Path) -> bool {
    root.join(".git").exists()
        && git(root, &["rev-parse", "--show-prefix"]).is_some_and(|below| below.is_empty())
}

/// What git prints about the repository of `root`, whichever one the environment names.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let out = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
