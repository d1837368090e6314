use super::*;
use proptest::prelude::*;

fn sample() -> DeviceTree {
    let mut mmc = Node { name: "mmc@7e300000".into(), ..Node::default() };
    mmc.set_string("compatible", "brcm,bcm2835-mmc");
    mmc.properties.push(("mmc-pwrseq".into(), vec![0, 0, 0, 1]));
    mmc.children.push(Node { name: "wifi@1".into(), ..Node::default() });
    let soc = Node { name: "soc".into(), children: vec![mmc], ..Node::default() };
    let mut root = Node { children: vec![soc], ..Node::default() };
    root.properties.push(("compatible".into(), b"raspberrypi,4-model-b\0brcm,bcm2711\0".to_vec()));
    DeviceTree { root, reserved: vec![(0, 0x1000)], boot_cpu: 0 }
}

#[test]
fn what_is_written_is_read_back() {
    let tree = sample();
    assert_eq!(DeviceTree::parse(&tree.to_bytes()), Ok(tree));
}

#[test]
fn nodes_are_found_and_edited_by_path() {
    let mut tree = sample();
    assert_eq!(tree.root.strings("compatible"), ["raspberrypi,4-model-b", "brcm,bcm2711"]);
    let mmc = tree.node_mut("/soc/mmc@7e300000").unwrap();
    assert!(mmc.remove_property("mmc-pwrseq") && !mmc.remove_property("mmc-pwrseq"));
    assert!(mmc.remove_child("wifi@1") && !mmc.remove_child("wifi@1"));
    mmc.set_string("status", "okay");
    mmc.set_string("status", "disabled");
    let again = DeviceTree::parse(&tree.to_bytes()).unwrap();
    assert_eq!(again.node("/soc/mmc@7e300000").unwrap().strings("status"), ["disabled"]);
    assert!(again.node("/soc/wifi@1").is_none());
}

#[test]
fn what_is_no_device_tree_is_said_to_be_none() {
    assert_eq!(DeviceTree::parse(b"\x1f\x8b\x08\x00"), Err(Error::NotADeviceTree(0x1f8b_0800)));
    assert!(matches!(DeviceTree::parse(b""), Err(Error::Damaged { .. })));
    let mut old = sample().to_bytes();
    old[23] = 3;
    old[27] = 3;
    assert_eq!(DeviceTree::parse(&old), Err(Error::Version { version: 3, compatible: 3 }));
}

#[test]
fn every_truncation_is_an_error() {
    let blob = sample().to_bytes();
    for len in 0..blob.len() {
        assert!(DeviceTree::parse(&blob[..len]).is_err(), "{len} of {} bytes passed", blob.len());
    }
}

#[test]
fn endless_nesting_is_an_error() {
    let mut blob = sample().to_bytes();
    let structure = u32::from_be_bytes(blob[8..12].try_into().unwrap()) as usize;
    blob.truncate(structure);
    for _ in 0..100_000 {
        blob.extend(BEGIN_NODE.to_be_bytes());
        blob.extend([0; 4]);
    }
    let total = blob.len() as u32;
    blob[4..8].copy_from_slice(&total.to_be_bytes());
    assert!(matches!(
        DeviceTree::parse(&blob),
        Err(Error::Damaged { what: "nodes are nested too deeply" | "a property has no name", .. })
    ));
}

proptest! {
    #[test]
    fn damage_never_panics(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut blob = sample().to_bytes();
        for (at, byte) in flips {
            let at = at.index(blob.len());
            blob[at] = byte;
        }
        if let Ok(tree) = DeviceTree::parse(&blob) {
            prop_assert_eq!(DeviceTree::parse(&tree.to_bytes()), Ok(tree));
        }
    }
}

#[test]
fn names_that_many_properties_share_have_an_end() {
    let mut tree = DeviceTree::empty();
    for len in [255, 256, 1_000_000] {
        tree.root.properties = vec![("n".repeat(len), Vec::new()); 1000];
        let blob = tree.to_bytes();
        assert_eq!(DeviceTree::parse(&blob).is_ok(), len <= 255, "{len}");
    }
}
