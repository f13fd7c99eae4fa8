//! The daemon as a server: packets from many addresses at a time, each followed by its reply, or by none.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use compat_tests::{Instance, LIMIT, Memory, Namespace, until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use truechimer_engine::wire::ntp::ptp::{unwrap, wrap};

use crate::maker::Maker;
use crate::rules::{self, Answer, Fate, HEADER, Sender, mode_of, u32_at, u64_at, version_of};

const NTP_PORT: u16 = 123;
const PTP_PORT: u16 = 319;
const PTP_DOMAIN: u8 = 123;
/// What the server's own reports call its reference.
const LOCAL: u32 = 0x7f7f_0101;
const RATE: u32 = u32::from_be_bytes(*b"RATE");
/// From the beginning of NTP's time to that of Unix, s.
const UNIX: u64 = 2_208_988_800;
/// Replies whose times are further from ours were made of anything, s.
const ABSURD: u64 = 300;
/// Who is behind its rate limit is told so at times, asks less often at others.
const LIMIT_INTERVAL: i8 = 1;
const NO_INTERVAL: i8 = -19;

/// Packets of a source whose replies may be late.
const MAX_WAITING: usize = 8;

/// Whether the server has a rate limit, with which nobody can tell which request will be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Limited {
    Yes,
    No,
}

/// One address that packets come from.
struct Source {
    socket: UdpSocket,
    kind: Sender,
    ptp: bool,
    to: [SocketAddr; 2],
    /// Oldest first; more than one only if nobody can tell which will be answered.
    sent: VecDeque<Sent>,
}

/// The packet that a source has sent, and its reply that has not come.
#[derive(Debug)]
struct Sent {
    bytes: Vec<u8>,
    to: SocketAddr,
    answer: Answer,
}

impl Sent {
    /// The reply has one of this request's timestamps.
    fn may_be(&self, reply: &[u8]) -> bool {
        let originate = reply.get(24..32);
        originate.is_some() && [Some(&self.bytes[32..40]), Some(&self.bytes[40..48])].contains(&originate)
    }
}

/// What a right reply is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Basic,
    Interleaved,
    Kod,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Counts {
    sent: u64,
    ignored: u64,
    refused: u64,
    /// Those of them that a signing daemon might have answered.
    unsigned: u64,
    answered: u64,
    with_mac: u64,
    with_fields: u64,
    interleaved: u64,
    kods: u64,
}

pub(crate) struct Server<'a> {
    namespace: &'a Namespace,
    daemon: Instance,
    sources: Vec<Source>,
    maker: Maker,
    limited: Limited,
    counts: Counts,
    /// Receive timestamps that an interleaved request may name, once.
    given: HashSet<u64>,
    fresh: u32,
}

const fn v6(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 7, 0, 0, 0, 0, 0, last))
}

/// IPv6 has only one address of its own.
pub(crate) fn add_addresses(namespace: &Namespace) {
    for last in 1..16 {
        let address = format!("{}/128", v6(last));
        namespace.ip(&["addr", "add", &address, "dev", "lo", "nodad"]);
    }
}

/// A socket that may have the server's port.
fn bound(to: SocketAddr) -> UdpSocket {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Datagram, flags, None).expect("a socket");
    setsockopt(&fd, sockopt::ReusePort, &true).expect("SO_REUSEPORT");
    let address = SockaddrStorage::from(to);
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &address).unwrap_or_else(|e| panic!("bind to {to}: {e}"));
    fd.into()
}

