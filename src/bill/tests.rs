//! Bills that are written, read again, and damaged.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Checksums, Digest};
use crate::image_path::ImagePath;

fn path(path: &str) -> ImagePath {
    ImagePath::new(path).unwrap()
}

fn package(name: &str, architecture: &str) -> Package {
    Package { name: name.to_owned(), architecture: architecture.to_owned(), version: "1:2+3".to_owned() }
}

fn file(at: &str, content: &str, access: Option<Mode>, is_preloaded: bool) -> File {
    File { path: path(at), checksums: Checksums::of(content.as_bytes()), access, is_preloaded }
}

fn with<T>(use_it: impl FnOnce(&Bill<'_>) -> T) -> T {
    let installed = [package("libc6", "arm64"), package("libstdc++6", "arm64"), package("tzdata", "all")];
    let root = Some(Mode { mode: 0o644, uid: 0, gid: 0 });
    let deb = path("/var/lib/pibake/payload/packages/kubeadm_1_arm64.deb");
    use_it(&Bill {
        node: "node-1",
        board: None,
        created: 1_700_000_000,
        pibake: "0.1.0",
        base: BaseImage {
            name: "24.04.5",
            digest: Digest::of(b"base"),
            url: Some("https://cdimage.ubuntu.com/x.img.xz"),
            system: Some(("ubuntu", "24.04")),
            installed: &installed,
        },
        added: vec![Added {
            package: package("kubeadm", "arm64"),
            sha256: Digest::of(b"deb"),
            url: "http://10.0.0.1/kubeadm.deb".to_owned(),
            file: Some(&deb),
        }],
        images: vec![ContainerImage {
            repository: "registry.k8s.io/pause".to_owned(),
            tag: Some("3.10"),
            digest: Digest::of(b"manifest"),
        }],
        files: vec![
            file("/boot/firmware/cmdline.txt", "a", None, false),
            file("/etc/hostname", "node-1\n", root, false),
            file(deb.as_str(), "deb", root, true),
        ],
        secrets: vec![path("/etc/pibake/kubeadm.yaml")],
    })
}

fn text() -> Vec<u8> {
    with(|bill| bill.text().unwrap())
}

#[test]
fn a_bill_is_what_spdx_has_for_it() {
    insta::assert_snapshot!(String::from_utf8(text()).unwrap());
}

#[test]
fn the_same_card_has_the_same_bill_and_another_one_another_namespace() {
    assert_eq!(text(), text());
    let namespace = |text: &[u8]| {
        let document: serde_json::Value = serde_json::from_slice(text).unwrap();
        document["documentNamespace"].as_str().unwrap().to_owned()
    };
    let other = with(|bill| Bill { created: 1_700_000_001, ..bill.clone() }.text().unwrap());
    assert_ne!(namespace(&text()), namespace(&other));
    assert!(namespace(&other).starts_with("https://spdx.org/spdxdocs/pibake-node-1-"));
    assert!(with(|bill| Bill { created: i64::MAX, ..bill.clone() }.text()).is_err());
}

#[test]
fn the_board_that_a_card_is_for_is_said() {
    let said = |board| {
        let text = with(|bill| Bill { board, ..bill.clone() }.text().unwrap());
        assert_eq!(Listed::read(&text).unwrap().node, "node-1");
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        document["packages"][0]["comment"].clone()
    };
    assert_eq!(said(Some("pi5")), "It is for the board pi5.");
    assert_eq!(said(None), serde_json::Value::Null);
}

#[test]
fn what_is_written_is_read_again() {
    let listed = Listed::read(&text()).unwrap();
    assert_eq!(listed.node, "node-1");
    assert_eq!(listed.secrets, [path("/etc/pibake/kubeadm.yaml")]);
    with(|bill| {
        assert_eq!(listed.installed, bill.base.installed);
        let files = listed.files.iter().zip(&bill.files);
        assert!(files.len() == 3 && listed.files.len() == 3);
        for (read, written) in files {
            assert_eq!(read.path, written.path);
            assert_eq!(read.sha256, written.checksums.sha256);
            assert_eq!((read.access, read.is_preloaded), (written.access, written.is_preloaded));
        }
    });
}

#[test]
fn other_documents_and_wrong_items_are_refused_in_words() {
    let sound = String::from_utf8(text()).unwrap();
    let hostname = Digest::of(b"node-1\n").to_string();
    for (from, to, said) in [
        ("{", "", "it is not an SPDX document in JSON"),
        ("SPDX-2.3", "SPDX-2.2", "it is written in \"SPDX-2.2\""),
        (
            "\"SPDXRef-Card\",\n      \"name\"",
            "\"SPDXRef-Card2\",\n      \"name\"",
            "it is no bill of a card",
        ),
        ("./etc/hostname", "./etc/../hostname", "'.' or '..'"),
        ("./etc/hostname", "/etc/hostname", "begins with ./"),
        ("./etc/hostname", "./etc/pibake/kubeadm.yaml", "it is listed twice"),
        (hostname.as_str(), "00", "not a SHA-256"),
        ("mode 0644", "mode 0648", "its comment"),
    ] {
        assert!(sound.contains(from), "{from}");
        let error = Listed::read(sound.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(crate::error::one_line(&error).contains(said), "{from}: {error}");
    }
}

proptest! {
    #[test]
    fn damage_is_an_error_or_another_bill_and_never_a_panic(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(), is_cut in any::<bool>(),
    ) {
        let mut damaged = text();
        for (place, byte) in places {
            let at = place.index(damaged.len());
            damaged[at] = byte;
        }
        if is_cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        if let Err(error) = Listed::read(&damaged) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
