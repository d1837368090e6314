//! A desktop's user, who may not write to drives, and udisks2, who may.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use rustix::fs::OFlags;
use support::udisks::{Bus, Permission, Udisks};
use support::{run, tool};

use super::work::{CARD, Work, assert_same, failed, said, succeeded};
use crate::loops::{Drive, Loop};

/// Nobody's number.
const USER: u32 = 65534;

/// A user's folder with a program and an image in it, and a card whose device file nobody but root may open.
struct Desk {
    work: Work,
    card: Loop,
    program: PathBuf,
    /// Who may open the card's device file otherwise.
    before: (u32, u32, Permissions),
}

impl Desk {
    fn new() -> std::io::Result<Self> {
        let work = Work::new();
        std::fs::set_permissions(work.path(), Permissions::from_mode(0o777))?;
        let program = work.path().join("pibake");
        run(Command::new("cp").arg(env!("CARGO_BIN_EXE_pibake")).arg(&program));
        let card = Loop::new(work.path(), "card", CARD, 512);
        let found = std::fs::metadata(card.device())?;
        std::os::unix::fs::chown(card.device(), Some(0), Some(0))?;
        std::fs::set_permissions(card.device(), Permissions::from_mode(0o000))?;
        let before = (found.uid(), found.gid(), found.permissions());
        Ok(Self { work, card, program, before })
    }

    /// Runs pibake as `who`, options of setpriv(1), with this system bus.
    fn run(&self, who: &[&str], bus: &str, arguments: &[&str], answer: &str) -> Output {
        let mut command = tool("setpriv", "util-linux");
        command.args(who).arg(&self.program).args(arguments).current_dir(self.work.path());
        command.env("XDG_CACHE_HOME", self.work.path().join("cache")).env("HOME", self.work.path());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus).env("SOURCE_DATE_EPOCH", "1700000000");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{e}"));
        // who refuses before asking has closed it
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn flash(&self, who: &[&str], bus: &str) -> Output {
        let image = ["flash", "--allow-fixed", self.card.name(), "--image", "images/node-1.img"];
        self.run(who, bus, &image, &self.card.answer())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let (uid, gid, permissions) = &self.before;
        let _ = std::os::unix::fs::chown(self.card.device(), Some(*uid), Some(*gid));
        let _ = std::fs::set_permissions(self.card.device(), permissions.clone());
    }
}

/// The card is written by the user, on what udisks opened; where it does not, nothing is written.
pub fn desktop() -> Result<(), Failed> {
    let user: &[&str] = &[&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"];
    let desk = Desk::new()?;
    succeeded(&desk.run(user, "unix:path=/nowhere", &["build", "--base", "sample", "--node", "1"], ""));
    let bus = Bus::new(desk.work.path());
    std::fs::set_permissions(desk.work.path().join("bus"), Permissions::from_mode(0o777))?;

    let none = desk.flash(user, &bus.address);
    failed(&none, 1, "there is no udisks2 on this machine that could open it");
    failed(&none, 1, "type: sudo ");
    for (permission, words) in [
        (Permission::Dismissed, "the question for permission was closed: run it again, or type: sudo "),
        (Permission::NobodyToAsk, "nobody can be asked for permission here"),
        (Permission::Denied, "polkit does not permit it"),
    ] {
        let _udisks = Udisks::new(&bus, desk.card.device(), desk.card.device(), permission);
        let out = desk.flash(user, &bus.address);
        failed(&out, 1, words);
        failed(&out, 1, "type: sudo ");
    }
    let udisks = Udisks::new(&bus, desk.card.device(), desk.card.device(), Permission::Given);
    {
        let excl = OFlags::EXCL.bits().cast_signed();
        let _held = OpenOptions::new().read(true).custom_flags(excl).open(desk.card.device())?;
        failed(&desk.flash(user, &bus.address), 4, "is held by another program or by the kernel");
    }
    assert!(desk.card.is_as_before());
    let out = desk.flash(user, &bus.address);
    succeeded(&out);
    assert!(said(&out).contains("asking udisks2 for permission to write to"), "{}", said(&out));
    assert_same(&desk.card, &desk.work.image("node-1"));
    assert_eq!(udisks.asked(), ["rw 0x80080 asking"; 2]);
    // whose card it is now is read through what udisks opened
    let again = desk.run(
        user,
        &bus.address,
        &["flash", "--allow-fixed", desk.card.name(), "--image", "images/node-1.img"],
        "no\n",
    );
    failed(&again, 4, "card of  node-1 of ");
    Ok(())
}

/// The real udisks2, without a polkit: root alone is permitted then, also a root who may not open the drive.
pub fn real() -> Result<(), Failed> {
    let desk = Desk::new()?;
    let bus = Bus::new(desk.work.path());
    let _daemon = Daemon::new(&bus)?;
    let rights: &[&str] = &["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
    succeeded(&desk.run(&[], &bus.address, &["build", "--base", "sample", "--node", "1"], ""));
    {
        let excl = OFlags::EXCL.bits().cast_signed();
        let _held = OpenOptions::new().read(true).custom_flags(excl).open(desk.card.device())?;
        failed(&desk.flash(rights, &bus.address), 4, "is held by another program or by the kernel");
    }
    let user: &[&str] = &[&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"];
    run(tool("chown", "coreutils")
        .args(["-R", "65534:65534"])
        .args(["images", ".pibake", "cache"])
        .current_dir(desk.work.path()));
    failed(&desk.flash(user, &bus.address), 1, "type: sudo ");
    run(tool("chown", "coreutils")
        .args(["-R", "0:0"])
        .args(["images", ".pibake", "cache"])
        .current_dir(desk.work.path()));
    assert!(desk.card.is_as_before());
    let out = desk.flash(rights, &bus.address);
    succeeded(&out);
    assert!(said(&out).contains("asking udisks2 for permission to write to"), "{}", said(&out));
    assert_same(&desk.card, &desk.work.image("node-1"));
    Ok(())
}

/// Debian's udisksd on a bus of the test's own, gone when dropped.
struct Daemon(Child);

impl Daemon {
    fn new(bus: &Bus) -> std::io::Result<Self> {
        let places = ["/usr/libexec/udisks2/udisksd", "/usr/lib/udisks2/udisksd"];
        let program = places.iter().find(|path| File::open(path).is_ok());
        let program = program.unwrap_or_else(|| panic!("this test needs the Debian package udisks2"));
        let mut command = Command::new(program);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Self(command.spawn()?);
        let begun = Instant::now();
        let is_there = || {
            let mut ask = tool("dbus-send", "dbus-bin");
            // what follows the method is an argument of it
            ask.arg(format!("--bus={}", bus.address))
                .args(["--print-reply", "--dest=org.freedesktop.UDisks2"]);
            ask.args(["/org/freedesktop/UDisks2/Manager", "org.freedesktop.DBus.Peer.Ping"]);
            ask.output().is_ok_and(|out| out.status.success())
        };
        while !is_there() {
            assert!(begun.elapsed() < Duration::from_secs(60), "udisksd does not answer");
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
