//! From images and nodes to machines that can be started.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::arguments::Arguments;
use crate::base::Cache;
use crate::boards::Board;
use crate::cli::baked::board;
use crate::cli::gitignore::close_to_git;
use crate::cli::named::check_there;
use crate::cli::session::Session;
use crate::cluster::Node;
use crate::disk::{FileDevice, Patch, Patched, cut};
use crate::emulator::guest::{BootFiles, Guest};
use crate::emulator::machine::{Accelerator, Cable, Files, Mac, Machine, Setup, UserNetwork};
use crate::emulator::segment::Port;
use crate::error::{Doing, Failure};
use crate::image_reader::ImageReader;
use crate::io::{Folder, Owner};
use crate::sink::card_overlay;
use crate::workflow::{Control, Prepared, Scratch, Warning, image, private_dir};

/// First half of the Ethernet addresses of the Pi 4 (Raspberry Pi Trading's).
const PI: [u8; 3] = [0xdc, 0xa6, 0x32];
/// First half of the uplinks' addresses: locally administered, so nobody's.
const UPLINK: [u8; 3] = [0x02, 0x70, 0x69];

/// Name of the file that says which image a kept card was created from.
const ORIGIN: &str = "origin";
const CARD: &str = "card.qcow2";
/// Name of the file with what the kernel of a kept card is started with.
const COMMAND_LINE: &str = "cmdline.txt";

/// Name of the folder with what packed images unpack to, which no node has.
const UNPACKED: &str = ".unpacked";

/// Bytes that are hashed at once.
const PIECE: u64 = 1 << 20;

/// The nodes whose cards are booted, ready to be baked.
pub(super) fn nodes(arguments: &Arguments, session: &Session) -> Result<Prepared, Failure> {
    let chosen = arguments.flags.choose(&arguments.node, session)?;
    let wanted = arguments.flags.wanted(&chosen, session)?;
    Ok(chosen.prepare(&wanted, None)?)
}

/// What a machine boots.
pub(super) struct Source {
    /// The node's name.
    pub name: String,
    guest: Guest,
    files: BootFiles,
    /// A raw image that is not changed: the one that was named, what that unpacks to, or the base.
    backing: PathBuf,
    patch: Patch,
    len: u64,
    mac: Option<Mac>,
    /// The hardware that its card is for, where that says so.
    board: Option<Board>,
    origin: Origin,
}

/// Which image a card is created from.
struct Origin {
    /// What its blocks refer to.
    backing: String,
    /// What differs from that.
    changes: String,
}

impl Origin {
    fn of(named: &Path, len: u64, patch: &Patch) -> io::Result<Self> {
        let found = std::fs::metadata(named)?;
        let modified = found.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut hasher = Sha256::new();
        let mut bytes = vec![0; PIECE as usize];
        for range in patch.ranges().iter().flat_map(|range| cut(range, PIECE)) {
            let part = &mut bytes[..(range.end - range.start) as usize];
            patch.apply(range.start, part)?;
            hasher.update(range.start.to_be_bytes());
            hasher.update(part);
        }
        let backing = format!("{}\nsize {len}\nmodified {}\n", named.display(), modified.as_nanos());
        Ok(Self { backing, changes: format!("changes {}\n", hex::encode(hasher.finalize())) })
    }
}

impl Source {
    /// An image in a file, which is unpacked on the bench where it is not raw.
    pub(super) fn of_image(path: &Path, bench: &Bench, session: &Session) -> Result<Self, Failure> {
        let booting = || format!("booting {}", path.display());
        check_there(path, session).doing(booting)?;
        let named = std::fs::canonicalize(path).map_err(|e| Failure::of_named(e, booting()))?;
        let backing = match image::is_packed(&named).doing(booting)? {
            true => image::raw_within(&named, &bench.own(UNPACKED)?, &session.control).doing(booting)?,
            false => named.clone(),
        };
        let image = ImageReader::open(&backing).doing(booting)?;
        let source = Self::read(&image, (named, backing), Patch::default(), None).doing(booting)?;
        let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name: source.guest.name.clone().unwrap_or_else(stem), ..source })
    }

    /// What would be on the cards of the nodes that were asked for.
    pub(super) fn of_nodes(prepared: &Prepared) -> Result<Vec<Self>, Failure> {
        let source = |node: &Node| -> Result<Self, Failure> {
            let booting = || format!("booting {}", node.name);
            let (patch, _) = prepared.bake(node.name.as_str()).doing(booting)?;
            let backing = std::fs::canonicalize(prepared.base().path()).doing(booting)?;
            let device = FileDevice::open(&backing).doing(booting)?;
            let image = ImageReader::of(Arc::new(Patched::new(device, patch.clone())))?;
            let source = Self::read(&image, (backing.clone(), backing), patch, node.mac.map(|mac| mac.0))
                .doing(booting)?;
            Ok(Self { name: node.name.to_string(), ..source })
        };
        prepared.nodes().into_iter().map(source).collect()
    }

    fn read(
        image: &ImageReader,
        (named, backing): (PathBuf, PathBuf),
        patch: Patch,
        mac: Option<Mac>,
    ) -> Result<Self, Failure> {
        let files = BootFiles::read(image)?;
        let guest = Guest::read(image)?;
        let examining = || format!("examining {}", named.display());
        let origin = Origin::of(&named, image.len, &patch).doing(examining)?;
        let board = board(image)?;
        Ok(Self { name: String::new(), guest, files, backing, patch, len: image.len, mac, board, origin })
    }

    /// Its Ethernet address on the cluster's network: its own where that is known, else one that
    /// follows from its name, so that it is the same every time.
    fn mac(&self) -> Mac {
        self.mac.unwrap_or_else(|| address(PI, &self.name))
    }
}

