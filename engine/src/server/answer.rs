//! Judging requests (`spec/ntp.md` sections 3.3 and 5.1).

use super::access::Verdicts;
use super::clientlog::{ClientLog, Parts, Service};
use super::interleaved::SavedTimestamps;
use super::ratelimit::{Limit, Limiter};
use super::reply::{Asked, PendingReply};
use crate::auth::Keys;
use crate::config::NetworkConfig;
use crate::io::{Origin, Stamp};
use crate::random::Random;
use crate::sync::clock::Cook;
use crate::sync::kernel::Change;
use crate::sync::mono::MonoScale;
use crate::sync::served::{Served, ServedTime};
use crate::time::{Cooked, NtpTimestamp};
use crate::wire::ntp::{self, Auth, Header, Mode, Packet};
use std::net::SocketAddr;

/// Poll interval that a server without a limit asks for, log2 s.
const NO_INTERVAL: i8 = -19;

/// What is served: read by [`admit`] and [`PendingReply::build`], changed by neither. Made anew for every event,
/// as the root dispersion grows.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// From raw to cooked time.
    pub cook: Cook,
    /// Reference data at the time of the event.
    pub served: Served,
    /// Precision of the clock, s.
    pub quantum: f64,
    /// The same, log2 s.
    pub precision: i8,
    /// Offset of time smoothing at the time of the event, s, added to served time; 0: none.
    pub smoothing: f64,
    /// Clients are not told about leap seconds, which time smoothing hides.
    pub hide_leap: bool,
    /// Monotonic scale.
    pub mono: MonoScale,
    /// `ptpport` is set: network correction fields are answered.
    pub ptp: bool,
    /// There is a signing daemon: requests of MS-SNTP are answered.
    pub signs: bool,
    /// Who may ask.
    pub access: &'a Verdicts,
    /// Symmetric keys.
    pub keys: &'a Keys,
}

/// What is answered beyond plain requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Answers {
    /// `ptpport` is set: network correction fields are answered.
    pub ptp: bool,
    /// There is a signing daemon: requests of MS-SNTP are answered.
    pub signs: bool,
}

impl<'a> Snapshot<'a> {
    /// What is served at cooked time `at`; `served` is what the reference of `time` says then.
    #[must_use]
    pub fn new(
        time: &ServedTime,
        at: Cooked,
        served: Served,
        Answers { ptp, signs }: Answers,
        access: &'a Verdicts,
        keys: &'a Keys,
    ) -> Self {
        Self {
            cook: time.cook,
            served,
            quantum: time.quantum,
            precision: time.precision,
            smoothing: time.smoothing_offset(at),
            hide_leap: time.hide_leap,
            mono: time.mono,
            ptp,
            signs,
            access,
            keys,
        }
    }
}

/// What is known about clients. Belongs to one thread.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Client log, with the rate limits.
    pub log: ClientLog,
    /// Timestamps for interleaved mode.
    pub saved: SavedTimestamps,
    counters: Counters,
}

/// Counters that are not in the client log. Arrays are by [`Origin`].
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    authenticated: u64,
    interleaved: u64,
    rx: [u64; 3],
    tx: [u64; 3],
}

/// Statistics of the NTP server (`spec/ntp.md` section 5.5). Hits and drops are in [`ClientLog::totals`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerStats {
    /// Authenticated requests.
    pub authenticated: u64,
    /// Interleaved requests.
    pub interleaved: u64,
    /// Saved timestamps.
    pub timestamps: u64,
    /// Seconds between the oldest and the newest of them.
    pub span: u64,
    /// Requests by origin of their receive timestamp: daemon, kernel, hardware.
    pub rx: [u64; 3],
    /// Replies by origin of their transmit timestamp; basic ones count as daemon.
    pub tx: [u64; 3],
}

impl ServerStats {
    /// Adds those of another thread; of the spans the largest counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.authenticated += other.authenticated;
        self.interleaved += other.interleaved;
        self.timestamps += other.timestamps;
        self.span = self.span.max(other.span);
        for (sum, count) in self.rx.iter_mut().zip(other.rx) {
            *sum += count;
        }
        for (sum, count) in self.tx.iter_mut().zip(other.tx) {
            *sum += count;
        }
    }
}

/// What is to be done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Drop,
    /// Answer it.
    Reply(PendingReply),
    /// It is an NTP packet of an allowed host, but not a request: perhaps a reply to one of our requests.
    NotARequest,
}

impl Shard {
    /// The main thread's: all that the configuration allows, or what its workers leave of it.
    #[must_use]
    pub fn new(config: &NetworkConfig, random: &mut dyn Random) -> Self {
        let parts = Parts::of(config.client_log_limit, config.server_threads.workers());
        Self::within(parts.main, config, random)
    }

    /// That of one of several workers.
    pub(super) fn of_worker(config: &NetworkConfig, workers: usize, random: &mut dyn Random) -> Self {
        let parts = Parts::of(config.client_log_limit, workers);
        Self::within(parts.worker, config, random)
    }

