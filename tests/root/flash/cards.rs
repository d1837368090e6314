//! Cards that are written as they should be.

use std::fs::File;

use libtest_mimic::Failed;

use super::work::{CARD, MIB, Work, assert_same, failed, kernel_reads, places, said, succeeded};
use crate::loops::{Drive, Loop};
use support::images::assert_clean;
use support::{noise, run, tool};

pub fn same_as_build(sector: u32) -> Result<(), Failed> {
    let work = Work::new();
    // the first one is begun while the base is decoded, the second comes from the cache
    let card = Loop::new(work.path(), "card", CARD, sector);
    let out = work.flash(&[&card], &[card.name(), "--base", "sample", "--node", "1"]);
    succeeded(&out);
    assert!(said(&out).contains("node-1"), "{}", said(&out));
    let again = Loop::new(work.path(), "again", CARD, sector);
    succeeded(&work.flash(&[&again], &[again.name(), "--base", "sample", "--node", "1"]));
    work.build(&["1"]);
    for card in [&card, &again] {
        assert_same(card, &work.image("node-1"));
        let copy = work.path().join("copy");
        std::fs::copy(&card.file, &copy)?;
        assert_clean(&copy, places(&copy));
        assert_eq!(kernel_reads(&work, &copy, "etc/hostname"), "node-1\n");
        let read = work.run(&["inspect", card.name(), "/etc/hostname"], "");
        assert_eq!(String::from_utf8_lossy(&read.stdout), "node-1\n");
    }
    // what was free is as it was on the card before: it was not written
    let written = card.bytes(0, CARD as usize);
    let before = noise::bytes(CARD, 1 << 20);
    let kept =
        written.chunks(1 << 16).enumerate().filter(|(n, b)| before[(n % 16) << 16..].starts_with(b)).count();
    assert!(kept > 4000, "only {kept} pieces of 64 KiB were left alone");
    if sector == 512 {
        let full = Loop::new(work.path(), "full", CARD, sector);
        let by_sector = ["--base", "sample", "--node", "node-1", "--full", "--wipe", "--json"];
        let out = work.flash(&[&full], &[&[full.name()], &by_sector[..]].concat());
        succeeded(&out);
        let image = std::fs::read(work.image("node-1"))?;
        assert!(full.bytes(0, image.len()) == image, "not every byte is the image's");
        let rest = full.bytes(image.len() as u64, (CARD as usize) - image.len());
        let left = rest.chunks(4096).filter(|block| block.iter().any(|b| *b != 0)).count();
        assert!(left < 10, "{left} blocks are not wiped");
        assert!(said(&out).contains("\"done\": true"), "{}", said(&out));
    }
    Ok(())
}

/// The size is asked for, and the card has it or not, before the base is there.
pub fn larger_than_the_base() -> Result<(), Failed> {
    let work = Work::new();
    let asked = ["--base", "sample", "--node", "1", "--image-size", "900M"];
    let small = Loop::new(work.path(), "small", CARD, 512);
    failed(&work.flash(&[&small], &[&[small.name()], &asked[..]].concat()), 4, "and the image 943718400");
    assert!(small.is_as_before());
    assert!(!work.path().join("cache").exists(), "the base was got for nothing");
    let [card, again] = ["card", "again"].map(|name| Loop::new(work.path(), name, 950 * MIB, 512));
    // the first one is begun while the base is decoded, the second comes from the cache
    for card in [&card, &again] {
        let out = work.flash(&[card], &[&[card.name()], &asked[..]].concat());
        succeeded(&out);
        assert!(said(&out).contains("the image has 900.0 MiB"), "{}", said(&out));
    }
    succeeded(&work.run(&[&["build"], &asked[..]].concat(), ""));
    for card in [&card, &again] {
        assert_same(card, &work.image("node-1"));
        let copy = work.path().join("copy");
        std::fs::copy(&card.file, &copy)?;
        assert_clean(&copy, places(&copy));
        assert_eq!(kernel_reads(&work, &copy, "etc/hostname"), "node-1\n");
        assert!(places(&copy).root.1 > 600 * MIB, "{:?}", places(&copy));
    }
    // what the new groups have free is as it was on the card before
    let before = noise::bytes(950 * MIB, 1 << 20);
    let same = (400..900).filter(|mib| card.bytes(mib * MIB, 1 << 20) == before).count();
    assert!(same > 480, "only {same} MiB were left alone");
    Ok(())
}

