//! A build: the images of many nodes, from one base.

use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io, thread};

use super::compressed::Compressed;
use super::copy;
use super::early_image::{self, EarlyImage};
use super::image::{self, Image};
use super::merge::{Merge, Sequential};
use super::qcow2::Qcow2;
use super::source::Source;
use super::streaming::{Pending, StreamingWriter};
use super::threads::{cause, returned};
use super::{Error, Format, room};
use crate::base::ImageObserver;
use crate::disk::Patch;
use crate::error::Failure;
use crate::io::atomic::remove_remnants;
use crate::io::lock::same;
use crate::io::stream::{Delivery, ImageStream, Subscriber};
use crate::io::{AtomicFile, CancelToken, Folder};
use crate::progress::{Progress, Step};

/// How many images are written at once, unless told otherwise: enough to read the base seldom, few
/// enough that their patches need little memory.
const WIDTH: usize = 8;

/// Makes the patch of the node with the given name; called once for each, from many threads.
pub type Bake<'a> = dyn Fn(&str) -> Result<Patch, Failure> + Sync + 'a;

/// Told of each image as soon as it stands under its name, by the node's; called from many threads.
pub type Kept<'a> = dyn Fn(&str) -> Result<(), Failure> + Sync + 'a;

/// An image that stands under its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The node's name.
    pub node: String,
    /// Where it is.
    pub path: PathBuf,
    /// Size of the card's content in bytes, whatever the format.
    pub card: u64,
    /// Size of the file in bytes, holes included.
    pub len: u64,
    /// Bytes that the file takes on the disk; blocks shared with others are counted.
    pub stored: u64,
}

/// A build that can begin: its folder is there, can be written, and holds no remnants.
pub struct Build {
    dir: PathBuf,
    format: Format,
    nodes: Vec<String>,
    width: usize,
    /// Cancelled, too, as soon as one image fails: the others may give up.
    cancel: CancelToken,
    early: Option<StreamingWriter<EarlyImage>>,
}

/// Where a node's bytes come from.
enum Feed {
    /// They are there already, but for the patch.
    Early(Image),
    /// From the base, by sharing its blocks.
    Clone,
    /// From the pipeline.
    Stream(Subscriber),
}

/// What all nodes of a run share.
struct Run<'a> {
    build: &'a Build,
    source: &'a Source,
    bake: &'a Bake<'a>,
    kept: &'a Kept<'a>,
    progress: &'a dyn Progress,
}

impl Build {
    /// Makes ready to write an image of each of `nodes` into `dir`, which is made if it is not
    /// there: removes what killed builds left, and refuses what cannot end well. Nothing is
    /// written yet. At most `width` images are written at once. When `cancel` is cancelled the
    /// work ends soon, with [`Error::Cancelled`].
    ///
    /// # Errors
    /// Where the folder cannot be made or written, a name cannot be a file's, or something that
    /// is not a file has the name of an image.
    pub fn prepare(
        dir: &Path,
        format: Format,
        nodes: Vec<String>,
        width: Option<NonZeroUsize>,
        cancel: &CancelToken,
    ) -> Result<Self, Error> {
        check_names(&nodes)?;
        make_folder(dir)?;
        for node in &nodes {
            let path = dir.join(format.file_name(node));
            match fs::metadata(&path) {
                Ok(found) if !found.is_file() => return Err(Error::Obstructed { path }),
                _ => {}
            }
        }
        let unwritable = |source| Error::Unwritable { path: dir.to_owned(), source };
        Folder::open(dir).and_then(|dir| remove_remnants(&dir, Format::is_file_name)).map_err(unwritable)?;
        drop(AtomicFile::within(dir, format.file_name("probe")).map_err(unwritable)?);
        let width = match format {
            // One image at a time takes all cores, and the memory that there is for them.
            Format::Zst | Format::Xz => 1,
            Format::Raw | Format::Qcow2 => width.map_or(WIDTH, NonZeroUsize::get),
        };
        let cancel = cancel.child();
        Ok(Self { dir: dir.to_owned(), format, nodes, width, cancel, early: None })
    }

    /// Writes the first images while the base is being decoded into `cache`. `None` where that wins
    /// nothing.
    pub fn observer(&mut self, cache: &Path) -> Option<&mut (dyn ImageObserver + 'static)> {
        if !early_image::is_worth_it(self.format, cache, &self.dir) {
            return None;
        }
        let shared = Arc::new(early_image::Shared {
            dir: self.dir.clone(),
            cache: cache.to_owned(),
            cancel: self.cancel.clone(),
        });
        let first = self.nodes.iter().take(self.width);
        let images = first.map(|node| EarlyImage::new(&shared, self.format.file_name(node))).collect();
        Some(self.early.insert(StreamingWriter::new(images)))
    }

