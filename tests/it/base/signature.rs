//! Which signatures over a list of digests are accepted. Made by gpg, which is also asked.

use std::time::{Duration, SystemTime};

use pibake::base::{Keyring, SignatureError, UBUNTU_CD_IMAGE_KEY};
use support::gpg::{Gpg, pipe};

const LIST: &[u8] = b"44b98acd3fd4379c6b194696520b6aecb2f596b601e43e9b6934c83f0aa61026 *x.img.xz\n";
const ARCHIVE_2018: &str = "f6ecb3762474eda9d21b7022871920d1991bc93c";
/// Long before the tests run, and after the key it is used with.
const LONG_AGO: &str = "20200101T000000!";

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn check(keyring: &Keyring, content: &[u8], signature: &[u8]) -> Result<String, SignatureError> {
    keyring.verify(content, signature, SystemTime::now())
}

/// A home with one signing key `test`, and the keyring of that key.
fn home() -> (Gpg, String, Keyring) {
    let gpg = Gpg::new();
    let fingerprint = gpg.key("test", "ed25519", "sign", "never", None);
    let keyring = Keyring::parse(&gpg.export("test")).unwrap();
    (gpg, fingerprint, keyring)
}

#[test]
fn what_ubuntu_signed_is_accepted() {
    let (list, signature) =
        (fixture("signatures/cd-image/SHA256SUMS"), fixture("signatures/cd-image/SHA256SUMS.gpg"));
    let keyring = Keyring::ubuntu().unwrap();
    assert_eq!(check(&keyring, &list, &signature), Ok(UBUNTU_CD_IMAGE_KEY.to_owned()));
    for changed in [&list[1..], &list[..list.len() - 1], &[&list[..], b"\n"].concat(), b""] {
        assert_eq!(check(&keyring, changed, &signature), Err(SignatureError::Wrong));
    }
    // CR LF for LF: the same text, other bytes
    let windows = String::from_utf8(list).unwrap().replace('\n', "\r\n");
    assert_eq!(check(&keyring, windows.as_bytes(), &signature), Err(SignatureError::Wrong));
}

#[test]
fn other_keys_of_ubuntu_are_refused() {
    let keyring = Keyring::ubuntu().unwrap();
    let list = fixture("signatures/cloud-image/SHA256SUMS");
    let fault = check(&keyring, &list, &fixture("signatures/cloud-image/SHA256SUMS.gpg")).unwrap_err();
    assert!(matches!(&fault, SignatureError::UnknownSigner { signer, accepted }
        if signer.ends_with("d2eb44626fddc30b513d5bb71a5d6c4c7db87c81") && accepted == UBUNTU_CD_IMAGE_KEY));

    // the file that the built-in key is from holds the archive's keys as well
    let archive = fixture("keys/ubuntu-archive-keyring.gpg");
    let all = Keyring::parse(&archive).unwrap().fingerprints();
    assert_eq!(all.len(), 3);
    assert!(all.contains(&ARCHIVE_2018.to_owned()));
    let only = Keyring::only(&archive, UBUNTU_CD_IMAGE_KEY).unwrap();
    assert_eq!(only.fingerprints(), [UBUNTU_CD_IMAGE_KEY]);

    // nobody here can sign with them; a signature that names one is refused before any arithmetic
    let (gpg, own, _) = home();
    let forged = rename(&gpg.sign("test", LIST, &[]), &own, ARCHIVE_2018);
    for keyring in [&keyring, &only] {
        let fault = check(keyring, LIST, &forged).unwrap_err();
        let named =
            matches!(&fault, SignatureError::UnknownSigner { signer, .. } if signer.ends_with(ARCHIVE_2018));
        assert!(named, "{fault}");
    }
    let forged = rename(&gpg.sign("test", LIST, &[]), &own, UBUNTU_CD_IMAGE_KEY);
    assert_eq!(check(&keyring, LIST, &forged), Err(SignatureError::Wrong));
}

