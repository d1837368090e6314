//! What is seen on real terminals: tmux draws them, in any size, and says what is on the screen.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long something may take until it is on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of its own tmux, which ends with it.
struct Terminal {
    dir: tempfile::TempDir,
}

impl Terminal {
    /// Runs `program` on a terminal of `width` columns.
    fn run(width: usize, program: &[&str]) -> Self {
        let terminal = Self { dir: tempfile::tempdir().unwrap() };
        let mut arguments: Vec<String> =
            ["new-session", "-d", "-x", &width.to_string(), "-y", "50"].map(str::to_owned).into();
        arguments.extend(program.iter().map(|word| (*word).to_owned()));
        terminal.tmux(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments);
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.dir.path().join("socket")).args(["-f", "/dev/null", "-u"]).args(arguments);
        command.env("HOME", self.dir.path()).env("LC_ALL", "C.UTF-8").env("XDG_CACHE_HOME", self.dir.path());
        command.output().expect("this test needs tmux: install the Debian package tmux")
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// The screen as soon as it shows what is waited for.
    fn until(&self, shows: impl Fn(&str) -> bool) -> String {
        let shown = self.shows_within(PATIENCE, shows);
        shown.unwrap_or_else(|| panic!("it does not come:\n{}", self.screen().trim_end()))
    }

    fn shows_within(&self, patience: Duration, shows: impl Fn(&str) -> bool) -> Option<String> {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if shows(&screen) {
                return Some(screen);
            }
            if begun.elapsed() >= patience {
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// That no line of the screen was too long for it.
    fn nothing_wraps(&self) {
        let (lines, joined) = (self.screen(), self.tmux(&["capture-pane", "-p", "-J"]));
        let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(trimmed(&lines), trimmed(&joined), "a line wraps");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]);
    }
}

/// The address of a raw image that comes slowly and never wholly.
fn slow_image() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(move || {
                let mut connection = connection.unwrap();
                let mut asked = [0; 4096];
                let n = connection.read(&mut asked).unwrap_or(0);
                if !asked[..n].windows(9).any(|part| part == b".img HTTP") {
                    // no checksums
                    let _ = connection.write_all(
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    return;
                }
                let _ = connection.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\nContent-Type: application/octet-stream\r\n\r\n",
                );
                let mut piece = vec![0; 512];
                piece[510..].copy_from_slice(&[0x55, 0xaa]);
                piece.resize(300_000, 7);
                while connection.write_all(&piece).is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    format!("http://{address}/a-rather-long-name-of-an-image-for-the-raspberry-pi.img")
}

const PIBAKE: &str = env!("CARGO_BIN_EXE_pibake");

#[test]
fn progress_fits_terminals_of_any_width() {
    let image = slow_image();
    for width in [40, 60, 80, 200] {
        let terminal = Terminal::run(width, &[PIBAKE, "fetch", &image, "--insecure-base"]);
        let is_step = |line: &&str| line.starts_with("downloading") || line.starts_with("down");
        let shows = |screen: &str| {
            screen
                .lines()
                .filter(is_step)
                .any(|line| line.contains('%') && line.contains("/s") && !line.contains(" 0%"))
        };
        let first = terminal.until(shows);
        std::thread::sleep(Duration::from_millis(1500));
        let later = terminal.screen();
        assert_ne!(first, later, "it stands still at {width}");
        assert_eq!(later.lines().filter(is_step).count(), 1, "{width}:\n{later}");
        let line = later.lines().find(is_step).unwrap();
        // the time left, in one of its forms
        assert!(line.trim_end_matches(" left").ends_with(['s', 'm']), "{width}: {line}");
        assert_eq!(line.contains('█') || line.contains('░'), width >= 60, "{width}: {line}");
        terminal.nothing_wraps();
    }
}

/// A file of a card is printed as it is, but to a terminal nothing that it would obey.
#[test]
fn a_file_that_plan_prints_speaks_to_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let text = "before\u{1b}[2J\u{9b}2J\u{1b}]0;owned\u{7}after\n";
    std::fs::create_dir_all(dir.path().join("own/common/srv")).unwrap();
    std::fs::write(dir.path().join("own/common/srv/notes"), text).unwrap();
    let description = "[base]\nimage = \"sample\"\n[overlays]\ndir = \"own\"\n";
    std::fs::write(dir.path().join("pibake.toml"), description).unwrap();
    let plan = format!("cd {}; {PIBAKE} plan --node 2 /srv/notes", dir.path().display());
    let terminal = Terminal::run(80, &["sh", "-c", &format!("{plan}; echo over; sleep 100")]);
    let screen = terminal.until(|screen| screen.contains("\nover"));
    assert!(screen.contains(r"before\x1b[2J\x9b2J\x1b]0;owned\x07after"), "{screen}");
    let piped = Command::new("sh").args(["-c", &plan]).env("XDG_CACHE_HOME", dir.path()).output().unwrap();
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), text);
}

