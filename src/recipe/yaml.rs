//! A value as YAML that every reader takes alike: all text is quoted, so that no parser's idea of
//! what `no`, `1e3` or `12:30` means comes into it.

use serde_json::Value;

use super::quote;

/// Block style, two blanks a level, ending with a newline.
pub(super) fn emit(value: &Value) -> String {
    let mut out = String::new();
    match scalar(value) {
        Some(text) => out.push_str(&text),
        None => block(&mut out, value, 0),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(text) => Some(quote::yaml(text)),
        Value::Array(items) => items.is_empty().then(|| "[]".to_owned()),
        Value::Object(map) => map.is_empty().then(|| "{}".to_owned()),
    }
}

fn block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Array(items) => {
            for item in items {
                entry(out, &format!("{indent}-"), item, depth);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let plain = key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-')
                    && key.starts_with(|c: char| c.is_ascii_lowercase())
                    && !matches!(
                        key.as_str(),
                        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
                    );
                let key = if plain { key.clone() } else { quote::yaml(key) };
                entry(out, &format!("{indent}{key}:"), item, depth);
            }
        }
        other => out.extend(scalar(other)),
    }
}

fn entry(out: &mut String, head: &str, item: &Value, depth: usize) {
    out.push_str(head);
    match scalar(item) {
        Some(text) => {
            out.push(' ');
            out.push_str(&text);
            out.push('\n');
        }
        None => {
            out.push('\n');
            block(out, item, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn blocks_are_easy_to_read() {
        let value = json!({"users": [{"name": "a", "on": ["x", []]}], "n": 3, "e": {}});
        let expected = r#"e: {}
"n": 3
users:
  -
    name: "a"
    "on":
      - "x"
      - []
"#;
        assert_eq!(emit(&value), expected);
        assert_eq!(emit(&json!("x")), "\"x\"\n");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            let read: Value = serde_saphyr::from_str(&emit(&value)).unwrap();
            prop_assert_eq!(read, value);
        }
    }
}
