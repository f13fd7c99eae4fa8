//! What a running daemon does on signals, offsets, supervisors and dump files: the rows of `spec/config.md`
//! section 14 that need a server or a signal. All with `-x`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use compat_tests::{
    Chronyd, Instance, LIMIT, Namespace, Process, TempDir, filter_options, finish, ours, subject,
    uninterrupted,
};
use nix::sys::signal::Signal;

/// A server of our own on port 123 of a network of its own.
fn world() -> (Namespace, Instance) {
    let namespace = Namespace::new();
    let server = Chronyd::new(&ours())
        .config("local stratum 1\nallow 127.0.0.0/8")
        .within(&namespace)
        .start();
    (namespace, server)
}

fn client(namespace: &Namespace, options: &[&str], directives: &[&str]) -> Command {
    let mut command = namespace.command(subject().chronyd);
    let usual = [
        "-x",
        "-d",
        "-u",
        "root",
        "port 0",
        "pidfile /",
        "bindcmdaddress /",
    ];
    command
        .args(filter_options())
        .args(options)
        .args(usual)
        .args(directives);
    command
}

/// Messages without time stamps and without those that every start has.
fn messages(text: &str) -> Vec<&str> {
    let ordinary = [
        "chronyd version ",
        "truechimer ",
        "Disabled control of system clock",
        "Running with root",
        "Loaded seccomp filter",
    ];
    text.lines()
        .filter_map(|line| Some(line.split_once("Z ")?.1))
        .filter(|line| !ordinary.iter().any(|text| line.starts_with(text)))
        .collect()
}

/// The messages with one decimal of their numbers: the clocks of the two daemons are the same, but the packets take
/// some microseconds, and more when the machine is busy.
fn rounded(log: &str) -> Vec<String> {
    messages(log).into_iter().map(round_numbers).collect()
}

fn round_numbers(line: &str) -> String {
    let round = |word: &str| match word.parse::<f64>() {
        Ok(number) if word.contains('.') => format!("{number:.1}"),
        _ => word.to_owned(),
    };
    line.split(' ').map(round).collect::<Vec<_>>().join(" ")
}

#[test]
fn signals() {
    for (signal, orderly) in [
        (Signal::SIGTERM, true),
        (Signal::SIGINT, true),
        (Signal::SIGQUIT, true),
        (Signal::SIGHUP, true),
        (Signal::SIGUSR1, false),
        (Signal::SIGUSR2, false),
        (Signal::SIGALRM, false),
    ] {
        let namespace = Namespace::new();
        let dir = TempDir::new();
        let (log, pid_file) = (dir.join("log"), dir.join("pid"));
        let mut command = client(&namespace, &[], &["server 127.0.0.1 offline"]);
        command.arg(format!("pidfile {}", pid_file.display()));
        let mut daemon = Process::start(&mut command, &log);
        compat_tests::until(LIMIT, "a pid file", || pid_file.exists().then_some(()));
        daemon.wait_handlers();
        for ignored in [Signal::SIGPIPE, Signal::SIGCHLD, Signal::SIGWINCH] {
            daemon.signal(ignored);
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            daemon.ended().is_none(),
            "ended by a signal that is to be ignored"
        );
        daemon.signal(signal);
        let status = daemon.wait(LIMIT);
        assert_eq!(status.code(), orderly.then_some(0), "{signal}");
        assert_eq!(daemon.log().contains("chronyd exiting"), orderly, "{signal}");
        assert_eq!(pid_file.exists(), !orderly, "{signal}");
    }
}

#[test]
fn offsets_that_are_too_large() {
    let (namespace, _server) = world();
    let source = "server 127.0.0.1 iburst minpoll 0 offset 10";
    let run =
        |options: &[&str], directives: &[&str]| finish(&mut client(&namespace, options, directives), LIMIT);

    let done = run(&[], &[source, "maxchange 0.1 0 0"]);
    assert_eq!(
        rounded(&done.stderr),
        [
            "Selected source 127.0.0.1",
            "Adjustment of 10.0 seconds exceeds the allowed maximum of 0.1 seconds (exiting) ",
            "chronyd exiting"
        ]
    );
    assert_eq!(done.code(), Some(1));

    let done = run(&[], &[source, "maxchange 0.1 0 1"]);
    assert_eq!(
        rounded(&done.stderr),
        [
            "Selected source 127.0.0.1",
            "Adjustment of 10.0 seconds exceeds the allowed maximum of 0.1 seconds (ignored) ",
            "Adjustment of 10.0 seconds exceeds the allowed maximum of 0.1 seconds (exiting) ",
            "chronyd exiting"
        ]
    );
    assert_eq!(done.code(), Some(1));

    // Without control of the clock a step fails; with -R there is none.
    let wrong = "System clock wrong by 10.0 seconds";
    let selected = "Selected source 127.0.0.1";
    let until_told = |options: &[&str]| {
        let dir = TempDir::new();
        let mut command = client(&namespace, options, &[source, "makestep 1 1"]);
        let mut daemon = Process::start(&mut command, &dir.join("log"));
        daemon.wait_log("System clock wrong by", LIMIT);
        assert_eq!(daemon.stop().code(), Some(0));
        daemon.log()
    };
    let log = until_told(&[]);
    assert_eq!(
        rounded(&log)[..3],
        [selected, wrong, "Could not step system clock"]
    );
    let log = until_told(&["-R"]);
    assert_eq!(rounded(&log)[..2], [selected, wrong]);
    assert!(!log.contains("Could not step"));
}

