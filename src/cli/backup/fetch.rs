//! A copy of etcd on its way from a node, verified before it has a name.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

use super::heading::{Heading, LINE_MAX};
use super::place::{Part, Place, SEALED_ARCHIVE};
use crate::catalog::Hasher;
use crate::cli::remote::{Answer, Reached};
use crate::cli::talk::{Until, talk};
use crate::cluster::Node;
use crate::error::{Doing, ErrorClass, Failure};
use crate::identity::snapshot::{self, ARCHIVE};
use crate::io::{CancelToken, Cancelled};
use crate::workflow::Control;

/// Has a copy made now and prints it. The login user may not read it, nor have it made.
const SCRIPT: &str = r#"sudo -n sh -c 'systemctl start pibake-snapshot.service || exit; cd /var/lib/pibake/snapshots && file=$(ls *.tar | tail -n 1) && [ -n "$file" ] || exit; echo "pibake-backup $file $(stat -c %s "$file") $(sha256sum <"$file" | cut -d " " -f 1)"; exec cat "$file"'"#;
/// Prints the newest encrypted copy that another node has fetched from the control plane.
const SEALED_SCRIPT: &str = r#"sudo -n sh -c 'cd /var/lib/pibake/copies && file=$(ls *.tar.gpg | tail -n 1) && [ -n "$file" ] || exit; echo "pibake-backup $file $(stat -c %s "$file") $(sha256sum <"$file" | cut -d " " -f 1)"; exec cat "$file"'"#;
/// What is left free besides the copy, in bytes.
const SPARE: u64 = 1 << 20;

/// Fetches the newest copy that `node` has, the control plane one that is made for this. The folder of the copy and the size
/// of etcd's part in it, both verified and on the disk.
pub(super) fn fetch(
    reached: &Reached,
    node: &Node,
    place: &Place,
    control: &Control,
) -> Result<(PathBuf, u64), Failure> {
    let cancel = control.cancel();
    let part = place.part()?;
    // What can be wrong with the store is found out before gigabytes are fetched.
    part.copy_store(reached.project.store().dir(), control.progress())?;
    let is_sealed = !node.is_control_plane();
    let (script, suffix, name) =
        if is_sealed { (SEALED_SCRIPT, ".tar.gpg", SEALED_ARCHIVE) } else { (SCRIPT, ".tar", ARCHIVE) };
    let mut incoming = Incoming {
        place,
        suffix,
        // What is decrypted lies beside it for a while.
        times: if is_sealed { 2 } else { 1 },
        path: part.path(name),
        file: part.create(name)?,
        line: Vec::new(),
        heading: None,
        hash: Hasher::default(),
        left: 0,
    };
    let ssh = reached.command(node, &[], script);
    let ended = talk(ssh, b"", Until::cancelled(cancel), |bytes| incoming.take(bytes))?;
    cancel.check().map_err(cancelled)?;
    let (heading, mut file) = match incoming.whole(node)? {
        Some(whole) => whole,
        None => {
            let why = match Answer::of(ended, b"") {
                Answer::Failed(why) | Answer::Unreachable(why) => why,
                Answer::Said(_) => "it hands out no copy of etcd".to_owned(),
                Answer::Cancelled => return Err(cancelled(Cancelled)),
            };
            return Err(Failure::new(ErrorClass::Failed, format!("{}: {why}", node.name)));
        }
    };
    let mut bytes = heading.size;
    if is_sealed {
        file.rewind().doing(|| format!("reading {}", part.path(name).display()))?;
        bytes = decrypt(file, &part, reached, cancel)?;
        part.remove(name)?;
    }
    Ok((part.keep(&heading.stamp)?, bytes))
}

/// Decrypts what has come from another node; how large that is.
fn decrypt(from: File, part: &Part<'_>, reached: &Reached, cancel: &CancelToken) -> Result<u64, Failure> {
    let (path, archive) = (part.path(SEALED_ARCHIVE), part.path(ARCHIVE));
    let writing = || format!("writing {}", archive.display());
    let to = part.create(ARCHIVE)?;
    let decrypted = snapshot::decrypt(from, &path, &reached.identity, WhileWanted { to: &to, cancel });
    cancel.check().map_err(cancelled)?;
    decrypted?;
    to.sync_all().doing(writing)?;
    Ok(to.metadata().doing(writing)?.len())
}

fn cancelled(_: Cancelled) -> Failure {
    Failure::new(ErrorClass::Cancelled, "cancelled; no copy was kept")
}

fn damaged(why: &str) -> Failure {
    Failure::new(ErrorClass::Verification, format!("the copy of etcd {why}: try it again"))
}

/// A file that takes nothing any more once the run is cancelled.
struct WhileWanted<'a> {
    to: &'a File,
    cancel: &'a CancelToken,
}

impl Write for WhileWanted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What a node prints: a line, and behind it as many bytes as that says.
struct Incoming<'a> {
    place: &'a Place,
    suffix: &'static str,
    times: u64,
    path: PathBuf,
    file: File,
    line: Vec<u8>,
    heading: Option<Heading>,
    hash: Hasher,
    left: u64,
}

impl Incoming<'_> {
    /// Takes what comes next; whether there is more to come.
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        if self.heading.is_none() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end.filter(|_| self.line.len() <= LINE_MAX) else {
                return Ok(self.line.len() <= LINE_MAX);
            };
            let Some(heading) = Heading::read(&self.line, self.suffix).map_err(damaged)? else {
                return Ok(false);
            };
            self.place.check(&heading.stamp)?;
            self.place.check_room(heading.size.saturating_mul(self.times).saturating_add(SPARE))?;
            self.left = heading.size;
            self.heading = Some(heading);
            bytes = &bytes[end + 1..];
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = &bytes[..most];
        self.hash.update(bytes);
        self.file.write_all(bytes).doing(|| format!("writing {}", self.path.display()))?;
        self.left -= bytes.len() as u64;
        Ok(self.left > 0)
    }

    /// The whole copy, as it is on the node and on the disk; `None` where none has begun.
    fn whole(self, node: &Node) -> Result<Option<(Heading, File)>, Failure> {
        let Some(heading) = self.heading else { return Ok(None) };
        if self.left > 0 {
            return Err(damaged("ended in the middle"));
        }
        if self.hash.finish() != heading.digest {
            return Err(damaged(&format!("is not what {} has", node.name)));
        }
        self.file.sync_all().doing(|| format!("writing {}", self.path.display()))?;
        Ok(Some((heading, self.file)))
    }
}
