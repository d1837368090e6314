//! A qcow2 image as a block device, read only.
//!
//! The format is described in QEMU's `docs/interop/qcow2.rst`; numbers are big-endian. What pibake writes is
//! there, and what QEMU makes of it: clusters of any size, compressed ones. An image over a backing file or with
//! its data elsewhere holds only a part of a card, and is refused.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{ReadAt, check_range};
use crate::io::be;
use crate::io::magic::QCOW2;

/// The header of version 3, with the byte of the compression type behind it.
const HEADER: usize = 112;
/// QEMU makes clusters of 512 bytes to 2 MiB.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// QEMU reads no larger L1 table, in entries: 32 MiB.
const L1_MAX: u32 = (32 << 20) / 8;
/// An offset in an entry of L1 or L2: bits 9 to 55.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// In an entry of L2.
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// Incompatible features: refcounts may be stale, which who only reads need not know; corrupt; data in another
/// file; the byte of the compression type counts; larger entries of L2.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const ELSEWHERE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const ZSTD: u8 = 1;

/// A qcow2 image that is open for reading.
#[derive(Debug)]
pub struct Qcow2 {
    file: File,
    /// Size of the disk in it.
    len: u64,
    cluster_bits: u32,
    /// Version 3 knows clusters that read as zeros.
    has_zero_clusters: bool,
    is_zstd: bool,
    l1: Vec<u64>,
    /// The last cluster that was unpacked, by its entry: files are read in small pieces.
    unpacked: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Qcow2 {
    /// Opens `path`.
    ///
    /// # Errors
    /// What opening or reading it answers; of the kind `InvalidData` where it is not a qcow2 image, and
    /// `Unsupported` where it does not hold all of its disk.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut header = vec![0; HEADER];
        let there = file.metadata()?.len().min(HEADER as u64) as usize;
        file.read_exact_at(header.get_mut(..there).unwrap_or_default(), 0)?;
        let (u32, u64) = (|at| be::u32(&header, at).unwrap_or(0), |at| be::u64(&header, at).unwrap_or(0));
        if !header.starts_with(&QCOW2) || there < 72 {
            return Err(invalid("it is not a qcow2 image"));
        }
        let (version, cluster_bits) = (u32(4), u32(20));
        let features = if version >= 3 { u64(72) } else { 0 };
        let unsupported = |text: &str| Err(io::Error::new(io::ErrorKind::Unsupported, text));
        if !(2..=3).contains(&version) {
            return unsupported(
                "it is a qcow2 image of a version that is not known: convert it with qemu-img convert",
            );
        }
        if u64(8) != 0 || features & ELSEWHERE != 0 {
            return unsupported(
                "it holds only a part of its disk, the rest is in another file: make it whole with qemu-img convert",
            );
        }
        if u32(32) != 0 {
            return unsupported("it is encrypted: decrypt it with qemu-img convert");
        }
        if features & CORRUPT != 0 {
            return Err(invalid("it is marked as corrupt: see what qemu-img check says"));
        }
        let is_zstd = features & COMPRESSION_TYPE != 0 && header.get(104) == Some(&ZSTD);
        if features & !(DIRTY | COMPRESSION_TYPE) != 0 {
            return unsupported(
                "it uses features of qcow2 that are not known: convert it with qemu-img convert",
            );
        }
        let (len, entries) = (u64(24), u32(36));
        // each entry of L1 stands for a cluster full of entries of L2
        let covered = |bits: u32| 1_u64.checked_shl(2 * bits - 3).unwrap_or(u64::MAX);
        if !CLUSTER_BITS.contains(&cluster_bits)
            || entries > L1_MAX
            || u64::from(entries) < len.div_ceil(covered(cluster_bits))
        {
            return Err(invalid("its header is inconsistent"));
        }
        let mut table = vec![0; entries as usize * 8];
        file.read_exact_at(&mut table, u64(40))?;
        let l1 = table.chunks_exact(8).filter_map(|entry| be::u64(entry, 0)).collect();
        let has_zero_clusters = version >= 3;
        Ok(Self { file, len, cluster_bits, has_zero_clusters, is_zstd, l1, unpacked: Mutex::default() })
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// The entry of L2 for a cluster; 0 where nothing is stored.
    fn entry(&self, cluster: u64) -> io::Result<u64> {
        let per_table = self.cluster() / 8;
        let table = self.l1.get((cluster / per_table) as usize).map_or(0, |entry| entry & OFFSET);
        if table == 0 {
            return Ok(0);
        }
        let mut entry = [0; 8];
        self.file.read_exact_at(&mut entry, table + cluster % per_table * 8)?;
        Ok(u64::from_be_bytes(entry))
    }

    /// Fills `buf` from `within` the cluster on.
    fn read_cluster(&self, cluster: u64, within: u64, buf: &mut [u8]) -> io::Result<()> {
        let entry = self.entry(cluster)?;
        if entry & COMPRESSED != 0 {
            return self.read_compressed(entry, within as usize, buf);
        }
        if entry & OFFSET == 0 || (self.has_zero_clusters && entry & ZERO != 0) {
            buf.fill(0);
            return Ok(());
        }
        self.file.read_exact_at(buf, (entry & OFFSET) + within)
    }

    fn read_compressed(&self, entry: u64, within: usize, buf: &mut [u8]) -> io::Result<()> {
        let mut kept = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(of, _)| *of != entry) {
            *kept = Some((entry, self.unpack(entry)?));
        }
        let bytes = kept.as_ref().and_then(|(_, bytes)| bytes.get(within..within + buf.len()));
        buf.copy_from_slice(bytes.ok_or_else(|| invalid("a compressed cluster is too short"))?);
        Ok(())
    }

