//! The captures of `spec/ntp.md` section 10: requests answered and dropped as by a real server. Fuzz and the
//! order of random draws differ, so timestamps are compared within the fuzz.

use super::*;
use crate::auth::Keys;
use crate::config::{AccessRule, Broadcast, ClockConfig, NetworkConfig, RateLimit, Subnet};
use crate::io::{Origin, Stamp};
use crate::random::Seeded;
use crate::sync::mono::MonoScale;
use crate::sync::sample::Leap;
use crate::sync::served::Served;
use crate::sync::testing::World;
use crate::time::{Cooked, Era, Mono, NtpTimestamp, Raw};
use crate::wire::ntp::captures::{EXCHANGES, KEYS, SENT, SIGNED, octets};
use crate::wire::ntp::{Auth, Packet};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Largest difference of two timestamps that have 12 bits of fuzz and were converted to nanoseconds.
const FUZZ: u64 = 1 << 13;

struct Server {
    access: AccessList,
    keys: Keys,
    shard: Shard,
    random: Seeded,
    served: Served,
    precision: i8,
    smoothing: f64,
    mono: MonoScale,
    ptp: bool,
    signs: bool,
}

fn era() -> Era {
    Era::starting_at(0)
}

fn raw(time: NtpTimestamp) -> Raw {
    let cooked = era().cooked(time);
    Raw::new(cooked.sec(), cooked.nsec())
}

fn client() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000))
}

impl Server {
    fn new(config: &NetworkConfig) -> Self {
        let mut random = Seeded::new(5);
        let everybody = AccessRule {
            allow: true,
            all: false,
            subnet: Subnet::Any,
        };
        Self {
            access: AccessList::new(&[everybody]).unwrap(),
            keys: Keys::parse(KEYS.as_bytes(), "keys").0,
            shard: Shard::new(config, &mut random),
            mono: MonoScale::new(&mut random),
            random,
            served: Served {
                synchronised: false,
                leap: Leap::Unsynchronised,
                stratum: 16,
                refid: 0,
                ref_time: Cooked::default(),
                root_delay: 1.0,
                root_dispersion: 1.0,
            },
            precision: -20,
            smoothing: 0.0,
            ptp: false,
            signs: false,
        }
    }

    /// A server in local mode, with the stratum and reference time of a captured reply.
    fn like(reply: &Packet<'_>, config: &NetworkConfig) -> Self {
        let mut server = Self::new(config);
        if reply.header.refid != 0 {
            server.served = Served {
                synchronised: false,
                leap: Leap::Normal,
                stratum: reply.header.stratum.max(1),
                refid: crate::wire::ntp::refid::LOCAL,
                ref_time: era().cooked(reply.header.reference),
                root_delay: 0.0,
                root_dispersion: 0.0,
            };
        }
        server.precision = reply.header.precision;
        server
    }

