//! The stand-ins for Ubuntu's images: Debian with Ubuntu's layout, which boot in an emulator.

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

/// A stand-in, by the release of Debian that it is made of; what makes each is in `tests/standin/ages/`.
#[derive(Debug, PartialEq, Eq)]
pub struct Age {
    /// Debian's number, by which the scripts know it.
    pub debian: &'static str,
    /// Debian's name for it, as apt and cloud-init have it.
    pub codename: &'static str,
    /// The system in whose place it stands, as `base.platform` has it.
    pub platform: &'static str,
    /// The suite of Docker's repository that is asked for in that place.
    pub docker_suite: &'static str,
    /// The suites for which its cloud-init writes package sources; the first is the release itself.
    pub suites: [&'static str; 4],
    /// Whose key its cloud-init has apt accept for them. Without one apt takes any that it trusts.
    pub keyring: Option<&'static str>,
    /// Whether its netplan knows `ignore-carrier`, as that of every Ubuntu does that pibake knows (from 0.104 on).
    pub knows_ignore_carrier: bool,
    /// The line of its own containerd, and a version as Docker's newest package of that line has it.
    pub containerd: (&'static str, &'static str),
}

/// As far back as Ubuntu 20.04.
pub const OLDEST: Age = Age {
    debian: "11",
    codename: "bullseye",
    platform: "20.04",
    docker_suite: "focal",
    suites: ["bullseye", "bullseye/updates", "bullseye-updates", "bullseye-backports"],
    keyring: None,
    knows_ignore_carrier: false,
    containerd: ("1.4", "1.4.13-1"),
};

/// The one that tests boot where they do not say.
pub const USUAL: Age = Age {
    debian: "12",
    codename: "bookworm",
    platform: "debian-12",
    docker_suite: "bookworm",
    suites: ["bookworm", "bookworm-updates", "bookworm-security", "bookworm-backports"],
    keyring: None,
    knows_ignore_carrier: true,
    containerd: ("1.6", "1.6.33-1"),
};

/// As near to Ubuntu 26.04 as there is a Debian, and with its layout of the boot partition.
pub const NEWEST: Age = Age {
    debian: "13",
    codename: "trixie",
    platform: "26.04",
    docker_suite: "resolute",
    suites: ["trixie", "trixie-updates", "trixie-security", "trixie-backports"],
    keyring: Some("usr/share/keyrings/debian-archive-keyring.gpg"),
    knows_ignore_carrier: true,
    containerd: ("1.7", "1.7.28-1"),
};

impl Age {
    /// The one that the environment's `STANDIN` names.
    pub fn chosen() -> &'static Self {
        let name = std::env::var("STANDIN").unwrap_or_else(|_| USUAL.debian.to_owned());
        let known = [&OLDEST, &USUAL, &NEWEST].into_iter().find(|age| age.debian == name);
        known.unwrap_or_else(|| panic!("STANDIN is {name:?}; it may be 11, 12 or 13"))
    }

    /// The folder with the image and the packages beside it, or what makes it where it is not kept.
    pub fn kept(&self) -> Result<PathBuf, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("standin").join("build.sh");
        let out = Command::new(script).args([self.debian, "--if-cached"]).output().unwrap();
        if out.status.success() {
            return Ok(PathBuf::from(String::from_utf8(out.stdout).unwrap().trim_end()));
        }
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }

    /// The same, of one that must be there.
    pub fn dir(&self) -> PathBuf {
        self.kept().unwrap_or_else(|way_out| panic!("{way_out}"))
    }
}

/// The folder with the usual stand-in. `make test` makes it.
pub fn dir() -> PathBuf {
    USUAL.dir()
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
