//! Releases of Ubuntu: which is the newest of a series, and where its image lies.
//!
//! cdimage.ubuntu.com keeps the newest point release of each series alone, and moves the others to
//! old-releases.ubuntu.com. A series is therefore asked for anew each time, and of a point release only its name
//! and its signed digest count, not where it lay before.

use reqwest::{StatusCode, Url};

use super::missing;
use super::remote::{Place, Seen};
use super::task::Task;
use crate::base::cache::entry::Files;
use crate::base::verify::Sums;
use crate::base::verify::checksum_files::{ChecksumFiles, Expected, Verifier};
use crate::base::{Base, Digest, Error, Result, Trust};
use crate::catalog::{OLD_RELEASES, RELEASES, Release, Series, shown};
use crate::http::{self, Agent};

/// From this place on a release is looked for among old ones, see [`Task::folders`].
const OLD: usize = 2;

impl Task<'_, '_> {
    /// A release of Ubuntu's, or the newest of a series.
    pub(crate) fn release(&mut self, asked: Release) -> Result<Base> {
        let known = self.known(asked);
        if let (true, Some((newest, _))) = (self.options.offline && asked.is_series(), &known) {
            self.progress.note(&format!(
                "{newest} is the newest {asked} in the cache; --offline forbids to ask whether there is a newer one"
            ));
        }
        let (place, agent) = match known {
            Some((release, expected)) => (self.published(release, expected)?, None),
            None if self.options.offline && self.options.insecure => {
                let release =
                    Series::of(asked).filter(|_| asked.is_series()).map_or(asked, |known| known.newest);
                (self.published(release, Expected::NOTHING)?, None)
            }
            None if self.options.offline => return Err(self.offline(&asked.to_string())),
            None => {
                let agent = self.agent()?;
                (self.locate(asked, &agent)?, Some(agent))
            }
        };
        if let (Some(release), Some(digest)) = (place.release, &place.expected.digest)
            && Series::hint(release).is_some_and(|hint| !hint.hint_agrees(digest))
        {
            tracing::info!(%release, %digest, "the digest is not the one that others quote");
        }
        let name = place.release.unwrap_or(asked).to_string();
        self.image(place, name, agent)
    }

    /// The release that is meant and what its image must be, where that is known without the network: by the user,
    /// or by lists that earlier runs kept. That is enough offline, and online for a point release, which never
    /// changes, whose image is here.
    fn known(&self, asked: Release) -> Option<(Release, Expected)> {
        let is_here = |digest: &Digest| Files::new(&self.cache.images(), digest).load().is_some();
        if let Some(digest) = self.options.sha256 {
            let enough = self.options.offline || is_here(&digest);
            return enough.then_some((asked, Expected { digest: Some(digest), trust: Trust::Given }));
        }
        if asked.is_series() && !self.options.offline {
            return None;
        }
        let root = Url::parse(RELEASES).ok()?;
        let verifier = Verifier::new(&root, true, self.options, self.progress).ok()?;
        let mut newest: Option<(Release, Expected)> = None;
        for files in ChecksumFiles::all(self.cache) {
            // Most lists are of other series; a signature costs more to check than a list to read.
            let Some(sums) = files.sums.as_deref().and_then(|bytes| Sums::parse(bytes).ok()) else {
                continue;
            };
            let meant = |(release, digest): &(Release, Digest)| {
                (asked.is_series() || *release == asked) && is_here(digest)
            };
            let Some((release, _)) = sums.releases(asked.series()).filter(meant).max() else { continue };
            if newest.as_ref().is_some_and(|(known, _)| *known >= release) {
                continue;
            }
            // What no longer convinces is fetched again.
            let Ok(Some(list)) = verifier.read(&files) else { continue };
            if let Ok(expected) = verifier.expected(&list, &release.file()) {
                newest = Some((release, expected));
            }
        }
        newest
    }

    /// Where the image is today, by what the servers' lists say.
    fn locate(&self, asked: Release, agent: &Agent<'_>) -> Result<Place> {
        if !asked.is_series() {
            return self.point(asked, agent);
        }
        if let Some(place) = self.newest(asked, agent)? {
            return Ok(place);
        }
        let folder = self.folder(&asked.folder(self.root()))?;
        let Some(known) = Series::of(asked) else {
            return Err(missing::no_such_release(agent, &folder, asked, self.options, None));
        };
        self.progress.note(&format!(
            "no list in {} tells the newest {asked}; taking {}, the newest that pibake knows of",
            shown(&folder),
            known.newest
        ));
        match self.known(known.newest) {
            Some((release, expected)) => self.published(release, expected),
            None => self.point(known.newest, agent),
        }
    }

    /// The newest image of a series, by the signed list in its folder; `None` where there is no list.
    fn newest(&self, series: Release, agent: &Agent<'_>) -> Result<Option<Place>> {
        let folder = self.folder(&series.folder(self.root()))?;
        let verifier = Verifier::new(&folder, true, self.options, self.progress)?;
        let files = verifier.fetch(agent)?;
        let Some(bytes) = &files.sums else { return Ok(None) };
        let place = |release: Release, expected| {
            let url = join(&folder, &release.file())?;
            Ok(Some(Place { url, release: Some(release), expected, seen: Seen::Listed }))
        };
        if let Some(digest) = self.options.sha256 {
            // It decides, whoever made the list.
            let list = verifier.name();
            let sums = Sums::parse(bytes).map_err(|source| Error::Sums { url: list.clone(), source })?;
            let expected = Expected { digest: Some(digest), trust: Trust::Given };
            return match sums.releases(series).find(|(_, listed)| *listed == digest) {
                Some((release, _)) => place(release, expected),
                None => Err(Error::OtherDigest { series: series.to_string(), list, digest }),
            };
        }
        let Some(list) = verifier.read(&files)? else { return Ok(None) };
        let Some((newest, _)) = list.sums.releases(series).max() else {
            let listed = list.sums.images();
            return Err(Error::NoPiImage { series: series.to_string(), list: verifier.name(), listed });
        };
        let expected = verifier.expected(&list, &newest.file())?;
        verifier.keep(&self.cache.evidence(), &files)?;
        place(newest, expected)
    }

