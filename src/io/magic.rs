//! What a file is by its first bytes, whatever its name says.

/// The first bytes of a qcow2 file (QEMU, `docs/interop/qcow2.rst`).
pub(crate) const QCOW2: [u8; 4] = *b"QFI\xfb";

/// What an image is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Xz,
    Zst,
    Gz,
    Bzip2,
    Zip,
    SevenZip,
    Qcow2,
}

impl Wrapping {
    /// Of a file that begins with `head`; `None` for one that is not wrapped in anything known.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        // xz 5.2 "The .xz File Format" 2.1.1.1; RFC 8878 3.1.1 and 3.1.2; RFC 1952 2.3.1, where 8 is the one
        // method there is; PKWARE's APPNOTE 4.3.7 and 4.3.16; 7-Zip's DOC/7zFormat.txt
        Some(match head {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zst,
            [0x1f, 0x8b, 8, ..] => Self::Gz,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::Zip,
            [b'7', b'z', 0xbc, 0xaf, ..] => Self::SevenZip,
            _ if head.starts_with(&QCOW2) => Self::Qcow2,
            _ => return None,
        })
    }

    /// What such a file is, for people, and the command that unwraps it.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Xz => ("compressed with xz", "xz -dk"),
            Self::Zst => ("compressed with zstd", "zstd -d"),
            Self::Gz => ("compressed with gzip", "gunzip -k"),
            Self::Bzip2 => ("compressed with bzip2", "bunzip2 -k"),
            Self::Zip => ("a zip archive", "unzip"),
            Self::SevenZip => ("a 7z archive", "7z x"),
            Self::Qcow2 => ("a qcow2 image", "qemu-img convert -O raw"),
        }
    }
}
