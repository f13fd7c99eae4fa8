//! Instants, intervals, frequencies and NTP timestamps as types that cannot be mixed up.

mod instant;
mod ntp;
mod units;
mod utc;

pub use instant::{Cooked, Mono, Now, PhcReading, PhcTime, Raw};
pub use ntp::{Era, NtpTimestamp, fuzz};
pub use units::{FastBy, Ppm, SlowBy, pow2};
pub use utc::{Utc, days_since_1970, utc};
