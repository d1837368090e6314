use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// Reads among `files`.
fn reader(files: &[(&str, &str)]) -> impl Fn(&ImagePath) -> Result<Option<Vec<u8>>, Infallible> {
    move |path: &ImagePath| {
        let wanted = path.as_str().trim_start_matches('/').to_lowercase();
        let found = files.iter().find(|(name, _)| name.to_lowercase() == wanted);
        Ok(found.map(|(_, content)| content.as_bytes().to_vec()))
    }
}

/// The files that the firmware would read, among `files`.
fn found(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    found_by(files, &[])
}

/// The same for these boards alone.
fn found_by(files: &[(&str, &str)], boards: &[Board]) -> Result<Vec<String>, String> {
    let lines = command_lines(&reader(files), boards).map_err(|e| e.to_string())?;
    Ok(lines.iter().map(|path| path.as_str().trim_start_matches('/').to_owned()).collect())
}

const NAMES: [&str; 6] =
    ["cmdline.txt", "my.txt", "four.txt", "five.txt", "current/cmdline.txt", "new/cmdline.txt"];

/// The same, for a `config.txt` and all of [`NAMES`].
fn with(config: &str) -> Result<Vec<String>, String> {
    with_boards(config, &[])
}

fn with_boards(config: &str, boards: &[Board]) -> Result<Vec<String>, String> {
    let lines = NAMES.map(|name| (name, "console=tty1"));
    found_by(&[&lines[..], &[("config.txt", config)]].concat(), boards)
}

#[test]
fn without_a_word_of_it_it_is_cmdline_txt() {
    let stock =
        "[pi4]\nkernel=uboot_rpi_4.bin\n\n[all]\narm_64bit=1\ncmdline=cmdline.txt\ninclude syscfg.txt\n";
    for config in ["", "[all]\narm_64bit=1\n", stock, "#cmdline=my.txt\n", "CMDLINE=my.txt\n", "cmdline\n"] {
        assert_eq!(with(config), Ok(vec!["cmdline.txt".to_owned()]), "{config:?}");
    }
    assert_eq!(found(&[("CMDLINE.TXT", "x")]), Ok(vec!["cmdline.txt".to_owned()]));
}

#[test]
fn the_last_setting_that_holds_counts() {
    let only = |name: &str| Ok(vec![name.to_owned()]);
    assert_eq!(with("cmdline=my.txt"), only("my.txt"));
    assert_eq!(with("\u{feff}cmdline=my.txt\r\n"), only("my.txt"));
    assert_eq!(with("cmdline=four.txt\ncmdline=my.txt\n"), only("my.txt"));
    assert_eq!(with("[none]\ncmdline=four.txt\n[all]\n"), only("cmdline.txt"));
    assert_eq!(with("[pi0w]\ncmdline=four.txt\n[pi2]\ncmdline=five.txt\n"), only("cmdline.txt"));
    // filters of one kind replace each other
    assert_eq!(with("[pi2]\n[pi4]\n[pi3]\n[pi5]\n[all]\ncmdline=my.txt"), only("my.txt"));
}

#[test]
fn what_depends_on_the_board_or_on_what_is_plugged_in_is_all_of_it() {
    let all = |names: &[&str]| Ok(names.iter().map(ToString::to_string).collect());
    assert_eq!(with("[pi4]\ncmdline=four.txt\n"), all(&["cmdline.txt", "four.txt"]));
    assert_eq!(
        with("[pi4]\ncmdline=four.txt\n[pi5]\ncmdline=five.txt\n[all]\n"),
        all(&["cmdline.txt", "five.txt", "four.txt"])
    );
    assert_eq!(with("[gpio4=1]\ncmdline=my.txt\n"), all(&["cmdline.txt", "my.txt"]));
    assert_eq!(with("[EDID=VSC-TD2220]\ncmdline=my.txt\n[all]\ncmdline=four.txt"), all(&["four.txt"]));
    assert_eq!(with("[0x12345678]\n[pi2]\ncmdline=my.txt\n"), all(&["cmdline.txt"]));
    // it may be another name with a space in it
    assert_eq!(with("cmdline = my.txt\n"), all(&["cmdline.txt", "my.txt"]));
}

