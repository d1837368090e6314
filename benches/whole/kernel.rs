//! The same changes as root does them: both partitions mounted through loop devices.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use pibake::disk::{FileDevice, partitions};
use pibake::recipe::{Action, Recipe, Volume};

use crate::mounted::Mounted;
use support::run;

/// A copy of a base that the kernel edits.
pub struct Kernel {
    image: PathBuf,
    dir: PathBuf,
    /// Nowhere where this kernel knows no FAT: then the boot partition's few changes are left out,
    /// in the kernel's favour.
    boot: Option<(u64, u64)>,
    root: (u64, u64),
}

impl Kernel {
    pub fn new(base: &Path, dir: &Path) -> Self {
        let image = dir.join("kernel.img");
        run(std::process::Command::new("cp").arg("--sparse=always").args([base, &image]));
        let (_, found) = partitions(&FileDevice::open(&image).expect("the copy")).expect("a table");
        let place = |n: usize| (found[n].offset, found[n].len);
        Self { boot: knows_fat().then(|| place(0)), root: place(1), image, dir: dir.to_owned() }
    }

    /// What it does, for people.
    pub fn name(&self) -> &'static str {
        match self.boot {
            Some(_) => "root: loop mounts, write, umount",
            None => "root: loop mount (ext4 alone), write, umount",
        }
    }

    /// Mounts, changes, unmounts.
    pub fn apply(&self, recipe: &Recipe) {
        let boot = self.boot.map(|part| Mounted::loop_at(&self.image, Some(part), &self.dir.join("boot")));
        let root = Mounted::loop_at(&self.image, Some(self.root), &self.dir.join("root"));
        for change in &recipe.changes {
            let top = match (change.volume, &boot) {
                (Volume::Boot, Some(boot)) => boot.at(),
                (Volume::Boot, None) => continue,
                (Volume::Root, _) => root.at(),
            };
            let place = top.join(change.path.as_str().trim_start_matches('/'));
            if let Some(above) = place.parent() {
                fs::create_dir_all(above).expect("a folder");
            }
            let access = match &change.action {
                Action::Write { content, access, .. } => {
                    fs::write(&place, content).expect("a file");
                    Some(access)
                }
                Action::Directory { access } => {
                    fs::create_dir_all(&place).expect("a folder");
                    Some(access)
                }
                Action::Symlink { target } => {
                    let _ = fs::remove_file(&place);
                    symlink(target, &place).expect("a link");
                    None
                }
                Action::Remove => {
                    let _ = fs::remove_file(&place);
                    None
                }
                Action::Fstab => {
                    let text = fs::read_to_string(&place).expect("fstab");
                    fs::write(&place, text.replace("LABEL=", "PARTUUID=")).expect("a file");
                    None
                }
                Action::KernelArguments { set, .. } => {
                    let line = fs::read_to_string(&place).expect("the kernel's command line");
                    let set: String = set.iter().map(|argument| format!(" {argument}")).collect();
                    fs::write(&place, format!("{}{set}\n", line.trim_end())).expect("a file");
                    None
                }
            };
            if let (Some(access), Volume::Root) = (access, change.volume) {
                chown(&place, Some(access.uid), Some(access.gid)).expect("an owner");
                let mode = fs::Permissions::from_mode(access.mode.into());
                fs::set_permissions(&place, mode).expect("a mode");
            }
        }
    }
}

fn knows_fat() -> bool {
    // loads the module where there is one
    let _ = std::process::Command::new("modprobe").arg("-q").arg("vfat").status();
    fs::read_to_string("/proc/filesystems").is_ok_and(|known| known.contains("vfat"))
}
