//! Flattened device trees: read, edit, written back.
//!
//! The format is that of the Devicetree Specification v0.4, chapter 5: a header, a list of
//! reserved memory, a stream of tokens, and the property names. All numbers are big-endian.

use crate::error::{Classified, ErrorClass};
use crate::io::be;

/// First four bytes of every flattened device tree.
const MAGIC: u32 = 0xd00d_feed;
/// The format version that is read and written; 16 is the oldest one that it can be read as.
const VERSION: u32 = 17;
const LAST_COMPATIBLE_VERSION: u32 = 16;
const HEADER_LEN: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Deeper than any real tree (Linux refuses beyond 64 as well), shallow enough for the stack.
const MAX_DEPTH: usize = 64;
/// Longest name in bytes. The specification has 31 (2.2.1, 2.2.4.1), which real trees do not keep to. Any
/// number of properties may have the same name, and each gets its own copy.
const MAX_NAME: usize = 255;

/// Why bytes are not a device tree that can be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first four bytes are not the format's.
    #[error("not a device tree: it starts with {0:#010x}, not {MAGIC:#010x}")]
    NotADeviceTree(u32),
    /// Written in a version of the format that is not understood.
    #[error(
        "device tree of format version {version}, compatible back to {compatible}: only 16 and 17 are understood"
    )]
    Version {
        /// The version that it was written in.
        version: u32,
        /// The oldest version that can read it.
        compatible: u32,
    },
    /// It breaks off or contradicts itself.
    #[error("damaged device tree: {what} at byte {offset}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where, in bytes from the beginning.
        offset: usize,
    },
}

impl Classified for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotADeviceTree(..) | Self::Version { .. } | Self::Damaged { .. } => ErrorClass::Damaged,
        }
    }
}

/// A device tree in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTree {
    /// The node `/`.
    pub root: Node,
    /// Memory that the kernel must not touch: address and size in bytes.
    pub reserved: Vec<(u64, u64)>,
    /// Hardware number of the processor that boots.
    boot_cpu: u32,
}

/// A node with its properties and children, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Name with unit address, as in `mmc@7e300000`; empty for the root.
    pub name: String,
    /// Names and raw values.
    pub properties: Vec<(String, Vec<u8>)>,
    /// Nodes below this one.
    pub children: Vec<Node>,
}

impl Node {
    /// The raw value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The strings of a property whose value is a list of NUL-terminated strings.
    #[must_use]
    pub fn strings(&self, name: &str) -> Vec<String> {
        let value = self.property(name).unwrap_or_default();
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        value
            .split(|b| *b == 0)
            .map(|s| String::from_utf8_lossy(s).into_owned())
            .filter(|s| !s.is_empty())
            .collect()
    }

    /// Sets a property to one NUL-terminated string.
    pub fn set_string(&mut self, name: &str, text: &str) {
        let value = [text.as_bytes(), b"\0"].concat();
        match self.properties.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.properties.push((name.to_owned(), value)),
        }
    }

    /// Removes a property; says whether it was there.
    pub fn remove_property(&mut self, name: &str) -> bool {
        let before = self.properties.len();
        self.properties.retain(|(n, _)| n != name);
        self.properties.len() != before
    }

    /// Removes a child node with all below it; says whether it was there.
    pub fn remove_child(&mut self, name: &str) -> bool {
        let before = self.children.len();
        self.children.retain(|c| c.name != name);
        self.children.len() != before
    }
}

impl DeviceTree {
    /// A tree of nothing but its root.
    #[must_use]
    pub fn empty() -> Self {
        Self { root: Node::default(), reserved: Vec::new(), boot_cpu: 0 }
    }

    /// Reads a flattened device tree.
    ///
    /// # Errors
    /// [`Error`], for bytes that are none or that are damaged.
    pub fn parse(blob: &[u8]) -> Result<Self, Error> {
        let all = Reader { blob, at: 0 };
        let header = |field: usize| all.u32_at(field * 4);
        let magic = header(0)?;
        if magic != MAGIC {
            return Err(Error::NotADeviceTree(magic));
        }
        let (version, compatible) = (header(5)?, header(6)?);
        if version < LAST_COMPATIBLE_VERSION || compatible > VERSION {
            return Err(Error::Version { version, compatible });
        }
        let total = header(1)? as usize;
        let blob = blob
            .get(..total)
            .filter(|b| b.len() >= HEADER_LEN)
            .ok_or(Error::Damaged { what: "the size in the header reaches past the end", offset: 4 })?;
        let strings = blob
            .get(header(3)? as usize..)
            .ok_or(Error::Damaged { what: "the property names lie past the end", offset: 12 })?;
        let reserved = read_reserved(&mut Reader { blob, at: header(4)? as usize })?;
        let mut tokens = Reader { blob, at: header(2)? as usize };
        let mut token = tokens.u32()?;
        while token == NOP {
            token = tokens.u32()?;
        }
        if token != BEGIN_NODE {
            return Err(tokens.damaged("there is no root node"));
        }
        let root = read_node(&mut tokens, strings, 0)?;
        Ok(Self { root, reserved, boot_cpu: header(7)? })
    }

