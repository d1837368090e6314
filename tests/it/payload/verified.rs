//! Preloaded images: their bill is valid and lists what was added, and what is not in full what it lists is found.

use std::fs;

use pibake::disk::{FileDevice, partitions};
use predicates::str::contains;
use serde_json::Value;
use support::{images, run, spdx, tool};

use super::desk::Desk;

#[test]
fn what_was_preloaded_is_in_the_bill_and_read_back_in_full() {
    let desk = Desk::new(64);
    desk.pibake(&["build"]).success();
    desk.pibake(&["verify", "images/node-1.img"]).success();
    let path = desk.path("images/node-1.spdx.json");
    spdx::assert_valid(&path);
    let bill: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let packages = bill["packages"].as_array().unwrap();
    let of = |kind: &str| {
        packages.iter().filter(|p| p["SPDXID"].as_str().unwrap().starts_with(kind)).collect::<Vec<_>>()
    };
    let purl = |package: &Value| package["externalRefs"][0]["referenceLocator"].as_str().unwrap().to_owned();
    assert_eq!(of("SPDXRef-Image-").len(), 10, "{bill:#}");
    assert!(of("SPDXRef-Image-").iter().all(|image| purl(image).starts_with("pkg:oci/")));
    let added = of("SPDXRef-Added-");
    let kubeadm = added.iter().find(|package| package["name"] == "kubeadm").unwrap();
    assert!(purl(kubeadm).contains("/kubeadm@") && purl(kubeadm).contains("arch=arm64"), "{kubeadm:#}");
    // its file is on the card, with the same digest
    let name = kubeadm["packageFileName"].as_str().unwrap();
    let files = bill["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["fileName"] == name).unwrap();
    assert_eq!(file["checksums"][1]["checksumValue"], kubeadm["checksums"][0]["checksumValue"]);
    // the base's packages are those of its dpkg
    let installed = desk.world.status.matches("Status: install ok installed").count();
    assert!(installed > 0);
    assert_eq!(of("SPDXRef-Base-").len(), installed);

    // one byte in the middle of an archive, by its block on the disk
    let image = desk.path("images/node-1.img");
    let root = partitions(&FileDevice::open(&image).unwrap()).unwrap().1[1].clone();
    let ext4 = desk.path("ext4");
    images::extract(&image, (root.offset, root.len), &ext4);
    let debugfs = |request: &str| run(tool("debugfs", "e2fsprogs").args(["-R", request]).arg(&ext4));
    let number = |text: &str, before: &str| -> u64 {
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let block = number(&run(tool("dumpe2fs", "e2fsprogs").arg("-h").arg(&ext4)), "Block size:");
    let len = number(&debugfs("stat /var/lib/pibake/payload/images.tar"), "Size:");
    let place: u64 = debugfs(&format!("bmap /var/lib/pibake/payload/images.tar {}", len / block / 2))
        .trim()
        .parse()
        .unwrap();
    assert!(place > 0, "a hole in an archive of {len} bytes");
    let at = root.offset + place * block + 100;
    let disk = fs::File::options().read(true).write(true).open(&image).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut byte, at).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&disk, &[byte[0] ^ 1], at).unwrap();
    drop(disk);
    desk.pibake(&["verify", "images/node-1.img"])
        .code(3)
        .stdout(contains("different  /var/lib/pibake/payload/images.tar: its content has the SHA-256"))
        .stderr(contains("1 difference is named above"));

    // imported and removed, as first boot does it, and then a key that came with the payload
    let marker = desk.path("marker");
    fs::write(&marker, "2026-11-23T10:07:12Z\n").unwrap();
    let script = desk.path("script");
    let requests = format!(
        "mkdir /var/lib/pibake/first-boot\nwrite {} /var/lib/pibake/first-boot/preloaded-images.started\n\
         rm /var/lib/pibake/payload/images.tar\n",
        marker.display()
    );
    fs::write(&script, requests).unwrap();
    run(tool("debugfs", "e2fsprogs").args(["-w", "-f"]).args([&script, &ext4]));
    images::splice(&ext4, &image, root.offset);
    desk.pibake(&["verify", "images/node-1.img"]).success().stdout(contains(
        "by the node  /var/lib/pibake/payload/images.tar: it is not there (used up and removed)",
    ));
}
