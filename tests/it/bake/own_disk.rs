//! Each card's system finds its own partitions, also beside another card that was made of the same base.

use support::images::Places;

use super::*;

const FSTAB: &str =
    "LABEL=writable\t/\text4\tdefaults\t0 1\nLABEL=system-boot /boot/firmware vfat defaults 0 1\n";

/// The ids of both partitions, as util-linux reads them.
fn ids(image: &Path, label: &str) -> [String; 2] {
    let table = run(tool("sfdisk", "fdisk").arg("--json").arg(image));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let table = &table["partitiontable"];
    assert_eq!(table["label"], label);
    [0, 1].map(|number| match label {
        "dos" => format!("{}-0{}", &table["id"].as_str().unwrap()[2..], number + 1),
        _ => table["partitions"][number]["uuid"].as_str().unwrap().to_lowercase(),
    })
}

/// What is in a file of either file system, by other programs' word.
fn read(image: &Path, places: Places) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let ext4 = dir.path().join("ext4");
    images::extract(image, places.root, &ext4);
    let fstab = run(tool("debugfs", "e2fsprogs").args(["-R", "cat /etc/fstab"]).arg(&ext4));
    let at = format!("{}@@{}", image.display(), places.boot.0);
    (run(tool("mtype", "mtools").args(["-i", &at, "::cmdline.txt"])), fstab)
}

fn with_id(disk_id: [u8; 16]) -> Recipe {
    let mut recipe = Recipe { disk_id, ..recipe() };
    recipe.changes.push(change(Volume::Root, "/etc/fstab", Action::Fstab));
    recipe
}

#[test]
fn its_partitions_are_named_by_ids_of_their_own_in_either_table() {
    for (gpt, label) in [(false, "dos"), (true, "gpt")] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for (path, content) in images::ROOT_FILES {
            images::put(&root.join(path), content);
        }
        images::put(&root.join("etc/fstab"), FSTAB);
        let (base, places) = Spec { gpt, fat_mib: 64, ..Spec::default() }.make_from(dir.path(), &root);
        let mut seen = vec![ids(&base, label)];
        for (name, id) in [("one", [7; 16]), ("other", [8; 16]), ("zero", [0; 16])] {
            let patch = bake(device(&base), &with_id(id), CLOCK).unwrap();
            let image = dir.path().join(name);
            write_out(&base, &patch, &image);
            images::assert_clean(&image, places);
            run(tool("sfdisk", "fdisk").arg("--verify").arg(&image));
            let own = ids(&image, label);
            let (line, fstab) = read(&image, places);
            let [boot, root] = &own;
            assert!(line.ends_with(&format!(" root=PARTUUID={root}\n")), "{line}");
            assert!(!line.contains("LABEL="), "{line}");
            assert_eq!(
                fstab,
                format!(
                    "PARTUUID={root}\t/\text4\tdefaults\t0 1\nPARTUUID={boot} /boot/firmware vfat defaults 0 1\n"
                )
            );
            assert!(!seen.iter().flatten().any(|id| own.contains(id)) && boot != root, "{own:?} {seen:?}");
            // an MBR with the id 0 has none
            assert!(!boot.starts_with("00000000-01"), "{boot}");
            seen.push(own);
        }
    }
}

#[test]
fn a_base_without_fstab_gets_none() {
    let dir = tempfile::tempdir().unwrap();
    let (base, places) = Spec { fat_mib: 64, ..Spec::default() }.make(dir.path());
    let patch = bake(device(&base), &with_id([7; 16]), CLOCK).unwrap();
    let image = dir.path().join("node.img");
    write_out(&base, &patch, &image);
    assert_eq!(read(&image, places).1, "");
}

#[test]
fn swap_and_labels_both_go_out_of_one_fstab() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for (path, content) in images::ROOT_FILES {
        images::put(&root.join(path), content);
    }
    images::put(&root.join("etc/fstab"), &format!("{FSTAB}/swapfile none swap sw 0 0\n"));
    let (base, places) = Spec { fat_mib: 64, ..Spec::default() }.make_from(dir.path(), &root);
    let patch = bake(device(&base), &with_id([7; 16]), CLOCK).unwrap();
    let image = dir.path().join("node.img");
    write_out(&base, &patch, &image);
    let fstab = read(&image, places).1;
    assert!(fstab.contains("\n# /swapfile") && !fstab.contains("LABEL="), "{fstab}");
}