    /// The node at an absolute path such as `/soc/mmc@7e300000`.
    pub fn node_mut(&mut self, path: &str) -> Option<&mut Node> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(&mut self.root, |node, part| node.children.iter_mut().find(|c| c.name == part))
    }

    /// The node at an absolute path such as `/soc/mmc@7e300000`.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(&self.root, |node, part| node.children.iter().find(|c| c.name == part))
    }

    /// Writes the tree in format version 17.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut names = Names::default();
        let mut structure = Vec::new();
        write_node(&self.root, &mut structure, &mut names);
        structure.extend(END.to_be_bytes());

        let mut reserved = Vec::new();
        for (address, size) in self.reserved.iter().chain([&(0, 0)]) {
            reserved.extend(address.to_be_bytes());
            reserved.extend(size.to_be_bytes());
        }
        // the header's 40 bytes leave the reservations aligned to eight, as they must be
        let structure_at = HEADER_LEN + reserved.len();
        let strings_at = structure_at + structure.len();
        let total = strings_at + names.bytes.len();
        let header = [
            MAGIC,
            total as u32,
            structure_at as u32,
            strings_at as u32,
            HEADER_LEN as u32,
            VERSION,
            LAST_COMPATIBLE_VERSION,
            self.boot_cpu,
            names.bytes.len() as u32,
            structure.len() as u32,
        ];
        let mut blob: Vec<u8> = header.iter().flat_map(|n| n.to_be_bytes()).collect();
        blob.extend(reserved);
        blob.extend(structure);
        blob.extend(names.bytes);
        blob
    }
}

struct Reader<'a> {
    blob: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { what, offset: self.at }
    }

    fn u32_at(&self, at: usize) -> Result<u32, Error> {
        be::u32(self.blob, at).ok_or(Error::Damaged { what: "it breaks off", offset: at })
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let n = self.u32_at(self.at)?;
        self.at += 4;
        Ok(n)
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let bytes = self.at.checked_add(len).and_then(|end| self.blob.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.damaged("a property reaches past the end"))?;
        self.at += len;
        Ok(bytes)
    }

    /// Tokens are aligned to four bytes.
    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4);
    }

    fn name(&mut self) -> Result<String, Error> {
        let rest = self.blob.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(MAX_NAME + 1).position(|b| *b == 0);
        let len = end.ok_or_else(|| self.damaged("a name does not end, or is longer than any is"))?;
        let name = String::from_utf8(rest[..len].to_vec()).map_err(|_| self.damaged("a name is not text"))?;
        self.at += len + 1;
        self.align();
        Ok(name)
    }
}

fn read_reserved(reader: &mut Reader<'_>) -> Result<Vec<(u64, u64)>, Error> {
    let mut reserved = Vec::new();
    loop {
        match (reader.u64()?, reader.u64()?) {
            (0, 0) => return Ok(reserved),
            entry => reserved.push(entry),
        }
    }
}

fn read_node(reader: &mut Reader<'_>, strings: &[u8], depth: usize) -> Result<Node, Error> {
    if depth > MAX_DEPTH {
        return Err(reader.damaged("nodes are nested too deeply"));
    }
    let mut node = Node { name: reader.name()?, ..Node::default() };
    loop {
        match reader.u32()? {
            BEGIN_NODE => node.children.push(read_node(reader, strings, depth + 1)?),
            END_NODE => return Ok(node),
            PROP => {
                let len = reader.u32()? as usize;
                let name_at = reader.u32()? as usize;
                let mut name = Reader { blob: strings, at: name_at };
                let name = name.name().map_err(|_| reader.damaged("a property has no name"))?;
                let value = reader.bytes(len)?.to_vec();
                reader.align();
                node.properties.push((name, value));
            }
            NOP => {}
            _ => return Err(reader.damaged("an unknown token")),
        }
    }
}

/// The block of property names, each kept once.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    at: std::collections::HashMap<String, u32>,
}

impl Names {
    fn offset(&mut self, name: &str) -> u32 {
        if let Some(at) = self.at.get(name) {
            return *at;
        }
        let at = self.bytes.len() as u32;
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.at.insert(name.to_owned(), at);
        at
    }
}

fn write_node(node: &Node, out: &mut Vec<u8>, names: &mut Names) {
    let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
    out.extend(BEGIN_NODE.to_be_bytes());
    out.extend(node.name.as_bytes());
    out.push(0);
    align(out);
    for (name, value) in &node.properties {
        for number in [PROP, value.len() as u32, names.offset(name)] {
            out.extend(number.to_be_bytes());
        }
        out.extend(value);
        align(out);
    }
    for child in &node.children {
        write_node(child, out, names);
    }
    out.extend(END_NODE.to_be_bytes());
}

#[cfg(test)]
mod tests;
