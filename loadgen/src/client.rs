//! The clients: what each asks next, and whether a reply is right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::offsets::{Offsets, Range};
use truechimer::sys::datagrams::{Datagram, Datagrams};
use truechimer_engine::time::{Cooked, NtpTimestamp, Raw};

/// Length of a request and of its reply.
const HEADER: usize = 48;
/// Requests whose replies may be outstanding at the same time: their numbers are in the transmit timestamps.
const WINDOW: usize = 1 << 20;
/// Times of server and client are of the same clock, and may differ only by what is not yet slewed and by fuzz, ns.
const TOLERANCE: i64 = 2_000_000;

/// By how much a reply may have left before its request came, ns: the fuzz of both timestamps.
const EARLY: i64 = 2000;
/// No reply leaves longer after its request came, ns.
const MAX_INTERLEAVED: i64 = 2_000_000_000;

/// What the clients ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// Basic requests.
    Basic,
    /// Interleaved requests, as soon as there was a first reply.
    Interleaved,
}

/// One client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Right replies it got.
    pub answered: u32,
    /// Receive timestamp of the last reply.
    receive: u64,
    /// When the request of the last reply was sent.
    sent: Raw,
}

/// Whose clock the server has.
#[derive(Clone, Debug)]
enum ServerClock {
    /// This machine's.
    Ours,
    /// Any.
    Another,
    /// One whose offset is known.
    Stepped(Arc<Offsets>),
}

impl ServerClock {
    /// By how much it may have been ahead of ours between two times (nothing: by anything), and whether it may have been
    /// stepped.
    fn offsets(&self, start: Raw, end: Raw) -> (Vec<Range>, bool) {
        match self {
            Self::Ours => (vec![Range { low: 0, high: 0 }], false),
            Self::Another => (Vec::new(), false),
            Self::Stepped(offsets) => offsets.between(start, end),
        }
    }
}

/// Scatters numbers below a power of two over all of them: any odd factor does, this one mixes well.
const SCATTER: u32 = 0x9e37_79b1;

/// All clients: one address each, from the first one upward.
#[derive(Clone, Debug)]
pub struct Clients {
    first: IpAddr,
    /// The addresses are scattered over this many, less 1.
    scattered: Option<u32>,
    all: Vec<Client>,
    pattern: Pattern,
    /// What the server's times are held against.
    clock: ServerClock,
    next: usize,
    number: u64,
    /// Up to this number requests are of an earlier load.
    forgotten: u64,
    queued: usize,
    /// By number of the request.
    pending: Vec<Pending>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    /// 0: none.
    number: u64,
    client: u32,
    sent: Raw,
    originate: u64,
    receive: u64,
}

/// What is wrong with a reply.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    /// More about this one.
    pub(crate) more: String,
}

impl From<&'static str> for Wrong {
    fn from(what: &'static str) -> Self {
        Self {
            what,
            more: String::new(),
        }
    }
}

/// What was measured of a right reply, ns.
pub(crate) struct Verdict {
    pub(crate) processing: i32,
    pub(crate) leaving: Option<i32>,
}

impl Clients {
    /// `count` clients (at least one) from address `first` on.
    #[must_use]
    pub fn new(first: IpAddr, count: u32, pattern: Pattern) -> Self {
        Self {
            first,
            scattered: None,
            all: vec![Client::default(); count.max(1) as usize],
            pattern,
            clock: ServerClock::Ours,
            next: 0,
            number: 0,
            forgotten: 0,
            queued: 0,
            pending: vec![Pending::default(); WINDOW],
        }
    }

    /// The server's time need not be that of this machine.
    #[must_use]
    pub fn of_another_clock(mut self) -> Self {
        self.clock = ServerClock::Another;
        self
    }

    /// The server's time is another one, which is stepped.
    #[must_use]
    pub fn of_stepped_clock(mut self, offsets: Arc<Offsets>) -> Self {
        self.clock = ServerClock::Stepped(offsets);
        self
    }

    /// What became of each, in the order of their addresses.
    #[must_use]
    pub fn all(&self) -> &[Client] {
        &self.all
    }

    /// Scatters the addresses, and so the order in which they come, over two to this power (at most 2^31, at least as many
    /// as there are clients).
    #[must_use]
    pub fn scattered(mut self, power: u32) -> Self {
        let all = (1 << power) - 1;
        assert!(self.all.len() - 1 <= all as usize, "more clients than addresses");
        self.scattered = Some(all);
        self
    }

