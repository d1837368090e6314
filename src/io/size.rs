//! Sizes for people.
//!
//! Sizes are binary (IEC 80000-13): a GiB is 2^30 bytes. The one exception is what a drive is sold as, which
//! stands on the card in decimal: [`sold_size`].

/// Units above bytes, each 1024 times the one before.
const BINARY: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// `n` bytes in the largest binary unit that leaves a number of at least one.
#[must_use]
pub fn human_bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = None;
    for larger in BINARY {
        // 1023.95 would be printed as 1024.0
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = Some(larger);
    }
    unit.map_or_else(|| format!("{n} B"), |unit| format!("{value:.1} {unit}"))
}

/// The size of a drive as it is printed on it: decimal, as drives are sold. `-` where it has none.
#[must_use]
pub fn sold_size(bytes: u64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")];
    let fits = UNITS.iter().find(|(unit, _)| bytes as f64 >= *unit);
    match (bytes, fits) {
        (0, _) => "-".into(),
        (_, Some((unit, name))) => format!("{:.1} {name}", bytes as f64 / unit),
        (_, None) => format!("{} kB", bytes / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_unit_that_fits() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1_610_612_736, "1.5 GiB"),
            (3_487_742_976, "3.2 GiB"),
            ((1 << 50) - 1, "1.0 PiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human_bytes(n), text);
        }
    }

    #[test]
    fn a_drive_has_the_size_that_is_printed_on_it() {
        let shown = [0, 999_999, 128_035_676_160, 2_000_398_934_016].map(sold_size);
        assert_eq!(shown, ["-", "999 kB", "128.0 GB", "2.0 TB"]);
    }
}