/// Whoever cannot move the cursor still hears how it goes.
#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let image = slow_image();
    let fetch = format!("TERM=dumb {PIBAKE} fetch {image} --insecure-base; sleep 100");
    let terminal = Terminal::run(80, &["sh", "-c", &fetch]);
    // the line is longer than the terminal is wide
    let screen = terminal.until(|screen| screen.replace('\n', "").contains("MiB of 95.4 MiB ("));
    assert!(screen.contains("left") && !screen.contains('█'), "{screen}");
}

#[test]
fn each_image_of_a_build_leaves_a_line_with_its_time() {
    for width in [40, 80] {
        let terminal = Terminal::run(
            width,
            &[
                "sh",
                "-c",
                &format!(
                    "cd \"$HOME\"; {PIBAKE} build --base sample --nodes 3 >/dev/null; echo over; sleep 100"
                ),
            ],
        );
        let screen = terminal.until(|screen| screen.contains("\nover"));
        for node in ["node-1", "node-2", "node-3"] {
            let line = screen
                .lines()
                .find(|line| line.starts_with("writing") && line.contains(node))
                .unwrap_or_else(|| panic!("{node}:\n{screen}"));
            assert!(line.contains(" in ") && !line.contains('%') && !line.contains("left"), "{line}");
        }
    }
}

#[test]
fn labels_have_colours_where_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let said = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(PIBAKE);
        command.current_dir(dir.path()).args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        let out = command.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(out.stderr).unwrap()
    };
    // one's own errors and those of the reader of the command line look alike
    for arguments in [&["plan", "--node", "9"][..], &["plan", "--no-such"]] {
        let red = "\x1b[1m\x1b[31merror:\x1b[0m ";
        assert!(said(&[("CLICOLOR_FORCE", "1")], arguments).contains(red), "{arguments:?}");
        assert!(!said(&[], arguments).contains('\x1b'));
        assert!(!said(&[("NO_COLOR", "1")], arguments).contains('\x1b'));
    }
    assert!(said(&[("CLICOLOR_FORCE", "1")], &["plan"]).contains("\x1b[1m\x1b[33mwarning:\x1b[0m no radio"));
    let coloured = Terminal::run(80, &["sh", "-c", &format!("{PIBAKE} plan --node 9; sleep 100")]);
    coloured.until(|screen| screen.contains("error:"));
    assert!(coloured.tmux(&["capture-pane", "-p", "-e"]).contains("\x1b[1m\x1b[31merror:"));
    let plain = Terminal::run(80, &["sh", "-c", &format!("NO_COLOR=1 {PIBAKE} plan --node 9; sleep 100")]);
    plain.until(|screen| screen.contains("error:"));
    assert!(!plain.tmux(&["capture-pane", "-p", "-e"]).contains("\x1b[31m"));
}

