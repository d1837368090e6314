//! What somebody meant who made a slip in a name.

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion is more puzzling than none.
const ALIKE: f64 = 0.8;

/// The name among `names` that `given` is probably a slip of. Numbers are given on purpose: `node-9` is never a
/// slip of `node-1`, and `20.04` is none of `22.04`.
pub(crate) fn nearest<'n>(given: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (lower, number) = (given.to_lowercase().replace('_', "-"), digits(given));
    names
        .into_iter()
        .filter(|name| digits(name) == number)
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names_and_other_numbers() {
        let names = ["node-1", "node-2", "node-12", "control-plane", "worker"];
        for (given, meant) in [
            ("nod-2", Some("node-2")),
            ("Node_1", Some("node-1")),
            ("node12", Some("node-12")),
            ("node-3", None),
            ("node-21", None),
            ("worke", Some("worker")),
            ("controlplane", Some("control-plane")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names), meant, "{given}");
        }
    }
}
