//! The Debian package, installed by apt in a Debian that has nothing else, used there by somebody who
//! is not root, and removed again.

use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};

use support::debian::mirror;
use support::{put_program, run, tool};

const PIBAKE: &str = env!("CARGO_BIN_EXE_pibake");

/// Runs within the new root, after it was made. Each line must succeed.
const WITHIN: &str = r#"#!/bin/sh
set -eux
cd /
export DEBIAN_FRONTEND=noninteractive
find / -xdev | sort >/before
apt-get install -y -q --no-install-recommends /pibake.deb
dpkg --verify pibake
test "$(stat -c '%U:%G %a' /usr/bin/pibake)" = 'root:root 755'

useradd --create-home --shell /bin/sh somebody
cat >/try <<'TRY'
set -eux
cd
pibake --version
pibake init
pibake build --base sample --nodes 2
test -s images/node-1.img && test -s images/node-2.img
pibake inspect images/node-2.img
TRY
su - somebody -c 'sh /try'

# what shells and man look for
zcat /usr/share/man/man1/pibake-flash.1.gz | grep -q '^\.TH pibake-flash 1'
bash -ec '. /usr/share/bash-completion/completions/pibake; complete -p pibake'
head -n 1 /usr/share/zsh/vendor-completions/_pibake | grep -qx '#compdef pibake'
test -s /usr/share/fish/vendor_completions.d/pibake.fish
zcat /usr/share/doc/pibake/changelog.gz | grep -q '^# Changelog'
grep -q '^Files: \*' /usr/share/doc/pibake/copyright

apt-get purge -y -q pibake
userdel --remove somebody
find / -xdev | sort >/after
! diff /before /after | grep -E '^[<>].*pibake'
echo 'installed, used and removed'
"#;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("deb::the_package_installs_in_a_clean_debian", || -> Result<(), Failed> {
        the_package_installs_in_a_clean_debian();
        Ok(())
    })]
}

fn the_package_installs_in_a_clean_debian() {
    let dir = tempfile::tempdir().unwrap();
    // the symbols of a debug build are most of it
    let program = dir.path().join("pibake");
    run(tool("strip", "binutils").args(["--strip-debug", "-o"]).arg(&program).arg(PIBAKE));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb");
    let deb = run(std::process::Command::new(script).arg(&program).arg(dir.path()));
    let deb = Path::new(deb.trim());
    let field = |name: &str| run(tool("dpkg-deb", "dpkg").arg("-f").arg(deb).arg(name)).trim().to_owned();
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    // this build is linked with glibc, so it must say so
    assert!(field("Depends").contains("libc6 (>= "), "{}", field("Depends"));

    let within = dir.path().join("within");
    put_program(&within, WITHIN);
    // the release that this machine is of: the program is compiled for its glibc
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap();
    let mut mmdebstrap = tool("mmdebstrap", "mmdebstrap");
    mmdebstrap
        .args(["--mode=root", "--variant=minbase", "--format=null", "--components=main"])
        .args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\""])
        .args(["--aptopt=Acquire::Retries \"5\"", "--dpkgopt=force-unsafe-io"])
        .arg(format!("--customize-hook=copy-in '{}' /", within.display()))
        .arg(format!("--customize-hook=cp '{}' \"$1/pibake.deb\"", deb.display()))
        .arg("--customize-hook=chroot \"$1\" /within")
        .arg(suite)
        .arg("/dev/null");
    if let Some(mirror) = mirror(&[&format!("Codename: {suite}")]) {
        mmdebstrap.arg(format!("deb {mirror} {suite} main"));
    }
    let out = mmdebstrap.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("\ninstalled, used and removed\n"), "{said}");
}
