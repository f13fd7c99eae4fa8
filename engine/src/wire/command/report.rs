//! What replies report. Times are in seconds, frequencies in ppm; signs are at the fields. A number that came
//! over the wire has 25 bits.

use super::Address;
use super::field::{Field, Reader, layout, numbers};
use crate::time::Cooked;

layout! {
    /// `tracking`: the reference and the clock (section 5, TRACKING; 6.6).
    pub struct TrackingReport {
        /// Reference ID; 0 when unsynchronised.
        pub ref_id: u32,
        /// Current source; unspecified for reference clock, local mode, manual mode, or none.
        pub address: Address,
        /// Stratum; 0 when unsynchronised.
        pub stratum: u16,
        /// 0 normal, 1 insert, 2 delete, 3 unsynchronised.
        pub leap: u16,
        /// When the reference was last updated.
        pub ref_time: Cooked,
        /// What is still to be slewed, s; positive: the system clock is slow of NTP time.
        pub correction: f64,
        /// Estimated offset at the last update, s; positive: the clock was ahead.
        pub last_offset: f64,
        /// Long-term root mean square of the offset, s.
        pub rms_offset: f64,
        /// Error rate of the uncorrected clock, ppm; positive: fast.
        pub frequency: f64,
        /// Residual frequency of the reference, ppm.
        pub residual_frequency: f64,
        /// Error bound of the frequency, ppm.
        pub skew: f64,
        /// Root delay, s.
        pub root_delay: f64,
        /// Root dispersion now, s.
        pub root_dispersion: f64,
        /// Between the last two updates, s.
        pub update_interval: f64,
    }
}

numbers! {
    /// What became of a source in the last selection, as `sources` shows it.
    pub enum SourceState: u16 {
        /// `*`
        Selected = 0,
        /// `?`
        Nonselectable = 1,
        /// `x`
        Falseticker = 2,
        /// `~`
        Jittery = 3,
        /// `+`, combined with the selected one.
        Combined = 4,
        /// `-`
        Selectable = 5,
    }
}

numbers! {
    /// Kind of a source.
    pub enum SourceMode: u16 {
        /// `^`
        Client = 0,
        /// `=`
        Peer = 1,
        /// `#`
        RefClock = 2,
    }
}

layout! {
    /// `sources`: one source (SOURCE_DATA).
    pub struct SourceReport {
        /// Address; of a reference clock [`Address::of_refclock`].
        pub address: Address,
        /// Current polling interval, log2 s.
        pub poll: i16,
        /// Stratum of the last sample; 0 without samples.
        pub stratum: u16,
        /// State.
        pub state: SourceState,
        /// Kind.
        pub mode: SourceMode,
        /// 0.
        pub flags: u16,
        /// Reachability register, 8 bits.
        pub reach: u16,
        /// Age of the last sample, whole s.
        pub last_sample: Option<u32>,
        /// Offset of the last sample as measured, s; positive: the local clock is ahead.
        pub measured_offset: f64,
        /// The same, adjusted for later corrections of the clock.
        pub adjusted_offset: f64,
        /// Root distance of the last sample, s.
        pub error: f64,
    }
}

layout! {
    /// `sourcestats`: one source (SOURCESTATS).
    pub struct SourceStatsReport {
        /// Reference ID; of an NTP source [`Address::ref_id`].
        pub ref_id: u32,
        /// Unspecified for a reference clock.
        pub address: Address,
        /// Samples.
        pub samples: u32,
        /// Runs of residuals of the same sign.
        pub runs: u32,
        /// First to last sample, whole s, rounded.
        pub span: u32,
        /// Standard deviation of the samples, s.
        pub std_dev: f64,
        /// Residual frequency, ppm; positive: fast.
        pub frequency: f64,
        /// Error bound of the frequency, ppm.
        pub skew: f64,
        /// Estimated offset now, s; positive: the local clock is ahead.
        pub offset: f64,
        /// Error bound of the offset, s.
        pub offset_error: f64,
    }
}

