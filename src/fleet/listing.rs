//! What the index of a fleet says, once it is believed.

use std::collections::BTreeSet;

use super::format::{BASE, Descriptor, FLEET, Index, NODE, PAYLOAD, note};
use crate::catalog::Digest;
use crate::oci::Blob;

/// Longest name of a node (RFC 1123).
const NAME_MAX: usize = 63;

/// A fleet: a cluster's base, payloads and nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The cluster's name.
    pub cluster: String,
    /// What tells it from all others: the hash of its CA.
    pub fleet: String,
    /// How many indices there were before it, and one.
    pub serial: u64,
    /// The version of pibake that made it.
    pub made_by: String,
    /// What all nodes are made from.
    pub base: ListedBase,
    /// What the nodes of a role have over it.
    pub payloads: Vec<Blob>,
    /// The nodes, by number.
    pub nodes: Vec<ListedNode>,
}

/// The base of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBase {
    /// What it is called.
    pub name: String,
    /// SHA-256 of the raw image.
    pub raw: Digest,
    /// SHA-256 of the file that it was published as.
    pub published: Digest,
    /// Size of the raw image in bytes.
    pub length: u64,
    /// Its manifest.
    pub manifest: Blob,
}

/// What runs on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Of Kubernetes.
    pub kubernetes: String,
    /// Of containerd.
    pub containerd: String,
}

/// A node of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNode {
    /// Its name.
    pub name: String,
    /// Its place in the cluster, from 1.
    pub number: u16,
    /// What it does: `control-plane`, `worker`.
    pub role: String,
    /// The hardware that it is for: a board by the name that a description has for it, or `raspberry-pi` where none was
    /// named.
    pub board: String,
    /// What it starts from, as a description has it, where one said so.
    pub boot_from: Option<String>,
    /// What runs on it.
    pub versions: Versions,
    /// Its manifest.
    pub manifest: Blob,
    /// The manifest of the payload that it has, where it has one.
    pub payload: Option<Digest>,
}

