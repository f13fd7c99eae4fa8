//! The captured packets of `spec/ntp.md` section 10, read from there: chrony's daemon and ours answer the captured requests
//! with the captured replies, but for times, and log of captured replies what chrony logged.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use compat_tests::programs::workspace;
use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Programs, reference, subject, uninterrupted, until};
use truechimer_engine::auth::Keys;
use truechimer_engine::wire::ntp::{Auth, Packet};

/// Length of an NTP header.
const HEADER: usize = 48;
/// Where the NTP message begins in a PTP message.
const PTP: usize = 56;

/// A request and its reply.
struct Exchange {
    request: Vec<u8>,
    reply: Vec<u8>,
}

/// Section 10 of the specification.
struct Captures(String);

impl Captures {
    fn read() -> Self {
        let path = workspace().join("docs/spec/ntp.md");
        let text =
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()));
        let (_, text) = text.split_once("\n## 10. ").expect("section 10");
        let (text, _) = text.split_once("\n## 11. ").expect("section 11");
        Self(text.to_owned())
    }

    /// The first block of code of a section, without its marks; section 0: what is before the first.
    fn block(&self, section: u32) -> &str {
        let text = match section {
            0 => self.0.as_str(),
            _ => {
                let start = format!("\n### 10.{section} ");
                self.0
                    .split_once(&start)
                    .unwrap_or_else(|| panic!("no section 10.{section}"))
                    .1
            }
        };
        text.split("```")
            .nth(1)
            .expect("a block of code")
            .trim_matches('\n')
    }

    /// The exchanges of a section: each line begins with `Q`, `A` or white space, which continues the one before.
    fn exchanges(&self, section: u32) -> Vec<Exchange> {
        let mut packets: Vec<(char, String)> = Vec::new();
        for line in self.block(section).lines() {
            let (kind, hex) = line.split_at(1);
            match (kind, packets.last_mut()) {
                ("Q" | "A", _) => packets.push((kind.chars().next().expect("a letter"), hex.to_owned())),
                (" ", Some(last)) => last.1.push_str(hex),
                _ => panic!("10.{section}: {line}"),
            }
        }
        let pairs = packets.chunks(2);
        pairs
            .map(|pair| {
                assert_eq!((pair[0].0, pair[1].0), ('Q', 'A'), "10.{section}");
                Exchange {
                    request: octets(&pair[0].1),
                    reply: octets(&pair[1].1),
                }
            })
            .collect()
    }
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            let digit = c.to_digit(16).expect("a hexadecimal digit");
            u8::try_from(digit).expect("a digit")
        })
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A daemon that serves in a namespace of its own, and the client's sockets.
struct Server {
    namespace: Namespace,
    daemon: Instance,
    keys: Keys,
}

impl Server {
    fn new(programs: &Programs, captures: &Captures, lines: &str) -> Self {
        let namespace = Namespace::new();
        let daemon = Chronyd::new(programs);
        let keys = captures.block(0);
        let path = daemon.dir().write("keys", keys);
        let daemon = daemon
            .within(&namespace)
            .config(&format!("allow\nkeyfile {}\n{lines}", path.display()))
            .start();
        let keys = Keys::parse(keys.as_bytes(), "keys").0;
        Self {
            namespace,
            daemon,
            keys,
        }
    }

    /// The reply to a request.
    fn ask(&self, port: u16, request: &[u8]) -> Vec<u8> {
        self.asked(port, request)
            .unwrap_or_else(|| panic!("no reply to {request:02x?} on port {port}\n{}", self.daemon.log()))
    }

