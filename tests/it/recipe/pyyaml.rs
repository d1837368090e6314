//! cloud-init reads of a card what it would read of the user's own file.

use std::fs;
use std::path::Path;
use std::process::Command;

use pibake::cluster::{Password, Secret};
use pibake::recipe::{CloudConfig, Error, Extras};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::fixture::{book, boot_file, of, with};
use support::{run, tool};

/// Python with cloud-init's modules, the one that the package is made for.
fn python(script: &str, arguments: &[&Path]) -> String {
    tool("cloud-init", "cloud-init");
    run(Command::new("/usr/bin/python3").args(["-c", script]).args(arguments))
}

fn user_data(text: &str) -> Result<String, Error> {
    let extra = CloudConfig { file: "extra.yaml".into(), text: text.to_owned() };
    let recipe = with(&book(), 2, &Extras { user_data: Some(extra), ..Extras::default() })?;
    Ok(boot_file(&recipe, "/user-data"))
}

/// A scalar as people write it; `block` ones need their place's indentation.
fn scalar() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "0755",
        "0o755",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        "1.5e+3",
        ".5",
        "-.inf",
        ".nan",
        "12:30:00",
        "1:2.5",
        "y",
        "n",
        "yes",
        "No",
        "on",
        "OFF",
        "true",
        "~",
        "null",
        "",
        "2001-12-14",
        "2001-12-14 21:59:43.10 -5:00",
        "08",
        "-0",
        "+1",
        "a b",
        "a\tb",
        "-\tx",
        "a: b",
        "a #b",
        "a#b",
        "it's",
        "a\\b",
        "-x",
        "x-",
        "#x",
        "[x]",
        "{x: 1}",
        "&x",
        "*x",
        "!x",
        "!!str 1",
        "!!int '7'",
        "!!float 1",
        "!!binary aGVsbG8=",
        "! 1",
        "%x",
        "@x",
        "`x",
        "?x",
        ":x",
        "x:",
        "x:y",
        "<<",
        "=",
        "'it''s'",
        "\"a\\tb\"",
        "\"\\x41\\u00e9\\n\"",
        "'0755'",
        "\"no\"",
        "\"a\\\"b\"",
        "ü🎉",
        "{{ x }}",
        "- a",
        "? a",
        "|",
        ">",
        ",",
        "a,b",
        "a]b",
        "[]",
        "{}",
        "[a, 0755, {b: no}]",
        "{a: 0755, 'b c': [y, 1e3]}",
        "[a:b, c]",
        "\"a\": b",
        "--- a",
        "...",
    ]);
    let free = "[-a-z0-9 .:,'\"#&*!|>%@{}\\[\\]?_~=<]{0,12}";
    prop_oneof![4 => odd.prop_map(str::to_owned), 2 => free]
}

fn blocks() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "x",
        "  y",
        "",
        " ",
        "a: b # c",
        "{{ z }}",
        "\tt",
        "# no comment",
        "é",
        "- i",
    ]);
    (
        prop::sample::select(vec!["|", "|-", "|+", ">", ">-", ">+", "|2", ">2-", "", "\"", "'"]),
        prop::collection::vec(line, 1..5),
    )
        .prop_map(|(head, lines)| {
            let end = if matches!(head, "\"" | "'") { head } else { "" };
            format!(
                "{head}\n{}{end}",
                lines.iter().map(|line| format!("      {line}\n")).collect::<String>().trim_end_matches('\n')
            )
        })
}

