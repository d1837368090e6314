//! Debian's registry, filled by skopeo.

use super::Machine;
use super::layout::{INDEX, Layout, MANIFEST, digest};
use super::registry::{Filled, Registry, USER};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

#[test]
fn images_of_both_kinds_are_pulled_for_arm64_and_each_part_once() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let shared = layout.layer("shared", 300_000);
    let own = layout.layer("own", 1000);
    let one = layout.image("linux/arm64", &[shared.clone(), own]);
    let two = layout.image("linux/arm64/v8", std::slice::from_ref(&shared));
    let intel = layout.image("linux/amd64", &[]);
    let index = layout.index(&[("linux/amd64", &intel), ("linux/arm/v7", &intel), ("linux/arm64", &one)]);
    let names = [
        registry.push(&layout, &index, "a/index:1", "oci"),
        registry.push(&layout, &index, "a/list:1", "v2s2"),
        registry.push(&layout, &two, "single:1", "oci"),
        registry.push(&layout, &two, "single-docker:1", "v2s2"),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let machine = Machine::new();
    let images = machine.pull(&names).unwrap();
    machine.assert_whole(&images);
    let kinds: Vec<&str> = images.iter().map(|image| image.manifest.media_type.as_str()).collect();
    assert_eq!(kinds, [MANIFEST, DOCKER_MANIFEST, MANIFEST, DOCKER_MANIFEST]);
    assert_eq!(images.iter().map(|image| image.layers.len()).collect::<Vec<_>>(), [2, 2, 1, 1]);
    // what skopeo leaves as it is has the digests that it was made with
    assert_eq!(format!("sha256:{}", images[0].resolved), digest(&index));
    assert_eq!(format!("sha256:{}", images[0].manifest.digest), digest(&one));
    assert_eq!(images[2].resolved, images[2].manifest.digest);
    assert!(images.iter().all(|image| format!("sha256:{}", image.layers[0].digest) == digest(&shared)));
    // an index, a list, the manifests and configurations of four images, two layers
    let parts: std::collections::BTreeSet<_> = images
        .iter()
        .flat_map(|image| image.blobs().map(|blob| blob.digest).chain([image.resolved]))
        .collect();
    assert_eq!(machine.kept("files").len(), parts.len());

    // the second time nothing is downloaded, and without the network what the tags stood for is known
    drop(registry);
    let offline = Machine { offline: true, ..machine };
    assert_eq!(offline.pull(&names).unwrap(), images);
    let by_digest = format!("{}@{}", names[0].rsplit_once(':').unwrap().0, digest(&index));
    assert_eq!(offline.pull(&[&by_digest]).unwrap()[0].manifest, images[0].manifest);
    let unknown = offline.refused("quay.io/never/seen:1");
    assert!(unknown.contains("quay.io/never/seen:1 is not in the cache"), "{unknown}");
}

#[test]
fn a_name_with_a_digest_stands_for_that_digest_alone() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let [old, new] = ["old", "new"].map(|name| layout.both(name, 100));
    let name = registry.push(&layout, &old, "x:1", "oci");
    registry.push(&layout, &new, "x:1", "oci");
    let machine = Machine::new();
    let images = machine.pull(&[&name, &format!("{name}@{}", digest(&old))]).unwrap();
    assert_eq!(format!("sha256:{}", images[0].resolved), digest(&new));
    assert_eq!(format!("sha256:{}", images[1].resolved), digest(&old));
    assert_ne!(images[0].manifest, images[1].manifest);
    // and a tag is asked for each time
    registry.push(&layout, &old, "x:1", "oci");
    assert_eq!(machine.pull(&[&name]).unwrap()[0].manifest, images[1].manifest);
}

#[test]
fn what_was_damaged_in_the_cache_is_fetched_again() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let image = layout.both("x", 100);
    let tag = registry.push(&layout, &image, "x:1", "oci");
    for name in [tag.clone(), format!("{tag}@{}", digest(&image))] {
        let machine = Machine::new();
        let images = machine.pull(&[&name]).unwrap();
        // an index, a manifest, a configuration, a layer
        let files = machine.kept("files");
        assert_eq!(files.len(), 4);
        for file in &files {
            std::fs::remove_file(file).unwrap();
            std::fs::write(file, "damaged").unwrap();
        }
        assert_eq!(machine.pull(&[&name]).unwrap(), images);
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            assert!(file.ends_with(support::fetching::sha256(&bytes)), "{}", file.display());
        }
    }
}