    fn asked(&self, port: u16, request: &[u8]) -> Option<Vec<u8>> {
        let socket = self.namespace.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.connect((Ipv4Addr::LOCALHOST, port)).expect("a route");
            socket
        });
        socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
        socket.send(request).expect("a request");
        let mut reply = [0; 2048];
        let length = uninterrupted(|| socket.recv(&mut reply)).ok()?;
        Some(reply[..length].to_vec())
    }

    /// Checks that a reply is the captured one, but for its times, random numbers and what is computed of them.
    fn same(&self, reply: &[u8], captured: &[u8], what: &str) {
        let what = format!("{what}:\n{reply:02x?}\n{captured:02x?}");
        assert_eq!(reply.len(), captured.len(), "{what}");
        let (ours, theirs) = (Packet::parse(reply), Packet::parse(captured));
        let (ours, theirs) = (ours.expect("a packet"), theirs.expect("a packet"));
        // Leap, version, mode, stratum, poll, precision, root delay and dispersion, reference ID; originate.
        assert_eq!(
            (&reply[..16], &reply[24..32]),
            (&captured[..16], &captured[24..32]),
            "{what}"
        );
        for at in [16, 32, 40] {
            let zero = |packet: &[u8]| packet[at..at + 8] == [0; 8];
            assert_eq!(zero(reply), zero(captured), "{what}");
        }
        // Marks of the receive and the transmit timestamp.
        assert_eq!((reply[39] & 1, reply[47] & 1), (1, 0), "{what}");
        for (ours, theirs) in ours.fields().zip(theirs.fields()) {
            assert_eq!(
                (ours.code, ours.body.len()),
                (theirs.code, theirs.body.len()),
                "{what}"
            );
            // All but the timestamp and the epoch of a monotonic root.
            let fixed = if ours.code == 0xf323 { 12 } else { ours.body.len() };
            assert_eq!(ours.body[..fixed], theirs.body[..fixed], "{what}");
        }
        assert_eq!(ours.fields().count(), theirs.fields().count(), "{what}");
        assert_eq!(ours.auth, theirs.auth, "{what}");
        assert!(ours.auth == Auth::None || self.keys.verify(&ours), "{what}");
    }
}

fn both() -> [Programs; 2] {
    [reference(), subject()]
}

#[test]
fn requests_are_answered_as_captured() {
    let captures = Captures::read();
    for programs in both() {
        let name = programs.chronyd.display();
        let server = Server::new(&programs, &captures, "");
        for exchange in captures.exchanges(1) {
            let (mut reply, mut captured) = (server.ask(123, &exchange.request), exchange.reply);
            // The precision is that of the machine.
            (reply[3], captured[3]) = (0, 0);
            server.same(&reply, &captured, &format!("{name}, 10.1"));
        }
        drop(server);

        let lines = "local stratum 8\nclockprecision 1e-6";
        let server = Server::new(&programs, &captures, lines);
        let mut compared = 0;
        for section in (2..=13).chain([16]) {
            for exchange in captures.exchanges(section) {
                let reply = server.ask(123, &exchange.request);
                server.same(&reply, &exchange.reply, &format!("{name}, 10.{section}"));
                compared += 1;
            }
        }
        assert_eq!(compared, 21);
        drop(server);

        let lines = "local stratum 3\nclockprecision 1e-6\nptpport 319";
        let server = Server::new(&programs, &captures, lines);
        for section in [14, 21] {
            for exchange in captures.exchanges(section) {
                let reply = server.ask(123, &exchange.request);
                server.same(&reply, &exchange.reply, &format!("{name}, 10.{section}"));
            }
        }
        // The network correction of chrony 4.8 has become an unknown field.
        for exchange in captures.exchanges(15) {
            let reply = server.ask(123, &exchange.request);
            let mut expected = exchange.reply;
            let has_root = expected.len() > HEADER + 28;
            expected.truncate(if has_root { HEADER + 28 } else { HEADER });
            server.same(&reply, &expected, &format!("{name}, 10.15"));
        }
        let exchanges = captures.exchanges(20);
        assert_eq!(exchanges.len(), 3);
        for exchange in &exchanges[..2] {
            let reply = server.ask(319, &exchange.request);
            let (ours, theirs) = (reply.split_at(PTP), exchange.reply.split_at(PTP));
            // All but the sequence number.
            assert_eq!((&ours.0[..30], &ours.0[32..]), (&theirs.0[..30], &theirs.0[32..]));
            server.same(ours.1, theirs.1, &format!("{name}, 10.20"));
        }
        // Requests of chrony 4.8 over PTP are none: what is answered is the one behind.
        let socket = server.namespace.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
            socket.connect((Ipv4Addr::LOCALHOST, 319)).expect("a route");
            socket
        });
        socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
        for exchange in [&exchanges[2], &exchanges[0]] {
            socket.send(&exchange.request).expect("a request");
        }
        let mut reply = [0; 2048];
        let length = uninterrupted(|| socket.recv(&mut reply)).expect("a reply");
        let answered = &exchanges[0].request[PTP + 40..PTP + 48];
        assert_eq!((length, &reply[PTP + 24..PTP + 32]), (104, answered), "{name}");
    }
}

