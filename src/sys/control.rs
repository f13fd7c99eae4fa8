//! Control messages (`cmsg`) of sockets as bytes and back, without unsafe code.

use super::socket::Stamping;
use std::net::IpAddr;
use truechimer_engine::time::{PhcTime, Raw};

const HEADER: usize = size_of::<libc::cmsghdr>();
const WORD: usize = size_of::<usize>();

/// `SCM_TIMESTAMPING` has the option's number.
const SCM_TIMESTAMPING: i32 = libc::SO_TIMESTAMPING;
const SCM_TIMESTAMPNS: i32 = libc::SO_TIMESTAMPNS;
const SCM_TIMESTAMP: i32 = libc::SO_TIMESTAMP;
const SCM_TIMESTAMPING_PKTINFO: i32 = 58;
const SCM_TS_OPT_ID: i32 = 81;
/// Of the three times of `SCM_TIMESTAMPING`, the one of the network card.
const HARDWARE: usize = 4 * WORD;
/// `SO_EE_ORIGIN_TIMESTAMPING` and `SCM_TSTAMP_SND` of linux/errqueue.h.
const ORIGIN_TIMESTAMPING: u8 = 4;
const INFO_SENT: u32 = 0;

/// Room for control messages, aligned as they have to be.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Control(pub [u8; Self::SIZE]);

impl Control {
    /// More than all the messages that we ask for take together.
    pub const SIZE: usize = 512;

    /// All zero.
    pub const EMPTY: Self = Self([0; Self::SIZE]);
}

/// What the control messages of a received datagram say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Info {
    /// Kernel's timestamp.
    pub stamp: Option<Raw>,
    /// Our address that the datagram was sent to.
    pub to: Option<IpAddr>,
    /// It was sent to a broadcast or multicast address: others have it, too.
    pub to_many: bool,
    /// Interface that it came in on; 0: unknown.
    pub interface: u32,
    /// The network card's timestamp, by its own clock.
    pub hardware: Option<PhcTime>,
    /// Interface that took it, and octets of the frame; 0: unknown.
    pub frame: Option<(u32, u32)>,
    /// It is a datagram of ours, looped back because it has left.
    pub sent: bool,
    /// The number under which it was looped back.
    pub id: u32,
}

impl Info {
    /// Index of the interface whose card took the timestamp; 0: unknown.
    pub fn taken_by(&self) -> u32 {
        let told = self.frame.map_or(0, |(interface, _)| interface);
        if told == 0 { self.interface } else { told }
    }
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn word(data: &[u8], at: usize) -> Option<i64> {
    bytes::<WORD>(data, at).map(|bytes| isize::from_ne_bytes(bytes) as i64)
}

/// A `timespec` (or `timeval` with `unit` 1000); zero stands for "no timestamp".
fn stamp(data: &[u8], at: usize, unit: u32) -> Option<Raw> {
    let (sec, fraction) = (word(data, at)?, word(data, at + WORD)?);
    let nsec = u32::try_from(fraction)
        .ok()?
        .checked_mul(unit)
        .filter(|&nsec| nsec < 1_000_000_000)?;
    Some(Raw::new(sec, nsec)).filter(|stamp| !stamp.is_zero())
}

/// Splits control messages; stops at the first that is damaged.
fn messages(mut data: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(word(data, 0)?).ok()?;
        let level = i32::from_ne_bytes(bytes(data, WORD)?);
        let kind = i32::from_ne_bytes(bytes(data, WORD + 4)?);
        let payload = data.get(HEADER..length)?;
        data = data.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        Some((level, kind, payload))
    })
}

