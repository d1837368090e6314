//! A folder to run pibake in, in a world with a web server.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use support::images::Spec;
use support::nginx::Nginx;
use support::{run, tool};

use super::world::{self, World};

/// A folder with a description and a base, in a world with a web server.
pub struct Desk {
    pub world: World,
    /// Serves the repositories; without it nobody does.
    pub nginx: Option<Nginx>,
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new(ext4_mib: u64) -> Self {
        let world = World::new();
        for (path, key) in [("/docker.asc", "docker"), (world::KUBERNETES_KEY, "kubernetes")] {
            fs::write(world.folder().join(&path[1..]), world.gpg.export(key)).unwrap();
        }
        let nginx = Nginx::serve(world.folder());
        let dir = tempfile::tempdir().unwrap();
        let spec = Spec { ext4_mib, ..Spec::default() };
        fs::create_dir(dir.path().join("base")).unwrap();
        spec.make_from(&dir.path().join("base"), &world.root);
        let key = format!("{}/kubernetes.gpg", world.folder().display());
        let text = world.description(&nginx.url()).replace("kubernetes.gpg", &key);
        let text = format!("{text}[base]\nimage = \"base/base.img\"\n");
        fs::write(dir.path().join("pibake.toml"), text).unwrap();
        Self { world, nginx: Some(nginx), dir }
    }

    /// A run with a cache of this name.
    pub fn pibake_with(&self, cache: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::cargo_bin("pibake").unwrap();
        command.current_dir(self.dir.path()).env("SOURCE_DATE_EPOCH", "1700000000");
        command.env("XDG_CACHE_HOME", self.dir.path().join(cache)).env("DOCKER_CONFIG", self.dir.path());
        command.args(arguments).assert()
    }

    pub fn pibake(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        self.pibake_with("cache", arguments)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let out = self.pibake(&[arguments, &["--json"]].concat()).success();
        serde_json::from_slice(&out.get_output().stdout).unwrap()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// No image, whole or not, and nothing else that looks like one.
    pub fn assert_no_images(&self) {
        let images: Vec<_> = fs::read_dir(self.path("images")).into_iter().flatten().collect();
        let left: Vec<_> = images.iter().map(|entry| entry.as_ref().unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name.to_str().unwrap().starts_with(".gitignore")), "{left:?}");
    }
}

impl Desk {
    /// The same with a base that must be unpacked.
    pub fn packed() -> Self {
        let desk = Self::new(64);
        run(tool("zstd", "zstd").args(["-q", "-1", "--rm"]).arg(desk.path("base/base.img")));
        desk.describe("base/base.img", "base/base.img.zst");
        desk
    }

    /// Changes the description.
    pub fn describe(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("pibake.toml")).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path("pibake.toml"), text.replacen(from, to, 1)).unwrap();
    }
}
