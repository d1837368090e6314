//! What nodes get besides their recipes: fetched, and laid into the base once for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use super::{Control, Error};
use crate::bake::{self, Clock, LargeFile, Shared, Size};
use crate::base::{self, Base, Cache, Fetcher};
use crate::cluster::{Node, Role, Software};
use crate::image_reader::ImageReader;
use crate::io::CancelToken;
use crate::oci::Credentials;
use crate::payload::{self, Payload, PayloadFile, Request};
use crate::progress::Step;
use crate::project::{Project, Recipes};

/// Bytes of blocks that change besides those of the files themselves: bitmaps, inodes, directories.
const TABLES: u64 = 16 << 20;
/// The largest block of the file systems on a card.
const BLOCK: u64 = 4096;

/// The raw base image at `path`, to be looked into.
pub(super) fn open(path: &Path) -> Result<ImageReader, Error> {
    ImageReader::open(path)
        .map_err(|source| Error::Examining { image: path.to_owned(), source: source.into() })
}

/// What the nodes need besides their recipes.
pub(super) fn fetch<'p>(
    project: &'p Project,
    software: &Software,
    recipes: &'p Recipes,
    base: &ImageReader,
    fetcher: &Fetcher<'_>,
) -> Result<Payload, Error> {
    let credentials = Credentials::of_user().map_err(payload::Error::from)?;
    let recipe = |node: &'p Node| Some((node, recipes.get(node.name.as_str())?));
    let nodes: Vec<_> = project.cluster.nodes.iter().filter_map(recipe).collect();
    let cluster = &project.cluster;
    let request = Request { cluster, software, nodes: &nodes, base, credentials: &credentials };
    Ok(payload::payload(&request, fetcher)?)
}

/// Bytes that the nodes of this role need free for it.
pub(super) fn needed(payload: &Payload, role: Role) -> u64 {
    let files = payload.part(role).map_or(&[][..], |part| part.files.as_slice());
    bake::needed(files.iter().map(PayloadFile::size), BLOCK)
}

/// How large an image of `size` must be that there is room for it in the images of all roles, which are of one size.
pub(super) fn size(size: Size, payload: &Payload) -> Size {
    let free = payload.parts().map(|(role, _)| needed(payload, role)).max().unwrap_or_default();
    Size { free: size.free.max(free), ..size }
}

/// What is laid into the base.
pub(super) struct Laying<'a> {
    pub payload: &'a Payload,
    /// Of the images that become of it.
    pub size: Size,
    pub base: &'a Base,
    pub cache: &'a Cache,
    pub clock: &'static Clock,
}

impl Laying<'_> {
    /// Lays it there once for the nodes of each of these roles; what all roles get is laid there once for all, and
    /// with room for the rest.
    pub(super) fn lay(
        &self,
        roles: &BTreeSet<Role>,
        control: &Control,
    ) -> Result<BTreeMap<Role, Shared>, Error> {
        let parts: Vec<_> = self.payload.parts().filter(|(role, _)| roles.contains(role)).collect();
        let Some((_, first)) = parts.first() else { return Ok(BTreeMap::new()) };
        let common: Vec<&PayloadFile> = first.files.iter().filter(|file| file.is_common).collect();
        let own: Vec<(Role, Vec<&PayloadFile>)> = parts
            .iter()
            .map(|(role, part)| (*role, part.files.iter().filter(|file| !file.is_common).collect()))
            .collect();
        let all = common.iter().chain(own.iter().flat_map(|(_, files)| files));
        let what = "laying packages and container images into the image";
        let step = control.progress().begin(what, Some(all.map(|file| file.size()).sum()));
        let lay = |below: &Shared, size: Size, files: &[&PayloadFile]| -> Result<Shared, Error> {
            let lens = files.iter().map(|file| file.size());
            let store = self.cache.scratch(bake::needed(lens, BLOCK) + TABLES)?;
            let files: Vec<LargeFile<'_>> =
                files.iter().map(|file| large(file, self.cache, &*step, control.cancel())).collect();
            let laid = Shared::lay(self.base.device()?, below, size, &files, store, self.clock);
            laid.map_err(|fault| match control.cancel().is_cancelled() {
                true => base::Error::Cancelled.into(),
                false => fault.into(),
            })
        };
        let common = lay(&Shared::default(), self.size, &common)?;
        let rest = Size { free: 0, ..self.size };
        let each = own.iter().map(|(role, files)| match files.as_slice() {
            [] => Ok((*role, common.clone())),
            files => Ok((*role, lay(&common, rest, files)?)),
        });
        let shared = each.collect::<Result<_, Error>>()?;
        step.finish();
        Ok(shared)
    }
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
