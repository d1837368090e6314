//! What to say where a mirror does not have a release: what it has instead.

use std::collections::BTreeSet;

use reqwest::{StatusCode, Url};

use crate::base::{Error, Options};
use crate::catalog::{Release, shown};
use crate::http::{self, Agent, file_name, is_web_page};

/// A directory's listing is read up to this size.
const LARGEST_LISTING: u64 = 1 << 20;
/// So many names are told.
const MOST_NAMES: usize = 8;

/// The error for a release whose image is at `url` (or its folder) nowhere; `newer` is what took its place.
pub(crate) fn no_such_release(
    agent: &Agent<'_>,
    url: &Url,
    release: Release,
    options: &Options,
    newer: Option<Release>,
) -> Error {
    let there = newer.map(|newer| format!("{newer} took its place"));
    no_release(url, release, options, there.unwrap_or_else(|| in_its_place(agent, url)))
}

/// The error for a release that the list beside `url` has, and its server has not.
pub(crate) fn half_a_release(agent: &Agent<'_>, url: &Url, release: Release, options: &Options) -> Error {
    let there = in_its_place(agent, url);
    let there =
        format!("the SHA256SUMS beside it lists it, so the server is incomplete or being updated; {there}");
    no_release(url, release, options, there)
}

fn no_release(url: &Url, release: Release, options: &Options, there: String) -> Error {
    let server = match &options.mirror {
        Some(mirror) => {
            format!("the mirror {}", Url::parse(mirror).map_or_else(|_| mirror.clone(), |u| shown(&u)))
        }
        None => "Ubuntu's server".to_owned(),
    };
    Error::NoRelease { release: release.to_string(), server, url: shown(url), there }
}

/// What the listings of the folders around `url` show, if the server shows any.
fn in_its_place(agent: &Agent<'_>, url: &Url) -> String {
    let above = |levels: &str| url.join(levels).ok();
    above("./")
        .and_then(|folder| listed(agent, &folder))
        .map(|names| names.into_iter().filter(|name| name.ends_with(".img.xz")).collect::<Vec<_>>())
        .filter(|names| !names.is_empty())
        .map(|names| format!("there is {} in its place", some(&names)))
        // …/releases/20.04.5/release/FILE
        .or_else(|| {
            let names = listed(agent, &above("../../")?)?;
            let is_release = |name: &String| name.starts_with(|c: char| c.is_ascii_digit());
            let names: Vec<_> = names.into_iter().filter(is_release).collect();
            (!names.is_empty()).then(|| format!("it has {}", some(&names)))
        })
        .unwrap_or_else(|| "it shows no listing of what it has".to_owned())
}

/// Whether a failure means that the server has no such file.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Http(http::Error::Status { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. }))
}

/// The names in a folder's listing as web servers make them; `None` where there is none. It explains
/// an error and is tried once.
fn listed(agent: &Agent<'_>, folder: &Url) -> Option<BTreeSet<String>> {
    let bytes = agent.once(folder, LARGEST_LISTING)?;
    if !is_web_page(&bytes) {
        return None;
    }
    let names = names(&String::from_utf8_lossy(&bytes), folder);
    (!names.is_empty()).then_some(names)
}

/// What a page links to directly below `folder`.
fn names(page: &str, folder: &Url) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // in any case of letters, and with either quotes
    for part in page.split(['<', '>']) {
        let Some(at) = part.to_ascii_lowercase().find("href=") else { continue };
        let value = part.get(at + 5..).unwrap_or_default();
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        let Some(target) = value.get(1..).and_then(|v| v.split(quote).next()) else { continue };
        let Some(url) = folder.join(target).ok().filter(|u| u.query().is_none()) else { continue };
        let below = url.as_str().strip_prefix(folder.as_str()).unwrap_or_default();
        let name = below.trim_end_matches('/');
        if !name.is_empty() && !name.contains('/') {
            let decoded = folder.join(name).map_or_else(|_| name.to_owned(), |u| file_name(&u));
            names.insert(decoded);
        }
    }
    names
}

/// Some names in one line.
fn some(names: &[String]) -> String {
    let mut text = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMES {
        text += &format!(" and {} more", names.len() - MOST_NAMES);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_of_web_servers_are_read() {
        let folder = Url::parse("http://h/releases/").unwrap();
        let of = |page: &str| names(page, &folder).into_iter().collect::<Vec<_>>();
        // Apache, nginx, caddy
        let apache = r#"<a href="?C=N;O=D">Name</a> <a href="/">Parent</a><a href="20.04/">20.04/</a>"#;
        let nginx = "<a href=\"../\">../</a>\n<A HREF='a%2Bb.img.xz'>a+b.img.xz</A>";
        let caddy = r#"<a href="./22.04.5/"><span>x</span></a><a href="https://elsewhere/x">x</a>"#;
        assert_eq!(of(apache), ["20.04"]);
        assert_eq!(of(nginx), ["a+b.img.xz"]);
        assert_eq!(of(caddy), ["22.04.5"]);
        assert_eq!(of("<a href=><a href=\"\"><a href='x"), ["x"]);
        assert_eq!(some(&vec!["x".to_owned(); 10]), "x, x, x, x, x, x, x, x and 2 more");
    }
}
