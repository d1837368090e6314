use super::*;

const OWN: &str = "#cloud-config\nhostname: \"a\"\nusers:\n  - name: \"ubuntu\"\ngrowpart:\n  mode: auto\n";

fn config(text: &str) -> CloudConfig {
    CloudConfig { file: PathBuf::from("extra.yaml"), text: text.to_owned() }
}

fn merged(extra: &str) -> Result<String, ExtraError> {
    config(extra).merged_into(OWN, "ubuntu")
}

#[test]
fn mappings_join_lists_append_and_the_rest_is_replaced() {
    let text =
        merged("#cloud-config\ngrowpart: {mode: growpart, extra: 1}\nusers: [{name: bob}]\nruncmd: [[ls]]\n");
    let expected = "#cloud-config\n# Written by pibake, with the settings of [cloud-init] extra joined in.\n\
hostname: \"a\"\nusers:\n  -\n    name: \"ubuntu\"\n  -\n    name: bob\n\
growpart:\n  mode: growpart\n  extra: 1\nruncmd:\n  -\n    - ls\n";
    assert_eq!(text.unwrap(), expected);
    assert!(merged("").is_ok() && merged("#cloud-config\n").is_ok() && merged("---\n").is_ok());
}

#[test]
fn scalars_are_written_as_they_were() {
    let text = merged(
        "a: [0755, y, 'it''s', \"\\x41\", 12:30:00, ~, !!str 1, ! 2]\nb: |\n  x\n   y\nc: >-\n  x\n  y\nd:\n",
    )
    .unwrap();
    for line in [
        "  - 0755\n  - y\n  - 'it''s'\n  - \"\\x41\"\n  - 12:30:00\n  - ~\n  - !!str 1\n  - ! 2\n",
        "b: \"x\\n y\\n\"\n",
        "c: \"x y\"\n",
        "d: ~\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn merge_keys_and_aliases_are_followed() {
    let text = merged("x: &x {a: 1, b: 2}\ny: {<<: [*x, {b: 9, c: 3}], a: 4}\nz: *x\n").unwrap();
    assert!(
        text.contains("y:\n  b: 2\n  c: 3\n  a: 4\n") || text.contains("y:\n  b: 2\n  c: 3\n  a: 4"),
        "{text}"
    );
    assert!(text.contains("z:\n  a: 1\n  b: 2\n"), "{text}");
}

#[test]
fn what_pibake_decides_is_refused_in_every_spelling_and_named() {
    for (extra, line, words) in [
        ("hostname: x", 1, "[[node]]"),
        ("\"host\\x6eame\": x", 1, "`hostname`"),
        ("a: 1\nssh_pwauth: true", 2, "[access]"),
        ("ssh-pwauth: true", 1, "[access]"),
        ("chpasswd: {list: [a]}", 1, "[access] password"),
        ("password: x", 1, "[access] password"),
        ("user: bob", 1, "[access]"),
        ("user: {name: bob, plain_text_passwd: x}", 1, "[access]"),
        ("users: [default]", 1, "[access]"),
        ("users: bob,default", 1, "a list"),
        ("users: {bob: {passwd: x}}", 1, "a list"),
        ("users: [[bob, default]]", 1, "mappings"),
        ("users: [{plain_text_passwd: x}]", 1, "without a `name`"),
        ("users: [{name: ubuntu, sudo: x}]", 1, "[access]"),
        ("users:\n- name: a\n  passwd: x", 3, "users: passwd"),
        ("users: [{name: a, plain-text-passwd: x}]", 1, "plain_text_passwd"),
        ("users: [{name: a, 'hashed-passwd ': x}]", 1, "hashed_passwd"),
        ("users: [{name: a, lock_passwd: false}]", 1, "lock_passwd"),
        ("users: [{name: a, lock-passwd: off}]", 1, "lock_passwd"),
        ("x: &x {passwd: y}\nusers: [{<<: *x, name: a}]", 1, "passwd"),
        ("<<: {hostname: x}", 1, "hostname"),
        ("system_info: {default_user: {name: x}}", 1, "[access]"),
        ("ssh_keys: {rsa_private: x}", 1, "pibake knows"),
        ("ssh_deletekeys: true", 1, "pibake knows"),
        ("ssh-genkeytypes: [rsa]", 1, "pibake knows"),
        ("cloud_init_modules: []", 1, "modules"),
        ("growpart: {mode: off}", 1, "must grow"),
        ("growpart: {mode: 'off'}", 1, "must grow"),
        ("growpart: {mode: false}", 1, "must grow"),
        ("growpart: off", 1, "must grow"),
        ("resize_rootfs: no", 1, "must grow"),
        ("power_state: {mode: poweroff}", 1, "reboot"),
        ("swap: {size: 1G}", 1, "swap"),
        ("mounts: [[/dev/sda1, /srv], [/swap.img, none, swap, sw]]", 1, "swap"),
        ("mounts: [[swap, null], [swap, none]]", 1, "swap"),
        ("mount_default_fields: [null, none, swap, sw]", 1, "swap"),
        ("wireguard: {interfaces: [{name: wg0, config: x}]}", 1, "anyone can read"),
        ("ubuntu-pro: {token: x}", 1, "anyone can read"),
        ("salt_minion:\n  private_key: x", 1, "anyone can read"),
        ("chef: {validation_cert: x}", 1, "anyone can read"),
        ("landscape: {client: {registration_key: x}}", 1, "anyone can read"),
        ("ntp: {servers: [x]}", 1, "[sources] ntp"),
        ("network: {config: disabled}", 1, "[network]"),
        ("datasource_list: [None]", 1, "the card itself"),
    ] {
        let error = merged(extra).expect_err(extra);
        assert_eq!(error.line, line, "{extra}: {error}");
        assert!(error.to_string().contains(words), "{extra}: {error}");
    }
    for extra in [
        "users: [{name: a, lock_passwd: true}]",
        "power_state: {mode: reboot}",
        "resize_rootfs: noblock",
        "mounts: [[/dev/sda1, /srv, ext4]]",
        "mounts: [[swap, null], [/swap.img, ~, swap]]",
        "mount_default_fields: [null, null, ext4]",
        "ubuntu_pro: {enable: [esm-infra]}",
        "salt_minion: {conf: {master: x}}",
        "bootcmd: [x]\nruncmd: [y]",
    ] {
        assert!(merged(extra).is_ok(), "{extra}: {:?}", merged(extra));
    }
}

#[test]
fn what_is_not_cloud_config_is_refused_with_its_line_and_no_word_of_it() {
    for (extra, line) in [
        ("- hunter2", 1),
        ("hunter2", 1),
        ("a: 1\nb: [hunter2", 2),
        ("a: 1\nb: hunter2\n---\nc: 1", 4),
        ("#include\nhttp://hunter2", 1),
        ("#!/bin/sh\nhunter2", 1),
        ("#cloud-config-archive\n- hunter2", 1),
        ("Content-Type: multipart/mixed; boundary=hunter2", 1),
        ("## template: basic\n#cloud-config\nhunter2: 1", 1),
        ("## template: jinja\n#!/bin/sh\nhunter2", 2),
        ("a: 1\na: hunter2", 2),
        ("a: !hunter2 1", 1),
        ("a: !!python/object:hunter2 {}", 1),
        ("? [a]\n: hunter2", 1),
        ("a: 2001-13-01", 1),
        ("a: =", 1),
        ("a: &hunter2 [*hunter2]", 1),
        ("a: *hunter2", 1),
        ("%YAML 1.2\n---\na: hunter2", 1),
        ("a: 1\nb: \"hunter2\u{2028}\"", 2),
        ("a: 1\nb: hunter2\u{7}", 2),
        ("a: 1\n\tb: hunter2", 1),
    ] {
        let error = merged(extra).expect_err(extra).to_string();
        assert!(error.starts_with("extra.yaml:") && !error.contains("hunter2"), "{extra}: {error}");
        assert!(error.starts_with(&format!("extra.yaml:{line}: ")), "{extra}: {error}");
    }
    let bomb = (b'b'..=b'z').map(|c| {
        let (c, before) = (char::from(c), char::from(c - 1));
        format!("{c}: &{c} [*{before}, *{before}]\n")
    });
    let bomb = format!("a: &a [1]\n{}", bomb.collect::<String>());
    assert!(merged(&bomb).unwrap_err().to_string().contains("more than"));
}

#[test]
fn jinja_is_kept_for_cloud_init_and_kept_from_pibakes_part() {
    let extra = "## template: jinja\n#cloud-config\nruncmd:\n  - echo {{ v1.local_hostname }} > /etc/motd\n  - \"{{ ds['x'] }}\"\n  - |\n    {% if x == \"y\" %}\n    a\n    {% endif %}\n";
    let own = "#cloud-config\nkeys: [\"a {{ b }} {% c %} {# d #}\"]\n";
    let text = config(extra).read("ubuntu").unwrap().merge(own).unwrap();
    let expected = "## template: jinja\n#cloud-config\n# Written by pibake, with the settings of [cloud-init] extra joined in.\n\
keys:\n  - \"a \\x7B\\x7B b }} \\x7B% c %} \\x7B# d #}\"\nruncmd:\n  - echo {{ v1.local_hostname }} > /etc/motd\n  - \"{{ ds['x'] }}\"\n  - |\n    {% if x == \"y\" %}\n    a\n    {% endif %}\n";
    assert_eq!(text, expected);
    for (extra, line) in [
        ("{% if x %}\na: 1\n{% endif %}", 2),
        ("a: 1\n{{ b }}: 2", 3),
        ("\"{{ b }}\": 2", 2),
        ("# {% if x %}\na: 1", 2),
        ("users: [{name: \"{{ x }}\"}]", 2),
    ] {
        let error = config(&format!("## template: jinja\n{extra}")).read("ubuntu").err().map(|e| e.line);
        assert_eq!(error, Some(line), "{extra}");
    }
}

#[test]
fn what_needs_an_escape_keeps_it_beside_jinja_too() {
    for text in ["\"{{ a\n  }} \\x82\"", "\"{% b\n  %}\\u2028\"", "\"\n  {# c #} \\e \\\" \""] {
        let merge = |text: &str| config(text).merged_into("", "ubuntu").unwrap();
        let once = merge(&format!("#cloud-config\nbanner: {text}\n"));
        assert!(once.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{once:?}");
        assert_eq!(merge(&once), once);
    }
}

#[test]
fn files_of_pibakes_are_not_overwritten() {
    let baked = BTreeSet::from(["/etc/hosts".to_owned()]);
    let check = |text: &str| config(text).read("ubuntu").unwrap().check_files(&baked);
    let error = check("write_files:\n- content: x\n  path: /etc//./hosts").unwrap_err();
    assert_eq!((error.line, error.why.contains("overlays")), (3, true));
    assert!(check("write_files: [{path: /etc/hosts, append: true}, {path: /etc/other}]").is_ok());
}

#[test]
fn what_aliases_blow_up_is_refused_before_it_is_held() {
    let deep = |levels: usize| format!("a: {}{}\n", "[".repeat(levels), "]".repeat(levels));
    assert!(merged(&deep(99)).is_ok());
    // what was joined can be read again
    let once = config(&deep(99)).merged_into("", "ubuntu").unwrap();
    assert_eq!(config(&once).merged_into("", "ubuntu").unwrap(), once);
    let chained: String = (1..20)
        .map(|n| {
            format!(
                "x{n}: &x{n} {}{}{}\n",
                "[".repeat(50),
                if n > 1 { format!("*x{}", n - 1) } else { String::new() },
                "]".repeat(50)
            )
        })
        .collect();
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
    let many = format!("a: &a [{}]\nb: [{}]\n", vec!["1"; 1000].join(", "), vec!["*a"; 1000].join(", "));
    for (extra, line, words) in [
        (deep(100), 1, "more than 100 levels"),
        (chained, 2, "more than 100 levels"),
        (long, 2, "more than 4 MiB"),
        (many, 2, "more than 50000 values"),
    ] {
        let error = merged(&extra).unwrap_err();
        assert!(error.line == line && error.why.contains(words), "{error}");
    }
}
