//! Whom a server is asked for, and servers that ask who is there.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};

use super::advice::Purpose;
use super::error::Result;

/// What is fetched, and how to log in where a server wants that.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub(crate) purpose: &'static Purpose,
    /// The kinds of content that are understood: the header `Accept`.
    pub(crate) accept: Option<&'static str>,
    pub(crate) login: Option<&'a dyn Login>,
}

impl Access<'_> {
    /// As somebody whom no server knows.
    pub(crate) const fn anonymous(purpose: &'static Purpose) -> Self {
        Self { purpose, accept: None, login: None }
    }
}

/// Answers servers that ask who is there.
pub(crate) trait Login: Sync {
    /// What is known so far: the `Authorization` of a request for `url`. It is not sent to where that redirects,
    /// unless it is the same server.
    fn header(&self, url: &Url) -> Option<HeaderValue>;

    /// Looks at the headers of a 401, which came in spite of `used`; `again` where the last answer for the same
    /// request led to it. Whether to ask again with what [`Self::header`] has now.
    fn answer(
        &self,
        url: &Url,
        challenges: &HeaderMap,
        used: Option<&HeaderValue>,
        again: bool,
    ) -> Result<bool>;
}