/// Replies as in 10.26 to the requests of a client: a good one, KoD RATE, KoD DENY, a wrong originate timestamp, a root
/// dispersion of 16 s. Ends with the last.
fn answer_as_in_10_26(socket: &UdpSocket) {
    let mut request = [0; 2048];
    for number in 0..5 {
        let (length, from) = uninterrupted(|| socket.recv_from(&mut request)).expect("a request");
        assert_eq!((length, request[0]), (HEADER, 0x23));
        let mut reply = [0; HEADER];
        // Stratum 2, precision -20, root delay and dispersion 2^-8 s.
        reply[..12].copy_from_slice(&[0x24, 2, 0, 0xec, 0, 0, 1, 0, 0, 0, 1, 0]);
        reply[12..16].copy_from_slice(&[10, 0, 0, 1]);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a time after 1970");
        let seconds = u32::try_from((now.as_secs() + 2_208_988_800) & 0xffff_ffff).expect("32 bits");
        let fraction = u32::try_from((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000).expect("32 bits");
        for at in [16, 32, 40] {
            reply[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            reply[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
        }
        reply[24..32].copy_from_slice(&request[40..48]);
        match number {
            1 | 2 => {
                (reply[0], reply[1]) = (0xe4, 0);
                reply[12..16].copy_from_slice(if number == 1 { b"RATE" } else { b"DENY" });
            }
            3 => reply[24] ^= 1,
            4 => reply[8..12].copy_from_slice(&[0, 16, 0, 0]),
            _ => {}
        }
        socket.send_to(&reply, from).expect("a reply");
    }
}

#[test]
fn bad_replies_are_logged_as_captured() {
    let captures = Captures::read();
    let captured: Vec<Vec<&str>> = captures
        .block(26)
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(captured.len(), 5);
    let logged = |programs: &Programs| {
        let namespace = Namespace::new();
        let socket =
            namespace.enter(|| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, 1), 123)).expect("a socket"));
        socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
        let daemon = Chronyd::new(programs)
            .within(&namespace)
            .config("port 0\nlog rawmeasurements\nserver 127.0.1.1 minpoll 0 maxpoll 1")
            .start();
        answer_as_in_10_26(&socket);
        let path = daemon.dir.join("logs/measurements.log");
        until(LIMIT, "five lines in measurements.log", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let (whole, _) = text.rsplit_once('\n')?;
            let lines: Vec<String> = whole
                .lines()
                .filter(|line| line.starts_with("20"))
                .map(str::to_owned)
                .collect();
            (lines.len() >= captured.len()).then_some(lines)
        })
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = both()
            .map(|programs| (programs.clone(), scope.spawn(move || logged(&programs))))
            .into();
        for (programs, thread) in threads {
            let lines = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (line, captured) in lines.iter().zip(&captured) {
                let what = format!("{:?}: {line}\nbut {captured:?}", programs.chronyd);
                let columns: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(columns.len(), captured.len(), "{what}");
                // Address, leap, stratum, tests, remote poll, root delay and dispersion, reference ID and mode. The local
                // poll and the score depend on whether a reply is late, the last columns on whether the kernel has
                // begun to stamp what is received.
                for at in [2, 3, 4, 5, 6, 7, 9, 14, 15, 16, 17] {
                    assert_eq!(columns[at], captured[at], "column {at} of {what}");
                }
                // No sample: no offset, delay and dispersion.
                for at in [11, 12, 13] {
                    let nothing = "0.000e+00";
                    assert_eq!(
                        columns[at] == nothing,
                        captured[at] == nothing,
                        "column {at} of {what}"
                    );
                }
            }
        }
    });
}
