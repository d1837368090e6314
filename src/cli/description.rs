//! The flags that change a description, and what is read with it.

use std::path::Path;

use clap::Args;

use super::exit::Usage;
use crate::cluster::{Accounts, Overrides, Passwords, Platform, Software};
use crate::error::{Doing, ErrorClass, Failure};
use crate::image_path::ImagePath;
use crate::io::surroundings;
use crate::opened::Opened;
use crate::project::Project;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub struct Description {
    /// How many nodes the cluster has
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// The image to make nodes from: a release (20.04.5), `sample`, a path or a URL
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
}

/// Both names of the file that says what system an image holds; the first is mostly a link.
const OS_RELEASE: [&str; 2] = ["/usr/lib/os-release", "/etc/os-release"];

/// os-release(5) takes less than a kilobyte everywhere.
const OS_RELEASE_MAX: u64 = 64 << 10;

impl Description {
    /// Opens the description of the cluster with these flags over it.
    pub fn open(&self, config: Option<&Path>, ui: &Ui) -> Result<Project, Failure> {
        let passwords = Passwords::from_environment().map_err(|e| Usage(e.to_string()))?;
        let overrides = Overrides { nodes: self.nodes, base: self.base.clone(), passwords };
        let project = Project::open(config, &overrides)?;
        let say = |text: &str| ui.progress().note(text);
        match &project.place.file {
            Some(file) => say(&format!("the description is {}", file.display())),
            None => say("no pibake.toml in this folder or above: all defaults hold"),
        }
        for warning in project.warnings() {
            say(&format!("warning: {warning}"));
        }
        // Nothing is chosen for the user here: the same description gives the same cards wherever
        // it is built.
        for warning in project.cluster.shared_with(&surroundings()) {
            say(&format!("warning: {warning}"));
        }
        Ok(project)
    }
}

/// The versions that go onto a card, in one line for people.
pub fn versions(base: &str, software: &Software) -> String {
    format!(
        "base image {base}, Kubernetes {}, containerd {}, pibake {}\n",
        software.kubernetes,
        software.containerd,
        env!("CARGO_PKG_VERSION")
    )
}

/// Refuses a login name that an image has in use.
pub fn check_login(project: &Project, image: &Path) -> Result<(), Failure> {
    let opened = Opened::open(image).doing(|| format!("reading the accounts of {}", image.display()))?;
    let text = |path: &str| {
        let mut bytes = Vec::new();
        // An image without them has no accounts.
        _ = ImagePath::new(path).map(|path| opened.read(&path, &mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(project.cluster.check_login(&Accounts::parse(&text("/etc/passwd"), &text("/etc/group")))?)
}

/// What system an image says that it holds.
pub fn image_platform(path: &Path) -> Result<Platform, Failure> {
    let reading = || format!("finding out what system {} holds", path.display());
    let image = Opened::open(path).doing(reading)?;
    for name in OS_RELEASE {
        if let Ok(Some(text)) = image.read_whole(&ImagePath::new(name)?, OS_RELEASE_MAX) {
            return Platform::from_os_release(&String::from_utf8_lossy(&text)).doing(reading);
        }
    }
    Err(Failure::new(
        ErrorClass::Configuration,
        format!("{} has no os-release: set base.platform to the system that it holds", path.display()),
    ))
}
