//! Requests of the command protocol.

use super::Cursor;
use super::world::{World, configured};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use truechimer_engine::io::Input;
use truechimer_engine::io::Peer;
use truechimer_engine::sync::reference::Start;
use truechimer_engine::wire::command::{Code, MAX_REPLY, Reply, ReplyCode, ReplyHeader};

const LINES: &[&str] = &[
    "server 192.0.2.1 iburst minpoll 0 maxpoll 0",
    "server time.example",
    "pool pool.example",
    "peer 2001:db8::1 key 1",
    "allow 198.51.100.0/24",
    "cmdallow",
    "cmdratelimit interval 1 burst 60",
    "local",
    "manual",
    "dumpdir /dumps",
    "smoothtime 400 0.01",
    "opencommands activity authdata clients manual ntpdata rtcdata selectdata serverstats smoothing sourcename sources sourcestats tracking",
];

const DUMP: &str = include_str!("../../corpus/dump/ten");

/// Requests, from several clients, with pauses.
pub(super) fn requests(data: &[u8]) {
    let mut input = Cursor(data);
    // A source with samples, so that there is something to report.
    let dumps = vec![("192.0.2.1.dat".to_owned(), DUMP.to_owned())];
    let mut world = World::new(configured(LINES), &Start::default(), b"1 MD5 one\n", dumps)
        .expect("a configuration that works");
    world.pass(1.0);
    let mut requests = 0;
    while !input.is_empty() && requests < 200 {
        requests += 1;
        let how = input.byte();
        let bytes = if how & 8 == 0 {
            // A header that is right, and the length that belongs to the command.
            let number = u16::from(input.byte());
            let length = usize::from(input.byte());
            let mut bytes = vec![6, 1, 0, 0];
            bytes.extend(number.to_be_bytes());
            bytes.extend([0; 14]);
            bytes.extend(input.take(length));
            if let Some(code) = Code::from_number(number) {
                bytes.resize(code.request_length(), 0);
            }
            bytes
        } else {
            let length = usize::from(input.word() % 900);
            input.take(length).to_vec()
        };
        let (from, local) = match how & 3 {
            0 | 1 => (Peer::Unix(b"/client".to_vec()), true),
            2 => (udp(Ipv4Addr::LOCALHOST), false),
            _ => (udp(Ipv4Addr::new(198, 51, 100, 7)), false),
        };
        world.replies.clear();
        world.input(Input::Command { from, bytes: &bytes });
        assert!(world.replies.len() <= 1, "two replies to one request");
        for reply in &world.replies {
            check(reply, &bytes, local);
        }
        world.pass(f64::from(how >> 4) * 0.1);
    }
    world.end();
}

fn udp(address: Ipv4Addr) -> Peer {
    Peer::Udp {
        remote: SocketAddr::new(IpAddr::V4(address), 40_000),
        local: None,
    }
}

fn check(reply: &[u8], request: &[u8], local: bool) {
    assert!(reply.len() <= MAX_REPLY);
    assert!(
        local || reply.len() <= request.len(),
        "a reply longer than the request"
    );
    let header = ReplyHeader::decode(reply).expect("a reply with a header");
    if let Some(code) = ReplyCode::from_number(header.reply)
        && reply.len() >= code.length()
    {
        assert!(Reply::decode(code, reply).is_some(), "a reply that can't be read");
    }
}