impl Listing {
    /// Reads an index, whoever it is from.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let index: Index = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match index.annotations.get(note::KIND).map(String::as_str) {
            Some(FLEET) => {}
            other => return Err(format!("it calls itself {}", other.unwrap_or("nothing"))),
        }
        let of = |kind: &'static str| {
            index.manifests.iter().filter(move |entry| entry.note(note::KIND) == Some(kind))
        };
        let own = |name: &str| index.annotations.get(name).cloned().ok_or_else(|| lacks("the index", name));
        let (first, more) = (of(BASE).next(), of(BASE).nth(1));
        let (Some(base), None) = (first, more) else { return Err("it does not list one base".to_owned()) };
        let base = ListedBase::read(base)?;
        let payloads: Vec<Blob> = of(PAYLOAD).map(Descriptor::blob).collect();
        let mut nodes = of(NODE).map(ListedNode::read).collect::<Result<Vec<_>, _>>()?;
        let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for (node, entry) in nodes.iter().zip(of(NODE)) {
            if !names.insert(node.name.as_str()) {
                return Err(format!("it lists {} twice", node.name));
            }
            if node.number == 0 || !numbers.insert(node.number) {
                return Err(format!("it gives {} the number {}", node.name, node.number));
            }
            let on: Digest = parsed(entry, note::ON_BASE)?;
            let known = |digest: &Digest| payloads.iter().any(|payload| payload.digest == *digest);
            if on != base.manifest.digest || !node.payload.as_ref().is_none_or(known) {
                return Err(format!("{} lies over what it does not list", node.name));
            }
        }
        nodes.sort_by_key(|node| node.number);
        let serial = own(note::SERIAL)?;
        let serial = serial.parse().map_err(|_| format!("its number is {serial:?}"))?;
        let (cluster, fleet, made_by) = (own(note::CLUSTER)?, own(note::FLEET)?, own(note::MADE_BY)?);
        Ok(Self { cluster, fleet, serial, made_by, base, payloads, nodes })
    }

    #[cfg(test)]
    pub(crate) fn for_tests(fleet: &str) -> Self {
        let manifest = Blob { media_type: String::new(), digest: Digest::of(b""), len: 0 };
        let (raw, published) = (Digest::of(b"raw"), Digest::of(b"published"));
        Self {
            cluster: "home".to_owned(),
            fleet: fleet.to_owned(),
            serial: 1,
            made_by: "0".to_owned(),
            base: ListedBase { name: "sample".to_owned(), raw, published, length: 1, manifest },
            payloads: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

impl ListedBase {
    fn read(entry: &Descriptor) -> Result<Self, String> {
        Ok(Self {
            name: text(entry, note::NAME)?,
            raw: parsed(entry, note::RAW)?,
            published: parsed(entry, note::PUBLISHED)?,
            length: parsed(entry, note::LENGTH)?,
            manifest: entry.blob(),
        })
    }
}

impl ListedNode {
    #[cfg(test)]
    pub(crate) fn for_tests(name: &str, number: u16) -> Self {
        let (kubernetes, containerd) = ("1.31.0".to_owned(), "1.7.0".to_owned());
        Self {
            name: name.to_owned(),
            number,
            role: "worker".to_owned(),
            board: "raspberry-pi".to_owned(),
            boot_from: None,
            versions: Versions { kubernetes, containerd },
            manifest: Blob { media_type: String::new(), digest: Digest::of(name.as_bytes()), len: 0 },
            payload: None,
        }
    }

    fn read(entry: &Descriptor) -> Result<Self, String> {
        let name = text(entry, note::NODE)?;
        // it becomes the name of a file
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_plain) {
            return Err(format!("{name:?} is not a node's name"));
        }
        let payload = entry.note(note::ON_PAYLOAD).map(|_| parsed(entry, note::ON_PAYLOAD)).transpose()?;
        Ok(Self {
            name,
            number: parsed(entry, note::NUMBER)?,
            role: text(entry, note::ROLE)?,
            board: text(entry, note::BOARD)?,
            boot_from: entry.note(note::BOOT_FROM).map(str::to_owned),
            versions: Versions {
                kubernetes: text(entry, note::KUBERNETES)?,
                containerd: text(entry, note::CONTAINERD)?,
            },
            manifest: entry.blob(),
            payload,
        })
    }
}

fn lacks(what: &str, name: &str) -> String {
    format!("{what} has no annotation {name}")
}

fn text(entry: &Descriptor, name: &str) -> Result<String, String> {
    let found = entry.note(name).map(str::to_owned);
    found.ok_or_else(|| lacks(&format!("the entry sha256:{}", entry.digest), name))
}

fn parsed<T: std::str::FromStr>(entry: &Descriptor, name: &str) -> Result<T, String> {
    let text = text(entry, name)?;
    text.parse().map_err(|_| format!("the annotation {name} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index as Place;

    use super::*;
    use crate::fleet::format::{Notes, notes};

    fn index(change: impl Fn(&mut Index)) -> Vec<u8> {
        let digest = |text: &[u8]| Digest::of(text).to_string();
        let base = notes([
            (note::NAME, "sample".to_owned()),
            (note::RAW, digest(b"raw")),
            (note::PUBLISHED, digest(b"xz")),
            (note::LENGTH, "100".to_owned()),
        ]);
        let base = Descriptor::listed(BASE, b"base", base);
        let payload = Descriptor::listed(PAYLOAD, b"payload", Notes::new());
        let node = |name: &str, number: u16| {
            let over = |entry: &Descriptor| format!("sha256:{}", entry.digest);
            let notes = notes([
                (note::NODE, name.to_owned()),
                (note::NUMBER, number.to_string()),
                (note::ROLE, "worker".to_owned()),
                (note::BOARD, "raspberry-pi".to_owned()),
                (note::KUBERNETES, "1.31.0".to_owned()),
                (note::CONTAINERD, "1.7".to_owned()),
                (note::ON_BASE, over(&base)),
                (note::ON_PAYLOAD, over(&payload)),
            ]);
            Descriptor::listed(NODE, name.as_bytes(), notes)
        };
        let own = notes([
            (note::CLUSTER, "home".to_owned()),
            (note::FLEET, "sha256:ca".to_owned()),
            (note::SERIAL, "7".to_owned()),
            (note::MADE_BY, "0.1.0".to_owned()),
        ]);
        let nodes = [node("node-2", 2), node("node-1", 1)];
        let mut index = Index::new([base, payload].into_iter().chain(nodes).collect(), own);
        change(&mut index);
        index.text().unwrap()
    }

    #[test]
    fn an_index_says_what_nodes_are_made_of() {
        let listing = Listing::read(&index(|_| ())).unwrap();
        assert_eq!((&*listing.cluster, listing.serial, listing.base.length), ("home", 7, 100));
        assert_eq!(listing.nodes.iter().map(|node| node.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(listing.nodes[0].payload, Some(Digest::of(b"payload")));
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_the_reason() {
        let set = |at: usize, name: &'static str, value: &'static str| {
            move |index: &mut Index| {
                drop(index.manifests[at].annotations.insert(name.to_owned(), value.to_owned()))
            }
        };
        let wrong: [(&str, Vec<u8>); 9] = [
            ("it calls itself", index(|index| drop(index.annotations.remove(note::KIND)))),
            ("does not list one base", index(|index| drop(index.manifests.remove(0)))),
            ("lists node-1 twice", index(set(2, note::NODE, "node-1"))),
            ("gives node-1 the number 2", index(set(3, note::NUMBER, "2"))),
            ("gives node-1 the number 0", index(set(3, note::NUMBER, "0"))),
            ("\"../x\" is not a node's name", index(set(2, note::NODE, "../x"))),
            ("lies over what it does not list", index(|index| drop(index.manifests.remove(1)))),
            (
                "its number is \"-1\"",
                index(|index| {
                    index.annotations.insert(note::SERIAL.to_owned(), "-1".to_owned());
                }),
            ),
            (
                "has no annotation vnd.pibake.role",
                index(|index| {
                    index.manifests[3].annotations.remove(note::ROLE);
                }),
            ),
        ];
        for (words, bytes) in wrong {
            let fault = Listing::read(&bytes).unwrap_err();
            assert!(fault.contains(words), "{fault}");
        }
        assert!(Listing::read(b"{}").is_err());
    }

    /// What somebody may write into an index who signs whatever they like.
    fn odd() -> impl Strategy<Value = String> {
        let digest = Digest::of(b"base").to_string();
        prop_oneof![
            Just(String::new()),
            Just("node-1".to_owned()),
            Just("../node-1".to_owned()),
            Just(format!("sha256:{digest}")),
            Just(digest),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<i8>().prop_map(|number| number.to_string()),
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        /// Whatever annotation has whatever value, an index is refused, or says of each node where it belongs.
        #[test]
        fn no_index_is_too_odd(
            changes in proptest::collection::vec((any::<Place>(), any::<Place>(), odd()), 1..4),
            twice in any::<Option<Place>>(),
        ) {
            let bytes = index(|index| {
                for (entry, at, value) in &changes {
                    let count = index.manifests.len();
                    let notes = match entry.index(count + 1) {
                        0 => &mut index.annotations,
                        entry => &mut index.manifests[entry - 1].annotations,
                    };
                    if !notes.is_empty() {
                        let at = at.index(notes.len());
                        if let Some(note) = notes.values_mut().nth(at) {
                            note.clone_from(value);
                        }
                    }
                }
                if let Some(twice) = twice {
                    let again = index.manifests[twice.index(index.manifests.len())].clone();
                    index.manifests.push(again);
                }
            });
            if let Ok(listing) = Listing::read(&bytes) {
                prop_assert!(listing.nodes.windows(2).all(|pair| pair[0].number < pair[1].number));
                for node in &listing.nodes {
                    prop_assert!(node.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
                    let listed = |digest| listing.payloads.iter().any(|payload| payload.digest == digest);
                    prop_assert!(node.payload.is_none_or(listed));
                }
            }
        }
    }
}
