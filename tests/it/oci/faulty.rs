//! A registry that fails on demand.

use std::time::Duration;

use serde_json::Value;
use support::http::{Fault, File, Server};

use super::Machine;
use super::layout::{Layout, MANIFEST, digest};

/// A registry with one image `x:1`, whose layer is at `blob`.
struct Faulty {
    server: Server,
    layout: Layout,
    layer: Value,
    blob: String,
}

const TAG: &str = "/v2/x/manifests/1";

impl Faulty {
    fn new() -> Self {
        let mut layout = Layout::default();
        let layer = layout.layer("x", 200_000);
        let image = layout.image("linux/arm64", std::slice::from_ref(&layer));
        let index = layout.index(&[("linux/arm64/v8", &image)]);
        let server = Server::start();
        for (digest, bytes) in &layout.blobs {
            for kind in ["manifests", "blobs"] {
                server.put(&format!("/v2/x/{kind}/{digest}"), File::new(bytes));
            }
        }
        server.put(TAG, File::new(&layout.blobs[digest(&index)]));
        let blob = format!("/v2/x/blobs/{}", digest(&layer));
        Self { server, layout, layer, blob }
    }

    fn name(&self) -> String {
        format!("{}/x:1", self.server.address)
    }

    fn layer(&self) -> &[u8] {
        &self.layout.blobs[digest(&self.layer)]
    }

    fn challenge(&self) -> Fault {
        let realm = self.server.url("/token");
        let scope = "repository:x:pull";
        let challenge = format!("Bearer realm=\"{realm}\",service=\"here & there\",scope=\"{scope}\"");
        Fault::Status(401, vec![("WWW-Authenticate", challenge)])
    }
}

const TOKEN: &str = "/token?service=here+%26+there&scope=repository%3Ax%3Apull";

fn redirect(to: &str) -> Fault {
    Fault::Status(307, vec![("Location", to.to_owned())])
}

