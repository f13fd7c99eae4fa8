//! The server under load: every request answered, every reply right, every counter exact.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use compat_tests::programs::subject_is_reference;
use compat_tests::{Chronyd, Instance, LIMIT, Namespace, SimClock, finish, soak, subject, until};
use truechimer_loadgen::{Clients, Load, Offsets, Pattern, Range, Rate, Report, drops};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));
/// For replies that are still on their way.
const PATIENCE: Duration = Duration::from_secs(10);

const CONFIG: &str = "allow 127.0.0.0/8\nlocal stratum 1\nclientloglimit 50000000";

/// The columns of `chronyc serverstats`.
fn stats(daemon: &Instance) -> Vec<u64> {
    let line = daemon.chronyc(&["-c", "serverstats"]).ok();
    line.trim()
        .split(',')
        .map(|value| value.parse().expect("a number"))
        .collect()
}

/// Requests and their replies, over all loads.
#[derive(Debug, Default)]
struct Account {
    sent: u64,
    lost: u64,
    /// Replies that a generator had no room for.
    missed: u64,
}

impl Account {
    fn add(&mut self, report: &Report, load: &Load) {
        report.assert_right();
        self.sent += report.sent;
        self.lost += report.lost;
        self.missed += load.dropped().expect("a count");
    }

    /// Exactly the requests that the socket had no room for are without a reply, and the daemon has counted all others.
    fn balance(&self, namespace: &Namespace, daemon: &Instance) {
        let table =
            namespace.enter(|| std::fs::read_to_string("/proc/thread-self/net/udp").expect("sockets"));
        let dropped = drops(&table, SERVER.port());
        let stats = stats(daemon);
        let all = format!("{self:?}, {dropped} dropped, {stats:?}");
        assert_eq!(self.lost, dropped + self.missed, "lost: {all}");
        // Packets received and dropped; then replies by origin of their receive and transmit timestamps: daemon, kernel,
        // hardware.
        let served = self.sent - dropped;
        assert_eq!((stats[0], stats[1]), (served, 0), "{all}");
        let at = stats.len() - 6;
        assert_eq!(
            stats[at] + stats[at + 2] + stats[at + 4],
            served,
            "received: {all}"
        );
        assert_eq!(
            stats[at + 1] + stats[at + 3] + stats[at + 5],
            served,
            "sent: {all}"
        );
    }
}

