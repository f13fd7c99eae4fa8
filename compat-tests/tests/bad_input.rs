//! What must not hurt: wrong configurations and surroundings end with a message and an exit status, wrong datagrams
//! are dropped or answered as chrony does, and the daemon lives on.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use compat_tests::harmless::HARMLESS;
use compat_tests::programs::subject_is_reference;
use compat_tests::{Chronyd, Finished, LIMIT, Namespace, Programs, TempDir, finish, ours, subject, within};

/// Lines that keep a daemon away from the machine's own files and ports.
fn alone(dir: &Path) -> String {
    let at = dir.display();
    format!("user root\nport 0\ncmdport 0\npidfile {at}/pid\nbindcmdaddress {at}/run/chronyd.sock\n")
}

/// Runs a daemon that should end by itself, after a second at the latest.
fn run(programs: &Programs, arguments: &[&str]) -> Finished {
    let mut command = Command::new(&programs.chronyd);
    finish(command.args(["-x", "-t", "1"]).args(arguments), LIMIT)
}

/// Checks for status 1 and the message as the last line of standard error, behind a time stamp.
fn assert_fatal(done: &Finished, message: &str) {
    assert_eq!(done.code(), Some(1), "{done:?}");
    let last = done.stderr.lines().last().unwrap_or_default();
    let (stamp, text) = last.split_once(' ').unwrap_or_default();
    assert_eq!(text, format!("Fatal error : {message}"), "{done:?}");
    assert_eq!((stamp.len(), stamp.ends_with('Z')), (20, true), "{done:?}");
}

/// Whether a line of the log ends with the text.
fn says(log: &str, text: &str) -> bool {
    log.lines().any(|line| line.get(21..).is_some_and(|l| l == text))
}

#[test]
fn wrong_lines_in_a_file() {
    for (line, message) in [
        ("foo bar", "Invalid directive foo"),
        (
            "port 65536",
            "Invalid value 65536 in port directive (min 0, max 65535)",
        ),
        ("port abc", "Could not parse port directive"),
        ("port", "Missing arguments for port directive"),
        ("driftfile", "Could not parse driftfile directive"),
        ("port 1 2", "Too many arguments for port directive"),
        ("server", "Invalid syntax for server directive"),
        ("server a.example foo", "Invalid option in server directive"),
        ("server a.example minpoll x", "Invalid value in server directive"),
        ("log Measurements", "Invalid log parameter"),
        ("allow 1.2.3.4.5", "Could not parse allow directive"),
    ] {
        let dir = TempDir::new();
        let conf = dir.write("chrony.conf", format!("{}{line}\n", alone(&dir)));
        let conf = conf.to_str().unwrap();
        assert_fatal(
            &run(&subject(), &["-d", "-f", conf]),
            &format!("{message} at line 6 in file {conf}"),
        );
    }
}

#[test]
fn wrong_directives_as_arguments() {
    assert_fatal(
        &run(&subject(), &["-d", "cmdport 0", "port abc"]),
        "Could not parse port directive at line 2",
    );
    assert_fatal(
        &run(&subject(), &["-d", "foo"]),
        "Invalid directive foo at line 1",
    );
}

#[test]
fn missing_file() {
    let missing = "/nonexistent/chrony.conf";
    let message = format!("Could not open {missing} : No such file or directory");
    assert_fatal(&run(&subject(), &["-d", "-f", missing]), &message);
}

#[test]
fn wrong_options() {
    let done = run(&subject(), &["-d", "-Z"]);
    assert_eq!(done.code(), Some(1), "{done:?}");
    assert!(done.stderr.ends_with(": invalid option -- 'Z'\n"), "{done:?}");
    assert!(done.stdout.starts_with("Usage: "), "{done:?}");
    assert_fatal(&run(&subject(), &["-d", "-t", "abc"]), "Invalid argument abc");
}

