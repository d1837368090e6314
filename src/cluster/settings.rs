//! docs/settings.md, the reference page of pibake.toml: made from its schema and from the values that
//! `pibake init` writes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::INIT;

const SCHEMA: &str = include_str!("../../docs/pibake.schema.json");

const HEAD: &str = "# Settings

What pibake.toml may say. Every key has a default, and an empty file is a cluster of four nodes; `pibake init` writes
all keys, commented. Unknown keys are errors. For completion in an editor the first line of the file names the
[JSON schema](pibake.schema.json), from which this page is made:

    #:schema https://raw.githubusercontent.com/pibake/pibake/main/docs/pibake.schema.json

Paths are relative to the folder of pibake.toml, and `~/` is your home. Passwords may stay out of the file:
[SECURITY.md](../SECURITY.md) says how.
";

/// What `pibake init` writes for a key: the default, or only an example of it.
struct Written {
    value: String,
    is_default: bool,
}

/// The values of `pibake init`, by table and key. `#key` is a default there, `# key` an example.
fn written() -> BTreeMap<(String, String), Written> {
    let mut found = BTreeMap::new();
    let mut table = String::new();
    for line in INIT.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') && bare.ends_with(']') {
            bare.trim_matches(['[', ']']).clone_into(&mut table);
            continue;
        }
        let Some(rest) = line.strip_prefix('#') else { continue };
        let is_default = !rest.starts_with(' ');
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if rest.starts_with(' ') {
            continue;
        }
        // what is no setting is a sentence
        let Ok(parsed) = rest.parse::<toml::Table>() else { continue };
        for (key, value) in parsed {
            found.insert((table.clone(), key), Written { value: value.to_string(), is_default });
        }
    }
    found
}

/// What a value may be.
fn form(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if schema["anyOf"].is_array() {
        return "number, or a list of tables".to_owned();
    }
    match schema["type"].as_str().unwrap() {
        "string" => "text".to_owned(),
        "integer" => "number".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "array" => "list of texts".to_owned(),
        "object" if schema["additionalProperties"]["type"] == "array" => "table of lists of texts".to_owned(),
        "object" => "table of texts".to_owned(),
        other => panic!("{other}"),
    }
}

/// The table that a value is, or that each of a list is.
fn inside(value: &Value) -> &Value {
    if value["items"]["type"] == "object" { &value["items"] } else { value }
}

/// One table, then those below it.
fn section(
    page: &mut String,
    name: &str,
    heading: &str,
    schema: &Value,
    written: &BTreeMap<(String, String), Written>,
) {
    let properties = schema["properties"].as_object().unwrap();
    let (tables, keys): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(_, value)| inside(value)["properties"].is_object());
    let _ = write!(page, "\n## {heading}\n\n{}\n", schema["description"].as_str().unwrap());
    if !keys.is_empty() {
        page.push_str("\n| key | value | default | what it is |\n| --- | --- | --- | --- |\n");
    }
    for (key, value) in keys {
        let says = match written.get(&(name.to_owned(), key.clone())) {
            Some(Written { value, is_default: true }) => (format!("`{value}`"), String::new()),
            Some(Written { value, is_default: false }) => (String::new(), format!(" Such as `{value}`.")),
            None => Default::default(),
        };
        let (default, example) = if value["enum"].is_array() { (says.0, String::new()) } else { says };
        let about = value["description"].as_str().unwrap();
        let _ = writeln!(page, "| `{key}` | {} | {default} | {about}{example} |", form(value));
    }
    if name.is_empty() {
        section(page, "nodes[]", "A machine in `nodes`", &properties["nodes"]["anyOf"][1]["items"], written);
    }
    for (key, value) in tables {
        let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let heading =
            if value["type"] == "array" { format!("`[[{below}]]`") } else { format!("`[{below}]`") };
        section(page, &below, &heading, inside(value), written);
    }
}

/// `UPDATE_SETTINGS=1 cargo test --lib settings_page` writes it.
#[test]
fn the_settings_page_is_what_the_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut page = String::from(HEAD);
    section(&mut page, "", "Top level", &schema, &written());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_SETTINGS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/settings.md is out of date: UPDATE_SETTINGS=1 cargo test --lib settings_page"
    );
}

#[test]
fn defaults_and_examples_of_the_template_are_told_apart() {
    let written = written();
    let of = |table: &str, key: &str| &written[&(table.to_owned(), key.to_owned())];
    for (table, key, value, is_default) in [
        ("", "name", "\"kubernetes\"", true),
        ("", "nodes", "4", true),
        ("network", "subnet", "\"10.0.0.0/24\"", true),
        ("network.wifi", "ssid", "\"my network\"", false),
        ("network.uplink", "allow", "[]", true),
        ("kubernetes", "version", "\"1.34\"", false),
        ("sources.proxy", "bypass", "[\"example.com\"]", false),
    ] {
        assert_eq!((of(table, key).value.as_str(), of(table, key).is_default), (value, is_default), "{key}");
    }
}

/// Each default of the template is one in the schema's words, and each key that `init` names is there.
#[test]
fn the_template_has_no_key_that_the_schema_lacks() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (table, key) in written().into_keys() {
        let at = table.split('.').filter(|part| !part.is_empty());
        let schema = at.fold(&schema, |schema, part| inside(&schema["properties"][part]));
        let open = schema["additionalProperties"].is_object();
        assert!(open || schema["properties"][&key].is_object(), "[{table}] {key}");
    }
}
