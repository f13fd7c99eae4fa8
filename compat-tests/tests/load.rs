//! The server under load: every request answered, every reply right, every counter exact.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use compat_tests::{Chronyd, Instance, Namespace, soak, subject};
use truechimer_loadgen::{Clients, Load, Pattern, Rate, Report};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));
/// For replies that are still on their way.
const PATIENCE: Duration = Duration::from_secs(10);

fn server(namespace: &Namespace, more: &str) -> Instance {
    Chronyd::new(&subject())
        .within(namespace)
        .config("allow 127.0.0.0/8\nlocal stratum 1\nclientloglimit 50000000")
        .config(more)
        .start()
}

/// The columns of `chronyc serverstats`.
fn stats(daemon: &Instance) -> Vec<u64> {
    let line = daemon.chronyc(&["-c", "serverstats"]).ok();
    line.trim()
        .split(',')
        .map(|value| value.parse().expect("a number"))
        .collect()
}

/// Datagrams that the sockets on port 123 had no room for.
fn dropped(namespace: &Namespace) -> u64 {
    let table = namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/udp").expect("sockets"));
    let of_server = table.lines().filter(|line| line.contains(":007B "));
    of_server
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}

/// No more requests are without a reply than the socket had no room for, and the daemon has counted all others.
fn complete(report: &Report, namespace: &Namespace, daemon: &Instance) {
    report.assert_right();
    let (sent, dropped, stats) = (report.sent, dropped(namespace), stats(daemon));
    assert!(
        report.lost <= dropped,
        "{} lost of {sent}, {dropped} of them by the socket",
        report.lost
    );
    // Packets received and dropped; then replies by origin of their receive timestamps: daemon, kernel, hardware.
    assert_eq!((stats[0], stats[1]), (sent - dropped, 0), "{stats:?}");
    let at = stats.len() - 6;
    assert_eq!(
        stats[at] + stats[at + 2] + stats[at + 4],
        sent - dropped,
        "received: {stats:?}"
    );
    assert_eq!(
        stats[at + 1] + stats[at + 3] + stats[at + 5],
        sent - dropped,
        "sent: {stats:?}"
    );
}

#[test]
fn all_requests_are_answered_and_counted() {
    for (pattern, clients) in [(Pattern::Basic, 5000), (Pattern::Interleaved, 500)] {
        let namespace = Namespace::new();
        let mut daemon = server(&namespace, "");
        let clients = Clients::new(FIRST_CLIENT, clients, pattern);
        let mut load = namespace.enter(|| Load::new(SERVER, clients).expect("a socket"));
        let time = Duration::from_secs(2);
        let report = load.run(Rate::Unanswered(100), time, PATIENCE).expect("load");
        complete(&report, &namespace, &daemon);
        let interleaved = stats(&daemon)[8];
        match pattern {
            Pattern::Basic => assert_eq!(interleaved, 0),
            // All but the first of each client, unless the client has two on their way.
            Pattern::Interleaved => assert!(2 * interleaved > report.answered, "{interleaved}"),
        }
        assert_eq!(daemon.stop().code(), Some(0));
    }
}

/// Much of what an operator may do, again and again while requests come in.
fn disturb(daemon: &Instance, stop: &AtomicBool) -> u32 {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let (source, peer) = (
            format!("127.1.0.{}", round % 200 + 1),
            format!("127.2.0.{}", round % 200 + 1),
        );
        for command in [
            &[
                "add", "server", &source, "port", "11123", "minpoll", "-2", "iburst",
            ][..],
            &["add", "peer", &peer, "port", "11124"],
            &["cyclelogs"],
            &["allow", "10.0.0.0/8"],
            &["deny", "10.1.0.0/16"],
            &["burst", "1/1"],
            &["offline"],
            &["online"],
            &["refresh"],
            &["-n", "clients"],
            &["serverstats"],
            &["delete", &source],
            &["delete", &peer],
        ] {
            daemon.chronyc(command).ok();
        }
    }
    round
}

/// `SOAK` is the factor of the time: 100 makes ten minutes.
#[test]
fn nothing_is_lost_while_everything_changes() {
    let namespace = Namespace::new();
    let mut daemon = server(&namespace, "log measurements statistics tracking");
    let time = Duration::from_secs(6) * soak();
    let clients = Clients::new(FIRST_CLIENT, 2000, Pattern::Basic);
    let mut load = namespace.enter(|| Load::new(SERVER, clients).expect("a socket"));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let disturbing = scope.spawn(|| disturb(&daemon, &stop));
        let report = load.run(Rate::Unanswered(100), time, PATIENCE).expect("load");
        stop.store(true, Ordering::Relaxed);
        let rounds = disturbing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(rounds > 0);
        report
    });
    complete(&report, &namespace, &daemon);
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(daemon.stop().code(), Some(0));
}
