//! Truncated, oversized and random datagrams on the NTP port and the command sockets.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::Duration;

use compat_tests::{
    Chronyd, Instance, LIMIT, Memory, Namespace, TempDir, ours, soak, subject, uninterrupted, until,
};
use truechimer_engine::wire::command::{Code, reply_length};

/// Long enough for a reply on loopback, short enough to wait for nothing many times.
const REPLY: Duration = Duration::from_millis(100);
/// Length of an NTP header.
const HEADER: usize = 48;

/// A generator of 64-bit numbers (xorshift), so that each run sends the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A daemon that serves in a namespace of its own.
fn daemon(namespace: &Namespace) -> Instance {
    Chronyd::new(&subject())
        .within(namespace)
        .config("allow\nlocal stratum 7")
        .start()
}

/// A UDP socket in the namespace, connected to a port of 127.0.0.1.
fn udp(namespace: &Namespace, port: u16) -> UdpSocket {
    namespace.enter(|| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket
    })
}

/// A plain request with a transmit timestamp that is `mark`.
fn request(version: u8, mode: u8, mark: u64) -> Vec<u8> {
    let mut packet = vec![0; HEADER];
    packet[0] = version << 3 | mode;
    packet[2] = 6;
    packet[3] = 0x20;
    packet[40..].copy_from_slice(&mark.to_be_bytes());
    packet
}

/// A command with the length that its reply needs.
fn command(code: u16, sequence: u32, length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    packet[0] = 6;
    packet[1] = 1;
    packet[4..6].copy_from_slice(&code.to_be_bytes());
    packet[8..12].copy_from_slice(&sequence.to_be_bytes());
    packet
}

/// Sends one datagram and returns the reply, if there is one within the time.
fn exchange(socket: &UdpSocket, packet: &[u8], limit: Duration) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(limit)).unwrap();
    socket.send(packet).unwrap();
    let mut reply = [0; 2048];
    let length = uninterrupted(|| socket.recv(&mut reply)).ok()?;
    Some(reply[..length].to_vec())
}

/// Sends a good request and waits for its reply, whatever else arrives before. So everything sent earlier was handled.
/// Replies to what was sent before may have filled the queue, so that the good one is lost; then it is sent again.
fn alive(socket: &UdpSocket, good: &[u8], is_reply: impl Fn(&[u8]) -> bool) {
    socket.set_read_timeout(Some(REPLY)).unwrap();
    let mut reply = [0; 2048];
    until(LIMIT, "a reply to a good request", || {
        socket.send(good).unwrap();
        while let Ok(length) = socket.recv(&mut reply) {
            if is_reply(&reply[..length]) {
                return Some(());
            }
        }
        None
    });
}

fn ntp_alive(socket: &UdpSocket, mark: u64) {
    alive(socket, &request(4, 3, mark), |reply| {
        reply.len() == HEADER && reply[0] == 0x24 && reply[24..32] == mark.to_be_bytes()
    });
}

fn command_alive(socket: &UdpSocket, sequence: u32) {
    // TRACKING
    alive(socket, &command(33, sequence, 104), |reply| {
        reply.len() == 104 && reply[8..10] == [0, 0] && reply[16..20] == sequence.to_be_bytes()
    });
}

/// In the end it must still run and have said nothing but what it says at start.
fn unharmed(mut daemon: Instance) {
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn ntp_requests_that_are_answered() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let socket = udp(&namespace, 123);
    // Versions are echoed; version 1 has no mode in the request (spec/ntp.md 10.2 to 10.4).
    for (version, mode, first) in [
        (4, 3, 0x24),
        (3, 3, 0x1c),
        (2, 3, 0x14),
        (1, 3, 0x0c),
        (1, 0, 0x0c),
    ] {
        let reply = exchange(&socket, &request(version, mode, 99), LIMIT).expect("a reply");
        assert_eq!(
            (reply.len(), reply[0], reply[1]),
            (HEADER, first, 7),
            "version {version}"
        );
        assert_eq!(&reply[12..16], b"\x7f\x7f\x01\x01");
        assert_eq!(reply[24..32], 99_u64.to_be_bytes());
    }
    // Unknown extension fields are no obstacle (spec/ntp.md 10.27).
    for lengths in [&[16, 28][..], &[1064], &[1092]] {
        let mut packet = request(4, 3, 7);
        for &length in lengths {
            let mut field = vec![0; usize::from(length)];
            field[..2].copy_from_slice(&0x7777_u16.to_be_bytes());
            field[2..4].copy_from_slice(&u16::to_be_bytes(length));
            packet.extend(field);
        }
        let reply = exchange(&socket, &packet, LIMIT).expect("a reply");
        assert_eq!(reply.len(), HEADER, "fields {lengths:?}");
    }
    unharmed(daemon);
}