#[test]
fn prefixes_come_before_the_name_and_are_dropped_where_nothing_is_below_them() {
    // Ubuntu 26.04
    let config = "[all]\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n";
    assert_eq!(with(config).unwrap(), ["cmdline.txt", "current/cmdline.txt", "new/cmdline.txt"]);
    let only_current = [("config.txt", config), ("current/cmdline.txt", "x")];
    assert_eq!(found(&only_current).unwrap(), ["current/cmdline.txt"]);
    assert_eq!(
        found(&[("config.txt", "os_prefix=a-\n"), ("a-cmdline.txt", "x")]).unwrap(),
        ["a-cmdline.txt"]
    );
    let not_below = [("config.txt", "os_prefix=gone/\n"), ("cmdline.txt", "x")];
    assert_eq!(found(&not_below).unwrap(), ["cmdline.txt"]);
}

#[test]
fn the_folders_of_kernels_and_of_trials_are_known() {
    let of = |config: &str| {
        let files = [("config.txt", config)];
        let folders = trial_folders(&reader(&files), &[]).unwrap();
        let folders = folders.iter().map(ToString::to_string).collect::<Vec<_>>();
        (prefixes(&reader(&files), None).unwrap(), folders)
    };
    let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let resolute = "[all]\nkernel=vmlinuz\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n";
    assert_eq!(of(resolute), (strings(&["current/", ""]), strings(&["/new"])));
    // 24.04 and before
    assert_eq!(of("[pi4]\nkernel=uboot_rpi_4.bin\n[all]\nkernel=vmlinuz\n"), (strings(&[""]), vec![]));
    assert_eq!(of("[pi5]\nos_prefix=five/\n"), (strings(&[""]), vec![]));
    assert_eq!(of("[pi5]\n[tryboot]\nos_prefix=a/b/\n").1, strings(&["/a/b"]));
    // what may hold is looked for as well
    assert_eq!(of("[gpio4=1]\nos_prefix=pin/\n").0, strings(&["pin/", ""]));
}

#[test]
fn of_a_board_that_is_known_no_other_ones_settings_count() {
    let config = "[pi4]\ncmdline=four.txt\n[pi5]\ncmdline=five.txt\n[cm5]\ncmdline=my.txt\n[all]\n";
    for (board, files) in [
        (Board::Pi3, ["cmdline.txt"]),
        (Board::Pi4, ["four.txt"]),
        (Board::Pi400, ["four.txt"]),
        (Board::Cm4, ["four.txt"]),
        (Board::Pi5, ["five.txt"]),
        (Board::Cm5, ["my.txt"]),
    ] {
        assert_eq!(with_boards(config, &[board]).unwrap(), files, "{board}");
    }
    let both = with_boards(config, &[Board::Pi5, Board::Pi4]).unwrap();
    assert_eq!(both, ["five.txt", "four.txt"]);
    // what is wrong for another board is not wrong for this one
    let broken = "[pi5]\ncmdline=../x\n[pi3]\ncmdline=gone.txt\n[all]\n";
    assert_eq!(with_boards(broken, &[Board::Pi4]).unwrap(), ["cmdline.txt"]);
    assert!(with(broken).unwrap_err().contains("line 2"));
    // and the board itself must find its own, although a Pi 4 does
    let told = with_boards("[pi3]\ncmdline=gone.txt\n", &[Board::Pi3]).unwrap_err();
    assert!(told.contains("a Pi 3 read /gone.txt"), "{told}");
    let told = with_boards("[pi3+]\ncmdline=gone.txt\n", &[Board::Pi3]).unwrap_err();
    assert!(told.contains("a Pi 3+ read /gone.txt"), "{told}");
    assert!(with("[pi3]\ncmdline=gone.txt\n").is_ok());
}

#[test]
fn trials_and_prefixes_of_other_boards_do_not_count() {
    let files = [("config.txt", "[pi5]\nos_prefix=five/\n[tryboot]\nos_prefix=new/\n[all]\n")];
    let of = |board: Board| {
        let folders = trial_folders(&reader(&files), &[board]).unwrap();
        (prefixes(&reader(&files), Some(board)).unwrap(), folders.len())
    };
    assert_eq!(of(Board::Pi5), (vec!["five/".to_owned(), String::new()], 1));
    assert_eq!(of(Board::Pi4), (vec![String::new()], 0));
    assert_eq!(of(Board::Pi3), (vec![String::new()], 0));
}

