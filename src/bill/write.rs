//! From what is on a card to the text of its bill.

use std::collections::BTreeSet;
use std::fmt::Write;

use sha1::Digest as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::document::{
    BASE, CARD, Checksum, CreationInfo, DOCUMENT, Document, ExternalRef, File, INSTALLED, NO_ASSERTION,
    PIBAKE, Package, Relationship, VERSION, VerificationCode, WRITTEN,
};
use super::{Added, BaseImage, Bill, ContainerImage, Error, mode, purl};
use crate::catalog::Digest;
use crate::image_path::ImagePath;

/// SPDX's own place for documents that lie nowhere on the web (SPDX 2.3, 6.5).
const NAMESPACE: &str = "https://spdx.org/spdxdocs/pibake";

const COMMENT: &str = "What pibake baked onto the card, and what the card was made from. Packages of the base image are those \
                       that dpkg has there as installed. Files with secrets in them are named as those that the verification \
                       code leaves out: a checksum would let anybody try what is in them. Links and folders are not listed.";

impl Bill<'_> {
    /// The text of the bill: the same for the same card.
    ///
    /// # Errors
    /// [`Error::Time`]
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        let created = OffsetDateTime::from_unix_timestamp(self.created);
        let created =
            created.ok().and_then(|time| time.format(&Rfc3339).ok()).ok_or(Error::Time(self.created))?;
        let mut document = Document {
            spdx_version: VERSION.to_owned(),
            data_license: "CC0-1.0".to_owned(),
            id: DOCUMENT.to_owned(),
            name: format!("the card of {}", self.node),
            document_namespace: String::new(),
            creation_info: CreationInfo { created, creators: vec![format!("Tool: pibake-{}", self.pibake)] },
            comment: Some(COMMENT.to_owned()),
            packages: Vec::new(),
            files: Vec::new(),
            relationships: Vec::new(),
        };
        self.fill(&mut document);
        // two documents of one name have one content
        let content = serde_json::to_vec(&document).map_err(Error::Write)?;
        document.document_namespace = format!("{NAMESPACE}-{}-{}", self.node, Digest::of(&content));
        let mut text = serde_json::to_vec_pretty(&document).map_err(Error::Write)?;
        text.push(b'\n');
        Ok(text)
    }

    fn fill(&self, document: &mut Document) {
        let mut relate = |from: &str, how: &str, to: &str| {
            document.relationships.push(Relationship {
                spdx_element_id: from.to_owned(),
                relationship_type: how.to_owned(),
                related_spdx_element: to.to_owned(),
            });
        };
        relate(DOCUMENT, "DESCRIBES", CARD);
        relate(CARD, "DESCENDANT_OF", BASE);
        relate(CARD, "CONTAINS", WRITTEN);
        relate(PIBAKE, "BUILD_TOOL_OF", CARD);
        let own = card(self.node, self.board);
        let mut packages = vec![own, base(&self.base), self.written(), pibake(self.pibake)];
        let mut seen = BTreeSet::new();
        for package in self.base.installed {
            let id = format!("{INSTALLED}{}", id_of(package));
            if seen.insert(id.clone()) {
                relate(BASE, "CONTAINS", &id);
                packages.push(deb(id, package, self.base.system, None));
            }
        }
        for added in &self.added {
            let id = format!("SPDXRef-Added-{}", id_of(&added.package));
            if seen.insert(id.clone()) {
                relate(CARD, "CONTAINS", &id);
                packages.push(deb(id, &added.package, self.base.system, Some(added)));
            }
        }
        for (index, found) in self.images.iter().enumerate() {
            let id = format!("SPDXRef-Image-{}", index + 1);
            relate(CARD, "CONTAINS", &id);
            packages.push(image(id, found));
        }
        for (index, file) in self.files.iter().enumerate() {
            let id = format!("SPDXRef-File-{}", index + 1);
            relate(WRITTEN, "CONTAINS", &id);
            document.files.push(File {
                id,
                file_name: file_name(&file.path),
                checksums: vec![
                    Checksum {
                        algorithm: "SHA1".to_owned(),
                        checksum_value: hex::encode(file.checksums.sha1),
                    },
                    sha256(&file.checksums.sha256),
                ],
                comment: mode::comment(file.access, file.is_preloaded),
            });
        }
        document.packages = packages;
    }

    /// What pibake wrote, as a package of its own: those are the files that it looked into.
    fn written(&self) -> Package {
        let mut sums: Vec<String> = self.files.iter().map(|file| hex::encode(file.checksums.sha1)).collect();
        sums.sort();
        let value = hex::encode(sha1::Sha1::digest(sums.concat().as_bytes()));
        Package {
            files_analyzed: true,
            package_verification_code: Some(VerificationCode {
                package_verification_code_value: value,
                package_verification_code_excluded_files: self.secrets.iter().map(file_name).collect(),
            }),
            comment: Some(
                "The files that pibake wrote, in the place of the base image's or besides them.".to_owned(),
            ),
            ..package(WRITTEN.to_owned(), format!("pibake-{}", self.node))
        }
    }
}

fn package(id: String, name: String) -> Package {
    Package { id, name, download_location: NO_ASSERTION.to_owned(), ..Package::default() }
}

