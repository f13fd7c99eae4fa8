//! What we tell others about our time: served parameters, local mode, the tracking report
//! (`spec/sync.md` 5.11, 5.15).

use super::clock::{Cook, LocalClock};
use super::cx::Cx;
use super::mono::MonoScale;
use super::reference::Reference;
use super::sample::Leap;
use super::smooth::Smooth;
use crate::config::LocalMode;
use crate::random::{Random, Seeded};
use crate::time::{Cooked, FastBy, Mono, Ppm, SlowBy};
use std::net::IpAddr;

/// Reference ID of local mode, 127.127.1.1.
pub const LOCAL_REFID: u32 = 0x7f7f_0101;
/// Stratum of an unsynchronised server.
const UNSYNCHRONISED_STRATUM: u8 = 16;
/// How long a reference time of local mode is told, s.
const LOCAL_REF_PERIOD: u64 = 62;

/// Parameters of our time as they go into NTP packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// There is a real reference (not local mode).
    pub synchronised: bool,
    /// Leap status.
    pub leap: Leap,
    /// Our stratum, 1 to 16.
    pub stratum: u8,
    /// Reference ID.
    pub refid: u32,
    /// Time of the last update.
    pub ref_time: Cooked,
    /// s
    pub root_delay: f64,
    /// s
    pub root_dispersion: f64,
}

/// The `tracking` report. Offsets and frequencies in the signs of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingReport {
    /// Reference ID.
    pub refid: u32,
    /// Address of the selected source, if synchronised and if it has one.
    pub address: Option<IpAddr>,
    /// Our stratum; 0 when unsynchronised and without local mode.
    pub stratum: u8,
    /// Leap status.
    pub leap: Leap,
    /// Time of the last update.
    pub ref_time: Cooked,
    /// Correction not yet slewed ("System time").
    pub correction: SlowBy,
    /// Offset of the last update.
    pub last_offset: FastBy,
    /// s
    pub rms_offset: f64,
    /// Absolute frequency.
    pub frequency: Ppm,
    /// Residual frequency.
    pub residual: Ppm,
    /// Skew.
    pub skew: Ppm,
    /// s
    pub root_delay: f64,
    /// s
    pub root_dispersion: f64,
    /// Interval between the last two updates, s.
    pub update_interval: f64,
}

/// Local mode and what serving by it leaves behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Local {
    pub(super) config: Option<LocalMode>,
    activated: bool,
    /// Decides on the reference times.
    seed: u64,
}

impl Local {
    /// A reference time that says "just now": 1 s old at least, and replaced before it is 64 s old, so that it does not tell
    /// our reading habits. The same for all who ask at a time, in whichever thread: we know our own packets by it.
    fn ref_time(&self, now: Cooked) -> Cooked {
        let phase = self.seed % LOCAL_REF_PERIOD;
        let seconds = now.sec().wrapping_add(phase as i64);
        let period = seconds.div_euclid(LOCAL_REF_PERIOD as i64);
        let start = now.sec() - seconds.rem_euclid(LOCAL_REF_PERIOD as i64);
        let more = Seeded::new(self.seed ^ period as u64).bits32() % 1_000_000_000;
        Cooked::new(start, 0).plus_nanos(-1_000_000_000 - i64::from(more))
    }
}

/// What of the reference decides on [`Served`], for any moment up to its next change. A copy answers as the
/// reference does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceModel {
    pub(super) synchronised: bool,
    /// Leap status as told to others.
    pub(super) leap: Leap,
    pub(super) stratum: u8,
    pub(super) refid: u32,
    pub(super) ref_time: Option<Cooked>,
    /// s/s
    pub(super) skew: f64,
    /// Measured frequency that was not set, s/s.
    pub(super) residual: f64,
    /// s/s
    pub(super) max_clock_error: f64,
    pub(super) root_delay: f64,
    pub(super) root_dispersion: f64,
    pub(super) unsynced_since: Mono,
    pub(super) local: Local,
}

impl ReferenceModel {
    /// No reference yet. `seed`, random, is for the reference times of local mode.
    pub(super) fn new(max_clock_error: f64, now: Mono, local: Option<LocalMode>, seed: u64) -> Self {
        Self {
            synchronised: false,
            leap: Leap::Unsynchronised,
            stratum: 0,
            refid: 0,
            ref_time: None,
            skew: 1.0,
            residual: 0.0,
            max_clock_error,
            root_delay: 1.0,
            root_dispersion: 1.0,
            unsynced_since: now,
            local: Local {
                config: local,
                activated: false,
                seed,
            },
        }
    }

