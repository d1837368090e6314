//! What a repository says of itself in its `Release` file, whose signature was verified before: who it is, until
//! when it is true, and which indices it has, with their digests.

mod error;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use reqwest::Url;

pub use self::error::ReleaseError;
use super::control::{Stanzas, is_yes, shown};
use super::index::is_safe_path;
use super::universe::Source;
use crate::catalog::Digest;

/// How far a repository's clock may be ahead of ours: apt's `Acquire::Max-FutureTime`.
const AHEAD: Duration = Duration::from_secs(10);

/// The forms of an index that can be read, in the order in which they are preferred.
const FORMS: [(&str, Packing); 3] = [(".xz", Packing::Xz), (".gz", Packing::Gzip), ("", Packing::None)];

/// How an index is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// xz
    Xz,
    /// gzip
    Gzip,
    /// Not at all.
    None,
}

/// A `Release` file.
#[derive(Debug, Clone)]
pub(super) struct Release {
    source: Source,
    components: Vec<String>,
    architectures: Vec<String>,
    /// It has an index for all architectures, but the others have all of that, too.
    skip_all: bool,
    date: (SystemTime, String),
    valid_until: Option<(SystemTime, String)>,
    by_hash: bool,
    files: HashMap<String, Listed>,
}

/// Size and SHA-256 of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// In bytes.
    pub(super) size: u64,
    pub(super) sha256: Digest,
}

/// Which part of a server is a repository, as the words of a line of sources.list after the address.
#[derive(Debug, Clone)]
pub enum Layout {
    /// A suite with components: what is listed lies under `dists/SUITE/`.
    Suite {
        /// Its name, by which it is asked for: suite or codename.
        name: String,
        /// Those that are wanted.
        components: Vec<String>,
    },
    /// A folder without suites, as `pkgs.k8s.io` has them.
    Flat,
}

/// An index that is to be fetched. Paths start at the folder that has the `Release` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its component; empty in a flat repository.
    pub(super) component: String,
    /// Where it lies: first by its digest, if the repository has that, since what lies there never changes.
    pub(super) paths: Vec<String>,
    /// How it is packed.
    pub(super) packing: Packing,
    /// What lies there, packed.
    pub(super) packed: Listed,
    /// The size that it unpacks to, if that is listed, too.
    pub(super) unpacked: Option<u64>,
}

impl Release {
    /// Reads a text whose signature was verified.
    ///
    /// # Errors
    /// What is damaged or missing.
    pub(super) fn read(text: &[u8]) -> Result<Self, ReleaseError> {
        let form = |what: &str| ReleaseError::Form(what.to_owned());
        let mut stanzas = Stanzas::new(text);
        let Some(stanza) = stanzas.next()? else { return Err(form("is empty")) };
        let get = |name| stanza.get(name).map(|value| value.unwrap_or_default().to_owned());
        let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect();
        let date = stanza.get("Date")?.ok_or_else(|| {
            form("has no Date: an old one could be served for it again; use another mirror")
        })?;
        let digests = stanza
            .get("SHA256")?
            .ok_or_else(|| form("lists no SHA-256 digests, and MD5 and SHA-1 are not trusted"))?;
        let release = Self {
            source: Source {
                origin: get("Origin")?,
                label: get("Label")?,
                suite: get("Suite")?,
                codename: get("Codename")?,
                version: get("Version")?,
                not_automatic: is_yes(&get("NotAutomatic")?),
                but_automatic_upgrades: is_yes(&get("ButAutomaticUpgrades")?),
                ..Source::default()
            },
            components: words(get("Components")?),
            architectures: words(get("Architectures")?),
            skip_all: get("No-Support-for-Architecture-all")?
                .split_ascii_whitespace()
                .any(|w| w == "Packages"),
            date: dated("Date", date)?,
            valid_until: stanza.get("Valid-Until")?.map(|text| dated("Valid-Until", text)).transpose()?,
            by_hash: is_yes(&get("Acquire-By-Hash")?),
            files: listed(digests)?,
        };
        match stanzas.next()? {
            Some(_) => Err(form("has more than one stanza")),
            None => Ok(release),
        }
    }

    /// Checks that this is the repository that was asked for, and is true now: not expired, not from the future,
    /// and not dated before `seen`, the date of the last one that was accepted from there.
    ///
    /// # Errors
    /// Which of these it is.
    pub(super) fn check(
        &self,
        layout: &Layout,
        now: SystemTime,
        seen: Option<SystemTime>,
    ) -> Result<(), ReleaseError> {
        if let Layout::Suite { name, .. } = layout
            && *name != self.source.suite
            && *name != self.source.codename
        {
            return Err(ReleaseError::Suite {
                asked: name.clone(),
                suite: self.source.suite.clone(),
                codename: self.source.codename.clone(),
            });
        }
        let (date, text) = &self.date;
        if let Ok(ahead) = date.duration_since(now)
            && ahead > AHEAD
        {
            return Err(ReleaseError::Future { seconds: ahead.as_secs(), date: text.clone() });
        }
        if let Some((until, text)) = &self.valid_until
            && let Ok(over) = now.duration_since(*until)
            && !over.is_zero()
        {
            return Err(ReleaseError::Expired { days: over.as_secs() / 86400, until: text.clone() });
        }
        if seen.is_some_and(|seen| *date < seen) {
            return Err(ReleaseError::Replayed { date: text.clone() });
        }
        Ok(())
    }

