//! Building replies (`spec/ntp.md` sections 1.4, 1.7 and 5.6).

use super::answer::{Shard, Snapshot};
use crate::io::Stamp;
use crate::random::Random;
use crate::sync::sample::Leap;
use crate::time::{NtpTimestamp, Raw, fuzz};
use crate::wire::ntp::{Builder, Header, Mode, MonoRoot, NtpShort, Time32, refid};
use bytes::Bytes;

/// Draws of fuzz before a reply is given up. Even two bits of fuzz need no more than a few.
const MAX_DRAWS: usize = 100;

/// A request that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingReply {
    /// Header of the request, with the poll interval of the reply.
    pub(super) request: Header,
    /// Octets of the request.
    pub(super) length: usize,
    /// Mode of the reply.
    pub(super) mode: Mode,
    /// When the request came in.
    pub(super) rx: Stamp,
    /// Key that authenticates the reply.
    pub(super) key: Option<u32>,
    /// MS-SNTP key with which the signing daemon is to authenticate it.
    pub(super) sign: Option<u32>,
    /// Kiss-o'-death `RATE`.
    pub(super) kod: bool,
    /// With a monotonic root field.
    pub(super) mono_root: bool,
    /// With a network correction field.
    pub(super) net_correction: bool,
    /// The client may use the reply for interleaved mode: save its timestamps.
    pub(super) save: bool,
    /// Interleaved: transmit timestamp of the previous reply, without fuzz.
    pub(super) transmit: Option<NtpTimestamp>,
}

/// A reply to be sent at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// The datagram.
    pub bytes: Bytes,
    /// The time at which it really leaves is wanted, for [`Shard::sent`] with this value.
    pub saved: Option<NtpTimestamp>,
    /// Not to be sent but handed to the signing daemon, with this key.
    pub sign: Option<u32>,
}

impl PendingReply {
    /// Makes the reply; `now` is a fresh reading of the clock. None: it is not to be sent, since it would be
    /// longer than the request or its key has been removed.
    #[must_use]
    pub fn build(
        &self,
        view: &Snapshot<'_>,
        shard: &mut Shard,
        random: &mut dyn Random,
        now: Raw,
    ) -> Option<Built> {
        let request = &self.request;
        let smoothed = self.mode == Mode::Server && view.smoothing.abs() > view.quantum;
        let shift = if smoothed { view.smoothing } else { 0.0 };
        let received = view.cook.cook(self.rx.at).0.plus(shift);
        let basic = NtpTimestamp::from_cooked(view.cook.cook(now).0.plus(shift), 0);
        let originate = if self.transmit.is_some() {
            request.receive
        } else {
            request.transmit
        };
        // Clients of interleaved mode recognise our receive timestamps by their lowest bit.
        let previous = if self.save {
            request.originate
        } else {
            NtpTimestamp::ZERO
        };
        let mut fuzzed = |time: NtpTimestamp, bit: u64, avoid: [NtpTimestamp; 2]| {
            let draw = || NtpTimestamp((time.0 ^ fuzz(view.precision, random.bits64())) & !1 | bit);
            if time.is_zero() {
                return Some(time);
            }
            std::iter::repeat_with(draw)
                .take(MAX_DRAWS)
                .find(|t| !avoid.contains(t))
        };
        let receive = NtpTimestamp::from_cooked(received, 0);
        let receive = fuzzed(receive, 1, [originate, previous])?;
        let transmit = fuzzed(self.transmit.unwrap_or(basic), 0, [originate, receive])?;

        let mut header = Header {
            version: request.version,
            mode: self.mode,
            poll: request.poll,
            originate,
            receive,
            transmit,
            ..served_header(view, smoothed, shift)
        };
        if smoothed {
            header.refid = refid::SMOOTHED;
        }
        if self.kod {
            header.leap = 3;
            header.stratum = 0;
            header.refid = refid::RATE;
        }

        let mut packet = Builder::new(&header);
        if self.net_correction {
            let Stamp {
                duration, correction, ..
            } = self.rx;
            let known = if correction > duration { correction } else { 0.0 };
            packet.net_correction(known).ok()?;
        }
        if self.mono_root {
            let receive = if smoothed {
                NtpTimestamp::ZERO
            } else {
                let time = received.plus(view.mono.offset);
                NtpTimestamp::from_cooked(time, fuzz(view.precision, random.bits64()))
            };
            let served = &view.served;
            let field = MonoRoot {
                root_delay: Time32::from_seconds(served.root_delay),
                root_dispersion: Time32::from_seconds(served.root_dispersion),
                receive,
                epoch: view.mono.epoch,
            };
            packet.mono_root(&field).ok()?;
        }
        if let Some(key) = self.key {
            view.keys.sign(key, &mut packet).ok()?;
        }
        if packet.bytes().len() > self.length {
            return None;
        }
        if self.save {
            shard.saved.save(receive, basic, smoothed);
        }
        Some(Built {
            bytes: Bytes::copy_from_slice(packet.bytes()),
            saved: self.save.then_some(receive),
            sign: self.sign,
        })
    }
}

/// Header with the reference data of the server, the reference time moved by `shift` (s).
pub(super) fn served_header(view: &Snapshot<'_>, smoothed: bool, shift: f64) -> Header {
    let served = &view.served;
    let ref_time = if served.ref_time.is_zero() {
        served.ref_time
    } else {
        served.ref_time.plus(shift)
    };
    Header {
        leap: match served.leap {
            Leap::Insert | Leap::Delete if smoothed && view.hide_leap => Leap::Normal as u8,
            leap => leap as u8,
        },
        stratum: served.stratum,
        precision: view.precision,
        root_delay: NtpShort::from_seconds(served.root_delay),
        root_dispersion: NtpShort::from_seconds(served.root_dispersion),
        refid: served.refid,
        reference: NtpTimestamp::from_cooked(ref_time, 0),
        ..Header::default()
    }
}