    /// Lends a view of the server, with what changes beside it.
    fn view<T>(&mut self, f: impl FnOnce(&Snapshot<'_>, &mut Shard, &mut Seeded) -> T) -> T {
        let view = Snapshot {
            cook: World::new(0.0).clock(&ClockConfig::default()).snapshot(),
            served: self.served,
            quantum: 1e-6,
            precision: self.precision,
            smoothing: self.smoothing,
            hide_leap: true,
            mono: self.mono,
            ptp: self.ptp,
            signs: self.signs,
            access: self.access.verdicts(),
            keys: &self.keys,
        };
        f(&view, &mut self.shard, &mut self.random)
    }

    fn ask(&mut self, bytes: &[u8], from: SocketAddr, rx: Raw, now: Raw) -> (Verdict, Option<Built>) {
        let stamp = Stamp::new(rx, Origin::Kernel);
        self.view(|view, shard, random| {
            let verdict = admit(view, shard, random, bytes, from, &stamp);
            let built = match &verdict {
                Verdict::Reply(reply) => reply.build(view, shard, random, now),
                _ => None,
            };
            (verdict, built)
        })
    }

    /// The kernel tells when a reply really left.
    fn sent(&mut self, receive: NtpTimestamp, at: NtpTimestamp) {
        let tx = Stamp::new(raw(at), Origin::Kernel);
        self.view(|view, shard, _| shard.sent(view, receive, &tx));
    }
}

fn close(a: NtpTimestamp, b: NtpTimestamp) -> bool {
    a.0.abs_diff(b.0) < FUZZ
}

/// Compares all that is no fuzz.
fn same(ours: &[u8], theirs: &[u8], keys: &Keys, what: &str) {
    let (a, b) = (Packet::parse(ours).unwrap(), Packet::parse(theirs).unwrap());
    let (mut header, captured) = (a.header, b.header);
    for (a, b) in [
        (header.receive, captured.receive),
        (header.transmit, captured.transmit),
        (header.reference, captured.reference),
    ] {
        assert!(close(a, b) && a.is_zero() == b.is_zero(), "{what}: {a:x?} {b:x?}");
    }
    assert_eq!((header.receive.0 & 1, header.transmit.0 & 1), (1, 0), "{what}");
    header.receive = captured.receive;
    header.transmit = captured.transmit;
    header.reference = captured.reference;
    assert_eq!(header, captured, "{what}");
    assert_eq!((ours.len(), a.auth), (theirs.len(), b.auth), "{what}");
    assert!(
        a.fields().map(|f| f.code).eq(b.fields().map(|f| f.code)),
        "{what}"
    );
    assert_eq!(a.net_correction, b.net_correction, "{what}");
    assert_eq!(a.mono_root.is_some(), b.mono_root.is_some(), "{what}");
    if let Some((ours, theirs)) = a.mono_root.zip(b.mono_root) {
        assert!(close(ours.receive, theirs.receive), "{what}");
        assert_eq!(
            (ours.root_delay, ours.root_dispersion),
            (theirs.root_delay, theirs.root_dispersion)
        );
    }
    assert!(a.auth == Auth::None || keys.verify(&a), "{what}");
}

#[test]
fn requests_are_answered_as_captured() {
    let config = NetworkConfig::default();
    for (section, request, reply) in EXCHANGES.iter().filter(|e| e.0 != "10.17" && e.0 != "10.18") {
        let (request, reply) = (octets(request), octets(reply));
        let captured = Packet::parse(&reply).unwrap();
        let mut server = Server::like(&captured, &config);
        server.ptp = *section == "10.14";
        let (rx, tx) = (raw(captured.header.receive), raw(captured.header.transmit));
        let (_, built) = server.ask(&request, client(), rx, tx);
        let built = built.unwrap_or_else(|| panic!("{section}: no reply"));
        same(&built.bytes, &reply, &server.keys, section);
        assert_eq!(built.saved, None);
    }
}

#[test]
fn interleaved_exchange() {
    let exchanges: Vec<_> = EXCHANGES.iter().filter(|e| e.0 == "10.17").collect();
    let replies: Vec<Vec<u8>> = exchanges.iter().map(|e| octets(e.2)).collect();
    let headers: Vec<_> = replies.iter().map(|r| Packet::parse(r).unwrap().header).collect();
    let mut server = Server::like(&Packet::parse(&replies[0]).unwrap(), &NetworkConfig::default());
    // Our receive timestamps have other fuzz than the captured ones: what the client echoes is translated.
    let mut ours = BTreeMap::new();
    let mut interleaved = Vec::new();
    for (i, exchange) in exchanges.iter().enumerate() {
        let mut request = octets(exchange.1);
        let echoed = u64::from_be_bytes(request[24..32].try_into().unwrap());
        let translated: u64 = ours.get(&echoed).copied().unwrap_or(echoed);
        request[24..32].copy_from_slice(&translated.to_be_bytes());
        let rx = raw(headers[i].receive);
        // Interleaved replies tell when the previous one left; they are sent right away themselves.
        let tx = if i == 2 || i == 3 {
            rx.plus(1e-4)
        } else {
            raw(headers[i].transmit)
        };
        if i == 4 {
            // The fifth is an exact repetition; the first one got an interleaved reply that was not shown.
            let (_, first) = server.ask(&request, client(), rx.plus(-0.01), tx);
            let header = Packet::parse(&first.unwrap().bytes).unwrap().header;
            assert_eq!(header.originate, Packet::parse(&request).unwrap().header.receive);
        }
        let (_, built) = server.ask(&request, client(), rx, tx);
        let built = built.unwrap();
        same(&built.bytes, &replies[i], &server.keys, exchange.0);
        let header = Packet::parse(&built.bytes).unwrap().header;
        ours.insert(headers[i].receive.0, header.receive.0);
        interleaved.push(built.saved.is_some());
        // The kernel's transmit timestamp is what the next interleaved reply has.
        if let (Some(saved), 1 | 2) = (built.saved, i) {
            server.sent(saved, headers[i + 1].transmit);
        }
    }
    // The first has no odd originate, the sixth has receive = transmit, the last is of version 3.
    assert_eq!(interleaved, [false, true, true, true, true, false, false]);
    let stats = server.shard.stats();
    assert_eq!((stats.interleaved, stats.timestamps, stats.tx), (3, 5, [6, 2, 0]));
    assert_eq!((stats.rx, stats.authenticated), ([0, 8, 0], 0));
}

#[test]
fn kiss_of_death() {
    let config = NetworkConfig {
        rate_limit: Some(RateLimit {
            interval: 3,
            burst: 2,
            leak: 4,
            kod: 1,
        }),
        ..NetworkConfig::default()
    };
    let exchanges: Vec<_> = EXCHANGES.iter().filter(|e| e.0 == "10.18").collect();
    let first = octets(exchanges[0].2);
    let mut server = Server::like(&Packet::parse(&first).unwrap(), &config);
    let header = Packet::parse(&first).unwrap().header;
    let (rx, tx) = (raw(header.receive), raw(header.transmit));
    for _ in 0..2 {
        let (_, built) = server.ask(&octets(exchanges[0].1), client(), rx, tx);
        same(
            &built.unwrap().bytes,
            &first,
            &server.keys,
            "10.18 before the limit",
        );
    }
    for exchange in &exchanges[1..] {
        let reply = octets(exchange.2);
        let header = Packet::parse(&reply).unwrap().header;
        let (rx, tx) = (raw(header.receive), raw(header.transmit));
        // Half of what is over the limit gets a KoD; nearly all the rest is dropped.
        let replies: Vec<_> = (0..50)
            .filter_map(|_| server.ask(&octets(exchange.1), client(), rx, tx).1)
            .collect();
        assert!((5..45).contains(&replies.len()), "{}", replies.len());
        let is_kod = |built: &&Built| Packet::parse(&built.bytes).unwrap().header.leap == 3;
        let kod = replies.iter().find(is_kod).unwrap();
        same(&kod.bytes, &reply, &server.keys, "10.18");
    }
    assert_eq!(server.shard.stats().interleaved, 0);
    assert!(server.shard.log.totals(Service::Ntp).drops > 20);
}

const V4: &str =
    "230006200000000000000000000000000000000000000000000000000000000000000000000000009d0bd50401abc029";

/// Asks a server in local mode; true if there is a reply.
fn answered(bytes: &[u8], port: u16) -> bool {
    let reply = octets(EXCHANGES[1].2);
    let mut server = Server::like(&Packet::parse(&reply).unwrap(), &NetworkConfig::default());
    let from = SocketAddr::from(([127, 0, 0, 1], port));
    let now = raw(NtpTimestamp(0xeeaa_e4f6_0000_0001));
    server.ask(bytes, from, now, now).1.is_some()
}

#[test]
fn requests_without_a_reply() {
    let first = |octet: &str| V4.replacen("23", octet, 1);
    let zeros = |count: usize| "00".repeat(count);
    let (v4, v3) = (V4.to_owned(), first("1b"));
    let macs: Vec<_> = EXCHANGES
        .iter()
        .filter(|e| e.0 == "10.9" || e.0 == "10.10")
        .map(|e| e.1.to_owned())
        .collect();
    let silent = [
        v4[..88].to_owned(),
        format!("{v4}0000"),
        first("03"),
        first("2b"),
        first("22"),
        first("24"),
        first("25"),
        first("26"),
        first("27"),
        first("10"),
        format!("{v4}00000000"),
        format!("{v4}00000001"),
        format!("{v3}00000000"),
        format!("{v4}77770018{}", zeros(20)),
        format!("{v4}7777000c{}7777001c{}", zeros(8), zeros(24)),
        // SHA256: version 3 with 20 octets, version 4 with 16 and 32; version 4 with one wrong octet.
        macs[0][..macs[0].len() - 24].to_owned(),
        macs[1][..macs[1].len() - 8].to_owned(),
        format!("{}{}", macs[1], zeros(12)),
        format!("{}00", &macs[1][..macs[1].len() - 2]),
        format!("{v4}0000000a{}", zeros(16)),
        format!("{v3}000003e8{}", zeros(16)),
        format!("{v3}000003e8{}", zeros(68)),
        format!("{v4}000003e8{}", zeros(16)),
        format!("{v4}77770448{}", zeros(1096)),
        format!("{v4}04040028{}", zeros(36)),
    ];
    for request in &silent {
        assert!(!answered(&octets(request), 40_000), "{request}");
    }
    assert!(!answered(&octets(&first("08")), 123) && answered(&octets(&first("08")), 124));
    assert!(answered(&octets(&first("21")), 123));
    let loud = [
        format!("{v4}77770010{}7777001c{}", zeros(12), zeros(24)),
        format!("{v4}77770428{}", zeros(1060)),
        format!("{v4}77770444{}", zeros(1088)),
        v4,
        macs[0].clone(),
        macs[1].clone(),
    ];
    for request in &loud {
        assert!(answered(&octets(request), 40_000), "{request}");
    }
}

#[test]
fn requests_of_ms_sntp_are_for_the_signing_daemon() {
    let (request, asked) = (octets(SIGNED.0), octets(SIGNED.1));
    let (reply, key) = (
        &asked[20..],
        u32::from_be_bytes(asked[16..20].try_into().unwrap()),
    );
    let captured = Packet::parse(reply).unwrap();
    let mut server = Server::like(&captured, &NetworkConfig::default());
    server.signs = true;
    let (rx, tx) = (raw(captured.header.receive), raw(captured.header.transmit));
    let (_, built) = server.ask(&request, client(), rx, tx);
    let built = built.unwrap();
    assert_eq!((built.sign, built.saved), (Some(key), None));
    same(&built.bytes, reply, &server.keys, "10.19");
    assert_eq!(server.shard.stats().authenticated, 0);
    // The extended form is never answered, and no other version is MS-SNTP.
    let extended = [&request[..52], &[0; 68]].concat();
    assert!(server.ask(&extended, client(), rx, tx).1.is_none());
    let mut v4 = request.clone();
    v4[0] = 0x23;
    assert!(server.ask(&v4, client(), rx, tx).1.is_none());
    server.signs = false;
    assert!(server.ask(&request, client(), rx, tx).1.is_none());
}

#[test]
fn a_network_correction_is_told_when_it_is_more_than_the_packet_itself() {
    let exchange = EXCHANGES.iter().find(|e| e.0 == "10.14").unwrap();
    let (request, reply) = (octets(exchange.1), octets(exchange.2));
    let captured = Packet::parse(&reply).unwrap();
    let mut server = Server::like(&captured, &NetworkConfig::default());
    server.ptp = true;
    let at = raw(captured.header.receive);
    for (duration, correction, told) in [(1e-6, 1e-6, 0.0), (1e-6, 5e-6, 5e-6), (0.0, 0.0, 0.0)] {
        let stamp = Stamp {
            duration,
            correction,
            ..Stamp::new(at, Origin::Hardware)
        };
        let bytes =
            server.view(
                |view, shard, random| match admit(view, shard, random, &request, client(), &stamp) {
                    Verdict::Reply(reply) => reply.build(view, shard, random, at).unwrap().bytes,
                    other => panic!("{other:?}"),
                },
            );
        let field = Packet::parse(&bytes).unwrap().net_correction.unwrap();
        assert!((field - told).abs() < 1e-9, "{field}");
    }
}

#[test]
fn verdicts_and_counters() {
    let reply = octets(EXCHANGES[1].2);
    let mut server = Server::like(&Packet::parse(&reply).unwrap(), &NetworkConfig::default());
    let now = raw(NtpTimestamp(0xeeaa_e4f6_0000_0001));
    let response = octets(&V4.replacen("23", "24", 1));
    assert_eq!(server.ask(&response, client(), now, now).0, Verdict::NotARequest);
    server.access = AccessList::default();
    assert_eq!(server.ask(&octets(V4), client(), now, now).0, Verdict::Drop);
    assert_eq!(server.shard.log.totals(Service::Ntp).hits, 0);
    // Without a client log there is no interleaved mode, but requests are counted.
    let mut server = Server::new(&NetworkConfig {
        no_client_log: true,
        ..NetworkConfig::default()
    });
    let mut request = octets(V4);
    request[31] = 1;
    let (_, built) = server.ask(&request, client(), now, now);
    assert_eq!(built.unwrap().saved, None);
    assert_eq!(server.shard.log.totals(Service::Ntp).hits, 1);
}

#[test]
fn replies_are_never_longer_than_requests() {
    // The key was replaced by one with a longer digest while the reply was waiting.
    let request = octets(EXCHANGES.iter().find(|e| e.0 == "10.12").unwrap().1);
    let mut server = Server::new(&NetworkConfig::default());
    let now = raw(NtpTimestamp(0xeeaa_e4f6_0000_0001));
    let (verdict, built) = server.ask(&request, client(), now, now);
    assert!(built.is_some());
    let Verdict::Reply(pending) = verdict else {
        panic!("{verdict:?}")
    };
    for (text, sent) in [("4 SHA1 abc", false), ("4 MD5 abc", true), ("5 MD5 abc", false)] {
        server.keys = Keys::parse(text.as_bytes(), "keys").0;
        let built = server.view(|view, shard, random| pending.build(view, shard, random, now));
        assert_eq!(built.is_some(), sent, "{text}");
    }
}

#[test]
fn smoothed_time_is_marked() {
    let reply = octets(EXCHANGES[1].2);
    let mut server = Server::like(&Packet::parse(&reply).unwrap(), &NetworkConfig::default());
    server.served.leap = Leap::Insert;
    let now = NtpTimestamp(0xeeaa_e4f6_0000_0001);
    let later = NtpTimestamp(0xeeaa_e4f6_8000_0001);
    let mono = EXCHANGES.iter().find(|e| e.0 == "10.13").unwrap().1;
    let header = |server: &mut Server, hex: &str| {
        let (_, built) = server.ask(&octets(hex), client(), raw(now), raw(now));
        let bytes = built.unwrap().bytes;
        let packet = Packet::parse(&bytes).unwrap();
        (packet.header, packet.mono_root)
    };
    let (plain, _) = header(&mut server, V4);
    assert_eq!((plain.leap, plain.refid), (1, 0x7f7f_0101));
    server.smoothing = 0.5;
    let (smoothed, field) = header(&mut server, mono);
    assert_eq!((smoothed.leap, smoothed.refid), (0, 0x7f7f_01ff));
    assert!(close(smoothed.receive, later) && close(smoothed.transmit, later));
    assert!(close(
        smoothed.reference,
        NtpTimestamp(plain.reference.0 + (1 << 31))
    ));
    assert_eq!(field.unwrap().receive, NtpTimestamp::ZERO);
    // Less than the precision, and symmetric mode.
    let (symmetric, _) = header(&mut server, &V4.replacen("23", "21", 1));
    assert_eq!((symmetric.leap, symmetric.refid), (1, 0x7f7f_0101));
    assert!(close(symmetric.receive, now));
    server.smoothing = 1e-7;
    let (unsmoothed, field) = header(&mut server, mono);
    assert_eq!((unsmoothed.leap, unsmoothed.refid), (1, 0x7f7f_0101));
    assert!(close(field.unwrap().receive, now));
}

/// The packet of 10.22: `broadcast 1`.
#[test]
fn broadcast_is_sent_as_captured() {
    let captured = octets(SENT[0]);
    let captured = Packet::parse(&captured).unwrap().header;
    let mut server = Server::new(&NetworkConfig::default());
    server.served = Served {
        synchronised: false,
        leap: Leap::Normal,
        stratum: 8,
        refid: crate::wire::ntp::refid::LOCAL,
        ref_time: era().cooked(captured.reference),
        root_delay: 0.0,
        root_dispersion: 0.0,
    };
    let config = [Broadcast {
        interval: 1,
        address: [127, 255, 255, 255].into(),
        port: 123,
    }];
    let mut broadcasts = Broadcasts::new(&config, Mono(0), &mut server.random);
    let due = broadcasts
        .pop_due(Mono(2_000_000_000), &mut server.random)
        .unwrap();
    for (smoothing, shift) in [(0.0, 0), (0.5, 1 << 31)] {
        server.smoothing = smoothing;
        let bytes = server.view(|view, _, random| due.build(view, random, raw(captured.transmit)));
        let mut header = Packet::parse(&bytes).unwrap().header;
        // Smoothing changes nothing but the transmit timestamp.
        assert!(close(header.transmit, NtpTimestamp(captured.transmit.0 + shift)));
        assert!(close(header.reference, captured.reference));
        (header.transmit, header.reference) = (captured.transmit, captured.reference);
        assert_eq!((header, bytes.len()), (captured, 48));
    }
}
