//! Changing one value of a description, with all else as it stands there: comments, order, blanks.

use toml_edit::{DocumentMut, Item, Table, TomlError, Value, value};

use crate::error::{Classified, ErrorClass};

/// Why a value cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("it is not TOML: {}", .0.message())]
    Syntax(#[from] Box<TomlError>),
    /// The value would have to stand in something that holds none.
    #[error("{0} in it is not a table")]
    NoTable(String),
}

impl Classified for EditError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Configuration
    }
}

/// The description `text` with `key` of its table `table` set to the string `to`.
///
/// # Errors
/// [`EditError`]
pub fn with_value(text: &str, table: &str, key: &str, to: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(Box::new)?;
    let around = document.entry(table).or_insert_with(|| Item::Table(Table::new()));
    let around = around.as_table_like_mut().ok_or_else(|| EditError::NoTable(table.to_owned()))?;
    match around.get_mut(key) {
        Some(Item::Value(old)) => {
            // What stands around it: blanks, and the comment behind.
            let decor = old.decor().clone();
            *old = Value::from(to);
            *old.decor_mut() = decor;
        }
        Some(Item::None) | None => {
            around.insert(key, value(to));
        }
        Some(_) => return Err(EditError::NoTable(format!("{table}.{key}"))),
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_changes_and_nothing_else() {
        for (before, after) in [
            (
                "# mine\nnodes = 4\n\n[kubernetes]   # all of it\n  version = \"1.34\"   # not newer\ncgroup='v2'\n",
                "# mine\nnodes = 4\n\n[kubernetes]   # all of it\n  version = \"1.35\"   # not newer\ncgroup='v2'\n",
            ),
            ("kubernetes.version = '1.34'\nnodes = 2\n", "kubernetes.version = \"1.35\"\nnodes = 2\n"),
            (
                "kubernetes = { version = \"1.34\", cgroup = \"v2\" } # so\n",
                "kubernetes = { version = \"1.35\", cgroup = \"v2\" } # so\n",
            ),
            (
                "nodes = 2\r\n[kubernetes]\r\nversion = \"1.34\"\r\n",
                "nodes = 2\n[kubernetes]\nversion = \"1.35\"\n",
            ),
            // Where it was not there.
            (
                "[kubernetes]\n# version = \"1.34\"\n",
                "[kubernetes]\nversion = \"1.35\"\n# version = \"1.34\"\n",
            ),
            ("nodes = 2\n", "nodes = 2\n\n[kubernetes]\nversion = \"1.35\"\n"),
            ("", "[kubernetes]\nversion = \"1.35\"\n"),
            (
                "[kubernetes.network]\nplugin = \"none\"\n",
                "[kubernetes]\nversion = \"1.35\"\n[kubernetes.network]\nplugin = \"none\"\n",
            ),
        ] {
            let now = with_value(before, "kubernetes", "version", "1.35").unwrap();
            let read = |text: &str| text.parse::<toml::Table>().unwrap();
            assert_eq!(read(&now), read(after), "{now}");
            assert_eq!(now.replace('\r', ""), after, "{before}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        for (text, why) in [
            ("kubernetes = 3\n", "kubernetes in it is not a table"),
            ("[kubernetes.version]\nx = 1\n", "kubernetes.version in it is not a table"),
            ("nodes = \n", "it is not TOML: "),
        ] {
            let said = with_value(text, "kubernetes", "version", "1.35").unwrap_err().to_string();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
