//! `serverthreads`, a directive of our own: threads that answer requests, each those of its own clients.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use compat_tests::kernel::KernelClockGuard;
use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Pair, ours, reference, uninterrupted, until};
use truechimer::net::steer_group;
use truechimer_engine::random::Seeded;
use truechimer_engine::server::Steering;
use truechimer_loadgen::{Clients, Load, Pattern, Rate, Report};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));
const SERVER6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 123);
const FIRST_CLIENT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// For replies that are still on their way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Columns of `chronyc serverstats`.
const RECEIVED: usize = 0;
const DROPPED: usize = 1;
const INTERLEAVED: usize = 8;
const KERNEL_TX: usize = 14;

fn server<'a>(namespace: &'a Namespace, more: &str) -> Chronyd<'a> {
    Chronyd::new(&ours())
        .within(namespace)
        .config("serverthreads 2\nlocal stratum 1\nallow\nclientloglimit 50000000")
        .config(more)
}

/// `chronyc serverstats`.
fn stats(daemon: &Instance) -> Vec<u64> {
    let line = daemon.chronyc(&["-c", "serverstats"]).ok();
    let columns = line.trim().split(',');
    columns.map(|value| value.parse().expect("a number")).collect()
}

/// Requests of each client, by `chronyc clients`.
fn clients(daemon: &Instance) -> BTreeMap<IpAddr, u64> {
    let report = daemon.chronyc(&["-c", "-n", "clients"]).ok();
    let mut all = BTreeMap::new();
    for line in report.lines() {
        let mut columns = line.split(',');
        let address = columns.next().and_then(|address| address.parse().ok());
        let hits = columns.next().and_then(|hits| hits.parse().ok());
        let (address, hits) = address.zip(hits).expect("address and hits");
        let before = all.insert(address, hits);
        assert!(before.is_none(), "{address} twice:\n{report}");
    }
    all
}

/// Sockets on port 123 and the datagrams that they had no room for.
fn sockets(namespace: &Namespace) -> (usize, u64) {
    sockets_on(namespace, 123)
}

/// Sockets on this port (one line each in the kernel's table), and the datagrams that they had no room for.
fn sockets_on(namespace: &Namespace, port: u16) -> (usize, u64) {
    let port = format!(":{port:04X} ");
    let tables = namespace.enter(|| {
        ["udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap())
    });
    let lines = tables.iter().flat_map(|table| table.lines());
    let drops = lines
        .filter(|line| line.contains(&port))
        .map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap());
    let drops: Vec<_> = drops.collect();
    (drops.len(), drops.iter().sum())
}

/// Threads of a process by name.
fn threads(daemon: &Instance) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let name = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
    let mut names: Vec<_> = tasks
        .filter_map(name)
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

fn load(namespace: &Namespace, server: SocketAddr, clients: Clients, rate: Rate, millis: u64) -> Report {
    let mut load = namespace.enter(|| Load::new(server, clients).expect("a socket"));
    let time = Duration::from_millis(millis);
    let report = load.run(rate, time, PATIENCE).expect("load");
    report.assert_right();
    report
}

#[test]
fn threads_are_less_urgent_than_the_main_thread() {
    let namespace = Namespace::new();
    let daemon = server(&namespace, "sched_priority 5").start();
    let priority = |task: &fs::DirEntry| -> u32 {
        let text = fs::read_to_string(task.path().join("stat")).unwrap();
        let (_, fields) = text.rsplit_once(") ").expect("the end of the name");
        // The 40th, counted from 1; the first two are the number and the name.
        fields
            .split(' ')
            .nth(37)
            .and_then(|field| field.parse().ok())
            .expect("a number")
    };
    let all = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
        let mut all: Vec<_> = tasks.map(|task| priority(&task.unwrap())).collect();
        all.sort_unstable();
        all
    };
    // Where real-time priorities are not allowed the log says so.
    let allowed = !daemon.log().contains("pthread_setschedparam");
    let wanted = if allowed { [4, 4, 5] } else { [0; 3] };
    until(LIMIT, "priorities", || (all() == wanted).then_some(()));
}

#[test]
fn messages_of_ptp_are_for_the_main_thread() {
    let namespace = Namespace::new();
    let _daemon = server(&namespace, "ptpport 319").start();
    // On the server's port a plain request is answered, on this one it must be inside a message.
    assert_eq!(
        (sockets(&namespace), sockets_on(&namespace, 319)),
        ((6, 0), (2, 0))
    );
}

