//! `pibake backup`: a copy of etcd, fetched from the control plane, and of the secrets without which it is nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::thread;

use clap::Args;
use sha2::{Digest, Sha256};

use super::description::ClusterFlags;
use super::json::{self, BackedUp};
use super::remote::{Reached, Way};
use super::session::Session;
use crate::cluster::Node;
use crate::error::{Doing, ErrorClass, Failure};
use crate::identity::snapshot::{self, ARCHIVE, STORE_COPY};
use crate::io::{Folder, Owner};
use crate::workflow::NodeSelector;

/// Where copies go unless told otherwise, beside the description.
const FOLDER: &str = "backups";
/// What the answer of the control plane begins with: this word, the archive's name, its size, its SHA-256.
const HEADING: &str = "pibake-backup";
/// Has a copy made now and prints it. The login user may not read it, nor have it made.
const SCRIPT: &str = r#"sudo -n sh -c 'systemctl start pibake-snapshot.service || exit; cd /var/lib/pibake/snapshots && file=$(ls *.tar | tail -n 1) && [ -n "$file" ] || exit; echo "pibake-backup $file $(stat -c %s "$file") $(sha256sum <"$file" | cut -d " " -f 1)"; exec cat "$file"'"#;
/// Prints the newest encrypted copy that another node has fetched from the control plane.
const SEALED_SCRIPT: &str = r#"sudo -n sh -c 'cd /var/lib/pibake/copies && file=$(ls *.tar.gpg | tail -n 1) && [ -n "$file" ] || exit; echo "pibake-backup $file $(stat -c %s "$file") $(sha256sum <"$file" | cut -d " " -f 1)"; exec cat "$file"'"#;
/// etcd's own limit is 8 GiB (etcd.io/docs, "Storage size limit").
const MOST: u64 = 9 << 30;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake backup                       the newest copy, to backups/ beside pibake.toml\n  pibake backup --to /mnt/nas/pibake  somewhere else\n\nA copy holds every secret of the cluster: keep it where you would keep .pibake."
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    way: Way,
    /// Where to keep copies, each in a folder of its own [default: backups, beside pibake.toml]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Take the newest copy that this node has fetched from the control plane, by number or name: where that is lost
    #[arg(long, value_name = "N")]
    from: Option<NodeSelector>,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let reached = arguments.way.open(&arguments.cluster, session)?;
    let dir = arguments.to.clone().unwrap_or_else(|| reached.project.place.dir.join(FOLDER));
    fs::create_dir_all(&dir).doing(|| format!("making {}", dir.display()))?;
    let cluster = &reached.project.cluster;
    let node = match &arguments.from {
        Some(selector) => selector.find(cluster)?,
        None => reached.first()?,
    };
    let script = if node.is_control_plane() { SCRIPT } else { SEALED_SCRIPT };
    let mut ssh = reached.ssh(node, &["-T", "-o", "ConnectTimeout=10"]);
    ssh.arg("--").arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ssh.spawn().doing(|| "running ssh, which is in the package openssh-client".to_owned())?;
    let stderr = child.stderr.take();
    let errors = thread::spawn(move || all_of(stderr, 1 << 16));
    let fetched = child.stdout.take().map(BufReader::new).map(|stdout| fetch(stdout, &dir, node, &reached));
    let ended = end(&mut child);
    let errors = errors.join().unwrap_or_default();
    let errors = String::from_utf8_lossy(&errors);
    let why = || errors.trim().lines().last().unwrap_or("it hands out no copy of etcd").to_owned();
    let (path, bytes) = match fetched {
        Some(Ok(Some(done))) => done,
        Some(Err(failure)) => return Err(failure),
        _ => return Err(Failure::new(ErrorClass::Failed, format!("{}: {}", node.name, why()))),
    };
    ended?;
    let (text, base64) = json::text(&path);
    session.result(&BackedUp { path: text, path_base64: base64, etcd_bytes: bytes }, || {
        format!("{} has a copy of etcd ({bytes} bytes) and of .pibake\n", path.display())
    })
}

/// What a program prints, up to so many bytes. What cannot be read is missing: whoever asks sees whether it is whole.
fn all_of(source: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        let _ = source.take(most).read_to_end(&mut bytes);
    }
    bytes
}

fn end(child: &mut Child) -> Result<(), Failure> {
    // After a failure here nobody reads what it still prints.
    let _ = child.kill();
    child.wait().map(drop).doing(|| "waiting for ssh".to_owned())
}