#[test]
fn an_index_of_indices_is_looked_into() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let layer = layout.layer("x", 100);
    let arm = layout.image("linux/arm64", &[layer]);
    let intel = layout.image("linux/amd64", &[]);
    let [inner, other] =
        [("linux/arm64/v8", &arm), ("linux/amd64", &intel)].map(|entry| layout.index(&[entry]));
    let outer = layout.index(&[("", &other), ("", &inner), ("linux/arm/v7", &intel)]);
    // skopeo copies no index of indices
    let name = registry.push(&layout, &inner, "nested:inner", "oci");
    registry.push(&layout, &other, "nested:other", "oci");
    registry.push(&layout, &intel, "nested:intel", "oci");
    registry.put_manifest("nested", "1", INDEX, &layout.blobs[digest(&outer)]);
    let machine = Machine::new();
    let images = machine.pull(&[&name.replace("inner", "1")]).unwrap();
    machine.assert_whole(&images);
    assert_eq!(format!("sha256:{}", images[0].manifest.digest), digest(&arm));
    assert_eq!(format!("sha256:{}", images[0].resolved), digest(&outer));
}

#[test]
fn a_registry_with_passwords_is_logged_in_at() {
    let registry = Registry::locked();
    let mut layout = Layout::default();
    let image = layout.both("x", 1000);
    let name = registry.push(&layout, &image, "x:1", "oci");
    let machine = Machine::new().login(&registry.host(), USER.0, USER.1);
    machine.assert_whole(&machine.pull(&[&name]).unwrap());

    let stranger = Machine::new().refused(&name);
    assert!(stranger.contains(&format!("run docker login {}", registry.host())), "{stranger}");
    let mistaken = Machine::new().login(&registry.host(), USER.0, "guessed").refused(&name);
    assert!(mistaken.contains("does not accept the user name and password in"), "{mistaken}");
    assert!(!mistaken.contains("guessed"), "{mistaken}");
}

#[test]
fn what_the_registry_does_not_have_is_said_with_a_way_on() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let image = layout.both("x", 1000);
    let name = registry.push(&layout, &image, "x:1", "oci");
    for missing in [name.replace("x:1", "x:2"), name.replace("x:1", "y:1")] {
        let refused = Machine::new().refused(&missing);
        assert!(refused.starts_with(&format!("getting the image {missing}: ")), "{refused}");
        assert!(refused.ends_with("does not exist: check the image's name and tag"), "{refused}");
    }
    // for other machines alone
    let (arm, intel) = (layout.image("linux/arm/v7", &[]), layout.image("linux/amd64", &[]));
    let index = layout.index(&[("linux/amd64", &intel), ("linux/arm/v7", &arm), ("unknown/unknown", &intel)]);
    let several = registry.push(&layout, &index, "other:1", "oci");
    let one = registry.push(&layout, &intel, "intel:1", "v2s2");
    for (name, has) in [(several, "linux/amd64, linux/arm/v7"), (one, "linux/amd64")] {
        let refused = Machine::new().refused(&name);
        let said = format!("the image {name} is not made for a Raspberry Pi (linux/arm64), but for {has}: ");
        assert!(refused.starts_with(&said), "{refused}");
    }
}

#[test]
fn a_blob_that_the_registry_has_damaged_is_not_kept() {
    let registry = Registry::open();
    let mut layout = Layout::default();
    let layer = layout.layer("x", 50_000);
    let image = layout.image("linux/arm64", std::slice::from_ref(&layer));
    let name = registry.push(&layout, &image, "x:1", "oci");
    let path = registry.blob(digest(&layer));
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[20_000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let machine = Machine::new();
    let refused = machine.refused(&name);
    assert!(refused.contains("is not what it should be: its SHA-256 is"), "{refused}");
    let kept = machine.kept("files");
    assert!(kept.iter().all(|path| !path.ends_with(&digest(&layer)["sha256:".len()..])), "{kept:?}");
    std::fs::write(&path, whole).unwrap();
    machine.assert_whole(&machine.pull(&[&name]).unwrap());
}

#[test]
fn mirrors_are_asked_in_their_order_and_the_registry_last() {
    let (near, far) = (Registry::open(), Registry::open());
    let mut layout = Layout::default();
    let [both, own] = ["both", "own"].map(|name| layout.both(name, 1000));
    near.push(&layout, &both, "library/both:1", "oci");
    far.push(&layout, &both, "library/both:1", "oci");
    far.push(&layout, &own, "library/own:1", "oci");
    let addresses = [&near, &far].map(|registry| format!("http://{}", registry.host()));
    let machine = Machine::new().mirror("docker.io", &addresses);
    let images = machine.pull(&["both:1", "docker.io/own:1"]).unwrap();
    machine.assert_whole(&images);
    assert_eq!(images[0].name.to_string(), "docker.io/library/both:1");
    assert_eq!(images[1].name.to_string(), "docker.io/library/own:1");
    // a mirror that is gone is no end
    drop(near);
    let another = Machine::new().mirror("docker.io", &addresses);
    assert_eq!(another.pull(&["both:1"]).unwrap()[0].manifest, images[0].manifest);
    assert!(another.has_noted("asking the next server for docker.io/library/both:1"));
}
