//! A Mac with a card, an external disk and its own: what diskutil prints, in the form that its
//! manual and Apple's own machines give it, and what is made of it.

use super::{drive, whole_disks};
use crate::drives::{Eligibility, Own, Purpose};
use crate::io::sold_size;

const LIST: &str = include_str!("recorded/list.plist");
const INFOS: [(&str, &str); 5] = [
    ("disk0", include_str!("recorded/disk0.plist")),
    ("disk3", include_str!("recorded/disk3.plist")),
    ("disk4", include_str!("recorded/disk4.plist")),
    ("disk5", include_str!("recorded/disk5.plist")),
    ("disk6", include_str!("recorded/disk6.plist")),
];

#[test]
fn a_mac_with_readers_and_disks() {
    let own = [Own { what: "pibake's cache", path: "/Users/me/.cache/pibake".into() }];
    let ids = whole_disks(LIST.as_bytes()).unwrap();
    assert_eq!(ids, INFOS.map(|(id, _)| id));
    let lines: String = INFOS
        .iter()
        .map(|(_, info)| {
            let drive = drive(info.as_bytes(), LIST.as_bytes(), &own).unwrap();
            format!(
                "{} {} | {} | {} | {}\n    {}\n",
                drive.name(),
                drive.bus,
                sold_size(drive.size),
                drive.model.clone().unwrap_or_default(),
                drive.summary(),
                Eligibility::of(&drive, Purpose::Card, None)
            )
        })
        .collect();
    insta::assert_snapshot!(lines);
}

#[test]
fn what_is_no_property_list_is_an_error() {
    for text in ["", "diskutil: command not found", "<plist><dict></dict></plist>", "<plist><array/></plist>"]
    {
        assert!(whole_disks(text.as_bytes()).is_err(), "{text}");
        assert!(drive(text.as_bytes(), LIST.as_bytes(), &[]).is_err(), "{text}");
    }
}