#[test]
fn ntp_requests_that_are_dropped() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let socket = udp(&namespace, 123);
    let with = |mut packet: Vec<u8>, more: &[u8]| {
        packet.extend(more);
        packet
    };
    let mut dropped = vec![
        ("nothing", vec![]),
        ("one byte", vec![0x23]),
        ("44 bytes", request(4, 3, 1)[..44].to_vec()),
        ("50 bytes", with(request(4, 3, 1), &[0, 0])),
        ("version 0", request(0, 3, 1)),
        ("version 5", request(5, 3, 1)),
        ("crypto-NAK", with(request(4, 3, 1), &[0; 4])),
        ("four bytes more", with(request(4, 3, 1), &[0, 0, 0, 1])),
        (
            "unknown key",
            with(request(4, 3, 1), &[&[0, 0, 0, 1][..], &[0; 16]].concat()),
        ),
        (
            "field of 24 bytes",
            with(request(4, 3, 1), &[&[0x77, 0x77, 0, 24][..], &[0; 20]].concat()),
        ),
        (
            "field too short",
            with(
                request(4, 3, 1),
                &[&[0x77, 0x77, 0, 12][..], &[0; 8], &[0x77, 0x77, 0, 28], &[0; 24]].concat(),
            ),
        ),
        ("1148 bytes", with(request(4, 3, 1), &[0; 1100])),
        ("9000 bytes", with(request(4, 3, 1), &[0; 8952])),
        ("65507 bytes", with(request(4, 3, 1), &[0xff; 65459])),
        ("version 2 without mode", request(2, 0, 1)),
    ];
    for mode in [2, 4, 5, 6, 7] {
        dropped.push(("mode", request(4, mode, 1)));
    }
    for (mark, (what, packet)) in dropped.iter().enumerate() {
        assert_eq!(
            exchange(&socket, packet, REPLY),
            None,
            "{what}: {:?}",
            packet.get(..1)
        );
        ntp_alive(&socket, mark as u64 + 1);
    }
    unharmed(daemon);
}

#[test]
fn random_ntp_datagrams() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let socket = udp(&namespace, 123);
    let mut random = Random(0x5eed_0123_4567_89ab);
    for round in 0..10_000 * u64::from(soak()) {
        // Half of them noise, half of them a request that was damaged and made longer.
        let length = random.below(1300);
        let packet = if round % 2 == 0 {
            random.bytes(length)
        } else {
            let mut packet = request(4, 3, random.next());
            packet.extend(random.bytes(length));
            for _ in 0..random.below(4) {
                let at = random.below(packet.len().min(80));
                packet[at] = random.next().to_le_bytes()[0];
            }
            packet
        };
        socket.send(&packet).unwrap();
        if round % 20 == 0 {
            ntp_alive(&socket, round);
        }
    }
    unharmed(daemon);
}

#[test]
fn commands_over_udp_that_are_dropped_or_refused() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let socket = udp(&namespace, 323);
    let changed = |at: usize, value: u8| {
        let mut packet = command(33, 5, 104);
        packet[at] = value;
        packet
    };
    for (what, packet) in [
        ("nothing", vec![]),
        ("27 bytes", command(33, 5, 27)),
        ("900 bytes", command(33, 5, 900)),
        ("9000 bytes", command(33, 5, 9000)),
        ("a reply", changed(1, 2)),
        ("reserved byte", changed(2, 1)),
        ("other reserved byte", changed(3, 1)),
        ("version 4", changed(0, 4)),
    ] {
        assert_eq!(exchange(&socket, &packet, REPLY), None, "{what}");
    }
    // Status 18: version, 3: unknown command, 19: too short, 2: not authorised (spec/command-protocol.md 3.4, 6.1).
    for (what, packet, status) in [
        ("version 5", changed(0, 5), 18),
        ("version 7", changed(0, 7), 18),
        ("code 76", command(76, 5, 104), 3),
        ("code 65535", command(65535, 5, 104), 3),
        ("an old code", command(10, 5, 500), 3),
        ("28 bytes", command(33, 5, 28), 19),
        ("103 bytes", command(33, 5, 103), 19),
        ("makestep", command(43, 5, 104), 2),
        ("online", command(1, 5, 104), 2),
    ] {
        let reply = exchange(&socket, &packet, LIMIT).expect(what);
        assert_eq!(reply.len(), 28, "{what}");
        assert_eq!(
            (reply[0], reply[1], u16::from_be_bytes([reply[8], reply[9]])),
            (6, 2, status),
            "{what}"
        );
        assert_eq!(reply[16..20], 5_u32.to_be_bytes(), "{what}");
    }
    // Longer than needed is fine.
    assert_eq!(
        exchange(&socket, &command(33, 5, 860), LIMIT)
            .expect("a reply")
            .len(),
        104
    );
    command_alive(&socket, 77);
    unharmed(daemon);
}

