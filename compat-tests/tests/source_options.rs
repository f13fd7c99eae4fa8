//! Options and commands of sources beside chrony: cables that are unplugged, names that change, delays that are too long,
//! what is copied, and what a request has. Both daemons must do what is written here.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use compat_tests::wire::{Datagram, Wire};
use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Pair, Programs, finish, reference, subject, until};

/// More addresses of the right side.
const SECOND: &str = "10.99.0.22";
const THIRD: &str = "10.99.0.33";

/// chrony's programs and those under test.
fn both() -> [Programs; 2] {
    [reference(), subject()]
}

/// Two namespaces with a server of chrony on the right, which has three addresses.
fn served() -> (Pair, Instance) {
    let cable = Pair::new();
    for address in [SECOND, THIRD] {
        let own = format!("{address}/24");
        cable.right.ip(&["addr", "add", &own, "dev", "veth0"]);
    }
    let server = Chronyd::new(&reference())
        .within(&cable.right)
        .config("local stratum 3\nallow\nptpport 319")
        .start();
    (cable, server)
}

fn client(programs: &Programs, namespace: &Namespace, lines: &str) -> Instance {
    Chronyd::new(programs).within(namespace).config(lines).start()
}

/// A field of `ntpdata` of a source.
fn ntp_data(daemon: &Instance, address: &str, name: &str) -> Option<String> {
    let text = daemon.chronyc(&["-n", "ntpdata", address]).ok();
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(" : ")?.1.to_owned())
}

fn wait_good(daemon: &Instance, address: &str, least: u32) {
    until(LIMIT, &format!("good replies of {address}"), || {
        let good: u32 = ntp_data(daemon, address, "Total good RX")?.parse().ok()?;
        (good >= least).then_some(())
    });
}

/// Sources that are online, offline and unresolved.
fn activity(daemon: &Instance) -> String {
    daemon.chronyc(&["-c", "activity"]).ok().trim_end().to_owned()
}

fn wait_activity(daemon: &Instance, wanted: &str) {
    until(LIMIT, &format!("the activity {wanted}"), || {
        (activity(daemon) == wanted).then_some(())
    });
}

fn is_request(datagram: &Datagram) -> bool {
    datagram.to.port() == 123 && datagram.bytes.first().is_some_and(|first| first & 7 == 3)
}

#[test]
fn cables_are_unplugged_and_plugged_in() {
    for programs in both() {
        let (cable, _server) = served();
        let mut wire = Wire::new(&cable.right);
        let daemon = client(
            &programs,
            &cable.left,
            &format!(
                "port 0\nserver {} minpoll -2 maxpoll -2\nserver {SECOND} minpoll -2 maxpoll -2 auto_offline\n\
                 server {THIRD} offline minpoll -2 maxpoll -2",
                Pair::RIGHT4
            ),
        );
        let sources = [Pair::RIGHT4, SECOND];
        wait_activity(&daemon, "2,1,0,0,0");
        for address in sources {
            wait_good(&daemon, address, 1);
        }
        let to_third = |datagram: &Datagram| datagram.to.ip().to_string() == THIRD;
        assert!(!wire.seen().iter().any(to_third));

        cable.left.ip(&["link", "set", "veth0", "down"]);
        // One notices by itself, the other one when it is told to look.
        wait_activity(&daemon, "1,2,0,0,0");
        daemon.chronyc(&["onoffline"]).ok();
        assert_eq!(activity(&daemon), "0,3,0,0,0", "{:?}", programs.chronyd);
        cable.left.ip(&["link", "set", "veth0", "up"]);
        assert_eq!(activity(&daemon), "0,3,0,0,0", "{:?}", programs.chronyd);
        // What was found is known when the command is answered. The route may come a bit later.
        until(LIMIT, "sources that are online again", || {
            daemon.chronyc(&["onoffline"]).ok();
            (activity(&daemon) == "3,0,0,0,0").then_some(())
        });
        wire.wait("requests to the source that was offline", |datagram| {
            is_request(datagram) && to_third(datagram)
        });
        for address in sources {
            wait_good(&daemon, address, 1);
        }
        daemon.chronyc(&["offline", Pair::RIGHT4]).ok();
        wait_activity(&daemon, "2,1,0,0,0");
        let mut log: Vec<String> = daemon
            .log()
            .lines()
            .filter_map(|line| Some(line.split_once("Source ")?.1.to_owned()))
            .collect();
        // They are switched in any order.
        log[2..5].sort();
        let expected = [
            format!("{SECOND} offline"),
            format!("{} offline", Pair::RIGHT4),
            format!("{} online", Pair::RIGHT4),
            format!("{SECOND} online"),
            format!("{THIRD} online"),
            format!("{} offline", Pair::RIGHT4),
        ];
        assert_eq!(log, expected, "{:?}", programs.chronyd);
    }
}

