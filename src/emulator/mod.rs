//! Running an image in QEMU's `raspi4b`.

pub mod devicetree;
pub mod fdt;