/// A document: top-level keys that are not pibake's, with scalars, lists, mappings, anchors and merges.
fn document() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "k",
        "'q'",
        "\"e\\x41\"",
        "0755",
        "yes",
        "1e3",
        "12:30",
        "~",
        "a b",
        "k-2",
        "é",
        "? k3\n  ",
        "<<",
    ]);
    let nested = (key, scalar()).prop_map(|(key, value)| format!("{key}: {value}"));
    let entry = prop_oneof![
        4 => scalar(),
        3 => blocks(),
        2 => prop::collection::vec(scalar(), 1..4).prop_map(|items| items.iter().map(|i| format!("\n  - {i}")).collect()),
        3 => prop::collection::vec(nested, 1..4).prop_map(|items| items.iter().map(|i| format!("\n  {i}")).collect()),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(|items| format!("[{}\n   ]", items.join(",\n   "))),
        1 => Just("&m {a: 0755, b: no}".to_owned()),
        1 => Just("*m".to_owned()),
        1 => Just("\n  <<: *m\n  b: on\n  c: 1e3".to_owned()),
        1 => Just("{<<: [*m, {b: y, d: 010}], a: 1}".to_owned()),
    ];
    (prop::collection::vec(entry, 1..6), any::<bool>()).prop_map(|(entries, windows)| {
        let text: String = entries.iter().enumerate().map(|(n, e)| format!("x{n}: {e}\n")).collect();
        // Anchors have to be there for what may name them.
        let text = format!("#cloud-config\nx: &m {{a: 0644, z: off}}\n{text}");
        if windows { text.replace('\n', "\r\n") } else { text }
    })
}

/// Prints how many documents both sides took, and fails where they read different things.
const COMPARE: &str = r"
import sys, pathlib
from cloudinit import safeyaml
def plain(v):
    if isinstance(v, dict):
        return ('map', sorted((repr(plain(k)), plain(w)) for k, w in v.items()))
    if isinstance(v, (list, tuple)):
        return ('list', [plain(w) for w in v])
    return (type(v).__name__, repr(v))
both = 0
for mine in sorted(pathlib.Path(sys.argv[1]).glob('*.mine')):
    card = mine.with_suffix('.card').read_bytes().decode()
    try:
        got = safeyaml.load(card)
    except Exception as e:
        sys.exit(f'{mine.read_text()}\n--- became\n{card}\n--- which cannot be read: {e}')
    try:
        want = safeyaml.load(mine.read_bytes().decode())
    except Exception:
        continue
    if not isinstance(want, dict):
        continue
    for key, value in want.items():
        if key not in got or plain(got[key]) != plain(value):
            sys.exit(f'{mine.read_text()}\n--- became\n{card}\n--- {key!r}: {value!r} is read as {got.get(key)!r}')
    both += 1
print(both)
";

#[test]
fn what_pyyaml_reads_of_the_card_is_what_it_reads_of_the_users_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::from_seed(
            proptest::test_runner::RngAlgorithm::ChaCha,
            // another set of documents each day, and the same for who looks into a failure
            &[u8::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400 % 251).unwrap(); 32],
        ),
    );
    let documents = 300;
    for number in 0..documents {
        let text = document().new_tree(&mut runner).unwrap().current();
        if let Ok(card) = user_data(&text) {
            fs::write(dir.path().join(format!("{number:04}.mine")), &text).unwrap();
            fs::write(dir.path().join(format!("{number:04}.card")), card).unwrap();
        }
    }
    let both: usize = python(COMPARE, &[dir.path()]).trim().parse().unwrap();
    assert!(both > documents / 20, "only {both} documents were taken by both");
}

#[test]
fn keys_that_cannot_stand_for_themselves_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let keys = [
        "--- a".to_owned(),
        "---\t- b".to_owned(),
        "... c".to_owned(),
        "---".to_owned(),
        "...".to_owned(),
        "---d".to_owned(),
        "...e:f".to_owned(),
        // which PyYAML does not read itself
        "a\tb".to_owned(),
        // 999 characters, of which each takes several to write
        format!("\"{}\"", "\\x41".repeat(999)),
        format!("'{}'", "''".repeat(999)),
        "k".repeat(1000),
    ];
    for (number, key) in keys.iter().enumerate() {
        let text = format!("#cloud-config\n? {key}\n: [0755, y]\nx:\n  ? {key}\n  : a: b\n");
        fs::write(dir.path().join(format!("{number}.mine")), &text).unwrap();
        fs::write(dir.path().join(format!("{number}.card")), user_data(&text).unwrap()).unwrap();
    }
    assert_eq!(python(COMPARE, &[dir.path()]), format!("{}\n", keys.len() - 2));
}

