//! The device tree code against `dtc`, the reference implementation.

use std::io::Write;
use std::process::Stdio;

use pibake::emulator::devicetree::{RASPI4B, fit};

const SOURCE: &str = r#"/dts-v1/;
/memreserve/ 0x0 0x1000;
/ {
	compatible = "raspberrypi,4-model-b", "brcm,bcm2711";
	soc {
		interrupt-controller@7ef00100 { status = "okay"; };
		serial@7e201000 { bluetooth { }; };
		usb@7e980000 { dr_mode = "otg"; };
		mmc@7e300000 { mmc-pwrseq = <9>; wifi@1 { }; };
	};
};
"#;

fn dtc(from: &str, to: &str, input: &[u8]) -> Vec<u8> {
    let mut child = support::tool("dtc", "device-tree-compiler")
        .args(["-q", "-I", from, "-O", to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "dtc refused its input");
    out.stdout
}

#[test]
fn dtc_reads_what_was_fitted_and_finds_the_changes() {
    let stock = dtc("dts", "dtb", SOURCE.as_bytes());
    let fitted = fit(&stock, &RASPI4B).unwrap();
    let text = String::from_utf8(dtc("dtb", "dts", &fitted)).unwrap();
    for there in ["memreserve", "status = \"disabled\"", "dr_mode = \"host\""] {
        assert!(text.contains(there), "{there} is missing from:\n{text}");
    }
    for gone in ["bluetooth", "wifi@1", "mmc-pwrseq", "\"okay\"", "\"otg\""] {
        assert!(!text.contains(gone), "{gone} is still in:\n{text}");
    }
}
