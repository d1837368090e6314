//! Debian's own tools: packages of dpkg-deb, repositories of apt-ftparchive, and apt-get as the judge of both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::images::put;
use crate::{run, tool};

/// The mirror that apt of this machine has for what `filters` name, fields of `apt-get indextargets`; programs take their
/// own default where there is none.
pub fn mirror(filters: &[&str]) -> Option<String> {
    let mut apt = tool("apt-get", "apt");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    run(apt.args(filters)).lines().next().map(str::to_owned)
}

fn ftparchive(dir: &Path) -> Command {
    let mut command = tool("apt-ftparchive", "apt-utils");
    command.current_dir(dir);
    command
}

/// The index of the packages in a repository's folder `pool`.
pub fn packages(repository: &Path, pool: &str) -> String {
    run(ftparchive(repository).args(["packages", pool]))
}

/// The text of a Release file for what is below `dir`, with these fields beside the digests.
pub fn release(dir: &Path, fields: &[(&str, &str)]) -> String {
    let mut command = ftparchive(dir);
    for (name, value) in fields {
        command.args(["-o", &format!("APT::FTPArchive::Release::{name}={value}")]);
    }
    run(command.args(["release", "."]))
}

/// Packs a folder with a `DEBIAN/control` into `pool`, so that it is quickly unpacked.
pub fn pack(tree: &Path, pool: &Path) {
    run(tool("dpkg-deb", "dpkg")
        .args(["--root-owner-group", "-Zgzip", "-z1", "--build"])
        .arg(tree)
        .arg(pool));
}

/// Makes a package in `pool` that has one file with this content.
pub fn deb(pool: &Path, control: &str, content: &str) {
    let work = tempfile::tempdir().unwrap();
    put(&work.path().join("DEBIAN/control"), control);
    put(&work.path().join("usr/share/content"), content);
    fs::create_dir_all(pool).unwrap();
    pack(work.path(), pool);
}

/// A system as apt sees it: its configuration, its list of installed packages, its lists of packages.
pub struct AptRoot {
    dir: tempfile::TempDir,
}

/// What apt-get would do.
#[derive(Debug)]
pub struct Simulated {
    /// `install NAME VERSION`, `replace NAME OLD VERSION`, `remove NAME`; none where it refuses.
    pub changes: Option<BTreeSet<String>>,
    /// How many packages were broken when all that was asked for had been marked, before the search for a remedy.
    pub broken: usize,
    /// All that it said.
    pub said: String,
}

impl AptRoot {
    /// Of machines of this architecture, with dpkg's `status`, lines of sources.list, and preferences.
    pub fn new(architecture: &str, status: &str, sources: &str, preferences: &str) -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap() };
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
        ] {
            fs::create_dir_all(made.path(folder)).unwrap();
        }
        put(&made.path("var/lib/dpkg/status"), status);
        put(&made.path("etc/apt/sources.list"), sources);
        put(&made.path("etc/apt/preferences"), preferences);
        let root = made.dir.path().display();
        let configuration = format!(
            "Dir \"{root}/\";\n\
             Dir::State::status \"{root}/var/lib/dpkg/status\";\n\
             APT::Architecture \"{architecture}\";\n\
             APT::Architectures {{ \"{architecture}\"; }};\n\
             APT::Sandbox::User \"root\";\n\
             APT::Install-Recommends \"false\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"0\";\n\
             Debug::NoLocking \"true\";\n"
        );
        put(&made.path("apt.conf"), &configuration);
        made
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// What apt finds in `APT_CONFIG`.
    pub fn configuration(&self) -> PathBuf {
        self.path("apt.conf")
    }

    fn command(&self) -> Command {
        let mut apt = tool("apt-get", "apt");
        apt.env("APT_CONFIG", self.configuration()).env("LC_ALL", "C.UTF-8").env_remove("http_proxy");
        apt
    }

    /// Fetches the lists; fails on what is only a warning for apt, too.
    pub fn update(&self) -> Output {
        self.command().args(["--error-on=any", "update"]).output().unwrap()
    }

    /// What `apt-get install` would do for these.
    pub fn install(&self, requests: &[&str]) -> Simulated {
        let mut apt = self.command();
        apt.args(["--simulate", "-V", "-o", "Debug::pkgProblemResolver=true", "install"]).args(requests);
        let out = apt.output().unwrap();
        let said = [&out.stdout[..], &out.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let broken =
            said.lines().find_map(|l| l.strip_prefix("Starting 2 pkgProblemResolver with broken count: "));
        let changes = said.contains(" newly installed, ").then(|| changes(&said));
        Simulated { changes, broken: broken.map_or(0, |count| count.trim().parse().unwrap()), said }
    }
}

/// Reads the lists that apt-get shows before it begins, where it says versions (`-V`).
pub fn changes(said: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in said.lines() {
        if let Some(title) = line.strip_prefix("The following ") {
            section = match title {
                "NEW packages will be installed:" => "install",
                "packages will be REMOVED:" => "remove",
                "packages will be upgraded:" | "packages will be DOWNGRADED:" => "replace",
                _ => "",
            };
        } else if let Some(entry) = line.strip_prefix("   ").filter(|_| !section.is_empty()) {
            let (name, versions) = entry.split_once(" (").unwrap_or((entry, ""));
            // of what is removed, it may tell the version that it could be upgraded to
            let versions = if section == "remove" { "" } else { versions };
            let versions = versions.trim_end_matches(')').replace(" => ", " ");
            found.insert(format!("{section} {name} {versions}").trim_end().to_owned());
        } else {
            section = "";
        }
    }
    found
}
