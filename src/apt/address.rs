//! Addresses of files in a repository.

use reqwest::Url;

/// The address of `path` in the folder `root`. What means something in an address is escaped: `%` in a file's name is
/// a character as any other. None for addresses that have no folders, as `mailto:`.
pub(super) fn below(root: &Url, path: &str) -> Option<Url> {
    let mut url = root.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_their_root_whatever_is_in_them() {
        for (root, path, expected) in [
            ("http://h/debian", "pool/a_1.deb", "http://h/debian/pool/a_1.deb"),
            ("http://h/debian/", "./a_1.deb", "http://h/debian/a_1.deb"),
            ("http://h", "a_1%3a2+b~c.deb", "http://h/a_1%253a2+b~c.deb"),
            ("https://h:8/core:/v1.29/deb/", "x:y?z#1 2", "https://h:8/core:/v1.29/deb/x:y%3Fz%231%202"),
        ] {
            let found = below(&Url::parse(root).unwrap(), path).unwrap();
            assert_eq!(found.as_str(), expected);
        }
        assert!(below(&Url::parse("mailto:a@b").unwrap(), "x").is_none());
    }
}