#[test]
fn all_requests_are_answered_and_counted() {
    for (pattern, clients) in [(Pattern::Basic, 5000), (Pattern::Interleaved, 500)] {
        let namespace = Namespace::new();
        let mut daemon = Chronyd::new(&subject()).within(&namespace).config(CONFIG).start();
        let clients = Clients::new(FIRST_CLIENT, clients, pattern);
        let mut load = namespace.enter(|| Load::new(SERVER, clients).expect("a socket"));
        let time = Duration::from_secs(2);
        let report = load.run(Rate::Unanswered(100), time, PATIENCE).expect("load");
        let mut account = Account::default();
        account.add(&report, &load);
        account.balance(&namespace, &daemon);
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

/// Second to second, in whole ones, of the simulated clock's time.
const S: i64 = 1_000_000_000;

/// All that is within a millisecond.
fn about(offset: i64) -> Range {
    Range {
        low: offset - S / 1000,
        high: offset + S / 1000,
    }
}

/// Steps of the clock, s; every second one by command. From ten seconds on the daemon notices what it has not done itself.
const STEPS: [i64; 6] = [15, -2, -13, 7, 1, -8];
/// It notices all of these: nobody can tell whether it is our clock that was stepped or that of a card. A command leaves
/// out what is no whole second: after one of 0, timestamps would be wrong by less than makes them unusable.
const NOTICED: [i64; 6] = [15, 0, -15, 7, 12, -19];

/// Steps the clock back and forth, in both ways: with commands, and behind the daemon's back. Returns how often.
fn step(daemon: &Instance, clock: &SimClock, steps: &[i64], offsets: &Offsets, stop: &AtomicBool) -> u32 {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        for &by in steps {
            let wanted = clock.offset() + by * S;
            // What is commanded takes effect a bit later, and is in whole seconds.
            offsets.begin_step(Range {
                low: wanted - 10 * S,
                high: wanted + S,
            });
            if rounds % 2 == 0 {
                clock.step(by as f64);
            } else {
                let to = clock.now() / S + by;
                let text = format!("@{to}");
                let mut date = std::process::Command::new("date");
                let date = finish(date.args(["-d", &text, "+%b %e, %Y %H:%M:%S"]), LIMIT).ok();
                daemon.chronyc(&["manual", "reset"]).ok();
                // A client that had to wait for long asks again, and the same time again is refused.
                let _ = daemon.chronyc(&["settime", date.trim()]);
                daemon.chronyc(&["makestep"]).ok();
                // What came between reading the clock and stepping it is left to be slewed.
                let started = Instant::now();
                until(LIMIT, "the rest of a step", || {
                    let tracking = daemon.chronyc(&["-c", "tracking"]).ok();
                    let rest: f64 = tracking.split(',').nth(4)?.parse().ok()?;
                    if started.elapsed() > PATIENCE {
                        // On a busy machine a command may be late enough to leave much.
                        daemon.chronyc(&["makestep"]).ok();
                    }
                    (rest.abs() < 2e-4).then_some(())
                });
            }
            offsets.end_step(about(clock.offset()));
            rounds += 1;
            sleep(Duration::from_millis(100));
        }
    }
    rounds
}

/// A flag that is set in the end.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A minute in all, and ten times that for `SOAK`.
#[test]
fn nothing_is_lost_while_everything_changes() {
    let clock = SimClock::new();
    change_everything(Duration::from_secs(30) * soak().min(10), &clock, &STEPS, "");
}

/// The same with threads that know only what the main thread publishes.
#[test]
fn threads_lose_nothing_while_everything_changes() {
    if subject_is_reference() {
        eprintln!("chrony has no server threads");
        return;
    }
    let (time, clock) = (Duration::from_secs(10) * soak().min(10), SimClock::new());
    change_everything(time, &clock, &STEPS, "serverthreads 2");
}

/// And with timestamps of a network card, whose clock is not stepped.
#[test]
fn timestamps_of_a_card_are_right_while_everything_changes() {
    if subject_is_reference() {
        eprintln!("chrony has no server threads");
        return;
    }
    let time = Duration::from_secs(6) * soak().min(10);
    for threads in [1, 2] {
        let clock = SimClock::new().with_card("lo");
        let more = format!("serverthreads {threads}\nhwtimestamp lo minpoll -6\nmaxtxbuffers 4096");
        let stats = change_everything(time, &clock, &NOTICED, &more);
        // While the relation of both clocks is not known, those of the kernel are used.
        let [.., hardware_rx, hardware_tx] = stats[..] else {
            panic!("{stats:?}");
        };
        assert!(2 * hardware_rx > stats[0] && hardware_tx > 0, "{stats:?}");
    }
}

/// Gives what the server counted.
fn change_everything(time: Duration, clock: &SimClock, steps: &[i64], more: &str) -> Vec<u64> {
    let namespace = Namespace::new();
    let offsets = Arc::new(Offsets::new(about(0)));
    let mut daemon = Chronyd::new(&subject())
        .within(&namespace)
        .on(clock)
        .config(CONFIG)
        .config("manual\nlog measurements statistics tracking")
        .config(more)
        .start();
    let mut account = Account::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // However this ends, so do the other threads.
        let end = Raised(&stop);
        let stepping = scope.spawn(|| step(&daemon, clock, steps, &offsets, &stop));
        let disturbing = scope.spawn(|| disturb(&daemon, &stop));
        for (pattern, clients) in [(Pattern::Basic, 2000), (Pattern::Interleaved, 500)] {
            let clients = Clients::new(FIRST_CLIENT, clients, pattern).of_stepped_clock(offsets.clone());
            let mut load = namespace.enter(|| Load::new(SERVER, clients).expect("a socket"));
            let report = load.run(Rate::Unanswered(100), time, PATIENCE).expect("load");
            account.add(&report, &load);
        }
        drop(end);
        for rounds in [stepping, disturbing] {
            let rounds = rounds
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            assert!(rounds > 0);
        }
    });
    account.balance(&namespace, &daemon);
    let stats = stats(&daemon);
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
    for wanted in [
        "System clock was stepped by",
        "Forward time jump",
        "Backward time jump",
    ] {
        assert!(log.contains(wanted), "{wanted}: {log}");
    }
    assert_eq!(daemon.stop().code(), Some(0));
    stats
}