fn sources() -> Vec<Source> {
    let source = |address: IpAddr, port: u16, allowed, ptp| {
        let own: [IpAddr; 2] = match address {
            IpAddr::V4(_) => [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 77).into()],
            IpAddr::V6(_) => [Ipv6Addr::LOCALHOST.into(), v6(1)],
        };
        let to = if ptp { PTP_PORT } else { NTP_PORT };
        Source {
            socket: bound(SocketAddr::new(address, port)),
            kind: Sender {
                allowed,
                server_port: port == NTP_PORT,
            },
            ptp,
            to: own.map(|own| SocketAddr::new(own, to)),
            sent: VecDeque::new(),
        }
    };
    let v4 = |a, b| IpAddr::V4(Ipv4Addr::new(127, a, 0, b));
    let mut sources = Vec::new();
    for last in 0..24 {
        sources.push(source(v4(20 + last % 4, last), 0, true, false));
    }
    for last in 0..4 {
        sources.push(source(v4(30, last), 0, true, true));
        sources.push(source(v4(31, last), NTP_PORT, true, false));
    }
    for last in 2..10 {
        sources.push(source(v6(last), 0, true, last % 4 == 0));
    }
    sources.push(source(v6(11), NTP_PORT, true, false));
    sources.push(source(v4(9, 1), 0, false, false));
    sources.push(source(v6(13), 0, false, false));
    sources
}

/// Seconds of NTP, now.
fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.expect("a clock that is set").as_secs() + UNIX
}

/// Seconds between a timestamp and one in whole seconds.
fn distance(timestamp: u64, seconds: u64) -> u64 {
    (timestamp >> 32).abs_diff(seconds & 0xffff_ffff)
}

impl<'a> Server<'a> {
    pub(crate) fn new(namespace: &'a Namespace, daemon: Instance, seed: u64, limited: Limited) -> Self {
        Self {
            namespace,
            daemon,
            sources: namespace.enter(sources),
            maker: Maker::new(seed),
            limited,
            counts: Counts::default(),
            given: HashSet::new(),
            fresh: 0,
        }
    }

    /// Sends so many packets, from all sources in turn.
    pub(crate) fn send(&mut self, packets: u64) {
        let mut memory = Memory::of(self.daemon.pid());
        while self.counts.sent < packets {
            memory.look(self.counts.sent, packets);
            self.round();
        }
        memory.check();
    }

    /// A packet from each source, then all replies.
    fn round(&mut self) {
        for index in 0..self.sources.len() {
            let bytes = self.maker.next();
            self.send_one(index, bytes);
        }
        match self.limited {
            Limited::No => self.wait_for_all(),
            Limited::Yes => {
                self.wait_for_fresh();
                self.receive();
                for source in &mut self.sources {
                    let old = source.sent.len().saturating_sub(MAX_WAITING);
                    source.sent.drain(..old);
                }
            }
        }
    }

    fn send_one(&mut self, index: usize, bytes: Vec<u8>) {
        let to = self.maker.below(2);
        let source = &mut self.sources[index];
        let to = source.to[to];
        let fate = rules::fate(&bytes, source.kind, self.maker.keys());
        let wrapped = if source.ptp {
            wrap(&bytes, PTP_DOMAIN, 7).to_vec()
        } else {
            bytes.clone()
        };
        source.socket.send_to(&wrapped, to).expect("a datagram leaves");
        self.counts.sent += 1;
        match fate {
            Fate::Ignored => self.counts.ignored += 1,
            Fate::Refused => {
                self.counts.refused += 1;
                self.counts.unsigned += u64::from(rules::wants_signature(&bytes));
            }
            Fate::Answered(answer) => {
                assert!(answer.length <= bytes.len(), "{answer:?} to {bytes:02x?}");
                self.counts.answered += 1;
                source.sent.push_back(Sent { bytes, to, answer });
            }
        }
    }

    /// Waits for the reply of everyone who gets one.
    fn wait_for_all(&mut self) {
        let start = Instant::now();
        loop {
            self.receive();
            let mut waiting: Vec<PollFd<'_>> = Vec::new();
            for source in self.sources.iter().filter(|source| !source.sent.is_empty()) {
                waiting.push(PollFd::new(source.socket.as_fd(), PollFlags::POLLIN));
            }
            if waiting.is_empty() {
                return;
            }
            if start.elapsed() > LIMIT {
                let missing: Vec<_> = self.sources.iter().flat_map(|source| &source.sent).collect();
                panic!("no reply to {missing:02x?}");
            }
            let _ = poll(&mut waiting, PollTimeout::from(100_u8));
        }
    }