#[test]
fn pipes_in_place_of_files() {
    // chrony waits for somebody to write.
    if subject_is_reference() {
        return;
    }
    let dir = TempDir::new();
    let at = dir.display();
    dir.subdir("run", 0o700);
    for name in ["dump", "logs", "conf", "sources"] {
        dir.subdir(name, 0o755);
    }
    for name in [
        "drift",
        "keys",
        "leap",
        "zone",
        "points",
        "sensor",
        "dump/127.0.0.9.dat",
        "logs/measurements.log",
        "sources/a.sources",
    ] {
        mkfifo(&dir.join(name), Mode::from_bits_truncate(0o640)).unwrap();
    }
    let conf = dir.write(
        "chrony.conf",
        format!(
            "{}driftfile {at}/drift\nkeyfile {at}/keys\nleapseclist {at}/leap\nleapsectz {at}/zone\n\
             tempcomp {at}/sensor 1 26000 0 0.000183 0\ndumpdir {at}/dump\nlogdir {at}/logs\nlog measurements\n\
             sourcedir {at}/sources\nserver 127.0.0.9 iburst\n",
            alone(&dir)
        ),
    );
    let done = run(&subject(), &["-r", "-d", "-f", conf.to_str().unwrap()]);
    assert!(done.stderr.contains("Timeout reached"), "{done:?}");
    for name in ["drift", "keys", "leap", "zone", "dump/127.0.0.9.dat"] {
        let wanted = format!("Could not read {at}/{name} : Is a named pipe, not a file");
        assert!(says(&done.stderr, &wanted), "{wanted}: {done:?}");
    }
    // Without its points there is no compensation at all; a pipe among included files is an error, too.
    let points = dir.join("points");
    for (line, message) in [
        (
            format!("tempcomp {at}/sensor 1 {}", points.display()),
            format!(
                "Could not open {} : Is a named pipe, not a file",
                points.display()
            ),
        ),
        (
            format!("include {}", points.display()),
            format!(
                "Could not open {} : Is a named pipe, not a file",
                points.display()
            ),
        ),
    ] {
        let conf = dir.write("chrony.conf", format!("{}{line}\n", alone(&dir)));
        let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
        assert_eq!(done.code(), Some(1), "{done:?}");
        assert!(done.stderr.trim_end().ends_with(&message), "{done:?}");
    }
    // A log without a reader.
    let log = dir.join("logs/measurements.log");
    let done = run(&subject(), &["-l", log.to_str().unwrap(), "-n", "port 0"]);
    assert_eq!(done.code(), Some(1), "{done:?}");
    assert!(done.stderr.contains("No such device or address"), "{done:?}");
}

#[test]
fn where_the_message_goes() {
    let dir = TempDir::new();
    let log = dir.join("messages");
    let text = "Invalid directive foo at line 1";
    // As a daemon: the waiting parent says it plainly, the log has it with time stamp.
    let done = run(&subject(), &["-l", log.to_str().unwrap(), "foo"]);
    assert_eq!((done.code(), done.stderr.trim_end()), (Some(1), text), "{done:?}");
    assert!(says(
        &fs::read_to_string(&log).unwrap(),
        &format!("Fatal error : {text}")
    ));
    // In the foreground with a log file: only there.
    fs::remove_file(&log).unwrap();
    let done = run(&subject(), &["-d", "-l", log.to_str().unwrap(), "foo"]);
    assert_eq!((done.code(), done.stderr.as_str()), (Some(1), ""), "{done:?}");
    assert!(says(
        &fs::read_to_string(&log).unwrap(),
        &format!("Fatal error : {text}")
    ));
    // In the foreground with syslog: also to standard error, without time stamp.
    let done = run(&subject(), &["-n", "foo"]);
    assert_eq!(
        (done.code(), done.stderr.trim_end()),
        (Some(1), format!("Fatal error : {text}").as_str()),
        "{done:?}"
    );
}

