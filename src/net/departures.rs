//! Transmit timestamps of one socket: which of our datagrams it was that the kernel has looped back because it has left
//! (`spec/ntp.md` section 6.3).

use super::hardware::Frames;
use super::looped::{self, Looped};
use super::options::improve;
use crate::logs;
use crate::sys::control::Info;
use crate::sys::socket::{Stamping, received_memory};
use bytes::Bytes;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Once;
use truechimer_engine::io::{HardwareStamp, Token};
use truechimer_engine::time::{NtpTimestamp, Raw};

/// Numbers of looped-back datagrams begin here; kernels that number them on their own begin with 0.
const FIRST_ID: u32 = 0x1000;
/// Datagrams known by their contents whose transmit timestamp can be awaited at the same time.
const MAX_AWAITED: usize = 256;
/// What a looped-back datagram takes of a socket's memory, octets: 768 or a little more.
const MEMORY: u32 = 768;
/// IP and UDP headers of a looped-back datagram, at least.
const MIN_HEADERS: usize = 28;
/// Octets of a packet up to its transmit timestamp.
const RECEIVE: std::ops::Range<usize> = 32..40;
/// Modes of replies: to peers, to clients.
const REPLY_MODES: [u8; 2] = [2, 4];

/// Fewest replies by which it is decided who asks for timestamps: to change it takes a system call.
const MIN_DECIDING: usize = 8;

/// The kernel numbers looped-back datagrams on its own, or not at all.
pub(super) const NO_NUMBERS: &str = "Transmit ID not supported";

/// When a datagram has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Departure {
    /// By the kernel's clock.
    Kernel(Raw),
    /// By that of a network card.
    Card(HardwareStamp),
}

/// Datagrams of one socket whose transmit timestamps are awaited. Looped-back replies tell by themselves what they are:
/// only numbered ones are kept.
#[derive(Debug)]
pub struct Departures {
    /// None: there are no such timestamps.
    flags: Option<Flags>,
    /// The socket asks for timestamps of all datagrams, and one that needs none says so; else it is the other way round.
    /// To do as the socket does takes no control message, beside which the kernel would have to look for memory for that
    /// with the address.
    all: bool,
    /// The number that comes next (`maxtxbuffers`), so that looped-back frames need not be looked at.
    next: Option<u32>,
    /// Most datagrams that are kept.
    limit: usize,
    /// Oldest first; if they are numbered, consecutively.
    sent: VecDeque<Sent>,
}

/// False if a socket has no room for looped-back datagrams, which share that of received ones. Only reading makes room:
/// timestamps of what is sent before that are asked for in vain, which costs nearly as much.
pub(super) fn has_room(socket: BorrowedFd<'_>) -> bool {
    !received_memory(socket).is_ok_and(|(used, most)| used.saturating_add(MEMORY) >= most)
}

/// How timestamps are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Flags {
    /// What the socket has in any case.
    pub(super) socket: u32,
    /// What a transmit timestamp is asked for by.
    pub(super) transmit: u32,
}

/// A datagram whose transmit timestamp is awaited.
#[derive(Clone, Debug)]
struct Sent {
    token: Token,
    /// Empty if it is numbered.
    bytes: Bytes,
}

impl Departures {
    /// `all`: the socket asks for timestamps of all datagrams. `numbers` is the most datagrams that are numbered at a
    /// time; 0: none are.
    pub(super) const fn new(flags: Option<Flags>, all: bool, numbers: usize) -> Self {
        let numbered = numbers > 0;
        Self {
            flags,
            all,
            next: if numbered { Some(FIRST_ID) } else { None },
            limit: if numbered { numbers } else { MAX_AWAITED },
            sent: VecDeque::new(),
        }
    }

    /// True if there are such timestamps.
    pub(super) const fn expected(&self) -> bool {
        self.flags.is_some()
    }

    /// What the next datagram says about its timestamp.
    pub(super) fn stamping(&self, wanted: bool) -> Option<Stamping> {
        let transmit = if wanted { self.flags?.transmit } else { 0 };
        let flags = (wanted != self.all).then_some(transmit);
        let id = self.next.filter(|_| wanted);
        self.flags.map(|_| Stamping { flags, id })
    }

