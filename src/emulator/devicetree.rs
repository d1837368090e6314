//! Makes a Raspberry Pi's device tree fit what QEMU emulates of it.
//!
//! What is taken out was found by booting Linux 6.1 in QEMU 10.0: a driver that touches a
//! block which is not emulated ends in a synchronous external abort, and the kernel panics.

use super::fdt::{self, DeviceTree};
use crate::boards::KINDS;
use crate::error::{Classified, ErrorClass};

/// Why a device tree cannot be used for the emulated machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a device tree.
    #[error(transparent)]
    Format(#[from] fdt::Error),
    /// It describes another machine.
    #[error("it describes {found}; QEMU's {machine} needs the device tree of a {name}")]
    OtherMachine {
        /// What QEMU calls the machine.
        machine: &'static str,
        /// What people call it.
        name: &'static str,
        /// What the tree says of itself.
        found: String,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Format(error) => error.class(),
            Self::OtherMachine { .. } => ErrorClass::Failed,
        }
    }
}

/// A Raspberry Pi that QEMU emulates.
#[derive(Debug, PartialEq, Eq)]
pub struct Pi {
    /// What QEMU calls it.
    pub machine: &'static str,
    /// What people call it.
    name: &'static str,
    /// As its device tree names it.
    compatible: &'static str,
    /// The kind of board that it is, by its name in [`KINDS`].
    kind: &'static str,
    /// Blocks without emulation.
    not_emulated: &'static [&'static str],
}

impl Pi {
    /// Its device tree in an image, the first of these that is there.
    #[must_use]
    pub fn trees(&self) -> &'static [&'static str] {
        KINDS.iter().find(|kind| kind.name == self.kind).map_or(&[], |kind| kind.trees)
    }
}

/// A Pi 3 Model B. Its tree needs less than that of a Pi 4: nothing of it that is not emulated has a driver which
/// does more than fail.
pub static RASPI3B: Pi = Pi {
    machine: "raspi3b",
    name: "Raspberry Pi 3 Model B",
    compatible: "raspberrypi,3-model-b",
    kind: "Pi 3",
    not_emulated: &[],
};

/// A Pi 4 Model B.
pub static RASPI4B: Pi = Pi {
    machine: "raspi4b",
    name: "Raspberry Pi 4 Model B",
    compatible: "raspberrypi,4-model-b",
    kind: "Pi 4",
    not_emulated: &NOT_EMULATED,
};

/// Those of a Pi 4. `interrupt-controller@7ef00100` alone makes a stock tree panic; the
/// display and its clocks follow from it. `emmc2` is the real Pi's card slot, but QEMU attaches
/// the card to the older controller.
const NOT_EMULATED: [&str; 18] = [
    "/soc/interrupt-controller@7ef00100",
    "/soc/clock@7ef00000",
    "/soc/hdmi@7ef00700",
    "/soc/hdmi@7ef05700",
    "/soc/i2c@7ef04500",
    "/soc/i2c@7ef09500",
    "/soc/hvs@7e400000",
    "/soc/pixelvalve@7e206000",
    "/soc/pixelvalve@7e207000",
    "/soc/pixelvalve@7e20a000",
    "/soc/pixelvalve@7e216000",
    "/soc/pixelvalve@7ec12000",
    "/soc/txp@7e004000",
    "/soc/avs-monitor@7d5d2000",
    "/soc/vec@7ec13000",
    "/gpu",
    "/scb/gpu@7ec00000",
    "/emmc2bus/mmc@7e340000",
];

/// The controller to which QEMU attaches the card; on a real Pi the WiFi chip's.
const CARD_CONTROLLERS: [&str; 2] = ["/soc/mmc@7e300000", "/soc/mmcnr@7e300000"];
const UART: &str = "/soc/serial@7e201000";
const USB: &str = "/soc/usb@7e980000";

/// The stock tree of an image, changed so that a kernel can boot from it in QEMU.
///
/// # Errors
/// [`Error`], for what is no device tree, or not this Pi's.
pub fn fit(blob: &[u8], pi: &Pi) -> Result<Vec<u8>, Error> {
    let mut tree = DeviceTree::parse(blob)?;
    let compatible = tree.root.strings("compatible");
    if !compatible.iter().any(|c| c == pi.compatible) {
        let found = if compatible.is_empty() { "no machine".to_owned() } else { compatible.join(", ") };
        return Err(Error::OtherMachine { machine: pi.machine, name: pi.name, found });
    }
    for path in pi.not_emulated {
        if let Some(node) = tree.node_mut(path) {
            node.set_string("status", "disabled");
        }
    }
    if let Some(uart) = tree.node_mut(UART) {
        // with it the serial device bus claims the console's port
        uart.remove_child("bluetooth");
    }
    if let Some(usb) = tree.node_mut(USB) {
        // the emulated Ethernet adapter is plugged into this port
        usb.set_string("dr_mode", "host");
    }
    for path in CARD_CONTROLLERS {
        if let Some(card) = tree.node_mut(path) {
            // the WiFi's power sequencer never answers, and the card is no WiFi
            card.remove_property("mmc-pwrseq");
            card.remove_child("wifi@1");
        }
    }
    Ok(tree.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::fdt::Node;
    use super::*;

    fn tree(compatible: &str) -> DeviceTree {
        let mut tree = DeviceTree::parse(&DeviceTree::empty().to_bytes()).unwrap();
        tree.root.set_string("compatible", compatible);
        let node = |name: &str, children| Node { name: name.into(), children, ..Node::default() };
        let mut card = node("mmc@7e300000", vec![node("wifi@1", vec![])]);
        card.properties.push(("mmc-pwrseq".into(), vec![0, 0, 0, 9]));
        let uart = node("serial@7e201000", vec![node("bluetooth", vec![])]);
        let display = node("hdmi@7ef00700", vec![]);
        tree.root.children.push(node("soc", vec![card, uart, node("usb@7e980000", vec![]), display]));
        tree
    }

    #[test]
    fn what_is_not_emulated_is_switched_off() {
        let fitted = fit(&tree(RASPI4B.compatible).to_bytes(), &RASPI4B).unwrap();
        let fitted = DeviceTree::parse(&fitted).unwrap();
        assert_eq!(fitted.node("/soc/hdmi@7ef00700").unwrap().strings("status"), ["disabled"]);
        assert_eq!(fitted.node("/soc/usb@7e980000").unwrap().strings("dr_mode"), ["host"]);
        let card = fitted.node("/soc/mmc@7e300000").unwrap();
        assert!(card.children.is_empty() && card.properties.is_empty());
        assert!(fitted.node("/soc/serial@7e201000").unwrap().children.is_empty());
    }

    #[test]
    fn another_machine_is_refused_by_name() {
        let blob = tree("raspberrypi,3-model-b").to_bytes();
        let says = |blob: &[u8], pi| fit(blob, pi).unwrap_err().to_string();
        assert_eq!(
            says(&blob, &RASPI4B),
            "it describes raspberrypi,3-model-b; QEMU's raspi4b needs the device tree of a Raspberry Pi 4 Model B"
        );
        assert!(fit(&blob, &RASPI3B).is_ok());
        let nameless = DeviceTree::empty().to_bytes();
        assert_eq!(
            says(&nameless, &RASPI3B),
            "it describes no machine; QEMU's raspi3b needs the device tree of a Raspberry Pi 3 Model B"
        );
    }
}
