//! docs/json.md against the types: each field of each document has its line there, and each line its field.

use std::collections::BTreeMap;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::*;

/// The fields that have none below them, `nodes[].role`, and the words that each may be where these are fixed.
type Fields = BTreeMap<String, &'static [&'static str]>;
type Fault = serde::de::value::Error;

/// A list is asked for one item.
static ITEM: [&str; 1] = [""];

/// Reads a type from nothing, and notes what it asks for.
struct Asked<'a> {
    path: String,
    found: &'a mut Fields,
}

/// The fields of a struct that are still to be asked for; or the items of a list, one without a name.
struct Within<'a> {
    above: String,
    left: std::slice::Iter<'static, &'static str>,
    found: &'a mut Fields,
}

impl Within<'_> {
    fn asked(&mut self, path: String) -> Asked<'_> {
        Asked { path, found: self.found }
    }
}

impl<'de> MapAccess<'de> for Within<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let key: Option<StrDeserializer<'_, Fault>> =
            self.left.as_slice().first().map(|field| (*field).into_deserializer());
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let field = self.left.next().unwrap();
        let path =
            if self.above.is_empty() { (*field).to_owned() } else { format!("{}.{field}", self.above) };
        seed.deserialize(self.asked(path))
    }
}

impl<'de> SeqAccess<'de> for Within<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.left
            .next()
            .map(|_| seed.deserialize(Asked { path: self.above.clone(), found: self.found }))
            .transpose()
    }
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Fault;

    /// What has nothing below it. A map is no struct, and nobody knows its fields.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        panic!("{}: of which type is it?", self.path)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(Within { above: self.path, left: fields.iter(), found: self.found })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Within { above: self.path + "[]", left: ITEM.iter(), found: self.found })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.found.insert(self.path, words);
        visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(words[0]))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.found.insert(self.path, &[]);
        visitor.visit_str("")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.found.insert(self.path, &[]);
        visitor.visit_bool(true)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.found.insert(self.path, &[]);
        visitor.visit_u64(0)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u16 u128 f32 char str bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct map identifier ignored_any
    }
}

fn fields_of<T: DeserializeOwned>() -> Fields {
    let mut found = Fields::new();
    T::deserialize(Asked { path: String::new(), found: &mut found }).map(drop).unwrap();
    found
}

const PAGE: &str = include_str!("../../../docs/json.md");

/// The lines of a table: each field, and what is said of it.
fn described(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let lines: Vec<_> = lines.collect();
    let fields: BTreeMap<_, _> = lines.iter().copied().collect();
    assert_eq!(fields.len(), lines.len(), "a field is described twice: {lines:?}");
    fields
}

/// What is described but is no field, what is a field but not described, and words that are not named.
fn differences(fields: &Fields, described: &BTreeMap<&str, &str>) -> Vec<String> {
    let mut faults = Vec::new();
    // an object or a list may be described as a whole, too
    let is_above = |line: &str| {
        fields.keys().any(|field| field.strip_prefix(line).is_some_and(|rest| rest.starts_with(['.', '['])))
    };
    for line in described.keys().filter(|line| !fields.contains_key(**line) && !is_above(line)) {
        faults.push(format!("{line} is described and is no field"));
    }
    for (field, words) in fields {
        match described.get(field.trim_end_matches("[]")) {
            None => faults.push(format!("{field} is not described")),
            Some(text) => faults.extend(
                words
                    .iter()
                    .filter(|word| !text.contains(&format!("`{word}`")))
                    .map(|word| format!("{field} may be {word}, and nobody says so")),
            ),
        }
    }
    faults
}

/// The text under a heading of the page.
fn section(heading: &str) -> &'static str {
    let (_, text) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    text.split("\n## ").next().unwrap()
}

