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

/// What came of a server's question who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Something was got for this request: it is sent once more with that.
    Fresh,
    /// Somebody else got something meanwhile: it is sent once more with that.
    Known,
    /// There is nothing better to say than what was said.
    Nothing,
}

/// Answers servers that ask who is there.
pub(crate) trait Login: Sync {
    /// What is known so far: the `Authorization` of a request for `url`. It is not sent to where that redirects,
    /// unless it is the same server.
    fn header(&self, url: &Url) -> Option<HeaderValue>;

    /// Looks at the headers of a 401, which came in spite of `used`; `had_fresh` where an earlier one to the same request
    /// was answered with [`Answer::Fresh`]. Of several who are refused at once, each may be told of what the others got;
    /// none is to ask for more than one of its own.
    fn answer(
        &self,
        url: &Url,
        challenges: &HeaderMap,
        used: Option<&HeaderValue>,
        had_fresh: bool,
    ) -> Result<Answer>;
}
