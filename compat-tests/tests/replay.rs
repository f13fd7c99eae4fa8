//! Replay: chrony's chronyc and ours get the same replies, and must ask the same things, print the same bytes and
//! end with the same status. The replies are recorded from chrony's daemon, or made up to be as odd as replies can
//! be.

#[path = "replay/responder.rs"]
mod responder;
#[path = "replay/world.rs"]
mod world;

use compat_tests::{Chronyd, Finished, LIMIT, Programs, TempDir, finish, old, ours, reference};
use responder::{Recorder, Responder};
use std::path::Path;
use std::process::Command;
use truechimer_engine::wire::command::{Reply, Request, Status};
use world::World;

/// Every report.
const REPORTS: &[&str] = &[
    "tracking",
    "sources",
    "sources -a",
    "sources -v -a",
    "sourcestats -a",
    "sourcestats -v",
    "selectdata -a",
    "selectdata -v",
    "authdata -a",
    "authdata -v",
    "ntpdata",
    "activity",
    "clients",
    "clients -k -p 3",
    "serverstats",
    "rtcdata",
    "smoothing",
    "manual list",
];

/// Ways to print them.
const STYLES: &[&[&str]] = &[&["-n"], &["-c"], &["-n", "-w"], &["-N"], &["-c", "-N", "-e"]];

fn ask(client: &Programs, server: &[&str], arguments: &[&str]) -> Finished {
    let mut command = Command::new(&client.chronyc);
    command.args(client.stay_root()).args(server).args(arguments);
    finish(&mut command, LIMIT)
}

/// Both clients with the same arguments, compared in all they leave behind.
fn compare(server: &[&str], arguments: &[&str]) -> Finished {
    let theirs = ask(&reference(), server, arguments);
    let ours = ask(&ours(), server, arguments);
    assert_eq!(ours.stdout, theirs.stdout, "standard output of {arguments:?}");
    assert_eq!(ours.stderr, theirs.stderr, "standard error of {arguments:?}");
    assert_eq!(ours.code(), theirs.code(), "exit status of {arguments:?}");
    ours
}

/// All reports in all styles.
fn compare_reports(server: &[&str]) {
    for style in STYLES {
        for report in REPORTS {
            compare(
                server,
                &[style, &report.split(' ').collect::<Vec<_>>()[..]].concat(),
            );
        }
    }
}

fn unix(path: &Path) -> [&str; 2] {
    ["-h", path.to_str().expect("paths of tests are ASCII")]
}

#[test]
fn made_up_replies_with_any_number_of_sources() {
    for sources in [0, 1, 8, 40] {
        for seed in 0..2 {
            let mut world = World::new(sources, seed);
            let responder = Responder::unix(move |request| world.answer(request));
            compare_reports(&unix(responder.path()));
        }
    }
}

#[test]
fn the_same_over_udp() {
    for (host, reports) in [("127.0.0.1", REPORTS), ("::1", &REPORTS[..6])] {
        let mut world = World::new(3, 9);
        let address = host.parse().expect("an address");
        let responder = Responder::udp(address, move |request| world.answer(request));
        let port = responder.port().to_string();
        let server = ["-h", host, "-p", &port];
        for style in STYLES {
            for report in reports {
                compare(
                    &server,
                    &[style, &report.split(' ').collect::<Vec<_>>()[..]].concat(),
                );
            }
        }
        // Names of the loopback addresses are in every /etc/hosts.
        for report in ["sources", "sourcestats", "tracking", "clients"] {
            compare(&server, &[report]);
        }
    }
}

#[test]
fn waitsync_and_single_reports() {
    for seed in 0..6 {
        let mut world = World::new(2, seed);
        let responder = Responder::unix(move |request| world.answer(request));
        let server = unix(responder.path());
        for line in [
            "waitsync 1",
            "waitsync 2 0.1 10 0.1",
            "waitsync 1 1e-9",
            "ntpdata 192.0.2.1",
            "sourcename 192.0.2.1",
            "sourcename ID#1",
            "settime 12:00",
            "accheck 192.0.2.1",
        ] {
            for style in [&["-n"][..], &["-c"]] {
                compare(&server, &[style, &[line]].concat());
            }
        }
    }
}

#[test]
fn every_status() {
    for number in 0..24 {
        let status = Status::from_number(number);
        let responder = Responder::unix(move |_| Some((status, Reply::Null)));
        let server = unix(responder.path());
        for line in [
            "makestep",
            "tracking",
            "sources",
            "clients",
            "manual list",
            "accheck 192.0.2.1",
            "settime 1:00",
        ] {
            compare(&server, &[line]);
            compare(&server, &["-c", "-e", line]);
        }
    }
}

#[test]
fn a_failure_in_the_middle() {
    let mut world = World::new(5, 1);
    let responder = Responder::unix(move |request| match request {
        Request::SourceData(3) | Request::SourceStats(3) | Request::SelectData(3) => {
            Some((Status::NoSuchSource, Reply::Null))
        }
        Request::SourceName(_) => Some((Status::Invalid, Reply::Null)),
        other => world.answer(other),
    });
    compare_reports(&unix(responder.path()));
}

