//! What copies of etcd are called, and how large they may be.

/// Name of the archive in a folder that `pibake backup` made, and of the store's copy beside it.
pub const ARCHIVE: &str = "etcd.tar";
/// As [`ARCHIVE`].
pub const STORE_COPY: &str = "pibake";

/// What the name of a copy ends in that was encrypted for other nodes, by OpenPGP (RFC 9580) under a passphrase.
pub const SEALED: &str = "gpg";

/// Largest copy, in bytes: etcd's own limit is 8 GiB (etcd.io/docs, "Storage size limit").
pub const LARGEST: u64 = 9 << 30;

/// Most that is baked, compressed: recipes are held in memory, and images have little free space.
pub(super) const MOST: usize = 512 << 20;
