//! The user's own Kubernetes manifests.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::yaml;
use crate::cluster::Cluster;
use crate::error::{Classified, ErrorClass};
use crate::io::read_small;

/// Most that one file may have, in bytes: kubectl sends an object in one request, of which etcd takes 1.5 MiB, and
/// files have several.
const FILE_MAX: u64 = 8 << 20;

/// A file that is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name on the card: a number that keeps the order, and the file's own name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why a manifest cannot be baked.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file or folder cannot be read.
    #[error("reading {}, which kubernetes.manifests names", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is nothing that kubectl could apply.
    #[error("{}: {why}; kubernetes.manifests takes Kubernetes objects, in files that end in .yaml, .yml or .json", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, with the line.
        why: String,
    },
}

impl Classified for ManifestError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

/// All that the description names, in its order; those of a folder in the order of their names, but for hidden files
/// and READMEs.
pub(super) fn load(cluster: &Cluster) -> Result<Vec<Manifest>, ManifestError> {
    let mut files = Vec::new();
    for path in &cluster.kubernetes.manifests {
        let reading = |source| ManifestError::Read { path: path.clone(), source };
        if !fs::metadata(path).map_err(reading)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in fs::read_dir(path).map_err(reading)? {
            let name = entry.map_err(reading)?.file_name();
            let text = name.to_string_lossy();
            if !text.starts_with('.') && !text.ends_with(".md") {
                files.push(path.join(name));
            }
        }
        files[before..].sort();
        if files.len() == before {
            return Err(ManifestError::Invalid {
                path: path.clone(),
                why: "no manifest is in it".to_owned(),
            });
        }
    }
    files.iter().enumerate().map(|(place, path)| manifest(place + 1, path)).collect()
}

fn manifest(number: usize, path: &Path) -> Result<Manifest, ManifestError> {
    let invalid = |why: String| ManifestError::Invalid { path: path.to_owned(), why };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(is_plain) || ![".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end)) {
        return Err(invalid(
            "it is no manifest by its name, or has other characters in it than a-z, 0-9, - _ .".to_owned(),
        ));
    }
    let bytes =
        read_small(path, FILE_MAX).map_err(|source| ManifestError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
    check(&text).map_err(invalid)?;
    Ok(Manifest { name: format!("{number:03}-{name}"), text })
}

/// That each document is an object with apiVersion and kind.
fn check(text: &str) -> Result<(), String> {
    let mut begin = 1;
    let mut objects = 0;
    for part in documents(text) {
        let fault = |line: usize, why: &str| Err(format!("line {}: {why}", begin + line - 1));
        match yaml::read(&part) {
            Err(error) => return fault(error.line, &error.why),
            Ok(None) => {}
            Ok(Some(node)) if node.is_null() => {}
            Ok(Some(node)) => {
                for field in ["apiVersion", "kind"] {
                    if node.get(field).and_then(|value| value.text()).is_none_or(str::is_empty) {
                        return fault(node.line, &format!("the object has no {field}"));
                    }
                }
                objects += 1;
            }
        }
        begin += part.lines().count() + 1;
    }
    if objects == 0 { Err("it has no object in it".to_owned()) } else { Ok(()) }
}

/// The documents of a file, between lines that begin with `---`.
fn documents(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_taken_and_all_else_is_named_with_its_line() {
        let object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
        for good in [
            object.to_owned(),
            format!("---\n{object}---\n# nothing\n---\n{object}"),
            format!("# comment\n---\n{object}---\n"),
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}".to_owned(),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for (bad, why) in [
            (String::new(), "it has no object in it"),
            ("# only a comment\n".to_owned(), "it has no object in it"),
            ("replicas: 3\n".to_owned(), "line 1: the object has no apiVersion"),
            (format!("{object}---\napiVersion: v1\n"), "line 5: the object has no kind"),
            (format!("{object}---\nkind: [\n"), "line 5: "),
        ] {
            let said = check(&bad).unwrap_err();
            assert!(said.starts_with(why), "{bad}: {said}");
        }
    }
}
