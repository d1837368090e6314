//! What a machine that makes cards has of its own: its key, and the keys that it trusts, in the user's configuration.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::sealed::{InvalidKey, Recipient, StationKey, is_public, is_secret};
use super::seen::Seen;
use super::signature::PublicKey;
use crate::io::folder::make_folders;
use crate::io::{CancelToken, FileLock, Folder, Owner, ownership, read_small};

/// This machine's key; age takes it for `-i`.
const STATION: &str = "station.key";
/// The keys that are trusted, one a line; what follows one on its line is for people.
const TRUSTED: &str = "trusted";
/// What was seen of each fleet.
const SEEN: &str = "fleets";
/// No file of keys is larger.
const LARGEST: u64 = 1 << 20;

/// The folder of the user's own keys.
#[derive(Debug, Clone)]
pub struct Keys {
    dir: PathBuf,
}

impl Keys {
    /// In `$XDG_CONFIG_HOME/pibake`, or `~/.config/pibake`. Nothing is made there yet.
    ///
    /// # Errors
    /// [`Error::KeyFile`] where nothing says where that is.
    pub fn of_user() -> Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || ownership::home().or_else(|| absolute("HOME")).map(|home| home.join(".config"));
        let dir = absolute("XDG_CONFIG_HOME").or_else(home).map(|dir| dir.join("pibake"));
        dir.map(Self::within).ok_or_else(|| Error::KeyFile {
            path: STATION.into(),
            fault: "there is no folder for keys: set HOME or XDG_CONFIG_HOME".to_owned(),
        })
    }

    /// In this folder.
    #[must_use]
    pub fn within(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where this machine's key is, or would be.
    #[must_use]
    pub fn station_file(&self) -> PathBuf {
        self.dir.join(STATION)
    }

    /// Where the keys are that are trusted.
    #[must_use]
    pub fn trusted_file(&self) -> PathBuf {
        self.dir.join(TRUSTED)
    }

    /// What was seen of fleets.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen::within(self.dir.join(SEEN))
    }

    /// Held by the one run that makes cards for this machine, lest two runs take each other's nodes.
    ///
    /// # Errors
    /// What taking it answers.
    pub fn busy(&self, cancel: &CancelToken, waits: impl FnOnce()) -> Result<FileLock> {
        self.folder()?;
        let taken = FileLock::take(&self.dir.join("station.lock"), cancel, waits);
        Ok(taken.map_err(crate::base::Error::from)?)
    }

    /// This machine's key, if it has one.
    ///
    /// # Errors
    /// [`Error::KeyFile`] for one that others may read, or that is none.
    pub fn station(&self) -> Result<Option<StationKey>> {
        let path = self.station_file();
        let Some(text) = read(&path)? else { return Ok(None) };
        let reading = |e| Error::io(format!("reading {}", path.display()), e);
        let mode = std::fs::metadata(&path).map_err(reading)?.mode() & 0o777;
        let fault = if mode & 0o077 != 0 {
            format!("others may read it (mode {mode:03o}): run chmod 600 {}", path.display())
        } else {
            "it holds no key of age's (AGE-SECRET-KEY-1…): put the right one there, or move it away"
                .to_owned()
        };
        match StationKey::of_file(&text).filter(|_| mode & 0o077 == 0) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::KeyFile { path, fault }),
        }
    }

    /// This machine's key, made where it has none; and whether it was.
    ///
    /// # Errors
    /// As [`Self::station`]; what writing it answers.
    pub fn station_or_new(&self) -> Result<(StationKey, bool)> {
        if let Some(key) = self.station()? {
            return Ok((key, false));
        }
        let key = StationKey::make();
        let path = self.station_file();
        let writing = |e| Error::io(format!("writing {}", path.display()), e);
        let folder = self.folder()?;
        match folder.write_new(STATION, key.file().as_bytes(), 0o600, Owner::of_new_in(&self.dir)) {
            // another one that began at the same moment
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let other = self.station()?.ok_or_else(|| writing(e))?;
                Ok((other, false))
            }
            written => written.map(|()| (key, true)).map_err(writing),
        }
    }

    /// The keys that are trusted.
    ///
    /// # Errors
    /// [`Error::KeyFile`] for a line that holds none.
    pub fn trusted(&self) -> Result<Vec<PublicKey>> {
        let path = self.trusted_file();
        let text = read(&path)?.unwrap_or_default();
        let lines = text.lines().map(str::trim).enumerate();
        let keys =
            lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(number, line)| {
                let word = line.split_whitespace().next().unwrap_or_default();
                word.parse().map_err(|fault| Error::KeyFile {
                    path: path.clone(),
                    fault: format!("line {}: {fault}; correct it, or remove the line", number + 1),
                })
            });
        keys.collect()
    }

    /// Trusts a key from now on; says whether that is new.
    ///
    /// # Errors
    /// As [`Self::trusted`]; what writing it answers.
    pub fn trust(&self, key: &PublicKey, cancel: &CancelToken) -> Result<bool> {
        let folder = self.folder()?;
        // two runs at once must not take each other's key away
        let lock = self.dir.join("trusted.lock");
        let _lock = FileLock::take(&lock, cancel, || ()).map_err(crate::base::Error::from)?;
        if self.trusted()?.contains(key) {
            return Ok(false);
        }
        let path = self.trusted_file();
        let mut text = read(&path)?.unwrap_or_default();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text += &format!("{key}\n");
        let written = folder.replace(TRUSTED, text.as_bytes(), 0o600, Owner::of_new_in(&self.dir));
        written.map_err(|e| Error::io(format!("writing {}", path.display()), e))?;
        Ok(true)
    }

    fn folder(&self) -> Result<Folder> {
        let making = |e| Error::io(format!("making the folder {}", self.dir.display()), e);
        make_folders(&self.dir, 0o700).map_err(making)?;
        Folder::open(&self.dir).map_err(making)
    }
}