    /// When it was made.
    pub(super) fn date(&self) -> SystemTime {
        self.date.0
    }

    /// What one of its indices is to the [`Universe`](super::Universe); the paths in it start at `root`.
    pub(super) fn source(&self, component: &str, root: &Url) -> Source {
        Source { component: component.to_owned(), root: Some(root.clone()), ..self.source.clone() }
    }

    /// The indices that apt would fetch for this architecture, in its order: for each component that of the
    /// architecture, and that for all architectures where that is one of its own.
    ///
    /// # Errors
    /// A component or an index that is not there.
    pub(super) fn wanted(&self, layout: &Layout, architecture: &str) -> Result<Vec<Wanted>, ReleaseError> {
        let found = |component, path: String| {
            self.index(component, &path).ok_or_else(|| ReleaseError::Index(path.clone()))
        };
        let Layout::Suite { components, .. } = layout else {
            return Ok(vec![found("", "Packages".to_owned())?]);
        };
        let mut wanted = Vec::new();
        for component in components {
            if !self.has_component(component) {
                let known = self.components.clone();
                return Err(ReleaseError::Component { component: component.clone(), known });
            }
            let path = |architecture: &str| format!("{component}/binary-{architecture}/Packages");
            wanted.push(found(component, path(architecture))?);
            if !self.skip_all && self.architectures.iter().any(|name| name == "all") {
                wanted.extend(self.index(component, &path("all")));
            }
        }
        Ok(wanted)
    }

    /// Components may have the path of their suite before them, as `updates/main` once had.
    fn has_component(&self, component: &str) -> bool {
        self.components.iter().any(|known| known == component || known.rsplit('/').next() == Some(component))
    }

    fn index(&self, component: &str, path: &str) -> Option<Wanted> {
        // in flat repositories, apt-ftparchive lists it so
        let listed = |path: &str| {
            let dotted = format!("./{path}");
            self.files.get(path).or_else(|| self.files.get(&dotted)).copied()
        };
        FORMS.iter().find_map(|(suffix, packing)| {
            let plain = format!("{path}{suffix}");
            let packed = listed(&plain)?;
            let folder = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
            let by_hash = format!("{folder}by-hash/SHA256/{}", packed.sha256);
            Some(Wanted {
                component: component.to_owned(),
                paths: self.by_hash.then_some(by_hash).into_iter().chain([plain]).collect(),
                packing: *packing,
                packed,
                unpacked: listed(path).map(|file| file.size),
            })
        })
    }
}

fn listed(digests: &str) -> Result<HashMap<String, Listed>, ReleaseError> {
    let mut files = HashMap::new();
    for line in digests.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let entry = match words[..] {
            [digest, size, path] if is_safe_path(path) => digest
                .parse()
                .ok()
                .zip(size.parse().ok())
                .map(|(sha256, size)| (path, Listed { size, sha256 })),
            _ => None,
        };
        let Some((path, entry)) = entry else {
            let what = "which is not a digest, a size and a path inside the repository";
            return Err(ReleaseError::Form(format!("lists {:?}, {what}", shown(line))));
        };
        if files.insert(path.to_owned(), entry).is_some_and(|before| before != entry) {
            return Err(ReleaseError::Form(format!("lists {path} twice, with different digests")));
        }
    }
    Ok(files)
}

/// A date, as it is and as it was written: `Sat, 10 May 2025 09:38:26 UTC`.
fn dated(field: &str, text: &str) -> Result<(SystemTime, String), ReleaseError> {
    let fault =
        || ReleaseError::Form(format!("has the {field} {:?}, which is not a date in UTC", shown(text)));
    Ok((date(text).ok_or_else(fault)?, text.to_owned()))
}

