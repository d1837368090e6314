//! Debian's version numbers: `[epoch:]upstream[-revision]`, and which of two is later (Debian Policy 5.6.12).
//!
//! Any text can be compared, as dpkg and apt do with versions that break the rules.

use std::cmp::Ordering;

/// Which of two versions is the later one. Versions that are written differently may be equal: `1.0` and `0:1.00-0`.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b) = (parts(a), parts(b));
    (a.iter().zip(b)).map(|(a, b)| compare_part(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// Epoch, upstream version, revision. What is not there is empty, which is equal to zero.
fn parts(version: &str) -> [&[u8]; 3] {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    [epoch.as_bytes(), upstream.as_bytes(), revision.as_bytes()]
}

/// Text and numbers in turn, from the left.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (first_a, first_b) = (weight(a), weight(b));
            if first_a != first_b {
                return first_a.cmp(&first_b);
            }
            if first_a == 0 {
                break;
            }
            (a, b) = (&a[1..], &b[1..]);
        }
        let (number_a, rest_a) = number(a);
        let (number_b, rest_b) = number(b);
        let by_number = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if by_number.is_ne() {
            return by_number;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// The place of the first character among others: `~` before the end and digits, these before letters, letters
/// before all else.
fn weight(text: &[u8]) -> i32 {
    match text.first() {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

/// The number at the start, without leading zeros, and what follows it.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_policy() {
        let ordered = [
            "",
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0a",
            "0+b",
            "1.0~rc1-1",
            "1.0-1~bpo1",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-1.1",
            "1.0-10",
            "1.0.1-0",
            "1.9",
            "1.10",
            "1:0",
            "1:0.1",
            "2:0",
            "10:0",
        ];
        // an empty version is a zero
        assert_eq!(compare("", "0"), Ordering::Equal);
        for pair in ordered[1..].windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (a, b) in [("1.0", "1.0-0"), ("0:1", "1"), ("1.00", "1.0"), ("1-01", "1-1"), ("a", "a0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in "[0-9a-b~+.:-]{0,8}", b in "[0-9a-b~+.:-]{0,8}", c in "[0-9a-b~+.:-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }

        #[test]
        fn any_text_is_compared(a: String, b: String) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