#[test]
fn more_sources_than_descriptors_go_online() {
    const SOURCES: usize = 100;
    for programs in both() {
        let cable = Pair::new();
        let sources: String = (0..SOURCES)
            .map(|i| format!("server 10.99.0.{} offline\n", 100 + i))
            .collect();
        let daemon = client(&programs, &cable.left, &format!("port 0\n{sources}"));
        assert_eq!(activity(&daemon), format!("0,{SOURCES},0,0,0"));
        let mut limit = Command::new("prlimit");
        limit.args(["--nofile=48:48", "--pid", &daemon.pid().to_string()]);
        finish(&mut limit, LIMIT).ok();
        daemon.chronyc(&["onoffline"]).ok();
        assert_eq!(
            activity(&daemon),
            format!("{SOURCES},0,0,0,0"),
            "{:?}",
            programs.chronyd
        );
    }
}

/// What `/etc/hosts` is for the programs in a namespace.
struct Hosts(PathBuf);

impl Hosts {
    fn new(namespace: &Namespace, text: &str) -> Self {
        let dir = PathBuf::from("/etc/netns").join(namespace.name());
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("could not make {}: {e}", dir.display()));
        let hosts = Self(dir);
        hosts.set(text);
        hosts
    }

    fn set(&self, text: &str) {
        fs::write(self.0.join("hosts"), text).expect("a file in a directory just made");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        // Only if it is empty.
        let _ = fs::remove_dir("/etc/netns");
    }
}

#[test]
fn names_are_resolved_again() {
    for programs in both() {
        let (cable, _server) = served();
        let first = format!("{} time.test\n", Pair::RIGHT4);
        let second = format!("{SECOND} time.test\n");
        let replaced = format!("Source {} replaced with {SECOND} (time.test)", Pair::RIGHT4);
        let hosts = Hosts::new(&cable.left, &first);
        let source = "port 0\nserver time.test minpoll -2 maxpoll -2";

        let mut daemon = client(&programs, &cable.left, &format!("{source}\nrefresh 0"));
        wait_good(&daemon, Pair::RIGHT4, 1);
        // The same answer changes nothing.
        daemon.chronyc(&["refresh"]).ok();
        wait_good(&daemon, Pair::RIGHT4, 8);
        assert!(!daemon.log().contains("replaced"), "{}", daemon.log());
        hosts.set(&second);
        daemon.chronyc(&["refresh"]).ok();
        daemon.wait_log(&replaced, LIMIT);
        wait_good(&daemon, SECOND, 1);
        drop(daemon);

        hosts.set(&first);
        let mut daemon = client(&programs, &cable.left, &format!("{source}\nrefresh 1"));
        wait_good(&daemon, Pair::RIGHT4, 1);
        hosts.set(&second);
        daemon.wait_log(&replaced, LIMIT);
    }
}

#[test]
fn addresses_without_a_route_are_not_taken() {
    for programs in both() {
        let (cable, _server) = served();
        let mut names = String::from("10.98.0.1 far.test\n");
        for (number, address) in [Pair::RIGHT4, SECOND, THIRD].iter().enumerate() {
            names += &format!("fd88::{number} many.test\n{address} many.test\n");
        }
        let _hosts = Hosts::new(&cable.left, &names);
        // Only what is written as an address is taken as it is.
        let daemon = client(
            &programs,
            &cable.left,
            "port 0\npool many.test maxsources 4\nserver far.test\nserver fd88::77",
        );
        wait_activity(&daemon, "4,0,0,0,6");
        // A network comes: the name is tried again, here because of the command.
        cable.left.ip(&["addr", "add", "10.98.0.2/24", "dev", "veth0"]);
        daemon.chronyc(&["online"]).ok();
        wait_activity(&daemon, "5,0,0,0,5");
        let sources = daemon.chronyc(&["-n", "-c", "sources", "-a"]).ok();
        for (address, times) in [("10.98.0.1", 1), ("fd88::77", 1), ("fd88::", 1), ("ID#", 5)] {
            let found = sources.lines().filter(|line| line.contains(address)).count();
            assert_eq!(found, times, "{:?}: {address}\n{sources}", programs.chronyd);
        }
    }
}

#[test]
fn delays_that_are_too_long_fail_these_tests() {
    // Tests A to D of the first reply.
    let cases = [
        ("", "1111"),
        ("maxdelay 0", "0111"),
        ("maxdelay 1e-9", "0111"),
        ("maxdelayratio 0 maxdelaydevratio 0", "1111"),
        // The first one of a quantile always fails.
        ("maxdelayquant 0.5", "1101"),
        ("maxdelayquant 0.5 maxdelaydevratio 0", "1101"),
        ("maxdelay 1e-9 maxdelayquant 0.5", "0101"),
        ("maxdelayquant 0.5 maxdelay 1e-9", "0101"),
        ("presend 6", "0111"),
        ("minstratum 5", "1111"),
    ];
    let (cable, _server) = served();
    for programs in both() {
        let mut lines = String::from("port 0\n");
        for (number, (options, _)) in cases.iter().enumerate() {
            let address = format!("10.99.0.{}", 100 + number);
            let _ = cable
                .right
                .ip(&["addr", "replace", &format!("{address}/24"), "dev", "veth0"]);
            lines += &format!("server {address} minpoll 6 maxpoll 6 noselect {options}\n");
        }
        let daemon = client(&programs, &cable.left, &lines);
        for (number, (options, expected)) in cases.iter().enumerate() {
            let address = format!("10.99.0.{}", 100 + number);
            let tests = until(LIMIT, &format!("a reply with {options}"), || {
                let valid = ntp_data(&daemon, &address, "Total valid RX")?;
                (valid != "0").then(|| ntp_data(&daemon, &address, "NTP tests"))?
            });
            assert_eq!(
                tests,
                format!("111 111 {expected}"),
                "{:?}: {options}",
                programs.chronyd
            );
        }
    }
}