layout! {
    /// `rtcdata` (RTC).
    pub struct RtcReport {
        /// When the RTC was last read.
        pub ref_time: Cooked,
        /// Samples.
        pub samples: u16,
        /// Runs of residuals of the same sign.
        pub runs: u16,
        /// First to last sample, s.
        pub span: u32,
        /// The RTC is fast by this, s.
        pub offset: f64,
        /// The RTC gains, ppm.
        pub frequency: f64,
    }
}

layout! {
    /// `activity`: numbers of NTP sources.
    pub struct ActivityReport {
        /// Online.
        pub online: u32,
        /// Offline.
        pub offline: u32,
        /// In a burst, then online.
        pub burst_online: u32,
        /// In a burst, then offline.
        pub burst_offline: u32,
        /// Without an address.
        pub unresolved: u32,
    }
}

/// `smoothing`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothingReport {
    /// Smoothing is active.
    pub active: bool,
    /// `leaponly`
    pub leap_only: bool,
    /// Between served and own time, s.
    pub offset: f64,
    /// ppm.
    pub frequency: f64,
    /// ppm/s.
    pub wander: f64,
    /// Time since the last update, s.
    pub last_update: f64,
    /// Time until the offset is zero, s.
    pub remaining: f64,
}

impl Field for SmoothingReport {
    fn get(r: &mut Reader<'_>) -> Self {
        let flags: u32 = r.get();
        Self {
            active: flags & 1 != 0,
            leap_only: flags & 2 != 0,
            offset: r.get(),
            frequency: r.get(),
            wander: r.get(),
            last_update: r.get(),
            remaining: r.get(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        (u32::from(self.active) | u32::from(self.leap_only) << 1).put(out);
        self.offset.put(out);
        self.frequency.put(out);
        self.wander.put(out);
        self.last_update.put(out);
        self.remaining.put(out);
    }
}

layout! {
    /// `settime` (MANUAL_TIMESTAMP2).
    pub struct SetTimeReport {
        /// The clock was fast by this, s.
        pub offset: f64,
        /// Change of the frequency, ppm.
        pub frequency_change: f64,
        /// Frequency now, ppm.
        pub frequency: f64,
    }
}

layout! {
    /// `manual list`: one sample.
    pub struct ManualSample {
        /// When.
        pub when: Cooked,
        /// Offset with later corrections, s; positive: the clock was fast.
        pub slewed: f64,
        /// Offset as entered, s.
        pub original: f64,
        /// Residual of the regression, s.
        pub residual: f64,
    }
}

/// `sourcename`: the configured name, at most 256 bytes. With 256 the end is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceName(Vec<u8>);

impl SourceName {
    /// Bytes on the wire.
    const SIZE: usize = 256;

    /// The name, cut off where the wire cuts it off.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.bytes().take(Self::SIZE).take_while(|c| *c != 0).collect())
    }

    /// The name, if all of it is there and printable ASCII.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let complete = self.0.len() < Self::SIZE && self.0.iter().all(u8::is_ascii_graphic);
        std::str::from_utf8(&self.0).ok().filter(|_| complete)
    }
}

impl Field for SourceName {
    fn get(r: &mut Reader<'_>) -> Self {
        Self(
            r.array::<{ Self::SIZE }>()
                .into_iter()
                .take_while(|c| *c != 0)
                .collect(),
        )
    }

    fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + Self::SIZE;
        out.extend_from_slice(&self.0);
        out.resize(end, 0);
    }
}

numbers! {
    /// How a source is authenticated.
    pub enum AuthMode: u16 {
        /// Not at all.
        None = 0,
        /// Symmetric key.
        Symmetric = 1,
        /// Network Time Security.
        Nts = 2,
    }
}

