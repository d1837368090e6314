//! Passwords that do not stand in the description itself, so that it can go into a repository.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::values::path;
use crate::cluster::Secret;
use crate::error::{Classified, ErrorClass};

/// Passwords from the environment; each goes before what the description says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwords {
    /// Of the WiFi: `PIBAKE_WIFI_PASSWORD`.
    pub wifi: Option<Secret>,
    /// Of the login user: `PIBAKE_LOGIN_PASSWORD`.
    pub login: Option<Secret>,
    /// Of the proxy: `PIBAKE_PROXY_PASSWORD`.
    pub proxy: Option<Secret>,
}

/// The variable with the radio network's password.
pub(super) const WIFI: &str = "PIBAKE_WIFI_PASSWORD";
/// The variable with the login's password.
pub(super) const LOGIN: &str = "PIBAKE_LOGIN_PASSWORD";
/// The variable with the proxy's password.
pub(super) const PROXY: &str = "PIBAKE_PROXY_PASSWORD";

/// A password file that is longer is another file.
const FILE_MAX: u64 = 4096;

/// A variable whose value is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value of {0} in the environment is not UTF-8")]
pub struct NotUnicode(&'static str);

impl Classified for NotUnicode {
    fn class(&self) -> ErrorClass {
        ErrorClass::Usage
    }
}

impl Passwords {
    /// What the environment of this process says.
    ///
    /// # Errors
    /// [`NotUnicode`] where a value is not UTF-8.
    pub(crate) fn from_environment() -> Result<Self, NotUnicode> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, NotUnicode> {
        let secret = |name: &'static str| {
            let text = variable(name).map(|value| value.into_string().map_err(|_| NotUnicode(name)));
            text.transpose().map(|text| text.map(Secret::new))
        };
        Ok(Self { wifi: secret(WIFI)?, login: secret(LOGIN)?, proxy: secret(PROXY)? })
    }
}

/// The password in a file, without the line break at its end, and where the file is.
pub(super) fn read(dir: &Path, name: &str) -> Result<(PathBuf, String), String> {
    let path = path(dir, name);
    let shown = path.display();
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|e| format!("reading {shown}: {e}"))?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|e| format!("reading {shown}: {e}"))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!(
            "{shown} is longer than {FILE_MAX} bytes: it must hold a password and nothing else"
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    match line {
        "" => Err(format!("{shown} is empty")),
        line if line.contains('\n') => {
            Err(format!("{shown} has more than one line: it must hold a password only"))
        }
        line => Ok((path.clone(), line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_line_whatever_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |content: &[u8]| {
            std::fs::write(dir.path().join("p"), content).unwrap();
            read(dir.path(), "p").map(|(_, text)| text)
        };
        for content in ["correct horse", "correct horse\n", "correct horse\r\n"] {
            assert_eq!(ask(content.as_bytes()).as_deref(), Ok("correct horse"));
        }
        assert_eq!(ask(b" x \n").as_deref(), Ok(" x "), "blanks are part of it");
        for bad in [&b""[..], b"\n", b"\r\n", b"a\nb\n", b"\xff\xfe", &[b'x'; 5000]] {
            let said = ask(bad).unwrap_err();
            assert!(said.contains(&dir.path().display().to_string()), "{said}");
        }
        assert!(read(dir.path(), "none").unwrap_err().contains("none"));
    }
}