#[test]
fn modes_words_and_times_of_a_real_file_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let text = "#cloud-config\nwrite_files:\n  - {path: /usr/local/bin/hello, permissions: 0755, content: \"#!/bin/sh\\n\"}\n  \
                - {path: /etc/my.key, permissions: 0600, content: x}\nruncmd:\n  - [adjust, y, 12:30:00, 1e3]\n";
    fs::write(dir.path().join("0.mine"), text).unwrap();
    fs::write(dir.path().join("0.card"), user_data(text).unwrap()).unwrap();
    assert_eq!(python(COMPARE, &[dir.path()]), "1\n");
}

#[test]
fn cloud_init_renders_the_users_jinja_and_leaves_pibakes_part() {
    let render = r"
import sys, pathlib
from cloudinit import safeyaml
from cloudinit.handlers import type_from_starts_with
from cloudinit.handlers.jinja_template import render_jinja_payload
text = pathlib.Path(sys.argv[1]).read_text()
assert type_from_starts_with(text) == 'text/jinja2', text
made = render_jinja_payload(text, 'user-data', {'v1': {'local_hostname': 'node-2'}})
assert type_from_starts_with(made) == 'text/cloud-config', made
read = safeyaml.load(made)
print(read['runcmd'], read['users'][0]['ssh_authorized_keys'][-1], read['write_files'][0]['permissions'], sep='\n')
";
    let key = "ssh-ed25519 AAAA {{ nobody }} {% odd %} {# me #}";
    let mut cluster = book();
    cluster.access.ssh_keys.push(key.to_owned());
    let text = "## template: jinja\n#cloud-config\nruncmd:\n  - echo {{ v1.local_hostname }} > /etc/motd\n  \
                - \"{{ v1['local_hostname'] }}\"\n  - |\n    {% if v1.local_hostname == \"node-2\" %}\n    two\n    {% endif %}\n    end\n\
                write_files:\n  - path: /etc/x\n    permissions: 0{{ 755 }}\n";
    let extra = CloudConfig { file: "extra.yaml".into(), text: text.to_owned() };
    let recipe = with(&cluster, 2, &Extras { user_data: Some(extra), ..Extras::default() }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("user-data");
    fs::write(&file, boot_file(&recipe, "/user-data")).unwrap();
    let said = python(render, &[&file]);
    assert_eq!(said, format!("['echo node-2 > /etc/motd', 'node-2', 'two\\nend\\n']\n{key}\n493\n"));
}

#[test]
fn cloud_init_makes_the_sudo_rule_that_asks_where_there_is_a_password() {
    let rules = r"
import sys, pathlib
from cloudinit import safeyaml, distros, helpers
from cloudinit.distros import ug_util
paths = helpers.Paths({'cloud_dir': sys.argv[2], 'run_dir': sys.argv[2]})
distro = distros.fetch('ubuntu')('ubuntu', {}, paths)
users, _ = ug_util.normalize_users_groups(safeyaml.load(pathlib.Path(sys.argv[1]).read_text()), distro)
out = sys.argv[2] + '/sudoers'
pathlib.Path(out).unlink(missing_ok=True)
for name, user in users.items():
    distro.write_sudo_rules(name, user['sudo'], out)
print([line for line in open(out).read().splitlines() if line and not line.startswith('#')])
";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("user-data");
    let mut cluster = book();
    for (password, rule) in [
        (None, "['ubuntu ALL=(ALL) NOPASSWD:ALL']\n"),
        (Some(Password::Hash(Secret::new("$6$salt$hash"))), "['ubuntu ALL=(ALL) ALL']\n"),
    ] {
        cluster.access.password = password;
        fs::write(&file, boot_file(&of(&cluster, 2), "/user-data")).unwrap();
        assert_eq!(python(rules, &[&file, dir.path()]), rule);
    }
}
