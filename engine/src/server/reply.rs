//! Building replies (`spec/ntp.md` sections 1.4, 1.7 and 5.6).

use super::answer::{Shard, Snapshot};
use crate::io::Stamp;
use crate::random::Random;
use crate::sync::sample::Leap;
use crate::time::{NtpTimestamp, Raw, fuzz};
use crate::wire::ntp::{Builder, Header, MAX_LEN, Mode, MonoRoot, NtpShort, Time32, refid};
use bytes::Bytes;

/// Draws of fuzz before a reply is given up. Even two bits of fuzz need no more than a few.
const MAX_DRAWS: usize = 100;

/// A request that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingReply {
    /// What is taken over from the request, with the poll interval of the reply.
    pub(super) request: Asked,
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

/// Fields of a request on which its reply depends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) version: u8,
    pub(super) poll: i8,
    pub(super) originate: NtpTimestamp,
    pub(super) receive: NtpTimestamp,
    pub(super) transmit: NtpTimestamp,
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

/// A reply that lacks its transmit timestamp and, if it gets one, its MAC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draft {
    length: usize,
    receive: NtpTimestamp,
    originate: NtpTimestamp,
    /// Smoothing adds this to the time, s; none: it is not smoothed.
    shift: Option<f64>,
}

/// A reply written into a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Octets of it.
    pub length: usize,
    /// As [`Built::saved`].
    pub saved: Option<NtpTimestamp>,
}

impl Draft {
    /// Octets so far.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Its receive timestamp: as [`Built::saved`] if it is to be saved.
    #[must_use]
    pub const fn receive(&self) -> NtpTimestamp {
        self.receive
    }
}

impl PendingReply {
    /// True if its real transmit timestamp will be wanted: see [`Built::saved`].
    #[must_use]
    pub const fn is_saved(&self) -> bool {
        self.save
    }

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
        let mut buffer = [0; MAX_LEN];
        let draft = self.draft(view, random, &mut buffer)?;
        let Written { length, saved } = self.finish(&draft, view, shard, random, now, &mut buffer)?;
        Some(Built {
            bytes: Bytes::copy_from_slice(buffer.get(..length)?),
            saved,
            sign: self.sign,
        })
    }

    /// Writes all of the reply that does not need the time at which it is sent.
    #[must_use]
    pub fn draft(&self, view: &Snapshot<'_>, random: &mut dyn Random, out: &mut [u8]) -> Option<Draft> {
        let request = &self.request;
        let smoothed = self.mode == Mode::Server && view.smoothing.abs() > view.quantum;
        let shift = if smoothed { view.smoothing } else { 0.0 };
        let received = view.cook.cook(self.rx.at).0.plus(shift);
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
        let receive = NtpTimestamp::from_cooked(received, 0);
        let receive = fuzzed(receive, 1, [originate, previous], view, random)?;
        let mut header = Header {
            version: request.version,
            mode: self.mode,
            poll: request.poll,
            originate,
            receive,
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

        let mut packet = Builder::within(out, &header)?;
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
        let length = packet.bytes().len();
        (length <= self.length).then_some(Draft {
            length,
            receive,
            originate,
            shift: smoothed.then_some(shift),
        })
    }

    /// Adds what the draft in `out` lacks; `now` is a fresh reading of the clock. None: as for [`Self::build`].
    #[must_use]
    pub fn finish(
        &self,
        draft: &Draft,
        view: &Snapshot<'_>,
        shard: &mut Shard,
        random: &mut dyn Random,
        now: Raw,
        out: &mut [u8],
    ) -> Option<Written> {
        let Draft {
            receive, originate, ..
        } = *draft;
        let time = view.cook.cook(now).0.plus(draft.shift.unwrap_or(0.0));
        let basic = NtpTimestamp::from_cooked(time, 0);
        let transmit = fuzzed(
            self.transmit.unwrap_or(basic),
            0,
            [originate, receive],
            view,
            random,
        )?;
        let mut packet = Builder::resume(out, draft.length)?;
        packet.set_transmit(transmit);
        if let Some(key) = self.key {
            view.keys.sign(key, &mut packet).ok()?;
        }
        let length = packet.bytes().len();
        if length > self.length {
            return None;
        }
        if self.save {
            shard.saved.save(receive, basic, draft.shift.is_some());
        }
        Some(Written {
            length,
            saved: self.save.then_some(receive),
        })
    }
}

/// A timestamp (zero stays zero) with fuzz and this lowest bit, unlike the other two.
fn fuzzed(
    time: NtpTimestamp,
    bit: u64,
    avoid: [NtpTimestamp; 2],
    view: &Snapshot<'_>,
    random: &mut dyn Random,
) -> Option<NtpTimestamp> {
    if time.is_zero() {
        return Some(time);
    }
    // No more than 32 bits are fuzz, with a good clock no more than 16: random numbers are not for nothing.
    let precision = view.precision.min(0);
    let draw = || {
        let bits = if precision <= -16 {
            random.bits16().into()
        } else {
            random.bits32().into()
        };
        NtpTimestamp((time.0 ^ fuzz(precision, bits)) & !1 | bit)
    };
    std::iter::repeat_with(draw)
        .take(MAX_DRAWS)
        .find(|t| !avoid.contains(t))
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
