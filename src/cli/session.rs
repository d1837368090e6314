//! What every command works with: the flags that all share, who is told how it goes, and where its result goes.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum, ValueHint};
use serde::Serialize;
use serde_json::Value;

use super::json;
use crate::error::{Doing, DoingAs, ErrorClass, Failure};
use crate::io::CancelToken;
use crate::progress;
use crate::ui::{self, Shown};
use crate::workflow::Control;

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// The cluster's description [default: the nearest pibake.toml, here or in a folder above]
    #[arg(short = 'C', long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Print one JSON document instead of text, errors included; docs/json.md describes its fields
    #[arg(long, global = true)]
    json: bool,
    /// Print warnings and errors only
    #[arg(short, long, global = true, conflicts_with_all = ["verbose", "progress"])]
    quiet: bool,
    /// How to show progress, on standard error
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t, hide_default_value = true)]
    progress: Progress,
    /// Increase log verbosity (-v info, -vv debug, -vvv trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Never use the network; fail if something is neither on this machine nor in the cache
    #[arg(long, global = true)]
    offline: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Progress {
    /// Bars on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// Plain lines, one every five seconds
    Plain,
    /// One JSON object a line; docs/json.md describes its fields
    Json,
}

/// One run of the program.
pub(super) struct Session {
    /// The description that was named.
    pub config: Option<PathBuf>,
    /// Whether the network is never used.
    pub offline: bool,
    /// Who is told how the run goes, and what ends it.
    pub control: Control,
    /// With `--json`, the fields of the command in the document that is printed at the end.
    pub document: Option<RefCell<Value>>,
    /// Whether Ctrl-C is listened to.
    is_listening: Cell<bool>,
}

impl Session {
    /// Sets up progress and the log as the flags ask for. Once in a process.
    pub(super) fn begin(global: Global) -> Self {
        let progress = ui::progress(match global.progress {
            _ if global.quiet => Shown::Off,
            Progress::Auto => Shown::Auto,
            Progress::Plain => Shown::Plain,
            Progress::Json => Shown::Json(json::VERSION),
        });
        ui::log(global.verbose, Arc::clone(&progress));
        Self {
            config: global.config,
            offline: global.offline,
            control: Control::new(progress, CancelToken::default()),
            document: global.json.then(RefCell::default),
            is_listening: Cell::new(false),
        }
    }

    /// Where long work reports to.
    pub(super) fn progress(&self) -> &dyn progress::Progress {
        self.control.progress()
    }

    /// Whether standard output is for one JSON document alone.
    pub(super) fn is_json(&self) -> bool {
        self.document.is_some()
    }

    /// From now on the first Ctrl-C or SIGTERM cancels the run; a second one ends the program at once, which
    /// leaves nothing that a later run would trust. Until this is called the first one does.
    pub(super) fn listen(&self) -> Result<(), Failure> {
        // a second time would have the first signal end the program at once
        if self.is_listening.replace(true) {
            return Ok(());
        }
        let cancel = self.control.cancel();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, cancel.flag())
                .and_then(|_| signal_hook::flag::register(signal, cancel.flag()))
                .doing(|| "listening for Ctrl-C".to_owned())?;
        }
        Ok(())
    }

    /// From now on a terminal that is closed cancels the run, too, unless whoever started it said that it should not
    /// (nohup(1)): for a run whose end others are to be told of.
    #[cfg(target_os = "linux")]
    pub(super) fn listen_for_hangup(&self) -> Result<(), Failure> {
        // a shell passes on what the kernel says as well, so a second one does not mean more than the first
        let hangup = signal_hook::consts::SIGHUP;
        if ignores(hangup) {
            return Ok(());
        }
        let flag = self.control.cancel().flag();
        signal_hook::flag::register(hangup, flag)
            .map(drop)
            .doing(|| "listening for the end of the terminal".to_owned())
    }

    /// What came of it: `text` for people, now; `document` for programs, at the end, with the warnings and the
    /// error that may still come.
    pub(super) fn result(
        &self,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let Some(kept) = &self.document else { return ui::print(&text()) };
        let writing = || "writing JSON".to_owned();
        kept.replace(serde_json::to_value(document).doing_as(ErrorClass::Internal, writing)?);
        Ok(())
    }
}

/// Whether this process was started with a signal ignored (proc_pid_status(5)).
#[cfg(target_os = "linux")]
fn ignores(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (signal - 1)) & 1 == 1)
}