#[test]
fn replies_of_another_kind_and_none() {
    let responder = Responder::unix(|_| Some((Status::Success, Reply::NSources(1))));
    let server = unix(responder.path());
    for line in ["tracking", "makestep", "sources", "activity"] {
        compare(&server, &[line]);
    }
    let responder = Responder::unix(|_| None);
    let server = unix(responder.path());
    let done = compare(&server, &["-m", "timeout 100", "retries 1", "tracking"]);
    assert_eq!(done.stdout, "506 Cannot talk to daemon\n");
}

#[test]
fn commands_are_sent_and_answered_alike() {
    let mut lines: Vec<String> = include_str!("replay/lines.txt")
        .lines()
        .map(str::to_owned)
        .collect();
    lines.push("x".repeat(3000));
    for status in [Status::Success, Status::Failed] {
        let asked = Recorder::default();
        let log = asked.clone();
        let responder = Responder::unix(move |request| {
            log.push(request);
            Some((status, Reply::Null))
        });
        let server = unix(responder.path());
        for line in &lines {
            // What the first client asked, the second asked, too. A second may begin between the two, which changes
            // dates that are relative to now, and on a busy machine one may have lost patience and asked again; so
            // there is another chance.
            for left in (0..4).rev() {
                compare(&server, &[line]);
                let asked = asked.take();
                let (theirs, ours) = asked.split_at(asked.len() / 2);
                let (theirs, ours) = (format!("{theirs:?}"), format!("{ours:?}"));
                if left == 0 || ours == theirs {
                    assert_eq!(ours, theirs, "requests of '{line}'");
                    break;
                }
            }
        }
    }
}

#[test]
fn arguments_and_standard_input() {
    let mut world = World::new(1, 1);
    let responder = Responder::unix(move |request| world.answer(request));
    let server = unix(responder.path());
    for arguments in [
        &["-m", "activity", "foo", "activity"][..],
        &["-e", "-m", "activity", "dns -n", "exit", "activity"],
        &["-m"],
        &["-e", ""],
        &["activity", "-n"],
        &["-n", "-c", "-a", "-d", "-f", "x", "-fy", "activity"],
        &["-p", "5x", "activity"],
        &["-u", "no-such-user", "activity"],
        &["-h", "/no/such/socket", "activity"],
        &["-h", "no-such-host.invalid", "activity"],
        &["-4", "-h", "::1", "activity"],
        &["", "activity"],
        &["\tactivity "],
    ] {
        compare(&server, arguments);
    }
    let dir = TempDir::new();
    for (name, input) in [
        ("ok", "foo\nactivity\n"),
        ("bad", "activity\nfoo\n"),
        ("comment", "foo\n\n# activity\n"),
        ("none", ""),
        ("quit", "foo\nquit\nfoo\n"),
        ("open", "foo\nactivity"),
    ] {
        let path = dir.write(name, input);
        let run = |client: &Programs| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "exec \"$0\" -u root -e -h \"$1\" < \"$2\""]);
            finish(shell.arg(&client.chronyc).arg(responder.path()).arg(&path), LIMIT)
        };
        let (ours, theirs) = (run(&ours()), run(&reference()));
        assert_eq!(ours.stdout, theirs.stdout, "{name}");
        assert_eq!(ours.stderr, theirs.stderr, "{name}");
        assert_eq!(ours.code(), theirs.code(), "{name}");
    }
}

#[test]
fn recorded_replies_of_chrony() {
    let daemon = Chronyd::new(&reference())
        .config(
            "port 0\ncmdport 0\nserver 127.0.0.99 port 9 iburst\nserver no-such-host.invalid\n\
             peer 2001:db8:1234:5678:9abc:def0:1234:5678 offline\nserver 127.0.0.98 port 9 prefer trust\n\
             local\nmanual\nsmoothtime 400 0.01 leaponly",
        )
        .start();
    let responder = Responder::recording(&daemon.socket);
    compare_reports(&unix(responder.path()));
}

#[test]
fn ours_talks_to_chrony_of_both_versions() {
    for daemon in [&reference(), &old()].map(daemon_of) {
        for line in [
            "tracking",
            "sources -a",
            "sourcestats",
            "selectdata",
            "activity",
            "manual on",
            "dump",
        ] {
            daemon.chronyc_of(&ours(), &[line]).ok();
        }
    }
    let old = daemon_of(&old());
    // What it answers in another form, chrony's own new client cannot read either.
    for line in ["ntpdata 127.0.0.99", "serverstats"] {
        let done = old.chronyc_of(&ours(), &[line]);
        assert_eq!(
            (done.stdout.as_str(), done.code()),
            ("508 Bad reply from daemon\n", Some(1))
        );
    }
    let done = old.chronyc_of(&ours(), &["local"]);
    assert_eq!(
        (done.stdout.as_str(), done.code()),
        ("502 Invalid command\n", Some(1))
    );
}

fn daemon_of(programs: &Programs) -> compat_tests::Instance {
    Chronyd::new(programs)
        .config("port 0\ncmdport 0\nserver 127.0.0.99 port 9\nlocal\nmanual")
        .start()
}
