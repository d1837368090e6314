//! What fuzzing starts from: whole file systems and tables, made by the programs that everybody makes
//! them with. They are made when they are first used, so that no images lie in the tree.
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An image, and the blocks of it that say anything.
pub struct Seed {
    /// The image up to its last byte that is not zero, in whole blocks.
    pub bytes: Vec<u8>,
    /// Length of the whole image.
    pub len: u64,
    /// Offsets of the blocks of [`BLOCK`] bytes that are not all zeros.
    pub telling: Vec<usize>,
}

/// How finely telling parts are told from the zeros between them.
pub const BLOCK: usize = 256;

impl Seed {
    fn new(mut bytes: Vec<u8>) -> Self {
        let telling = bytes.chunks(BLOCK).enumerate().filter(|(_, b)| b.iter().any(|b| *b != 0));
        let telling: Vec<usize> = telling.map(|(index, _)| index * BLOCK).collect();
        let len = bytes.len() as u64;
        bytes.truncate(telling.last().map_or(0, |last| last + BLOCK));
        Self { bytes, len, telling }
    }
}

fn run(command: &mut Command, input: &str) {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|e| {
        panic!("{name}: {e} (apt-get install e2fsprogs dosfstools mtools fdisk gdisk qemu-utils)")
    });
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{name} failed");
}

fn blank(path: &Path, len: u64) {
    std::fs::File::create(path).unwrap().set_len(len).unwrap();
}

fn put(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// A root file system in little: what `logs`, `inspect` and a bake look for, a directory with an index,
/// a file in several pieces, links short and long.
fn tree(at: &Path) {
    for (path, content) in [
        ("usr/lib/os-release", "ID=ubuntu\nVERSION_ID=\"20.04\"\nVERSION_CODENAME=focal\n"),
        ("etc/hostname", "ubuntu\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("etc/netplan/60-own.yaml", "network: {version: 2}\n"),
        ("etc/fstab", "LABEL=writable / ext4 defaults 0 0\n"),
        ("var/log/pibake/status", "state=done\n"),
        ("var/log/pibake/first-boot.log", "stage 1\nstage 2\n"),
    ] {
        put(&at.join(path), content);
    }
    for n in 0..120 {
        put(&at.join(format!("many/a-name-that-takes-some-room-{n}")), "");
    }
    let sparse = at.join("sparse");
    blank(&sparse, 1 << 20);
    let file = std::fs::OpenOptions::new().write(true).open(&sparse).unwrap();
    for at in 0..10 {
        std::os::unix::fs::FileExt::write_all_at(&file, b"piece", at * 100_000).unwrap();
    }
    std::os::unix::fs::symlink("../usr/lib/os-release", at.join("etc/os-release")).unwrap();
    std::os::unix::fs::symlink("x/".repeat(50), at.join("long-link")).unwrap();
}

fn ext4(dir: &Path, options: &[&str]) -> Vec<u8> {
    let image = dir.join("ext4");
    blank(&image, 4 << 20);
    let mut mkfs = Command::new("mke2fs");
    mkfs.args(["-q", "-F", "-t", "ext4", "-L", "writable", "-U", "6c35ea91-b85f-4e5e-a2a0-b5d2cbd9d0d9"]);
    mkfs.env("PATH", path()).args(options).arg("-d").arg(dir.join("tree")).arg(&image);
    run(&mut mkfs, "");
    std::fs::read(image).unwrap()
}

/// Where such programs are for root, too.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn made(make: impl FnOnce(&Path) -> Vec<Vec<u8>>) -> Vec<Seed> {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path()).into_iter().map(Seed::new).collect()
}

/// ext4 as Ubuntu's image has it, with checksums; with a seed for them; without any, so that nothing
/// keeps damage from going deep; with small blocks and block groups of 32 bytes.
pub fn ext4s() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        made(|dir| {
            tree(&dir.join("tree"));
            vec![
                ext4(dir, &["-b", "1024", "-I", "256", "-O", "metadata_csum,64bit,^has_journal"]),
                ext4(
                    dir,
                    &["-b", "1024", "-I", "256", "-O", "metadata_csum,metadata_csum_seed,^has_journal"],
                ),
                ext4(dir, &["-b", "1024", "-I", "256", "-O", "^metadata_csum,^64bit,^has_journal"]),
                ext4(dir, &["-b", "4096", "-I", "256", "-O", "^metadata_csum,64bit,^has_journal"]),
            ]
        })
    })
}

