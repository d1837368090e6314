//! Sizes that all who write or check a card keep to.

use crate::disk::OVERLAY_BLOCK;

/// The part of a card, in bytes, that is zero until all else is right: the partition table is in it.
pub(super) const HEAD: u64 = 1 << 20;
/// The unit of writing in bytes: a block of ext4, and a multiple of every sector.
pub(super) const UNIT: u64 = OVERLAY_BLOCK as u64;
/// The card is told to store what it got after so many bytes, so that the check follows closely.
pub(super) const SYNC_EVERY: u64 = 64 << 20;
/// Towards the end it is told sooner, down to this, so that little is left to be read back when all is
/// written.
pub(super) const SYNC_LEAST: u64 = 4 << 20;
/// It is told then after this part of what is left.
pub(super) const SYNC_PART: u64 = 4;