/// Holds the section of a command against its document: the table, and the example.
fn check<T: Serialize + DeserializeOwned>(heading: &str) {
    let text = section(heading);
    assert_eq!(differences(&fields_of::<T>(), &described(text)), [""; 0], "{heading}");
    let (_, example) = text.split_once("```json\n").unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    let common: Common = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(common.version, VERSION, "{heading}");
    let own: T = serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{heading}: {e}"));
    let own = serde_json::to_value(own).unwrap();
    assert_eq!(serde_json::to_value(Document { common, own: &own }).unwrap(), example, "{heading}");
}

/// The same for the lines of `--progress json`.
fn check_progress() {
    use crate::ui::events::Event;

    let text = section("Progress");
    assert_eq!(differences(&fields_of::<Event>(), &described(text)), [""; 0]);
    let (_, example) = text.split_once("```json\n").unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    let event: Event = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(event).unwrap(), example);
}

#[test]
fn every_field_is_described_and_every_description_is_of_a_field() {
    let common = PAGE.split("\n## ").next().unwrap();
    assert_eq!(differences(&fields_of::<Common>(), &described(common)), [""; 0]);
    check::<Initialized>("`init`");
    check::<Plan>("`plan`");
    check::<PlannedChanges>("`plan --node N`");
    check::<PlannedFile>("`plan --node N PATH`");
    check::<PlannedDifference>("`plan --diff IMAGE`");
    check::<Fetched>("`fetch`");
    check::<Built>("`build`");
    check::<Flashed>("`flash`");
    check::<Pushed>("`push`");
    check::<Pulled>("`pull`");
    check::<Stationed>("`station`");
    check::<Key>("`key`");
    check::<Drives>("`drives`");
    check::<InspectedFleet>("`inspect FLEET`");
    check::<Inspected>("`inspect IMAGE`");
    check::<Listing>("`inspect IMAGE DIRECTORY`");
    check::<Printed>("`inspect IMAGE FILE`");
    check::<VerifiedCard>("`verify`");
    check::<Logs>("`logs`");
    check::<Booted>("`boot`");
    check::<CommandLines>("`boot --print`");
    check::<Updated>("`update`");
    check::<Vendored>("`vendor`");
    check::<Tokens>("`token list`");
    check::<TokenChanged>("`token new`, `token revoke`");
    check::<Kubeconfig>("`kubeconfig`");
    check::<Status>("`status`");
    check::<BackedUp>("`backup`");
    check::<Removed>("`remove`");
    check::<Upgraded>("`upgrade`");
    check::<Completions>("`completions`");
    check_progress();
    // no section is left over
    assert_eq!(PAGE.matches("\n## `").count(), 31);
}

#[test]
fn a_difference_is_found() {
    let described =
        described("| `version` | one |\n| `warnings` | all |\n| `error.class` | `usage` |\n| `odd` | x |\n");
    let found = differences(&fields_of::<Common>(), &described);
    let said = |text: &str| found.iter().any(|fault| fault == text);
    assert!(
        said("odd is described and is no field") && said("warnings[].kind is not described"),
        "{found:?}"
    );
    assert!(said("error.class may be network, and nobody says so"), "{found:?}");
    assert!(said("error.causes[] is not described"), "{found:?}");
    assert!(!found.iter().any(|fault| fault.starts_with("warnings is") || fault.starts_with("version")));
}

#[test]
fn what_is_not_utf_8_is_there_in_full() {
    assert_eq!(text("images/nü.img"), ("images/nü.img".to_owned(), None));
    let odd = OsStr::from_bytes(b"a\xff/b");
    assert_eq!(text(odd), ("a\u{fffd}/b".to_owned(), Some("Yf8vYg==".to_owned())));
}

#[test]
fn an_error_has_its_class_and_its_causes() {
    let failure = Failure::refused("it is in use").while_doing("opening /dev/x");
    let text = document(&Value::Null, &[], Some(&failure)).unwrap();
    let error = serde_json::json!({ "class": "refused", "exit_code": 4, "message": "opening /dev/x",
        "causes": ["it is in use"] });
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value, serde_json::json!({ "version": 1, "warnings": [], "error": error }));
}