#[test]
fn ports_in_use() {
    let namespace = Namespace::new();
    let taken = namespace.enter(|| {
        let v4 = [123, 323].map(|port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        let v6 = [123, 323].map(|port| UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).unwrap());
        (v4, v6)
    });
    let mut daemon = Chronyd::new(&subject())
        .within(&namespace)
        .config("allow\nlocal")
        .start();
    for socket in [
        "NTP socket on 0.0.0.0:123",
        "command socket on 127.0.0.1:323",
        "command socket on [::1]:323",
    ] {
        daemon.wait_log(&format!("Could not open {socket}"), LIMIT);
    }
    // It goes on with what it has.
    assert!(daemon.chronyc(&["tracking"]).ok().contains("7F7F0101"));
    assert_eq!(daemon.stop().code(), Some(0));
    drop(taken);
}

#[test]
fn no_capability_to_set_the_clock() {
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    let conf = dir.write("chrony.conf", alone(&dir));
    let mut command = Command::new(HARMLESS[0]);
    command.args(&HARMLESS[1..]).arg(subject().chronyd);
    let done = finish(command.args(["-d", "-t", "1", "-f"]).arg(conf), LIMIT);
    assert_fatal(&done, NOT_PERMITTED);
    assert!(says(&done.stderr, "CAP_SYS_TIME not present"), "{done:?}");
    if !subject_is_reference() {
        assert_advised(&done);
    }
}

const NOT_PERMITTED: &str = "adjtimex(0x8001) failed : Operation not permitted";

/// Checks for our one line more, before the last: what is missing, and the two ways out.
fn assert_advised(done: &Finished) {
    let advice = done.stderr.lines().rev().nth(1).unwrap_or_default();
    for part in ["CAP_SYS_TIME", "--cap-add SYS_TIME", "use -x"] {
        assert!(advice.contains(part), "no '{part}' in {advice}");
    }
    let about = |line: &&str| line.contains("cap-add");
    assert_eq!(done.stderr.lines().filter(about).count(), 1, "{done:?}");
}

/// Of our own program alone: a copy of it is all that another user needs.
#[test]
fn no_right_to_set_the_clock_as_another_user() {
    let dir = TempDir::new();
    fs::set_permissions(&*dir, fs::Permissions::from_mode(0o777)).unwrap();
    let program = dir.join("chronyd");
    fs::copy(ours().chronyd, &program).unwrap();
    let usual = [
        "-d",
        "-U",
        "-t",
        "1",
        "port 0",
        "cmdport 0",
        "pidfile /",
        "bindcmdaddress /",
    ];
    // A service with the user `nobody` and `NoNewPrivileges`, without `AmbientCapabilities`.
    let mut other = Command::new("setpriv");
    other.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
    ]);
    // The root of a container without root.
    let mut rootless = Command::new("unshare");
    rootless.args(["--user", "--map-root-user"]);
    for (mut command, user) in [(other, "nobody"), (rootless, "root")] {
        let done = finish(command.arg(&program).args(["-u", user]).args(usual), LIMIT);
        assert_fatal(&done, NOT_PERMITTED);
        assert_advised(&done);
        // The second way out.
        let done = finish(command.arg("-x"), LIMIT);
        assert_eq!(done.code(), Some(1), "{done:?}");
        assert!(says(&done.stderr, "Timeout reached"), "{done:?}");
    }
}

#[test]
fn not_root() {
    // In an empty user namespace everybody is nobody.
    let mut command = Command::new("unshare");
    command.arg("--user").arg(subject().chronyd);
    assert_fatal(
        &finish(command.args(["-d", "-x", "-t", "1", "port 0"]), LIMIT),
        "Not superuser",
    );
}

#[test]
fn unknown_user() {
    let dir = TempDir::new();
    let conf = dir.write("chrony.conf", alone(&dir));
    let done = run(
        &subject(),
        &["-d", "-u", "nosuchuser", "-f", conf.to_str().unwrap()],
    );
    assert_fatal(&done, "Could not get user/group ID of nosuchuser");
}

