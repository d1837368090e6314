//! The user's own cloud-init settings, joined with pibake's.
//!
//! Mappings are joined key by key, lists are appended to pibake's, and elsewhere the user's value
//! takes the place of pibake's: but not where that would undo what the cluster stands on, or open
//! a way in. That is refused, with the setting of pibake.toml that is meant for it.

use serde_json::{Map, Value};

use super::yaml;

/// Why the user's cloud-init settings cannot be joined with pibake's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    /// Not YAML, or not cloud-config.
    #[error("{0}; cloud-init's extra settings are a YAML mapping, as in #cloud-config")]
    NotCloudConfig(String),
    /// A key that pibake decides.
    #[error("cloud-init's extra settings may not set `{key}`: {instead}")]
    Decided {
        /// The key.
        key: String,
        /// What to do instead.
        instead: &'static str,
    },
}

/// Keys that pibake decides, and what to do instead of setting them.
const DECIDED: &[(&str, &str)] = &[
    ("hostname", "a node is named in [[node]]"),
    ("fqdn", "a node is named in [[node]], its domain in [cluster]"),
    ("local-hostname", "a node is named in [[node]]"),
    ("preserve_hostname", "the cluster's certificates and addresses hang on the host name"),
    ("prefer_fqdn_over_hostname", "the cluster's certificates and addresses hang on the host name"),
    ("manage_etc_hosts", "the nodes find one another by the /etc/hosts that pibake writes"),
    ("network", "the network is described in [network]"),
    ("ssh_pwauth", "[access] decides who may log in, and how"),
    ("chpasswd", "set a password with [access]: on the boot partition anyone can read it"),
    ("password", "set a password with [access]: on the boot partition anyone can read it"),
    ("passwd", "set a password with [access]: on the boot partition anyone can read it"),
    ("disable_root", "[access] decides who may log in, and how"),
];

/// Keys of an entry of `users` that would put a password on the boot partition, or do without.
const USER_DECIDED: &[&str] = &["passwd", "hashed_passwd", "plain_text_passwd", "lock_passwd", "lock-passwd"];

/// Joins `extra`, the text of the user's settings, to `own`, pibake's user-data.
pub(super) fn merge(own: &str, extra: &str) -> Result<String, ExtraError> {
    let read = |text: &str| -> Result<Map<String, Value>, ExtraError> {
        match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => Err(ExtraError::NotCloudConfig("it holds no mapping".to_owned())),
            Err(e) => Err(ExtraError::NotCloudConfig(e.to_string())),
        }
    };
    let extra = read(extra)?;
    refuse_decided(&extra)?;
    let mut joined = Value::Object(read(own)?);
    join(&mut joined, Value::Object(extra));
    Ok(format!(
        "#cloud-config\n# Written by pibake, with the settings of [cloud-init] extra joined in.\n{}",
        yaml::emit(&joined)
    ))
}

fn refuse_decided(extra: &Map<String, Value>) -> Result<(), ExtraError> {
    if let Some((key, instead)) = DECIDED.iter().find(|(key, _)| extra.contains_key(*key)) {
        return Err(ExtraError::Decided { key: (*key).to_owned(), instead });
    }
    let users = match extra.get("users") {
        None => return Ok(()),
        Some(Value::Array(users)) => users,
        Some(_) => return Err(ExtraError::NotCloudConfig("`users` is no list".to_owned())),
    };
    for user in users {
        // `default` would make the image's own user with the image's own rules.
        if user.as_str().is_some() {
            return Err(ExtraError::Decided {
                key: "users: default".to_owned(),
                instead: "pibake makes the user that [access] names; add others as mappings",
            });
        }
        if let Some(key) = USER_DECIDED.iter().find(|key| user.get(**key).is_some()) {
            return Err(ExtraError::Decided {
                key: format!("users: {key}"),
                instead: "on the boot partition anyone can read it; give the user ssh_authorized_keys",
            });
        }
    }
    Ok(())
}

fn join(own: &mut Value, extra: Value) {
    match (own, extra) {
        (Value::Object(own), Value::Object(extra)) => {
            for (key, value) in extra {
                match own.get_mut(&key) {
                    Some(mine) => join(mine, value),
                    None => _ = own.insert(key, value),
                }
            }
        }
        (Value::Array(own), Value::Array(extra)) => own.extend(extra),
        (own, extra) => *own = extra,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str =
        "#cloud-config\nhostname: \"a\"\nusers:\n  - name: \"ubuntu\"\ngrowpart:\n  mode: auto\n";

    fn merged(extra: &str) -> Result<Value, ExtraError> {
        let text = merge(OWN, extra)?;
        assert!(text.starts_with("#cloud-config\n"));
        Ok(serde_saphyr::from_str(&text).unwrap())
    }

    #[test]
    fn mappings_join_lists_append_and_the_rest_is_replaced() {
        let value = merged(
            "#cloud-config\ngrowpart: {mode: 'off', extra: 1}\nusers: [{name: bob}]\nruncmd: [[ls]]\n",
        )
        .unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "hostname": "a",
                "users": [{"name": "ubuntu"}, {"name": "bob"}],
                "growpart": {"mode": "off", "extra": 1},
                "runcmd": [["ls"]],
            })
        );
        assert!(merged("").is_ok() && merged("#cloud-config\n").is_ok());
    }

    #[test]
    fn what_pibake_decides_is_refused_by_name() {
        for extra in [
            "hostname: x",
            "ssh_pwauth: true",
            "chpasswd: {list: [a]}",
            "password: x",
            "users: [default]",
            "users: [{name: a, passwd: x}]",
            "users: [{name: a, lock_passwd: false}]",
        ] {
            assert!(matches!(merged(extra), Err(ExtraError::Decided { .. })), "{extra}");
        }
        for extra in ["- a", "text", "a: [", "users: bob"] {
            assert!(matches!(merged(extra), Err(ExtraError::NotCloudConfig(_))), "{extra}");
        }
    }
}
