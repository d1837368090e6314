//! The files of first boot, read by the programs that judge such files.

use std::path::{Path, PathBuf};

use support::walk;

fn overlays() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays")
}

/// Every shell script that lands on a node and is no template.
fn scripts() -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    walk(&overlays(), &mut |file| {
        let text = std::fs::read_to_string(file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        if (first == "#!/bin/sh" || first == "# shellcheck shell=sh") && file.extension().is_none() {
            scripts.push(file.to_owned());
        }
    });
    assert!(scripts.len() > 20, "{scripts:?}");
    scripts
}

#[test]
fn shellcheck_has_nothing_to_say() {
    // Pieces of one program: what one sets another reads, which only `set -u` sees, in every run.
    let mut shellcheck = support::tool("shellcheck", "shellcheck");
    shellcheck.args(["--shell=sh", "--external-sources", "--exclude=SC2154,SC2034"]);
    for layer in ["common", "control-plane"] {
        shellcheck.arg("--source-path").arg(overlays().join(layer).join("usr/lib/pibake"));
    }
    support::run(shellcheck.args(scripts()));
}

/// dash is Ubuntu's sh; the others see that nothing of its own is leaned on.
#[test]
fn every_shell_can_read_them() {
    for script in scripts() {
        support::run(support::tool("dash", "dash").arg("-n").arg(&script));
        support::run(support::tool("busybox", "busybox").args(["sh", "-n"]).arg(&script));
        support::run(support::tool("bash", "bash").args(["--posix", "-n"]).arg(&script));
    }
}

#[test]
fn systemd_accepts_the_units() {
    let units = overlays().join("common/etc/systemd/system");
    let mut verify = support::tool("systemd-analyze", "systemd");
    verify.args(["verify", "--man=no"]);
    for unit in ["pibake-first-boot.service", "pibake-certificates.service", "pibake-certificates.timer"] {
        verify.arg(units.join(unit));
    }
    let out = verify.output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}