    /// Waits for replies to somebody who has never asked before, so that the daemon's sockets don't overflow. A request
    /// that is none of a client's takes another way through the daemon.
    fn wait_for_fresh(&mut self) {
        for mode in [3, 1] {
            self.fresh += 1;
            let address = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, 64, 0, 0)) + self.fresh);
            let socket = self
                .namespace
                .enter(|| UdpSocket::bind((address, 0)).expect("a socket"));
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .expect("a limit");
            let mut request = vec![0; HEADER];
            request[0] = 4 << 3 | mode;
            until(LIMIT, "a reply to a good request", || {
                socket
                    .send_to(&request, (Ipv4Addr::LOCALHOST, NTP_PORT))
                    .expect("a datagram leaves");
                self.counts.sent += 1;
                self.counts.answered += 1;
                socket.recv(&mut [0; 2000]).ok()
            });
        }
    }

    /// Takes all replies that are there.
    fn receive(&mut self) {
        let mut buffer = [0; 2000];
        for index in 0..self.sources.len() {
            loop {
                let source = &mut self.sources[index];
                let (length, from) = match source.socket.recv_from(&mut buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                };
                let reply = &buffer[..length];
                let reply = if source.ptp {
                    unwrap(reply, PTP_DOMAIN).expect("a PTP message").0
                } else {
                    reply
                };
                let reply = reply.to_vec();
                self.replied(index, from, &reply);
            }
        }
    }

    /// Finds the request of a reply, and fails if there is none with which all is right.
    fn replied(&mut self, index: usize, from: SocketAddr, reply: &[u8]) {
        let waiting = &self.sources[index].sent;
        let mut wrong = None;
        let mut right = None;
        for (place, sent) in waiting.iter().enumerate().filter(|(_, sent)| sent.may_be(reply)) {
            match self.judge(reply, from, sent) {
                Ok(kind) => {
                    right = Some((place, kind));
                    break;
                }
                Err(what) => {
                    wrong.get_or_insert_with(|| format!("{what}: reply {reply:02x?} to {sent:02x?}"));
                }
            }
        }
        let Some((place, kind)) = right else {
            let wrong = wrong.unwrap_or_else(|| format!("a reply that nobody waits for: {reply:02x?}"));
            panic!("{wrong}");
        };
        if let Some(sent) = self.sources[index].sent.remove(place) {
            self.note(reply, &sent, kind);
        }
    }

    /// Says what a reply is, or what is wrong with it.
    fn judge(&self, reply: &[u8], from: SocketAddr, sent: &Sent) -> Result<Kind, &'static str> {
        let (request, answer) = (&sent.bytes, &sent.answer);
        let right = |is, what| if is { Ok(()) } else { Err(what) };
        right(from == sent.to, "from another address")?;
        right(reply.len() <= request.len(), "longer than the request")?;
        right(reply.len() == answer.length, "length")?;
        let first = reply[0];
        right(
            (version_of(first), mode_of(first)) == (answer.version, answer.mode),
            "version or mode",
        )?;
        let reference = u32_at(reply, 12);
        let kod = self.limited == Limited::Yes && reference == RATE;
        let (leap, stratum) = if kod { (3, 0) } else { (0, 7) };
        right((first >> 6, reply[1]) == (leap, stratum), "leap or stratum")?;
        right(kod || reference == LOCAL, "reference")?;
        let interval = match self.limited {
            Limited::Yes => LIMIT_INTERVAL,
            Limited::No => NO_INTERVAL,
        };
        right(reply[2] as i8 == (request[2] as i8).max(interval), "poll")?;
        let (originate, receive, transmit) = (u64_at(reply, 24), u64_at(reply, 32), u64_at(reply, 40));
        right(
            receive & 1 == 1 && transmit & 1 == 0,
            "lowest bits of the timestamps",
        )?;
        let asked = [u64_at(request, 24), u64_at(request, 32), u64_at(request, 40)];
        right(receive != asked[0], "receive timestamp repeated")?;
        let mut kind = if kod { Kind::Kod } else { Kind::Basic };
        if originate == asked[2] {
            right(distance(transmit, now()) < ABSURD, "transmit timestamp")?;
        } else {
            // Interleaved: the receive timestamp of an earlier reply, and when that was sent.
            right(
                originate == asked[1] && answer.version == 4 && !kod,
                "originate timestamp",
            )?;
            right(
                self.given.contains(&asked[0]),
                "interleaved without an earlier reply",
            )?;
            right(
                distance(transmit, asked[0] >> 32) <= 2,
                "interleaved transmit timestamp",
            )?;
            kind = Kind::Interleaved;
        }
        right(distance(receive, now()) < ABSURD, "receive timestamp")?;
        let mut fields = &reply[HEADER..];
        for (wanted, head) in [
            (answer.correction, &[0x01, 0x0a, 0, 28, 0, 0, 0, 0][..]),
            (answer.mono_root, &[0xf3, 0x23, 0, 28, 0xf5, 0xbe, 0xdd, 0x9a]),
        ] {
            if wanted {
                right(fields.starts_with(head), "extension fields")?;
                fields = &fields[28..];
            }
        }
        right(
            if let Some(id) = answer.key {
                let behind = reply.len() - fields.len();
                let key = self.maker.keys().get(id);
                let mac = key.map(|key| key.mac(answer.version, &reply[..behind]));
                fields[..4] == id.to_be_bytes() && mac.is_some_and(|mac| *mac.as_ref() == fields[4..])
            } else {
                fields.is_empty()
            },
            "authentication",
        )?;
        Ok(kind)
    }

    /// Counts a right reply, and remembers what it gives away.
    fn note(&mut self, reply: &[u8], sent: &Sent, kind: Kind) {
        let answer = &sent.answer;
        self.counts.kods += u64::from(kind == Kind::Kod);
        self.counts.interleaved += u64::from(kind == Kind::Interleaved);
        self.counts.with_mac += u64::from(answer.key.is_some() && kind != Kind::Kod);
        self.counts.with_fields += u64::from(answer.mono_root || answer.correction);
        if kind == Kind::Interleaved {
            // Nobody gets that again.
            self.given.remove(&u64_at(&sent.bytes, 24));
        }
        if kind != Kind::Kod && answer.version == 4 {
            let receive = u64_at(reply, 32);
            self.given.insert(receive);
            self.maker.replied(receive);
        }
    }

    /// In the end it must still run, have said nothing but what it says at start, and have counted all.
    pub(crate) fn finish(mut self) {
        let requests = self.counts.refused + self.counts.answered;
        let stats = until(LIMIT, "all requests to be counted", || {
            let line = self.daemon.chronyc(&["-c", "serverstats"]).ok();
            let values = line.trim().split(',').map(str::parse);
            let stats: Vec<u64> = values.collect::<Result<_, _>>().expect("numbers");
            (stats[0] >= requests).then_some(stats)
        });
        // What came too late to be seen, or should not have come.
        self.receive();
        let counts = &self.counts;
        println!("{counts:?}");
        let all = format!("{counts:?}, serverstats {stats:?}");
        assert_eq!(stats[0], requests, "requests: {all}");
        let (received, sent) = (
            stats[11] + stats[13] + stats[15],
            stats[12] + stats[14] + stats[16],
        );
        assert_eq!(received, sent, "timestamps: {all}");
        match self.limited {
            Limited::No => {
                assert_eq!(stats[1], 0, "dropped: {all}");
                assert_eq!(stats[7], counts.with_mac, "authenticated: {all}");
                // chrony counts what nobody signs, too.
                let most = counts.answered + counts.unsigned;
                assert!((counts.answered..=most).contains(&received), "replies: {all}");
                assert!(stats[8] >= counts.interleaved, "interleaved: {all}");
                // Of everything there was enough.
                let often = |count: u64, part: u64| assert!(count > counts.sent / part, "{all}");
                often(counts.ignored, 5);
                often(counts.refused, 10);
                often(counts.answered, 4);
                often(counts.with_mac, 20);
                often(counts.with_fields, 100);
                often(counts.interleaved, 500);
            }
            Limited::Yes => {
                assert!(received + stats[1] <= stats[0], "replies: {all}");
                assert!(
                    counts.kods > counts.sent / 100 && stats[1] > counts.sent / 10,
                    "{all}"
                );
            }
        }
        let log = self.daemon.log();
        assert!(!log.contains("panic"), "{log}");
        assert_eq!(self.daemon.stop().code(), Some(0));
    }
}
