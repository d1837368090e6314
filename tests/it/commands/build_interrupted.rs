//! `pibake build`, killed at any moment or run twice at once: what stands under a final name is
//! whole, and the next run ends as if nothing had been.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bases::hidden;
use rand::RngExt;
use sha2::{Digest, Sha256};
use support::images::{self, Spec};
use support::noise::{self, Noise};
use support::{run, tool};

/// How often a build is killed, on each of two bases.
const KILLS: u64 = 25;

/// A folder to build in, with a cache of its own.
struct Place {
    dir: tempfile::TempDir,
    base: String,
}

impl Place {
    fn new(base: String) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), base }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn remove(&self, name: &str) {
        if self.at(name).exists() {
            std::fs::remove_dir_all(self.at(name)).unwrap();
        }
    }

    fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_pibake"))
            .args(["build", "--quiet", "--nodes", "3", "--base", &self.base])
            .current_dir(self.dir.path())
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Builds to the end; how long it took.
    fn build(&self) -> Duration {
        let began = Instant::now();
        succeeds(self.start());
        began.elapsed()
    }

    /// The digests of the images that stand under their names, and of the bills beside them.
    fn images(&self) -> BTreeMap<String, [u8; 32]> {
        let Ok(entries) = std::fs::read_dir(self.at("images")) else { return BTreeMap::new() };
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let whole = names.filter(|name| !name.starts_with('.'));
        whole.map(|name| (name.clone(), digest(&self.at("images").join(name)))).collect()
    }
}

fn succeeds(child: Child) {
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}: {}", out.status, String::from_utf8_lossy(&out.stderr));
}

/// Over the bytes that are not in holes, and where they are: most of an image is a hole.
fn digest(path: &Path) -> [u8; 32] {
    use rustix::fs::{SeekFrom, seek};
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let mut hash = Sha256::new();
    hash.update(len.to_le_bytes());
    let mut chunk = vec![0; 1 << 16];
    let mut at = 0;
    while at < len {
        let Ok(data) = seek(&file, SeekFrom::Data(at)) else { break };
        at = data - data % chunk.len() as u64;
        let hole = seek(&file, SeekFrom::Hole(data)).unwrap();
        while at < hole {
            let n = chunk.len().min((len - at) as usize);
            file.read_exact_at(&mut chunk[..n], at).unwrap();
            // what is a hole in one file may be zeros in the other
            if chunk[..n].iter().any(|b| *b != 0) {
                hash.update(at.to_le_bytes());
                hash.update(&chunk[..n]);
            }
            at += n as u64;
        }
    }
    hash.finalize().into()
}

/// Returns how many unfinished images were left behind.
fn killed_at_random_moments(place: &Place, noise: &mut Noise) -> usize {
    // the secrets are made once, which takes its time
    place.build();
    place.remove("cache");
    let first = place.build();
    let again = place.build();
    let wanted = place.images();
    let names = [
        "node-1.img",
        "node-1.spdx.json",
        "node-2.img",
        "node-2.spdx.json",
        "node-3.img",
        "node-3.spdx.json",
    ];
    assert_eq!(wanted.keys().collect::<Vec<_>>(), names);
    let (mut killed, mut remnants, mut partly) = (0, 0, 0);
    for n in 0..KILLS {
        // with and without a cache, with and without earlier images
        let cold = n % 3 != 0;
        if cold {
            place.remove("cache");
        }
        if n % 5 != 0 {
            place.remove("images");
        }
        let mut child = place.start();
        let whole = if cold { first } else { again };
        std::thread::sleep(whole.mul_f64(noise.random::<f64>()));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let found = place.images();
        for (name, digest) in &found {
            assert_eq!(Some(digest), wanted.get(name), "{name} is not whole, in round {n}");
        }
        partly += usize::from((1..6).contains(&found.len()));
        remnants += if place.at("images").exists() { remnants_in(&place.at("images")).len() } else { 0 };

        place.build();
        assert_eq!(place.images(), wanted, "round {n}");
        assert_eq!(remnants_in(&place.at("images")), [""; 0], "remnants stay, in round {n}");
    }
    println!("{killed} of {KILLS} were killed, {remnants} remnants, {partly} times some images were whole");
    assert!(killed > KILLS as u32 / 4, "too few builds were killed: this test shows nothing");
    remnants
}

/// What a build leaves in the folder of the images that belongs to no image and to no folder of images.
fn remnants_in(dir: &Path) -> Vec<String> {
    let kept = [".gitignore", ".pibake-images.toml"];
    hidden(dir).into_iter().filter(|name| !kept.contains(&name.as_str())).collect()
}

#[test]
fn killed_while_building_the_sample() {
    let seed = u64::from(std::process::id()) + 1;
    killed_at_random_moments(&Place::new("sample".to_owned()), &mut noise::noise(seed));
}

#[test]
fn killed_while_building_from_a_larger_image() {
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    for (path, content) in images::ROOT_FILES {
        images::put(&root.join(path), content);
    }
    std::fs::write(root.join("noise"), noise::bytes(9, 60 << 20)).unwrap();
    let (image, _) = Spec { ext4_mib: 128, ..Spec::default() }.make_from(work.path(), &root);
    run(tool("xz", "xz-utils").args(["-0", "-T4", "--block-size=1MiB"]).arg(&image));
    let packed = image.with_extension("img.xz");
    let seed = u64::from(std::process::id()) + 1;
    let remnants =
        killed_at_random_moments(&Place::new(packed.display().to_string()), &mut noise::noise(seed));
    assert!(remnants > 0, "no build was killed while it wrote: this test shows nothing");
}

/// The secrets are made by the run that is killed: they are whole or made anew.
#[test]
fn killed_in_a_new_project() {
    let place = Place::new("sample".to_owned());
    let whole = place.build();
    let mut noise = noise::noise(u64::from(std::process::id()));
    for n in 0..10 {
        for name in [".pibake", "images"] {
            place.remove(name);
        }
        let mut child = place.start();
        // all of that happens early
        std::thread::sleep(whole.mul_f64(0.5 * noise.random::<f64>()));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = place.images();
        place.build();
        let after = place.images();
        assert_eq!(after.len(), 6);
        for (name, digest) in &found {
            assert_eq!(after.get(name), Some(digest), "{name} has other secrets, in round {n}");
        }
    }
}

/// Nobody waits and nobody is refused: builds of one project make the same images, and of the
/// others each image is one run's or the other's, whole.
#[test]
fn two_at_once_in_one_folder() {
    let place = Place::new("sample".to_owned());
    for round in 0..4 {
        for name in [".pibake", "images", "cache"] {
            place.remove(name);
        }
        let both = [place.start(), place.start()];
        both.into_iter().for_each(succeeds);
        let found = place.images();
        assert_eq!(found.len(), 6, "round {round}");
        assert_eq!(remnants_in(&place.at("images")), [""; 0], "round {round}");
        place.build();
        assert_eq!(place.images(), found, "the runs made secrets of their own, in round {round}");
    }
}