    /// The image of one point release: where it was published, or where it went when a newer one came.
    pub(super) fn point(&self, release: Release, agent: &Agent<'_>) -> Result<Place> {
        let (mut newer, mut unknown, mut fault) = (None, None, None);
        let (file, folders) = (release.file(), self.folders(release)?);
        for (place, folder) in folders.iter().enumerate() {
            if place == OLD && unknown.is_none() && fault.is_none() {
                let newer = newer.map_or_else(String::new, |newer| format!(": {newer} took its place"));
                let there = shown(&folders[0]);
                self.progress
                    .note(&format!("{release} is no longer in {there}{newer}; looking among old releases"));
            }
            let url = join(folder, &file)?;
            let verifier = Verifier::new(&url, true, self.options, self.progress)?;
            let look = match Look::at(&url, &file, &verifier, agent) {
                Err(error) if may_be_missing(&error) => {
                    fault = fault.or(Some(error));
                    continue;
                }
                look => look?,
            };
            if let Some(sums) = &look.sums {
                let others = sums.releases(release.series()).map(|(other, _)| other);
                newer = newer.max(others.filter(|other| *other > release).max());
            }
            // Who vouches for a list matters where the image lies beside it, and nowhere else.
            if !look.is_there {
                continue;
            }
            let Look { files, is_listed, .. } = look;
            let seen = if is_listed { Seen::Listed } else { Seen::Alone };
            let found = |expected| Place { url: url.clone(), release: Some(release), expected, seen };
            if let Some(digest) = self.options.sha256 {
                return Ok(found(Expected { digest: Some(digest), trust: Trust::Given }));
            }
            let Some(list) = verifier.read(&files)? else { return Ok(found(Expected::NOTHING)) };
            match verifier.expected(&list, &file) {
                Ok(expected) if expected.digest.is_some() || place == 0 => {
                    verifier.keep(&self.cache.evidence(), &files)?;
                    return Ok(found(expected));
                }
                // Not known, and accepted as it is: there may still be a folder that does know.
                Ok(expected) => unknown = unknown.or(Some(found(expected))),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        match (unknown, fault) {
            (Some(place), _) => Ok(place),
            (None, Some(error)) if newer.is_none() || !may_be_missing(&error) => Err(error),
            _ => {
                Err(missing::no_such_release(agent, &self.image_url(release)?, release, self.options, newer))
            }
        }
    }

    /// Where a point release may be, in the order in which it is looked for. A mirror may be one of cdimage or of
    /// old-releases; of Ubuntu's own servers nothing is asked where there is one.
    fn folders(&self, release: Release) -> Result<Vec<Url>> {
        let root = self.root();
        let mut folders = vec![release.folder(root), release.series().folder(root)];
        if self.options.mirror.is_some() {
            folders.push(release.old_folder(root));
        }
        let old = self.options.old_mirror.as_deref();
        let old = old.or_else(|| self.options.mirror.is_none().then_some(OLD_RELEASES));
        folders.extend(old.map(|old| release.old_folder(old)));
        folders.iter().map(|text| self.folder(text)).collect()
    }

    /// The address that stands for all releases.
    fn root(&self) -> &str {
        self.options.mirror.as_deref().unwrap_or(RELEASES)
    }

    /// An image that is known already, at the place where it was published.
    fn published(&self, release: Release, expected: Expected) -> Result<Place> {
        Ok(Place { url: self.image_url(release)?, release: Some(release), expected, seen: Seen::No })
    }

    /// Where the image was published.
    fn image_url(&self, release: Release) -> Result<Url> {
        join(&self.folder(&release.folder(self.root()))?, &release.file())
    }

    fn folder(&self, text: &str) -> Result<Url> {
        let fault = |reason: String| Error::Mirror { given: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|e| fault(e.to_string()))?;
        match url.scheme() {
            "https" | "http" => Ok(url),
            other => Err(fault(format!("{other} is neither https nor http"))),
        }
    }
}

/// What a folder shows of an image that may be in it.
struct Look {
    /// The list beside it, as it came.
    files: ChecksumFiles,
    /// What the list says, whoever made it.
    sums: Option<Sums>,
    /// Whether it names the image.
    is_listed: bool,
    /// Whether the image is there, by the list or else by the server's word.
    is_there: bool,
}

impl Look {
    fn at(url: &Url, file: &str, verifier: &Verifier<'_>, agent: &Agent<'_>) -> Result<Self> {
        let files = verifier.fetch(agent)?;
        let sums = files.sums.as_deref().and_then(|bytes| Sums::parse(bytes).ok());
        let is_listed = sums.as_ref().is_some_and(|sums| sums.get(file).is_some());
        let is_there = is_listed || agent.has(url)?;
        Ok(Self { files, sums, is_listed, is_there })
    }
}

/// Whether a failure may mean that the server has no such file: object storage says 403 of what it does not have to
/// whoever may not list what it has.
fn may_be_missing(error: &Error) -> bool {
    matches!(error, Error::Http(http::Error::Status { status: StatusCode::FORBIDDEN, .. }))
}

fn join(folder: &Url, file: &str) -> Result<Url> {
    folder.join(file).map_err(|e| Error::Mirror { given: shown(folder), reason: e.to_string() })
}
