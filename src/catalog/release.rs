//! Releases of Ubuntu, and where and under which name their images for Pis are published.

use std::fmt;

/// A release of Ubuntu: a series such as `24.04`, or one of its point releases, `24.04.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    year: u8,
    month: u8,
    point: Option<u8>,
}

/// What the names of all images for Pis end in, of those that pibake makes nodes from.
const IMAGE: &str = "-preinstalled-server-arm64+raspi.img.xz";

/// Where old releases lie at Ubuntu's: a folder for each, with its list of digests in it, signed by the same key.
pub const OLD_RELEASES: &str = "https://old-releases.ubuntu.com/releases";

impl Release {
    /// A series.
    pub(super) const fn of_series(year: u8, month: u8) -> Self {
        Self { year, month, point: None }
    }

    /// A point release of this one's series.
    pub(super) const fn at(self, point: u8) -> Self {
        Self { point: Some(point), ..self }
    }

    /// Reads `24.04` or `24.04.5`. Ubuntu's releases are of April and October; whether there is one of that
    /// name its server knows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let two = |text: &str| (text.len() == 2).then(|| digits(text)).flatten();
        let (year, month) = (two(parts.next()?)?, two(parts.next()?)?);
        let point = match parts.next() {
            // A leading zero would make two texts of one release.
            Some(text) if text == "0" || text.len() <= 2 && !text.starts_with('0') => Some(digits(text)?),
            Some(_) => return None,
            None => None,
        };
        let is_release = parts.next().is_none() && matches!(month, 4 | 10);
        is_release.then_some(Self { year, month, point })
    }

    /// The series that it belongs to.
    #[must_use]
    pub fn series(self) -> Self {
        Self { point: None, ..self }
    }

    /// Whether it stands for the newest release of a series, whichever that is.
    #[must_use]
    pub fn is_series(self) -> bool {
        self.point.is_none()
    }

    /// The name of its image. That of a series is the name which its first release has.
    #[must_use]
    pub fn file(self) -> String {
        format!("ubuntu-{self}{IMAGE}")
    }

    /// The release whose image is published under this name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("ubuntu-")?.strip_suffix(IMAGE)?)
    }

    /// The address of the folder with its image and their list below `root`, as cdimage.ubuntu.com has them.
    pub(crate) fn folder(self, root: &str) -> String {
        format!("{}/{self}/release/", root.trim_end_matches('/'))
    }

    /// The same as old-releases.ubuntu.com has them.
    pub(crate) fn old_folder(self, root: &str) -> String {
        format!("{}/{self}/", root.trim_end_matches('/'))
    }
}

fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}", self.year, self.month)?;
        self.point.map_or(Ok(()), |point| write!(f, ".{point}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_ubuntu_writes_them_and_nothing_else_is() {
        for text in ["20.04", "24.04.5", "22.04.0", "25.10", "28.04", "14.04.10"] {
            assert_eq!(Release::parse(text).map(|r| r.to_string()), Some(text.to_owned()));
        }
        for bad in [
            "",
            "24",
            "24.4",
            "24.4.3",
            "24.04.",
            "24.04.x",
            "24.04.05",
            "24.04.256",
            "24.04.5.1",
            "24.05",
            "+4.04",
            "2４.04",
            "024.04",
            "24.04.5 ",
        ] {
            assert_eq!(Release::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn later_ones_come_after_earlier_ones() {
        let order =
            ["20.04", "20.04.0", "20.04.5", "24.04", "24.04.1", "24.04.5", "24.04.10", "24.10", "26.04"];
        let releases: Vec<_> = order.iter().map(|text| Release::parse(text).unwrap()).collect();
        assert!(releases.is_sorted());
    }

    #[test]
    fn images_are_told_from_others_by_their_names() {
        let release = Release::parse("24.04.5").unwrap();
        let name = "ubuntu-24.04.5-preinstalled-server-arm64+raspi.img.xz";
        assert_eq!((release.file().as_str(), Release::of_file(name)), (name, Some(release)));
        let first = "ubuntu-26.04-preinstalled-server-arm64+raspi.img.xz";
        assert_eq!(Release::of_file(first).map(|r| r.to_string()), Some("26.04".to_owned()));
        for other in [
            "ubuntu-24.04.5-preinstalled-server-armhf+raspi.img.xz",
            "ubuntu-24.04.5-preinstalled-desktop-arm64+raspi.img.xz",
            "ubuntu-24.04.5-preinstalled-server-arm64.img.xz",
            "ubuntu-24.04.5-preinstalled-server-arm64+raspi.img.xz.zsync",
            "ubuntu-core-24-arm64+raspi.img.xz",
            "../ubuntu-24.04.5-preinstalled-server-arm64+raspi.img.xz",
            "ubuntu-../24.04-preinstalled-server-arm64+raspi.img.xz",
        ] {
            assert_eq!(Release::of_file(other), None, "{other}");
        }
    }

    #[test]
    fn each_server_has_its_own_layout() {
        let release = Release::parse("24.04.5").unwrap();
        assert_eq!(release.folder("http://m/ubuntu/"), "http://m/ubuntu/24.04.5/release/");
        assert_eq!(release.series().folder("http://m"), "http://m/24.04/release/");
        assert_eq!(release.old_folder(OLD_RELEASES), "https://old-releases.ubuntu.com/releases/24.04.5/");
    }
}
