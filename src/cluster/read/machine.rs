//! `[access]`, `[base]`, `[overlays]` and `[cloud-init]`.

use std::path::{Path, PathBuf};

use super::overrides::Overrides;
use super::passwords::{self, Passwords};
use super::values::{existing, path};
use crate::catalog::{InvalidSpec, Spec};
use crate::cluster::toml::{Document, Table};
use crate::cluster::{Access, BaseImage, Password, Platform, check, defaults, login, platform};
use crate::io::read_small;

pub(super) fn access(
    root: &mut Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    passwords: &Passwords,
) -> Access {
    let mut table = root.table("access");
    let user = table.text("user").and_then(|f| f.check(|t| login::user(t)));
    let user = user.unwrap_or_else(|| defaults::USER.to_owned());
    let lines = table.texts("ssh-keys").unwrap_or_default();
    let mut ssh_keys: Vec<String> =
        lines.into_iter().filter_map(|f| f.check(|t| check::ssh_key(t))).collect();
    for file in table.texts("ssh-key-files").unwrap_or_default() {
        ssh_keys.extend(file.check(|text| key_file(&path(dir, text))).unwrap_or_default());
    }
    let mut seen = std::collections::BTreeSet::new();
    ssh_keys.retain(|key| seen.insert(key.clone()));

    let variable = (passwords::LOGIN, passwords.login.as_ref());
    let password =
        table.secret("password", "password-file", variable, |f| passwords::read(dir, f)).and_then(|f| {
            f.check(|text| match check::password(text)? {
                // The well-known password of the stock images is their user's name.
                _ if *text == user => Err("must not be the login name: everyone tries that first".to_owned()),
                password => Ok(Password::Plain(password)),
            })
        });
    let hash =
        table.text("password-hash").and_then(|f| f.check(|t| check::password_hash(t).map(Password::Hash)));
    let ssh_password = table.flag("ssh-password", false);
    let token_ttl = table.text("token-ttl").and_then(|f| f.check(|t| t.parse()));
    table.finish();
    let is_set = |key: &str| document.is_set(&format!("access.{key}"));
    if is_set("password") && is_set("password-hash") {
        document.report("access.password-hash", "goes without \"password\": give one of the two");
    }
    if ssh_password && !is_set("password") && !is_set("password-hash") {
        document.report("access.ssh-password", "needs a \"password\" or \"password-hash\" beside it");
    }
    Access {
        user,
        ssh_keys,
        password: password.or(hash),
        ssh_password,
        token_ttl: token_ttl.unwrap_or(defaults::TOKEN_TTL),
    }
}

/// An authorized_keys of a large team takes some ten kilobytes.
const KEY_FILE_MAX: u64 = 1 << 20;

/// The keys in a file: one a line, between empty lines and comments.
fn key_file(path: &Path) -> Result<Vec<String>, String> {
    let name = path.display();
    let text = read_small(path, KEY_FILE_MAX).map_err(|e| format!("reading {name}: {e}"))?;
    let text = String::from_utf8(text).map_err(|_| format!("{name} is not UTF-8 text"))?;
    if text.contains("PRIVATE KEY") {
        return Err(format!("{name} is a private key; give the public half, the file that ends in .pub"));
    }
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    let key = |(n, line)| check::ssh_key(line).map_err(|e| format!("{name}, line {}: {e}", n + 1));
    let keys = lines.map(key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(format!("{name} holds no key")) } else { Ok(keys) }
}

pub(super) fn base(
    root: &mut Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    overrides: &Overrides,
) -> BaseImage {
    let mut table = root.table("base");
    let image = table.text("image").and_then(|f| f.check(|text| image(dir, text.trim())));
    let mirror = table.text("mirror").and_then(|f| f.check(|t| check::web_address(t, &[])));
    let sha256 = table.text("sha256").and_then(|f| f.check(|t| check::sha256(t)));
    let keyring = table.text("keyring").and_then(|f| existing(f, dir, false));
    let platform = table.text("platform").and_then(|f| {
        f.check(|text| match Platform::named(text) {
            Some(platform) => Ok(platform),
            None => Err(format!("must be one of {}", platform::names())),
        })
    });
    let arguments = table.texts("kernel-arguments").unwrap_or_default();
    let kernel_arguments = arguments.into_iter().filter_map(|f| f.check(|t| t.parse())).collect();
    table.finish();
    let described = image.unwrap_or_default();
    let image = match &overrides.base {
        None => described.clone(),
        Some(given) => {
            document.flag("base.image", "--base");
            given.parse().unwrap_or_else(|fault: InvalidSpec| {
                document.report("base.image", fault.to_string());
                Spec::default()
            })
        }
    };
    // the digest is that of the image which stands beside it, not of another one named by a flag
    let sha256 = sha256.filter(|_| image == described);
    BaseImage { image, mirror, sha256, keyring, platform, kernel_arguments }
}

/// A path goes from the description's directory, all else stays as it is.
fn image(dir: &Path, text: &str) -> Result<Spec, InvalidSpec> {
    match Spec::parse_among(text, |name| path(dir, name).is_file())? {
        // An address of a file names it from the root on.
        Spec::Path(_) if !text.contains("://") => Ok(Spec::Path(path(dir, text))),
        spec => Ok(spec),
    }
}

pub(super) fn overlays(root: &mut Table<'_, '_>, dir: &Path) -> Option<PathBuf> {
    let mut table = root.table("overlays");
    let overlays = table.text("dir").and_then(|f| existing(f, dir, true));
    table.finish();
    overlays
}

pub(super) fn cloud_init_extra(root: &mut Table<'_, '_>, dir: &Path) -> Option<PathBuf> {
    let mut table = root.table("cloud-init");
    let extra = table.text("extra").and_then(|f| existing(f, dir, false));
    table.finish();
    extra
}
