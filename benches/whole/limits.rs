//! Cards that are as slow as cards: a control group whose processes get so many bytes a second from
//! each loop device, and no more. Nothing else is limited, nor anybody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::loops::Card;
use crate::process::{Run, shell};

/// How the groups are called, with the name of the run's folder behind it.
const NAME: &str = "pibake-bench-";
/// What is written to see whether limits are kept, in MiB.
const TRIAL: u64 = 128;

/// A control group, removed when dropped.
pub struct Limits {
    group: PathBuf,
}

impl Limits {
    /// Each of `cards` gives and takes `rate` bytes a second, for who is in the group of the run in
    /// `scratch`. Or why that cannot be had here.
    pub fn new(scratch: &Path, cards: &[Card], rate: u64) -> Result<Self, String> {
        let root = Root::find()?;
        let limits = Self { group: root.group(scratch) };
        let put = |file: &str, text: &str| {
            let path = limits.group.join(file);
            fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
        };
        fs::create_dir(&limits.group).map_err(|e| format!("{}: {e}", limits.group.display()))?;
        for card in cards {
            let number = card.number();
            if root.unified {
                put("io.max", &format!("{number} rbps={rate} wbps={rate}\n"))?;
            } else {
                put("blkio.throttle.read_bps_device", &format!("{number} {rate}\n"))?;
                put("blkio.throttle.write_bps_device", &format!("{number} {rate}\n"))?;
            }
        }
        cards.first().map_or(Ok(()), |card| limits.try_out(card, rate))?;
        Ok(limits)
    }

    /// The file that takes the processes.
    pub fn processes(&self) -> PathBuf {
        self.group.join("cgroup.procs")
    }

    /// Whether the limits are kept, both ways.
    fn try_out(&self, card: &Card, rate: u64) -> Result<(), String> {
        let fastest = (TRIAL << 20) as f64 / rate as f64;
        let dd = format!("echo $$ > \"$1\"; exec dd bs=1M count={TRIAL} status=none");
        let ways = [
            ("written", "if=/dev/zero of=\"$2\" oflag=direct"),
            ("read", "if=\"$2\" of=/dev/null iflag=direct"),
        ];
        for (what, files) in ways {
            let script = format!("{dd} {files}");
            let Run { wall, .. } = shell(Path::new("/"), &script, &[&self.processes(), &card.device]);
            // a limit lets a little more through at the beginning
            if wall < 0.8 * fastest {
                return Err(format!(
                    "{TRIAL} MiB were {what} in {wall:.2} s, with a limit of {fastest:.2} s"
                ));
            }
        }
        Ok(())
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        remove(&self.group);
    }
}

/// Removes the group of the run in `scratch`.
pub fn remove_of(scratch: &Path) {
    if let Ok(root) = Root::find() {
        remove(&root.group(scratch));
    }
}

fn remove(group: &Path) {
    let began = Instant::now();
    while let Err(e) = fs::remove_dir(group) {
        if e.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        // processes that were just killed take a moment to leave
        if began.elapsed() > Duration::from_secs(5) {
            return eprintln!("{}: {e}", group.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Where control groups that limit block devices can be made.
struct Root {
    at: PathBuf,
    /// The second version of control groups.
    unified: bool,
}

impl Root {
    fn find() -> Result<Self, String> {
        let mounts =
            fs::read_to_string("/proc/self/mounts").map_err(|e| format!("/proc/self/mounts: {e}"))?;
        for line in mounts.lines() {
            let mut words = line.split(' ').skip(1);
            let (Some(at), Some(kind), Some(options)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let has = |file: &str| {
                let list = fs::read_to_string(Path::new(at).join(file)).unwrap_or_default();
                list.split_whitespace().any(|word| word == "io")
            };
            if kind == "cgroup" && options.split(',').any(|option| option == "blkio") {
                return Ok(Self { at: at.into(), unified: false });
            }
            if kind == "cgroup2" && has("cgroup.controllers") {
                // to be had below the root, too; where there is systemd it mostly is already
                if !has("cgroup.subtree_control") {
                    let file = Path::new(at).join("cgroup.subtree_control");
                    fs::write(&file, "+io").map_err(|e| format!("{}: {e}", file.display()))?;
                }
                return Ok(Self { at: at.into(), unified: true });
            }
        }
        Err("no control groups that limit block devices are mounted (blkio, or io of version 2)".to_owned())
    }

    fn group(&self, scratch: &Path) -> PathBuf {
        let run = scratch.file_name().unwrap_or_default().to_string_lossy();
        self.at.join(format!("{NAME}{run}"))
    }
}