#[test]
fn one_correction_and_the_end() {
    let (namespace, _server) = world();
    let source = "server 127.0.0.1 iburst offset 0.5";
    let done = finish(&mut client(&namespace, &["-q"], &[source]), LIMIT);
    assert_eq!(
        rounded(&done.stderr),
        [
            "System clock wrong by 0.5 seconds (step)",
            "Could not step system clock",
            "chronyd exiting"
        ]
    );
    assert_eq!(done.code(), Some(0));
}

#[test]
fn the_offset_at_start() {
    let (namespace, _server) = world();
    let dir = TempDir::new();
    let mut good = Process::start(
        &mut client(&namespace, &[], &["initstepslew 1 127.0.0.1"]),
        &dir.join("good"),
    );
    let nobody = Namespace::new();
    let mut bad = Process::start(
        &mut client(&nobody, &[], &["initstepslew 1 127.0.0.2"]),
        &dir.join("bad"),
    );
    good.wait_log("System's initial offset : ", LIMIT);
    assert!(good.log().contains(" of true (slew)"));
    bad.wait_log("No suitable source for initstepslew", LIMIT);
    good.wait_handlers();
    bad.wait_handlers();
    assert_eq!((good.stop().code(), bad.stop().code()), (Some(0), Some(0)));
}

#[test]
fn a_supervisor_is_told() {
    let namespace = Namespace::new();
    let dir = TempDir::new();
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = client(&namespace, &[], &["server 127.0.0.1 offline"]);
    let mut daemon = Process::start(command.env("NOTIFY_SOCKET", &path), &dir.join("log"));
    let told = || {
        let mut buffer = [0; 100];
        let n = uninterrupted(|| socket.recv(&mut buffer)).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(daemon.wait(LIMIT).code(), Some(0));

    for wrong in ["@name", "name"] {
        let done = finish(client(&namespace, &[], &[]).env("NOTIFY_SOCKET", wrong), LIMIT);
        assert!(
            done.stderr
                .contains("Fatal error : Unsupported notification socket"),
            "{}",
            done.stderr
        );
        assert_eq!(done.code(), Some(1));
    }
}

#[test]
fn dump_files_are_loaded_and_removed() {
    let (namespace, _server) = world();
    let dir = TempDir::new();
    let dumps = dir.subdir("dumps", 0o755);
    let dump_dir = format!("dumpdir {}", dumps.display());
    let sources = [
        "server 127.0.0.1 iburst",
        "server 127.0.0.9 offline",
        dump_dir.as_str(),
    ];
    // A first run leaves a dump behind.
    finish(&mut client(&namespace, &["-t8"], &sources), LIMIT);
    assert!(
        fs::read_to_string(dumps.join("127.0.0.1.dat"))
            .unwrap()
            .starts_with("SRC0\n127.0.0.1\n")
    );
    for name in ["127.0.0.9.dat", "refid:50505330.dat", "foo.dat"] {
        fs::write(dumps.join(name), "junk\n").unwrap();
    }
    let mut daemon = Process::start(&mut client(&namespace, &["-r"], &sources), &dir.join("log"));
    daemon.wait_log("Could not load dump file for 127.0.0.9", LIMIT);
    assert!(
        daemon.log().contains("Loaded dump file for 127.0.0.1"),
        "{}",
        daemon.log()
    );
    let left = || {
        let names = fs::read_dir(&dumps)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    compat_tests::until(LIMIT, "dump files to go", || {
        (left() == ["foo.dat"]).then_some(())
    });
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn files_that_cannot_be_used() {
    let namespace = Namespace::new();
    let dir = TempDir::new();
    dir.write("file", "");
    fs::create_dir(dir.join("drift")).unwrap();
    let at = dir.display();
    let directives = [
        format!("driftfile {at}/drift"),
        format!("logdir {at}/file/logs"),
        format!("dumpdir {at}/new/../dump"),
    ];
    let directives = directives.each_ref().map(String::as_str);
    let done = finish(&mut client(&namespace, &["-t", "0"], &directives), LIMIT);
    // The file can't be written at the end, either; the reason depends on what the daemon may do by then.
    assert_eq!(
        messages(&done.stderr)[..4],
        [
            format!("{at}/file is not directory"),
            format!("Could not read valid frequency and skew from driftfile {at}/drift"),
            "Timeout reached".to_owned(),
            "chronyd exiting".to_owned(),
        ]
    );
    assert!(dir.join("dump").is_dir());
}

#[test]
fn keys_are_gone_with_their_file() {
    let namespace = Namespace::new();
    let daemon = Chronyd::new(&subject()).within(&namespace);
    let keys = daemon.dir().write("keys", "1 MD5 HEX:00112233445566778899\n");
    let lines = format!("keyfile {}\nserver 127.0.0.1 key 1 offline", keys.display());
    let daemon = daemon.config(&lines).start();
    let auth = || daemon.chronyc(&["-c", "authdata"]).stdout;
    assert!(auth().starts_with("127.0.0.1,SK,1,1,80,"), "{}", auth());
    fs::remove_file(keys).unwrap();
    assert_eq!(daemon.chronyc(&["rekey"]).stdout, "200 OK\n");
    assert!(auth().starts_with("127.0.0.1,SK,1,0,0,"), "{}", auth());
}

#[test]
fn the_selected_source_is_removed() {
    let (namespace, _server) = world();
    let daemon = Chronyd::new(&subject())
        .config("port 0\ncmdport 0\nserver 127.0.0.1 iburst")
        .within(&namespace)
        .start();
    daemon.wait_synchronised(LIMIT);
    assert_eq!(daemon.chronyc(&["delete", "127.0.0.1"]).stdout, "200 OK\n");
    let log = daemon.log();
    let said = messages(&log);
    assert_eq!(
        said[said.len() - 2..],
        [
            "Removed source 127.0.0.1",
            "Can't synchronise: no selectable sources (1 unreachable sources)"
        ],
        "{log}"
    );
}
