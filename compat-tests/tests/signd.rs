//! MS-SNTP: requests that a signing daemon authenticates (`ntpsigndsocket`), with one made here.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use compat_tests::{Chronyd, Namespace, Programs, reference, subject};

/// For what must come.
const LIMIT: Duration = Duration::from_secs(10);
/// Requests on the Unix socket.
const ASKED: usize = 68;

struct World<'a> {
    client: UdpSocket,
    listener: UnixListener,
    namespace: &'a Namespace,
}

/// What the signing daemon does with a request.
#[derive(Clone, Copy)]
enum Answer {
    Sign,
    /// Octet by octet.
    Slowly,
    Refuse,
    OtherNumber,
    TooShort,
    TooLong,
    HangUp,
}

/// A version 3 request that asks for a signature with this key.
fn request(key: u32) -> Vec<u8> {
    let mut packet = vec![0; 68];
    packet[..4].copy_from_slice(&[0x1b, 0, 6, 0x20]);
    packet[40..48].copy_from_slice(&u64::from(key).to_be_bytes());
    packet[48..52].copy_from_slice(&key.to_be_bytes());
    packet
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl World<'_> {
    fn accept(&self) -> UnixStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn ask(&self, key: u32) {
        self.client.send(&request(key)).unwrap();
    }

    /// The signed reply, without timestamps.
    fn reply(&self) -> String {
        let mut buffer = [0; 2048];
        let length = self.client.recv(&mut buffer).expect("a signed reply");
        shown(&buffer[..length])
    }

    /// Waits until the daemon has handled all that was sent to it before.
    fn settle(&self) {
        let other = self
            .namespace
            .enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        other.connect((Ipv4Addr::LOCALHOST, 123)).unwrap();
        other.set_read_timeout(Some(LIMIT)).unwrap();
        let mut plain = request(1);
        plain.truncate(48);
        other.send(&plain).unwrap();
        assert_eq!(
            other.recv(&mut [0; 2048]).expect("a reply to a plain request"),
            48
        );
    }
}

/// A packet without what differs from run to run: precision, timestamps of the server.
fn shown(packet: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match packet.len() {
        48.. => format!(
            "{} {} {}",
            hex(&packet[..16]),
            hex(&packet[24..32]),
            hex(&packet[48..])
        ),
        _ => hex(packet),
    }
}

/// Takes one request of the daemon and answers it; gives the number and the rest of it that never differs.
fn serve(stream: &mut UnixStream, answer: Answer) -> String {
    let mut asked = [0; ASKED];
    stream.read_exact(&mut asked).expect("a request to sign");
    let (head, packet) = asked.split_at(20);
    let number = u16::from_be_bytes([head[12], head[13]]);
    let signed = [packet, &word(head, 16).to_le_bytes(), &[0xaa; 16]].concat();
    let response = |length: usize, operation: u32, number: u32, packet: &[u8]| {
        let words = [length as u32, 0, operation, number];
        [words.map(u32::to_be_bytes).as_flattened(), packet].concat()
    };
    let number = u32::from(number);
    let bytes = match answer {
        Answer::Sign | Answer::Slowly => response(12 + signed.len(), 3, number, &signed),
        Answer::Refuse => response(12, 4, number, &[]),
        Answer::OtherNumber => response(12 + signed.len(), 3, number + 1, &signed),
        Answer::TooShort => response(11, 3, number, &[]),
        Answer::TooLong => response(12 + 1141, 3, number, &[0; 1141]),
        Answer::HangUp => Vec::new(),
    };
    if matches!(answer, Answer::Slowly) {
        bytes.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
    } else {
        stream.write_all(&bytes).unwrap();
    }
    let fixed: Vec<u32> = [0, 4, 8, 12, 16].map(|at| word(head, at)).to_vec();
    format!("{fixed:x?} {}", shown(packet))
}

/// Everything that is seen of a daemon.
fn story(programs: &Programs) -> Vec<String> {
    let namespace = Namespace::new();
    let daemon = Chronyd::new(programs).within(&namespace);
    let directory = daemon.dir().display().to_string();
    let mut daemon = daemon
        .config(&format!(
            "ntpsigndsocket {directory}\nallow\nlocal stratum 3\nclockprecision 1e-6"
        ))
        .start();
    let client = namespace.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    client.connect((Ipv4Addr::LOCALHOST, 123)).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    // Nobody is there: said once.
    client.send(&request(1)).unwrap();
    client.send(&request(2)).unwrap();
    let world = World {
        client,
        listener: {
            let path = daemon.dir.join("socket");
            let probe = World {
                client: namespace.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()),
                listener: UnixListener::bind(daemon.dir.join("other")).unwrap(),
                namespace: &namespace,
            };
            probe.settle();
            UnixListener::bind(path).unwrap()
        },
        namespace: &namespace,
    };
    let mut seen = Vec::new();

    world.ask(1000);
    let mut stream = world.accept();
    seen.push(serve(&mut stream, Answer::Sign));
    seen.push(world.reply());
    // One at a time; the others wait, fourteen of them.
    (0..17).for_each(|key| world.ask(2000 + key));
    world.settle();
    for _ in 0..15 {
        seen.push(serve(&mut stream, Answer::Sign));
        seen.push(world.reply());
    }
    for answer in [Answer::Refuse, Answer::OtherNumber, Answer::Slowly] {
        world.ask(3000);
        seen.push(serve(&mut stream, answer));
    }
    seen.push(world.reply());
    // After nonsense there is a new connection, and what waited is forgotten.
    for answer in [Answer::TooShort, Answer::TooLong, Answer::HangUp] {
        world.ask(4000);
        world.ask(4001);
        world.settle();
        seen.push(serve(&mut stream, answer));
        if matches!(answer, Answer::HangUp) {
            drop(stream);
        } else {
            let end = stream.read(&mut [0; ASKED]);
            assert!(matches!(end, Ok(0) | Err(_)), "the connection goes on: {end:?}");
        }
        world.settle();
        world.ask(5000);
        stream = world.accept();
        seen.push(serve(&mut stream, Answer::Sign));
        seen.push(world.reply());
    }
    // Other versions and the extended form are not for the signing daemon.
    let mut v4 = request(6000);
    v4[0] = 0x23;
    world.client.send(&v4).unwrap();
    world.client.send(&[request(6001), vec![0; 52]].concat()).unwrap();
    world.ask(6002);
    seen.push(serve(&mut stream, Answer::Sign));
    seen.push(world.reply());

    daemon.stop();
    let log = daemon.log();
    let ours = log
        .lines()
        .filter(|line| line.contains("MS-SNTP") || line.contains("signd"));
    seen.extend(ours.map(|line| line[21..].replace(&directory, "DIR")));
    seen
}

#[test]
fn replies_are_signed_as_by_chrony() {
    let (ours, theirs) = (story(&subject()), story(&reference()));
    assert_eq!(ours, theirs);
    let said = &ours[ours.len() - 2..];
    assert_eq!(said[0], "MS-SNTP authentication enabled");
    assert_eq!(
        said[1],
        "Could not connect to signd socket DIR/socket : No such file or directory"
    );
    assert!(ours[0].starts_with("[40, 0, 0, 0, 3e8] 1c0306ec"), "{}", ours[0]);
    assert!(
        ours[1].ends_with(&format!("e8030000{}", "aa".repeat(16))),
        "{}",
        ours[1]
    );
}
