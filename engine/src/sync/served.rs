//! What we tell others about our time: served parameters, local mode, the tracking report
//! (`spec/sync.md` 5.11, 5.15).

use super::clock::LocalClock;
use super::cx::Cx;
use super::reference::Reference;
use super::sample::Leap;
use crate::config::LocalMode;
use crate::random::Random;
use crate::time::{Cooked, FastBy, Mono, Ppm, SlowBy};
use std::net::IpAddr;

/// Reference ID of local mode, 127.127.1.1.
pub const LOCAL_REFID: u32 = 0x7f7f_0101;
/// Stratum of an unsynchronised server.
const UNSYNCHRONISED_STRATUM: u8 = 16;
/// In local mode the reference time is renewed when it is older than this, s.
const LOCAL_REF_AGE: f64 = 64.0;

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

/// Local mode and its latches.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) config: Option<LocalMode>,
    activated: bool,
    ref_time: Cooked,
}

impl Local {
    pub(super) fn new(config: Option<LocalMode>) -> Self {
        Self {
            config,
            activated: false,
            ref_time: Cooked::default(),
        }
    }

    /// A reference time that says "just now", renewed seldom so that it does not tell our reading habits.
    fn ref_time(&mut self, now: Cooked, random: &mut dyn Random) -> Cooked {
        let age = now - self.ref_time;
        if !(1.0..=LOCAL_REF_AGE).contains(&age) {
            self.ref_time = now.plus(-1.0 - random.uniform());
        }
        self.ref_time
    }
}

impl Reference {
    /// Root dispersion at `at`, s.
    #[must_use]
    pub fn dispersion(&self, at: Cooked) -> f64 {
        self.ref_time.map_or(1.0, |ref_time| {
            let wander = self.skew + self.residual.abs() + self.max_clock_error;
            self.root_dispersion + (at - ref_time).abs() * wander
        })
    }

    /// What to tell clients at cooked time `at`.
    pub fn served(&mut self, at: Cooked, mono: Mono, random: &mut dyn Random) -> Served {
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
                leap: if self.leaps.in_progress() {
                    Leap::Unsynchronised
                } else {
                    self.leaps.status()
                },
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
                ref_time: self.local.ref_time(at, random),
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

    /// The `tracking` report, of a fresh reading of the clock.
    pub fn tracking(&mut self, cx: &mut Cx<'_>, clock: &LocalClock) -> TrackingReport {
        let raw = cx.kernel.now().raw;
        let served = self.served(clock.cook(raw).0, cx.now.mono, cx.random);
        let silent = served.stratum == UNSYNCHRONISED_STRATUM && !served.synchronised;
        let (residual, skew) = if served.synchronised {
            (self.residual, self.skew)
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
