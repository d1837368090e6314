//! The FUSE file system: a root with one file in it, which is the drive.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, Session, WriteFlags,
};

use super::chip::Chip;

/// The file's name.
pub const NAME: &str = "card";
const CARD: INodeNo = INodeNo(2);
/// What the kernel sends at once: larger requests come in pieces, as a card reader gets them.
pub const REQUEST: u32 = 128 << 10;
/// Of fallocate(2): the file is to stay as long as it is.
const KEEP_SIZE: i32 = 1;

struct Files(Arc<Chip>);

/// Mounts it at `at`, until the session is dropped.
pub fn mount(chip: &Arc<Chip>, at: &Path) -> BackgroundSession {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("pibake-test".into())];
    let session = Session::new(Files(Arc::clone(chip)), at, &config)
        .unwrap_or_else(|e| panic!("this test needs FUSE in the kernel: {}: {e}", at.display()));
    session.spawn().unwrap()
}

impl Files {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let is_card = inode == CARD;
        let size = if is_card { self.0.len() } else { 0 };
        FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_card { FileType::RegularFile } else { FileType::Directory },
            perm: if is_card { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 512,
            flags: 0,
        }
    }
}

fn answer(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let refused = |n: u32| io::Error::other(format!("requests of {REQUEST} bytes: at most {n}"));
        config.set_max_write(REQUEST).map(drop).map_err(refused)
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&Duration::ZERO, &self.attributes(CARD), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        // it may be pulled out
        reply.attr(&Duration::ZERO, &self.attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // nothing is to be answered from a cache
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut bytes = vec![0; u64::from(size).min(self.0.size().saturating_sub(offset)) as usize];
        match self.0.read(offset, &mut bytes) {
            Ok(()) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.0.flush(), reply);
    }

    /// Card readers know no command that zeroes: the kernel writes zeros instead.
    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        assert!(mode & KEEP_SIZE != 0 && offset + len <= self.0.size(), "{offset} {len} {mode}");
        reply.error(Errno::EOPNOTSUPP);
    }
}