/// Reads the control messages that we know; the rest is passed over.
pub fn decode(data: &[u8]) -> Info {
    let mut info = Info::default();
    for (level, kind, payload) in messages(data) {
        match (level, kind) {
            // Software, deprecated, hardware.
            (libc::SOL_SOCKET, SCM_TIMESTAMPING | SCM_TIMESTAMPNS) => {
                info.stamp = stamp(payload, 0, 1).or(info.stamp);
                let hardware = stamp(payload, HARDWARE, 1);
                info.hardware = hardware
                    .map(|at| PhcTime::new(at.sec(), at.nsec()))
                    .or(info.hardware);
            }
            (libc::SOL_SOCKET, SCM_TIMESTAMP) => info.stamp = stamp(payload, 0, 1000).or(info.stamp),
            (libc::SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO) => {
                let number = |at| bytes(payload, at).map(u32::from_ne_bytes);
                info.frame = number(0).zip(number(4));
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // The address to answer from; the header's destination may be a broadcast address.
                let local = bytes::<4>(payload, 4).filter(|local| local != &[0; 4]);
                let header = bytes::<4>(payload, 8).filter(|header| header != &[0; 4]);
                info.to = local.or(bytes::<4>(payload, 8)).map(IpAddr::from);
                info.to_many = local.is_some() && header.is_some() && local != header;
                info.interface = bytes(payload, 0).map_or(0, u32::from_ne_bytes);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                info.to = bytes::<16>(payload, 0).map(IpAddr::from);
                info.to_many = info.to.is_some_and(|to| to.is_multicast());
                info.interface = bytes(payload, 16).map_or(0, u32::from_ne_bytes);
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                let errno = bytes(payload, 0).map(i32::from_ne_bytes);
                let what = bytes(payload, 8).map(u32::from_ne_bytes);
                info.sent = errno == Some(libc::ENOMSG)
                    && payload.get(4) == Some(&ORIGIN_TIMESTAMPING)
                    && what == Some(INFO_SENT);
                info.id = bytes(payload, 12).map_or(0, u32::from_ne_bytes);
            }
            _ => {}
        }
    }
    info
}

/// Control messages of a datagram to be sent, written into a buffer.
#[derive(Debug)]
pub struct Builder<'a> {
    room: &'a mut [u8],
    /// Where the next one begins.
    next: usize,
    /// Without what lies between the last one and the next: the kernel has room for packet information without that,
    /// and has to look for memory otherwise.
    length: usize,
}

