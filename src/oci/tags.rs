//! The list of a repository's tags.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::error::{Error, Result};
use super::manifest::LARGEST;
use super::repository::Repository;
use crate::catalog::shown;

/// Of a list no more pages are read than this, and no more tags are kept.
const MOST_PAGES: u32 = 1000;
const MOST_TAGS: usize = 100_000;

impl Repository<'_> {
    /// The tags that begin with `prefix`: all of them, since somebody may conclude from one that is missing.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Tags`] where the registry does not give the whole list.
    pub(crate) fn tags(&self, prefix: &str) -> Result<Vec<String>> {
        let agent = self.agent()?;
        let fault = |fault: String| Error::Tags { repository: self.name(), fault };
        let (mut found, mut url) = (Vec::new(), self.url("tags", "list?n=1000")?);
        for page in 0..MOST_PAGES {
            let got = agent.small_with(&url, LARGEST, |request| request);
            let Some((headers, bytes)) = got.map_err(|fault| self.unread(fault))? else {
                // a repository that nobody has put anything into has no list
                return if page == 0 { Ok(found) } else { Err(fault("it ends in the middle".to_owned())) };
            };
            let list: Tags =
                serde_json::from_slice(&bytes).map_err(|e| fault(format!("it cannot be read: {e}")))?;
            found.extend(list.tags.unwrap_or_default().into_iter().filter(|tag| tag.starts_with(prefix)));
            if found.len() > MOST_TAGS {
                return Err(fault(format!("more than {MOST_TAGS} tags begin with {prefix}")));
            }
            let Some(next) = next_page(&url, &headers) else { return Ok(found) };
            if next.origin() != url.origin() {
                return Err(fault(format!("it goes on at {}, which is another server", shown(&next))));
            }
            url = next;
        }
        Err(fault(format!("it has more than {MOST_PAGES} pages")))
    }
}

/// A page of a list of tags.
#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

/// Where the next page of a list is, as `Link: </v2/x/tags/list?last=y>; rel="next"` says it.
fn next_page(asked: &Url, headers: &HeaderMap) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (address, relation) = link.trim().strip_prefix('<')?.split_once('>')?;
    if relation.contains("next") { asked.join(address).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::base::{Cache, Fetcher, Ledger, Patience};
    use crate::oci::{Credentials, visit};
    use crate::registry::Reference;

    /// The tags that begin with `claim-`, from a server with these pages: status, further headers, body.
    fn listed(pages: Vec<(u16, &'static str, &'static str)>) -> Result<Vec<String>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let name: Reference = format!("{}/home", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            for (status, headers, body) in pages {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                    head.push(byte[0]);
                }
                let len = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len}\r\n");
                stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let (cache, ledger) = (Cache::open(dir.path()).unwrap(), Ledger::default());
        let patience = Patience { attempts: 1, stall: Duration::from_secs(10) };
        let fetcher = Fetcher { patience, ..Fetcher::new(&cache, &ledger) };
        visit(&fetcher, &name, &[], &Credentials::default(), |repository| repository.tags("claim-"))
    }

    #[test]
    fn a_list_of_tags_is_whole_or_none() {
        const NEXT: &str = "Link: </v2/home/tags/list?last=b>; rel=\"next\"\r\n";
        const ELSEWHERE: &str = "Link: <http://192.0.2.1/v2/home/tags/list?last=b>; rel=\"next\"\r\n";
        let one = r#"{"name":"home","tags":["latest","claim-1","base-x"]}"#;
        let two = r#"{"name":"home","tags":["claim-2","xclaim-3"]}"#;
        assert_eq!(listed(vec![(200, NEXT, one), (200, "", two)]).unwrap(), ["claim-1", "claim-2"]);
        assert_eq!(listed(vec![(200, "", r#"{"tags":null}"#)]).unwrap(), [""; 0]);
        assert_eq!(listed(vec![(404, "", "")]).unwrap(), [""; 0]);
        for (pages, words) in [
            (vec![(200, NEXT, one), (404, "", "")], "it ends in the middle"),
            (vec![(200, ELSEWHERE, one)], "it goes on at http://192.0.2.1/v2/home"),
            (vec![(200, NEXT, one), (200, "", "{")], "it cannot be read"),
        ] {
            let error = listed(pages).unwrap_err();
            assert!(matches!(error, Error::Tags { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_list_goes_on_where_the_registry_says() {
        let asked = Url::parse("https://h/v2/a/tags/list?n=2").unwrap();
        let at = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, text.parse().unwrap());
            next_page(&asked, &headers).map(String::from)
        };
        let next = at("</v2/a/tags/list?last=x&n=2>; rel=\"next\"");
        assert_eq!(next.unwrap(), "https://h/v2/a/tags/list?last=x&n=2");
        for none in ["", "</v2/a>; rel=\"prev\"", "nothing"] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
