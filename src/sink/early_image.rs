//! An image file that is written while the base is still being decoded.
//!
//! It stays under a temporary name until the base has been verified. Where images can be clones of
//! the cached base there is nothing to win, and no space is taken for it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Format;
use super::image::Image;
use super::streaming::{Hold, Target};
use crate::io::stream::{Delivery, Subscriber};
use crate::io::{AtomicFile, CancelToken, free_space};

/// What an image may come to where its size is not known beforehand, in bytes: twice that of Ubuntu's.
const ASSUMED_LEN: u64 = 7 << 30;

/// What the images of a run share.
pub(super) struct Shared {
    /// The folder of the images.
    pub dir: PathBuf,
    /// The folder that the base is decoded into, which needs its space first.
    pub cache: PathBuf,
    /// Ends the work.
    pub cancel: CancelToken,
}

/// One image, and its file where it was begun.
pub(super) struct EarlyImage {
    shared: Arc<Shared>,
    file_name: String,
    len: Option<u64>,
    /// Cancelled, too, where one image failed. Then all give their space back: the base needs it more.
    cancel: CancelToken,
    image: Option<Image>,
    fault: Option<io::Error>,
}

impl EarlyImage {
    /// The image with this file name. Nothing is written yet.
    pub(super) fn new(shared: &Arc<Shared>, file_name: String) -> Self {
        let (shared, cancel) = (Arc::clone(shared), shared.cancel.clone());
        Self { shared, file_name, len: None, cancel, image: None, fault: None }
    }

    /// The image's file name, and the file, which holds the `len` bytes of the base; nothing where it
    /// was not begun.
    ///
    /// # Errors
    /// Why writing it failed.
    pub(super) fn into_image(self, len: u64) -> io::Result<Option<(String, Image)>> {
        match (self.fault, self.image) {
            (Some(fault), _) => Err(fault),
            (None, Some(image)) => image.set_len(len).map(|()| Some((self.file_name, image))),
            (None, None) => Ok(None),
        }
    }

    fn begin(&self) -> io::Result<Image> {
        let image = Image::new(AtomicFile::within(&self.shared.dir, &self.file_name)?);
        self.len.map_or(Ok(()), |len| image.set_len(len))?;
        Ok(image)
    }

    fn write(&mut self, chunks: &mut Subscriber) -> io::Result<()> {
        let image = self.image.insert(self.begin()?);
        for chunk in chunks {
            if self.cancel.is_cancelled() {
                self.image = None;
                return Ok(());
            }
            image.chunk(&chunk)?;
        }
        Ok(())
    }
}

impl Target for EarlyImage {
    const DELIVERY: Delivery = Delivery::Every;

    fn name(&self) -> String {
        self.file_name.clone()
    }

    /// As many as there is space for, besides the cache.
    fn select(mut images: Vec<Self>, len: Option<u64>) -> (Vec<Self>, Vec<Self>) {
        let Some(first) = images.first() else { return Default::default() };
        let cancel = first.shared.cancel.child();
        let (count, mut fault) = match fit(&first.shared, len.unwrap_or(ASSUMED_LEN).max(1)) {
            Ok(count) => (count, None),
            Err(fault) => (0, Some(fault)),
        };
        for image in &mut images {
            (image.len, image.cancel, image.fault) = (len, cancel.clone(), fault.take());
        }
        let rest = images.split_off(count.min(images.len()));
        (images, rest)
    }

    fn stream(&mut self, image: &mut Subscriber, _hold: &Hold) {
        if let Err(e) = self.write(image) {
            self.cancel.cancel();
            (self.image, self.fault) = (None, Some(e));
        }
    }

    fn discard(&mut self) {
        self.image = None;
    }

    /// The cache is wanted all the same.
    fn none_left() -> io::Result<()> {
        Ok(())
    }
}

/// How many images of `len` bytes fit into the folder, when the cache has got its own.
fn fit(shared: &Shared, len: u64) -> io::Result<usize> {
    let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev());
    let cached = if device(&shared.dir)? == device(&shared.cache)? { len } else { 0 };
    let fit = free_space(&shared.dir)?.saturating_sub(cached) / len;
    Ok(usize::try_from(fit).unwrap_or(usize::MAX))
}

/// Whether it is worth it: not where images in `dir` can share the blocks of `cache`.
pub(super) fn is_worth_it(format: Format, cache: &Path, dir: &Path) -> bool {
    // When that cannot be found out, the build finds out why and says so.
    format == Format::Raw && matches!(super::image::could_clone(cache, dir), Ok(false))
}
