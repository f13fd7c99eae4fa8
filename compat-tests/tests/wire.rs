//! What directives of chrony.conf do on the wire: each configuration runs under chrony's daemon and ours, and both must do
//! what is written here.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use compat_tests::wire::{Datagram, Wire};
use compat_tests::{Chronyd, Instance, LIMIT, Pair, Programs, reference, subject, uninterrupted, until};

/// Long enough for a reply between two namespaces, short enough to wait for nothing.
const REPLY: Duration = Duration::from_millis(300);
/// Addresses of the right side's loopback interface: the same whichever cable a datagram takes.
const FAR4: &str = "10.97.0.1";
const FAR6: &str = "fd00:97::1";
/// Addresses of both ends of the second cable.
const SECOND: [(&str, &str); 2] = [("10.98.0.1", "fd00:98::1"), ("10.98.0.2", "fd00:98::2")];
const EXPEDITED: u8 = 46 << 2;

/// Two namespaces with two cables between them. The left one reaches the far addresses over `veth0` unless told otherwise.
struct Cables {
    pair: Pair,
}

impl Cables {
    fn new() -> Self {
        let pair = Pair::new();
        let other = pair.right.name();
        pair.left.ip(&[
            "link", "add", "veth1", "type", "veth", "peer", "name", "veth1", "netns", other,
        ]);
        for (side, (v4, v6)) in [&pair.left, &pair.right].into_iter().zip(SECOND) {
            side.ip(&["addr", "add", &format!("{v4}/24"), "dev", "veth1"]);
            side.ip(&["addr", "add", &format!("{v6}/64"), "dev", "veth1", "nodad"]);
            side.ip(&["link", "set", "veth1", "up"]);
        }
        until(LIMIT, "the second cable", || {
            let state = pair.left.ip(&["-o", "link", "show", "veth1"]);
            state.contains("LOWER_UP").then_some(())
        });
        pair.right
            .ip(&["addr", "add", &format!("{FAR4}/32"), "dev", "lo"]);
        pair.right
            .ip(&["addr", "add", &format!("{FAR6}/128"), "dev", "lo", "nodad"]);
        for (device, v4, v6, metric) in [
            ("veth0", Pair::RIGHT4, Pair::RIGHT6, "1"),
            ("veth1", SECOND[1].0, SECOND[1].1, "2"),
        ] {
            for (far, via) in [(FAR4, v4), (FAR6, v6)] {
                pair.left
                    .ip(&["route", "add", far, "via", via, "dev", device, "metric", metric]);
            }
        }
        Self { pair }
    }

    /// Link address of an interface of the left side.
    fn link(&self, device: &str) -> [u8; 6] {
        let shown = self.pair.left.ip(&["-o", "link", "show", device]);
        let (_, rest) = shown.split_once("link/ether ").expect("an Ethernet interface");
        let octets = rest.split(' ').next().expect("an address").split(':');
        let octets: Vec<u8> = octets
            .map(|octet| u8::from_str_radix(octet, 16).expect("an octet"))
            .collect();
        octets.try_into().expect("six octets")
    }

    /// A daemon with these lines on the left side, which asks the far addresses.
    fn client(&self, programs: &Programs, lines: &str) -> Instance {
        Chronyd::new(programs)
            .within(&self.pair.left)
            .config(lines)
            .start()
    }

    /// A daemon with these lines on the right side, which serves.
    fn server(&self, programs: &Programs, lines: &str) -> Instance {
        Chronyd::new(programs)
            .within(&self.pair.right)
            .config("local stratum 3\nallow")
            .config(lines)
            .start()
    }