    /// Of the `count` replies to be sent next, `wanted` are to have timestamps: lets the socket do what nearly all want.
    pub(super) fn prefer(&mut self, socket: BorrowedFd<'_>, wanted: usize, count: usize) {
        // Those with a number have a message anyway.
        let (Some(flags), None, true) = (self.flags, self.next, count >= MIN_DECIDING) else {
            return;
        };
        let nearly = count - count / 4;
        let others = if self.all { count - wanted } else { wanted };
        if others < nearly {
            return;
        }
        let transmit = if self.all { 0 } else { flags.transmit };
        let value = flags.socket | transmit;
        if improve(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, value as i32) {
            self.all = !self.all;
        }
    }

    /// A datagram was sent, and its timestamp asked for by [`Self::stamping`].
    pub(super) fn note(&mut self, token: Token, bytes: &Bytes) {
        if self.flags.is_none() || self.next.is_none() && reply(bytes) == Some(token) {
            return;
        }
        let kept = if self.next.is_none() {
            bytes.clone()
        } else {
            Bytes::new()
        };
        self.push(token, kept);
    }

    /// The same for a reply to a client, with this receive timestamp.
    pub(super) fn note_reply(&mut self, receive: NtpTimestamp) {
        if self.next.is_some() {
            self.push(Token::Reply(receive), Bytes::new());
        }
    }

    fn push(&mut self, token: Token, bytes: Bytes) {
        if self.sent.len() >= self.limit {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { token, bytes });
        if let Some(next) = &mut self.next {
            *next = next.checked_add(1).unwrap_or_else(|| {
                self.sent.clear();
                FIRST_ID
            });
        }
    }

    /// What has left, and when. The same datagram may come again, with its other timestamp.
    pub(super) fn find(
        &mut self,
        info: &Info,
        frame: &[u8],
        frames: &mut Frames,
    ) -> Option<(Token, Departure)> {
        if !info.sent {
            return None;
        }
        if self.next.is_some() && info.id < FIRST_ID {
            logs::warning(NO_NUMBERS);
            self.next = None;
            self.limit = MAX_AWAITED;
            self.sent.clear();
        }
        let token = match self.next {
            Some(next) => self.numbered(next, info.id)?,
            None => self.known(frame)?,
        };
        let Some(at) = info.hardware else {
            return Some((token, Departure::Kernel(info.stamp?)));
        };
        // A message with a card's timestamp, even one that is of no use, has no other.
        let interface = info.taken_by();
        if !frames.has(interface) {
            return None;
        }
        if let Some(Looped { v6, payload }) = looped::payload(frame) {
            frames.learn(interface, v6, frame.len() - payload.len());
        }
        let stamp = HardwareStamp {
            interface,
            at,
            length: 0,
        };
        Some((token, Departure::Card(stamp)))
    }

    fn numbered(&self, next: u32, id: u32) -> Option<Token> {
        let age = next.wrapping_sub(id) as usize;
        let place = self.sent.len().checked_sub(age).filter(|_| age > 0);
        if place.is_none() {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| logs::warning("maxtxbuffers too small"));
        }
        self.sent.get(place?).map(|sent| sent.token)
    }

    /// What the data say, which are a frame with all its headers.
    fn known(&mut self, frame: &[u8]) -> Option<Token> {
        if let Some(looped) = looped::payload(frame)
            && let Some(token) = reply(looped.payload)
        {
            return Some(token);
        }
        let place = self
            .sent
            .iter()
            .position(|sent| frame.len() >= sent.bytes.len() + MIN_HEADERS && frame.ends_with(&sent.bytes))?;
        // All that is older will not come any more.
        self.sent.drain(..place);
        self.sent.front().map(|sent| sent.token)
    }
}