/// Datagrams for the command sockets, and how long each was: noise, a known command with random contents, or one with
/// the right length and little in it, of which some octets were changed.
struct Commands {
    random: Random,
    sent: HashMap<u32, usize>,
}

impl Commands {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            sent: HashMap::new(),
        }
    }

    /// Shutdown (62) is for the other tests; what changes the access lists (17 to 24) makes them grow, as it should.
    fn next(&mut self, round: u32) -> Vec<u8> {
        let random = &mut self.random;
        let length = random.below(900);
        if round.is_multiple_of(3) {
            let mut noise = random.bytes(length);
            // Never a valid header by chance.
            if let Some(first) = noise.first_mut() {
                *first |= 0x80;
            }
            return noise;
        }
        let code = u16::try_from(random.below(80)).unwrap();
        let code = if code == 62 || (17..=24).contains(&code) {
            63
        } else {
            code
        };
        let mut packet = if round % 3 == 1 {
            random.bytes(length.max(20))
        } else {
            let length = Code::from_number(code).map_or(28, Code::request_length);
            let mut packet = vec![0; length];
            for _ in 0..random.below(6) {
                let at = random.below(length);
                packet[at] = random.next().to_le_bytes()[0];
            }
            packet
        };
        packet[..4].copy_from_slice(&[6, 1, 0, 0]);
        packet[4..6].copy_from_slice(&code.to_be_bytes());
        packet[8..12].copy_from_slice(&round.to_be_bytes());
        self.sent.insert(round, packet.len());
        packet
    }

    /// No reply is longer than its request.
    fn check(&self, reply: &[u8]) {
        assert!(reply.len() >= 28, "{reply:?}");
        let sequence = u32::from_be_bytes([reply[16], reply[17], reply[18], reply[19]]);
        let longest = self.sent.get(&sequence).copied().unwrap_or(GOOD_LENGTH);
        assert!(
            reply.len() <= longest,
            "{} to {longest} octets: {reply:?}",
            reply.len()
        );
    }
}

/// Length of the request that must be answered in between.
const GOOD_LENGTH: usize = 104;
const FIRST_GOOD: u32 = 0xaaaa_0000;

fn random_commands(
    daemon: Instance,
    seed: u64,
    send: impl Fn(&[u8]),
    receive: impl Fn(&mut [u8]) -> std::io::Result<usize>,
) {
    let rounds = 10_000 * soak();
    let mut commands = Commands::new(seed);
    let mut memory = Memory::of(daemon.pid());
    for round in 0..rounds {
        send(&commands.next(round));
        if !round.is_multiple_of(20) {
            continue;
        }
        memory.look(u64::from(round), u64::from(rounds));
        // N_SOURCES is answered whatever the commands before have done.
        let sequence = FIRST_GOOD + round / 20;
        let good = command(14, sequence, GOOD_LENGTH);
        let mut reply = [0; 2048];
        until(LIMIT, "a reply to a good command", || {
            send(&good);
            while let Ok(length) = receive(&mut reply) {
                commands.check(&reply[..length]);
                if reply[16..20] == sequence.to_be_bytes() {
                    assert_eq!((length, &reply[8..10]), (32, &[0, 0][..]));
                    return Some(());
                }
            }
            None
        });
        commands.sent.clear();
    }
    memory.check();
    unharmed(daemon);
}