fn address(head: [u8; 3], name: &str) -> Mac {
    let digest = Sha256::digest(name.as_bytes());
    let mut mac = [0; 6];
    mac[..3].copy_from_slice(&head);
    mac[3..].copy_from_slice(&digest[..3]);
    mac
}

/// A card that an earlier run kept.
enum Kept {
    /// It was created from what would be created now.
    Same,
    /// It was created from the same image with other changes, as a card that was written before the description
    /// changed.
    Older {
        /// What its kernel is started with.
        cmdline: String,
    },
}

/// What the adapters of a machine are plugged into, before the sockets have their names.
pub(super) enum Plug {
    Segment,
    User(UserNetwork),
}

/// The adapters of each machine.
pub(super) fn cabling(arguments: &Arguments, sources: &[Source]) -> Result<Vec<Vec<(Mac, Plug)>>, Failure> {
    let gateways = sources.iter().filter(|source| source.guest.is_gateway).count();
    if arguments.uplink && gateways == 0 {
        return Err(Failure::usage(
            "--uplink is for the node that serves the others, which is none of these".to_owned(),
        ));
    }
    let ssh = arguments.ssh;
    if ssh.is_some() && !arguments.uplink && (sources.len() > 1 || arguments.net.is_some()) {
        let why = "--ssh leads into a segment of several machines only through the node with --uplink";
        return Err(Failure::usage(why.to_owned()));
    }
    if ssh.is_some() && gateways > 1 {
        return Err(Failure::usage("--ssh leads to one machine, and several have an uplink".to_owned()));
    }
    let cables = sources.iter().map(|source| {
        let lan = match ssh.filter(|_| !arguments.uplink) {
            // alone, so its network may be one that leads to this machine and nowhere else
            Some(port) => {
                let address = source.guest.address;
                let ssh = Some((port, address));
                Plug::User(UserNetwork { ssh, within: address, restricted: true })
            }
            None => Plug::Segment,
        };
        let mut adapters = vec![(source.mac(), lan)];
        if arguments.uplink && source.guest.is_gateway {
            let ssh = ssh.map(|port| (port, None::<Ipv4Addr>));
            let network = UserNetwork { ssh, ..UserNetwork::default() };
            adapters.push((address(UPLINK, &source.name), Plug::User(network)));
        }
        adapters
    });
    Ok(cables.collect())
}

/// Where the parts of machines are while they run.
pub(super) struct Bench {
    /// One folder a machine is made in it.
    dir: PathBuf,
    /// Sockets: their paths must be short.
    sockets: TempDir,
    segment: Option<PathBuf>,
    throw_away: Option<Scratch>,
}

