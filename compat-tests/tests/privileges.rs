//! What the daemon may do after its start as root, and what its files look like (`spec/files-and-security.md`
//! sections 1, 2 and 7).

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use compat_tests::kernel::KernelClockGuard;
use compat_tests::{Chronyd, Finished, LIMIT, Namespace, Process, Programs, TempDir};
use compat_tests::{finish, ours, reference, subject, until};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;

const NET_BIND_SERVICE: u64 = 1 << 10;
const SYS_TIME: u64 = 1 << 25;

/// Makes a directory in which everybody may look around, and one for state that belongs to `nobody`.
fn directory() -> TempDir {
    let dir = TempDir::new();
    let state = dir.subdir("state", 0o750);
    chown(state, Some(NOBODY), Some(NOBODY)).unwrap();
    dir
}

/// A daemon that is started as root and becomes `nobody`. `umask` is inherited from whoever starts it.
fn command(programs: &Programs, namespace: &Namespace, dir: &TempDir, umask: &str, lines: &str) -> Command {
    let at = dir.display();
    let conf = dir.write(
        "chrony.conf",
        format!(
            "user nobody\npidfile {at}/run/pid\nbindcmdaddress {at}/run/chronyd.sock\ndriftfile {at}/state/drift\n\
             dumpdir {at}/dumps\nlogdir {at}/logs\nlog tracking measurements statistics\ncmdport 0\n{lines}\n"
        ),
    );
    let mut command = namespace.command("sh");
    command.args(["-c", "umask $0; exec \"$@\"", umask]);
    command.arg(&programs.chronyd).args(["-d", "-f"]).arg(conf);
    command
}

fn chronyc(programs: &Programs, dir: &TempDir, arguments: &[&str]) -> Finished {
    let mut command = Command::new(&programs.chronyc);
    command
        .args(programs.stay_root())
        .arg("-h")
        .arg(dir.join("run/chronyd.sock"));
    finish(command.args(arguments), LIMIT)
}

fn wait_for_socket(process: &mut Process, dir: &TempDir) {
    until(LIMIT, "the command socket", || {
        assert!(process.ended().is_none(), "{}", process.log());
        dir.join("run/chronyd.sock").exists().then_some(())
    });
}

/// `/proc/PID/status`
fn status(pid: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// Processes that one has started.
fn children(pid: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |child: &u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(pid)
    };
    numbers.filter(is_child).collect()
}

/// Checks that a process has been given up by root, with exactly these capabilities.
fn assert_power(pid: u32, expected: u64) {
    let status = status(pid);
    let set = |name: &str| u64::from_str_radix(&status[name], 16).unwrap();
    assert_eq!(
        [set("CapPrm"), set("CapEff"), set("CapInh"), set("CapAmb")],
        [expected, expected, 0, 0],
        "{status:#?}"
    );
    let id = [
        NOBODY.to_string(),
        NOBODY.to_string(),
        NOBODY.to_string(),
        NOBODY.to_string(),
    ]
    .join("\t");
    assert_eq!([&status["Uid"], &status["Gid"]], [&id, &id]);
    assert_eq!(status["Groups"], "");
}

