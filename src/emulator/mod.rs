//! Running images in QEMU: what of an image is loaded, how QEMU is told to be a Pi, the network
//! between machines, and their consoles.

mod arguments;
pub mod devicetree;
pub mod fdt;
pub mod guest;
pub mod kernel;
pub mod machine;
pub mod qemu;
pub mod segment;
pub mod session;
pub mod watch;
