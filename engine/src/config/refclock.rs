//! `refclock` (`spec/config.md` section 5.2.4).

use super::source::SelectOptions;

/// One line `refclock`, values as given.
#[derive(Clone, Debug, PartialEq)]
pub struct RefclockConfig {
    /// `SHM`, `SOCK`, `PPS`, `PHC`, `RTC` or anything else.
    pub driver: String,
    /// Parameter with driver options, as written.
    pub parameter: String,
    /// `poll`, log2 s.
    pub poll: i32,
    /// `dpoll`, log2 s.
    pub driver_poll: i32,
    /// `refid`; 0: made from the driver's name.
    pub refid: u32,
    /// `lock`; 0: none.
    pub lock: u32,
    /// `rate`; 0: 1.
    pub rate: i32,
    /// `maxlockage`, pulses.
    pub max_lock_age: i32,
    /// `width`, s.
    pub width: f64,
    /// `pps`
    pub pps: bool,
    /// `offset`, s.
    pub offset: f64,
    /// `delay`, s.
    pub delay: f64,
    /// `stratum`
    pub stratum: u8,
    /// `precision`, s.
    pub precision: f64,
    /// `maxdispersion`, s.
    pub max_dispersion: f64,
    /// `filter`
    pub filter: i32,
    /// Selection.
    pub select: SelectOptions,
    /// `tai`
    pub tai: bool,
    /// `local`
    pub local: bool,
    /// `minsamples`; -1 is the global setting.
    pub min_samples: i32,
    /// `maxsamples`; -1 is the global setting.
    pub max_samples: i32,
    /// `maxunreach`
    pub max_unreach: i32,
    /// `optional`
    pub optional: bool,
}

impl RefclockConfig {
    /// A reference clock with the default options.
    #[must_use]
    pub fn new(driver: &str, parameter: &str) -> Self {
        Self {
            driver: driver.to_owned(),
            parameter: parameter.to_owned(),
            poll: 4,
            driver_poll: 0,
            refid: 0,
            lock: 0,
            rate: 0,
            max_lock_age: 2,
            width: 0.0,
            pps: false,
            offset: 0.0,
            delay: 1e-9,
            stratum: 0,
            precision: 0.0,
            max_dispersion: 0.0,
            filter: 64,
            select: SelectOptions::default(),
            tai: false,
            local: false,
            min_samples: -1,
            max_samples: -1,
            max_unreach: 100_000,
            optional: false,
        }
    }
}
