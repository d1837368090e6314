//! A bill that is read again: what a card can be held against. It comes from anywhere.

use std::collections::BTreeSet;

use super::document::{CARD, Checksum, Document, File, INSTALLED, VERSION, WRITTEN};
use super::{Error, Mode, Package, mode};
use crate::catalog::Digest;
use crate::image_path::ImagePath;

/// What a bill lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The node's name.
    pub node: String,
    /// The packages of the base image, in the order of their names.
    pub installed: Vec<Package>,
    /// The files whose content it knows.
    pub files: Vec<ListedFile>,
    /// The files that hold secrets.
    pub secrets: Vec<ImagePath>,
}

/// A file that a bill lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its path, as the running node sees it.
    pub path: ImagePath,
    /// The digest of its content.
    pub sha256: Digest,
    /// Who may do what with it, where the file system keeps that.
    pub access: Option<Mode>,
    /// Whether it was preloaded.
    pub is_preloaded: bool,
}

impl Listed {
    /// Reads a bill that pibake wrote.
    ///
    /// # Errors
    /// [`Error`]
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        let document: Document = serde_json::from_slice(text).map_err(Error::Json)?;
        if document.spdx_version != VERSION {
            return Err(Error::Version(document.spdx_version));
        }
        let card = document.packages.iter().find(|package| package.id == CARD).ok_or(Error::Foreign)?;
        let installed = document.packages.iter().filter(|package| package.id.starts_with(INSTALLED));
        let mut installed = installed.map(package).collect::<Result<Vec<_>, _>>()?;
        installed.sort();
        let files = document.files.iter().map(file).collect::<Result<Vec<_>, _>>()?;
        let written = document.packages.iter().find(|package| package.id == WRITTEN);
        let excluded = written.and_then(|package| package.package_verification_code.as_ref());
        let excluded = excluded.map_or(&[][..], |code| &code.package_verification_code_excluded_files);
        let secrets = excluded.iter().map(|name| path(name)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = BTreeSet::new();
        for path in files.iter().map(|file| &file.path).chain(&secrets) {
            if !seen.insert(path) {
                return Err(item(path.as_str(), "it is listed twice"));
            }
        }
        Ok(Self { node: card.name.clone(), installed, files, secrets })
    }
}

fn item(item: &str, why: impl Into<String>) -> Error {
    Error::Item { item: format!("{item:?}"), why: why.into() }
}

/// The architecture is what follows the name in the identifier.
fn package(package: &super::document::Package) -> Result<Package, Error> {
    let version = package.version_info.clone().ok_or_else(|| item(&package.id, "it has no version"))?;
    let architecture = package.id.rsplit_once('-').map_or("", |(_, architecture)| architecture);
    Ok(Package { name: package.name.clone(), architecture: architecture.to_owned(), version })
}

fn path(name: &str) -> Result<ImagePath, Error> {
    let path = name.strip_prefix('.').ok_or_else(|| item(name, "the name of a file begins with ./"))?;
    ImagePath::new(path).map_err(|fault| item(name, fault.to_string()))
}

fn file(file: &File) -> Result<ListedFile, Error> {
    let path = path(&file.file_name)?;
    let mut sums = file.checksums.iter().filter(|sum| sum.algorithm == "SHA256");
    let (Some(Checksum { checksum_value, .. }), None) = (sums.next(), sums.next()) else {
        return Err(item(&file.file_name, "it must have one checksum SHA256"));
    };
    let sha256 = checksum_value
        .parse()
        .map_err(|fault: crate::catalog::InvalidDigest| item(&file.file_name, fault.to_string()))?;
    let (access, is_preloaded) = match &file.comment {
        None => (None, false),
        Some(comment) => mode::read(comment).ok_or_else(|| {
            item(&file.file_name, format!("its comment {comment:?} is not \"mode …, owner …\""))
        })?,
    };
    Ok(ListedFile { path, sha256, access, is_preloaded })
}
