//! One line of each log file below `logdir`, as values. The daemon formats and writes them
//! (`spec/files-and-security.md`, `spec/config.md` section 10.4).

use crate::time::{Cooked, FastBy, Ppm, SlowBy};
use std::net::IpAddr;

/// Who a line is about: an NTP source's address or a reference clock's ID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// An NTP source.
    Address(IpAddr),
    /// A reference clock, local mode, or an unresolved source.
    RefId(u32),
}

/// One line of one log file.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// `measurements.log`
    Measurement(Box<Measurement>),
    /// `statistics.log`
    Statistics(Box<Statistics>),
    /// `selection.log`
    Selection(Box<Selection>),
    /// `tracking.log`
    Tracking(Box<Tracking>),
    /// `tempcomp.log`
    TempComp(TempComp),
    /// `refclocks.log`
    Refclock(Box<Refclock>),
    /// `rtc.log`
    Rtc(Box<Rtc>),
}

/// `measurements.log`: `spec/ntp.md` section 9.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Sample time, or receive time when no sample was computed.
    pub time: Cooked,
    /// The source.
    pub source: IpAddr,
    /// Leap status as received, 0 to 3.
    pub leap: u8,
    /// Stratum as received.
    pub stratum: u8,
    /// Results of tests 1 2 3 5 6 7 A B C D, most significant first (test 1 = 0x200).
    pub tests: u16,
    /// All of tests 1, 2, 3, 5, 6, 7 passed: the line is written even without `rawmeasurements`.
    pub synced: bool,
    /// Local poll after adjustment, log2 s.
    pub local_poll: i8,
    /// Poll of the packet, log2 s.
    pub remote_poll: i8,
    /// Poll score after adjustment.
    pub score: f64,
    /// Offset of the sample.
    pub offset: SlowBy,
    /// Peer delay, s.
    pub peer_delay: f64,
    /// Peer dispersion, s.
    pub peer_dispersion: f64,
    /// Root delay of the packet, s.
    pub root_delay: f64,
    /// Root dispersion of the packet, s.
    pub root_dispersion: f64,
    /// Reference ID of the packet.
    pub refid: u32,
    /// NTP mode of the packet.
    pub mode: u8,
    /// The measurement is of interleaved mode.
    pub interleaved: bool,
    /// Where the transmit timestamp came from: `D`, `K` or `H`.
    pub tx_origin: char,
    /// Where the receive timestamp came from: `D`, `K` or `H`.
    pub rx_origin: char,
}

/// `statistics.log`: `spec/files-and-security.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Estimate's time (of the newest sample).
    pub time: Cooked,
    /// The source.
    pub source: Subject,
    /// Standard deviation of the measurements, s.
    pub std_dev: f64,
    /// Estimated offset.
    pub offset: FastBy,
    /// Standard deviation of the offset, s.
    pub offset_sd: f64,
    /// Estimated frequency, s/s, positive: fast.
    pub freq: f64,
    /// Estimated skew, s/s.
    pub skew: f64,
    /// |old frequency - new| / old skew.
    pub stress: f64,
    /// Number of samples.
    pub samples: u32,
    /// Index of the first sample that the regression used.
    pub best_start: u32,
    /// Number of runs of residuals of the same sign.
    pub runs: u32,
    /// Estimated asymmetry, -0.5 to 0.5.
    pub asymmetry: f64,
}

/// `selection.log`: `spec/files-and-security.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Time of the selection.
    pub time: Cooked,
    /// The source.
    pub source: Subject,
    /// State letter.
    pub state: char,
    /// Effective select options: noselect 1, prefer 2, trust 4, require 8.
    pub options: u8,
    /// The source is authenticated.
    pub authenticated: bool,
    /// Reachability register.
    pub reach: u8,
    /// Score.
    pub score: f64,
    /// Seconds since the last sample.
    pub last_sample: f64,
    /// Lower end of the interval of the true offset.
    pub low: FastBy,
    /// Higher end of the interval of the true offset.
    pub high: FastBy,
}

/// `tempcomp.log`: `spec/files-and-security.md` section 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempComp {
    /// When the temperature was read.
    pub time: Cooked,
    /// Temperature, as the sensor gives it.
    pub temperature: f64,
    /// Applied compensation.
    pub compensation: Ppm,
}

/// `refclocks.log`: `spec/refclocks-rtc.md` section A7.
#[derive(Clone, Debug, PartialEq)]
pub struct Refclock {
    /// Time of the sample.
    pub time: Cooked,
    /// The reference clock.
    pub refid: u32,
    /// Leap status, 0 to 3.
    pub leap: u8,
    /// What only a sample of the driver has; the result of the filter has none.
    pub raw: Option<RawRefclock>,
    /// Offset.
    pub offset: SlowBy,
    /// Dispersion, s.
    pub dispersion: f64,
}

/// Of one sample of the driver of a reference clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawRefclock {
    /// Its number in this poll interval.
    pub sequence: u32,
    /// It is a pulse, whose second another source tells.
    pub pps: bool,
    /// Offset as the driver gave it.
    pub offset: SlowBy,
}

/// `rtc.log`: `spec/files-and-security.md` section 4.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtc {
    /// When the real-time clock was read.
    pub time: Cooked,
    /// How fast it was.
    pub fast: FastBy,
    /// The estimates are valid.
    pub valid: bool,
    /// How fast it was by estimate.
    pub estimate: FastBy,
    /// By how much it gains, by estimate.
    pub slope: Ppm,
    /// Number of samples.
    pub samples: u32,
    /// Number of runs of residuals of the same sign.
    pub runs: u32,
    /// Interval between readings, s.
    pub period: u32,
}

/// `tracking.log`: `spec/config.md` section 10.4.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracking {
    /// Time of the update.
    pub time: Cooked,
    /// The selected source.
    pub source: Subject,
    /// Our stratum.
    pub stratum: u8,
    /// Absolute frequency.
    pub frequency: Ppm,
    /// Skew.
    pub skew: Ppm,
    /// Offset as used.
    pub offset: FastBy,
    /// Leap status, 0 to 3.
    pub leap: u8,
    /// Number of combined sources.
    pub combined: u32,
    /// Standard deviation of the offset, s.
    pub offset_sd: f64,
    /// Correction still to be made before this update (cooked - raw), s.
    pub uncorrected: f64,
    /// Root delay, s.
    pub root_delay: f64,
    /// Root dispersion after the update, s.
    pub root_dispersion: f64,
    /// Largest error of the clock since the last update, s.
    pub max_error: f64,
}
