//! Where messages go, and with which severity: the system log, and the journal with fields, where our entries are held
//! against what chrony writes to the system log. The daemon runs in a mount namespace with sockets of ours in place of
//! the machine's.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Programs, TempDir, finish, ours, reference};

/// Number of the facility `daemon`.
const DAEMON: u32 = 3;

/// One message.
#[derive(Debug)]
struct Entry {
    severity: u32,
    text: String,
    /// All fields of an entry in the journal, without those two.
    fields: BTreeMap<String, String>,
}

/// The shell's part: hides the machine's system log or journal behind the socket `$1`, then runs the rest.
const TO_SYSLOG: &str = "
    at=$(dirname \"$1\")/dev; mkdir \"$at\"; mount -t tmpfs none \"$at\"
    for name in null zero random urandom; do : > \"$at/$name\"; mount --bind /dev/$name \"$at/$name\"; done
    : > \"$at/log\"; mount --bind \"$1\" \"$at/log\"; mount --move \"$at\" /dev
    shift; exec \"$@\"";
const TO_JOURNAL: &str = "
    mount -t tmpfs none /run; mkdir -p /run/systemd/journal
    : > /run/systemd/journal/socket; mount --bind \"$1\" /run/systemd/journal/socket
    export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)
    shift; exec \"$@\"";

/// Runs a daemon to its end; gives what arrived at the socket, and what it wrote to standard error.
fn run(
    script: &str,
    programs: &Programs,
    namespace: &Namespace,
    arguments: &[&str],
) -> (Vec<Vec<u8>>, String) {
    let dir = TempDir::new();
    let path = dir.join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    // The longest queue that there is without root is short, so it is read all the time.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut datagrams = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            while let Ok(length) = socket.recv(&mut buffer) {
                datagrams.push(buffer[..length].to_vec());
            }
            if stopped.recv_timeout(Duration::from_millis(20))
                != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                // What came last is in the queue already.
                while let Ok(length) = socket.recv(&mut buffer) {
                    datagrams.push(buffer[..length].to_vec());
                }
                return datagrams;
            }
        }
    });
    let mut command = namespace.command("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-e",
        "-c",
        script,
        "sh",
    ]);
    command.arg(&path).arg(&programs.chronyd).args(arguments);
    let done = finish(&mut command, LIMIT);
    drop(stop);
    (reader.join().unwrap(), done.stderr)
}

