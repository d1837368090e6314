//! `pibake status`.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::put_program;

use super::{Lab, said};

pub fn status() {
    let lab = Lab::new();
    for node in [1, 2] {
        fs::write(
            lab.path(&format!("logs-{node}/status")),
            format!("format=1\nnode=node-{node}\nstate=done\nname=tidy\nmessage=node-{node} is ready\n"),
        )
        .unwrap();
        fs::write(
            lab.path(&format!("logs-{node}/certificates")),
            "format=1\nstate=ok\nmessage=\ncertificate=/a 2029-01-02T03:04:05Z\ncertificate=/b 2028-01-02T03:04:05Z\n",
        )
        .unwrap();
    }
    let nodes = |second: &str| {
        let node = |name: &str, ready: &str| {
            serde_json::json!({ "metadata": { "name": name }, "status": {
                "nodeInfo": { "kubeletVersion": "v1.37.1" }, "conditions": [{ "type": "Ready", "status": ready }] } })
        };
        let list = serde_json::json!({ "items": [node("node-1", "True"), node("node-2", second)] });
        put_program(&lab.path("bin/kubectl"), format!("#!/bin/sh\ncat <<'E'\n{list}\nE\n"));
    };
    nodes("True");
    let (code, out, err) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    for (line, name) in lines[1..].iter().zip(["node-1", "node-2"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..6], [name, "done", "yes", "v1.37.1", "until", "2028-01-02"], "{out}");
        assert!(line.ends_with("GiB") && !line.contains('?'), "{line}");
    }

    // A card that is about to die.
    fs::write(
        lab.path("logs-1/card"),
        "format=1\nnode=node-1\nstate=failing\nerrors=3\nmessage=the kernel had 3 errors with mmcblk0\n",
    )
    .unwrap();
    let (code, out, _) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert!(code == Some(1) && out.contains("node-1: card: the kernel had 3 errors with mmcblk0\n"), "{out}");
    fs::remove_file(lab.path("logs-1/card")).unwrap();

    nodes("False");
    fs::write(
        lab.path("logs-2/certificates"),
        "format=1\nstate=failed\nmessage=nothing was changed: \u{1b}[31mno room\ncertificate=/a 2028-01-02T03:04:05Z\n",
    )
    .unwrap();
    let (code, out, _) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("node-2: it is not Ready: kubectl describe node node-2\n"), "{out}");
    assert!(out.contains("node-2: certificates: nothing was changed: ") && !out.contains('\u{1b}'), "{out}");

    // One is off.
    let (code, out, _) = said(&lab.pibake("1", &["-q", "status", "--json"]));
    assert_eq!(code, Some(1));
    let document: Value = serde_json::from_str(&out).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert_eq!((&nodes[0]["reached"], &nodes[1]["reached"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(nodes[1]["ready"], false, "the cluster knows of it");
    let advice = nodes[1]["advice"][0].as_str().unwrap();
    assert!(advice.starts_with("it cannot be reached by SSH: "), "{advice}");
    assert!(nodes[0]["disk_bytes"].as_u64().unwrap() > nodes[0]["disk_free_bytes"].as_u64().unwrap());
    assert!(
        nodes[0]["memory_bytes"].as_u64().unwrap() > nodes[0]["memory_available_bytes"].as_u64().unwrap()
    );
}

/// A node that is through its first boot.
fn done(lab: &Lab, node: u16) {
    let text = format!("format=1\nnode=node-{node}\nstate=done\nname=tidy\nmessage=node-{node} is ready\n");
    fs::write(lab.path(&format!("logs-{node}/status")), text).unwrap();
}

/// It lets in whoever logs in, and its card answers nobody any more.
pub fn silent() {
    let lab = Lab::new();
    done(&lab, 1);
    put_program(&lab.path("bin/kubectl"), "#!/bin/sh\necho '{}'\n");
    put_program(
        &lab.path("bin/df"),
        "#!/bin/sh\n[ \"$NODE\" = 1 ] || exec sleep 600\nPATH=/usr/bin:/bin\nexec df \"$@\"\n",
    );
    let begun = Instant::now();
    let (code, out, err) = said(&lab.pibake("1 2", &["-q", "status"]));
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("node-2: it cannot be reached by SSH: it did not answer in time\n"), "{out}");
    let first = out.lines().nth(1).unwrap();
    assert!(first.starts_with("node-1") && first.contains("done") && first.contains("GiB"), "{out}");
}

/// A worker that somebody has taken over says that all is well with the cluster, while node-1 is gone.
pub fn forged() {
    let lab = Lab::new();
    done(&lab, 2);
    let node = |name: &str| {
        serde_json::json!({ "metadata": { "name": name }, "status": {
            "nodeInfo": { "kubeletVersion": "v6.6.6" }, "conditions": [{ "type": "Ready", "status": "True" }] } })
    };
    let list = serde_json::json!({ "items": [node("node-1"), node("node-2")] });
    let status = lab.path("logs-2/status");
    let own = fs::read_to_string(&status).unwrap();
    fs::write(&status, format!("{own}== pibake: nodes\n{list}\n")).unwrap();
    let (code, out, err) = said(&lab.pibake("2", &["-q", "status", "--direct", "--json"]));
    assert_eq!(code, Some(1), "{out}{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let nodes = document["nodes"].as_array().unwrap();
    assert_eq!((&nodes[0]["reached"], &nodes[1]["reached"]), (&Value::Bool(false), &Value::Bool(true)));
    for node in nodes {
        assert_eq!((&node["ready"], &node["kubelet"]), (&Value::Null, &Value::Null), "{document}");
    }
}
