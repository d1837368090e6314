//! `[access]`, `[base]`, `[image]`, `[overlays]` and `[cloud-init]`.

use std::path::{Path, PathBuf};

use super::overrides::Overrides;
use super::passwords::{self, Passwords};
use super::values::{existing, path};
use crate::catalog::{InvalidSpec, Spec};
use crate::cluster::toml::{Document, Table};
use crate::cluster::{
    Access, BaseImage, Image, Password, Platform, Upgrade, UsbQuirk, authorized_key, check, defaults, login,
    platform, usb_quirk,
};
use crate::io::read_small;
use crate::registry::{self, Reference};

pub(super) fn access(
    root: &mut Table<'_, '_>,
    document: &Document<'_>,
    dir: &Path,
    passwords: &Passwords,
) -> Access {
    let mut table = root.table("access");
    let user = table.read("user", login::user);
    let user = user.unwrap_or_else(|| defaults::USER.to_owned());
    let mut ssh_keys: Vec<String> = table.read_each("ssh-keys", authorized_key::parse);
    ssh_keys
        .extend(table.read_each("ssh-key-files", |file| key_file(&path(dir, file))).into_iter().flatten());
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
    let hash = table.read("password-hash", |t| check::password_hash(t).map(Password::Hash));
    let ssh_password = table.flag("ssh-password", false);
    let token_ttl = table.read("token-ttl", str::parse);
    let admin_ttl = table.read("admin-ttl", str::parse);
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
        admin_ttl: admin_ttl.unwrap_or(defaults::ADMIN_TTL),
    }
}

pub(super) fn usb_quirks(root: &mut Table<'_, '_>, document: &Document<'_>) -> Vec<UsbQuirk> {
    const KEY: &str = "usb-quirks";
    let quirks: Vec<UsbQuirk> = root.read_each(KEY, str::parse);
    let len = quirks.iter().map(|quirk| quirk.to_string().len() + 1).sum::<usize>();
    if len > usb_quirk::ROOM {
        let most = usb_quirk::ROOM - 1;
        document.report(
            KEY,
            format!("has {} bytes with its commas, and the kernel keeps {most}: leave some out", len - 1),
        );
    }
    quirks
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
    let key = |(n, line)| authorized_key::parse(line).map_err(|e| format!("{name}, line {}: {e}", n + 1));
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
    let image = table.read("image", |text| base_image(dir, text.trim()));
    let mirror = table.read("mirror", |t| check::web_address(t, &[]));
    let old_mirror = table.read("old-mirror", |t| check::web_address(t, &[]));
    let sha256 = table.read("sha256", check::sha256);
    let keyring = table.text("keyring").and_then(|f| existing(f, dir, false));
    let platform = table.read("platform", |text| {
        Platform::named(text).ok_or_else(|| format!("must be one of {}", platform::names()))
    });
    let kernel_arguments = table.read_each("kernel-arguments", str::parse);
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
    BaseImage { image, mirror, old_mirror, sha256, keyring, platform, kernel_arguments }
}

/// A path goes from the description's directory, all else stays as it is.
fn base_image(dir: &Path, text: &str) -> Result<Spec, InvalidSpec> {
    match Spec::parse_among(text, |name| path(dir, name).is_file())? {
        // An address of a file names it from the root on.
        Spec::Path(_) if !text.contains("://") => Ok(Spec::Path(path(dir, text))),
        spec => Ok(spec),
    }
}

pub(super) fn upgrade(root: &mut Table<'_, '_>) -> Upgrade {
    let mut table = root.table("system");
    let choices = [Upgrade::Security, Upgrade::All, Upgrade::None].map(|choice| (choice.as_str(), choice));
    let upgrade = table.choose("upgrade", &choices).unwrap_or_default();
    table.finish();
    upgrade
}

pub(super) fn image(root: &mut Table<'_, '_>, document: &Document<'_>, overrides: &Overrides) -> Image {
    let mut table = root.table("image");
    let size = table.read("size", str::parse);
    let described = table.flag("preload", false);
    let preload_images = table.read_each("preload-images", |text| {
        registry::image(text)?.parse::<Reference>().map_err(|fault| fault.to_string())
    });
    table.finish();
    if overrides.image_size.is_some() {
        document.flag("image.size", "--image-size");
    }
    let preload = described || overrides.preload;
    let is_set = |key: &str| document.is_set(&format!("image.{key}"));
    if is_set("preload-images") && !is_set("preload") && !preload {
        document.report("image.preload-images", "needs \"preload = true\" beside it, or --preload");
    }
    if overrides.preload {
        document.flag("image.preload", "--preload");
    }
    Image { size: overrides.image_size.or(size), preload, preload_images }
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