#[test]
fn a_board_needs_its_device_tree() {
    let said = |files: &[(&str, &str)], board| {
        check_device_tree(&reader(files), board).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let four = [("bcm2711-rpi-4-b.dtb", ""), ("bcm2710-rpi-3-b.dtb", "")];
    assert_eq!(said(&four, Board::Pi4), "");
    // a Pi 3+ takes that of a Pi 3 as well
    assert_eq!(said(&four, Board::Pi3), "");
    insta::assert_snapshot!(said(&four, Board::Pi5), @"the base image has no device tree for a Pi 5: its firmware looks for /bcm2712-rpi-5-b.dtb, and no such file is on the boot partition. Take a newer base image, or leave board out of the description");
    assert!(said(&four, Board::Cm5).contains("/bcm2712-rpi-cm5-cm5io.dtb or /bcm2712-rpi-cm5l-cm4io.dtb"));
    let resolute = [("config.txt", "os_prefix=current/\n"), ("current/bcm2711-rpi-400.dtb", "")];
    assert_eq!(said(&resolute, Board::Pi400), "");
    assert!(said(&resolute, Board::Pi4).contains("/current/bcm2711-rpi-4-b.dtb or /bcm2711-rpi-4-b.dtb"));
    // one that config.txt names, or none at all
    for (config, there) in [
        ("device_tree=my.dtb\n", true),
        ("[pi5]\ndevice_tree=my.dtb\n", true),
        ("[pi4]\ndevice_tree=my.dtb\n", false),
        ("device_tree=gone.dtb\n", false),
        ("device_tree=\n", true),
        ("device_tree=/../x\n", false),
        ("[gpio4=1]\ndevice_tree=my.dtb\n", true),
    ] {
        let files = [("config.txt", config), ("my.dtb", "")];
        assert_eq!(said(&files, Board::Pi5).is_empty(), there, "{config:?}");
    }
}

#[test]
fn includes_are_read_where_they_stand() {
    let files = |config, included| {
        found(&[("config.txt", config), ("usercfg.txt", included), ("my.txt", "x"), ("cmdline.txt", "x")])
    };
    assert_eq!(files("include usercfg.txt\n", "cmdline=my.txt").unwrap(), ["my.txt"]);
    assert_eq!(files("cmdline=cmdline.txt\ninclude usercfg.txt\n", "cmdline=my.txt").unwrap(), ["my.txt"]);
    assert_eq!(files("include usercfg.txt\ncmdline=cmdline.txt", "cmdline=my.txt").unwrap(), ["cmdline.txt"]);
    assert_eq!(files("[pi2]\ninclude usercfg.txt\n", "cmdline=my.txt").unwrap(), ["cmdline.txt"]);
    assert_eq!(files("include gone.txt\n", "cmdline=my.txt").unwrap(), ["cmdline.txt"]);
    let open_end = files("include usercfg.txt\ncmdline=my.txt", "[pi2]\n").unwrap();
    assert_eq!(open_end, ["cmdline.txt", "my.txt"]);
}

#[test]
fn a_trial_boot_has_a_configuration_of_its_own() {
    let files = [("tryboot.txt", "cmdline=my.txt"), ("my.txt", "x"), ("cmdline.txt", "x")];
    assert_eq!(found(&files).unwrap(), ["cmdline.txt", "my.txt"]);
}

#[test]
fn what_cannot_be_followed_is_said_with_its_line() {
    let mut said = String::new();
    for config in [
        "cmdline=/etc/passwd\n",
        "\r\n\r\ncmdline=../my.txt\r\n",
        "os_prefix=a/../../b/\n",
        "cmdline=a\\b.txt\n",
        "cmdline=a//b\n",
        "include ../x\n",
        "include config.txt\n",
        "cmdline=gone.txt\n",
        "[pi4]\nos_prefix=x/\ncmdline=gone.txt\n",
        &format!("cmdline={}\n", "x".repeat(91)),
    ] {
        said += &format!("{config:?}\n  {}\n", with(config).unwrap_err());
    }
    insta::assert_snapshot!(said);
    // below a filter that no board passes, it does not matter
    assert!(with("[none]\ncmdline=../x\n[all]\n").is_ok());
    assert!(found(&[]).unwrap_err().contains("/cmdline.txt"));
}

proptest! {
    #[test]
    fn garbage_never_panics(
        config in proptest::collection::vec(prop_oneof![
            Just("[all]\n".to_owned()), Just("[pi4]\n".to_owned()), Just("cmdline=".to_owned()),
            Just("os_prefix=".to_owned()), Just("include config.txt\n".to_owned()), Just("\r\n".to_owned()), any::<String>(),
        ], 0..20),
    ) {
        if let Ok(lines) = with(&config.concat()) {
            prop_assert!(!lines.is_empty());
            prop_assert!(lines.iter().all(|line| NAMES.contains(&line.as_str())));
        }
    }
}
