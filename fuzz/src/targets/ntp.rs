//! Packets for the client and the server side of the engine.

use super::Cursor;
use super::world::{Sent, World, configured};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use truechimer_engine::auth::Keys;
use truechimer_engine::io::{Input, Origin, Stamp};
use truechimer_engine::sync::reference::Start;
use truechimer_engine::time::Raw;

const LINES: &[&str] = &[
    "server 192.0.2.1 iburst minpoll 0 maxpoll 0",
    "server 192.0.2.2 iburst minpoll 0 maxpoll 2 xleave filter 2",
    "server 192.0.2.3 iburst minpoll 0 maxpoll 2 key 1",
    "peer 192.0.2.4 minpoll 0 maxpoll 2 xleave",
    "server 192.0.2.5 iburst minpoll 0 maxpoll 2 extfield F323 extfield 10A copy",
    "allow",
    "deny 203.0.113.0/24",
    "ratelimit interval 1 burst 8 leak 2 kod 2",
    "broadcast 16 192.0.2.255",
    "makestep 1 -1",
    "local stratum 9 orphan distance 0.1",
    // Else no source without a key is selected.
    "authselectmode ignore",
    "leapsecmode slew",
    "smoothtime 400 0.01",
    "log tracking measurements statistics selection",
];
const KEYS: &[u8] = b"1 SHA1 HEX:0123456789abcdef0123\n2 MD5 two\n";
/// The source with a key.
const AUTHENTICATED: u8 = 2;
/// Of the time between 1900 and 1970, s.
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// A sequence of packets, pauses and accidents.
pub(super) fn packets(data: &[u8]) {
    let mut input = Cursor(data);
    let mut world = World::new(configured(LINES), &Start::default(), KEYS, Vec::new())
        .expect("a configuration that works");
    world.pass(1.0);
    let mut time = 0.0;
    while !input.is_empty() && time < 600.0 {
        let what = input.byte();
        let whom = input.byte();
        match what % 8 {
            0 => request(&mut world, whom, &mut input, false),
            1 => request(&mut world, whom, &mut input, true),
            2 | 3 => reply(&mut world, whom, &mut input),
            4 => {
                let seconds = 0.0625 * f64::from(1_u32 << (whom % 11));
                time += seconds;
                world.pass(seconds);
            }
            5 => stamp(&mut world, whom, &mut input),
            6 => raw_reply(&mut world, whom, &mut input),
            _ => world.disturb(f64::from(input.byte() as i8) * f64::from(1_u32 << (whom % 24)) * 1e-3),
        }
    }
    world.pass(2.0);
    world.end();
}

fn keys() -> &'static Keys {
    static PARSED: OnceLock<Keys> = OnceLock::new();
    PARSED.get_or_init(|| Keys::parse(KEYS, "keys").0)
}

fn source(whom: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1 + whom % 5), 123))
}

fn timestamp(at: Raw) -> [u8; 8] {
    let seconds = (at.sec() + NTP_TO_UNIX) as u32;
    let fraction = ((u64::from(at.nsec()) << 32) / 1_000_000_000) as u32;
    (u64::from(seconds) << 32 | u64::from(fraction)).to_be_bytes()
}

/// Changes some bytes of a packet that would be right, and adds some behind it.
fn bend(mut packet: Vec<u8>, input: &mut Cursor<'_>) -> Vec<u8> {
    let how = input.byte();
    for _ in 0..how & 7 {
        let at = usize::from(input.byte());
        if let Some(byte) = packet.get_mut(at) {
            *byte = input.byte();
        }
    }
    packet.extend_from_slice(input.take(usize::from(how >> 3) * 4));
    packet
}

fn request(world: &mut World, whom: u8, input: &mut Cursor<'_>, plain: bool) {
    let v6 = whom & 0x40 != 0;
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(whom % 8)))
    } else {
        // Some of them are denied.
        IpAddr::V4(Ipv4Addr::new(
            if whom & 0x20 == 0 { 198 } else { 203 },
            0,
            113,
            whom % 8,
        ))
    };
    let client = SocketAddr::new(ip, 50_000);
    let bytes = if plain {
        let mut packet = vec![0; 48];
        packet[0] = 0x23;
        if let Some(sent) = world.sent.get(&client).filter(|sent| sent.bytes.len() >= 48) {
            // Interleaved: what the server said when it received the last one.
            packet[24..32].copy_from_slice(&sent.bytes[32..40]);
            packet[32..40].copy_from_slice(&sent.bytes[40..48]);
        }
        packet[40..48].copy_from_slice(&timestamp(world.now()));
        bend(packet, input)
    } else {
        let length = usize::from(input.word() % 1200);
        input.take(length).to_vec()
    };
    let Some(on) = world.server(v6) else { return };
    world.fresh.clear();
    world.datagram(on, client, &bytes, 1e-5);
    let answers: Vec<&Sent> = world.fresh.iter().filter(|sent| sent.to == client).collect();
    assert!(answers.len() <= 1, "{} answers to one request", answers.len());
    for answer in answers {
        assert!(
            answer.bytes.len() <= bytes.len(),
            "an answer longer than the request"
        );
        assert!(whom & 0x60 != 0x20, "an answer to a client that is denied");
    }
}

fn reply(world: &mut World, whom: u8, input: &mut Cursor<'_>) {
    let from = source(whom);
    let Some(sent) = world
        .sent
        .get(&from)
        .filter(|sent| sent.bytes.len() >= 48)
        .cloned()
    else {
        return;
    };
    let offset = f64::from(input.byte() as i8) * 1e-3;
    world.pass(1e-4);
    let now = timestamp(world.now().plus(offset));
    let mut packet = vec![0; 48];
    let symmetric = sent.bytes[0] & 7 == 1;
    packet[0] = (sent.bytes[0] & 0x38) | if symmetric { 1 } else { 4 };
    packet[1] = 1;
    packet[2] = sent.bytes[2];
    packet[3] = 0xe9;
    packet[12..16].copy_from_slice(b"GPS\0");
    packet[16..24].copy_from_slice(&now);
    packet[24..32].copy_from_slice(&sent.bytes[40..48]);
    packet[32..40].copy_from_slice(&now);
    packet[40..48].copy_from_slice(&now);
    if let Some(key) = keys().get(1).filter(|_| from == source(AUTHENTICATED)) {
        packet.extend_from_slice(&1_u32.to_be_bytes());
        let mac = key.mac(4, &packet[..48]);
        packet.extend_from_slice(mac.as_ref());
    } else {
        // Extension fields of the request come back as they are.
        packet.extend_from_slice(&sent.bytes[48..]);
    }
    let packet = bend(packet, input);
    world.datagram(sent.on, from, &packet, 1e-5);
}

fn raw_reply(world: &mut World, whom: u8, input: &mut Cursor<'_>) {
    let from = source(whom);
    let Some(on) = world.sent.get(&from).map(|sent| sent.on) else {
        return;
    };
    let length = usize::from(input.word() % 1200);
    world.datagram(on, from, input.take(length), 1e-5);
}

fn stamp(world: &mut World, whom: u8, input: &mut Cursor<'_>) {
    let Some(sent) = world.sent.get(&source(whom)).cloned() else {
        return;
    };
    let late = f64::from(input.byte() as i8) * 1e-3;
    let tx = Stamp {
        at: world.now().plus(late),
        error: 1e-9,
        origin: Origin::Hardware,
        ..Stamp::default()
    };
    match sent.token.filter(|_| whom & 0x80 == 0) {
        Some(token) => world.input(Input::Sent { token, tx }),
        None => world.input(Input::NotSent { on: sent.on }),
    }
}
