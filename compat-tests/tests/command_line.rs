//! The command line of `chronyd` (`spec/config.md` section 6) and what start-up makes of wrong configurations
//! (section 14): exit statuses, texts, messages.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use compat_tests::{Finished, LIMIT, TempDir, finish, ours, subject};

fn run(dir: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(subject().chronyd);
    finish(command.args(arguments).current_dir(dir), LIMIT)
}

/// Messages without time stamps, and without those that every start has.
fn messages(text: &str) -> Vec<String> {
    let ordinary = [
        "chronyd version ",
        "truechimer ",
        "Disabled control of system clock",
        "Running with root",
        // Of -m, where the machine does not let it.
        "setrlimit() failed",
    ];
    text.lines()
        .map(|line| line.split_once("Z ").map_or(line, |(_, text)| text))
        .filter(|line| !ordinary.iter().any(|text| line.starts_with(text)))
        .map(str::to_owned)
        .collect()
}

/// Starts a daemon that ends at once, and compares its exit status and messages.
fn start(dir: &Path, arguments: &[&str], code: i32, expected: &[&str]) {
    let usual = [
        "-d",
        "-x",
        "-t0",
        "-u",
        "root",
        "port 0",
        "cmdport 0",
        "pidfile /",
        "bindcmdaddress /",
    ];
    let done = run(dir, &[&usual[..], arguments].concat());
    assert_eq!(messages(&done.stderr), expected, "{arguments:?}");
    assert_eq!(
        (done.code(), done.stdout.as_str()),
        (Some(code), ""),
        "{arguments:?}"
    );
}

const ENDED: [&str; 2] = ["Timeout reached", "chronyd exiting"];

/// An orderly start and end, with these messages between.
fn runs(dir: &Path, arguments: &[&str], expected: &[&str]) {
    start(dir, arguments, 1, &[expected, &ENDED].concat());
}

fn fails(dir: &Path, arguments: &[&str], expected: &str) {
    start(dir, arguments, 1, &[&format!("Fatal error : {expected}")]);
}

