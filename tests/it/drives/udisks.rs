//! Drives that udisks2 opens, as whoever asks it gets them: a udisks2 of the tests' own on a message bus of its own.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use pibake::drives::linux::udisks::{Bus, Error, open};
use pibake::error::{Classified, ErrorClass};
use support::udisks::{self, Permission, Udisks};

const CARD: &str = "/dev/card";

/// Opens `path` by a udisks2 that knows the card, with the file `drive` behind it.
fn opened(
    permission: Permission,
    drive: &str,
    path: &str,
    may_be_asked: bool,
) -> (Result<fs::File, Error>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("drive"), "before").unwrap();
    let bus = udisks::Bus::new(dir.path());
    let service = Udisks::new(&bus, Path::new(CARD), &dir.path().join(drive), permission);
    (open(Bus::At(&bus.address), Path::new(path), may_be_asked), service.asked())
}

#[test]
fn a_drive_is_opened_for_reading_and_writing_and_for_nobody_else() {
    let (file, asked) = opened(Permission::Given, "drive", CARD, true);
    let mut file = file.unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "before");
    file.write_all(b"after").unwrap();
    // O_EXCL and O_CLOEXEC as Linux numbers them (asm-generic/fcntl.h)
    assert_eq!(asked, ["rw 0x80080 asking"]);
}

#[test]
fn each_no_has_its_words_and_its_class() {
    for (permission, words, class) in [
        (Permission::Dismissed, "the question for permission was closed", ErrorClass::Cancelled),
        (Permission::NobodyToAsk, "nobody can be asked for permission here", ErrorClass::Failed),
        (Permission::Denied, "polkit does not permit it", ErrorClass::Failed),
    ] {
        let error = opened(permission, "drive", CARD, true).0.unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(error.class(), class, "{error}");
    }
    // whoever asks nothing is not asked
    let (file, asked) = opened(Permission::Given, "drive", CARD, false);
    assert!(matches!(file, Err(Error::NobodyToAsk)), "{file:?}");
    assert_eq!(asked, ["rw 0x80080 silent"]);
}

#[test]
fn what_cannot_be_opened_is_told_in_the_words_of_udisks() {
    let error = opened(Permission::Given, "none", CARD, true).0.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.ends_with("No such file or directory")), "{error}");
    let error = opened(Permission::Given, "drive", "/dev/other", true).0.unwrap_err();
    assert_eq!(error.to_string(), "udisks2 does not know /dev/other");
}

#[test]
fn a_machine_without_udisks_or_without_a_bus_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:path={}", dir.path().join("none").display());
    let bus = udisks::Bus::new(dir.path());
    for address in [nowhere.as_str(), &bus.address, "no address"] {
        let error = open(Bus::At(address), Path::new(CARD), true).unwrap_err();
        assert!(matches!(error, Error::Absent), "{address}: {error:?}");
    }
}
