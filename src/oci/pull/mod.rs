//! From the names of images to their parts in the cache.

mod image;
mod look;
mod source;

use std::collections::{BTreeMap, BTreeSet};

pub use self::image::Image;
use self::look::Look;
use self::source::{PURPOSE, Source};
use super::credentials::Credentials;
use super::error::Result;
use super::login::Logins;
use super::manifest::ACCEPTED;
use crate::base::{self, Fetcher, Wanted};
use crate::http::{self, Access};
use crate::progress::Quiet;
use crate::registry::Reference;

/// Gets images for Raspberry Pis, in the order of their names. `mirrors` has for the host of a registry the addresses
/// that are asked before it, as `sources.registry-mirrors` of a description does.
///
/// # Errors
/// [`Error`](super::Error); what was downloaded until then is kept.
pub fn pull(
    fetcher: &Fetcher<'_>,
    mirrors: &BTreeMap<String, Vec<String>>,
    credentials: &Credentials,
    names: &[Reference],
) -> Result<Vec<Image>> {
    let plain = fetcher.agent(Access::anonymous(&PURPOSE))?;
    let logins = plain.as_ref().map(|agent| Logins::new(agent, credentials));
    let login = logins.as_ref().map(|logins| logins as &dyn http::Login);
    let manifests = Access { purpose: &PURPOSE, accept: Some(ACCEPTED), login };
    let agent = fetcher.agent(manifests)?;
    // each is small, and there are many
    let quiet = Quiet(fetcher.progress);
    let small = fetcher.telling(&quiet);
    let access = Access { accept: None, ..manifests };
    let look = Look { fetcher: &small, agent: agent.as_ref(), manifests, access };
    let step = fetcher.progress.begin("looking up container images", None);
    let mut images = Vec::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        fetcher.cancel.check().map_err(base::Error::from)?;
        let mut source = Source::new(name, mirrors.get(name.host()).map_or(&[][..], Vec::as_slice))?;
        let image = look.image(&mut source)?;
        for layer in &image.layers {
            if seen.insert(layer.digest) {
                wanted.push(source.wanted("blobs", layer)?);
            }
        }
        images.push(image);
    }
    step.finish();
    fetcher.get("downloading container images", &wanted, access)?;
    Ok(images)
}
