//! `pibake key`: this machine's key, and the keys that it trusts.

use clap::Args;

use super::fleets::trusted;
use super::json;
use super::session::Session;
use crate::error::Failure;
use crate::fleet::Keys;

#[derive(Debug, Args)]
#[command(
    long_about = "Show this machine's public key, and make the pair where there is none.\n\nWhoever pushes a cluster names \
                  the machines that may make its cards by these keys (pibake push --recipient). The secret half stays in \
                  this user's configuration folder.\n\nWith --trust the key of somebody who pushes is trusted from now on: \
                  clusters that it signed are believed.",
    after_help = "Examples:\n  \
                  pibake key                                    what to give to whoever pushes\n  \
                  pibake key --trust RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
)]
pub(super) struct Arguments {
    /// Trust this public key from now on, as pibake push prints it; may be repeated
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let keys = Keys::of_user()?;
    for key in &trusted(&arguments.trust)? {
        keys.trust(key, session.control.cancel())?;
    }
    let (own, is_new) = keys.station_or_new()?;
    let (path, path_base64) = json::text(keys.station_file());
    let trusted = keys.trusted()?.iter().map(ToString::to_string).collect();
    let document = json::Key { public: own.public().to_string(), path, path_base64, is_new, trusted };
    session.result(&document, || {
        let mut text = format!("{}\n", document.public);
        if document.is_new {
            text += &format!("made just now; the secret half is {}\n", document.path);
        }
        for key in &document.trusted {
            text += &format!("trusted: {key}\n");
        }
        text
    })
}