#[test]
fn exactly_the_capabilities_that_are_needed() {
    let namespace = Namespace::new();
    let _clock = KernelClockGuard::new();
    for (lines, options, expected) in [
        ("", &[][..], SYS_TIME | NET_BIND_SERVICE),
        ("port 11123", &[], SYS_TIME),
        ("", &["-x"], NET_BIND_SERVICE),
        ("port 0", &["-x"], 0),
        ("allow", &["-x", "-F", "1"], NET_BIND_SERVICE),
    ] {
        let dir = directory();
        let mut command = command(&subject(), &namespace, &dir, "022", lines);
        let mut daemon = Process::start(command.args(options), &dir.join("log"));
        wait_for_socket(&mut daemon, &dir);
        assert_power(daemon.pid(), expected);
        if options.contains(&"-F") {
            daemon.wait_log("Loaded seccomp filter", LIMIT);
            // The one that looks names up.
            let helpers = children(daemon.pid());
            assert_eq!(helpers.len(), 1, "{helpers:?}");
            assert_power(helpers[0], 0);
        }
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
}

/// Of our own alone: fewer than chrony keeps.
#[test]
fn a_port_that_nobody_can_open_again_takes_no_capability() {
    let namespace = Namespace::new();
    let dir = directory();
    let mut closed = command(
        &ours(),
        &namespace,
        &dir,
        "022",
        "bindcmdaddress /\npidfile /\nallow",
    );
    let mut daemon = Process::start(closed.arg("-x"), &dir.join("log"));
    let tracking = dir.join("logs/tracking.log");
    until(LIMIT, "the first line of a log", || {
        tracking.exists().then_some(())
    });
    until(LIMIT, "the drop of rights", || {
        (status(daemon.pid())["CapPrm"] == "0000000000000000").then_some(())
    });
    assert_power(daemon.pid(), 0);
    assert!(
        namespace.enter(|| UdpSocket::bind("0.0.0.0:123")).is_err(),
        "it does serve"
    );
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_low_port_is_opened_later() {
    let namespace = Namespace::new();
    for filter in ["0", "1"] {
        let dir = directory();
        let mut command = command(&subject(), &namespace, &dir, "022", "");
        let mut daemon = Process::start(command.args(["-x", "-F", filter]), &dir.join("log"));
        wait_for_socket(&mut daemon, &dir);
        let is_free = || namespace.enter(|| UdpSocket::bind("0.0.0.0:123")).is_ok();
        assert!(is_free());
        chronyc(&subject(), &dir, &["allow", "10.0.0.0/8"]).ok();
        assert!(!is_free(), "{}", daemon.log());
        chronyc(&subject(), &dir, &["deny", "all"]).ok();
        assert!(is_free());
        chronyc(&subject(), &dir, &["allow", "10.0.0.0/8"]).ok();
        assert!(!is_free(), "{}", daemon.log());
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
}

/// Of our own alone: `no_new_privs` is chrony's with a filter only, we limit access to files in any case.
#[test]
fn nothing_can_be_won_back() {
    let namespace = Namespace::new();
    for (options, expected) in [
        (&["-x"][..], ["1", "0"]),
        (&["-x", "-F", "0"], ["0", "0"]),
        (&["-x", "-F", "2"], ["1", "2"]),
    ] {
        let dir = directory();
        let mut command = command(&ours(), &namespace, &dir, "022", "");
        let mut daemon = Process::start(command.args(options), &dir.join("log"));
        wait_for_socket(&mut daemon, &dir);
        until(LIMIT, "limits", || {
            let status = status(daemon.pid());
            ([&status["NoNewPrivs"], &status["Seccomp"]] == expected).then_some(())
        });
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
}

/// Name, type, mode and owner of everything below a directory.
fn listing(base: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = vec![base.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let kind = if found.is_dir() {
                'd'
            } else if found.file_type().is_socket() {
                's'
            } else {
                '-'
            };
            let mode = found.permissions().mode() & 0o7777;
            let name = path.strip_prefix(base).unwrap().display();
            lines.push(format!("{kind}{mode:04o} {}:{} {name}", found.uid(), found.gid()));
            // What others could write in must be out of their sight.
            let within = fs::metadata(path.parent().unwrap()).unwrap().permissions().mode();
            assert!(
                mode & 0o002 == 0 || kind == 's' && within & 0o001 == 0,
                "{lines:?}"
            );
            if found.is_dir() {
                left.push(path);
            }
        }
    }
    lines.sort();
    lines
}

/// All files of a running daemon and those that it leaves behind.
fn files(programs: &Programs, server: &Namespace, umask: &str) -> [Vec<String>; 2] {
    let dir = directory();
    let mut command = command(
        programs,
        server,
        &dir,
        umask,
        "port 0\nserver 127.0.0.1 iburst minpoll 0",
    );
    let mut daemon = Process::start(
        command.arg("-x").arg("-l").arg(dir.join("messages")),
        &dir.join("log"),
    );
    wait_for_socket(&mut daemon, &dir);
    for name in ["statistics", "measurements", "tracking"] {
        let path = dir.join(format!("logs/{name}.log"));
        until(LIMIT, "the logs", || path.exists().then_some(()));
    }
    // One more file, and its rights.
    chronyc(programs, &dir, &["dump"]).ok();
    let running = listing(&dir);
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    [running, listing(&dir)]
}

#[test]
fn files_have_the_rights_of_chronys() {
    let server = Namespace::new();
    let _server = Chronyd::new(&ours())
        .config("local stratum 1\nallow 127.0.0.0/8")
        .within(&server)
        .start();
    for umask in ["022", "077", "000"] {
        let (ours, theirs) = (
            files(&ours(), &server, umask),
            files(&reference(), &server, umask),
        );
        assert_eq!(ours, theirs, "umask {umask}");
        // All of section 1 that this build can write is there.
        for name in [
            "run/pid",
            "run/chronyd.sock",
            "logs/tracking.log",
            "dumps/127.0.0.1.dat",
            "messages",
        ] {
            assert!(
                ours[0].iter().any(|line| line.ends_with(name)),
                "{name} in {ours:?}"
            );
        }
        assert!(
            ours[1].iter().any(|line| line.ends_with("state/drift")),
            "{ours:?}"
        );
    }
}

#[test]
fn the_directory_of_the_command_socket() {
    let namespace = Namespace::new();
    for (mode, uid, gid) in [
        (0o770, NOBODY, NOBODY),
        (0o700, NOBODY, NOBODY),
        (0o000, NOBODY, NOBODY),
        (0o771, NOBODY, NOBODY),
        (0o1770, NOBODY, NOBODY),
        (0o2750, NOBODY, NOBODY),
        (0o750, 0, NOBODY),
        (0o750, NOBODY, 0),
    ] {
        let said = |programs: &Programs| {
            let dir = directory();
            let run = dir.subdir("run", 0o700);
            chown(&run, Some(uid), Some(gid)).unwrap();
            fs::set_permissions(&run, fs::Permissions::from_mode(mode)).unwrap();
            let mut command = command(programs, &namespace, &dir, "022", "port 0");
            let done = finish(command.args(["-x", "-t", "1"]), LIMIT);
            let at = dir.display().to_string();
            let about = |line: &&str| line.contains("run");
            let lines = done
                .stderr
                .lines()
                .filter_map(|line| Some(line.split_once("Z ")?.1))
                .filter(about);
            lines.map(|line| line.replace(&at, "AT")).collect::<Vec<_>>()
        };
        let ours = said(&ours());
        assert_eq!(ours, said(&reference()), "{mode:o} {uid}:{gid}");
        let fine = mode & 0o777 & !0o770 == 0 && (uid, gid) == (NOBODY, NOBODY) && mode != 0;
        assert_eq!(ours.is_empty(), fine, "{mode:o} {uid}:{gid}: {ours:?}");
    }
}

/// Messages about a key file of this mode and owner.
fn about_keys(programs: &Programs, namespace: &Namespace, mode: u32, owner: u32) -> Vec<String> {
    let dir = directory();
    let path = dir.write("keys", "1 SHA1 HEX:000102030405060708090A0B0C0D0E0F\n");
    chown(&path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let lines = format!("port 0\nkeyfile {}", path.display());
    let mut command = command(programs, namespace, &dir, "022", &lines);
    let done = finish(command.args(["-x", "-t", "0"]), LIMIT);
    let at = dir.display().to_string();
    let lines = done
        .stderr
        .lines()
        .filter_map(|line| Some(line.split_once("Z ")?.1));
    lines
        .filter(|line| line.contains("key"))
        .map(|line| line.replace(&at, "AT"))
        .collect()
}

#[test]
fn warnings_about_the_key_file() {
    let namespace = Namespace::new();
    for owner in [0, NOBODY] {
        for mode in [
            0o600, 0o640, 0o440, 0o000, 0o200, 0o660, 0o700, 0o770, 0o610, 0o601, 0o602, 0o604, 0o606, 0o644,
            0o666, 0o777, 0o1600, 0o2640, 0o4600,
        ] {
            let said = |programs: &Programs| about_keys(programs, &namespace, mode, owner);
            assert_eq!(said(&ours()), said(&reference()), "{mode:o} of {owner}");
        }
    }
}

/// What `/proc` says about priority (scheduler, real-time priority), and whether memory is locked.
fn urgency(pid: u32) -> (String, bool) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Numbers 40 and 41 of proc(5), whose first two are cut off.
    (fields[37..39].join(" "), status(pid)["VmLck"] != "0 kB")
}

#[test]
fn priority_and_locked_memory() {
    let namespace = Namespace::new();
    let mut found = Vec::new();
    for programs in [ours(), reference()] {
        for options in [&["-P", "5", "-m", "-F", "1"][..], &["-m"], &[]] {
            let dir = directory();
            let lines = if options.is_empty() {
                "lock_all\nsched_priority 7"
            } else {
                "port 0"
            };
            let mut command = command(&programs, &namespace, &dir, "022", lines);
            let mut daemon = Process::start(command.arg("-x").args(options), &dir.join("log"));
            wait_for_socket(&mut daemon, &dir);
            let log = daemon.log();
            // Machines that do not allow it, do not allow it to both.
            let refused = [
                "pthread_setschedparam() failed",
                "setrlimit() failed",
                "mlockall() failed",
            ]
            .map(|text| log.contains(text));
            let urgency = urgency(daemon.pid());
            assert_eq!(urgency.1, !refused[1] && !refused[2], "{log}");
            assert_eq!(daemon.stop().code(), Some(0), "{log}");
            found.push((urgency, refused));
        }
    }
    let (ours, theirs) = found.split_at(3);
    assert_eq!(ours, theirs);
    if !ours[0].1[0] {
        assert_eq!([&ours[0].0.0, &ours[1].0.0, &ours[2].0.0], ["5 1", "0 0", "7 1"]);
    }
}
