//! The stand-in for Ubuntu's image: Debian with Ubuntu's layout, which boots in an emulator.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gpg::Gpg;
use crate::images::put;
use crate::nginx::Nginx;
use crate::{run, tool};

/// Ubuntu's name for the image that the stand-in takes the place of, below a mirror's root.
const RELEASE: &str = "20.04.5/release";
const IMAGE: &str = "ubuntu-20.04.5-preinstalled-server-arm64+raspi.img.xz";

/// The folder with the stand-in and the packages beside it. `make test` makes it.
pub fn dir() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("standin").join("build.sh");
    let out = Command::new(script).arg("--if-cached").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim_end())
}

/// The stand-in on a mirror of the test's, under the name of the default base and signed as
/// Ubuntu's is, by a key of the test's.
pub struct Mirror {
    pub server: Nginx,
    _files: tempfile::TempDir,
    key: Vec<u8>,
}

impl Mirror {
    pub fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let release = files.path().join("releases").join(RELEASE);
        std::fs::create_dir_all(&release).unwrap();
        let image = dir().join("standin.img.xz");
        std::os::unix::fs::symlink(&image, release.join(IMAGE)).unwrap();

        let digest = run(tool("sha256sum", "coreutils").arg("--binary").stdin(File::open(&image).unwrap()));
        // Others are on the list, too, as on the real one.
        let list =
            format!("{} *ubuntu-20.04.5-live-server-arm64.iso\n{} *{IMAGE}\n", "0".repeat(64), &digest[..64]);
        let gpg = Gpg::new();
        gpg.key("mirror", "rsa3072", "sign", "never", None);
        std::fs::write(release.join("SHA256SUMS.gpg"), gpg.sign("mirror", list.as_bytes(), &[])).unwrap();
        std::fs::write(release.join("SHA256SUMS"), list).unwrap();
        let server = Nginx::serve(files.path());
        Self { server, key: gpg.export("mirror"), _files: files }
    }

    /// Writes a pibake.toml that takes its base from here, with `more` at its end, and the key.
    pub fn write_description(&self, dir: &Path, more: &str) {
        std::fs::write(dir.join("mirror.gpg"), &self.key).unwrap();
        let url = self.server.url();
        let text = format!("[base]\nmirror = \"{url}/releases\"\nkeyring = \"mirror.gpg\"\n{more}");
        put(&dir.join("pibake.toml"), &text);
    }
}