    /// A descriptor has the offset in its lower bits, and above them how many sectors of 512 bytes there are
    /// besides the one that it begins in.
    fn unpack(&self, entry: u64) -> io::Result<Vec<u8>> {
        let sectors_at = 62 - (self.cluster_bits - 8);
        let offset = entry & ((1 << sectors_at) - 1);
        let sectors = ((entry & !(3 << 62)) >> sectors_at) + 1;
        let mut packed = vec![0; (sectors * 512 - offset % 512) as usize];
        // the last one may end with the file
        let there = self.file.metadata()?.len().saturating_sub(offset).min(packed.len() as u64) as usize;
        packed.truncate(there);
        self.file.read_exact_at(&mut packed, offset)?;
        let mut cluster = Vec::with_capacity(self.cluster() as usize);
        let unpacked = match self.is_zstd {
            true => zstd::Decoder::with_buffer(&*packed)?.take(self.cluster()).read_to_end(&mut cluster),
            false => {
                flate2::read::DeflateDecoder::new(&*packed).take(self.cluster()).read_to_end(&mut cluster)
            }
        };
        match unpacked {
            Ok(n) if n as u64 == self.cluster() => Ok(cluster),
            _ => Err(invalid("a compressed cluster is damaged")),
        }
    }
}

impl ReadAt for Qcow2 {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, buf.len() as u64)?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let within = at % self.cluster();
            let here = (self.cluster() - within).min(rest.len() as u64);
            let (now, later) = rest.split_at_mut(here as usize);
            self.read_cluster(at / self.cluster(), within, now)?;
            (at, rest) = (at + here, later);
        }
        Ok(())
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// A disk with data, zeros and what compresses, whose end is within a cluster.
    fn disk() -> Vec<u8> {
        let mut bytes = vec![0_u8; (5 << 20) + 1536];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = match n >> 19 {
                0 | 7 => (n.wrapping_mul(2_654_435_761) >> 13) as u8,
                2 => (n >> 9) as u8,
                10 => 0xe5,
                _ => 0,
            };
        }
        bytes
    }

    fn qemu_img(arguments: &[&std::ffi::OsStr]) {
        let out = Command::new("qemu-img").args(arguments).output();
        let out = out.expect("this test needs qemu-img: install the Debian package qemu-utils");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    #[test]
    fn what_qemu_writes_is_read_in_every_form() {
        let dir = tempfile::tempdir().unwrap();
        let (raw, image) = (dir.path().join("raw"), dir.path().join("image"));
        let bytes = disk();
        std::fs::write(&raw, &bytes).unwrap();
        for (compress, options) in [
            (false, "compat=1.1"),
            (false, "compat=0.10"),
            (false, "compat=1.1,cluster_size=512"),
            (false, "compat=1.1,cluster_size=2M"),
            (true, "compat=1.1"),
            (true, "compat=0.10,cluster_size=4k"),
            (true, "compat=1.1,compression_type=zstd"),
        ] {
            let mut arguments: Vec<&std::ffi::OsStr> =
                ["convert", "-f", "raw", "-O", "qcow2", "-o", options].map(AsRef::as_ref).into();
            arguments.extend(compress.then_some(std::ffi::OsStr::new("-c")));
            arguments.extend([raw.as_os_str(), image.as_os_str()]);
            qemu_img(&arguments);
            let device = Qcow2::open(&image).unwrap();
            assert_eq!(device.len(), bytes.len() as u64, "{options}");
            let mut read = vec![1; bytes.len()];
            device.read_at(0, &mut read).unwrap();
            assert!(read == bytes, "{options}, compressed: {compress}");
            let mut across = vec![1; 70_000];
            device.read_at((1 << 20) - 1234, &mut across).unwrap();
            assert!(across == bytes[(1 << 20) - 1234..][..70_000], "{options}");
            assert!(device.read_at(bytes.len() as u64 - 1, &mut [0; 2]).is_err());
        }
    }

    #[test]
    fn what_holds_only_a_part_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (raw, image) = (dir.path().join("raw"), dir.path().join("image"));
        std::fs::write(&raw, disk()).unwrap();
        let over: [&std::ffi::OsStr; 8] = [
            "create".as_ref(),
            "-f".as_ref(),
            "qcow2".as_ref(),
            "-F".as_ref(),
            "raw".as_ref(),
            "-b".as_ref(),
            raw.as_os_str(),
            image.as_os_str(),
        ];
        qemu_img(&over);
        let said = Qcow2::open(&image).unwrap_err();
        assert!(said.kind() == io::ErrorKind::Unsupported && said.to_string().contains("a part"), "{said}");
        for text in ["", "QFI\u{fb}", "something else"] {
            std::fs::write(&image, text).unwrap();
            assert_eq!(Qcow2::open(&image).unwrap_err().kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Images come from anywhere.
        #[test]
        fn damage_is_an_error_and_no_panic(
            places in proptest::collection::vec((0_usize..2048, any::<u8>()), 1..8),
            offset in 0_u64..1 << 40,
        ) {
            let mut bytes = QCOW2.to_vec();
            bytes.extend([0, 0, 0, 3]);
            bytes.resize(2048, 0);
            bytes[20..24].copy_from_slice(&9_u32.to_be_bytes());
            bytes[24..32].copy_from_slice(&65_536_u64.to_be_bytes());
            bytes[36..40].copy_from_slice(&4_u32.to_be_bytes());
            bytes[40..48].copy_from_slice(&512_u64.to_be_bytes());
            for entry in 0..4 {
                bytes[512 + entry * 8..][..8].copy_from_slice(&1024_u64.to_be_bytes());
            }
            for (at, byte) in places {
                bytes[at] = byte;
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            if let Ok(device) = Qcow2::open(file.path()) {
                let _ = device.read_at(0, &mut vec![0; device.len().min(1 << 16) as usize]);
                let _ = device.read_at(offset, &mut [0; 700]);
            }
        }
    }
}
