//! Bootstrap tokens: what a node shows to be let into the cluster.

use super::error::Error;
use crate::cluster::Secret;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a token's public part.
const ID: usize = 6;
/// Characters of a token, dot included.
const LENGTH: usize = 23;

/// The bootstrap tokens of a cluster. There is one for each node that it can ever have, from the
/// start: node-1 must know the token of a node whose card is made long after its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// By node number, from 1. One that an old pibake made is alone, and for all nodes.
    each: Vec<Secret>,
}

impl Tokens {
    /// New tokens for nodes 1 to `nodes`.
    pub(super) fn make(nodes: usize) -> Result<Self, Error> {
        Ok(Self { each: (0..nodes).map(|_| make()).collect::<Result<_, _>>()? })
    }

    /// These tokens, by node number.
    #[must_use]
    pub fn new(each: Vec<Secret>) -> Self {
        Self { each }
    }

    /// From the text of a file with one token a line; `None` where a line is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let each: Vec<Secret> =
            text.lines().map(|line| is_token(line).then(|| Secret::new(line))).collect::<Option<_>>()?;
        (!each.is_empty()).then_some(Self { each })
    }

    /// The text of the file: one token a line.
    pub(super) fn text(&self) -> Secret {
        let lines = self.each.iter().map(|token| format!("{}\n", token.reveal()));
        Secret::new(lines.collect::<String>())
    }

    /// Whether one token is everybody's, as an old pibake made it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.each.len() == 1
    }

    /// The token of the node with that number.
    #[must_use]
    pub fn of(&self, number: u16) -> Option<&Secret> {
        if self.is_shared() { self.each.first() } else { self.each.get(usize::from(number).checked_sub(1)?) }
    }

    /// The same with a new token for one node; it is left out where no node can have that number.
    pub(super) fn renewed(&self, number: u16, nodes: usize) -> Result<Self, Error> {
        let mut each = self.each.clone();
        if let [shared] = each.as_slice() {
            // whoever has it keeps it, but for this node
            each = vec![shared.clone(); nodes];
        }
        if let Some(old) = usize::from(number).checked_sub(1).and_then(|n| each.get_mut(n)) {
            *old = make()?;
        }
        Ok(Self { each })
    }
}

/// The public part of a token, which names it in the cluster: `bootstrap-token-` and this.
#[must_use]
pub fn id(token: &Secret) -> &str {
    token.reveal().get(..ID).unwrap_or_default()
}

/// A bootstrap token, `[a-z0-9]{6}\.[a-z0-9]{16}`
/// (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens).
fn make() -> Result<Secret, Error> {
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        // 252 is the largest multiple of 36 that fits: above it, letters would not be equally likely.
        for byte in bytes.into_iter().filter(|byte| *byte < 252) {
            if text.len() == ID {
                text.push('.');
            }
            if text.len() < LENGTH {
                text.extend(ALPHABET.get(usize::from(byte % 36)).map(|b| char::from(*b)));
            }
        }
    }
    Ok(Secret::new(text))
}

fn is_token(text: &str) -> bool {
    let good = |part: &str, len| part.len() == len && part.bytes().all(|b| ALPHABET.contains(&b));
    text.split_once('.').is_some_and(|(id, secret)| good(id, ID) && good(secret, LENGTH - ID - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_one_of_its_own() {
        let tokens = Tokens::make(250).unwrap();
        let ids: std::collections::BTreeSet<_> = tokens.each.iter().map(id).collect();
        assert_eq!(ids.len(), 250);
        assert!(tokens.each.iter().all(|t| is_token(t.reveal())));
        assert_eq!(tokens.of(0), None);
        assert_eq!(tokens.of(251), None);
        assert_eq!(Tokens::read(tokens.text().reveal()), Some(tokens.clone()));
        let renewed = tokens.renewed(3, 250).unwrap();
        assert_ne!(renewed.of(3), tokens.of(3));
        assert_eq!((renewed.of(2), renewed.of(4)), (tokens.of(2), tokens.of(4)));
    }

    #[test]
    fn an_old_one_is_for_all_until_a_node_gets_its_own() {
        let old = Tokens::read("abcdef.0123456789abcdef\n").unwrap();
        assert!(old.is_shared());
        assert_eq!(old.of(1), old.of(77));
        let renewed = old.renewed(5, 250).unwrap();
        assert!(!renewed.is_shared());
        assert_ne!(renewed.of(5), old.of(5));
        assert_eq!(renewed.of(4), old.of(4));
        for bad in
            ["", "\n", "abcdef.0123456789abcde\n", "abcdef.0123456789abcdef\nx\n", "ABCDEF.0123456789abcdef"]
        {
            assert_eq!(Tokens::read(bad), None, "{bad:?}");
        }
    }
}