    fn within(limit: u64, config: &NetworkConfig, random: &mut dyn Random) -> Self {
        let limit = (!config.no_client_log).then_some(limit);
        let limits = [config.rate_limit, config.nts_rate_limit, config.cmd_rate_limit];
        let log = ClientLog::new(limit, limits, random);
        let saved = SavedTimestamps::new(log.capacity());
        Self {
            log,
            saved,
            counters: Counters::default(),
        }
    }

    /// Statistics of the server.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let Counters {
            authenticated,
            interleaved,
            rx,
            tx,
        } = self.counters;
        let (timestamps, span) = (self.saved.len() as u64, u64::from(self.saved.span()));
        ServerStats {
            authenticated,
            interleaved,
            timestamps,
            span,
            rx,
            tx,
        }
    }

    /// The clock was changed.
    pub fn changed(&mut self, change: &Change) {
        self.saved.changed(change);
    }

    /// The clock was changed in ways that are not known.
    pub(super) fn forget_timestamps(&mut self) {
        self.saved.clear();
    }

    /// A better transmit timestamp of a reply became known; `receive` is [`super::Built::saved`].
    pub fn sent(&mut self, view: &Snapshot<'_>, receive: NtpTimestamp, tx: &Stamp) {
        let (time, _) = view.cook.cook(tx.at);
        self.saved.update(receive, time, view.smoothing, tx.origin);
    }
}

/// Decides what to do with a datagram that belongs to no source: everything of section 5.1 but the reply
/// itself, which is to be built with [`PendingReply::build`] directly before it is sent.
#[inline]
pub fn admit(
    view: &Snapshot<'_>,
    shard: &mut Shard,
    random: &mut dyn Random,
    bytes: &[u8],
    from: SocketAddr,
    rx: &Stamp,
) -> Verdict {
    match Packet::parse(bytes) {
        Ok(packet) => admit_packet(view, shard, random, &packet, from, rx),
        Err(_) => Verdict::Drop,
    }
}

/// [`admit`] for a packet that has been parsed already.
pub fn admit_packet(
    view: &Snapshot<'_>,
    shard: &mut Shard,
    random: &mut dyn Random,
    packet: &Packet<'_>,
    from: SocketAddr,
    rx: &Stamp,
) -> Verdict {
    if !view.access.allows(from.ip()) {
        return Verdict::Drop;
    }
    let request = &packet.header;
    let mode = match request.mode {
        Mode::Active => Mode::Passive,
        Mode::Client => Mode::Server,
        // From NTP's port it could be an answer itself.
        Mode::Undefined if request.version == 1 && from.port() != ntp::PORT => Mode::Server,
        Mode::Undefined | Mode::Control | Mode::Private => return Verdict::Drop,
        Mode::Passive | Mode::Server | Mode::Broadcast => return Verdict::NotARequest,
    };
    let (time, _) = view.cook.cook(rx.at);
    let record = shard.log.hit(Service::Ntp, Some(from.ip()), time);
    let kod = match shard.log.limit(Service::Ntp, record, random) {
        Limit::Pass => false,
        Limit::Kod => true,
        Limit::Drop => return Verdict::Drop,
    };
    let (key, sign) = match packet.auth {
        Auth::None => (None, None),
        Auth::Symmetric(id) if view.keys.verify(packet) => (Some(id), None),
        Auth::MsSntp(id) if view.signs => (None, Some(id)),
        // This build has no NTS.
        Auth::Symmetric(_) | Auth::MsSntp(_) | Auth::MsSntpExtended(_) | Auth::Nts => return Verdict::Drop,
    };
    let save = !kod && record.is_some() && wants_interleaved(request);
    let taken = if save {
        shard.saved.take(request.originate)
    } else {
        None
    };
    let interleaved = taken.filter(|(transmit, _)| !transmit.is_zero());
    let tx_origin = interleaved.map_or(Origin::Daemon, |(_, origin)| origin);
    let counters = &mut shard.counters;
    counters.authenticated += u64::from(key.is_some() && !kod);
    counters.interleaved += u64::from(taken.is_some());
    counters.rx[rx.origin as usize] += 1;
    counters.tx[tx_origin as usize] += 1;
    let interval = shard
        .log
        .limiter(Service::Ntp)
        .map_or(NO_INTERVAL, Limiter::interval);
    Verdict::Reply(PendingReply {
        request: Asked {
            version: request.version,
            poll: request.poll.max(interval),
            originate: request.originate,
            receive: request.receive,
            transmit: request.transmit,
        },
        length: packet.bytes().len(),
        mode,
        rx: *rx,
        key,
        sign,
        kod,
        mono_root: packet.mono_root.is_some(),
        net_correction: packet.net_correction.is_some() && view.ptp,
        save,
        transmit: interleaved.map(|(transmit, _)| transmit),
    })
}

/// True if the originate timestamp may be the receive timestamp of an earlier reply of ours, whose lowest bit
/// is set.
fn wants_interleaved(request: &Header) -> bool {
    request.version == 4 && request.originate.0 & 1 == 1 && request.receive != request.transmit
}
