//! Those who want the image while it is decoded.

use std::io;
use std::sync::Arc;

/// Sees an image while it is decoded, so that it can be written somewhere else at the same time.
///
/// It is called only where something is decoded: an image that is in the cache or is used in place
/// is read from [`Base::path`](super::Base::path). Whoever needs to know asks whether `begin` was called.
///
/// **Nothing it wrote may be relied on before [`Cache::obtain`](super::Cache::obtain) returned `Ok`**:
/// the digest is known only at the end.
pub trait Tap: Send {
    /// An image begins, of `len_hint` bytes where that is known. Called again where the image has to
    /// be started over (the file on the server changed): all that was seen before is void then.
    fn begin(&mut self, len_hint: Option<u64>);

    /// The bytes from `offset` on. Calls come in order, without gap or overlap with [`Tap::hole`].
    ///
    /// # Errors
    /// Anything that makes going on pointless; `obtain` ends with it.
    fn chunk(&mut self, offset: u64, data: &Arc<[u8]>) -> io::Result<()>;

    /// `len` zero bytes from `offset` on.
    ///
    /// # Errors
    /// As for [`Tap::chunk`].
    fn hole(&mut self, offset: u64, len: u64) -> io::Result<()>;
}
