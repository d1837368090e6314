//! `identity.toml`: what an identity is of.

use super::Made;

/// The form that is written. 1 had one token for all nodes and said neither which description it was
/// of nor what the cluster was made with.
const FORMAT: u32 = 2;
/// The oldest form that is read.
const OLDEST: u32 = 1;

/// What `identity.toml` says.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Label {
    format: u32,
    pub(super) cluster: String,
    /// Name of the description's file.
    pub(super) description: Option<String>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) made: Option<Made>,
}

impl Label {
    pub(super) fn new(cluster: &str, description: Option<String>, valid: (i64, i64)) -> Self {
        let (not_before, not_after) = valid;
        Self { format: FORMAT, cluster: cluster.to_owned(), description, not_before, not_after, made: None }
    }

    /// Reads it; says what is wrong with it otherwise.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        /// Told before the rest, which a later form may have otherwise.
        #[derive(serde::Deserialize)]
        struct Form {
            format: u32,
        }
        let form: Form = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        if !(OLDEST..=FORMAT).contains(&form.format) {
            return Err("it was written by a newer version of pibake".to_owned());
        }
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    /// Its text, in the newest form.
    pub(super) fn text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&Self { format: FORMAT, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_forms_are_read_and_newer_ones_refused() {
        let old = "format = 1\ncluster = \"attic\"\nnot-before = 1\nnot-after = 2\n";
        let label = Label::read(old).unwrap();
        assert_eq!((label.cluster.as_str(), &label.description, &label.made), ("attic", &None, &None));
        assert!(label.text().unwrap().starts_with("format = 2\n"));
        assert!(
            Label::read(&old.replace("= 1\nc", "= 3\nfuture = 1\nc")).unwrap_err().contains("newer version")
        );
        assert!(Label::read(&format!("{old}x = 1\n")).is_err());
        assert!(Label::read("").is_err());
    }
}
