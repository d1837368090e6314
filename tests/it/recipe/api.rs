//! Types of Kubernetes' configuration files, written down from its source (api/*.txt), and the check of
//! a document against them: every name known, in its place, of its type. kubeadm itself only warns of
//! a field that it does not know, and goes on without it.
//!
//! Each version of an API is as the first program has it that reads it. Later ones only add to it, so
//! that what is good here is good in all of them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The types of one version: name of the type to its fields, each with its own type.
pub struct Api(BTreeMap<String, BTreeMap<String, String>>);

impl Api {
    /// The types that `apiVersion` stands for.
    pub fn named(version: &str) -> Option<Self> {
        Some(Self::parse(match version {
            "kubeadm.k8s.io/v1beta2" => include_str!("api/kubeadm-v1beta2.txt"),
            "kubeadm.k8s.io/v1beta3" => include_str!("api/kubeadm-v1beta3.txt"),
            "kubeadm.k8s.io/v1beta4" => include_str!("api/kubeadm-v1beta4.txt"),
            "kubelet.config.k8s.io/v1beta1" => include_str!("api/kubelet.txt"),
            _ => return None,
        }))
    }

    fn parse(text: &str) -> Self {
        let mut types: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("  ").and_then(|field| field.split_once(' ')) {
                Some((field, of)) => {
                    let twice = types.get_mut(&current).unwrap().insert(field.to_owned(), of.to_owned());
                    assert_eq!(twice, None, "{current}.{field}");
                }
                None => {
                    current = line.to_owned();
                    assert_eq!(types.insert(current.clone(), BTreeMap::new()), None, "{current}");
                }
            }
        }
        Self(types)
    }

    /// All that is wrong with `document`, each with its place.
    pub fn faults(&self, document: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        match document["kind"].as_str() {
            Some(kind) if self.0.contains_key(kind) => self.look(kind, document, kind, &mut faults),
            _ => faults.push(format!("no such kind: {}", document["kind"])),
        }
        faults
    }

    fn look(&self, of: &str, value: &Value, place: &str, faults: &mut Vec<String>) {
        let good = match of {
            "string" => value.is_string(),
            "bool" => value.is_boolean(),
            "int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "duration" => value.as_str().is_some_and(is_duration),
            "token" => value.as_str().is_some_and(is_token),
            _ => match (of.strip_prefix("[]"), of.strip_prefix("map[string]")) {
                (Some(item), _) => return self.look_at_list(item, value, place, faults),
                (_, Some(item)) => return self.look_at_map(|_| Some(item), value, place, faults),
                _ => {
                    let fields = self.0.get(of).unwrap_or_else(|| panic!("{place}: no type {of}"));
                    return self.look_at_map(|n| fields.get(n).map(String::as_str), value, place, faults);
                }
            },
        };
        if !good {
            faults.push(format!("{place} is no {of}: {value}"));
        }
    }

    fn look_at_list(&self, item: &str, value: &Value, place: &str, faults: &mut Vec<String>) {
        match value.as_array() {
            None => faults.push(format!("{place} is no list: {value}")),
            Some(items) => {
                for (n, value) in items.iter().enumerate() {
                    self.look(item, value, &format!("{place}[{n}]"), faults);
                }
            }
        }
    }

    fn look_at_map<'t>(
        &self,
        type_of: impl Fn(&str) -> Option<&'t str>,
        value: &Value,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        let Some(map) = value.as_object() else { return faults.push(format!("{place} is no map: {value}")) };
        for (name, value) in map {
            match type_of(name) {
                Some(of) => self.look(of, value, &format!("{place}.{name}"), faults),
                None => faults.push(format!("{place} has no field {name}")),
            }
        }
    }
}

/// Go's `time.ParseDuration`, of what is not negative.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit =
            ["ms", "us", "ns", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit));
        match (digits, unit) {
            (1.., Some(unit)) => rest = &rest[digits + unit.len()..],
            _ => return false,
        }
    }
    !text.is_empty()
}

/// A bootstrap token.
fn is_token(text: &str) -> bool {
    let good = |part: &str, len| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| good(id, 6) && good(secret, 16))
}
