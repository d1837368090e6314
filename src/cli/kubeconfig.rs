//! `pibake kubeconfig`: the administrator's way in.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use serde_json::Value;

use super::description::ClusterFlags;
use super::json::Kubeconfig;
use super::kubectl::kubectl;
use super::remote::{Reached, Route, Via};
use super::session::Session;
use crate::cluster::{Cluster, Opening};
use crate::error::{DoingAs, ErrorClass, Failure};
use crate::identity::api_url;
use crate::io::{CancelToken, shell_word};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pibake kubeconfig > cluster.conf            for kubectl --kubeconfig cluster.conf\n  pibake kubeconfig --merge                   into kubectl's own configuration\n  pibake kubeconfig --merge --renew           with a new certificate"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    route: Route,
    /// First make a new certificate, for a user of its own: valid for as long as access.admin-ttl says, and without
    /// rights once it is renewed again
    #[arg(long)]
    renew: bool,
    /// Merge it into kubectl's own configuration ($KUBECONFIG or ~/.kube/config), with kubectl
    #[arg(long)]
    merge: bool,
    /// With --merge, the name of the context [default: the cluster's name]
    #[arg(long, value_name = "NAME", requires = "merge", value_parser = context_name)]
    context: Option<String>,
}

/// What kubectl, shells and YAML all take as it is.
fn context_name(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("may have letters, digits and ._-@ in it, and begins with one of the first two")
    }
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let mut reached = Reached::open(&arguments.cluster, &arguments.route, session)?;
    let via = arguments.route.via.as_ref();
    if let Some(closed) = via.and_then(|via| closed(via, &reached)) {
        session.progress().note(&closed);
    }
    let (server, certified) = server(via, &reached.project.cluster);
    if arguments.renew {
        renew(&reached, &server, certified.as_deref(), session.control.cancel())?;
        reached.identity = reached.project.identity()?;
    } else if reached.identity.admin_has_ended(reached.project.now()) {
        session.progress().note("its certificate has ended; pibake kubeconfig --renew makes another");
    }
    let cluster = &reached.project.cluster;
    let context = arguments.context.clone().unwrap_or_else(|| cluster.name.clone());
    let text = reached.identity.kubeconfig(cluster, &server, certified.as_deref());
    let mut document =
        Kubeconfig { context, server, tls_server_name: certified, text: None, merged: arguments.merge };
    if arguments.merge {
        let is_current = merge(&reached, &document, session.control.cancel())?;
        return session.result(&document, || {
            let how = if is_current { String::new() } else { format!("--context {} ", document.context) };
            format!("merged; kubectl {how}get nodes\n")
        });
    }
    document.text = Some(text.reveal().to_owned());
    session.result(&document, || text.reveal().to_owned())
}

/// The API server's URL and, where that is not the name in its certificate, a name that is.
fn server(via: Option<&Via>, cluster: &Cluster) -> (String, Option<String>) {
    match (via, cluster.control_plane()) {
        (Some(via), _) => (api_url(&via.host, via.port), Some(cluster.api_name())),
        (None, Some(first)) => (api_url(&first.address.to_string(), None), None),
        (None, None) => (api_url(&cluster.api_name(), None), None),
    }
}

/// That the API server cannot be reached this way, as far as the description tells, and what to do.
fn closed(via: &Via, reached: &Reached) -> Option<String> {
    let uplink = &reached.project.cluster.network.gateway()?.uplink;
    let is_open = uplink.allow.iter().any(|opening| matches!(opening, Opening::Api | Opening::All));
    // What listens on this machine is a tunnel.
    let is_here =
        via.host == "localhost" || via.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let first = &reached.project.cluster.control_plane()?.name;
    (!is_open && !is_here).then(|| {
        format!(
            "on its uplink {first} answers SSH alone; either allow = [\"api\"] in [network.uplink], or a tunnel: ssh -F {} \
             -o HostName={} -N -L 6443:127.0.0.1:6443 {first}, and --via 127.0.0.1",
            shell_word(reached.project.store().ssh_config()),
            via.host
        )
    })
}

/// What the users are called that `--renew` makes, before a number.
const USERS: &str = "pibake-admin-";

