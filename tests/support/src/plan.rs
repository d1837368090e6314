//! What `pibake plan` shows, compared with what is baked.

/// What stands in a plan where a secret stands on the card.
const MASK: &str = "********";

/// Whether `baked` is what the plan shows as `shown`: the same text, with something other than a
/// mask, on one line or several, wherever the plan has a mask.
pub fn shows(shown: &str, baked: &str) -> bool {
    let mut pieces = shown.split(MASK);
    let Some(mut rest) = pieces.next().and_then(|first| baked.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        let found = if pieces.peek().is_some() { rest.find(piece) } else { rest.rfind(piece) };
        let Some(at) = found.filter(|at| *at > 0) else { return false };
        if rest.starts_with(MASK) {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}
