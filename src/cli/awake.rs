//! Keeping the machine from falling asleep while cards are written.

use std::process::{Child, Command, Stdio};

/// Holds logind's lock against sleep, where there is a logind: a machine without one does not fall
/// asleep by itself either.
pub(super) struct Awake(Option<Child>);

impl Awake {
    /// Takes the lock by `systemd-inhibit`, which holds it as long as its program runs. That program
    /// waits for the end of its input, which comes however this process ends.
    pub(super) fn keep() -> Self {
        let child = Command::new("systemd-inhibit")
            .args(["--what=sleep:idle", "--mode=block", "--who=pibake", "--why=writing an SD card", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(e) = &child {
            tracing::debug!("the machine may fall asleep meanwhile: systemd-inhibit: {e}");
        }
        Self(child.ok())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.stdin.take());
            // it ends by itself when its input does
            let _ = child.wait();
        }
    }
}