/// The superblocks of those alone.
pub fn superblocks() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| ext4s().iter().map(|seed| Seed::new(seed.bytes[..2048].to_vec())).collect())
}

/// FAT16 and FAT32 with a folder and long names.
pub fn fats() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        made(|dir| {
            put(&dir.join("cmdline.txt"), "console=tty1 root=LABEL=writable rootwait\n");
            put(&dir.join("config.txt"), "[pi4]\nkernel=vmlinuz\n[all]\ncmdline=cmdline.txt\n");
            put(&dir.join("network-config.with.a.long.name"), "version: 2\n");
            let make = |bits: &str, len: u64| {
                let image = dir.join("fat");
                blank(&image, len);
                let mut mkfs = Command::new("mkfs.vfat");
                mkfs.env("PATH", path()).args(["-F", bits, "-s", "1", "-n", "system-boot", "-i", "00000001"]);
                run(mkfs.arg(&image), "");
                let on = |program: &str| {
                    let mut command = Command::new(program);
                    command.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(&image);
                    command
                };
                run(on("mmd").arg("::overlays"), "");
                for name in ["cmdline.txt", "config.txt", "network-config.with.a.long.name"] {
                    run(on("mcopy").arg(dir.join(name)).arg(format!("::{name}")), "");
                    run(on("mcopy").arg(dir.join(name)).arg(format!("::overlays/{name}")), "");
                }
                std::fs::read(&image).unwrap()
            };
            vec![make("16", 4 << 20), make("32", 34 << 20)]
        })
    })
}

/// Partition tables: MBR, MBR with logical partitions, GPT.
pub fn tables() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        made(|dir| {
            let make = |script: &str| {
                let image = dir.join("disk");
                blank(&image, 2 << 20);
                run(Command::new("sfdisk").env("PATH", path()).arg("-q").arg(&image), script);
                std::fs::read(&image).unwrap()
            };
            vec![
                make("label: dos\nstart=64, size=1000, type=c\nstart=2048, size=2048, type=83\n"),
                make("label: dos\nstart=64, size=1000, type=c\nstart=1100, size=2900, type=5\nstart=1200, size=500, type=83\n"),
                make("label: gpt\nfirst-lba: 34\nstart=64, size=1000\nstart=2048, size=1900\n"),
            ]
        })
    })
}

/// Of the disk in a qcow2 image that every seed holds: data, zeros, what compresses, and an end within a cluster.
pub fn disk_in_qcow2() -> Vec<u8> {
    let byte = |n: usize| match n >> 13 {
        0 | 5 => (n.wrapping_mul(2_654_435_761) >> 13) as u8,
        2 => (n >> 9) as u8,
        _ => 0,
    };
    (0..(60 << 10) + 1536).map(byte).collect()
}

/// qcow2 images in the forms that QEMU writes: both versions, small clusters, compressed ones by both programs.
pub fn qcow2s() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        made(|dir| {
            let (raw, image) = (dir.join("raw"), dir.join("image"));
            std::fs::write(&raw, disk_in_qcow2()).unwrap();
            let make = |compress: &[&str], options: &str| {
                let mut convert = Command::new("qemu-img");
                convert.args(["convert", "-f", "raw", "-O", "qcow2"]).args(compress).args(["-o", options]);
                run(convert.arg(&raw).arg(&image), "");
                std::fs::read(&image).unwrap()
            };
            vec![
                make(&[], "compat=1.1,cluster_size=4k"),
                make(&[], "compat=0.10,cluster_size=512"),
                make(&["-c"], "compat=1.1,cluster_size=4k"),
                make(&["-c"], "compat=1.1,cluster_size=4k,compression_type=zstd"),
            ]
        })
    })
}

/// A whole card: a partition table, and what is in both partitions.
pub fn cards() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        made(|dir| {
            let image = dir.join("card");
            blank(&image, 10 << 20);
            let script = "label: dos\nstart=2048, size=8192, type=c\nstart=10240, size=8192, type=83\n";
            run(Command::new("sfdisk").env("PATH", path()).arg("-q").arg(&image), script);
            let table = std::fs::read(&image).unwrap();
            let with = |root: &Seed| {
                let mut bytes = table.clone();
                let fat = &fats()[0].bytes;
                bytes[1 << 20..(1 << 20) + fat.len()].copy_from_slice(fat);
                bytes[5 << 20..(5 << 20) + root.bytes.len()].copy_from_slice(&root.bytes);
                bytes
            };
            ext4s().iter().map(with).collect()
        })
    })
}
