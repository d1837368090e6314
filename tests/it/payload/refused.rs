//! What there is no payload of, and why.

use std::fs;

use pibake::error::{Classified, ErrorClass, one_line};
use support::images::put;

use super::world::{self, World};

/// What is done to the world, of what class the error is then, and what it says.
type Damage = (&'static str, fn(&mut World), ErrorClass, &'static str);

const DAMAGES: [Damage; 10] = [
    (
        "a base without packages",
        |world| fs::remove_file(world.root.join("var/lib/dpkg/status")).unwrap(),
        ErrorClass::Configuration,
        "has no /var/lib/dpkg/status",
    ),
    (
        "an unfinished base",
        |world| {
            let status = world.status.replacen("install ok installed", "install ok half-installed", 1);
            put(&world.root.join("var/lib/dpkg/status"), &status);
        },
        ErrorClass::Configuration,
        "is half-installed",
    ),
    (
        "no keys",
        |world| fs::remove_dir_all(world.root.join("etc/apt/trusted.gpg.d")).unwrap(),
        ErrorClass::Configuration,
        "there is no key on the base image",
    ),
    (
        "another key where the one that is trusted should be",
        |world| world.serve("/docker.asc", &world.gpg.export("kubernetes")),
        ErrorClass::Verification,
        "checking the key at",
    ),
    (
        "a repository that somebody else signed",
        |world| world.publish_docker("kubernetes"),
        ErrorClass::Verification,
        "none of the accepted keys",
    ),
    (
        "a package that nobody has",
        |world| world.publish_kubernetes(&["kubelet", "kubectl", "kubeadm"]),
        ErrorClass::Configuration,
        "no repository has a package cri-tools",
    ),
    (
        "a release of Kubernetes with another etcd than those before it",
        |world| {
            world.program = "3.6.9-0v1.12.1".to_owned();
            world.publish_kubernetes(&["kubelet", "kubectl", "kubeadm", "cri-tools"]);
        },
        ErrorClass::Configuration,
        "kubeadm 1.34.2-1.1 does not ask for",
    ),
    (
        "a list that is none",
        |world| put(&world.root.join("etc/apt/sources.list.d/x.list"), "nonsense\n"),
        ErrorClass::Configuration,
        "reading /etc/apt/sources.list.d/x.list of the base image or the overlays: line 1: it starts neither with deb nor with deb-src",
    ),
    (
        "a source that trusts anybody",
        |world| put(&world.root.join("etc/apt/sources.list.d/x.list"), "deb [trusted=yes] http://x ./\n"),
        ErrorClass::Configuration,
        "lets http://x be unsigned",
    ),
    (
        "an image that is not there",
        |world| world.images.push("nowhere/none:1".to_owned()),
        ErrorClass::Network,
        "nowhere/none:1",
    ),
];

#[test]
fn what_is_wrong_is_said_before_anything_is_baked() {
    for (what, damage, class, expected) in DAMAGES {
        let mut world = World::new();
        damage(&mut world);
        let error = world.payload(false).err().unwrap_or_else(|| panic!("{what}: it was accepted"));
        let text = one_line(&error);
        assert!(text.contains(expected), "{what}: {text}");
        assert_eq!(error.class(), class, "{what}: {text}");
    }
}

/// As first boot does on a node, a key that has expired on the card is fetched again.
#[test]
fn a_key_that_has_expired_is_fetched_again() {
    let mut world = World::new();
    world.bake_expired_key_of_kubernetes();
    world.payload(false).unwrap();
    let asked = world.server.seen(world::KUBERNETES_KEY);
    assert_eq!(asked.len(), 1, "{asked:?}");
}