layout! {
    /// `authdata`: one source (AUTH_DATA).
    pub struct AuthReport {
        /// Mechanism; with none, all is zero but `last_ke`, which is `None`.
        pub mode: AuthMode,
        /// Type of the key or algorithm (section 5); 0 unknown.
        pub key_type: u16,
        /// Key ID; with NTS the number of key establishments so far.
        pub key_id: u32,
        /// Length of the key, bits.
        pub key_length: u16,
        /// Attempts of key establishment since the last success.
        pub ke_attempts: u16,
        /// Time since the last key establishment, s.
        pub last_ke: Option<u32>,
        /// Cookies held.
        pub cookies: u16,
        /// Length of the next cookie, octets.
        pub cookie_length: u16,
        /// 1 after an NTS NAK.
        pub nak: u16,
    }
}

layout! {
    /// `clients`: one client.
    pub struct ClientRecord {
        /// Who; a client skips unspecified ones.
        pub address: Address,
        /// NTP requests.
        pub ntp_hits: u32,
        /// NTS-KE connections.
        pub nke_hits: u32,
        /// Commands.
        pub cmd_hits: u32,
        /// NTP requests without reply because of the rate limit.
        pub ntp_drops: u32,
        /// NTS-KE connections refused because of the rate limit.
        pub nke_drops: u32,
        /// Commands without reply because of the rate limit.
        pub cmd_drops: u32,
        /// Average interval of NTP requests, log2 s.
        pub ntp_interval: Option<i8>,
        /// Average interval of NTS-KE connections, log2 s.
        pub nke_interval: Option<i8>,
        /// Average interval of commands, log2 s.
        pub cmd_interval: Option<i8>,
        /// Average interval of NTP requests after one without reply, log2 s.
        pub ntp_timeout_interval: Option<i8>,
        /// Time since the last NTP request, s.
        pub last_ntp: Option<u32>,
        /// Time since the last NTS-KE connection, s.
        pub last_nke: Option<u32>,
        /// Time since the last command, s.
        pub last_cmd: Option<u32>,
    }
}

/// `clients`: a part of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientsReport {
    /// Size of the table, with its empty slots.
    pub indices: u32,
    /// First slot that was not looked at.
    pub next: u32,
    /// At most [`super::MAX_CLIENTS`].
    pub clients: Vec<ClientRecord>,
}

layout! {
    /// `serverstats`: counts since the start (SERVER_STATS4).
    pub struct ServerStatsReport {
        /// NTP requests.
        pub ntp_hits: u64,
        /// NTS-KE connections.
        pub nke_hits: u64,
        /// Commands.
        pub cmd_hits: u64,
        /// NTP requests dropped.
        pub ntp_drops: u64,
        /// NTS-KE connections dropped.
        pub nke_drops: u64,
        /// Commands dropped.
        pub cmd_drops: u64,
        /// Client records dropped for lack of memory.
        pub log_drops: u64,
        /// Authenticated NTP requests.
        pub ntp_auth_hits: u64,
        /// Interleaved NTP requests.
        pub ntp_interleaved_hits: u64,
        /// Timestamps held for interleaved mode, now.
        pub ntp_timestamps: u64,
        /// Interval that they cover, s.
        pub ntp_span: u64,
        /// Receive timestamps by the daemon.
        pub daemon_rx: u64,
        /// Transmit timestamps by the daemon.
        pub daemon_tx: u64,
        /// Receive timestamps by the kernel.
        pub kernel_rx: u64,
        /// Transmit timestamps by the kernel.
        pub kernel_tx: u64,
        /// Receive timestamps by hardware.
        pub hardware_rx: u64,
        /// Transmit timestamps by hardware.
        pub hardware_tx: u64,
    }
}

