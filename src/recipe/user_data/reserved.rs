//! What the user's cloud-init settings may not say, because pibake decides it, because the cluster
//! would not come up, or because it would stand where anyone who holds the card can read it.

use std::collections::BTreeSet;

use super::super::yaml::{Fault, Kind, Node, has_jinja, is_false, is_true};

/// What is wrong with a value, if anything.
type Test = fn(&Node) -> bool;

const ALWAYS: Test = |_| true;
/// cloud-init's and YAML's words for no, quoted or not.
const OFF: Test = |node| node.text().is_some_and(|text| is_false(text) || text.eq_ignore_ascii_case("off"));

const NAMED: &str = "a node is named in [[node]], its domain in [cluster]";
const NAME_IS_FIXED: &str = "the cluster's certificates and addresses hang on the host name";
const ACCESS: &str = "[access] decides who may log in, and how";
const PASSWORD: &str = "set a password with [access] password: on the boot partition anyone can read it";
const NETWORK: &str = "the network is described in [network]";
const MODULES: &str =
    "pibake needs the modules that the image runs; use runcmd or bootcmd for steps of your own";
const SOURCE: &str = "the card itself is where a node's settings come from";
const HOST_KEYS: &str = "a node has the one host key that pibake knows, so that the first login asks nothing";
const READABLE: &str = "on the boot partition anyone can read it; a file of your own in the overlays is readable by root alone where its mode says so";
const NO_SWAP: &str = "kubelet does not start where swap is in use";
const DEFAULT_USER: &str =
    "it is for the image's own user, which pibake does not make: use [access], or an entry of `users`";

/// Keys at the top, `_` and `-` taken for one, when they are refused, and what to do instead.
const KEYS: &[(&str, Test, &str)] = &[
    ("hostname", ALWAYS, NAMED),
    ("fqdn", ALWAYS, NAMED),
    ("local_hostname", ALWAYS, NAMED),
    ("preserve_hostname", ALWAYS, NAME_IS_FIXED),
    ("prefer_fqdn_over_hostname", ALWAYS, NAME_IS_FIXED),
    ("create_hostname_file", ALWAYS, NAME_IS_FIXED),
    ("manage_etc_hosts", ALWAYS, "the nodes find one another by the /etc/hosts that pibake writes"),
    ("network", ALWAYS, NETWORK),
    ("manage_resolv_conf", ALWAYS, NETWORK),
    ("resolv_conf", ALWAYS, NETWORK),
    ("ssh_pwauth", ALWAYS, ACCESS),
    ("disable_root", ALWAYS, ACCESS),
    ("disable_root_opts", ALWAYS, ACCESS),
    ("chpasswd", ALWAYS, PASSWORD),
    ("password", ALWAYS, PASSWORD),
    ("passwd", ALWAYS, PASSWORD),
    ("hashed_passwd", ALWAYS, PASSWORD),
    ("plain_text_passwd", ALWAYS, PASSWORD),
    ("lock_passwd", ALWAYS, ACCESS),
    ("user", ALWAYS, "pibake makes the user that [access] names; add others to `users`"),
    ("ssh_authorized_keys", ALWAYS, DEFAULT_USER),
    ("ssh_import_id", ALWAYS, DEFAULT_USER),
    ("system_info", ALWAYS, "it describes the image; [access] names the login user"),
    (
        "ssh_keys",
        ALWAYS,
        "host keys on the boot partition could be read by anyone; a node has the one that pibake knows",
    ),
    ("ssh_deletekeys", ALWAYS, HOST_KEYS),
    ("ssh_genkeytypes", ALWAYS, HOST_KEYS),
    ("cloud_init_modules", ALWAYS, MODULES),
    ("cloud_config_modules", ALWAYS, MODULES),
    ("cloud_final_modules", ALWAYS, MODULES),
    ("datasource", ALWAYS, SOURCE),
    ("datasource_list", ALWAYS, SOURCE),
    ("vendor_data", ALWAYS, SOURCE),
    ("vendor_data2", ALWAYS, SOURCE),
    ("merge_how", ALWAYS, "pibake joins mappings, appends lists and replaces the rest"),
    ("merge_type", ALWAYS, "pibake joins mappings, appends lists and replaces the rest"),
    ("growpart", is_no_growth, "the root file system must grow to the card, or the packages do not fit"),
    ("resize_rootfs", OFF, "the root file system must grow to the card, or the packages do not fit"),
    ("power_state", is_power_off, "the first boot goes on after cloud-init; `mode: reboot` is possible"),
    ("swap", ALWAYS, NO_SWAP),
    ("mounts", is_swap, NO_SWAP),
    ("mount_default_fields", |fields| field(fields, FS_TYPE) == Some(SWAP), NO_SWAP),
    // keys and tokens of other modules, as cloud-init's schema has them
    ("wireguard", |node| has_at(node, &["interfaces", "config"]), READABLE),
    ("ubuntu_pro", |node| has_at(node, &["token"]), READABLE),
    ("ubuntu_advantage", |node| has_at(node, &["token"]), READABLE),
    ("salt_minion", |node| has_at(node, &["private_key"]), READABLE),
    ("chef", |node| has_at(node, &["validation_cert"]), READABLE),
    ("landscape", |node| has_at(node, &["client", "registration_key"]), READABLE),
    ("rh_subscription", |node| has_at(node, &["password"]) || has_at(node, &["activation_key"]), READABLE),
    ("mcollective", |node| has_at(node, &["conf", "private_cert"]), READABLE),
    ("ntp", ALWAYS, "time servers are set with [sources] ntp"),
];

/// Keys of an entry of `users`.
const USER_KEYS: &[(&str, Test)] = &[
    ("passwd", ALWAYS),
    ("hashed_passwd", ALWAYS),
    ("plain_text_passwd", ALWAYS),
    ("lock_passwd", |node| !node.text().is_some_and(is_true)),
];

