//! docs/first-hour.md against a new run of what made it.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{run, tool};

#[test]
fn a_new_users_first_hour_is_what_the_page_shows() {
    // the script drives these, and says less of one that is missing
    for (program, package) in [("tmux", "tmux"), ("faketime", "faketime"), ("setpriv", "util-linux")] {
        let _ = tool(program, package);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = run(Command::new(root.join("tests/first-hour")).arg(env!("CARGO_BIN_EXE_pibake")));
    let page = fs::read_to_string(root.join("docs/first-hour.md")).unwrap();
    for (old, new) in page.lines().zip(made.lines()) {
        assert_eq!(old, new, "tests/first-hour makes the page anew");
    }
    assert_eq!(page, made, "tests/first-hour makes the page anew");
}