/// The folder of the copy and the size of etcd's part, both verified and on the disk; `None` where the control plane
/// hands nothing out.
fn fetch(
    mut from: BufReader<ChildStdout>,
    dir: &Path,
    node: &Node,
    reached: &Reached,
) -> Result<Option<(PathBuf, u64)>, Failure> {
    let mut line = String::new();
    let fetching = || "reading the copy of etcd".to_owned();
    from.by_ref().take(4096).read_line(&mut line).doing(fetching)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let [HEADING, name, size, digest] = words[..] else { return Ok(None) };
    let damaged =
        |why: &str| Failure::new(ErrorClass::Verification, format!("the copy of etcd {why}: try it again"));
    let size: u64 = size.parse().ok().filter(|size| *size <= MOST).ok_or_else(|| damaged("says no size"))?;
    let is_sealed = !node.is_control_plane();
    let stamp = name
        .strip_suffix(if is_sealed { ".tar.gpg" } else { ".tar" })
        .filter(|stamp| stamp.bytes().all(|b| b.is_ascii_alphanumeric()));
    let stamp = stamp.ok_or_else(|| damaged("has a name that no node gives"))?;

    let making = |path: &Path| format!("making {}", path.display());
    let (part, done) = (dir.join(format!(".{stamp}.part")), dir.join(stamp));
    if part.exists() {
        fs::remove_dir_all(&part).doing(|| format!("removing {}", part.display()))?;
    }
    let owner = Owner::of_new_in(dir);
    let around = Folder::open(dir).doing(|| making(dir))?;
    let folder = around.make(format!(".{stamp}.part"), 0o700, owner).doing(|| making(&part))?;
    let archive = part.join(ARCHIVE);
    let as_fetched = if is_sealed { "etcd.tar.gpg" } else { ARCHIVE };
    let at = part.join(as_fetched);
    folder.write_new(as_fetched, b"", 0o600, owner).doing(|| making(&at))?;
    let mut file = fs::File::options().append(true).open(&at).doing(|| making(&at))?;
    let mut hash = Sha256::new();
    let (mut left, mut buffer) = (size, vec![0; 1 << 20]);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = from.read(&mut buffer[..most]).doing(fetching)?;
        if count == 0 {
            let _ = fs::remove_dir_all(&part);
            return Err(damaged("ended in the middle"));
        }
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count]).doing(|| format!("writing {}", at.display()))?;
        left -= count as u64;
    }
    file.sync_all().doing(|| format!("writing {}", at.display()))?;
    if hex::encode(hash.finalize()) != digest {
        let _ = fs::remove_dir_all(&part);
        return Err(damaged(&format!("is not what {} has", node.name)));
    }
    let mut bytes = size;
    if is_sealed {
        folder.write_new(ARCHIVE, b"", 0o600, owner).doing(|| making(&archive))?;
        let mut file = fs::File::options().append(true).open(&archive).doing(|| making(&archive))?;
        if let Err(error) = snapshot::decrypt(&at, &reached.identity, &mut file) {
            let _ = fs::remove_dir_all(&part);
            return Err(error.into());
        }
        file.sync_all().doing(|| format!("writing {}", archive.display()))?;
        bytes = file.metadata().doing(|| format!("examining {}", archive.display()))?.len();
        folder.remove_file(as_fetched).doing(|| format!("removing {}", at.display()))?;
    }
    copy_secrets(reached, &folder, owner)?;
    if done.exists() {
        // Of the same second, and verified just the same.
        fs::remove_dir_all(&done).doing(|| format!("removing {}", done.display()))?;
    }
    around.rename(format!(".{stamp}.part"), stamp).doing(|| making(&done))?;
    around.sync().doing(|| making(&done))?;
    Ok(Some((done, bytes)))
}

fn copy_secrets(reached: &Reached, folder: &Folder, owner: Option<Owner>) -> Result<(), Failure> {
    let state = reached.project.store().dir();
    let copying = || format!("copying {}", state.display());
    let from = Folder::open(state).doing(copying)?;
    let to = folder.make(STORE_COPY, 0o700, owner).doing(copying)?;
    for name in from.names().doing(copying)? {
        if let Some(content) = from.read(&name, 1 << 20).doing(copying)? {
            to.write_new(&name, &content, 0o600, owner).doing(copying)?;
        }
    }
    to.sync().and_then(|()| folder.sync()).doing(copying)
}