impl Bench {
    /// Makes ready to keep cards in `keep`, or for a run whose cards are thrown away.
    pub(super) fn open(
        keep: Option<&Path>,
        segment: Option<&Path>,
        control: &Control,
    ) -> Result<Self, Failure> {
        let sockets = tempfile::Builder::new()
            .prefix("pibake-")
            .tempdir()
            .doing(|| "making a folder for sockets".to_owned())?;
        if let Some(segment) = segment {
            crate::io::folder::make_folders(segment, 0o777)
                .doing(|| format!("making the segment's folder {}", segment.display()))?;
        }
        let (dir, throw_away) = match keep {
            Some(keep) => {
                let is_new = !keep.exists();
                crate::io::folder::make_folders(keep, 0o777)
                    .doing(|| format!("making the folder {}", keep.display()))?;
                let keep = std::fs::canonicalize(keep).doing(|| format!("opening {}", keep.display()))?;
                if is_new {
                    close(&keep)?;
                }
                (keep, None)
            }
            None => {
                let scratch = Scratch::new(&Cache::default_dir()?.join("boot"), control)?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        Ok(Self { dir, sockets, segment: segment.map(Path::to_owned), throw_away })
    }

    /// A folder of this run's own on the bench, closed to others and, where it stays, to git.
    fn own(&self, name: &str) -> Result<PathBuf, Failure> {
        let dir = self.dir.join(name);
        private_dir(&dir)?;
        if self.throw_away.is_none() {
            close(&dir)?;
        }
        Ok(dir)
    }

    /// The card of `source` that is in its folder already, if any.
    ///
    /// # Errors
    /// Where its blocks refer to another image: what is in it would be a mixture of two.
    fn kept(&self, source: &Source) -> Result<Option<Kept>, Failure> {
        let dir = self.dir.join(&source.name);
        let card = dir.join(CARD);
        if !card.exists() {
            return Ok(None);
        }
        let Origin { backing, changes } = &source.origin;
        let before = std::fs::read_to_string(dir.join(ORIGIN)).unwrap_or_default();
        match before.strip_prefix(backing) {
            Some(same) if same == *changes => Ok(Some(Kept::Same)),
            Some(_) => {
                let line = dir.join(COMMAND_LINE);
                let cmdline =
                    std::fs::read_to_string(&line).doing(|| format!("reading {}", line.display()))?;
                Ok(Some(Kept::Older { cmdline }))
            }
            None => Err(Failure::refused(format!(
                "{} was created from a different image than {} is now: remove {} to start over",
                card.display(),
                source.name,
                dir.display()
            ))),
        }
    }

    /// The machine for `source`; nothing is written yet.
    pub(super) fn set_up(
        &self,
        index: usize,
        source: &Source,
        adapters: Vec<(Mac, Plug)>,
        arguments: &Arguments,
        control: &Control,
    ) -> Result<Setup, Failure> {
        let dir = self.dir.join(&source.name);
        let cmdline = match self.kept(source)? {
            Some(Kept::Older { cmdline }) => {
                control.warn(Warning::KeptCard { node: source.name.clone(), dir: dir.clone() });
                cmdline
            }
            Some(Kept::Same) | None => source.files.cmdline.clone(),
        };
        let file = |name: &str| dir.join(name);
        let nearest = source.board.and_then(|board| board.machine().parse().ok());
        let machine: Machine = arguments.machine.or(nearest).unwrap_or_default();
        let segment = self.segment.as_deref().unwrap_or(self.sockets.path());
        let plugged = adapters.into_iter().map(|(mac, plug)| {
            let cable = match plug {
                Plug::User(network) => Cable::User(network),
                Plug::Segment => Cable::Segment {
                    own: segment.join(format!("{}.qemu", source.name)),
                    port: segment.join(format!("{}.port", source.name)),
                },
            };
            (mac, cable)
        });
        Ok(Setup {
            machine,
            files: Files {
                kernel: file("kernel"),
                initrd: source.files.initrd.as_ref().map(|_| file("initrd.img")),
                device_tree: machine.pi().map(|pi| file(&format!("{}.dtb", pi.machine))),
                card: file(CARD),
                console: self.sockets.path().join(format!("console-{index}")),
            },
            cmdline,
            adapters: plugged.collect(),
            throw_away: self.throw_away.is_some(),
            processors: processors(),
            accelerator: Accelerator::best(),
        })
    }

    /// Writes what the machine loads, and its card where there is none yet.
    pub(super) fn write(&self, source: &Source, setup: &Setup) -> Result<(), Failure> {
        let dir = self.own(&source.name)?;
        let files = &setup.files;
        let kept = self.kept(source)?;
        // What an older card was started with stays with it.
        let put = |path: &Path, bytes: &[u8]| match kept {
            Some(Kept::Older { .. }) if path.exists() => Ok(()),
            _ => write(path, bytes),
        };
        put(&files.kernel, &source.files.kernel)?;
        if let Some((path, initrd)) = files.initrd.as_ref().zip(source.files.initrd.as_ref()) {
            put(path, initrd)?;
        }
        if let Some((path, pi)) = files.device_tree.as_ref().zip(setup.machine.pi()) {
            put(path, &source.files.device_tree(pi)?)?;
        }
        if kept.is_some() {
            return Ok(());
        }
        write(&dir.join(COMMAND_LINE), source.files.cmdline.as_bytes())?;
        let len = Machine::card_len(source.len)
            .ok_or_else(|| Failure::usage(format!("the image of {} is larger than any card", source.name)))?;
        let Origin { backing, changes } = &source.origin;
        write(&dir.join(ORIGIN), format!("{backing}{changes}").as_bytes())?;
        card_overlay(&files.card, len, &source.backing, source.patch.clone())?;
        Ok(())
    }

    /// Makes the ports of the segment; they are unplugged when dropped.
    pub(super) fn plug_in(&self, machines: &[(String, Setup)]) -> Result<Vec<Port>, Failure> {
        let segment = self.segment.as_deref().unwrap_or(self.sockets.path());
        let is_plugged = |(_, cable): &(Mac, Cable)| matches!(cable, Cable::Segment { .. });
        let plugged = machines.iter().filter(|(_, setup)| setup.adapters.iter().any(is_plugged));
        plugged
            .map(|(name, _)| {
                Port::open(segment, name)
                    .doing(|| format!("plugging {name} into the segment {}", segment.display()))
            })
            .collect()
    }
}

/// Keeps git away from a folder with cards that stay.
fn close(dir: &Path) -> Result<(), Failure> {
    let folder = Folder::open(dir);
    let closed = folder.and_then(|folder| close_to_git(&folder, "Cards hold", 0o600, Owner::of_new_in(dir)));
    closed.doing(|| format!("writing into the folder {}", dir.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = File::create(path).and_then(|mut file| file.write_all(bytes));
    written.doing(|| format!("writing {}", path.display()))
}

/// How many processors an emulated machine has: a Pi's four, but not more than there are here.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(4))
}
