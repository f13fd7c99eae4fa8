//! The system clock, leap seconds, temperature, real-time clock (`spec/config.md` sections 5.3, 5.9).

/// `leapsecmode`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LeapMode {
    /// The kernel does it.
    #[default]
    System,
    /// We step.
    Step,
    /// We slew.
    Slew,
    /// The clock is corrected afterwards as after any other error.
    Ignore,
}

/// `makestep`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeStep {
    /// Threshold, s.
    pub threshold: f64,
    /// Number of updates; negative: always; 0: never.
    pub limit: i32,
}

/// `maxchange`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxChange {
    /// Largest accepted offset, s.
    pub offset: f64,
    /// Updates before the check starts.
    pub start: i32,
    /// Updates to be ignored before the daemon ends; negative: for ever.
    pub ignore: i32,
}

/// `fallbackdrift`: log2 s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FallbackDrift {
    /// Shortest window.
    pub min: i32,
    /// Longest window.
    pub max: i32,
}

/// `smoothtime`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothTime {
    /// Largest frequency, ppm.
    pub max_freq: f64,
    /// Largest wander, ppm/s.
    pub max_wander: f64,
    /// Leap seconds only.
    pub leap_only: bool,
}

/// `tempcomp`
#[derive(Clone, Debug, PartialEq)]
pub enum TempComp {
    /// `FILE INTERVAL T0 k0 k1 k2`
    Polynomial {
        /// Sensor file.
        file: String,
        /// Interval, s.
        interval: f64,
        /// Reference temperature.
        t0: f64,
        /// Coefficients, ppm.
        k: [f64; 3],
    },
    /// `FILE INTERVAL POINTS`
    Points {
        /// Sensor file.
        file: String,
        /// Interval, s.
        interval: f64,
        /// File of points.
        points: String,
    },
}

impl TempComp {
    /// Sensor file.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Polynomial { file, .. } | Self::Points { file, .. } => file,
        }
    }

    /// Time between readings, s; at least a hundredth, so that there is time for something else.
    #[must_use]
    pub fn interval(&self) -> f64 {
        let (Self::Polynomial { interval, .. } | Self::Points { interval, .. }) = *self;
        // Not a number is no interval either.
        if interval > 0.0 { interval.max(0.01) } else { 1.0 }
    }

    /// File of points, if there is one.
    #[must_use]
    pub fn points(&self) -> Option<&str> {
        match self {
            Self::Points { points, .. } => Some(points),
            Self::Polynomial { .. } => None,
        }
    }
}

/// `mailonchange`
#[derive(Clone, Debug, PartialEq)]
pub struct MailOnChange {
    /// Recipient.
    pub user: String,
    /// Threshold, s.
    pub threshold: f64,
}

/// Parameters of the clock and of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockConfig {
    /// `clockprecision`, s; 0 or less: measure.
    pub precision: f64,
    /// `corrtimeratio`
    pub corr_time_ratio: f64,
    /// `maxclockerror`, ppm.
    pub max_clock_error: f64,
    /// `maxdrift`, ppm.
    pub max_drift: f64,
    /// `maxslewrate`, ppm.
    pub max_slew_rate: f64,
    /// `maxupdateskew`, ppm.
    pub max_update_skew: f64,
    /// `makestep`
    pub make_step: Option<MakeStep>,
    /// `maxchange`
    pub max_change: Option<MaxChange>,
    /// `fallbackdrift`
    pub fallback_drift: Option<FallbackDrift>,
    /// `leapsecmode`
    pub leap_mode: LeapMode,
    /// `leapsectz`
    pub leap_tz: Option<String>,
    /// `leapseclist`
    pub leap_list: Option<String>,
    /// `logchange`, s.
    pub log_change: f64,
    /// `mailonchange`
    pub mail_on_change: Option<MailOnChange>,
    /// `manual`
    pub manual: bool,
    /// `smoothtime`
    pub smooth_time: Option<SmoothTime>,
    /// `tempcomp`
    pub temp_comp: Option<TempComp>,
    /// `rtcsync`
    pub rtc_sync: bool,
    /// `rtcfile`
    pub rtc_file: Option<String>,
    /// `rtcdevice`
    pub rtc_device: String,
    /// `rtcautotrim`, s; 0: off.
    pub rtc_auto_trim: f64,
    /// `rtconutc`
    pub rtc_on_utc: bool,
    /// `hwclockfile`
    pub hwclock_file: Option<String>,
}

impl Default for ClockConfig {
    fn default() -> Self {
        Self {
            precision: 0.0,
            corr_time_ratio: 3.0,
            max_clock_error: 1.0,
            max_drift: 100_000.0,
            max_slew_rate: 1e6 / 12.0,
            max_update_skew: 1000.0,
            make_step: None,
            max_change: None,
            fallback_drift: None,
            leap_mode: LeapMode::System,
            leap_tz: None,
            leap_list: None,
            log_change: 1.0,
            mail_on_change: None,
            manual: false,
            smooth_time: None,
            temp_comp: None,
            rtc_sync: false,
            rtc_file: None,
            rtc_device: "/dev/rtc".to_owned(),
            rtc_auto_trim: 0.0,
            rtc_on_utc: false,
            hwclock_file: None,
        }
    }
}
