//! What is handed to users: the crate, the archive, the texts of a release, the workflows that make it.

mod archive;
#[path = "../../../build/commit.rs"]
mod commit;
mod crate_files;
mod version;
mod workflows;

use std::path::Path;
use std::process::Command;

use support::tool;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(ROOT).join("packaging").join(name));
    command.current_dir(ROOT);
    command
}

/// git in `dir`, with no settings but these.
fn git(dir: &Path) -> Command {
    let mut git = tool("git", "git");
    git.current_dir(dir).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").args([
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        "-c",
        "init.defaultBranch=main",
    ]);
    git
}
