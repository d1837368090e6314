//! Small files whose digests are known, read into memory one by one: parts of something that is put together meanwhile.

use super::files::{Fetcher, Keeping, Origin, Wanted, keep, read};
use crate::base::Result;
use crate::http::{Access, Agent};

/// Reads files by one client. They stay in the cache, so that what is cut off goes on with them; whoever has put them
/// together removes them.
pub(crate) struct Pieces<'a> {
    fetcher: &'a Fetcher<'a>,
    agent: Option<Agent<'a>>,
}

impl<'a> Pieces<'a> {
    /// Those that `fetcher` gets.
    ///
    /// # Errors
    /// Where there can be no client.
    pub(crate) fn new(fetcher: &'a Fetcher<'a>, access: Access<'a>) -> Result<Self> {
        Ok(Self { fetcher, agent: fetcher.agent(access)? })
    }

    /// A file from the cache or from the network, whole and verified. Its size must be known to be small.
    ///
    /// # Errors
    /// [`Error`](crate::base::Error); what was downloaded of it until then is kept.
    pub(crate) fn read(&self, file: &Wanted) -> Result<Vec<u8>> {
        let Fetcher { cache, progress, ref cancel, .. } = *self.fetcher;
        let _lock = self.fetcher.lock(file, cancel, progress)?;
        if let Some(bytes) = cache.content(&file.digest, file.len) {
            return Ok(bytes);
        }
        let agent = self.agent.as_ref().ok_or_else(|| self.fetcher.offline(file))?;
        let place = cache.place(&file.digest.to_string());
        Origin { agent, progress }.download(file, &place, |download, url| {
            let mut bytes = Vec::with_capacity(usize::try_from(file.len).unwrap_or_default());
            read(download, url, file, |new| bytes.extend_from_slice(new))?;
            keep(&place, &cache.file(&file.digest), Keeping::ForNow)?;
            Ok(bytes)
        })
    }
}
