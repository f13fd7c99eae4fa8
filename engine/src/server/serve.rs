//! Answering many requests at a time: what a driver calls for its server sockets in place of one input for each.

use super::answer::{Shard, Snapshot, Verdict, admit};
use super::reply::{Draft, PendingReply, Written};
use crate::io::{HardwareStamp, Stamp};
use crate::random::Random;
use crate::sync::cards::{Cards, Direction};
use crate::time::{NtpTimestamp, Raw};
use crate::wire::ntp::{HEADER_LEN, Mode};
use std::net::{IpAddr, SocketAddr};

/// The server at one moment. Lives as long as a batch of requests is being answered.
pub struct Server<'a> {
    view: Snapshot<'a>,
    cards: &'a Cards,
    shard: &'a mut Shard,
    random: &'a mut dyn Random,
}

/// True for requests that the server answers without anybody else's help: those of clients, except the ones that a
/// signing daemon may have to sign. Everything else (replies to our own requests, packets of peers, noise) is for
/// the engine, as [`crate::io::Input::Datagram`].
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    let Some(&first) = bytes.first() else {
        return false;
    };
    // MS-SNTP exists in version 3 only and has zeros in place of a digest.
    let unsigned = || {
        let digest = bytes.get(HEADER_LEN + 8..).unwrap_or_default();
        bytes.len() > HEADER_LEN && digest.iter().all(|&octet| octet == 0)
    };
    Mode::from_bits(first) == Mode::Client && !(first >> 3 & 7 == 3 && unsigned())
}

impl<'a> Server<'a> {
    /// What answers with this view and this knowledge of network cards and clients.
    #[must_use]
    pub fn new(
        view: Snapshot<'a>,
        cards: &'a Cards,
        shard: &'a mut Shard,
        random: &'a mut dyn Random,
    ) -> Self {
        Self {
            view,
            cards,
            shard,
            random,
        }
    }

    /// Makes the timestamp of a network card ours; `now` is our own reading. None: it can't be used. The card's clock is
    /// to be read before, if that is due.
    #[must_use]
    pub fn convert(&self, stamp: &HardwareStamp, direction: Direction, now: Raw) -> Option<Stamp> {
        self.cards.convert(stamp, direction, &self.view.cook, now)
    }

    /// What it answers from.
    #[cfg(test)]
    pub(crate) const fn view(&self) -> &Snapshot<'a> {
        &self.view
    }

    /// Prepares for requests from these addresses. Nothing depends on it but the time that [`Self::admit`] takes.
    pub fn expect(&self, addresses: impl Iterator<Item = IpAddr>) {
        self.shard.log.expect(addresses);
    }

    /// Judges a plain request; none: it gets no answer.
    #[inline]
    pub fn admit(&mut self, bytes: &[u8], from: SocketAddr, rx: &Stamp) -> Option<PendingReply> {
        match admit(&self.view, self.shard, self.random, bytes, from, rx) {
            Verdict::Reply(reply) => Some(reply),
            Verdict::Drop | Verdict::NotARequest => None,
        }
    }

    /// Writes a reply into `out`, but for what depends on the time at which it is sent. None: it is not to be sent.
    pub fn draft(&mut self, reply: &PendingReply, out: &mut [u8]) -> Option<Draft> {
        reply.draft(&self.view, self.random, out)
    }

    /// Completes a reply; `now` is the time at which it will be sent. None: it is not to be sent.
    pub fn finish(
        &mut self,
        reply: &PendingReply,
        draft: &Draft,
        now: Raw,
        out: &mut [u8],
    ) -> Option<Written> {
        reply.finish(draft, &self.view, self.shard, self.random, now, out)
    }

    /// The real transmit timestamp of a reply that has [`Written::saved`] as its receive timestamp.
    pub fn sent(&mut self, receive: NtpTimestamp, tx: &Stamp) {
        self.shard.sent(&self.view, receive, tx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_of_clients_are_plain() {
        let packet = |version: u8, mode: u8, more: &[u8]| {
            let mut packet = vec![0; HEADER_LEN];
            packet[0] = version << 3 | mode;
            packet.extend(more);
            is_plain(&packet)
        };
        for version in 0..8 {
            for mode in 0..8 {
                assert_eq!(packet(version, mode, &[]), mode == 3, "{version} {mode}");
            }
        }
        // Key ID and digest; the extended form has 4 octets more before the zeros.
        assert!(packet(3, 3, &[&[0, 0, 0, 1][..], &[7; 16]].concat()));
        assert!(!packet(3, 3, &[&[0, 0, 0, 1][..], &[0; 16]].concat()));
        assert!(!packet(3, 3, &[&[0, 0, 0, 1, 9, 9, 9, 9][..], &[0; 64]].concat()));
        assert!(packet(4, 3, &[0; 20]));
        assert!(!is_plain(&[]));
        assert!(is_plain(&[3 << 3 | 3]), "too short, which admitting finds out");
    }
}
