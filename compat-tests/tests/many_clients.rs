//! Many clients at once, and clients that don't behave, on the command sockets.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Barrier;

use compat_tests::{Chronyd, Instance, LIMIT, Namespace, subject, uninterrupted};

const CLIENTS: usize = 64;
const ROUNDS: u32 = 20;

/// TRACKING
fn request(sequence: u32) -> Vec<u8> {
    let mut packet = vec![0; 104];
    (packet[0], packet[1], packet[5]) = (6, 1, 33);
    packet[8..12].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn assert_reply(reply: &[u8], sequence: u32) {
    assert_eq!((reply.len(), &reply[8..10]), (104, &[0, 0][..]));
    assert_eq!(reply[16..20], sequence.to_be_bytes());
}

/// As many threads as there are clients, which all start at the same time.
fn at_once(client: impl Fn(usize) + Sync) {
    let start = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (start, client) = (&start, &client);
            scope.spawn(move || {
                start.wait();
                client(number);
            });
        }
    });
}

fn daemon(namespace: &Namespace) -> Instance {
    Chronyd::new(&subject())
        .within(namespace)
        .config("port 0\nlocal stratum 7\nserver 127.0.0.99 offline")
        .start()
}

fn unix(daemon: &Instance, name: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(daemon.dir.join("run").join(name)).unwrap();
    socket.connect(&daemon.socket).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

fn ask(socket: &UnixDatagram, sequence: u32) {
    socket.send(&request(sequence)).unwrap();
    let mut reply = [0; 1024];
    let length = uninterrupted(|| socket.recv(&mut reply)).expect("a reply");
    assert_reply(&reply[..length], sequence);
}

fn unharmed(mut daemon: Instance) {
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn each_gets_every_answer_over_the_unix_socket() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    at_once(|number| {
        let socket = unix(&daemon, &format!("client{number}"));
        (0..ROUNDS).for_each(|round| ask(&socket, round));
    });
    unharmed(daemon);
}

#[test]
fn each_gets_every_answer_over_udp() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    at_once(|_| {
        let socket = namespace.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        socket.connect((Ipv4Addr::LOCALHOST, 323)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        for round in 0..ROUNDS {
            socket.send(&request(round)).unwrap();
            let mut reply = [0; 1024];
            let length = uninterrupted(|| socket.recv(&mut reply)).expect("a reply");
            assert_reply(&reply[..length], round);
        }
    });
    unharmed(daemon);
}

#[test]
fn as_many_programs() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    at_once(|_| {
        let text = daemon.chronyc(&["-n", "-m", "tracking", "sources"]).ok();
        assert!(text.contains("\n^? 127.0.0.99 "), "{text}");
    });
    let left: Vec<_> = fs::read_dir(daemon.dir.join("run")).unwrap().collect();
    assert_eq!(left.len(), 1, "files of clients are left: {left:?}");
    unharmed(daemon);
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let slow = unix(&daemon, "slow");
    let other = unix(&daemon, "other");
    // More replies than the kernel keeps for a socket.
    for round in 0..200 {
        slow.send(&request(round)).unwrap();
        ask(&other, round);
    }
    // Who reads again is answered again.
    slow.set_nonblocking(true).unwrap();
    let mut kept = 0;
    while slow.recv(&mut [0; 1024]).is_ok() {
        kept += 1;
    }
    assert!(kept > 0);
    slow.set_nonblocking(false).unwrap();
    ask(&slow, 1000);
    unharmed(daemon);
}

#[test]
fn who_has_gone_holds_up_nobody() {
    let namespace = Namespace::new();
    let daemon = daemon(&namespace);
    let other = unix(&daemon, "other");
    let path = |name: &str| daemon.dir.join("run").join(name);
    for round in 0..100 {
        // One that closes its socket, one whose file goes, one that has no name at all.
        let gone = unix(&daemon, "gone");
        gone.send(&request(round)).unwrap();
        drop(gone);
        let hidden = unix(&daemon, "hidden");
        hidden.send(&request(round)).unwrap();
        for name in ["gone", "hidden"] {
            remove(&path(name));
        }
        let nameless = UnixDatagram::unbound().unwrap();
        nameless.connect(&daemon.socket).unwrap();
        nameless.send(&request(round)).unwrap();
        ask(&other, round);
    }
    unharmed(daemon);
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|e| panic!("could not remove {}: {e}", path.display()));
}