    /// Address of a client.
    #[must_use]
    pub fn address(&self, client: u32) -> IpAddr {
        let place = match self.scattered {
            Some(all) => client.wrapping_mul(SCATTER) & all,
            None => client,
        };
        match self.first {
            IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4) + place).into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) + u128::from(place)).into(),
        }
    }

    /// The next client's request, queued to be sent.
    pub(crate) fn request(&mut self, out: &mut Datagrams, server: SocketAddr, now: Raw) {
        let client = self.next;
        self.next = (self.next + 1) % self.all.len();
        self.number += 1;
        let (number, from) = (self.number, self.address(client as u32));
        let transmit = mark(number);
        let (originate, receive) = match (self.pattern, self.all[client].receive) {
            (Pattern::Interleaved, last) if last != 0 => (last, mark(!number)),
            _ => (0, 0),
        };
        self.pending[number as usize % WINDOW] = Pending {
            number,
            client: client as u32,
            sent: now,
            originate,
            receive,
        };
        out.address(self.queued, server);
        let packet = &mut out.buffer(self.queued)[..HEADER];
        packet.fill(0);
        packet[0] = 4 << 3 | 3;
        packet[2] = 6;
        packet[3] = 32;
        packet[24..32].copy_from_slice(&originate.to_be_bytes());
        packet[32..40].copy_from_slice(&receive.to_be_bytes());
        packet[40..48].copy_from_slice(&transmit.to_be_bytes());
        out.queue(self.queued, HEADER, Some((from, 0)), None);
        self.queued += 1;
    }

    /// Sends what is queued. Returns how many could not be sent.
    pub(crate) fn send(&mut self, out: &mut Datagrams, socket: BorrowedFd<'_>) -> u64 {
        let queued = std::mem::take(&mut self.queued);
        if queued == 0 {
            return 0;
        }
        (queued - out.send(socket)) as u64
    }

    /// Replies to earlier requests don't count any more.
    pub(crate) fn forget(&mut self) {
        self.forgotten = self.number;
        self.pending.fill(Pending::default());
    }

    /// Checks a reply, down to its last field. None: it is to a forgotten request.
    pub(crate) fn check(
        &mut self,
        reply: &Datagram<'_>,
        server: SocketAddr,
        now: Raw,
    ) -> Result<Option<Verdict>, Wrong> {
        if reply.from != Some(server) {
            return Err("not from the server's address".into());
        }
        let bytes: &[u8; HEADER] = reply.bytes.try_into().map_err(|_| Wrong::from("length"))?;
        if bytes[0] & 0x3f != 4 << 3 | 4 {
            return Err("version or mode".into());
        }
        let time = |at: usize| {
            let octets = bytes[at..at + 8].try_into().unwrap_or_default();
            u64::from_be_bytes(octets)
        };
        let (originate, receive, transmit) = (time(24), time(32), time(40));
        // The reply to an interleaved request has the receive field of the request as its originate timestamp.
        let (number, interleaved) = unmark(originate);
        if (1..=self.forgotten).contains(&number) {
            return Ok(None);
        }
        let pending = &mut self.pending[number as usize % WINDOW];
        if pending.number != number || number == 0 {
            return Err("originate timestamp".into());
        }
        let Pending {
            client,
            sent,
            originate: asked,
            receive: random,
            ..
        } = *pending;
        if interleaved && random == 0 {
            return Err("interleaved without being asked".into());
        }
        *pending = Pending::default();
        if reply.info.to != Some(self.address(client)) {
            return Err("to another client".into());
        }
        if receive & 1 != 1 || transmit & 1 != 0 {
            return Err("lowest bits of the timestamps".into());
        }
        if receive == asked {
            return Err("receive timestamp repeated".into());
        }
        let ntp = |raw: Raw| NtpTimestamp::from_cooked(Cooked::new(raw.sec(), raw.nsec()), 0).0;
        let nanos = |a: u64, b: u64| ((i128::from(a.wrapping_sub(b) as i64) * 1_000_000_000) >> 32) as i64;
        let state = &mut self.all[client as usize];
        let (transmitted, since) = if interleaved {
            // When the reply before this one was sent.
            (nanos(transmit, asked), state.sent)
        } else {
            (nanos(transmit, receive), sent)
        };
        let (ranges, stepped) = self.clock.offsets(since, now);
        let possible = |time: u64| {
            let (after_sent, after_now) = (nanos(time, ntp(sent)), nanos(time, ntp(now)));
            ranges.is_empty()
                || ranges
                    .iter()
                    .any(|range| after_sent >= range.low - TOLERANCE && after_now <= range.high + TOLERANCE)
        };
        if !possible(receive) || !interleaved && !possible(transmit) {
            let far = |time| (nanos(time, ntp(sent)), nanos(time, ntp(now)));
            return Err(Wrong {
                what: "times",
                more: format!(
                    "ns after request and now: received {:?}, transmitted {:?}, offsets {ranges:?}, interleaved {interleaved}",
                    far(receive),
                    far(transmit)
                ),
            });
        }
        // A step between both times may have made them any.
        if !stepped && transmitted < -EARLY {
            return Err("transmitted before it was received".into());
        }
        if interleaved && transmitted.abs() > MAX_INTERLEAVED {
            return Err("interleaved transmit timestamp".into());
        }
        let processing = nanos(transmit, receive);
        state.answered += 1;
        state.receive = receive;
        state.sent = sent;
        let leaving = reply.info.stamp.filter(|_| !interleaved);
        Ok(Some(Verdict {
            processing: if interleaved { 0 } else { processing as i32 },
            leaving: leaving.map(|stamp| nanos(ntp(stamp), transmit) as i32),
        }))
    }
}

/// Marks a number so that noise is not taken for one of ours. The lowest bit stays 0 in transmit timestamps.
fn mark(number: u64) -> u64 {
    number.wrapping_shl(1) ^ 0x5eed_0000_0000_0000
}

/// The number, and whether it was that of a receive field (negated).
fn unmark(mark: u64) -> (u64, bool) {
    let number = mark ^ 0x5eed_0000_0000_0000;
    if number >> 63 == 1 {
        (!number >> 1, true)
    } else {
        (number >> 1, false)
    }
}