/// Errors, warnings and what the reader of the command line says: no word is cut at the edge, and none is lost.
#[test]
fn what_is_said_is_wrapped_between_words() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for line in [
        "plan --node 9",
        "plan --node 1-3",
        "build --base ./no-such-image-in-this-folder.img",
        "inspect node-1",
        "plan --nodes 4 --node 1 --svg",
        "flash",
        "plan -C no.toml",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut plain = Command::new(PIBAKE);
        plain.current_dir(dir.path()).args(line.split(' ')).env("HOME", dir.path()).env("NO_COLOR", "1");
        let plain = plain.output().unwrap();
        let plain = String::from_utf8(plain.stderr).unwrap();
        // lines of a log and of another program's are of any length
        assert!(plain.lines().any(|line| line.starts_with("error: ")), "{line}: {plain}");
        for width in [40, 60, 80, 200] {
            let typed = format!("cd \"$HOME\"; NO_COLOR=1 {PIBAKE} {line} >/dev/null; echo over; sleep 100");
            let terminal = Terminal::run(width, &["sh", "-c", &typed]);
            let screen = terminal.until(|screen| screen.contains("\nover"));
            let shown = screen.split("\nover").next().unwrap();
            assert_eq!(words(shown), words(&plain), "{line} at {width}:\n{screen}");
            terminal.nothing_wraps();
        }
    }
    // what goes on is below what its label belongs to
    let typed = format!("cd \"$HOME\"; {PIBAKE} plan --node 9; echo over; sleep 100");
    let terminal = Terminal::run(60, &["sh", "-c", &typed]);
    let screen = terminal.until(|screen| screen.contains("\nover"));
    let error: Vec<&str> = screen.lines().skip_while(|line| !line.starts_with("error:")).collect();
    assert!(error[1].starts_with("       ") || error[1] == "over", "{screen}");
}

fn completions(shell: &str, to: &Path) {
    let out = Command::new(PIBAKE).args(["completions", shell]).output().unwrap();
    assert!(out.status.success());
    std::fs::write(to, out.stdout).unwrap();
}

/// Typed with the tab key, as users do.
#[test]
fn shells_complete_commands_options_and_values() {
    for (shell, package, file, start) in [
        ("bash", "bash", "pibake.bash", "PS1='$ '; source DIR/pibake.bash"),
        ("zsh", "zsh", "_pibake", "PS1='$ '; fpath=(DIR $fpath); autoload -Uz compinit; compinit -u -D"),
        ("fish", "fish", "pibake.fish", "source DIR/pibake.fish"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        completions(shell, &dir.path().join(file));
        let program: &[&str] = match shell {
            "bash" => &["bash", "--norc", "-i"],
            "zsh" => &["zsh", "-f", "-i"],
            _ => &["fish", "--no-config", "-i"],
        };
        assert!(
            Command::new(program[0]).arg("--version").output().is_ok(),
            "this test needs {shell}: install the Debian package {package}"
        );
        let terminal = Terminal::run(120, program);
        terminal.until(|screen| !screen.trim().is_empty());
        terminal.type_in(&format!("{}; echo rea''dy", start.replace("DIR", dir.path().to_str().unwrap())));
        terminal.press("Enter");
        terminal.until(|screen| screen.lines().any(|line| line.trim() == "ready"));
        for (typed, expected) in [
            ("pibake build --format ", &["raw", "qcow2", "zst", "xz"][..]),
            ("pibake boot --machine ", &["raspi3b", "raspi4b", "virt"]),
            ("pibake flash --no-", &["--no-verify", "--no-eject"]),
            ("pibake plan --progress ", &["auto", "plain", "json"]),
        ] {
            let is_listed = |screen: &str| {
                let list = screen.rsplit(typed.trim_end()).next().unwrap_or_default();
                let rest = screen.split_once(typed.trim_end()).map_or(list, |(_, rest)| rest);
                expected.iter().all(|word| rest.contains(word))
            };
            // On a busy machine a shell may take two keys for one, or lose one that comes while it is at work.
            let is_there = (0..6).any(|_| {
                terminal.press("C-u");
                terminal.type_in(typed);
                // once to what all have in common, and again for the list
                terminal.press("Tab");
                std::thread::sleep(Duration::from_millis(300));
                terminal.press("Tab");
                let is_there = terminal.shows_within(PATIENCE / 6, is_listed).is_some();
                terminal.press("C-c");
                terminal.press("C-l");
                is_there
            });
            assert!(is_there, "{shell} does not complete {typed:?}:\n{}", terminal.screen());
        }
    }
}