#[test]
fn all_is_answered_and_counted_once() {
    for (server_address, first) in [(SERVER, FIRST_CLIENT), (SERVER6, FIRST_CLIENT6)] {
        for (pattern, count, more) in [
            (Pattern::Basic, 1000, ""),
            (Pattern::Interleaved, 200, ""),
            (Pattern::Interleaved, 200, "maxtxbuffers 1000"),
        ] {
            let namespace = Namespace::new();
            namespace.ip(&["-6", "route", "add", "local", "2001:db8::/64", "dev", "lo"]);
            namespace.enter(|| fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap());
            let mut daemon = server(&namespace, more).start();
            assert_eq!(
                sockets(&namespace),
                (6, 0),
                "two workers and the main thread, twice"
            );
            let named = |names: Vec<String>| {
                ["server-0", "server-1"]
                    .iter()
                    .all(|&n| names.contains(&n.into()))
            };
            until(LIMIT, "two threads", || named(threads(&daemon)).then_some(()));
            let asking = Clients::new(first, count, pattern);
            let report = load(&namespace, server_address, asking, Rate::Unanswered(50), 1000);
            let ((_, lost), stats) = (sockets(&namespace), stats(&daemon));
            assert!(report.lost <= lost, "{} of {} lost", report.lost, report.sent);
            assert_eq!(
                (stats[RECEIVED], stats[DROPPED]),
                (report.sent - lost, 0),
                "{stats:?}"
            );
            let known = clients(&daemon);
            assert_eq!(known.len(), count as usize);
            assert_eq!(known.values().sum::<u64>(), report.sent - lost);
            match pattern {
                Pattern::Basic => assert_eq!(stats[INTERLEAVED], 0),
                // All but the first of each client, unless the client has two on their way.
                Pattern::Interleaved => {
                    assert!(2 * stats[INTERLEAVED] > report.answered, "{stats:?}");
                    assert!(stats[KERNEL_TX] > 0, "{stats:?}");
                }
            }
            assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
        }
    }
}