fn syslog(programs: &Programs, namespace: &Namespace, arguments: &[&str]) -> (Vec<Entry>, String) {
    let (datagrams, stderr) = run(TO_SYSLOG, programs, namespace, arguments);
    let entry = |datagram: Vec<u8>| {
        // `<30>Nov 21 12:00:00 chronyd[123]: text`
        let text = String::from_utf8(datagram).unwrap();
        let (priority, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
        let priority: u32 = priority.parse().unwrap();
        assert_eq!(priority / 8, DAEMON, "{text}");
        let (ident, text) = rest.split_at(16).1.split_once("]: ").unwrap();
        let (name, pid) = ident.split_once('[').unwrap();
        assert!(name == "chronyd" && pid.parse::<u32>().is_ok(), "{rest}");
        Entry {
            severity: priority % 8,
            text: text.trim_end_matches('\0').to_owned(),
            fields: BTreeMap::new(),
        }
    };
    (datagrams.into_iter().map(entry).collect(), stderr)
}

fn journal(programs: &Programs, namespace: &Namespace, arguments: &[&str]) -> (Vec<Entry>, String) {
    let (datagrams, stderr) = run(TO_JOURNAL, programs, namespace, arguments);
    let entry = |datagram: Vec<u8>| {
        let mut fields = fields(&datagram);
        Entry {
            severity: fields.remove("PRIORITY").unwrap().parse().unwrap(),
            text: fields.remove("MESSAGE").unwrap(),
            fields,
        }
    };
    // The first one, without anything, only tries whether there is a journal.
    let entries = datagrams.into_iter().filter(|datagram| !datagram.is_empty());
    (entries.map(entry).collect(), stderr)
}

/// The journal's native protocol: `NAME=value` and a newline, or `NAME`, newline, length (8 bytes, little-endian), value,
/// newline.
fn fields(mut rest: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let (length, after) = rest.split_first_chunk().unwrap();
                let (value, after) = after.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
                rest = after.strip_prefix(b"\n").unwrap();
                (line, String::from_utf8(value.to_vec()).unwrap())
            }
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// A life with messages of all severities, and one that ends at once. `read` gives the entries of one run.
fn lives(read: impl Fn(&[&str]) -> (Vec<Entry>, String), drift: &Path) -> (Vec<Entry>, Vec<Entry>, String) {
    let drift_file = format!("driftfile {}", drift.display());
    let usual = [
        "-n",
        "-x",
        "-u",
        "root",
        "port 0",
        "pidfile /",
        "bindcmdaddress /",
        "cmdport 0",
    ];
    let source = "server 127.0.0.1 iburst minpoll 0 offset 10";
    let lines = [
        source,
        "makestep 1 1",
        "keyfile /nonexistent/keys",
        &drift_file,
        "-t4",
    ];
    std::fs::write(drift, "            1.500000             0.250000\n").unwrap();
    let (long, stderr) = read(&[&usual[..], &lines[..]].concat());
    assert_eq!(stderr, "");
    let (short, stderr) = read(&[&usual[..], &["foo"][..]].concat());
    (long, short, stderr)
}

/// Severity, start of the text, and fields with the start of their values.
type Expected = (u32, &'static str, &'static [(&'static str, &'static str)]);

const EXPECTED: [Expected; 9] = [
    (6, "chronyd version 4.9 starting (", &[]),
    (6, "Disabled control of system clock", &[]),
    (
        4,
        "Could not open keyfile /nonexistent/keys",
        &[("FILE", "/nonexistent/keys")],
    ),
    (
        6,
        "Frequency 1.500 +/- 0.250 ppm read from /",
        &[("FREQUENCY", "1.5"), ("SKEW", "0.25"), ("FILE", "/")],
    ),
    (6, "Selected source 127.0.0.1", &[("SOURCE", "127.0.0.1")]),
    (4, "System clock wrong by ", &[("OFFSET", "")]),
    (3, "Could not step system clock", &[]),
    (6, "Timeout reached", &[]),
    (6, "chronyd exiting", &[]),
];
const FATAL: &str = "Fatal error : Invalid directive foo at line 5";

fn assert_expected(entries: &[Entry], with_fields: bool) {
    for (severity, start, fields) in EXPECTED {
        let found = entries.iter().find(|entry| entry.text.starts_with(start));
        let entry = found.unwrap_or_else(|| panic!("no '{start}' in {entries:#?}"));
        assert_eq!(entry.severity, severity, "{entry:?}");
        for (name, value) in fields.iter().filter(|_| with_fields) {
            assert!(entry.fields[*name].starts_with(value), "{name} in {entry:?}");
        }
    }
}

fn world() -> (Namespace, Instance, TempDir) {
    let namespace = Namespace::new();
    let server = Chronyd::new(&ours())
        .config("local stratum 1\nallow 127.0.0.0/8")
        .within(&namespace)
        .start();
    (namespace, server, TempDir::new())
}

#[test]
fn the_system_log() {
    let (namespace, _server, dir) = world();
    for programs in [ours(), reference()] {
        let read = |arguments: &[&str]| syslog(&programs, &namespace, arguments);
        let (long, short, stderr) = lives(read, &dir.join("drift"));
        assert_expected(&long, false);
        let last = short.last().unwrap();
        assert_eq!((last.severity, last.text.as_str()), (2, FATAL));
        // Nobody reads the system log when a start fails.
        assert_eq!(stderr, format!("{FATAL}\n"));
    }
}

#[test]
fn the_journal() {
    let (namespace, _server, dir) = world();
    let read = |arguments: &[&str]| journal(&ours(), &namespace, arguments);
    let (long, short, stderr) = lives(read, &dir.join("drift"));
    assert_expected(&long, true);
    let last = short.last().unwrap();
    assert_eq!((last.severity, last.text.as_str()), (2, FATAL));
    assert_eq!(stderr, "", "which leads to the journal, too");

    for entry in long.iter().chain(&short) {
        let field = |name: &str| entry.fields[name].as_str();
        assert_eq!(
            (field("SYSLOG_IDENTIFIER"), field("SYSLOG_FACILITY")),
            ("chronyd", "3")
        );
        assert!(field("SYSLOG_PID").parse::<u32>().is_ok());
    }
    // As in the text: positive is forward.
    let wrong = long
        .iter()
        .find(|entry| entry.text.starts_with("System clock wrong by "))
        .unwrap();
    let told: f64 = wrong.text.split(' ').nth(4).unwrap().parse().unwrap();
    let offset: f64 = wrong.fields["OFFSET"].parse().unwrap();
    assert!(
        (told - offset).abs() < 1e-6 && (offset - 10.0).abs() < 0.5,
        "{wrong:?}"
    );
    let named = |name| {
        long.iter()
            .filter(|entry| entry.fields.contains_key(name))
            .count()
    };
    assert!(
        named("SOURCE") < long.len() && named("OFFSET") < long.len(),
        "values only where there are some"
    );
}

/// Whoever asks for standard error gets it, journal or not; so does somebody whose standard error is no journal.
#[test]
fn the_journal_is_for_services() {
    let (namespace, _server, _dir) = world();
    let quick = [
        "-x",
        "-u",
        "root",
        "port 0",
        "pidfile /",
        "bindcmdaddress /",
        "cmdport 0",
        "-t0",
    ];
    let (entries, stderr) = journal(&ours(), &namespace, &[&["-d"], &quick[..]].concat());
    assert!(
        entries.is_empty() && stderr.contains("Z chronyd version 4.9 starting ("),
        "{stderr}"
    );
    let elsewhere = format!("export JOURNAL_STREAM=1:2\n{TO_SYSLOG}");
    let arguments = [&["-n"], &quick[..]].concat();
    let (datagrams, stderr) = run(&elsewhere, &ours(), &namespace, &arguments);
    assert!(!datagrams.is_empty() && stderr.is_empty(), "{stderr}");
}