#[test]
fn files_that_cannot_be_written() {
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    let text = alone(&dir).replace(&format!("{}/pid", dir.display()), "/nonexistent/dir/pid");
    let conf = dir.write("chrony.conf", text);
    let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
    assert_fatal(
        &done,
        "Could not open /nonexistent/dir/pid : No such file or directory",
    );

    let lines = "logdir /proc/foo\nlog tracking\ndriftfile /nonexistent/drift\n";
    let conf = dir.write("chrony.conf", alone(&dir) + lines);
    let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
    assert_eq!(done.code(), Some(1), "{done:?}");
    for message in [
        "Could not create directory /proc/foo : No such file or directory",
        "Could not open /proc/foo/tracking.log : No such file or directory",
        "Timeout reached",
        "chronyd exiting",
        "Could not open /nonexistent/drift.tmp : No such file or directory",
    ] {
        assert!(says(&done.stderr, message), "'{message}' in {}", done.stderr);
    }
}

#[test]
fn socket_directory_open_to_others() {
    let dir = TempDir::new();
    let run_dir = dir.subdir("run", 0o755);
    let conf = dir.write("chrony.conf", alone(&dir) + "local\n");
    let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
    assert_eq!(done.code(), Some(0), "{done:?}");
    assert!(
        says(
            &done.stderr,
            &format!("Wrong permissions on {}", run_dir.display())
        ),
        "{done:?}"
    );
    let disabled = format!("Disabled command socket {}/chronyd.sock", run_dir.display());
    assert!(says(&done.stderr, &disabled), "{done:?}");
}

#[test]
fn another_instance_may_be_running() {
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    let conf = dir.write("chrony.conf", alone(&dir) + "local\n");
    let own = std::process::id();
    let pid = dir.write("pid", format!("{own}\n"));
    let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
    assert_fatal(
        &done,
        &format!(
            "Another chronyd may already be running (pid={own}), check {}",
            pid.display()
        ),
    );
    assert_eq!(
        fs::read_to_string(&pid).unwrap(),
        format!("{own}\n"),
        "the other's file must stay"
    );
    // Garbage is replaced, and the file removed in the end.
    dir.write("pid", "garbage");
    assert_eq!(
        run(&subject(), &["-d", "-f", conf.to_str().unwrap()]).code(),
        Some(0)
    );
    assert!(!pid.exists());
}

#[test]
fn wrong_key_file_and_drift_file() {
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    let keys = dir.write(
        "keys",
        "1 MD5 HEX:zz\n2 FOO abc\nx\n3 SHA1 HEX:0011223344556677889900112233445566778899\n",
    );
    let drift = dir.write("drift", "not a number\n");
    let lines = format!(
        "local\nkeyfile {}\ndriftfile {}\n",
        keys.display(),
        drift.display()
    );
    let conf = dir.write("chrony.conf", alone(&dir) + &lines);
    let done = run(&subject(), &["-d", "-f", conf.to_str().unwrap()]);
    assert_eq!(done.code(), Some(0), "{done:?}");
    for message in [
        String::from("Could not decode key 1"),
        format!("Could not parse key at line 3 in file {}", keys.display()),
        String::from("Loaded 1 symmetric keys"),
        format!(
            "Could not read valid frequency and skew from driftfile {}",
            drift.display()
        ),
    ] {
        assert!(says(&done.stderr, &message), "'{message}' in {}", done.stderr);
    }
}

#[test]
fn signals_end_it_in_order() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        let mut daemon = Chronyd::new(&subject()).config("port 0\ncmdport 0").start();
        let pid = daemon.dir.join("chronyd.pid");
        assert!(within(LIMIT, || pid.exists()));
        daemon.signal(signal);
        assert_eq!(daemon.wait(LIMIT).code(), Some(0), "{signal}");
        assert!(says(&daemon.log(), "chronyd exiting"), "{signal}");
        assert!(!pid.exists() && !daemon.socket.exists(), "{signal}");
        assert!(daemon.dir.join("drift").exists(), "{signal}");
    }
}
