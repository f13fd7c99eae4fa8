//! Many NTP clients in one program: load for a server, with every reply checked.
//!
//! The load is open loop: requests leave at their times whatever the server does, as those of real clients do. All
//! clients share one socket and differ in their source address, which the kernel takes from each datagram's packet
//! information; so their addresses have to be local (127/8, or anything that `ip addr` or an `ip route add local` of
//! a namespace makes so).
//!
//! Nothing here sleeps: a generator needs a processor of its own.

mod client;
mod offsets;
mod report;

pub use client::{Client, Clients, Pattern};
pub use offsets::{Offsets, Range};
pub use report::{Report, Spread};

use client::Verdict;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use truechimer::sys::clock;
use truechimer::sys::datagrams::{Datagrams, MANY};
use truechimer::sys::socket::{Queue, set_option};

/// Receive buffer of the generator, octets: it must not be the one who loses replies.
const BUFFER: i32 = 64 << 20;

/// Datagrams that the sockets on a local port had no room for, by the kernel's table of sockets (`/proc/net/udp`).
#[must_use]
pub fn drops(table: &str, port: u16) -> u64 {
    let port = format!(":{port:04X}");
    let of_socket = |line: &&str| {
        let local = line.split_whitespace().nth(1);
        local.is_some_and(|local| local.ends_with(&port))
    };
    let sockets = table.lines().skip(1).filter(of_socket);
    sockets
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many a second, evenly spread.
    PerSecond(f64),
    /// As many as keep this number unanswered; whoever is faster waits for the other.
    Unanswered(u32),
}

/// A generator of load.
#[derive(Debug)]
pub struct Load {
    socket: Socket,
    server: SocketAddr,
    clients: Clients,
    outgoing: Datagrams,
    incoming: Datagrams,
}

impl Load {
    /// Makes the socket, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn new(server: SocketAddr, clients: Clients) -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(server), kind, Some(Protocol::UDP))?;
        let set = |level, option, value| set_option(socket.as_fd(), level, option, value);
        let any: IpAddr = if server.is_ipv6() {
            set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            [0_u16; 8].into()
        } else {
            set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            [0_u8; 4].into()
        };
        set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        if set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).is_err() {
            set(libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER)?;
        }
        socket.bind(&SockAddr::from(SocketAddr::new(any, 0)))?;
        Ok(Self {
            socket,
            server,
            clients,
            outgoing: Datagrams::new(),
            incoming: Datagrams::new(),
        })
    }

    /// Datagrams that this socket had no room for.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn dropped(&self) -> io::Result<u64> {
        let port = self
            .socket
            .local_addr()?
            .as_socket()
            .map_or(0, |address| address.port());
        let name = if self.server.is_ipv6() { "udp6" } else { "udp" };
        let table = std::fs::read_to_string(format!("/proc/thread-self/net/{name}"))?;
        Ok(drops(&table, port))
    }

    /// The clients, as they are now.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Sends for this long, then waits up to `patience` for what is still unanswered.
    ///
    /// # Errors
    /// The socket can't be read.
    pub fn run(&mut self, rate: Rate, time: Duration, patience: Duration) -> io::Result<Report> {
        let mut report = Report::default();
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            if elapsed >= time {
                break;
            }
            let wanted = match rate {
                Rate::PerSecond(rate) => (rate * elapsed.as_secs_f64()) as u64,
                Rate::Unanswered(limit) => {
                    let missing = |report: &Report| {
                        let known = report.received() + report.given_up;
                        report.sent.saturating_sub(known)
                    };
                    // What was lost must not stop the load: it is forgotten when nothing has come for a while.
                    if report.last_reply.elapsed() > Duration::from_millis(100) {
                        report.given_up += missing(&report);
                        report.last_reply = Instant::now();
                    }
                    let missing = missing(&report);
                    report.sent + u64::from(limit).saturating_sub(missing)
                }
            };
            let now = clock::realtime();
            for _ in report.sent..wanted.min(report.sent + MANY as u64 / 2) {
                self.clients.request(&mut self.outgoing, self.server, now);
                report.sent += 1;
            }
            report.sent -= self.clients.send(&mut self.outgoing, self.socket.as_fd());
            self.receive(&mut report)?;
        }
        report.time = start.elapsed();
        let end = Instant::now();
        while report.received() < report.sent && end.elapsed() < patience {
            self.receive(&mut report)?;
        }
        report.lost = report.sent.saturating_sub(report.received());
        self.clients.forget();
        Ok(report)
    }

    /// Takes a batch of replies and checks each.
    fn receive(&mut self, report: &mut Report) -> io::Result<()> {
        match self.incoming.receive(self.socket.as_fd(), Queue::Data, MANY) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        report.last_reply = Instant::now();
        let now = clock::realtime();
        for index in 0..self.incoming.len() {
            let Some(reply) = self.incoming.get(index) else {
                report.wrong(&"too long".into(), &[]);
                continue;
            };
            match self.clients.check(&reply, self.server, now) {
                Ok(Some(Verdict { processing, leaving })) => report.good(processing, leaving),
                Ok(None) => {}
                Err(wrong) => report.wrong(&wrong, reply.bytes),
            }
        }
        Ok(())
    }
}
