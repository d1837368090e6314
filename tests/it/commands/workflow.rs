//! What `build`, `flash`, `boot` and `plan` do alike: warn of the same, refuse before anything is fetched, and
//! tell of a base that was in use.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use support::http::Server;
use support::images;

/// What each command is given, so that it ends before it needs more than the description.
const COMMANDS: [&[&str]; 4] = [
    &["plan"],
    &["build", "--node", "1"],
    &["boot", "--print", "--node", "1"],
    #[cfg(target_os = "linux")]
    &["flash", "/dev/null", "--node", "1"],
];

fn pibake(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pibake"));
    command.current_dir(dir).env("XDG_CACHE_HOME", dir.join("cache")).args(arguments);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn warnings(output: &Output) -> BTreeSet<String> {
    said(output).lines().filter(|line| line.contains("warning: ")).map(str::to_owned).collect()
}

#[test]
fn every_command_warns_of_the_same() {
    for (text, expected) in [
        ("", &["no radio network is described"][..]),
        (
            "[network.wifi]\nssid = \"home\"\npassword = \"a long secret\"\n",
            &["network.wifi.country is not given", "pibake.toml holds secrets (network.wifi.password)"],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pibake.toml");
        std::fs::write(&file, format!("{text}[base]\nimage = \"./none.img\"\n")).unwrap();
        let found: Vec<_> =
            COMMANDS.iter().map(|arguments| warnings(&pibake(dir.path(), arguments))).collect();
        for (arguments, found_by) in COMMANDS.iter().zip(&found) {
            assert_eq!(*found_by, found[0], "{arguments:?}");
            for part in expected {
                let told = found_by.iter().filter(|line| line.contains(part)).count();
                assert_eq!(told, 1, "{arguments:?} and {part}: {found_by:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_is_fetched() {
    let server = Server::start();
    // kubelet 1.36 does not run on the cgroups of 20.04
    let text = format!(
        "[base]\nimage = \"20.04.5\"\nmirror = \"{}\"\n[kubernetes]\nversion = \"1.36\"\n",
        server.url("").trim_end_matches('/')
    );
    for arguments in COMMANDS.iter().filter(|arguments| arguments[0] != "flash") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pibake.toml"), &text).unwrap();
        let output = pibake(dir.path(), arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("kubernetes.version: "), "{arguments:?}: {said}");
        assert!(!dir.path().join(".pibake").exists(), "{arguments:?} made secrets");
    }
    assert!(server.all_seen().is_empty(), "something was fetched");
}

#[test]
fn a_base_that_was_in_use_is_told_of_wherever_it_is_baked() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (path, content) in images::ROOT_FILES {
        images::put(&root.join(path), content);
    }
    images::put(&root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    let (image, _) = images::Spec { ext4_mib: 32, ..images::Spec::default() }.make_from(dir.path(), &root);
    let text = format!("[base]\nimage = {:?}\nplatform = \"20.04\"\n", image.to_str().unwrap());
    std::fs::write(dir.path().join("pibake.toml"), text).unwrap();
    let told = |arguments: &[&str]| -> Vec<String> {
        let warnings = warnings(&pibake(dir.path(), arguments));
        warnings.into_iter().filter(|line| line.contains("was in use before")).collect()
    };
    let built = told(&["build", "--node", "1"]);
    assert!(built.len() == 1 && built[0].contains("/etc/machine-id"), "{built:?}");
    assert_eq!(told(&["boot", "--print", "--node", "1"]), built);
}

#[test]
fn an_image_beside_the_description_is_found_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    // a name without a slash or an image's ending, which only the file that is there makes a path
    std::fs::write(dir.path().join("mine"), "no image").unwrap();
    std::fs::write(dir.path().join("pibake.toml"), "[base]\nimage = \"mine\"\n").unwrap();
    for from in [dir.path(), &elsewhere] {
        let output = pibake(from, &["plan", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("mine"), "{}", said(&output));
    }
    std::fs::remove_file(dir.path().join("mine")).unwrap();
    let output = pibake(&elsewhere, &["plan"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("pibake.toml:2:9: base.image: "), "{}", said(&output));
}