#[test]
fn a_copy_serves_what_its_server_does() {
    for programs in both() {
        let (cable, _server) = served();
        for (option, stratum, refid) in [("copy", 3, [127, 127, 1, 1]), ("", 4, [10, 99, 0, 2])] {
            let daemon = client(
                &programs,
                &cable.left,
                &format!("allow\nserver {} minpoll -2 maxpoll -2 {option}", Pair::RIGHT4),
            );
            daemon.wait_synchronised(LIMIT);
            let socket = cable.right.enter(|| {
                let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
                socket.connect((Pair::LEFT4, 123)).expect("a route");
                socket
            });
            socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
            let mut packet = [0; 48];
            packet[0] = 0x23;
            socket.send(&packet).expect("a request");
            socket.recv(&mut packet).expect("a reply");
            assert_eq!(
                (packet[0], packet[1], &packet[12..16]),
                (0x24, stratum, &refid[..]),
                "{:?}: {option}",
                programs.chronyd
            );
        }
    }
}

#[test]
fn requests_have_the_fields_of_their_options() {
    // Lengths and the types of the fields, as 10.24 of `spec/ntp.md` has them; the correction comes first.
    let cases: [(&str, &str, usize, &[u16]); 7] = [
        ("", "ptpport 319", 48, &[]),
        ("extfield F323", "ptpport 319", 76, &[0xf323]),
        ("extfield 10A", "ptpport 319", 76, &[0x010a]),
        ("extfield F324", "ptpport 319", 76, &[0x010a]),
        (
            "extfield f323 extfield F324",
            "ptpport 319",
            104,
            &[0x010a, 0xf323],
        ),
        ("extfield F324", "", 48, &[]),
        ("extfield F323 extfield F324", "", 76, &[0xf323]),
    ];
    for programs in both() {
        let (cable, _server) = served();
        let mut wire = Wire::new(&cable.right);
        for (options, more, length, fields) in cases {
            let lines = format!(
                "port 0\nserver {} minpoll -2 maxpoll -2 {options}\n{more}",
                Pair::RIGHT4
            );
            let daemon = client(&programs, &cable.left, &lines);
            let what = format!("{:?}: {lines}", programs.chronyd);
            let request = wire.wait(&what, is_request);
            assert_eq!(request.bytes.len(), length, "{what}");
            for (number, field) in fields.iter().enumerate() {
                let at = 48 + number * 28;
                assert_eq!(request.bytes[at..at + 2], field.to_be_bytes(), "{what}");
            }
            wait_good(&daemon, Pair::RIGHT4, 1);
            drop(daemon);
            wire.seen();
        }
    }
}

#[test]
fn bursts_end_with_enough_good_replies_and_warm_ups_go_in_pairs() {
    let run = |programs: &Programs| {
        let (cable, _server) = served();
        let mut wire = Wire::new(&cable.right);
        // Warm-ups come 2 s before what is measured.
        let lines = format!(
            "port 0\nserver {} offline minpoll 0\nserver {SECOND} presend 2 minpoll 2 maxpoll 2",
            Pair::RIGHT4
        );
        let daemon = client(programs, &cable.left, &lines);
        let name = programs.chronyd.display();
        daemon.chronyc(&["burst", "2/5", Pair::RIGHT4]).ok();
        wait_activity(&daemon, "1,1,0,0,0");
        wait_good(&daemon, Pair::RIGHT4, 2);
        let total = ntp_data(&daemon, Pair::RIGHT4, "Total TX").expect("a number");
        let total: u32 = total.parse().expect("a number");
        // More only when replies were late.
        assert!((2..=5).contains(&total), "{name}: {total}");

        let start = std::time::Instant::now();
        let mut times = Vec::new();
        let to_second = |datagram: &Datagram| is_request(datagram) && datagram.to.ip().to_string() == SECOND;
        wire.seen();
        for _ in 0..4 {
            wire.wait("requests in pairs", to_second);
            times.push(start.elapsed());
        }
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // Every other gap is a long one. What is read late makes one gap shorter and the other one longer.
        let (even, odd) = (gaps[0] + gaps[2], gaps[1] * 2);
        let sum = even + odd;
        assert!(sum > Duration::from_millis(9_000), "{name}: {gaps:?}");
        assert!(
            even.abs_diff(odd) > Duration::from_millis(1_000),
            "{name}: {gaps:?}"
        );
        assert!(total > 0 && ntp_data(&daemon, SECOND, "Total good RX").is_some());
    };
    std::thread::scope(|scope| {
        for programs in both() {
            scope.spawn(move || run(&programs));
        }
    });
}
