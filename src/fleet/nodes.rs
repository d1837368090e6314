//! Nodes on their way into a registry: what each has of its own, several at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::changes;
use super::chunks::pack;
use super::contents::{Bake, Baked, Contents, Node};
use super::error::{Error, Result};
use super::format::{BILL, BILL_MAX, Descriptor, Manifest, NODE, NODE_MAX, Notes, SEALED, note, notes};
use super::parts::{PARALLEL, Store};
use super::sealed::{Recipient, seal};
use crate::base;
use crate::io::each_at_once;
use crate::progress::Step;

/// Puts the nodes of a cluster there.
pub(super) struct Nodes<'a> {
    pub(super) contents: &'a Contents<'a>,
    /// Who may read what is secret.
    pub(super) recipients: &'a [Recipient],
    pub(super) store: &'a Store<'a>,
    /// What is there already: the base, and the payloads by the names of their roles.
    pub(super) base: &'a Descriptor,
    pub(super) payloads: &'a BTreeMap<&'a str, Descriptor>,
}

/// Entries of the index, and the bytes that each node has alone, by its name.
type Entries = (Vec<Descriptor>, Vec<(String, u64)>);

impl Nodes<'_> {
    /// Bakes all nodes, one after the other, and puts them there meanwhile: a registry takes its time for each request,
    /// and a node takes several.
    pub(super) fn put(&self, bake: &Bake<'_>, step: &dyn Step) -> Result<Entries> {
        let nodes = &self.contents.nodes;
        let is_over = self.store.cancel.child();
        let lost = || Error::from(base::Error::Worker { name: "a node".to_owned() });
        let baking = Mutex::new(());
        let entries = each_at_once(PARALLEL, nodes.len(), &is_over, lost, |at| -> Result<_> {
            let node = nodes.get(at).ok_or_else(lost)?;
            is_over.check().map_err(base::Error::from)?;
            let baked = {
                let _one = baking.lock().unwrap_or_else(PoisonError::into_inner);
                bake(&node.name)
            };
            let baked =
                baked.map_err(|fault| Error::Bake { node: node.name.clone(), source: fault.into() })?;
            let (entry, size) = self.node(node, &baked)?;
            step.advance(size);
            Ok((entry, (node.name.clone(), size)))
        })?;
        Ok(entries.into_iter().unzip())
    }

    /// Its entry in the index, and the bytes that it has alone.
    fn node(&self, node: &Node, baked: &Baked) -> Result<(Descriptor, u64)> {
        let packing = |e| Error::io(format!("packing {}", node.name), e);
        let own = match self.contents.payloads.get(&node.role) {
            Some(shared) => baked.patch.without(shared),
            None => baked.patch.clone(),
        };
        let length = own.image_len(self.contents.base.len);
        let of = changes::of_node(&node.name, self.contents.fleet);
        let plain = changes::write(&of, &own, length, 0..length).map_err(packing)?;
        let sealed = seal(&pack(&plain).map_err(packing)?, self.recipients).map_err(packing)?;
        let bill = pack(&baked.bill).map_err(packing)?;
        let small = |what, bytes: usize, limit| match bytes as u64 {
            bytes if bytes > limit => Err(Error::TooLarge { node: node.name.clone(), what, bytes, limit }),
            _ => Ok(()),
        };
        small("changes", plain.len().max(sealed.len()), NODE_MAX)?;
        small("a bill", baked.bill.len(), BILL_MAX)?;
        let layers = vec![
            self.store.blob(SEALED, &sealed, Notes::new())?,
            self.store.blob(BILL, &bill, Notes::new())?,
        ];
        let bytes = self.store.manifest(&Manifest::new(NODE, layers, Notes::new()), None)?;
        let mut about = notes([
            (note::NODE, node.name.clone()),
            (note::NUMBER, node.number.to_string()),
            (note::ROLE, node.role.clone()),
            (note::BOARD, node.board.clone()),
            (note::KUBERNETES, node.versions.kubernetes.clone()),
            (note::CONTAINERD, node.versions.containerd.clone()),
            (note::ON_BASE, format!("sha256:{}", self.base.digest)),
        ]);
        if let Some(from) = &node.boot_from {
            about.insert(note::BOOT_FROM.to_owned(), from.clone());
        }
        if let Some(payload) = self.payloads.get(node.role.as_str()) {
            about.insert(note::ON_PAYLOAD.to_owned(), format!("sha256:{}", payload.digest));
        }
        Ok((Descriptor::listed(NODE, &bytes, about), (sealed.len() + bill.len()) as u64))
    }
}