/// The machines that are named in a text, each by its public key or by a file that has one a line.
///
/// # Errors
/// [`Error::Recipients`]; what reading a file answers.
pub(super) fn recipients(named: &[String]) -> Result<Vec<Recipient>> {
    let mut found: Vec<Recipient> = Vec::new();
    let mut seen = Vec::new();
    for text in named {
        let wrong = |place: String, source: InvalidKey| Error::Recipients { place, source };
        // a file that has such a name is named by ./ before it
        if is_public(text) || is_secret(text) {
            found.push(text.parse().map_err(|source| wrong("--recipient".to_owned(), source))?);
            continue;
        }
        let content =
            read_small(Path::new(text), LARGEST).map_err(|e| Error::io(format!("reading {text}"), e))?;
        let content = String::from_utf8_lossy(&content);
        let lines = content.lines().map(str::trim).enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let word = line.split_whitespace().next().unwrap_or_default();
            let place = || format!("{text}, line {}", number + 1);
            found.push(word.parse().map_err(|source| wrong(place(), source))?);
        }
    }
    // each once, the first one first
    found.retain(|recipient| {
        let text = recipient.to_string();
        let is_new = !seen.contains(&text);
        seen.push(text);
        is_new
    });
    if found.is_empty() { Err(Error::NoRecipients) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Option<String>> {
    let reading = |e| Error::io(format!("reading {}", path.display()), e);
    match read_small(path, LARGEST) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(reading(e)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::fleet::SigningKey;

    #[test]
    fn a_machine_has_one_key_which_nobody_else_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::within(dir.path().join("pibake"));
        assert!(keys.station().unwrap().is_none());
        let (key, is_new) = keys.station_or_new().unwrap();
        assert!(is_new);
        let (again, is_new) = keys.station_or_new().unwrap();
        assert!(!is_new && again.public().to_string() == key.public().to_string());
        let mode = std::fs::metadata(keys.station_file()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::set_permissions(keys.station_file(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = keys.station().unwrap_err().to_string();
        assert!(error.contains("others may read it (mode 640): run chmod 600"), "{error}");
        std::fs::write(keys.station_file(), "nothing\n").unwrap();
        std::fs::set_permissions(keys.station_file(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(keys.station().unwrap_err().to_string().contains("holds no key of age's"));
    }

    #[test]
    fn keys_are_trusted_once_and_told_by_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::within(dir.path().to_owned());
        assert!(keys.trusted().unwrap().is_empty());
        let new = || SigningKey::make().unwrap().parse::<SigningKey>().unwrap().public();
        let [one, two] = [new(), new()];
        let trust = |key| keys.trust(key, &CancelToken::default()).unwrap();
        assert!(trust(&one) && !trust(&one) && trust(&two));
        assert_eq!(keys.trusted().unwrap(), [one, two]);
        std::fs::write(keys.trusted_file(), format!("# us\n{one} who it is\n\nno key\n")).unwrap();
        let error = keys.trusted().unwrap_err().to_string();
        assert!(error.contains("line 4: it is not a key"), "{error}");
    }

    #[test]
    fn recipients_are_keys_or_files_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = [(); 2].map(|()| StationKey::make().public().to_string());
        let file = dir.path().join("stations");
        std::fs::write(&file, format!("# the shop\n{one} by the door\n{two}\n")).unwrap();
        let found = recipients(&[two.clone(), file.display().to_string()]).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [two, one]);
        assert!(matches!(recipients(&[]), Err(Error::NoRecipients)));
        std::fs::write(&file, "# us\nage1oops\n").unwrap();
        let error = recipients(&[file.display().to_string()]).unwrap_err().to_string();
        assert!(error.contains("stations, line 2: \"age1oops\" is not a public key"), "{error}");
    }

    #[test]
    fn two_at_once_who_trust_somebody_lose_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::within(dir.path().to_owned());
        let all = [(); 8].map(|()| SigningKey::make().unwrap().parse::<SigningKey>().unwrap().public());
        std::thread::scope(|scope| {
            for key in &all {
                let keys = &keys;
                scope.spawn(move || keys.trust(key, &CancelToken::default()).unwrap());
            }
        });
        let trusted = keys.trusted().unwrap();
        assert_eq!(trusted.len(), all.len());
        assert!(all.iter().all(|key| trusted.contains(key)));
    }

    #[test]
    fn a_secret_key_is_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let text = StationKey::make().file();
        let secret = text.lines().last().unwrap().to_owned();
        let file = dir.path().join("station.key");
        std::fs::write(&file, &text).unwrap();
        for named in [secret.clone(), secret.to_lowercase(), file.display().to_string()] {
            let error = recipients(&[named]).unwrap_err();
            let said = format!("{error} {error:?}").to_uppercase();
            assert!(said.contains("IT IS A SECRET KEY: NAME THE PUBLIC ONE"), "{said}");
            assert!(!said.contains("AGE-SECRET-KEY"), "the secret is in it");
        }
    }
}