layout! {
    /// `ntpdata`: one source (NTP_DATA2). Most fields are of the last valid response; before the first one
    /// they are zero.
    pub struct NtpDataReport {
        /// The source.
        pub remote: Address,
        /// Our address; unspecified before the first valid response.
        pub local: Address,
        /// The source's port.
        pub remote_port: u16,
        /// Leap.
        pub leap: u8,
        /// NTP version.
        pub version: u8,
        /// NTP mode.
        pub mode: u8,
        /// Stratum.
        pub stratum: u8,
        /// Poll of the packet, log2 s.
        pub poll: i8,
        /// Precision, log2 s.
        pub precision: i8,
        /// Root delay, s.
        pub root_delay: f64,
        /// Root dispersion, s.
        pub root_dispersion: f64,
        /// Reference ID.
        pub ref_id: u32,
        /// Reference time.
        pub ref_time: Cooked,
        /// Offset, s; positive: the local clock is *behind* (the opposite of [`SourceReport`]).
        pub offset: f64,
        /// Peer delay, s.
        pub peer_delay: f64,
        /// Peer dispersion, s.
        pub peer_dispersion: f64,
        /// Response time of the server, s.
        pub response_time: f64,
        /// Jitter asymmetry, -0.5 to 0.5.
        pub jitter_asymmetry: f64,
        /// Tests 1 2 3 5 6 7 A B C D (0x200 to 0x1; set: passed), [`Self::INTERLEAVED`], [`Self::AUTHENTICATED`].
        pub flags: u16,
        /// `D`, `K`, `H`; 0 before the first response.
        pub tx_origin: u8,
        /// `D`, `K`, `H`; 0 before the first response.
        pub rx_origin: u8,
        /// Packets sent.
        pub total_tx: u32,
        /// Packets received.
        pub total_rx: u32,
        /// Of these, valid.
        pub total_valid: u32,
        /// Of these, good.
        pub total_good: u32,
        /// Kernel transmit timestamps.
        pub kernel_tx: u32,
        /// Kernel receive timestamps.
        pub kernel_rx: u32,
        /// Hardware transmit timestamps.
        pub hardware_tx: u32,
        /// Hardware receive timestamps.
        pub hardware_rx: u32,
    }
}

impl NtpDataReport {
    /// Bit of `flags`.
    pub const INTERLEAVED: u16 = 0x4000;
    /// Bit of `flags`.
    pub const AUTHENTICATED: u16 = 0x8000;
}

/// `selectdata`: one source (SELECT_DATA).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectReport {
    /// Reference ID; of an NTP source [`Address::ref_id`].
    pub ref_id: u32,
    /// Unspecified for a reference clock.
    pub address: Address,
    /// State letter, ASCII.
    pub state: u8,
    /// Authentication is enabled.
    pub authenticated: bool,
    /// Leap, 0 to 3.
    pub leap: u8,
    /// Options as configured (numbering of [`super::SelectBits`]).
    pub configured: u16,
    /// Options in force.
    pub effective: u16,
    /// Age of the last sample at the last selection, s.
    pub last_sample: Option<u32>,
    /// Score against the selected source.
    pub score: f64,
    /// Lower limit of the offset, s; positive: the local clock is ahead.
    pub low: f64,
    /// Upper limit of the offset, s.
    pub high: f64,
}

impl Field for SelectReport {
    fn get(r: &mut Reader<'_>) -> Self {
        let (ref_id, address, state) = (r.get(), r.get(), r.get());
        let (authenticated, leap, _) = (r.get::<u8>() != 0, r.get(), r.get::<u8>());
        Self {
            ref_id,
            address,
            state,
            authenticated,
            leap,
            configured: r.get(),
            effective: r.get(),
            last_sample: r.get(),
            score: r.get(),
            low: r.get(),
            high: r.get(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.ref_id.put(out);
        self.address.put(out);
        out.extend_from_slice(&[self.state, u8::from(self.authenticated), self.leap, 0]);
        self.configured.put(out);
        self.effective.put(out);
        self.last_sample.put(out);
        self.score.put(out);
        self.low.put(out);
        self.high.put(out);
    }
}