#[test]
fn version_and_help() {
    let dir = TempDir::new();
    for arguments in [
        &["--version"][..],
        &["-v"],
        &["-vh"],
        &["-v", "-z"],
        &["-p", "--version", "foo"],
        &["-f", "--version"],
        &["--", "--version"],
        &["--version", "--help"],
        &["-z", "--version"],
        &["-v", "-t", "x"],
    ] {
        let done = run(&dir, arguments);
        assert_eq!(
            (done.code(), done.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        let start = "chronyd (chrony) version 4.9 (+CMDMON ";
        assert!(done.stdout.starts_with(start), "{arguments:?}: {}", done.stdout);
    }
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["-xhz"],
        &["-l", "--help"],
        &["--help", "-v"],
        &["-t", "--help"],
    ] {
        let done = run(&dir, arguments);
        assert_eq!(
            (done.code(), done.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(
            done.stdout.starts_with("Usage: "),
            "{arguments:?}: {}",
            done.stdout
        );
        let options = done.stdout.lines().filter(|line| line.starts_with("  -")).count();
        assert_eq!(options, 23, "{}", done.stdout);
    }
}

#[test]
fn wrong_options() {
    let dir = TempDir::new();
    for (arguments, expected) in [
        (&["-z"][..], "invalid option -- 'z'"),
        (&["-pz"], "invalid option -- 'z'"),
        (&["-z", "-h"], "invalid option -- 'z'"),
        (&["--foo"], "invalid option -- '-'"),
        (&["--hel"], "invalid option -- '-'"),
        (&["--help=1"], "invalid option -- '-'"),
        (&["-:"], "invalid option -- ':'"),
        (&["-?"], "invalid option -- '?'"),
        (&["port 1", "-f"], "option requires an argument -- 'f'"),
        (&["-dt"], "option requires an argument -- 't'"),
        (&["-l"], "option requires an argument -- 'l'"),
        (&["-u"], "option requires an argument -- 'u'"),
        (&["-N"], "option requires an argument -- 'N'"),
        (&["-P"], "option requires an argument -- 'P'"),
        (&["-F"], "option requires an argument -- 'F'"),
        (&["-L"], "option requires an argument -- 'L'"),
    ] {
        let done = run(&dir, arguments);
        assert_eq!(done.code(), Some(1), "{arguments:?}");
        assert!(
            done.stdout.starts_with("Usage: "),
            "{arguments:?}: {}",
            done.stdout
        );
        let text = done.stderr.trim_end().rsplit("chronyd: ").next();
        assert_eq!(text, Some(expected), "{arguments:?}");
    }
    for option in ["-t", "-L", "-F", "-P", "-N"] {
        for value in ["abc", "", "-", "+-1", "x5"] {
            let done = run(&dir, &[option, value]);
            let expected = [format!("Fatal error : Invalid argument {value}")];
            assert_eq!(messages(&done.stderr), expected, "{option}");
            assert_eq!(
                (done.code(), done.stdout.as_str()),
                (Some(1), ""),
                "{option} {value}"
            );
        }
    }
    // The first wrong one counts.
    assert_eq!(
        messages(&run(&dir, &["-t", "x", "-z"]).stderr),
        ["Fatal error : Invalid argument x"]
    );
}

#[test]
fn options_in_any_place() {
    let dir = TempDir::new();
    for arguments in [
        &["-p", "port 1"][..],
        &["port 1", "-p"],
        &["port 1", "-xdpt0"],
        &["-46p", "port 1"],
        &["-pUmrRsx", "-qQ", "port 1"],
        &["-pf", "/nonexistent", "port 1"],
        &["-pf/nonexistent", "port 1"],
        &["-p", "-u", "nosuch", "port 1"],
        &["-p", "-unosuch", "-F7", "-P1000", "-N99", "port 1"],
        &["-t", "5abc", "-p", "port 1"],
        &["-t", "0x1", "-p", "port 1"],
        &["-t", " 5", "-p", "port 1"],
        &["-t-1", "-p", "port 1"],
        &["-t", "99999999999999999999", "-p", "port 1"],
        &["-p", "--", "port 1"],
    ] {
        let done = run(&dir, arguments);
        assert_eq!(
            (done.code(), done.stdout.as_str(), done.stderr.as_str()),
            (Some(0), "port 1\n", ""),
            "{arguments:?}"
        );
    }
    let done = run(&dir, &["-p", "-l", "log", "foo"]);
    assert_eq!(
        (done.code(), done.stdout.as_str(), done.stderr.as_str()),
        (Some(1), "foo\n", "")
    );
    let log = fs::read_to_string(dir.join("log")).unwrap();
    assert_eq!(messages(&log), ["Fatal error : Invalid directive foo at line 1"]);
}

#[test]
fn thresholds_of_messages() {
    let dir = TempDir::new();
    let warning = "commandkey directive is no longer supported";
    for (options, warned, started) in [
        (&["-p"][..], true, false),
        (&["-p", "-L", "0"], true, true),
        (&["-L", "0", "-p"], true, false),
        (&["-p", "-L", "1"], true, false),
        (&["-p", "-L", "2"], false, false),
        (&["-p", "-L9"], false, false),
        (&["-p", "-L-9"], true, true),
        (&["-L", "3", "-p", "-dd"], true, true),
    ] {
        let done = run(&dir, &[options, &["commandkey 1"]].concat());
        assert_eq!(done.code(), Some(0), "{options:?}");
        assert_eq!(
            done.stderr.contains(warning),
            warned,
            "{options:?}: {}",
            done.stderr
        );
        assert_eq!(
            done.stderr.contains("starting"),
            started,
            "{options:?}: {}",
            done.stderr
        );
    }
    // No build has debugging messages.
    let done = run(&dir, &["-d", "-p", "-d", "-L3", "port 1"]);
    assert!(
        done.stderr
            .contains("Z Debug messages missing in non-debug build\n"),
        "{}",
        done.stderr
    );
    let done = run(&dir, &["-p", "-L", "4", "foo"]);
    assert!(
        done.stderr
            .ends_with("Z Fatal error : Invalid directive foo at line 1\n")
    );
}

#[test]
fn options_of_a_start() {
    let dir = TempDir::new();
    runs(&dir, &[], &[]);
    start(&dir, &["local"], 0, &ENDED);
    start(&dir, &["-t", "-1", "-t", "0", "local"], 0, &ENDED);
    runs(
        &dir,
        &["-U", "-r", "-R", "-m", "-P", "0", "-F", "0", "-N", "-1"],
        &[],
    );
    runs(&dir, &["-4", "-6", "server 127.0.0.1", "server ::1"], &[]);
    runs(&dir, &["-4", "server ::1"], &[]);
    runs(&dir, &["-u", "nobody"], &[]);
    runs(&dir, &["user nosuch"], &[]);
    runs(&dir, &["-dd"], &["Debug messages missing in non-debug build"]);
    start(&dir, &["-L", "1"], 1, &[]);
    fails(&dir, &["-u", "nosuch"], "Could not get user/group ID of nosuch");
    fails(&dir, &["-P", "100"], "Bad scheduler priority: 100");
    fails(&dir, &["-P", "-1"], "Bad scheduler priority: -1");
    fails(&dir, &["sched_priority 100"], "Bad scheduler priority: 100");
    fails(&dir, &["-F", "3"], "Unsupported filter level");
    let unwritable = "Could not send notification requested by -N option";
    fails(&dir, &["-N", "99"], unwritable);
    // -N writes one line to a descriptor when ready; 1 is standard output here.
    let usual = [
        "-d",
        "-x",
        "-t0",
        "-u",
        "root",
        "port 0",
        "cmdport 0",
        "pidfile /",
        "bindcmdaddress /",
    ];
    let done = run(&dir, &[&usual[..], &["-N", "1"]].concat());
    assert_eq!((done.code(), done.stdout.as_str()), (Some(1), "\n"));
}

/// Numbers of `spec/config.md` section 14.
#[test]
fn wrong_configurations_at_start() {
    let dir = TempDir::new();
    let at = dir.display().to_string();
    let path = |name: &str| format!("{at}/{name}");
    // 8, 35, 46
    fails(
        &dir,
        &["pidfile /nonexistent/dir/pid"],
        "Could not open /nonexistent/dir/pid : No such file or directory",
    );
    fails(&dir, &["allow 1.2.3.4/33"], "Bad subnet in 1.2.3.4/33");
    fails(&dir, &["allow 2001:db8::/129"], "Bad subnet in 2001:db8::/129");
    for limit in ["ratelimit", "cmdratelimit"] {
        fails(
            &dir,
            &["noclientlog", limit],
            "Rate limiting cannot be enabled with noclientlog",
        );
    }
    // 31, 32
    let duplicate = "Could not add source 127.0.0.1";
    runs(
        &dir,
        &["server 127.0.0.1", "server 127.0.0.1 port 3", "peer 127.0.0.1"],
        &[duplicate, duplicate],
    );
    runs(&dir, &["server ::1 ipv4"], &["Could not add source ::1"]);
    // 49 and 50
    let zone = "Timezone Foo/Bar failed leap second check, ignoring";
    runs(&dir, &["leapsectz Foo/Bar"], &[zone]);
    runs(
        &dir,
        &["leapseclist /nonexistent"],
        &[
            "Failed to open leap seconds list /nonexistent",
            "Leap second list /nonexistent failed check, ignoring",
        ],
    );
    // 53 and 54
    runs(&dir, &["log tracking"], &["logdir not specified"]);
    runs(
        &dir,
        &["logdir /proc/foo", "log tracking"],
        &[
            "Could not create directory /proc/foo : No such file or directory",
            "Could not open /proc/foo/tracking.log : No such file or directory",
        ],
    );
    // 55
    let no_drift = "Could not open /nonexistent/drift.tmp : No such file or directory";
    start(
        &dir,
        &["driftfile /nonexistent/drift"],
        1,
        &[ENDED[0], ENDED[1], no_drift],
    );
    // 56
    let drift = dir.write("drift", "foo\n");
    let unread = format!(
        "Could not read valid frequency and skew from driftfile {}",
        drift.display()
    );
    runs(&dir, &[&format!("driftfile {}", drift.display())], &[&unread]);
    let written = fs::read_to_string(&drift).unwrap();
    assert_eq!(
        written.split_ascii_whitespace().collect::<Vec<_>>(),
        ["0.000000", "1000000.000000"]
    );
    // 57 to 59
    fails(
        &dir,
        &["acquisitionport 11123", "bindacqdevice nonexist0"],
        "Could not open NTP sockets",
    );
    runs(
        &dir,
        &["port 11123", "allow", "binddevice nonexist0"],
        &[
            "Could not open NTP socket on 0.0.0.0:11123",
            "Could not open NTP socket on [::]:11123",
        ],
    );
    runs(
        &dir,
        &["cmdport 13323", "bindcmddevice nonexist0"],
        &[
            "Could not open command socket on 127.0.0.1:13323",
            "Could not open command socket on [::1]:13323",
        ],
    );
    // 3 to 5
    dir.subdir("open", 0o755);
    dir.subdir("closed", 0o700);
    dir.write("file", "");
    let (open, closed, file) = (path("open"), path("closed"), path("file"));
    runs(
        &dir,
        &[&format!("bindcmdaddress {open}/s")],
        &[
            &format!("Wrong permissions on {open}"),
            &format!("Disabled command socket {open}/s"),
        ],
    );
    runs(
        &dir,
        &["-u", "nobody", &format!("bindcmdaddress {closed}/s")],
        &[
            &format!("Wrong owner of {closed} (UID != 65534)"),
            &format!("Disabled command socket {closed}/s"),
        ],
    );
    let not_directory = format!("{file} is not directory");
    runs(
        &dir,
        &[&format!("bindcmdaddress {file}/s")],
        &[
            &not_directory,
            &not_directory,
            &format!("Disabled command socket {file}/s"),
        ],
    );
    // 73
    runs(&dir, &["server 127.0.0.1 key 99"], &["Key 99 is missing"]);
    dir.write("keys", "2 ASCII:short\n");
    fs::set_permissions(dir.join("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    let keys = format!("keyfile {}", path("keys"));
    runs(
        &dir,
        &[&keys, "server 127.0.0.1 key 2"],
        &["Loaded 1 symmetric keys", "Key 2 is too short"],
    );
}

/// Section 14, 9 and 10.
#[test]
fn pid_files() {
    let dir = TempDir::new();
    let path = dir.join("pid");
    let directive = format!("pidfile {}", path.display());
    fs::write(&path, std::process::id().to_string()).unwrap();
    let running = format!(
        "Another chronyd may already be running (pid={}), check {}",
        std::process::id(),
        path.display()
    );
    fails(&dir, &[&directive], &running);
    for text in ["garbage", "-5", ""] {
        fs::write(&path, text).unwrap();
        runs(&dir, &[&directive], &[]);
        assert!(!path.exists(), "after {text}");
    }
    let target = dir.write("target", "text");
    symlink(&target, &path).unwrap();
    runs(&dir, &[&directive], &[]);
    assert!(fs::symlink_metadata(&path).is_err());
    assert_eq!(fs::read_to_string(&target).unwrap(), "text");
}

/// Section 14, 11, 13 and 14: where the text of a fatal error goes.
#[test]
fn fatal_errors_are_seen() {
    let dir = TempDir::new();
    let log = dir.join("log");
    let to_log = log.to_str().unwrap();
    let logged = || {
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        messages(&text)
    };
    let invalid = "Invalid directive foo at line 1";
    let done = run(&dir, &["-x", "-l", to_log, "foo"]);
    assert_eq!((done.code(), done.stderr), (Some(1), format!("{invalid}\n")));
    assert_eq!(logged(), [format!("Fatal error : {invalid}")]);
    let done = run(&dir, &["-d", "-x", "-l", to_log, "foo"]);
    assert_eq!((done.code(), done.stderr.as_str()), (Some(1), ""));
    assert_eq!(logged(), [format!("Fatal error : {invalid}")]);
    let done = run(&dir, &["-n", "-x", "foo"]);
    assert_eq!(
        (done.code(), done.stderr),
        (Some(1), format!("Fatal error : {invalid}\n"))
    );
}

/// Section 14, 18 to 23 without those that need a server.
#[test]
fn once_and_end() {
    let dir = TempDir::new();
    let none = "No suitable source for synchronisation";
    for (arguments, expected) in [
        (&["port 0"][..], none),
        (&["server 127.0.0.1 offline"], none),
        (&["-t", "1", "server 127.0.0.1 noselect"], "Timeout reached"),
    ] {
        let done = run(&dir, &[&["-Q", "-u", "root"], arguments].concat());
        assert_eq!(
            messages(&done.stderr),
            [expected, "chronyd exiting"],
            "{arguments:?}"
        );
        assert_eq!(done.code(), Some(1), "{arguments:?}");
    }
}

/// Section 14, 63 and 64. Of our own program alone: a copy of it is all that another user needs.
#[test]
fn without_root() {
    let as_nobody = |arguments: &[&str]| {
        let program = std::env::temp_dir().join(format!("chronyd-{}", std::process::id()));
        fs::copy(ours().chronyd, &program).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let done = finish(command.arg(&program).args(arguments), LIMIT);
        fs::remove_file(program).unwrap();
        (done.code(), messages(&done.stderr))
    };
    let superuser = vec!["Fatal error : Not superuser".to_owned()];
    assert_eq!(as_nobody(&["-d", "-x", "port 0"]), (Some(1), superuser.clone()));
    assert_eq!(as_nobody(&["-q", "-x", "port 0"]), (Some(1), superuser));
    assert_eq!(as_nobody(&["-p", "port 0"]), (Some(0), vec![]));
    let none = ["No suitable source for synchronisation", "chronyd exiting"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(as_nobody(&["-Q", "-u", "nobody", "port 0"]), (Some(1), none));
}
