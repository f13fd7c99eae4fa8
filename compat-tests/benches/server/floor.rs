//! The least that a server can do: what the kernel's part of a reply costs. Not an NTP server: it looks at nothing.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use truechimer::sys::clock;
use truechimer::sys::datagrams::{Datagrams, MANY};
use truechimer::sys::socket::{Queue, set_option, timestamping};
use truechimer_engine::time::{Cooked, NtpTimestamp};

/// What the floor does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Floor {
    /// Receives and sends.
    Bare,
    /// Also asks the kernel for what every NTP server needs: the time a request came in, and the address that it came
    /// to, from which it is answered.
    Informed,
    /// Also asks for the time at which each reply leaves, and takes that from the error queue.
    Stamped,
}

impl Floor {
    /// The argument of this program that makes it such a server.
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Self::Bare => "--floor-bare",
            Self::Informed => "--floor-informed",
            Self::Stamped => "--floor-stamped",
        }
    }

    /// Which one this program was started as.
    pub(crate) fn chosen() -> Option<Self> {
        let first = std::env::args().nth(1)?;
        [Self::Bare, Self::Informed, Self::Stamped]
            .into_iter()
            .find(|floor| first == floor.argument())
    }

    /// Serves until it is killed.
    pub(crate) fn serve(self) -> ! {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 123));
        let socket = UdpSocket::bind(any).expect("port 123");
        let fd = socket.as_fd();
        if self != Self::Bare {
            let transmit = match self {
                Self::Stamped => timestamping::TX_SOFTWARE,
                _ => 0,
            };
            let flags = timestamping::SOFTWARE | timestamping::RX_SOFTWARE | transmit;
            set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as i32).expect("timestamps");
            set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1).expect("packet information");
        }
        // As the daemon has it.
        set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 1 << 20).expect("a receive buffer");
        set_option(
            fd,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        )
        .expect("no fragments");
        let mut all = Datagrams::new();
        loop {
            match all.receive(fd, Queue::Data, MANY) {
                Ok(_) => {
                    self.answer(&mut all, &socket);
                    // Nothing is done with them.
                    let _ = self == Self::Stamped && all.receive(fd, Queue::Error, MANY).is_ok();
                }
                Err(_) => {
                    let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE);
                }
            }
        }
    }

    fn answer(self, all: &mut Datagrams, socket: &UdpSocket) {
        let now = clock::realtime();
        let time = NtpTimestamp::from_cooked(Cooked::new(now.sec(), now.nsec()), 0).0;
        for index in 0..all.len() {
            let packet = all.buffer(index);
            packet[0] = 4 << 3 | 4;
            packet.copy_within(40..48, 24);
            packet[32..40].copy_from_slice(&(time | 1).to_be_bytes());
            packet[40..48].copy_from_slice(&(time & !1).to_be_bytes());
            let from = (self != Self::Bare).then_some((Ipv4Addr::LOCALHOST.into(), 0));
            all.queue(index, 48, from, None);
        }
        all.send(socket.as_fd());
    }
}