/// The mark of a packet of ours, if that is a reply.
fn reply(packet: &[u8]) -> Option<Token> {
    if !REPLY_MODES.contains(&(packet.first()? & 7)) {
        return None;
    }
    let octets = packet.get(RECEIVE)?.try_into().ok()?;
    Some(Token::Reply(NtpTimestamp(u64::from_be_bytes(octets))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::address::Address;
    use crate::sys::socket::{Batch, Queue, Sending, send, set_option, timestamping};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use truechimer_engine::time::PhcTime;

    const AT: Raw = Raw::new(1_700_000_000, 5);
    const INTERFACE: u32 = 3;
    const FLAGS: Option<Flags> = Some(Flags {
        socket: timestamping::SOFTWARE,
        transmit: timestamping::TX_SOFTWARE,
    });

    fn packet(mode: u8, number: u8) -> Bytes {
        let mut packet = vec![number; 48];
        packet[0] = 4 << 3 | mode;
        packet.into()
    }

    fn token(number: u8) -> Token {
        Token::Reply(NtpTimestamp(u64::from_be_bytes([number; 8])))
    }

    /// As the kernel loops an IPv4 datagram back, with some octets more of headers.
    fn frame(more: usize, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        for _ in 0..more / 4 {
            frame.extend([0x81, 0, 0, 5]);
        }
        frame.extend([8, 0, 0x45]);
        frame.extend([0; 19]);
        let start = frame.len() - 20;
        frame[start + 9] = 17;
        frame.extend([0, 123, 0, 123, 0, 8 + payload.len() as u8, 0, 0]);
        frame.extend(payload);
        frame
    }

    fn info(id: u32) -> Info {
        Info {
            stamp: Some(AT),
            sent: true,
            id,
            ..Info::default()
        }
    }

    #[test]
    fn replies_are_known_by_themselves_and_others_by_what_was_sent() {
        let mut departures = Departures::new(FLAGS, false, 0);
        let frames = &mut Frames::default();
        departures.note(Token::Source(7), &packet(3, 1));
        departures.note(Token::Source(8), &packet(3, 2));
        departures.note(token(3), &packet(2, 3));
        departures.note_reply(NtpTimestamp(1));
        assert_eq!(departures.sent.len(), 2);
        let mut find = |frame: &[u8], info: &Info| departures.find(info, frame, frames);
        let kernel = |token| Some((token, Departure::Kernel(AT)));
        for _ in 0..2 {
            assert_eq!(find(&frame(0, &packet(4, 9)), &info(0)), kernel(token(9)));
            assert_eq!(find(&frame(8, &packet(2, 3)), &info(0)), kernel(token(3)));
            assert_eq!(find(&frame(0, &packet(3, 2)), &info(0)), kernel(Token::Source(8)));
        }
        // It was before one that has come back.
        assert_eq!(find(&frame(0, &packet(3, 1)), &info(0)), None);
        assert_eq!(find(&packet(4, 9), &info(0)), None, "no frame");
        let received = Info {
            sent: false,
            ..info(0)
        };
        assert_eq!(find(&frame(0, &packet(4, 9)), &received), None);
    }

    /// A socket as [`FLAGS`] say.
    fn socket() -> (UdpSocket, Address) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flags = timestamping::SOFTWARE as i32;
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags).unwrap();
        let own = Address::Ip(socket.local_addr().unwrap());
        (socket, own)
    }

    #[test]
    fn the_socket_does_what_nearly_all_replies_want() {
        let (socket, own) = socket();
        let mut departures = Departures::new(FLAGS, false, 0);
        let asks = |departures: &Departures| {
            [true, false].map(|wanted| departures.stamping(wanted).and_then(|stamping| stamping.flags))
        };
        let by_each = [Some(timestamping::TX_SOFTWARE), None];
        let by_socket = [None, Some(0)];
        for (wanted, count, expected) in [
            (7, 7, by_each),
            (5, 8, by_each),
            (6, 8, by_socket),
            (0, 7, by_socket),
            (3, 8, by_socket),
            (2, 8, by_each),
            (32, 32, by_socket),
        ] {
            departures.prefer(socket.as_fd(), wanted, count);
            assert_eq!(asks(&departures), expected, "{wanted} of {count}");
            for wanted in [false, true] {
                let how = Sending {
                    to: Some(&own),
                    from: None,
                    stamping: departures.stamping(wanted),
                };
                send(socket.as_fd(), &how, &[0x50, wanted.into()]).unwrap();
            }
            let mut batch = Batch::new();
            assert_eq!(batch.receive(socket.as_fd(), Queue::Error).unwrap(), 1);
            let looped = batch.datagrams().next().unwrap();
            assert!(looped.info.sent && looped.info.stamp.is_some() && looped.bytes.ends_with(&[0x50, 1]));
        }
        let mut numbered = Departures::new(FLAGS, false, 4);
        numbered.prefer(socket.as_fd(), 8, 8);
        assert_eq!(asks(&numbered), by_each);
        let mut none = Departures::new(None, false, 0);
        none.prefer(socket.as_fd(), 8, 8);
        assert!(!none.expected() && none.stamping(true).is_none() && none.stamping(false).is_none());
    }

    #[test]
    fn what_waits_to_be_read_leaves_no_room() {
        let (socket, own) = socket();
        let how = Sending {
            to: Some(&own),
            from: None,
            stamping: Departures::new(FLAGS, false, 0).stamping(true),
        };
        let plain = Sending {
            stamping: None,
            ..how.clone()
        };
        for _ in 0..20 {
            send(socket.as_fd(), &plain, &[1]).unwrap();
        }
        assert!(has_room(socket.as_fd()));
        // Less than that takes.
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 0).unwrap();
        assert!(!has_room(socket.as_fd()));
        send(socket.as_fd(), &how, &[2]).unwrap();
        let mut batch = Batch::new();
        assert!(batch.receive(socket.as_fd(), Queue::Error).is_err(), "no room");
        while batch.receive(socket.as_fd(), Queue::Data).is_ok() {}
        assert!(has_room(socket.as_fd()));
        send(socket.as_fd(), &how, &[3]).unwrap();
        assert_eq!(batch.receive(socket.as_fd(), Queue::Error).unwrap(), 1);
    }

    #[test]
    fn numbers_say_all_until_they_are_lost() {
        let mut departures = Departures::new(FLAGS, false, 4);
        let frames = &mut Frames::default();
        for number in 0..6 {
            let id = departures.stamping(true).and_then(|stamping| stamping.id);
            assert_eq!(id, Some(FIRST_ID + u32::from(number)));
            if number % 2 == 0 {
                departures.note(Token::Source(number.into()), &packet(3, number));
            } else {
                departures.note_reply(NtpTimestamp(number.into()));
            }
        }
        let mut find = |id| departures.find(&info(id), &[], frames).map(|found| found.0);
        assert_eq!(find(FIRST_ID + 5), Some(Token::Reply(NtpTimestamp(5))));
        assert_eq!(find(FIRST_ID + 2), Some(Token::Source(2)));
        assert_eq!(
            find(FIRST_ID + 2),
            Some(Token::Source(2)),
            "with the other timestamp"
        );
        for stale in [FIRST_ID, FIRST_ID + 1, FIRST_ID + 6, u32::MAX] {
            assert_eq!(find(stale), None);
        }
        // This kernel numbers on its own.
        assert_eq!(find(0), None);
        assert_eq!(departures.stamping(true).map(|stamping| stamping.id), Some(None));
        let found = departures.find(&info(1), &frame(0, &packet(4, 9)), frames);
        assert_eq!(found, Some((token(9), Departure::Kernel(AT))));
    }

    #[test]
    fn numbers_start_again_at_their_end() {
        let mut departures = Departures::new(FLAGS, false, 4);
        departures.next = Some(u32::MAX);
        departures.note_reply(NtpTimestamp(1));
        let found = departures.find(&info(u32::MAX), &[], &mut Frames::default());
        assert_eq!((found, departures.next), (None, Some(FIRST_ID)));
    }

    #[test]
    fn cards_tell_their_time_and_the_length_of_headers() {
        for numbers in [0, 4] {
            let mut departures = Departures::new(FLAGS, false, numbers);
            let mut frames = Frames::new(&[INTERFACE]);
            departures.note_reply(NtpTimestamp(u64::from_be_bytes([9; 8])));
            let at = PhcTime::new(77, 0);
            let taken = |interface| Info {
                hardware: Some(at),
                frame: Some((interface, 0)),
                ..info(FIRST_ID)
            };
            let looped = frame(4, &packet(4, 9));
            let stamp = HardwareStamp {
                interface: INTERFACE,
                at,
                length: 0,
            };
            assert_eq!(departures.find(&taken(8), &looped, &mut frames), None);
            assert_eq!(
                departures.find(&taken(INTERFACE), &looped, &mut frames),
                Some((token(9), Departure::Card(stamp)))
            );
            // The length is from the headers of what was sent, or from the kernel.
            let received = Info {
                hardware: Some(at),
                interface: INTERFACE,
                ..Info::default()
            };
            let length = |frames: &Frames, info: &Info, v6| frames.received(info, v6, 48).map(|s| s.length);
            assert_eq!(length(&frames, &received, false), Some(46 + 48));
            assert_eq!(length(&frames, &received, true), Some(62 + 48));
            assert_eq!(length(&frames, &taken(INTERFACE), false), Some(46 + 48));
            let told = Info {
                frame: Some((INTERFACE, 100)),
                ..received
            };
            assert_eq!(length(&frames, &told, false), Some(100));
            assert_eq!(length(&frames, &taken(8), false), None);
            assert_eq!(length(&frames, &info(0), false), None);
        }
    }
}