fn card(node: &str, board: Option<&str>) -> Package {
    Package {
        primary_package_purpose: Some("OPERATING-SYSTEM".to_owned()),
        comment: board.map(|board| format!("It is for the board {board}.")),
        ..package(CARD.to_owned(), node.to_owned())
    }
}

fn base(base: &BaseImage<'_>) -> Package {
    let BaseImage { name, digest, url, system, .. } = base;
    let file = url.and_then(|url| url.rsplit('/').next()).filter(|file| !file.is_empty());
    let from = url.map_or_else(String::new, |url| format!(" It was fetched from {url}."));
    Package {
        version_info: system.map(|(id, version)| format!("{id} {version}")),
        package_file_name: file.map(str::to_owned),
        download_location: location(*url),
        checksums: vec![sha256(digest)],
        primary_package_purpose: Some("OPERATING-SYSTEM".to_owned()),
        comment: Some(format!(
            "The image that the card was made from; its checksum is that of the file as published.{from}"
        )),
        ..package(BASE.to_owned(), (*name).to_owned())
    }
}

fn pibake(version: &str) -> Package {
    Package {
        version_info: Some(version.to_owned()),
        license_declared: Some("MIT OR Apache-2.0".to_owned()),
        primary_package_purpose: Some("APPLICATION".to_owned()),
        external_refs: purl_of(format!("pkg:github/pibake/pibake@v{version}")),
        ..package(PIBAKE.to_owned(), "pibake".to_owned())
    }
}

fn deb(id: String, of: &super::Package, system: Option<(&str, &str)>, added: Option<&Added<'_>>) -> Package {
    let url = added.map(|added| added.url.as_str());
    Package {
        version_info: Some(of.version.clone()),
        package_file_name: added.and_then(|added| added.file).map(file_name),
        download_location: location(url),
        checksums: added.map(|added| sha256(&added.sha256)).into_iter().collect(),
        external_refs: purl_of(purl::deb(of, system, url)),
        ..package(id, of.name.clone())
    }
}

fn image(id: String, image: &ContainerImage<'_>) -> Package {
    Package {
        version_info: image.tag.map(str::to_owned),
        checksums: vec![sha256(&image.digest)],
        primary_package_purpose: Some("CONTAINER".to_owned()),
        external_refs: purl_of(purl::oci(image)),
        comment: Some("Its checksum is the digest of its manifest for linux/arm64.".to_owned()),
        ..package(id, image.repository.clone())
    }
}

fn purl_of(locator: String) -> Vec<ExternalRef> {
    vec![ExternalRef {
        reference_category: "PACKAGE-MANAGER".to_owned(),
        reference_type: "purl".to_owned(),
        reference_locator: locator,
    }]
}

fn sha256(digest: &Digest) -> Checksum {
    Checksum { algorithm: "SHA256".to_owned(), checksum_value: digest.to_string() }
}

/// An address as the location that something was fetched from. SPDX's own validators take none whose host is not a name
/// below a domain, so that of a mirror at an IP address is not asserted here; package URLs and comments have it.
fn location(url: Option<&str>) -> String {
    let is_taken = |url: &&str| {
        let host =
            url.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next()).unwrap_or_default();
        let is_part = |part: &str| {
            let ends = [part.bytes().next(), part.bytes().last()];
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            ends.into_iter().all(|end| end.is_some_and(is_letter))
                && part.bytes().all(|byte| is_letter(byte) || byte == b'-')
                && !part.contains("--")
        };
        let domain = host.rsplit_once('.').map(|(_, domain)| domain);
        let is_domain =
            |domain: &str| (2..=5).contains(&domain.len()) && domain.bytes().all(|b| b.is_ascii_lowercase());
        domain.is_some_and(is_domain) && host.split('.').all(is_part)
    };
    url.filter(is_taken).unwrap_or(NO_ASSERTION).to_owned()
}

/// A path as SPDX has it: relative to the root of the package (8.1).
fn file_name(path: &ImagePath) -> String {
    format!(".{path}")
}

/// The end of a package's identifier, of letters, digits, dots and dashes alone (7.2). Names of packages have no
/// capitals, so what stands for a plus sign is no part of another name.
fn id_of(package: &super::Package) -> String {
    let mut id = String::new();
    for byte in format!("{}-{}", package.name, package.architecture).bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => id.push(char::from(byte)),
            // writing to a String does not fail
            other => drop(write!(id, ".{other:02X}")),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_validators_refuse_are_not_asserted() {
        for url in ["https://cdimage.ubuntu.com/a", "http://mirror.lan:8080/a+b", "http://a-1.b.org"] {
            assert_eq!(location(Some(url)), url);
        }
        for url in [
            "http://127.0.0.1:80/a",
            "http://[::1]/",
            "http://localhost/a",
            "http://a.invalid/",
            "file:/a",
            "",
        ] {
            assert_eq!(location(Some(url)), NO_ASSERTION, "{url}");
        }
        assert_eq!(location(None), NO_ASSERTION);
    }

    #[test]
    fn what_stands_for_odd_letters_is_no_part_of_another_name() {
        let id = |name: &str| {
            let version = String::new();
            id_of(&super::super::Package { name: name.to_owned(), architecture: "all".to_owned(), version })
        };
        assert_eq!((id("libstdc++6").as_str(), id("a.b").as_str()), ("libstdc.2B.2B6-all", "a.b-all"));
    }
}
