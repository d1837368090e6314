//! docs/pibake.schema.json, which editors complete and check descriptions by, against what reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Cluster, INIT, Overrides, read};

const SCHEMA: &str = include_str!("../../docs/pibake.schema.json");

/// Where a table of entries of `nodes` stands among the others.
const ENTRY: &str = "nodes[1]";

/// Where a table of another radio network stands.
const OTHERS: &str = "network.wifi.also[1]";

/// What the schema has: the keys of each table, and what each value must be.
#[derive(Default)]
struct Described {
    keys: BTreeMap<String, BTreeSet<String>>,
    values: Vec<(String, String, Value)>,
}

fn walk(table: &str, schema: &Value, found: &mut Described) {
    let Some(properties) = schema["properties"].as_object() else {
        assert!(schema["additionalProperties"].is_object(), "{table} has neither keys nor any");
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{table} allows keys that the reader refuses");
    found.keys.insert(table.to_owned(), properties.keys().cloned().collect());
    for (key, value) in properties {
        assert!(value["description"].as_str().is_some_and(|text| text.ends_with('.')), "{table}.{key}");
        let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
        if key == "nodes" {
            let any: Vec<&str> =
                value["anyOf"].as_array().unwrap().iter().filter_map(|one| one["type"].as_str()).collect();
            assert_eq!(any, ["integer", "array"]);
            walk(ENTRY, &value["anyOf"][1]["items"], found);
        } else if value["type"] == "object" {
            walk(&path, value, found);
        } else if value["items"]["type"] == "object" {
            walk(&format!("{path}[1]"), &value["items"], found);
        } else {
            found.values.push((table.to_owned(), key.clone(), value.clone()));
        }
    }
}

fn described() -> Described {
    let mut found = Described::default();
    walk("", &serde_json::from_str(SCHEMA).unwrap(), &mut found);
    found
}

/// What is said of a description that has this value and nothing else.
fn said(table: &str, key: &str, value: &str) -> String {
    let text = match table {
        ENTRY => format!("nodes = [{{ {key} = {value} }}]\n"),
        "" => format!("{key} = {value}\n"),
        table if table.contains(OTHERS) => {
            let (list, table) = table.split_once("[1]").unwrap();
            format!(
                "[[{list}]]\n{}{key} = {value}\n",
                table.strip_prefix('.').map_or(String::new(), |t| format!("{t}."))
            )
        }
        table => format!("{table}.{key} = {value}\n"),
    };
    let parsed = Cluster::parse("pibake.toml", &text, Path::new("/nowhere"), &Overrides::default());
    parsed.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn the_schema_has_the_keys_that_are_read_and_no_others() {
    assert_eq!(described().keys, read::known_keys("nodes = [{}]\n[[network.wifi.also]]\n"));
    assert!(INIT.starts_with("#:schema https://"), "editors find the schema by the first line");
    let id = serde_json::from_str::<Value>(SCHEMA).unwrap()["$id"].as_str().unwrap().to_owned();
    assert!(INIT.lines().next().unwrap().ends_with(&id));
}

#[test]
fn values_of_the_schemas_types_are_read_and_others_are_not() {
    for (table, key, schema) in described().values {
        let fitting = match schema["type"].as_str().unwrap() {
            "string" => "\"x\"",
            "boolean" => "true",
            "integer" => "60",
            "array" => "[\"x\"]",
            other => panic!("{table}.{key}: {other}"),
        };
        let (fits, other) = (said(&table, &key, fitting), said(&table, &key, "1.5"));
        assert!(!fits.contains(", but is "), "{table}.{key}: {fits}");
        assert!(other.contains(", but is a number"), "{table}.{key}: {other}");
    }
}

#[test]
fn words_of_the_schema_are_read_and_others_are_not() {
    let refuses = |table: &str, key: &str, word: &str| {
        let path = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        said(table, key, &format!("{word:?}")).contains(&format!("{path}: must be \""))
    };
    let mut seen = 0;
    for (table, key, schema) in described().values {
        let words = schema["enum"].as_array();
        assert_eq!(
            words.is_some(),
            refuses(&table, &key, "zzz"),
            "{table}.{key} is one of some words, or not"
        );
        for word in words.into_iter().flatten() {
            assert!(!refuses(&table, &key, word.as_str().unwrap()), "{table}.{key} = {word}");
            seen += 1;
        }
    }
    assert!(seen >= 14, "{seen}");
}
