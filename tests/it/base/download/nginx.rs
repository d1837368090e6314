//! The same with a real web server.

use std::time::Duration;

use support::fetching::{Machine, image, sha256, sums, until, xz};
use support::gpg::Gpg;
use support::nginx::Nginx;

/// The answers for `path`, once there are so many: they are logged when all is sent.
fn answers(nginx: &Nginx, path: &str, count: usize) -> Vec<String> {
    let read = || {
        let all = nginx.answers();
        all.into_iter().filter(|l| l.split('|').nth(1) == Some(path)).collect::<Vec<_>>()
    };
    until("nginx has logged all", || read().len() >= count);
    read()
}

#[test]
fn a_signed_image_from_nginx() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("slow")).unwrap();
    let nginx = Nginx::serve(root.path());
    let gpg = Gpg::new();
    let fingerprint = gpg.key("test", "ed25519", "sign", "never", None);
    let raw = image(80);
    let packed = xz(&raw);
    let list = sums(&[("some+raspi.img.xz", &packed)]);
    for folder in [root.path().to_owned(), root.path().join("slow")] {
        std::fs::write(folder.join("some+raspi.img.xz"), &packed).unwrap();
        std::fs::write(folder.join("SHA256SUMS"), &list).unwrap();
        std::fs::write(folder.join("SHA256SUMS.gpg"), gpg.sign("test", &list, &[])).unwrap();
    }
    let machine = || {
        let machine = Machine::new();
        machine.put("key.gpg", &gpg.export("test"));
        machine.put("pibake.toml", b"[base]\nkeyring = \"key.gpg\"\n");
        machine
    };
    let one = machine();
    assert_eq!(one.fetch(&[&format!("{}/some+raspi.img.xz", nginx.url())]).good()["signed_by"], fingerprint);
    one.assert_cached(&packed, &raw);
    assert_eq!(
        answers(&nginx, "/some+raspi.img.xz", 1),
        [format!("200|/some+raspi.img.xz|||{}", packed.len())]
    );

    // killed after about a second, with two to go
    let (two, path) = (machine(), "/slow/some+raspi.img.xz");
    let url = nginx.url() + path;
    let mut child = two.command(&["fetch", "-q", &url]).spawn().unwrap();
    until("some of it is on the disk", || two.partial() > 50_000);
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = two.partial();
    assert!(kept < packed.len() as u64, "nothing was left to be taken up");
    two.fetch(&[&url]).good();
    two.assert_cached(&packed, &raw);
    let seen = answers(&nginx, path, 2);
    let rest = seen.iter().find(|l| l.starts_with("206|")).unwrap();
    assert!(rest.starts_with(&format!("206|{path}|bytes={kept}-|\"")), "{rest}");
    assert!(rest.ends_with(&format!("|{}", packed.len() as u64 - kept)), "{rest}");

    // the file is another one by the time that it is taken up
    let (three, new) = (machine(), image(81));
    let new_packed = xz(&new);
    let mut child = three.command(&["fetch", "-q", &url, "--sha256", &sha256(&new_packed)]).spawn().unwrap();
    until("some of it is on the disk", || three.partial() > 50_000);
    child.kill().unwrap();
    child.wait().unwrap();
    // nginx makes its tags of time and size: a time of its own, and renamed so that no half is served
    let fresh = root.path().join("slow/fresh");
    std::fs::write(&fresh, &new_packed).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::options().write(true).open(&fresh).unwrap().set_modified(later).unwrap();
    std::fs::rename(&fresh, root.path().join("slow/some+raspi.img.xz")).unwrap();
    three.fetch(&[&url, "--sha256", &sha256(&new_packed)]).good();
    three.assert_cached(&new_packed, &new);
    assert_eq!(
        answers(&nginx, path, 4).iter().filter(|l| l.starts_with("200|") && l.contains("bytes=")).count(),
        1
    );
}