#[test]
fn a_token_is_fetched_used_for_all_parts_and_renewed() {
    let faulty = Faulty::new();
    let server = &faulty.server;
    server.put(TOKEN, File::new(br#"{"token":"first"}"#));
    server.fail(TAG, &[faulty.challenge()]);
    let machine = Machine::new().login(&server.address.to_string(), "me", "word");
    // it runs out before the layer is asked for, and again in the middle of it
    let half = faulty.layer().len() as u64 / 2;
    server.fail(&faulty.blob, &[faulty.challenge(), Fault::Cut(half), faulty.challenge()]);
    machine.assert_whole(&machine.pull(&[&faulty.name()]).unwrap());

    let tokens = server.seen(TOKEN);
    assert_eq!(tokens.len(), 3, "{tokens:?}");
    assert!(tokens.iter().all(|seen| seen.header("authorization") == Some("Basic bWU6d29yZA==")));
    let asked = server.seen(TAG);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[1].header("authorization"), Some("Bearer first"));
    assert!(asked[1].header("accept").unwrap().contains(MANIFEST));
    let layer = server.seen(&faulty.blob);
    assert_eq!(layer.len(), 4);
    assert!(layer.iter().all(|seen| seen.header("authorization") == Some("Bearer first")));
    assert_eq!(layer[3].range().0, Some(&*format!("bytes={half}-")));
}

#[test]
fn a_login_that_does_not_work_is_said_once_and_plainly() {
    let unauthorized = || Fault::Status(401, Vec::new());
    for (token, name, words) in [
        (
            Some(unauthorized()),
            None,
            "gives no token to strangers, and ~/.docker/config.json has no user name",
        ),
        (Some(unauthorized()), Some("me"), "does not accept the user name and password in"),
        (None, None, "there is no server for logins at"),
    ] {
        let faulty = Faulty::new();
        faulty.server.fail(TAG, &[faulty.challenge()]);
        faulty.server.fail(TOKEN, &token.into_iter().collect::<Vec<_>>());
        let mut machine = Machine::new();
        if let Some(name) = name {
            machine = machine.login(&faulty.server.address.to_string(), name, "guessed");
        }
        let refused = machine.refused(&faulty.name());
        assert!(refused.contains(words), "{words:?} is not in: {refused}");
        assert!(!refused.contains("guessed"), "{refused}");
        assert_eq!(faulty.server.seen(TOKEN).len(), 1);
    }
    // a token that is not enough
    let faulty = Faulty::new();
    faulty.server.put(TOKEN, File::new(br#"{"access_token":"weak"}"#));
    faulty.server.fail(TAG, &[faulty.challenge(), faulty.challenge()]);
    let refused = Machine::new().refused(&faulty.name());
    assert!(refused.contains("there is no such image, or not for this user"), "{refused}");
    // and what is no token
    for (bytes, words) in [
        (&b"<html>"[..], "a web page instead of a token"),
        (b"{}", "something else than a token"),
        (b"{\"token\":\"a\\nb\"}", "something else than a token"),
    ] {
        let faulty = Faulty::new();
        faulty.server.put(TOKEN, File::new(bytes));
        faulty.server.fail(TAG, &[faulty.challenge()]);
        let refused = Machine::new().refused(&faulty.name());
        assert!(refused.contains(words), "{words:?} is not in: {refused}");
    }
}

#[test]
fn a_blob_is_fetched_from_where_it_is_without_the_login() {
    let (faulty, store) = (Faulty::new(), Server::start());
    faulty.server.put(TOKEN, File::new(br#"{"token":"secret"}"#));
    faulty.server.fail(TAG, &[faulty.challenge()]);
    let to = redirect(&store.url("/stored"));
    faulty.server.fail(&faulty.blob, &[to.clone(), to]);
    store.put("/stored", File::new(faulty.layer()));
    store.fail("/stored", &[Fault::Cut(1000)]);
    let machine = Machine::new();
    machine.assert_whole(&machine.pull(&[&faulty.name()]).unwrap());
    assert!(
        faulty.server.seen(&faulty.blob).iter().all(|s| s.header("authorization") == Some("Bearer secret"))
    );
    let stored = store.seen("/stored");
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|seen| seen.header("authorization").is_none()), "{stored:?}");
    assert_eq!(stored[1].range().0, Some("bytes=1000-"));

    // nor is it told to a store that asks for it
    let (faulty, store) = (Faulty::new(), Server::start());
    let challenge = format!("Bearer realm=\"{}\"", store.url("/token"));
    store.fail("/stored", &[Fault::Status(401, vec![("WWW-Authenticate", challenge)])]);
    faulty.server.fail(&faulty.blob, &[redirect(&store.url("/stored"))]);
    let machine = Machine::new().login(&store.address.to_string(), "me", "word");
    let refused = machine.refused(&faulty.name());
    assert!(refused.contains("401"), "{refused}");
    assert_eq!(store.all_seen().len(), 1);
}

#[test]
fn a_registry_that_wants_less_haste_gets_it() {
    let faulty = Faulty::new();
    let busy = || Fault::Status(429, vec![("Retry-After", "1".to_owned())]);
    faulty.server.fail(TAG, &[busy()]);
    faulty.server.fail(&faulty.blob, &[busy()]);
    let machine = Machine::new();
    machine.assert_whole(&machine.pull(&[&faulty.name()]).unwrap());
    for path in [TAG, &faulty.blob] {
        let seen = faulty.server.seen(path);
        assert!(seen[1].at - seen[0].at >= Duration::from_secs(1), "{path} was asked too early");
    }
    let faulty = Faulty::new();
    faulty.server.fail(TAG, &vec![Fault::Status(429, Vec::new()); 5]);
    let refused = Machine::new().refused(&faulty.name());
    assert!(
        refused.contains("429") && refused.contains("set a mirror in sources.registry-mirrors"),
        "{refused}"
    );
    assert_eq!(faulty.server.seen(TAG).len(), 3);
}

#[test]
fn a_blob_that_is_cut_off_is_resumed_also_by_the_next_run() {
    let faulty = Faulty::new();
    let len = faulty.layer().len() as u64;
    faulty.server.fail(&faulty.blob, &[Fault::Cut(len / 2), Fault::Refuse, Fault::Refuse]);
    let machine = Machine::new();
    machine.refused(&faulty.name());
    assert_eq!(machine.kept("downloads").len(), 2);
    let before = faulty.server.seen(&faulty.blob).len();
    machine.assert_whole(&machine.pull(&[&faulty.name()]).unwrap());
    let seen = faulty.server.seen(&faulty.blob);
    assert_eq!(seen.len(), before + 1);
    assert_eq!(seen[before].range().0, Some(&*format!("bytes={}-", len / 2)));
}

#[test]
fn what_is_not_what_was_promised_is_refused_and_not_kept() {
    let len = Faulty::new().layer().len();
    for (bytes, words) in [
        (vec![0; len], "is not what it should be: its SHA-256 is"),
        (vec![0; len - 1], "is not what it should be: its SHA-256 is"),
        (vec![0; len + 1], "is larger than"),
        (b"<!DOCTYPE html><p>Please log in".to_vec(), "a web page instead of a part of the image"),
    ] {
        let faulty = Faulty::new();
        faulty.server.put(&faulty.blob, File::new(&bytes));
        let machine = Machine::new();
        let refused = machine.refused(&faulty.name());
        assert!(refused.contains(words), "{words:?} is not in: {refused}");
        assert!(machine.kept("downloads").is_empty(), "{refused}");
        faulty.server.put(&faulty.blob, File::new(faulty.layer()));
        machine.assert_whole(&machine.pull(&[&faulty.name()]).unwrap());
    }
}

#[test]
fn what_is_no_manifest_is_refused_with_the_reason() {
    let huge = vec![b' '; (4 << 20) + 1];
    for (bytes, words) in [
        (&b"<html>login"[..], "a web page instead of an image's manifest"),
        (&huge, "is larger than 4194304 bytes"),
        (b"[]", "it is not an image's manifest"),
        (b"{\"schemaVersion\":1,\"fsLayers\":[]}", "schema 1"),
        (b"{\"manifests\":[]}", "is not made for a Raspberry Pi (linux/arm64), but for nothing"),
    ] {
        let faulty = Faulty::new();
        faulty.server.put(TAG, File::new(bytes));
        let refused = Machine::new().refused(&faulty.name());
        assert!(refused.contains(words), "{words:?} is not in: {refused}");
    }
    // one that is not what its digest says
    let faulty = Faulty::new();
    let promised = digest(&faulty.layer).to_owned();
    faulty.server.put(&format!("/v2/x/manifests/{promised}"), File::new(b"{}"));
    let refused = Machine::new().refused(&format!("{}/x@{promised}", faulty.server.address));
    assert!(refused.contains(&format!("where {promised} is promised")), "{refused}");
    // an image of an image of an image
    let mut faulty = Faulty::new();
    let mut deep = faulty.layout.image("linux/arm64", &[]);
    for _ in 0..5 {
        deep = faulty.layout.index(&[("", &deep)]);
    }
    for (digest, bytes) in &faulty.layout.blobs {
        faulty.server.put(&format!("/v2/x/manifests/{digest}"), File::new(bytes));
    }
    faulty.server.put(TAG, File::new(&faulty.layout.blobs[digest(&deep)]));
    let refused = Machine::new().refused(&faulty.name());
    assert!(refused.contains("more than 3 are not followed"), "{refused}");
}

#[test]
fn mirrors_that_fail_are_passed_over_and_all_faults_are_told() {
    let faulty = Faulty::new();
    let (broken, empty) = (Server::start(), Server::start());
    let at = |server: &Server| server.url("/v2/hub");
    let registry = faulty.server.address.to_string();
    let name = faulty.name();
    let path = format!("/v2/hub/x/manifests/1?ns={registry}");
    broken.fail(&path, &vec![Fault::Status(500, Vec::new()); 9]);
    let machine = Machine::new().mirror(&registry, &[at(&broken), at(&empty)]);
    machine.assert_whole(&machine.pull(&[&name]).unwrap());
    assert!(machine.has_noted("the server says 500"));
    assert_eq!((broken.seen(&path).len(), empty.seen(&path).len()), (3, 1));
    // a part that one server has lost is fetched from the next
    let half = Server::start();
    half.put(&path, File::new(&faulty.server_file(TAG)));
    let machine = Machine::new().mirror(&registry, &[at(&half)]);
    machine.assert_whole(&machine.pull(&[&name]).unwrap());
    // nowhere
    let machine = Machine::new().mirror(&registry, &[at(&empty)]);
    let refused = machine.refused(&format!("{registry}/x:2"));
    assert!(refused.matches("does not exist").count() == 2, "{refused}");
}

impl Faulty {
    /// What lies at a path.
    fn server_file(&self, path: &str) -> Vec<u8> {
        let url = self.server.url(path);
        support::run(support::tool("curl", "curl").args(["--silent", "--fail", &url])).into_bytes()
    }
}
