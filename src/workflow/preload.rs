//! What nodes get besides their recipes: fetched, and laid into the base once for all of them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use super::{Control, Error};
use crate::bake::{Clock, LargeFile, Shared, needed};
use crate::base::{self, Base, Cache, Fetcher};
use crate::cluster::{Node, Role, Software};
use crate::io::CancelToken;
use crate::oci::Credentials;
use crate::opened::Opened;
use crate::payload::{self, Payload, PayloadFile, Request};
use crate::progress::Step;
use crate::project::{Project, Recipes};

/// Bytes of blocks that change besides those of the files themselves: bitmaps, inodes, directories.
const TABLES: u64 = 16 << 20;
/// The largest block of the file systems on a card.
pub(super) const BLOCK: u64 = 4096;

/// The raw base image at `path`, to be looked into.
pub(super) fn open(path: &Path) -> Result<Opened, Error> {
    Opened::open(path).map_err(|source| Error::Examining { image: path.to_owned(), source: source.into() })
}

/// What the nodes of these roles need besides their recipes.
pub(super) fn fetch<'p>(
    project: &'p Project,
    software: &Software,
    recipes: &'p Recipes,
    roles: &[Role],
    base: &Opened,
    fetcher: &Fetcher<'_>,
) -> Result<Payload, Error> {
    let credentials = Credentials::of_user().map_err(payload::Error::from)?;
    let recipe = |node: &'p Node| Some((node, recipes.get(node.name.as_str())?));
    let nodes: Vec<_> = project.cluster.nodes.iter().filter_map(recipe).collect();
    let cluster = &project.cluster;
    let request = Request { cluster, software, nodes: &nodes, roles, base, credentials: &credentials };
    Ok(payload::payload(&request, fetcher)?)
}

/// Lays it into the base, once for the nodes of each role; what all roles get is laid there once for all.
pub(super) fn lay(
    payload: &Payload,
    base: &Base,
    cache: &Cache,
    clock: &'static Clock,
    control: &Control,
) -> Result<BTreeMap<Role, Shared>, Error> {
    let split: Vec<(Role, Vec<&PayloadFile>, Vec<&PayloadFile>)> = payload
        .parts()
        .map(|(role, part)| {
            let (common, own) = part.files.iter().partition(|file| file.is_common);
            (role, common, own)
        })
        .collect();
    let Some((_, common, _)) = split.first() else { return Ok(BTreeMap::new()) };
    let all = common.iter().chain(split.iter().flat_map(|(_, _, own)| own));
    let what = "laying packages and container images into the image";
    let step = control.progress().begin(what, Some(all.map(|file| file.size()).sum()));
    let lay = |below: &Shared, files: &[&PayloadFile]| -> Result<Shared, Error> {
        if files.is_empty() {
            return Ok(below.clone());
        }
        let files: Vec<LargeFile<'_>> =
            files.iter().map(|file| large(file, cache, &*step, control.cancel())).collect();
        let store = cache.scratch(needed(files.iter().map(|file| file.len), BLOCK) + TABLES)?;
        let laid = Shared::lay(base.device()?, below, &files, store, clock);
        laid.map_err(|fault| match control.cancel().is_cancelled() {
            true => base::Error::Cancelled.into(),
            false => fault.into(),
        })
    };
    let common = lay(&Shared::default(), common)?;
    let each = split.iter().map(|(role, _, own)| Ok((*role, lay(&common, own)?)));
    let shared = each.collect::<Result<_, Error>>()?;
    step.finish();
    Ok(shared)
}

fn large<'a>(
    file: &'a PayloadFile,
    cache: &'a Cache,
    step: &'a dyn Step,
    cancel: &'a CancelToken,
) -> LargeFile<'a> {
    let open = move || -> io::Result<Box<dyn Read + 'a>> {
        Ok(Box::new(Watched { reader: file.open(cache)?, step, cancel }))
    };
    LargeFile { path: file.path.clone(), len: file.size(), open: Box::new(open) }
}

/// Says how far it is, and ends when nobody wants it any longer.
struct Watched<'a> {
    reader: Box<dyn Read + 'a>,
    step: &'a dyn Step,
    cancel: &'a CancelToken,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let count = self.reader.read(buf)?;
        self.step.advance(count as u64);
        Ok(count)
    }
}
