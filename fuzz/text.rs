//! What must hold of text from outside: descriptions, cloud-config, and small files of images.

use std::path::{Path, PathBuf};

use pibake::boards::Board;
use pibake::cluster::{Cluster, Overrides, Platform};
use pibake::firmware::command_lines;
use pibake::image_path::ImagePath;
use pibake::recipe::{CloudConfig, ExtraError};
use pibake::ui::{visible, visible_line};

/// A pibake.toml.
pub fn description(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = || Cluster::parse("pibake.toml", text, Path::new("/nonexistent"), &Overrides::default());
    match (read(), read()) {
        (Ok(one), Ok(other)) => {
            assert!(!one.nodes.is_empty());
            assert_eq!(one.nodes, other.nodes, "it is read another way the second time");
            let _ = one.warnings();
        }
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        _ => panic!("it is right once and wrong once"),
    }
}

/// Settings of cloud-init: what was joined is read again as the same.
pub fn cloud_config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let joined = |own: &str, text: &str| -> Result<String, ExtraError> {
        CloudConfig { file: PathBuf::from("extra.yaml"), text: text.to_owned() }.merged_into(own, "ubuntu")
    };
    match joined("", text) {
        Ok(once) => {
            let twice = joined("", &once).unwrap_or_else(|e| panic!("{e}\n{once}"));
            assert_eq!(once, twice, "it is another one when it was written");
            let own = "#cloud-config\ngrowpart:\n  mode: auto\nruncmd:\n  - [\"true\"]\n";
            joined(own, text).expect("what is right alone is right with other settings");
        }
        Err(error) => {
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!((1..=lines + 1).contains(&error.line), "line {} of {lines}", error.line);
            assert!(!error.why.is_empty());
        }
    }
}

/// Small files of an image or a card: os-release, the firmware's settings with what they include, logs.
pub fn card_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _ = Platform::from_os_release(&text);
    // files are parted by NUL, which is in none of them
    let parts: Vec<&[u8]> = input.split(|byte| *byte == 0).collect();
    let names = ["/config.txt", "/tryboot.txt", "/a.txt", "/b.txt", "/cmdline.txt", "/p/cmdline.txt"];
    let files = |path: &ImagePath| -> Result<Option<Vec<u8>>, std::io::Error> {
        let index = names.iter().position(|name| name.eq_ignore_ascii_case(path.as_str()));
        Ok(index.and_then(|index| parts.get(index)).map(|part| part.to_vec()))
    };
    for boards in std::iter::once([].as_slice()).chain(Board::ALL.chunks(1)) {
        if let Ok(found) = command_lines(&files, boards) {
            assert!(!found.is_empty(), "{boards:?} has no command line, and nobody says so");
        }
    }
    let is_shown = |c: char| !c.is_control();
    assert!(visible(&text).chars().all(|c| is_shown(c) || c == '\n' || c == '\t'), "a terminal obeys it");
    assert!(visible_line(&text).chars().all(is_shown), "a terminal obeys it");
}
