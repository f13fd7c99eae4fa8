//! The daemon as a client: servers whose right reply comes behind many damaged ones.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use compat_tests::{Chronyd, Instance, LIMIT, Memory, Namespace, subject};
use truechimer_engine::time::NtpTimestamp;
use truechimer_engine::wire::ntp::{Auth, Header, Mode, Packet};
use truechimer_engine::wire::ntp::{Builder, MonoRoot, NtpShort};

use crate::maker::{KEYS, Maker};

const PORT: u16 = 11123;
/// Replies to one request, of which only the last one is right.
const REPLIES: usize = 40;
/// What the daemon has of each kind of source: address, options, whether a damaged reply can't be valid.
const SOURCES: &[(&str, &str, bool)] = &[
    ("127.1.0.1", "server {} minpoll -6 maxpoll -6", false),
    ("127.1.0.2", "server {} minpoll -6 maxpoll -6 key 2", true),
    (
        "127.1.0.3",
        "server {} minpoll -6 maxpoll -6 xleave extfield F323",
        false,
    ),
    (
        "127.1.0.4",
        "server {} minpoll -6 maxpoll -6 key 3 xleave extfield F323 version 4",
        true,
    ),
    ("127.1.0.5", "peer {} minpoll -6 maxpoll -6 key 6", true),
];

fn now() -> NtpTimestamp {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock that is set");
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    NtpTimestamp((time.as_secs() + 2_208_988_800) << 32 | fraction)
}

/// What an honest server of stratum 1 would say.
fn right_reply(request: &[u8], maker: &Maker) -> Vec<u8> {
    let packet = Packet::parse(request).expect("a packet of the daemon");
    let asked = &packet.header;
    let mode = match asked.mode {
        Mode::Client => Mode::Server,
        Mode::Active => Mode::Passive,
        other => panic!("{other:?} from the daemon"),
    };
    let received = now();
    let header = Header {
        leap: 0,
        version: asked.version,
        mode,
        stratum: 1,
        poll: asked.poll,
        precision: -20,
        root_delay: NtpShort(0),
        root_dispersion: NtpShort(1),
        refid: 0x4750_5300,
        reference: NtpTimestamp(received.0 - (10 << 32)),
        originate: asked.transmit,
        receive: received,
        transmit: NtpTimestamp(received.0 + 4000),
    };
    let mut reply: Builder = Builder::new(&header);
    if packet.mono_root.is_some() {
        let root = MonoRoot::default();
        reply.mono_root(&root).expect("room");
    }
    if let Auth::Symmetric(id) = packet.auth {
        maker.keys().sign(id, &mut reply).expect("a key");
    }
    reply.bytes().to_vec()
}

/// A server's socket, and what it has done.
struct Hostile {
    address: &'static str,
    socket: UdpSocket,
    rights: u64,
    damaged: u64,
}

impl Hostile {
    /// Answers all requests that are there.
    fn answer(&mut self, maker: &mut Maker) {
        let mut buffer = [0; 2000];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let right = right_reply(&buffer[..length], maker);
            for _ in 1..REPLIES {
                let mut reply = right.clone();
                maker.damage(&mut reply);
                if reply != right {
                    self.damaged += 1;
                    self.send(&reply, from);
                }
            }
            self.rights += 1;
            self.send(&right, from);
        }
    }

    /// A client that has a valid reply has closed its socket, which comes back as an error of this one.
    fn send(&self, reply: &[u8], to: SocketAddr) {
        let _ = self.socket.send_to(reply, to);
    }

    /// Requests sent and valid replies, as the daemon counts them.
    fn counted(&self, daemon: &Instance) -> (u64, u64) {
        let text = daemon.chronyc(&["ntpdata", self.address]).ok();
        let value = |name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split(": ").nth(1)?.trim().parse().ok());
            value.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        (value("Total TX"), value("Total valid RX"))
    }
}

pub(crate) fn run(seed: u64, wanted: u64) {
    let namespace = Namespace::new();
    let mut servers: Vec<Hostile> = namespace.enter(|| {
        let socket = |address: &'static str| {
            let socket = UdpSocket::bind((address, PORT)).expect("a socket");
            socket.set_nonblocking(true).expect("O_NONBLOCK");
            Hostile {
                address,
                socket,
                rights: 0,
                damaged: 0,
            }
        };
        SOURCES.iter().map(|&(address, _, _)| socket(address)).collect()
    });
    let daemon = Chronyd::new(&subject()).within(&namespace);
    let keys = daemon.dir().write("keys", KEYS);
    let lines: Vec<String> = SOURCES
        .iter()
        .map(|(address, line, _)| line.replace("{}", &format!("{address} port {PORT}")))
        .collect();
    let mut daemon = daemon
        .config(&format!(
            "keyfile {}\nport 11124\n{}",
            keys.display(),
            lines.join("\n")
        ))
        .start();
    let mut maker = Maker::new(seed);
    println!("seed {seed:#x}, {wanted} damaged replies");
    let mut memory = Memory::of(daemon.pid());
    let (mut progress, mut before) = (Instant::now(), 0);
    loop {
        for server in &mut servers {
            server.answer(&mut maker);
        }
        let damaged: u64 = servers.iter().map(|server| server.damaged).sum();
        memory.look(damaged, wanted);
        if damaged >= wanted {
            break;
        }
        if damaged > before {
            (progress, before) = (Instant::now(), damaged);
        }
        assert!(
            progress.elapsed() < LIMIT,
            "no request any more:\n{}",
            daemon.log()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    memory.check();
    for (server, &(_, line, authenticated)) in servers.iter().zip(SOURCES) {
        let (sent, valid) = server.counted(&daemon);
        let all = format!(
            "{line}: {sent} sent, {valid} valid of {} right, {} damaged",
            server.rights, server.damaged
        );
        println!("{all}");
        // It asks no more often for being told anything.
        assert!(server.rights <= sent && valid <= sent, "{all}");
        assert!(valid > 0, "{all}");
        if authenticated {
            assert!(valid <= server.rights, "{all}");
        }
    }
    let log = daemon.log();
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(daemon.stop().code(), Some(0));
}