/// Makes a user with all rights in the cluster, has the store use it, and takes the rights of the last one away.
fn renew(
    reached: &Reached,
    server: &str,
    certified: Option<&str>,
    cancel: &CancelToken,
) -> Result<(), Failure> {
    let project = &reached.project;
    let (store, cluster) = (project.store(), &project.cluster);
    let number = getrandom::u32().doing_as(ErrorClass::Failed, || "asking for a random number".to_owned())?;
    let user = format!("{USERS}{number:08x}");
    // The one in use may have ended. Whoever has the CA's key has all rights anyhow.
    let lent = store.lend(cluster, server, certified, project.now())?;
    let in_cluster = |arguments: &[&str]| {
        let common = ["--kubeconfig".as_ref(), lent.path().as_os_str(), "--request-timeout=10s".as_ref()];
        kubectl(common.into_iter().chain(arguments.iter().map(AsRef::as_ref)), None, cancel)
    };
    let because = |failure: Failure| {
        failure.while_doing("asking the cluster to let a new administrator in; nothing was changed")
    };
    let create =
        ["create", "clusterrolebinding", &user, "--clusterrole=cluster-admin", &format!("--user={user}")];
    in_cluster(&create).map_err(because)?;
    store.renew_admin(cluster, &user, project.now())?;
    let all = in_cluster(&["get", "clusterrolebindings", "--output=name"])?;
    let former = all
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .filter(|name| name.starts_with(USERS) && *name != user);
    for name in former {
        in_cluster(&["delete", "clusterrolebinding", name, "--ignore-not-found"])?;
    }
    Ok(())
}

/// Has kubectl add the cluster to its configuration; whether it is the one that kubectl uses by itself then.
fn merge(reached: &Reached, wanted: &Kubeconfig, cancel: &CancelToken) -> Result<bool, Failure> {
    let name = &wanted.context;
    let user = format!("pibake-{name}");
    let found = config(&["view", "--raw", "--output=json"].map(OsString::from), cancel)?;
    let found: Value = serde_json::from_str(&found)
        .doing_as(ErrorClass::Failed, || "reading kubectl's configuration".to_owned())?;
    refuse_others(&found, name, &reached.project.cluster, &reached.identity.ca_certificate)?;
    // Files, since a command line can be seen by others.
    let store = reached.project.store().dir();
    let store = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
    let flag = |flag: &str, file: &str| {
        let mut word = OsString::from(flag);
        word.push(Path::new(&store).join(file));
        word
    };
    let plain = |text: String| OsString::from(text);
    config(
        &[
            plain("set-cluster".into()),
            plain(name.clone()),
            plain(format!("--server={}", wanted.server)),
            plain(format!("--tls-server-name={}", wanted.tls_server_name.as_deref().unwrap_or_default())),
            flag("--certificate-authority=", "ca.crt"),
            plain("--embed-certs=true".into()),
        ],
        cancel,
    )?;
    config(
        &[
            plain("set-credentials".into()),
            plain(user.clone()),
            flag("--client-certificate=", "admin.crt"),
            flag("--client-key=", "admin.key"),
            plain("--embed-certs=true".into()),
        ],
        cancel,
    )?;
    let context =
        ["set-context".to_owned(), name.clone(), format!("--cluster={name}"), format!("--user={user}")];
    config(&context.map(OsString::from), cancel)?;
    let current = found["current-context"].as_str().unwrap_or_default();
    if current.is_empty() {
        config(&["use-context".into(), OsString::from(name)], cancel)?;
    }
    Ok(current.is_empty() || current == name)
}

/// One of the same name that is another cluster stays what it is.
fn refuse_others(found: &Value, name: &str, cluster: &Cluster, ca: &str) -> Result<(), Failure> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let named = |list: &str| {
        found[list].as_array().into_iter().flatten().find(|entry| entry["name"] == *name).cloned()
    };
    let ours = STANDARD.encode(ca);
    let entry = named("clusters").map(|entry| entry["cluster"]["certificate-authority-data"].clone());
    let context = named("contexts").map(|entry| entry["context"]["cluster"].clone());
    let is_other =
        entry.is_some_and(|data| data.as_str() != Some(&ours)) || context.is_some_and(|used| used != *name);
    if is_other {
        return Err(Failure::refused(format!(
            "kubectl's configuration has another {name}, which stays as it is: give this one a name of its own, \
             pibake kubeconfig --merge --context {}-{name}",
            cluster.domain
        )));
    }
    Ok(())
}

fn config(arguments: &[OsString], cancel: &CancelToken) -> Result<String, Failure> {
    kubectl([OsString::from("config")].iter().chain(arguments).map(OsString::as_os_str), None, cancel)
}
