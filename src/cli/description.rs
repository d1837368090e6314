//! The flags that change a description, and what is read with it.

use std::path::Path;

use anyhow::Context;
use clap::Args;

use super::exit::Usage;
use crate::cluster::{Cluster, Overrides, Platform};
use crate::image_path::ImagePath;
use crate::opened::Opened;
use crate::project::Project;
use crate::recipe::{Extras, Overlays, read_key};

#[derive(Debug, Args)]
pub struct Description {
    /// How many nodes the cluster has
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// The image to make nodes from: a release (20.04.5), `sample`, or a path
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
}

/// The platform of the built-in sample, as its os-release says.
const SAMPLE: (&str, &str) = ("sample", "20.04");

/// Both names of the file that says what system an image holds; the first is mostly a link.
const OS_RELEASE: [&str; 2] = ["/usr/lib/os-release", "/etc/os-release"];

impl Description {
    /// Opens the description of the cluster with these flags over it.
    pub fn open(&self, config: Option<&Path>) -> anyhow::Result<Project> {
        let overrides = Overrides { nodes: self.nodes, base: self.base.clone() };
        Ok(Project::open(config, &overrides)?)
    }

    /// What system the nodes will run: as the description says, as the release's name says, or as
    /// the image itself does.
    pub fn platform(&self, cluster: &Cluster) -> anyhow::Result<Platform> {
        let base = &cluster.base;
        let image = base.image.as_str();
        let named = if image == SAMPLE.0 { SAMPLE.1 } else { image };
        if let Some(known) = Platform::named(base.platform.as_deref().unwrap_or(named)) {
            return Ok(known);
        }
        let path = Path::new(image);
        if !path.is_file() {
            let why = format!(
                "what system {image} holds is known only when it is here: name a file, or set base.platform"
            );
            return Err(Usage(why).into());
        }
        image_platform(path)
    }
}

/// What system an image says that it holds.
pub fn image_platform(path: &Path) -> anyhow::Result<Platform> {
    let reading = || format!("finding out what system {} holds", path.display());
    let image = Opened::open(path).with_context(reading)?;
    for name in OS_RELEASE {
        let mut text = Vec::new();
        if image.read(&ImagePath::new(name)?, &mut text).is_ok() {
            return Platform::from_os_release(&String::from_utf8_lossy(&text)).with_context(reading);
        }
    }
    anyhow::bail!("{} has no os-release: set base.platform to the system that it holds", path.display())
}

/// The user's own files that go into recipes.
pub fn extras(cluster: &Cluster) -> anyhow::Result<Extras> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let key = |source: &crate::cluster::AptSource| -> anyhow::Result<Option<String>> {
        let Some(path) = &source.key_file else { return Ok(None) };
        let key = read_key(&read(path)?, &source.fingerprint);
        key.map(Some).with_context(|| format!("reading the key in {}", path.display()))
    };
    let user_data = cluster.cloud_init_extra.as_deref().map(|path| {
        let text = String::from_utf8(read(path)?);
        text.with_context(|| format!("reading {}", path.display()))
    });
    Ok(Extras {
        overlays: cluster.overlays.as_deref().map_or_else(|| Ok(Overlays::built_in()), Overlays::with_dir)?,
        user_data: user_data.transpose()?,
        docker_key: key(&cluster.sources.docker)?,
        kubernetes_key: key(&cluster.sources.kubernetes)?,
    })
}