/// The kernel knows the partitions of the new system, and none of the old one, when pibake has ended.
pub fn partitions_are_read_anew() -> Result<(), Failed> {
    let work = Work::new();
    let card = Loop::with(work.path(), "card", CARD, &["--partscan"]);
    let table = work.path().join("table");
    std::fs::write(&table, "label: dos\nsize=50MiB\nsize=50MiB\nsize=50MiB\n")?;
    run(tool("sfdisk", "fdisk").arg("-q").arg(card.device()).stdin(File::open(&table)?));
    let name = card.name().trim_start_matches("/dev/");
    let sizes = || -> Vec<u64> {
        let size = |n| std::fs::read_to_string(format!("/sys/block/{name}/{name}p{n}/size")).ok();
        (1..5).filter_map(size).filter_map(|text| text.trim().parse::<u64>().ok()).map(|n| n * 512).collect()
    };
    // not every kernel reads tables by itself, but each forgets what it was told when it is to read anew
    let reads_itself = sizes().len() == 3;
    if !reads_itself {
        run(tool("partx", "util-linux").arg("--add").arg(card.device()));
    }
    assert_eq!(sizes(), [50 * MIB; 3]);
    succeeded(&work.flash(&[&card], &[card.name(), "--base", "sample", "--node", "1"]));
    work.build(&["1"]);
    let image = places(&work.image("node-1"));
    assert_eq!(sizes(), if reads_itself { vec![image.boot.1, image.root.1] } else { vec![] });
    Ok(())
}

pub fn several() -> Result<(), Failed> {
    let work = Work::new();
    let a = Loop::new(work.path(), "a", CARD, 512);
    let b = Loop::new(work.path(), "b", CARD, 512);
    let small = Loop::new(work.path(), "small", 100 * MIB, 512);
    let ask = |card: &Loop, node: &str| format!("{}={node}", card.name());
    let arguments = [ask(&a, "1"), ask(&small, "3"), ask(&b, "node-2")];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--base", "sample"]).collect();
    let out = work.flash(&[&a, &small, &b], &arguments);
    failed(&out, 4, "is too small: it has 104857600 bytes");
    assert!(small.is_as_before(), "said before anything is written");
    work.build(&["1", "2"]);
    assert_same(&a, &work.image("node-1"));
    assert_same(&b, &work.image("node-2"));
    let twice = [ask(&a, "1"), ask(&b, "1")];
    failed(&work.flash(&[], &[&twice[0], &twice[1], "--base", "sample"]), 2, "every node is there once");
    let same = [ask(&a, "1"), ask(&a, "2")];
    let out = work.flash(&[], &[&same[0], &same[1], "--base", "sample"]);
    // the first is held already when the second is asked for
    assert!(matches!(out.status.code(), Some(2 | 4)), "{}", said(&out));
    failed(&work.flash(&[], &[a.name(), "--base", "sample"]), 2, "which node");
    Ok(())
}

pub fn an_image() -> Result<(), Failed> {
    let work = Work::new();
    work.build(&["2"]);
    let image = work.image("node-2");
    let card = Loop::new(work.path(), "card", CARD, 512);
    succeeded(&work.flash(&[&card], &[card.name(), "--image", image.to_str().unwrap()]));
    assert_same(&card, &image);
    // in each form that a build writes, and that people make of one
    for (form, package, arguments) in [
        ("zst", "zstd", &["zstd", "-qk", "IMAGE", "-o", "PACKED"][..]),
        ("xz", "xz-utils", &["sh", "-c", "xz -0 -T2 <IMAGE >PACKED"]),
        (
            "qcow2",
            "qemu-utils",
            &["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "IMAGE", "PACKED"],
        ),
    ] {
        let packed = work.path().join(format!("packed.{form}"));
        let fill = |word: &&str| {
            word.replace("IMAGE", image.to_str().unwrap()).replace("PACKED", packed.to_str().unwrap())
        };
        run(tool(arguments[0], package).args(arguments[1..].iter().map(fill)));
        let card = Loop::new(work.path(), form, CARD, 512);
        succeeded(&work.flash(&[&card], &[card.name(), "--image", packed.to_str().unwrap()]));
        assert_same(&card, &image);
    }
    // an image that no node was made of is never written
    let plain = work.path().join("plain.img");
    let cached = std::fs::read_dir(work.path().join("cache/pibake/images"))?;
    let base = cached.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "img")).unwrap();
    std::fs::copy(base, &plain)?;
    let other = Loop::new(work.path(), "other", CARD, 512);
    failed(&work.flash(&[&other], &[other.name(), "--image", "plain.img"]), 2, "is not the image of a node");
    let small = Loop::new(work.path(), "small", 100 * MIB, 512);
    failed(&work.flash(&[&small], &[small.name(), "--image", image.to_str().unwrap()]), 4, "too small");
    assert!(other.is_as_before() && small.is_as_before());
    Ok(())
}
