//! Those who want the image while it is decoded.

use std::io;

use crate::io::stream::ImageStream;

/// Writes an image somewhere else while it is decoded into the cache.
///
/// It is asked only where something is decoded: an image that is in the cache or is used in place is
/// read from [`Base::path`](crate::base::Base::path).
///
/// **Nothing it wrote may be relied on before [`Cache::obtain`](crate::base::Cache::obtain) returned `Ok`**:
/// the digest is known only at the end.
pub trait ImageObserver: Send {
    /// An image begins, of `len_hint` bytes where that is known: subscribe to `image` for each of those
    /// who write it. Called again where the image has to be started over (the file on the server
    /// changed): all that came before is void then.
    fn begin(&mut self, len_hint: Option<u64>, image: &ImageStream);

    /// Asked again and again while the image comes.
    ///
    /// # Errors
    /// Anything that makes going on pointless; `obtain` ends with it.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }
}
