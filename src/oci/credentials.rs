//! Who the user is at registries: what `docker login` wrote down.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{Error, Result};
use crate::io::{ownership, read_small};

/// Larger than any configuration of Docker's.
const LARGEST: u64 = 1 << 20;

/// What is known of one registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// The value of an `Authorization` header.
    Basic(String),
    /// Somewhere else: what it is that pibake does not use.
    Elsewhere(String),
}

/// User names and passwords for registries.
#[derive(Clone, Default)]
pub struct Credentials {
    known: BTreeMap<String, Known>,
    /// The helper that has those of all other registries.
    store: Option<String>,
    /// Where they are from.
    file: Option<PathBuf>,
}

/// Shows no password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("for", &self.known.keys()).field("file", &self.file).finish()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Auth {
    /// `None` for an entry that says nothing, as helpers leave behind.
    fn known(self) -> Option<Known> {
        if self.identitytoken.is_some_and(|token| !token.is_empty()) {
            return Some(Known::Elsewhere("an identity token instead of a password".to_owned()));
        }
        let pair = match (self.auth.filter(|auth| !auth.is_empty()), self.username, self.password) {
            // some programs leave out the padding, some put a zero behind it
            (Some(auth), ..) => {
                let text =
                    STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
                text.trim_end_matches('\0').to_owned()
            }
            (None, Some(name), Some(password)) => format!("{name}:{password}"),
            _ => return None,
        };
        pair.contains(':').then(|| Known::Basic(format!("Basic {}", STANDARD.encode(pair))))
    }
}

impl Credentials {
    /// Those of the user who runs this: of `config.json` in `$DOCKER_CONFIG`, or in `~/.docker`. None where there is
    /// no such file.
    ///
    /// # Errors
    /// [`Error::Credentials`] for a file that cannot be read.
    pub fn of_user() -> Result<Self> {
        let given = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let dir = given.or_else(|| ownership::home().map(|home| home.join(".docker")));
        dir.map_or_else(|| Ok(Self::default()), |dir| Self::read(&dir.join("config.json")))
    }

    /// Those in a file of Docker's form; none where it is not there.
    ///
    /// # Errors
    /// [`Error::Credentials`]
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |reason: String| Error::Credentials { path: path.to_owned(), reason };
        let bytes = match read_small(path, LARGEST) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            read => read.map_err(|e| fault(e.to_string()))?,
        };
        let config: Config = serde_json::from_slice(&bytes).map_err(|e| {
            // the parser's own words may quote what is secret
            fault(format!("it is not JSON of Docker's form (line {}, column {})", e.line(), e.column()))
        })?;
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for (registry, auth) in config.auths {
            if let Some(found) = auth.known() {
                known.insert(host(&registry).to_owned(), found);
            }
        }
        for (registry, helper) in config.cred_helpers {
            let found = Known::Elsewhere(format!("the credential helper {helper}"));
            known.insert(host(&registry).to_owned(), found);
        }
        let store = config.creds_store.filter(|store| !store.is_empty());
        Ok(Self { known, store, file: Some(path.to_owned()) })
    }

    /// What is known of the registry at this host (and port).
    pub(super) fn find(&self, registry: &str) -> Option<Known> {
        let known = self.known.get(host(registry)).cloned();
        known.or_else(|| {
            self.store.as_ref().map(|store| Known::Elsewhere(format!("the credential helper {store}")))
        })
    }

    /// The file, for people.
    pub(super) fn file(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "~/.docker/config.json".to_owned(), |file| file.display().to_string())
    }
}

/// The host that a key of Docker's means: `https://index.docker.io/v1/` is Docker Hub.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Credentials> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Credentials::read(file.path())
    }

    #[test]
    fn what_docker_writes_is_read() {
        let encoded = STANDARD.encode("me:se:cret");
        let credentials = of(&format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{encoded}"}},
                "10.0.0.9:5000":{{"username":"you","password":"pass"}},
                "empty.example":{{}},"bad.example":{{"auth":"%%"}},"nobody.example":{{"auth":"{}"}},
                "azure.example":{{"auth":"{encoded}","identitytoken":"x"}}}},
                "credHelpers":{{"gcr.io":"gcloud"}},"HttpHeaders":{{}}}}"#,
            STANDARD.encode("nobody")
        ))
        .unwrap();
        let basic = |pair: &str| Some(Known::Basic(format!("Basic {}", STANDARD.encode(pair))));
        for name in ["docker.io", "registry-1.docker.io", "index.docker.io"] {
            assert!(credentials.find(name) == basic("me:se:cret"), "{name}");
        }
        assert!(credentials.find("10.0.0.9:5000") == basic("you:pass"));
        for name in ["10.0.0.9", "empty.example", "bad.example", "nobody.example"] {
            assert!(credentials.find(name).is_none(), "{name}");
        }
        for name in ["azure.example", "gcr.io"] {
            assert!(matches!(credentials.find(name), Some(Known::Elsewhere(_))), "{name}");
        }
        let shown = format!("{credentials:?}");
        assert!(!shown.contains(&encoded) && !shown.contains("pass"), "{shown}");
        let stored = of(r#"{"credsStore":"desktop"}"#).unwrap();
        assert!(matches!(stored.find("quay.io"), Some(Known::Elsewhere(_))));
    }

    #[test]
    fn no_file_is_nobody_and_a_bad_one_is_an_error_without_what_is_in_it() {
        assert!(Credentials::read(Path::new("/nowhere/config.json")).unwrap().find("docker.io").is_none());
        let error = of(r#"{"auths":{"a":{"auth":["verysecret"]}}}"#).unwrap_err();
        let text = crate::error::one_line(&error);
        assert!(text.contains("line 1") && !text.contains("secret"), "{text}");
    }
}