fn is_no_growth(node: &Node) -> bool {
    OFF(node) || node.get("mode").is_some_and(OFF) || (node.text().is_some() && !node.is_null())
}

fn is_power_off(node: &Node) -> bool {
    !node.is_null() && node.get("mode").is_none_or(|mode| mode.text() != Some("reboot"))
}

/// Whether a value is given at these keys, one within the other, in any of the entries where one of them holds a list.
fn has_at(node: &Node, keys: &[&str]) -> bool {
    if let Kind::List(items) = &node.kind {
        return items.iter().any(|item| has_at(item, keys));
    }
    match keys.split_first() {
        None => !node.is_null(),
        Some((first, rest)) => {
            let mut entries = node.entries().iter().filter(|(key, _)| name(key) == *first);
            entries.any(|(_, value)| has_at(value, rest))
        }
    }
}

/// The type among the fields of fstab(5), and that of swap.
const FS_TYPE: usize = 2;
const SWAP: &str = "swap";

/// One of the fields of fstab(5).
fn field(fields: &Node, index: usize) -> Option<&str> {
    let Kind::List(fields) = &fields.kind else { return None };
    fields.get(index).and_then(Node::text)
}

/// Whether one of the entries is swap. One whose place is null takes a device's entry away.
fn is_swap(mounts: &Node) -> bool {
    let Kind::List(mounts) = &mounts.kind else { return false };
    mounts.iter().any(|entry| {
        let Kind::List(fields) = &entry.kind else { return false };
        let removed = fields.get(1).is_some_and(Node::is_null);
        !removed && [0, FS_TYPE].iter().any(|index| field(entry, *index) == Some(SWAP))
    })
}

fn refused(key: &Node, name: &str, instead: &str) -> Fault {
    Fault::new(key.line, format!("`{name}` may not be set here: {instead}"))
}

/// As cloud-init's `ug_util` takes the keys of users; elsewhere nobody means another key by it.
fn name(key: &Node) -> String {
    key.text().unwrap_or_default().trim().replace('-', "_")
}

/// Refuses what pibake decides; `login` is the user that it makes.
pub(super) fn check(settings: &Node, login: &str) -> Result<(), Fault> {
    for (key, value) in settings.entries() {
        let name = name(key);
        if let Some((_, _, instead)) = KEYS.iter().find(|(known, test, _)| *known == name && test(value)) {
            return Err(refused(key, &name, instead));
        }
        if name == "users" {
            check_users(value, login)?;
        }
    }
    Ok(())
}

fn check_users(users: &Node, login: &str) -> Result<(), Fault> {
    let Kind::List(users) = &users.kind else {
        return Err(Fault::new(users.line, "`users` must be a list of mappings, as in `- name: me`"));
    };
    for user in users {
        if !matches!(user.kind, Kind::Map(_)) {
            let why = "`users` holds mappings, as in `- name: me`: pibake makes the user that [access] names, not the image's own";
            return Err(Fault::new(user.line, why));
        }
        let named =
            user.entries().iter().find(|(key, _)| name(key) == "name").and_then(|(_, name)| name.text());
        let Some(named) = named else {
            return Err(Fault::new(
                user.line,
                "an entry of `users` without a `name` is the image's own user, which pibake does not make",
            ));
        };
        if named.trim() == login || named.trim() == "default" || has_jinja(named) {
            let why = format!(
                "`users` may add others, and not say more of `{login}` or `default`: [access] describes the login user"
            );
            return Err(Fault::new(user.line, why));
        }
        for (key, value) in user.entries() {
            let name = name(key);
            if USER_KEYS.iter().any(|(known, test)| *known == name && test(value)) {
                let instead =
                    "on the boot partition anyone can read a password; give the user ssh_authorized_keys";
                return Err(refused(key, &format!("users: {name}"), instead));
            }
        }
    }
    Ok(())
}

/// Refuses files that would overwrite one of `baked`. What is appended to one is the user's affair.
pub(super) fn check_files(settings: &Node, baked: &BTreeSet<String>) -> Result<(), Fault> {
    let files = settings.entries().iter().filter(|(key, _)| name(key) == "write_files");
    for file in files.flat_map(|(_, files)| files.items()) {
        let Some(path) = file.get("path") else { continue };
        let appended = file.get("append").and_then(Node::text).is_some_and(is_true);
        let place = normalised(path.text().unwrap_or_default());
        if baked.contains(&place) && !appended {
            let why = format!(
                "write_files would overwrite {place}, which pibake writes: put a file of your own into the overlays instead"
            );
            return Err(Fault::new(path.line, why));
        }
    }
    Ok(())
}

/// A path as the kernel takes it, following those links alone that all supported systems have: `/usr` is merged, and
/// `/var/run` and `/var/lock` are in `/run`.
fn normalised(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    let (moved, rest) = match parts.as_slice() {
        [top @ ("bin" | "sbin" | "lib"), rest @ ..] => (vec!["usr", *top], rest),
        ["var", "run", rest @ ..] => (vec!["run"], rest),
        ["var", "lock", rest @ ..] => (vec!["run", "lock"], rest),
        rest => (vec![], rest),
    };
    format!("/{}", [moved.as_slice(), rest].concat().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_as_the_kernel_takes_them() {
        assert_eq!(normalised("//etc/./x/../hosts/"), "/etc/hosts");
        assert_eq!(normalised("/../../etc"), "/etc");
        assert_eq!(normalised("/lib/pibake/x"), "/usr/lib/pibake/x");
        assert_eq!(normalised("/var/run/pibake"), "/run/pibake");
        assert_eq!(normalised("/library"), "/library");
    }
}