    /// Writes all images from the raw image at `base`, which has been verified, each with the
    /// patch that `bake` makes for it. Returns when all are on the disk, in the order of the nodes.
    ///
    /// # Errors
    /// The first error of any image. Images that were complete before stay; of all others there is
    /// no trace.
    pub fn finish(
        self,
        base: &Path,
        bake: &Bake<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<Written>, Error> {
        self.finish_with(base, bake, &|_| Ok(()), progress)
    }

    /// The same, where `kept` puts something beside each image.
    ///
    /// # Errors
    /// As [`Self::finish`]; [`Error::Beside`] where that fails: the image is whole then, and stays.
    pub fn finish_with(
        mut self,
        base: &Path,
        bake: &Bake<'_>,
        kept: &Kept<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<Written>, Error> {
        let source = Source::open(base)?;
        self.refuse_base(&source)?;
        let early = self.early_images(source.len()).unwrap_or_else(|fault| {
            progress.note(&format!("copying images from the cache: writing them early failed: {fault}"));
            Vec::new()
        });
        self.cancel.check()?;
        let Some(first) = self.nodes.first() else { return Ok(Vec::new()) };

        let write_fault = |source| Error::Unwritable { path: self.dir.clone(), source };
        let cloned = self.format == Format::Raw
            && early.len() < self.nodes.len()
            && image::can_clone(source.file(), &self.dir).map_err(write_fault)?;
        // All nodes' patches are about as large as the first one's.
        let patch = self.patch(first, bake)?;
        let patch_bytes = patch.ranges().total();
        let copies = self.nodes.len() - early.len();
        room::check(&self.dir, &source, self.format, copies, patch_bytes, cloned)?;

        let run = Run { build: &self, source: &source, bake, kept, progress };
        let mut written = Vec::with_capacity(self.nodes.len());
        let mut first_patch = Some(patch);
        let mut early = early.into_iter().map(Feed::Early).peekable();
        while written.len() < self.nodes.len() {
            let rest = self.nodes.len() - written.len();
            let (feeds, image) = if early.peek().is_some() {
                (early.by_ref().collect(), None)
            } else if cloned {
                ((0..rest.min(self.width)).map(|_| Feed::Clone).collect(), None)
            } else {
                let image = ImageStream::new(copy::CHUNKS_WAITING);
                let readers = (0..rest.min(self.width)).map(|_| image.subscribe(Delivery::Every));
                (readers.map(Feed::Stream).collect::<Vec<_>>(), Some(image))
            };
            let group = self.nodes.iter().skip(written.len()).zip(feeds);
            written.extend(run.group(group.collect(), image, first_patch.take())?);
        }
        Ok(written)
    }

    /// The images that hold all `len` bytes of the base: those of the first nodes, in their order.
    /// All or none: where one failed, the others gave up.
    fn early_images(&mut self, len: u64) -> io::Result<Vec<Image>> {
        let Some(early) = self.early.take() else { return Ok(Vec::new()) };
        let targets = early.finish(Some(len)).into_iter().filter_map(Pending::wait);
        let images: Vec<_> = targets.map(|target| target.into_image(len)).collect::<io::Result<_>>()?;
        let first = self.nodes.iter().zip(images.into_iter().flatten());
        let matching = first.take_while(|(node, (name, _))| *name == self.format.file_name(node));
        Ok(matching.map(|(_, (_, image))| image).collect())
    }

    /// An image must not replace the base that it is made from.
    fn refuse_base(&self, source: &Source) -> Result<(), Error> {
        let Ok(base) = source.file().metadata() else { return Ok(()) };
        for node in &self.nodes {
            let path = self.dir.join(self.format.file_name(node));
            if fs::metadata(&path).is_ok_and(|found| same(&found, &base)) {
                return Err(Error::Base { path });
            }
        }
        Ok(())
    }

    fn patch(&self, node: &str, bake: &Bake<'_>) -> Result<Patch, Error> {
        bake(node).map_err(|failure| Error::Bake { node: node.to_owned(), source: failure.into() })
    }
}

impl Run<'_> {
    /// Writes some images at once.
    fn group(
        &self,
        nodes: Vec<(&String, Feed)>,
        image: Option<ImageStream>,
        mut first: Option<Patch>,
    ) -> Result<Vec<Written>, Error> {
        let cancel = &self.build.cancel;
        thread::scope(|scope| {
            let mut writers = Vec::with_capacity(nodes.len());
            let mut fault = None;
            for (node, feed) in nodes {
                let patch = first.take();
                let spawned = thread::Builder::new().name(node.clone()).spawn_scoped(scope, move || {
                    let written = self.node(node, feed, patch);
                    if written.is_err() {
                        cancel.cancel();
                    }
                    written
                });
                match spawned {
                    Ok(writer) => writers.push(writer),
                    Err(e) => fault = Some(Error::Write { path: self.build.dir.clone(), source: e }),
                }
            }
            let read = match (fault, image) {
                (Some(fault), image) => {
                    cancel.cancel();
                    drop(image);
                    Err(fault)
                }
                (None, Some(image)) => {
                    copy::read(self.source, image, cancel).inspect_err(|_| cancel.cancel())
                }
                (None, None) => Ok(()),
            };
            let (mut written, mut faults) = (Vec::with_capacity(writers.len()), Vec::from_iter(read.err()));
            for writer in writers {
                match returned(writer.join()) {
                    Ok(image) => written.push(image),
                    Err(fault) => faults.push(fault),
                }
            }
            cause(faults).map_or(Ok(written), Err)
        })
    }

    fn node(&self, node: &str, feed: Feed, patch: Option<Patch>) -> Result<Written, Error> {
        let Build { dir, format, cancel, .. } = self.build;
        let source = self.source;
        let path = dir.join(format.file_name(node));
        let fault = |source| Error::Write { path: path.clone(), source };
        let patch = match patch {
            Some(patch) => patch,
            None => self.build.patch(node, self.bake)?,
        };
        let len = patch.image_len(source.len());
        cancel.check()?;
        let total = source.data().total();
        let step = self.progress.begin(&format!("writing {}", path.display()), Some(total));
        let step = &*step;
        let temp = || AtomicFile::within(dir, format.file_name(node)).map_err(fault);
        let file = match (feed, format) {
            (Feed::Early(image), _) => {
                step.advance(total);
                image.keep(&patch, len).map_err(fault)?
            }
            (Feed::Clone, _) => {
                let image = Image::cloned(temp()?, source.file()).map_err(fault)?;
                let image = image.ok_or_else(|| fault(io::ErrorKind::Unsupported.into()))?;
                step.advance(total);
                image.keep(&patch, len).map_err(fault)?
            }
            (Feed::Stream(mut stream), Format::Raw) => {
                let mut image = Image::new(temp()?);
                image.set_len(source.len()).map_err(fault)?;
                copy::drain(&mut stream, cancel, |chunk| {
                    step.advance(chunk.covered());
                    image.chunk(chunk).map_err(fault)
                })?;
                image.keep(&patch, len).map_err(fault)?
            }
            (Feed::Stream(stream), Format::Qcow2) => {
                let mut image = Qcow2::new(temp()?, len);
                self.merge(stream, &patch, &mut image, step, &fault)?;
                image.keep().map_err(fault)?
            }
            (Feed::Stream(stream), Format::Zst | Format::Xz) => {
                let threads = thread::available_parallelism().map_or(1, |n| n.get() as u32);
                let mut image = Compressed::new(temp()?, *format, len, threads).map_err(fault)?;
                self.merge(stream, &patch, &mut image, step, &fault)?;
                image.keep().map_err(fault)?
            }
        };
        (self.kept)(node).map_err(|failure| Error::Beside { path: path.clone(), source: failure.into() })?;
        step.finish();
        let found = file.metadata().map_err(fault)?;
        // st_blocks counts units of 512 bytes, whatever the file system's block is (stat(2)).
        let stored = found.blocks() * 512;
        Ok(Written { node: node.to_owned(), path, card: len, len: found.len(), stored })
    }

    fn merge(
        &self,
        mut stream: Subscriber,
        patch: &Patch,
        to: &mut dyn Sequential,
        step: &dyn Step,
        fault: &dyn Fn(io::Error) -> Error,
    ) -> Result<(), Error> {
        let mut merge = Merge::new(patch, patch.image_len(self.source.len()));
        copy::drain(&mut stream, &self.build.cancel, |chunk| {
            step.advance(chunk.covered());
            merge.chunk(chunk, to).map_err(fault)
        })?;
        merge.finish(to).map_err(fault)
    }
}

/// Longest node name in bytes; with extension and temporary suffix it stays under the 255 of any
/// file system.
const NAME_MAX: usize = 200;

fn check_names(nodes: &[String]) -> Result<(), Error> {
    let mut seen = std::collections::BTreeSet::new();
    for name in nodes {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.starts_with('.') || name.contains(['/', '\0']) {
            "it begins with a dot, or holds a slash or a NUL byte"
        } else if name.len() > NAME_MAX {
            "it is longer than 200 bytes"
        } else if !seen.insert(name) {
            "two nodes have that name"
        } else {
            continue;
        };
        return Err(Error::Name { name: name.clone(), reason });
    }
    Ok(())
}

fn make_folder(dir: &Path) -> Result<(), Error> {
    let Err(source) = crate::io::folder::make_folders(dir, 0o777) else { return Ok(()) };
    let in_the_way = dir.ancestors().find(|path| fs::metadata(path).is_ok_and(|m| !m.is_dir()));
    Err(match in_the_way {
        Some(path) => Error::NotAFolder { path: path.to_owned() },
        None => Error::Folder { path: dir.to_owned(), source },
    })
}