    /// Root dispersion at `at`, s.
    #[must_use]
    pub fn dispersion(&self, at: Cooked) -> f64 {
        self.ref_time.map_or(1.0, |ref_time| {
            let wander = self.skew + self.residual.abs() + self.max_clock_error;
            self.root_dispersion + (at - ref_time).abs() * wander
        })
    }

    /// What to tell clients at cooked time `at`.
    pub fn served(&mut self, at: Cooked, mono: Mono) -> Served {
        let (dispersion, waited) = if self.synchronised {
            let since = self.ref_time.map_or(0.0, |ref_time| at - ref_time);
            (
                self.dispersion(at),
                self.local.config.is_some_and(|local| since >= local.wait_synced),
            )
        } else {
            let since = mono - self.unsynced_since;
            (
                0.0,
                self.local
                    .config
                    .is_some_and(|local| since >= local.wait_unsynced),
            )
        };
        let distance = self.root_delay / 2.0 + dispersion;
        let local = self.local.config.filter(|local| {
            self.local.activated |= local.activate == 0.0 || (self.synchronised && distance < local.activate);
            self.local.activated && waited
        });

        match (self.synchronised, local) {
            (true, local) if local.is_none_or(|local| distance <= local.distance) => Served {
                synchronised: true,
                leap: self.leap,
                stratum: self.stratum,
                refid: self.refid,
                ref_time: self.ref_time.unwrap_or_default(),
                root_delay: self.root_delay,
                root_dispersion: dispersion,
            },
            (_, Some(local)) => Served {
                synchronised: false,
                leap: Leap::Normal,
                stratum: local.stratum,
                refid: LOCAL_REFID,
                ref_time: self.local.ref_time(at),
                root_delay: 0.0,
                root_dispersion: 0.0,
            },
            _ => Served {
                synchronised: false,
                leap: Leap::Unsynchronised,
                stratum: UNSYNCHRONISED_STRATUM,
                refid: 0,
                ref_time: Cooked::default(),
                root_delay: 1.0,
                root_dispersion: 1.0,
            },
        }
    }

    /// Takes over what serving by an older copy has left in it: that local mode was activated once.
    pub fn adopt(&mut self, older: &Self) {
        self.local.activated |= older.local.activated;
    }
}

/// All that serving takes of clock, reference and smoothing: plain values, good until one of them changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServedTime {
    /// From raw to cooked time.
    pub cook: Cook,
    /// The reference.
    pub reference: ReferenceModel,
    /// Time smoothing.
    pub smooth: Option<Smooth>,
    /// Precision of the clock, s.
    pub quantum: f64,
    /// The same, log2 s.
    pub precision: i8,
    /// Clients are not told about leap seconds, which time smoothing hides.
    pub hide_leap: bool,
    /// Monotonic scale.
    pub mono: MonoScale,
}

impl ServedTime {
    /// Served minus cooked time (s) at cooked time `at`: what smoothing adds; 0 without it.
    #[must_use]
    pub fn smoothing_offset(&self, at: Cooked) -> f64 {
        self.smooth.as_ref().map_or(0.0, |smooth| smooth.offset(at))
    }
}

impl Reference {
    /// What of it decides on [`Served`].
    #[must_use]
    pub fn model(&self) -> ReferenceModel {
        ReferenceModel {
            leap: self.leaps.told(),
            ..self.model
        }
    }

    /// Root dispersion at `at`, s.
    #[must_use]
    pub fn dispersion(&self, at: Cooked) -> f64 {
        self.model.dispersion(at)
    }

    /// What to tell clients at cooked time `at`.
    pub fn served(&mut self, at: Cooked, mono: Mono) -> Served {
        self.model.leap = self.leaps.told();
        self.model.served(at, mono)
    }

    /// The `tracking` report, of a fresh reading of the clock.
    pub fn tracking(&mut self, cx: &mut Cx<'_>, clock: &LocalClock) -> TrackingReport {
        let raw = cx.kernel.now().raw;
        let served = self.served(clock.cook(raw).0, cx.now.mono);
        let silent = served.stratum == UNSYNCHRONISED_STRATUM && !served.synchronised;
        let (residual, skew) = if served.synchronised {
            (self.model.residual, self.model.skew)
        } else {
            (0.0, 0.0)
        };
        TrackingReport {
            refid: served.refid,
            address: self.address.filter(|_| served.synchronised),
            stratum: if silent { 0 } else { served.stratum },
            leap: served.leap,
            ref_time: served.ref_time,
            correction: SlowBy(clock.correction(raw)),
            last_offset: self.last_offset,
            rms_offset: self.rms.get(),
            frequency: clock.absolute_frequency(),
            residual: Ppm(1e6 * residual),
            skew: Ppm(1e6 * skew),
            root_delay: served.root_delay,
            root_dispersion: served.root_dispersion,
            update_interval: self.last_interval,
        }
    }
}