/// Archives write dates as HTTP does, but for the name of the zone and, some, a leading zero.
fn date(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [weekday, day, month, year, time, "UTC" | "GMT" | "Z" | "+0000"] = words[..] else { return None };
    httpdate::parse_http_date(&format!("{weekday} {day:0>2} {month} {year} {time:0>8} GMT")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::{Classified, ErrorClass};

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn suite(name: &str, components: &[&str]) -> Layout {
        Layout::Suite {
            name: name.to_owned(),
            components: components.iter().map(|&c| c.to_owned()).collect(),
        }
    }

    fn sample() -> String {
        let files = [
            "main/binary-arm64/Packages",
            "main/binary-arm64/Packages.gz",
            "main/binary-arm64/Packages.xz",
            "main/binary-all/Packages.gz",
            "main/binary-amd64/Packages.lzma",
        ];
        let files: String = files.iter().map(|path| format!(" {DIGEST}  7 {path}\n")).collect();
        format!(
            "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 10 May 2025 09:38:26 UTC\nValid-Until: \
             Sat, 17 May 2025 09:38:26 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64 arm64\nComponents: main \
             contrib\nSHA256:\n{files}"
        )
    }

    fn seconds(n: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(n)
    }

    const MADE: u64 = 1_746_869_906;

    #[test]
    fn dates_are_read() {
        for (text, expected) in [
            ("Sat, 10 May 2025 09:38:26 UTC", Some(MADE)),
            ("Thu,  1 Jan 1970  0:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 +0000", Some(1_709_251_199)),
            ("Mon, 1 Mar 2100 00:00:00 Z", Some(4_107_542_400)),
            ("Sat, 10 May 2025 09:38:26 +0200", None),
            ("Sat, 10 May 2025 09:38 UTC", None),
            ("Sat, 10 Mai 2025 09:38:26 UTC", None),
            ("Sat, +1 May 2025 09:38:26 UTC", None),
            ("", None),
        ] {
            assert_eq!(date(text), expected.map(seconds), "{text}");
        }
    }

    #[test]
    fn the_indices_of_the_architecture_are_wanted() {
        let release = Release::read(sample().as_bytes()).unwrap();
        let wanted = release.wanted(&suite("bookworm", &["main"]), "arm64").unwrap();
        let by_hash = format!("main/binary-arm64/by-hash/SHA256/{DIGEST}");
        assert_eq!(wanted[0].paths, [by_hash, "main/binary-arm64/Packages.xz".to_owned()]);
        assert_eq!(wanted[1].paths[1], "main/binary-all/Packages.gz");
        assert_eq!((wanted[0].packing, wanted[1].packing), (Packing::Xz, Packing::Gzip));
        assert_eq!((wanted[0].unpacked, wanted[1].unpacked, wanted.len()), (Some(7), None, 2));
        let without = sample() + "No-Support-for-Architecture-all: Packages\n";
        let release = Release::read(without.as_bytes()).unwrap();
        assert_eq!(release.wanted(&suite("bookworm", &["main"]), "arm64").unwrap().len(), 1);
        for (component, architecture, expected) in [
            ("contrib", "arm64", "contrib/binary-arm64"),
            ("main", "amd64", "amd64"),
            ("free", "arm64", "main, contrib"),
        ] {
            let error = release.wanted(&suite("bookworm", &[component]), architecture).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn flat_repositories_have_one_index() {
        for path in ["Packages.gz", "./Packages.gz"] {
            let text = format!("Date: Sat, 10 May 2025 09:38:26 UTC\nSHA256:\n {DIGEST} 1 {path}\n");
            let release = Release::read(text.as_bytes()).unwrap();
            release.check(&Layout::Flat, seconds(MADE), None).unwrap();
            assert_eq!(release.wanted(&Layout::Flat, "arm64").unwrap()[0].paths, ["Packages.gz"]);
        }
    }

    #[test]
    fn what_is_not_true_now_is_refused() {
        let release = Release::read(sample().as_bytes()).unwrap();
        assert_eq!(release.date(), seconds(MADE));
        let week = 7 * 86400;
        for (layout, now, seen, expected) in [
            ("bookworm", MADE, None, ""),
            ("stable", MADE + week, Some(MADE), ""),
            ("bookworm", MADE - 10, None, ""),
            ("bookworm", MADE - 11, None, "in the future"),
            ("bookworm", MADE + week + 3 * 86400, None, "expired 3 days ago"),
            ("bookworm", MADE, Some(MADE + 1), "older than one that came before"),
            ("trixie", MADE, None, "asked for the suite trixie"),
        ] {
            match release.check(&suite(layout, &["main"]), seconds(now), seen.map(seconds)) {
                Ok(()) => assert_eq!(expected, ""),
                Err(error) => {
                    assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}");
                    assert_eq!(error.class(), ErrorClass::Verification);
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_release_is_refused() {
        let sample = sample();
        for (text, expected) in [
            (String::new(), "is empty"),
            ("<html>\n".to_owned(), "is not a field"),
            (format!("{sample}\nA: b\n"), "more than one stanza"),
            (sample.replace("Date:", "Datum:"), "no Date"),
            (sample.replace("SHA256:", "SHA1:"), "no SHA-256"),
            (sample.replace("7 main/binary-all", "7 ../../binary-all"), "inside the repository"),
            (sample.replace("  7 main/binary-all", "  -7 main/binary-all"), "not a digest, a size"),
            (sample.clone() + &format!(" {DIGEST} 8 main/binary-arm64/Packages\n"), "twice"),
            (sample.replace("2025 09", "2025 x"), "not a date"),
        ] {
            let error = crate::error::one_line(&Release::read(text.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at in 0usize..700, with: u8) {
            let _ = Release::read(&bytes);
            let mut damaged = sample().into_bytes();
            let at = at % damaged.len();
            damaged[at] = with;
            let _ = Release::read(&damaged);
        }
    }
}