impl<'a> Builder<'a> {
    /// No messages yet. `room` is aligned as [`Control`] is; what does not fit is left out.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            next: 0,
            length: 0,
        }
    }

    fn push(&mut self, level: i32, kind: i32, payload: &[u8]) {
        let end = HEADER + payload.len();
        let padded = end.next_multiple_of(WORD);
        let Some(place) = self.room.get_mut(self.next..self.next + padded) else {
            return;
        };
        place[..WORD].copy_from_slice(&end.to_ne_bytes());
        place[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        place[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        place[HEADER..end].copy_from_slice(payload);
        place[end..].fill(0);
        self.length = self.next + end;
        self.next += padded;
    }

    /// Sends from `local`, through `interface` unless that is 0.
    pub fn from(&mut self, local: IpAddr, interface: u32) {
        match local {
            IpAddr::V4(local) => {
                let mut payload = [0; 12];
                payload[..4].copy_from_slice(&interface.to_ne_bytes());
                payload[4..8].copy_from_slice(&local.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &payload);
            }
            IpAddr::V6(local) => {
                let mut payload = [0; 20];
                payload[..16].copy_from_slice(&local.octets());
                payload[16..].copy_from_slice(&interface.to_ne_bytes());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &payload);
            }
        }
    }

    /// Asks for a transmit timestamp of this datagram.
    pub fn stamping(&mut self, stamping: &Stamping) {
        let Stamping { flags, id } = stamping;
        if let Some(flags) = flags {
            self.push(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, &flags.to_ne_bytes());
        }
        if let Some(id) = id {
            self.push(libc::SOL_SOCKET, SCM_TS_OPT_ID, &id.to_ne_bytes());
        }
    }

    /// The messages.
    pub fn bytes(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_info_round_trips() {
        for (text, interface) in [("192.0.2.1", 0), ("2001:db8::5", 3)] {
            let local: IpAddr = text.parse().unwrap();
            let mut room = Control::EMPTY;
            let mut builder = Builder::new(&mut room.0);
            builder.stamping(&Stamping {
                flags: Some(2),
                id: Some(7),
            });
            builder.from(local, interface);
            let info = decode(builder.bytes());
            assert_eq!((info.to, info.interface), (Some(local), interface));
            assert_eq!(info.stamp, None);
        }
    }

    #[test]
    fn what_others_have_too() {
        let decoded = |level, kind, payload: &[u8]| {
            let mut room = Control::EMPTY;
            let mut builder = Builder::new(&mut room.0);
            builder.push(level, kind, payload);
            let info = decode(builder.bytes());
            (info.to.unwrap().to_string(), info.to_many)
        };
        let v4 = |local: [u8; 4], header: [u8; 4]| {
            let payload = [[0; 4], local, header].concat();
            decoded(libc::IPPROTO_IP, libc::IP_PKTINFO, &payload)
        };
        assert_eq!(v4([10, 0, 0, 1], [10, 0, 0, 1]), ("10.0.0.1".into(), false));
        assert_eq!(v4([10, 0, 0, 1], [10, 0, 0, 255]), ("10.0.0.1".into(), true));
        assert_eq!(v4([0; 4], [10, 0, 0, 1]), ("10.0.0.1".into(), false));
        for (text, many) in [("2001:db8::1", false), ("ff05::101", true)] {
            let address: std::net::Ipv6Addr = text.parse().unwrap();
            let payload = [&address.octets()[..], &[0; 4]].concat();
            let got = decoded(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &payload);
            assert_eq!(got, (text.into(), many));
        }
    }

    #[test]
    fn timestamps_of_all_three_kinds() {
        let mut room = Control::EMPTY;
        let mut builder = Builder::new(&mut room.0);
        let mut spec = Vec::new();
        spec.extend_from_slice(&1_700_000_000_isize.to_ne_bytes());
        spec.extend_from_slice(&123_456_isize.to_ne_bytes());
        builder.push(libc::SOL_SOCKET, SCM_TIMESTAMP, &spec);
        assert_eq!(
            decode(builder.bytes()).stamp,
            Some(Raw::new(1_700_000_000, 123_456_000))
        );
        builder.push(libc::SOL_SOCKET, SCM_TIMESTAMPNS, &spec);
        assert_eq!(
            decode(builder.bytes()).stamp,
            Some(Raw::new(1_700_000_000, 123_456))
        );
        let mut room = Control::EMPTY;
        let mut builder = Builder::new(&mut room.0);
        builder.push(libc::SOL_SOCKET, SCM_TIMESTAMPING, &[0; 48]);
        assert_eq!(decode(builder.bytes()).stamp, None, "zero is no timestamp");
        // Software time, nothing, time of the card; then interface 3 and 90 octets.
        let times = [[0; 32].as_slice(), &spec].concat();
        builder.push(libc::SOL_SOCKET, SCM_TIMESTAMPING, &times);
        let frame = [3_u32, 90, 0, 0].map(u32::to_ne_bytes);
        builder.push(libc::SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, frame.as_flattened());
        let info = decode(builder.bytes());
        assert_eq!(info.hardware, Some(PhcTime::new(1_700_000_000, 123_456)));
        assert_eq!((info.stamp, info.frame), (None, Some((3, 90))));
    }

    #[test]
    fn a_looped_datagram_is_recognised() {
        let mut error = [0_u8; 16];
        error[..4].copy_from_slice(&libc::ENOMSG.to_ne_bytes());
        error[4] = ORIGIN_TIMESTAMPING;
        for (level, kind) in [
            (libc::IPPROTO_IP, libc::IP_RECVERR),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        ] {
            let mut room = Control::EMPTY;
            let mut builder = Builder::new(&mut room.0);
            builder.push(level, kind, &error);
            assert!(decode(builder.bytes()).sent);
        }
        error[..4].copy_from_slice(&libc::ECONNREFUSED.to_ne_bytes());
        let mut room = Control::EMPTY;
        let mut builder = Builder::new(&mut room.0);
        builder.push(libc::IPPROTO_IP, libc::IP_RECVERR, &error);
        assert!(!decode(builder.bytes()).sent);
    }

    #[test]
    fn damaged_messages_end_the_reading() {
        assert_eq!(decode(&[0; 64]), Info::default());
        assert_eq!(decode(&[0xff; 64]), Info::default());
        assert_eq!(decode(&[17, 0, 0]), Info::default());
    }
}