    /// Asks an address of the right side from the left side; none: no reply. From the device, if one is named.
    fn ask(&self, to: (&str, u16), device: Option<&str>) -> bool {
        let to = SocketAddr::new(to.0.parse().expect("an address"), to.1);
        let socket = self.pair.left.enter(|| {
            let any: IpAddr = match to {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            UdpSocket::bind((any, 0)).expect("a socket")
        });
        if let Some(device) = device {
            let made = socket2::SockRef::from(&socket);
            made.bind_device(Some(device.as_bytes())).expect("a device");
        }
        socket.connect(to).expect("a route");
        socket.set_read_timeout(Some(REPLY)).expect("a time-out");
        let mut packet = [0; 48];
        packet[0] = 0x23;
        if socket.send(&packet).is_err() {
            return false;
        }
        // A closed port is told by an error. A connected socket takes nothing from other addresses.
        uninterrupted(|| socket.recv(&mut packet)).is_ok_and(|length| length == 48)
    }

    /// Waits until an address answers: on a slow machine the first reply may come late.
    fn wait_answer(&self, to: (&str, u16), device: Option<&str>) {
        until(LIMIT, &format!("an answer of {to:?} over {device:?}"), || {
            self.ask(to, device).then_some(())
        });
    }
}

/// chrony's programs and those under test.
fn both() -> [Programs; 2] {
    [reference(), subject()]
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn is_request(datagram: &Datagram) -> bool {
    datagram.to.port() == 123 && datagram.bytes.len() >= 48 && datagram.bytes[0] & 7 == 3
}

/// Requests of a client with the lines to both far addresses, some of each.
fn requests(programs: &Programs, lines: &str) -> (Cables, Vec<Datagram>) {
    let cables = Cables::new();
    let mut wire = Wire::new(&cables.pair.right);
    let sources = [FAR4, FAR6].map(|far| format!("server {far} minpoll -2 maxpoll -2\n"));
    let _client = cables.client(programs, &format!("{}{lines}", sources.concat()));
    let mut seen = Vec::new();
    for far in [FAR4, FAR6] {
        for _ in 0..3 {
            seen.push(wire.wait(&format!("requests to {far} with {lines}"), |datagram| {
                is_request(datagram) && datagram.to.ip() == ip(far)
            }));
        }
    }
    (cables, seen)
}

/// Where the requests of a client come from: the device, the addresses of both families, the type of service, and the
/// number of ports (or the only one).
#[derive(Debug, Eq, PartialEq)]
struct Way {
    device: &'static str,
    addresses: [&'static str; 2],
    class: u8,
    ports: Ports,
}

#[derive(Debug, Eq, PartialEq)]
enum Ports {
    /// Another one for each request.
    Changing,
    /// The same of each family, whichever.
    Kept,
    /// This one.
    Only(u16),
}

#[test]
fn requests_leave_as_configured() {
    const USUAL: Way = Way {
        device: "veth0",
        addresses: [Pair::LEFT4, Pair::LEFT6],
        class: 0,
        ports: Ports::Changing,
    };
    const LEFT_SECOND: [&str; 2] = [SECOND[0].0, SECOND[0].1];
    let cases = [
        ("", USUAL),
        (
            "bindacqaddress 10.98.0.1\nbindacqaddress fd00:98::1",
            Way {
                addresses: LEFT_SECOND,
                ..USUAL
            },
        ),
        (
            "bindacqdevice veth1",
            Way {
                device: "veth1",
                addresses: LEFT_SECOND,
                ..USUAL
            },
        ),
        (
            "acquisitionport 1123",
            Way {
                ports: Ports::Only(1123),
                ..USUAL
            },
        ),
        (
            "acquisitionport 1123\nbindacqaddress 10.98.0.1\nbindacqaddress fd00:98::1\nbindacqdevice veth1",
            Way {
                device: "veth1",
                addresses: LEFT_SECOND,
                ports: Ports::Only(1123),
                ..USUAL
            },
        ),
        (
            "acquisitionport 0",
            Way {
                ports: Ports::Kept,
                ..USUAL
            },
        ),
        (
            "acquisitionport 123",
            Way {
                ports: Ports::Only(123),
                ..USUAL
            },
        ),
        (
            // What is for the server is not for its requests.
            "bindaddress 10.98.0.1\nbindaddress fd00:98::1\nbinddevice veth1\nallow",
            USUAL,
        ),
        (
            "dscp 46",
            Way {
                class: EXPEDITED,
                ..USUAL
            },
        ),
        (
            "dscp 46\nacquisitionport 1123",
            Way {
                class: EXPEDITED,
                ports: Ports::Only(1123),
                ..USUAL
            },
        ),
    ];
    for programs in both() {
        std::thread::scope(|scope| {
            let programs = &programs;
            for (lines, way) in &cases {
                scope.spawn(move || {
                    let (cables, seen) = requests(programs, lines);
                    let what = format!("{:?} with {lines}: {seen:#?}", programs.chronyd);
                    for datagram in &seen {
                        let address = way.addresses[usize::from(datagram.to.is_ipv6())];
                        assert_eq!(datagram.from.ip(), ip(address), "{what}");
                        assert_eq!(datagram.link, cables.link(way.device), "{what}");
                        assert_eq!(datagram.class, way.class, "{what}");
                    }
                    for v6 in [false, true] {
                        let family = seen.iter().filter(|datagram| datagram.to.is_ipv6() == v6);
                        let ports: BTreeSet<u16> = family.map(|datagram| datagram.from.port()).collect();
                        match way.ports {
                            Ports::Changing => assert!(ports.len() > 1, "{what}"),
                            Ports::Kept => assert_eq!(ports.len(), 1, "{what}"),
                            Ports::Only(port) => assert_eq!(ports, [port].into(), "{what}"),
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn replies_leave_as_configured() {
    for programs in both() {
        // From the address that was asked, on the cable where the way back leads.
        let cables = Cables::new();
        let mut wire = Wire::new(&cables.pair.left);
        let _server = cables.server(&programs, "dscp 46");
        for address in [FAR4, FAR6, Pair::RIGHT4, Pair::RIGHT6, SECOND[1].0, SECOND[1].1] {
            cables.wait_answer((address, 123), None);
            let reply = wire.wait("a reply", |datagram| datagram.from.port() == 123);
            assert_eq!((reply.from.ip(), reply.class), (ip(address), EXPEDITED));
            assert_eq!(reply.bytes[0] & 7, 4);
            wire.seen();
        }
    }
}

#[test]
fn servers_listen_where_they_are_told_to() {
    for programs in both() {
        let what = format!("{:?}", programs.chronyd);
        let cables = Cables::new();
        // An address that is not there yet is waited for.
        let lines = "bindaddress 10.99.0.22\nbindaddress fd00:99::22";
        let server = cables.server(&programs, lines);
        for (address, length) in [("10.99.0.22", 24), ("fd00:99::22", 64)] {
            assert!(!cables.ask((address, 123), None), "{what}");
            let added = format!("{address}/{length}");
            let mut arguments = vec!["addr", "add", &added, "dev", "veth0"];
            if length == 64 {
                arguments.push("nodad");
            }
            cables.pair.right.ip(&arguments);
            cables.wait_answer((address, 123), None);
        }
        for address in [Pair::RIGHT4, Pair::RIGHT6, FAR4] {
            assert!(!cables.ask((address, 123), None), "{what}: {address}");
        }
        assert!(!server.log().contains("Could not open"), "{}", server.log());
        drop(server);

        let server = cables.server(&programs, "binddevice veth1");
        for address in [FAR4, FAR6] {
            cables.wait_answer((address, 123), Some("veth1"));
            assert!(!cables.ask((address, 123), Some("veth0")), "{what}: {address}");
        }
        drop(server);

        let server = cables.server(&programs, "port 1123");
        for address in [FAR4, FAR6] {
            cables.wait_answer((address, 1123), None);
            assert!(!cables.ask((address, 123), None), "{what}: {address}");
        }
        drop(server);
    }
}

#[test]
fn port_0_is_no_server_and_no_peer_but_a_client() {
    for programs in both() {
        let cables = Cables::new();
        let _server = cables.server(&programs, "");
        let mut wire = Wire::new(&cables.pair.right);
        let client = cables.client(
            &programs,
            &format!(
                "port 0\nallow\nlocal stratum 5\nserver {FAR4} minpoll -2 maxpoll -2\n\
                 peer {FAR6} minpoll -2 maxpoll -2\nbroadcast 1 {FAR4} 1230"
            ),
        );
        until(LIMIT, "good replies", || {
            let data = client.chronyc(&["-n", "ntpdata", FAR4]).ok();
            let line = data.lines().find(|line| line.starts_with("Total good RX"))?;
            let number: u32 = line.rsplit(' ').next()?.parse().ok()?;
            (number >= 8).then_some(())
        });
        let seen = wire.seen();
        assert!(seen.iter().any(is_request), "{seen:?}");
        assert!(
            !seen
                .iter()
                .any(|datagram| datagram.to.is_ipv6() || datagram.to.port() == 1230),
            "{seen:?}"
        );
        let listening = cables
            .pair
            .left
            .command("ss")
            .args(["-Huna"])
            .output()
            .expect("ss");
        let listening = String::from_utf8_lossy(&listening.stdout).into_owned();
        assert!(!listening.contains(":123 "), "{listening}");
    }
}

#[test]
fn a_socket_that_could_not_be_opened_is_tried_again_for_each_new_user() {
    for programs in both() {
        let cables = Cables::new();
        let any = (Ipv4Addr::UNSPECIFIED, 123);
        let held = cables
            .pair
            .right
            .enter(|| UdpSocket::bind(any).expect("a free port"));
        let daemon = Chronyd::new(&programs)
            .within(&cables.pair.right)
            .option("-4")
            .config("local stratum 3\nallow 10.0.0.0/8")
            .start();
        let failures = || {
            let log = daemon.log();
            log.matches("Could not open NTP socket on 0.0.0.0:123").count()
        };
        let wait_failures = |number: usize| {
            until(LIMIT, &format!("{number} failures to open the socket"), || {
                (failures() == number).then_some(())
            });
        };
        wait_failures(1);
        let run = |command: &str| {
            let words: Vec<&str> = command.split(' ').collect();
            daemon.chronyc(&words).ok();
        };
        // No new user.
        run("allow 11.0.0.0/8");
        run("allow 10.0.0.0/8");
        run("add server 10.99.0.8 offline");
        run("add peer 10.99.0.9 offline");
        wait_failures(2);
        run("deny all");
        run("delete 10.99.0.9");
        run("allow 10.0.0.0/8");
        wait_failures(3);
        drop(held);
        // Nobody tries it without a reason.
        assert!(!cables.ask((Pair::RIGHT4, 123), None), "{:?}", programs.chronyd);
        run("add peer 10.99.0.9 offline");
        cables.wait_answer((Pair::RIGHT4, 123), None);
        assert_eq!(failures(), 3, "{:?}", programs.chronyd);
    }
}