/// Each change of the clock makes the threads wait until they know of it, and draft again what they had begun.
#[test]
fn nothing_is_lost_while_the_clock_is_changed() {
    let namespace = Namespace::new();
    let _guard = KernelClockGuard::new();
    // It reads the same clock, so there is next to nothing to correct.
    let mut source = Chronyd::new(&reference())
        .within(&namespace)
        .config("port 11123\ncmdport 0\nlocal stratum 2\nallow")
        .start();
    let mut daemon = Chronyd::new(&ours())
        .controlling_the_clock()
        .within(&namespace)
        .config("serverthreads 2\nallow\nclientloglimit 50000000\nlog tracking")
        .config("maxslewrate 100\nmaxupdateskew 20\nserver 127.0.0.1 port 11123 iburst minpoll -5 maxpoll -5")
        .start();
    daemon.wait_synchronised(LIMIT);
    let updates = || {
        let log = fs::read_to_string(daemon.dir.join("logs/tracking.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(" 127.0.0.1 ")).count()
    };
    let before = updates();
    let asking = Clients::new(FIRST_CLIENT, 500, Pattern::Interleaved);
    let report = load(&namespace, SERVER, asking, Rate::Unanswered(50), 3000);
    assert!(updates() > before, "the clock was not changed");
    let lost = sockets(&namespace).1;
    assert!(report.lost <= lost, "{} of {} lost", report.lost, report.sent);
    assert_eq!(stats(&daemon)[RECEIVED], report.sent - lost);
    for daemon in [&mut daemon, &mut source] {
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
}

/// A client that more than one thread knew would get the replies that each allows.
#[test]
fn rate_limits_hold_for_a_client() {
    let namespace = Namespace::new();
    let mut daemon = server(&namespace, "ratelimit interval 12 burst 4 leak 4").start();
    let (count, requests) = (100, 16);
    let asking = Clients::new(FIRST_CLIENT, count, Pattern::Basic);
    let mut generator = namespace.enter(|| Load::new(SERVER, asking).expect("a socket"));
    let rate = Rate::PerSecond(2000.0);
    let time = Duration::from_millis(u64::from(count * requests) / 2);
    // The rest gets no answer.
    let report = generator.run(rate, time, Duration::from_secs(1)).expect("load");
    report.assert_right();
    let stats = stats(&daemon);
    assert_eq!(sockets(&namespace).1, 0);
    assert_eq!(stats[RECEIVED], report.sent);
    assert_eq!(stats[DROPPED], report.sent - report.answered);
    let answered: Vec<_> = generator
        .clients()
        .all()
        .iter()
        .map(|client| client.answered)
        .collect();
    assert!(answered.iter().all(|&answered| answered >= 4), "{answered:?}");
    // Four at once, then one in 16 or fewer.
    assert!(report.answered < 7 * u64::from(count), "{answered:?}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn access_changes_at_run_time() {
    let namespace = Namespace::new();
    let mut daemon = server(&namespace, "").option("-F").option("1").start();
    let mut sent = 0;
    for round in 0..3 {
        let asking = Clients::new(FIRST_CLIENT, 100, Pattern::Basic);
        let report = load(&namespace, SERVER, asking, Rate::PerSecond(2000.0), 100);
        assert_eq!(report.lost, 0, "round {round}");
        sent += report.sent;
        daemon.chronyc(&["deny", "127.64.0.0/24"]).ok();
        let asking = Clients::new(FIRST_CLIENT, 10, Pattern::Basic);
        let mut denied = namespace.enter(|| Load::new(SERVER, asking).expect("a socket"));
        let report = denied
            .run(
                Rate::PerSecond(1000.0),
                Duration::from_millis(20),
                Duration::from_millis(100),
            )
            .expect("load");
        assert!(report.sent > 0 && report.answered == 0);
        daemon.chronyc(&["deny", "all"]).ok();
        let count = |wanted| (sockets(&namespace).0 == wanted).then_some(());
        until(LIMIT, "closed sockets", || count(0));
        daemon.chronyc(&["allow", "all"]).ok();
        until(LIMIT, "open sockets", || count(6));
    }
    // No client has changed its thread, so each is known once.
    let known = clients(&daemon);
    assert_eq!((known.len(), known.values().sum::<u64>()), (100, sent));
    assert_eq!(stats(&daemon)[RECEIVED], sent);
    daemon.chronyc(&["clients", "-r"]).ok();
    let hits: u64 = clients(&daemon).values().sum();
    assert_eq!(hits, 0, "counters of all threads are zero");
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
}

/// What comes to the server's port and is for the main thread.
#[test]
fn peers_and_own_requests_use_the_servers_port() {
    let namespace = Namespace::new();
    let mut others: Vec<_> = [
        "bindaddress 127.0.0.3\nlocal stratum 3",
        "bindaddress 127.0.0.2\nlocal stratum 8\npeer 127.0.0.1 minpoll 0 maxpoll 0 xleave",
    ]
    .into_iter()
    .map(|lines| {
        Chronyd::new(&reference())
            .within(&namespace)
            .config("cmdport 0\nallow")
            .config(lines)
            .start()
    })
    .collect();
    let mut daemon = Chronyd::new(&ours())
        .within(&namespace)
        .config("serverthreads 3\nallow\nbindaddress 127.0.0.1\nacquisitionport 123")
        .config("server 127.0.0.3 minpoll -2 maxpoll -2\npeer 127.0.0.2 minpoll 0 maxpoll 0 xleave")
        .start();
    daemon.wait_synchronised(LIMIT);
    let reaches = |daemon: &Instance, wanted: &str| {
        let sources = daemon.chronyc(&["-c", "-n", "sources"]).ok();
        let mut lines = sources.lines().map(|line| line.split(',').collect::<Vec<_>>());
        lines.any(|columns| columns[2] == wanted && columns[5] != "0")
    };
    for (which, wanted) in [(None, "127.0.0.3"), (None, "127.0.0.2"), (Some(1), "127.0.0.1")] {
        until(LIMIT, &format!("packets of {wanted}"), || {
            let daemon = which.map_or(&daemon, |other: usize| &others[other]);
            reaches(daemon, wanted).then_some(())
        });
    }
    // Both ways interleaved: the peer has the times of what we sent to it.
    until(LIMIT, "interleaved packets", || {
        let data = daemon.chronyc(&["-n", "ntpdata", "127.0.0.2"]).ok();
        let mut lines = data.lines();
        let found = lines.any(|line| line.starts_with("Interleaved") && line.ends_with("Yes"));
        found.then_some(())
    });
    for daemon in others.iter_mut().chain([&mut daemon]) {
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
}

fn request() -> [u8; 48] {
    let mut request = [0; 48];
    request[0] = 4 << 3 | 3;
    request[47] = 1;
    request
}

/// All sockets of a group get a broadcast; one answers.
#[test]
fn a_broadcast_request_is_answered_once() {
    let pair = Pair::new();
    let mut daemon = Chronyd::new(&ours())
        .within(&pair.left)
        .config("serverthreads 4\nlocal stratum 1\nallow")
        .start();
    let count = 16_u8;
    let clients: Vec<UdpSocket> = (0..count)
        .map(|i| {
            let address = Ipv4Addr::new(10, 99, 0, 10 + i);
            pair.right
                .ip(&["addr", "add", &format!("{address}/24"), "dev", "veth0"]);
            let socket = pair.right.enter(|| UdpSocket::bind((address, 0)).unwrap());
            socket.set_broadcast(true).unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            socket
        })
        .collect();
    for client in &clients {
        client.send_to(&request(), "10.99.0.255:123").unwrap();
        let mut reply = [0; 64];
        let (length, from) = uninterrupted(|| client.recv_from(&mut reply)).unwrap();
        assert_eq!((length, reply[0] & 7), (48, 4));
        assert_eq!(from, SocketAddr::from(([10, 99, 0, 1], 123)));
    }
    assert_eq!(stats(&daemon)[RECEIVED], u64::from(count));
    // By now a second reply, to all but perhaps the last, would be there.
    for client in &clients {
        client.set_nonblocking(true).unwrap();
        let error = client.recv_from(&mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(daemon.stop().code(), Some(0));
}

/// A flood of what workers can't answer themselves harms nobody else.
#[test]
fn what_is_no_request_goes_to_the_main_thread() {
    let namespace = Namespace::new();
    let mut daemon = server(&namespace, "").start();
    let socket = namespace.enter(|| UdpSocket::bind("127.0.0.9:0").unwrap());
    // A symmetric packet is answered by the main thread, as chrony answers it.
    let mut active = request();
    active[0] = 4 << 3 | 1;
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.send_to(&active, SERVER).unwrap();
    let mut reply = [0; 64];
    assert_eq!(uninterrupted(|| socket.recv(&mut reply)).unwrap(), 48);
    assert_eq!(reply[0] & 7, 2);
    for mode in [0, 2, 4, 5, 6, 7] {
        for _ in 0..2000 {
            let mut noise = request();
            noise[0] = 4 << 3 | mode;
            socket.send_to(&noise, SERVER).unwrap();
        }
    }
    let asking = Clients::new(FIRST_CLIENT, 100, Pattern::Basic);
    let report = load(&namespace, SERVER, asking, Rate::PerSecond(1000.0), 300);
    assert!(report.answered > 0 && report.lost <= sockets(&namespace).1);
    let known = clients(&daemon);
    assert_eq!(
        known.get(&IpAddr::from([127, 0, 0, 9])),
        Some(&1),
        "the symmetric packet"
    );
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
}

#[test]
fn without_sockets_of_its_own_the_main_thread_serves_alone() {
    let namespace = Namespace::new();
    let passed = namespace.enter(|| UdpSocket::bind(SERVER).unwrap());
    let mut daemon = server(&namespace, "bindaddress 127.0.0.1")
        .option("-4")
        .socket(passed)
        .start();
    let message = "Could not share NTP socket on 127.0.0.1:123 among server threads, the main thread serves alone : \
                   it was inherited";
    daemon.wait_log(message, LIMIT);
    let asking = Clients::new(FIRST_CLIENT, 50, Pattern::Interleaved);
    let report = load(&namespace, SERVER, asking, Rate::PerSecond(1000.0), 200);
    assert_eq!(report.lost, 0);
    assert_eq!(stats(&daemon)[RECEIVED], report.sent);
    assert_eq!(clients(&daemon).len(), 50);
    assert_eq!(daemon.stop().code(), Some(0));
}

/// IPv6 clients, too, go where the engine says; a unit test has this for IPv4.
#[test]
fn the_kernel_knows_each_ipv6_clients_worker() {
    const WORKERS: usize = 3;
    let namespace = Namespace::new();
    namespace.ip(&["-6", "route", "add", "local", "2001:db8::/64", "dev", "lo"]);
    let group: Vec<socket2::Socket> = namespace.enter(|| {
        (0..=WORKERS)
            .map(|_| {
                let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
                socket.set_reuse_port(true).unwrap();
                socket.bind(&SERVER6.into()).unwrap();
                socket
            })
            .collect()
    });
    let steering = Steering::new(WORKERS, &mut Seeded::new(1));
    steer_group(&group[..WORKERS], true, &steering).unwrap();
    for i in 1..100_u128 {
        let client =
            Ipv6Addr::from(u128::from("2001:db8::".parse::<Ipv6Addr>().unwrap()) + ((i * i) << (i % 50)));
        let own = &group[steering.worker(client.into())];
        let socket = namespace.enter(|| {
            let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
            // Addresses of the route only, which are no interface's.
            socket.set_freebind_v6(true).unwrap();
            socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
            UdpSocket::from(socket)
        });
        socket.send_to(b"request", SERVER6).unwrap();
        let own = UdpSocket::from(own.try_clone().unwrap());
        own.set_read_timeout(Some(LIMIT)).unwrap();
        let mut buffer = [0; 16];
        let (_, from) = uninterrupted(|| own.recv_from(&mut buffer)).unwrap();
        assert_eq!(from.ip(), IpAddr::from(client));
    }
}