/// The signature with another issuer written into it.
fn rename(signature: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    let (from, to) = (hex::decode(from).unwrap(), hex::decode(to).unwrap());
    for (from, to) in [(&from[..], &to[..]), (&from[12..], &to[12..])] {
        while let Some(at) = bytes.windows(from.len()).position(|w| w == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn a_good_signature_of_any_usual_kind_is_accepted() {
    let gpg = Gpg::new();
    for (name, algorithm) in [("ed", "ed25519"), ("rsa", "rsa2048"), ("nist", "nistp256")] {
        let fingerprint = gpg.key(name, algorithm, "sign", "never", None);
        let keyring = Keyring::parse(&gpg.export(name)).unwrap();
        for digest in ["SHA256", "SHA384", "SHA512"] {
            let signature = gpg.sign(name, LIST, &["--digest-algo", digest]);
            assert!(gpg.verifies(LIST, &signature));
            assert_eq!(check(&keyring, LIST, &signature), Ok(fingerprint.clone()), "{name} {digest}");
        }
        let armoured = gpg.sign(name, LIST, &["--armor"]);
        assert_eq!(check(&keyring, LIST, &armoured), Ok(fingerprint));
    }
    // several keys in one file, armoured
    let all = pipe(gpg.command().args(["--armor", "--export"]), b"");
    assert_eq!(Keyring::parse(&all).unwrap().fingerprints().len(), 3);
}

#[test]
fn unsigned_wrongly_signed_and_foreign_are_told_apart() {
    let (gpg, _, keyring) = home();
    let good = gpg.sign("test", LIST, &[]);
    assert!(matches!(
        check(&keyring, LIST, b""),
        Err(SignatureError::NoSignature | SignatureError::Malformed(_))
    ));
    assert!(matches!(check(&keyring, LIST, b"<html>"), Err(SignatureError::Malformed(_))));
    assert!(matches!(check(&keyring, LIST, &gpg.export("test")), Err(SignatureError::Malformed(_))));
    assert_eq!(check(&keyring, b"another list", &good), Err(SignatureError::Wrong));

    let other = Gpg::new();
    let theirs = other.key("other", "ed25519", "sign", "never", None);
    let fault = check(&keyring, LIST, &other.sign("other", LIST, &[])).unwrap_err();
    assert!(matches!(fault, SignatureError::UnknownSigner { signer, .. } if signer.ends_with(&theirs)));
    // two signatures in one file: one that is accepted is enough, in either order
    let both = [other.sign("other", LIST, &[]), good.clone()].concat();
    assert!(check(&keyring, LIST, &both).is_ok());
    assert!(check(&keyring, LIST, &[good, other.sign("other", LIST, &[])].concat()).is_ok());
}

#[test]
fn any_flipped_bit_is_noticed() {
    let (gpg, _, keyring) = home();
    let good = gpg.sign("test", LIST, &[]);
    // one bit of every byte, another one each time
    for at in (0..good.len()).map(|byte| byte * 8 + byte % 8) {
        let mut bad = good.clone();
        bad[at / 8] ^= 1 << (at % 8);
        // what names the signer outside of what is signed is a hint alone: without it all keys are tried
        if let Ok(signer) = check(&keyring, LIST, &bad) {
            assert_eq!(keyring.fingerprints(), [signer], "bit {at}");
            let unhashed = good.windows(10).position(|w| w[0] == 9 && w[1] == 16).unwrap();
            assert!((unhashed..unhashed + 10).contains(&(at / 8)), "bit {at} of {}", good.len() * 8);
        }
    }
    for end in 0..good.len() {
        assert!(check(&keyring, LIST, &good[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn weak_digests_and_other_kinds_are_refused() {
    let gpg = Gpg::new();
    gpg.key("test", "rsa2048", "sign", "never", None);
    let keyring = Keyring::parse(&gpg.export("test")).unwrap();
    for digest in ["SHA1", "RIPEMD160", "SHA224"] {
        let signature = gpg.sign("test", LIST, &["--digest-algo", digest]);
        assert_eq!(check(&keyring, LIST, &signature), Err(SignatureError::WeakDigest(digest.to_owned())));
    }
    // MD5: gpg does not even make one, so the algorithm's number is changed (2 is SHA-1, 1 is MD5)
    let mut md5 = gpg.sign("test", LIST, &["--digest-algo", "SHA1"]);
    let at = md5.windows(4).position(|w| w == [4, 0, 1, 2]).unwrap();
    md5[at + 3] = 1;
    assert_eq!(check(&keyring, LIST, &md5), Err(SignatureError::WeakDigest("MD5".to_owned())));

    let text = gpg.sign("test", LIST, &["--textmode"]);
    assert!(matches!(check(&keyring, LIST, &text), Err(SignatureError::Kind(_))));
    let critical = gpg.sign("test", LIST, &["--sig-notation", "!only-for@example.org=other things"]);
    assert!(matches!(check(&keyring, LIST, &critical), Err(SignatureError::Kind(_))));
    // a signature over a key's name, cut out of the key, is none over a list
    let packets = gpg.export("test");
    let cert = &packets[packets.windows(4).position(|w| w == [4, 0x13, 1, 10]).unwrap() - 3..];
    assert!(matches!(check(&keyring, LIST, cert), Err(SignatureError::Kind(_))));
}

#[test]
fn weak_keys_are_refused() {
    let gpg = Gpg::new();
    gpg.key("short", "rsa1024", "sign", "never", None);
    let keyring = Keyring::parse(&gpg.export("short")).unwrap();
    let fault = check(&keyring, LIST, &gpg.sign("short", LIST, &[])).unwrap_err();
    assert!(matches!(fault, SignatureError::WeakKey(_)), "{fault}");
}

#[test]
fn expiry_is_heeded() {
    let gpg = Gpg::new();
    gpg.key("old", "ed25519", "sign", "2y", Some(LONG_AGO));
    let keyring = Keyring::parse(&gpg.export("old")).unwrap();
    let signature = gpg.sign("old", LIST, &["--faked-system-time", "20200201T000000!"]);
    let fault = check(&keyring, LIST, &signature).unwrap_err();
    assert!(matches!(&fault, SignatureError::KeyExpired { on, .. } if on == "2021-12-31"), "{fault}");
    // while the key lived it was good
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    assert!(keyring.verify(LIST, &signature, then).is_ok());

    gpg.key("test", "ed25519", "sign", "never", Some(LONG_AGO));
    let keyring = Keyring::parse(&gpg.export("test")).unwrap();
    let short = gpg.sign("test", LIST, &["--faked-system-time", LONG_AGO, "--default-sig-expire", "10d"]);
    assert_eq!(check(&keyring, LIST, &short), Err(SignatureError::Expired("2020-01-11".to_owned())));

    let future = gpg.sign("test", LIST, &["--faked-system-time", "20400101T000000!"]);
    assert_eq!(check(&keyring, LIST, &future), Err(SignatureError::NotYet("2040-01-01".to_owned())));
}

#[test]
fn revoked_keys_are_refused() {
    let (gpg, fingerprint, before) = home();
    let signature = gpg.sign("test", LIST, &[]);
    assert!(check(&before, LIST, &signature).is_ok());
    gpg.revoke(&fingerprint);
    let after = Keyring::parse(&gpg.export("test")).unwrap();
    assert_eq!(check(&after, LIST, &signature), Err(SignatureError::KeyRevoked(fingerprint)));
}

#[test]
fn only_a_revocation_by_its_owner_revokes_a_key() {
    let (gpg, fingerprint, _) = home();
    let signature = gpg.sign("test", LIST, &[]);
    let other = Gpg::new();
    let theirs = other.key("other", "ed25519", "sign", "never", None);
    other.revoke(&theirs);
    let revoked = other.export("other");
    // the revocation follows the primary key's packet: 2 bytes of header and 51 of key; put behind ours
    let key_len = 2 + usize::from(revoked[1]);
    let revocation = &revoked[key_len..key_len + 2 + usize::from(revoked[key_len + 1])];
    let own = gpg.export("test");
    let key_len = 2 + usize::from(own[1]);
    let mixed = [&own[..key_len], revocation, &own[key_len..]].concat();
    let keyring = Keyring::parse(&mixed).unwrap();
    assert_eq!(check(&keyring, LIST, &signature), Ok(fingerprint));
}

#[test]
fn subkeys_may_sign_if_their_owner_says_so() {
    let gpg = Gpg::new();
    let primary = gpg.key("test", "ed25519", "cert", "never", None);
    support::run(gpg.command().args(["--quick-add-key", &primary, "ed25519", "sign", "never"]));
    support::run(gpg.command().args(["--quick-add-key", &primary, "cv25519", "encr", "never"]));
    let subkey = gpg.subkeys("test").swap_remove(0);
    let keyring = Keyring::parse(&gpg.export("test")).unwrap();
    let signature = gpg.sign(&format!("{subkey}!"), LIST, &[]);
    assert!(gpg.verifies(LIST, &signature));
    assert_eq!(check(&keyring, LIST, &signature), Ok(primary.clone()));

    // revoked: the subkey alone
    let mut edit = gpg.command();
    edit.args(["--command-fd", "0", "--edit-key", &primary]);
    pipe(&mut edit, b"key 1\nrevkey\ny\n0\n\ny\nsave\n");
    let keyring = Keyring::parse(&gpg.export("test")).unwrap();
    assert_eq!(check(&keyring, LIST, &signature), Err(SignatureError::KeyRevoked(subkey)));
}

#[test]
fn a_key_that_was_not_made_for_signing_is_refused() {
    let gpg = Gpg::new();
    gpg.key("test", "rsa2048", "cert,auth", "never", None);
    // gpg does not sign with it either; a signature of a signing key's cannot be made to fit, so the
    // flags are taken from a key whose usage was changed after it had signed
    let fingerprint = gpg.key("changed", "rsa2048", "sign,cert", "never", None);
    let signature = gpg.sign("changed", LIST, &[]);
    let mut edit = gpg.command();
    edit.args(["--expert", "--command-fd", "0", "--edit-key", &fingerprint]);
    pipe(&mut edit, b"change-usage\nS\nQ\nsave\n");
    let keyring = Keyring::parse(&gpg.export("changed")).unwrap();
    let fault = check(&keyring, LIST, &signature).unwrap_err();
    assert!(matches!(fault, SignatureError::KeyUnfit(..)), "{fault}");
}

#[test]
fn a_text_with_its_signature_around_it_is_taken_as_it_was_signed() {
    let (gpg, fingerprint, keyring) = home();
    let check = |signed: &[u8]| keyring.verify_cleartext(signed, SystemTime::now());
    let text = "Origin: test\n- a dash\n-- two \t\n";
    let signed = pipe(gpg.command().args(["--local-user", "test", "--clearsign"]), text.as_bytes());
    // spaces at the ends of lines are not signed
    let expected = "Origin: test\r\n- a dash\r\n-- two";
    let (found, signer) = check(&signed).unwrap();
    assert_eq!((found.trim_end(), signer), (expected, fingerprint));
    let changed = String::from_utf8(signed.clone()).unwrap().replace("Origin: test", "Origin: best");
    assert_eq!(check(changed.as_bytes()), Err(SignatureError::Wrong));
    let many = [&signed[..], "\n".repeat(50_000).as_bytes()].concat();
    let detached = gpg.sign("test", text.as_bytes(), &["--armor"]);
    for bad in [&[&b"Origin: best\n"[..], &signed].concat(), &many, &detached, &b"\xff".to_vec(), &Vec::new()]
    {
        assert!(matches!(check(bad), Err(SignatureError::Malformed(_))), "{}", String::from_utf8_lossy(bad));
    }
}