#[test]
fn random_commands_over_udp() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let socket = udp(&namespace, 323);
    socket.set_read_timeout(Some(REPLY)).unwrap();
    let send = |packet: &[u8]| assert_eq!(socket.send(packet).unwrap(), packet.len());
    random_commands(daemon, 0x5eed_0323, send, |buffer| socket.recv(buffer));
}

#[test]
fn random_commands_over_the_unix_socket() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let own = daemon.dir.join("run/test.sock");
    let socket = UnixDatagram::bind(own).unwrap();
    socket.connect(&daemon.socket).unwrap();
    socket.set_read_timeout(Some(REPLY)).unwrap();
    let send = |packet: &[u8]| assert_eq!(socket.send(packet).unwrap(), packet.len());
    random_commands(daemon, 0x5eed_0888, send, |buffer| socket.recv(buffer));
}

/// A reply of the kind that belongs to the request with random contents, or one with something wrong.
fn random_reply(random: &mut Random, request: &[u8], round: u64) -> Vec<u8> {
    let code = u16::from_be_bytes([request[4], request[5]]);
    let kind = Code::from_number(code).map_or(1, |code| code.reply().number());
    let length = reply_length(kind);
    let mut reply = random.bytes(length);
    reply[..28].fill(0);
    (reply[0], reply[1]) = (6, 2);
    reply[4..6].copy_from_slice(&code.to_be_bytes());
    reply[6..8].copy_from_slice(&kind.to_be_bytes());
    reply[16..20].copy_from_slice(&request[8..12]);
    if code == 14 {
        // As many sources as are asked for one by one.
        reply[28..32].copy_from_slice(&[0, 0, 0, 3]);
    }
    match round % 8 {
        // The one that is taken comes last.
        0 => {}
        1 => {
            let length = random.below(600);
            return random.bytes(length);
        }
        2 => reply.truncate(random.below(28)),
        3 => reply[1] = 1,
        4 => reply[0] = random.next().to_le_bytes()[0] | 0x80,
        5 => reply[16] ^= 1,
        6 => reply[5] ^= 0x55,
        _ => reply[4] |= 0x80,
    }
    reply
}

/// A process that ends with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn random_replies_to_the_client() {
    const COMMANDS: &[&str] = &[
        "tracking",
        "sources -a",
        "sourcestats -a",
        "selectdata -a",
        "authdata -a",
        "ntpdata",
        "activity",
        "clients",
        "serverstats",
        "rtcdata",
        "smoothing",
        "manual list",
        "sourcename 192.0.2.1",
        "waitsync 1",
        "settime 1:00",
        "makestep",
        "health --min-sources 2",
    ];
    /// Replies before the one that is taken.
    const NOISE: u64 = 20;
    // In all, of four styles.
    let replies = 100_000 / 4 * soak().div_ceil(10);
    for style in ["-n", "-cn", "-jn", "-wN"] {
        let dir = TempDir::new();
        let path = dir.join("server");
        let server = UnixDatagram::bind(&path).unwrap();
        server.set_read_timeout(Some(REPLY)).unwrap();
        let log = dir.join("log");
        let file = File::create(&log).unwrap();
        let client = std::process::Command::new(ours().chronyc)
            .args(["-u", "root", style, "-h"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut client = Killed(client);
        let mut input = client.0.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // Commands as fast as they are read, until nobody does.
            scope.spawn(move || {
                for command in COMMANDS.iter().cycle() {
                    if writeln!(input, "{command}").is_err() {
                        break;
                    }
                }
            });
            let mut client = client;
            let mut memory = Memory::of(client.0.id());
            let mut random = Random(0x5eed_c11e);
            let mut request = [0; 2048];
            let mut sent = 0;
            until(LIMIT * 10, "all replies", || {
                while sent < replies {
                    let (length, from) = server.recv_from(&mut request).ok()?;
                    let from = from.as_pathname().expect("clients have names").to_owned();
                    for round in (0..NOISE).rev() {
                        let reply = random_reply(&mut random, &request[..length], round);
                        // A client that gave up and asks again has another name.
                        let _ = server.send_to(&reply, &from);
                        sent += 1;
                    }
                    memory.look(u64::from(sent), u64::from(replies));
                }
                Some(())
            });
            let ended = client.0.try_wait().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(&log).unwrap());
            memory.check();
        });
        let errors = fs::read_to_string(&log).unwrap();
        assert!(!errors.contains("panic"), "{errors}");
    }
}
