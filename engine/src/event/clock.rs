//! Messages of the clock module, the reference and leap seconds (`spec/config.md` 11.6).

use super::Severity;
use crate::text::Fixed;
use crate::time::{FastBy, SlowBy, utc};
use std::fmt;

/// Why a clock did not do what it was asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// This clock is not under our control (`-x`).
    #[error("clock control is disabled")]
    NotControlled,
    /// The system call failed: its name with arguments as chrony writes it, and the error's number.
    #[error("{call} failed : {error}")]
    Kernel {
        /// For example `adjtimex(0x8001)`.
        call: String,
        /// Text of the error.
        error: String,
    },
}

/// What a special mode did with the offset that it found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Correction {
    /// Stepped it away.
    Step,
    /// Slews it away.
    Slew,
    /// Nothing.
    Ignored,
}

impl Correction {
    const fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Slew => "slew",
            Self::Ignored => "ignored",
        }
    }
}

/// The kernel's leap status as it was set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KernelLeap {
    /// To insert a second.
    Insert,
    /// To delete a second.
    Delete,
    /// Nothing any more, after the kernel has done it.
    ResetAfter,
    /// Nothing any more, without a leap second.
    Cleared,
}

/// Messages of the clock module, the reference and leap seconds. Offsets print as the amount by which the
/// clock has to be moved: positive is forward.
#[derive(Clone, Debug, PartialEq)]
pub enum ClockEvent {
    /// The drift file was read: frequency and skew, ppm.
    DriftRead {
        /// Frequency, ppm.
        frequency: f64,
        /// Skew, ppm.
        skew: f64,
        /// Name of the file.
        file: String,
    },
    /// The drift file has no two numbers.
    DriftInvalid(String),
    /// Frequency (ppm) found in the kernel.
    InitialFrequency(f64),
    /// An update beyond `logchange`.
    WrongBy(FastBy),
    /// The clock was stepped: fast by this before.
    Stepped(FastBy),
    /// A step was refused.
    NotStepped,
    /// An offset beyond `maxchange`.
    ExceedsMaxChange {
        /// Offset of the update.
        offset: FastBy,
        /// Largest accepted, s.
        max: f64,
        /// The daemon ends because of it.
        exiting: bool,
    },
    /// A frequency (ppm) beyond `maxdrift`.
    FrequencyTooLarge(f64),
    /// An adjustment (s, as given) that would leave the range of valid times.
    InvalidAdjustment(f64),
    /// `initstepslew` found this.
    InitialOffset(FastBy, Correction),
    /// `initstepslew` found nothing.
    NoInitSource,
    /// `-q` or `-Q` found this.
    OnceWrongBy(FastBy, Correction),
    /// `-q` or `-Q` found nothing.
    NoOnceSource,
    /// `leapsecmode slew`, at the leap second.
    LeapSlew,
    /// `leapsecmode step`, at the leap second.
    LeapStep,
    /// `leapsecmode ignore`, at the leap second.
    LeapIgnored,
    /// The kernel's leap status changed.
    KernelLeap(KernelLeap),
    /// The kernel's TAI - UTC (s) changed.
    TaiOffset(i32),
    /// Somebody else changed the kernel's frequency or PLL.
    Interference,
    /// The kernel refused something that must work.
    Kernel(ClockError),
    /// `-x` or `-Q`.
    ControlDisabled,
    /// The NTP timestamps of this build mean times until this Unix second, which is not far away.
    NtpTimeEnds(i64),
    /// Command `maxupdateskew`, ppm.
    NewMaxUpdateSkew(f64),
    /// Command `makestep` with arguments: threshold (s) and limit.
    NewMakeStep(f64, i32),
    /// Command `local`.
    LocalEnabled,
    /// Command `local off`.
    LocalDisabled,
    /// Command `dfreq`, ppm.
    AddedFrequency(f64),
    /// Command `doffset`, s.
    AddedOffset(f64),
    /// Command `settime` with a frequency change (ppm) and an offset.
    ManualFrequency(f64, FastBy),
    /// Command `settime` with an offset only.
    ManualSlew(FastBy),
    /// Smoothing starts; true: leap seconds only.
    SmoothingActivated(bool),
    /// Smoothing starts anew from zero.
    SmoothingReset,
    /// The clock jumped; true: forward.
    Jump(bool),
    /// `leapseclist` passed its check.
    LeapListUsed(String),
    /// `leapseclist` did not pass its check.
    LeapListFailed(String),
    /// `leapseclist` cannot be read.
    LeapListNotOpened(String),
    /// `leapseclist` is not a list of leap seconds.
    LeapListNotParsed(String),
    /// `leapseclist` has expired.
    LeapListExpired(String),
    /// `leapsectz` passed its check.
    LeapZoneUsed(String),
    /// `leapsectz` did not pass its check.
    LeapZoneFailed(String),
    /// The file of the temperature sensor cannot be read.
    NoTemperature(String),
    /// A compensation (ppm) that is too large: value and limit.
    CompensationTooLarge(f64, f64),
    /// A line of the file of compensation points is not two numbers.
    BadCompensationPoint(String),
    /// The file of compensation points has fewer than two.
    FewCompensationPoints(String),
}

impl ClockEvent {
    /// How serious it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::DriftRead { .. }
            | Self::InitialFrequency(_)
            | Self::InitialOffset(..)
            | Self::OnceWrongBy(..)
            | Self::KernelLeap(_)
            | Self::TaiOffset(_)
            | Self::ControlDisabled
            | Self::NewMaxUpdateSkew(_)
            | Self::NewMakeStep(..)
            | Self::LocalEnabled
            | Self::LocalDisabled
            | Self::AddedFrequency(_)
            | Self::AddedOffset(_)
            | Self::ManualFrequency(..)
            | Self::ManualSlew(_)
            | Self::SmoothingActivated(_)
            | Self::SmoothingReset
            | Self::LeapListUsed(_)
            | Self::LeapZoneUsed(_) => Severity::Info,
            Self::DriftInvalid(_)
            | Self::NtpTimeEnds(_)
            | Self::WrongBy(_)
            | Self::Stepped(_)
            | Self::ExceedsMaxChange { .. }
            | Self::FrequencyTooLarge(_)
            | Self::InvalidAdjustment(_)
            | Self::NoInitSource
            | Self::NoOnceSource
            | Self::LeapSlew
            | Self::LeapStep
            | Self::LeapIgnored
            | Self::Interference
            | Self::Jump(_)
            | Self::LeapListFailed(_)
            | Self::LeapListExpired(_)
            | Self::LeapZoneFailed(_)
            | Self::NoTemperature(_)
            | Self::CompensationTooLarge(..) => Severity::Warning,
            Self::NotStepped | Self::LeapListNotOpened(_) | Self::LeapListNotParsed(_) => Severity::Error,
            Self::Kernel(_) | Self::BadCompensationPoint(_) | Self::FewCompensationPoints(_) => {
                Severity::Fatal
            }
        }
    }
}

/// The amount by which a clock that is fast by `offset` has to be moved.
fn forward(offset: FastBy) -> f64 {
    SlowBy::from(offset).0
}

impl fmt::Display for ClockEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriftRead {
                frequency,
                skew,
                file,
            } => {
                write!(f, "Frequency {frequency:.3} +/- {skew:.3} ppm read from {file}")
            }
            Self::DriftInvalid(file) => {
                write!(f, "Could not read valid frequency and skew from driftfile {file}")
            }
            Self::InitialFrequency(ppm) => write!(f, "Initial frequency {ppm:.3} ppm"),
            Self::WrongBy(by) => write!(f, "System clock wrong by {:.6} seconds", forward(*by)),
            Self::Stepped(by) => write!(f, "System clock was stepped by {:.6} seconds", forward(*by)),
            Self::NotStepped => f.write_str("Could not step system clock"),
            Self::ExceedsMaxChange { offset, max, exiting } => {
                let end = if *exiting { "exiting" } else { "ignored" };
                write!(
                    f,
                    "Adjustment of {:.3} seconds exceeds the allowed maximum of {max:.3} seconds ({end}) ",
                    forward(*offset)
                )
            }
            Self::FrequencyTooLarge(ppm) => write!(f, "Frequency {ppm:.1} ppm exceeds allowed maximum"),
            Self::InvalidAdjustment(s) => write!(f, "Adjustment of {s:.1} seconds is invalid"),
            Self::InitialOffset(by, how) => {
                let direction = if by.0 >= 0.0 { "fast" } else { "slow" };
                let (by, how) = (by.0.abs(), how.word());
                write!(
                    f,
                    "System's initial offset : {by:.6} seconds {direction} of true ({how})"
                )
            }
            Self::NoInitSource => f.write_str("No suitable source for initstepslew"),
            Self::OnceWrongBy(by, how) => {
                write!(
                    f,
                    "System clock wrong by {:.6} seconds ({})",
                    forward(*by),
                    how.word()
                )
            }
            Self::NoOnceSource => f.write_str("No suitable source for synchronisation"),
            Self::LeapSlew => f.write_str("Adjusting system clock for leap second"),
            Self::LeapStep => f.write_str("System clock was stepped for leap second"),
            Self::LeapIgnored => f.write_str("Ignoring leap second"),
            Self::KernelLeap(leap) => {
                let what = match leap {
                    KernelLeap::Insert => "set to insert",
                    KernelLeap::Delete => "set to delete",
                    KernelLeap::ResetAfter => "reset after",
                    KernelLeap::Cleared => "set to not insert/delete",
                };
                write!(f, "System clock status {what} leap second")
            }
            Self::TaiOffset(s) => write!(f, "System clock TAI offset set to {s} seconds"),
            Self::Interference => f.write_str("System clock interference detected (another NTP client?)"),
            Self::Kernel(error) => error.fmt(f),
            Self::ControlDisabled => f.write_str("Disabled control of system clock"),
            Self::NtpTimeEnds(second) => write!(f, "Assumed NTP time ends at {}!", utc(*second)),
            Self::NewMaxUpdateSkew(ppm) => write!(f, "New maxupdateskew {ppm:.6} ppm"),
            Self::NewMakeStep(threshold, limit) => write!(f, "New makestep {threshold:.6} {limit}"),
            Self::LocalEnabled => f.write_str("Enabled local reference mode"),
            Self::LocalDisabled => f.write_str("Disabled local reference mode"),
            Self::AddedFrequency(ppm) => write!(f, "Accumulated delta freq of {ppm:.3}ppm"),
            Self::AddedOffset(s) => write!(f, "Accumulated delta offset of {s:.6} seconds"),
            Self::ManualFrequency(ppm, by) => {
                write!(
                    f,
                    "Making a frequency change of {ppm:.3} ppm and a slew of {:.6}",
                    by.0
                )
            }
            Self::ManualSlew(by) => write!(f, "Making a slew of {:.6}", by.0),
            Self::SmoothingActivated(leap_only) => {
                let end = if *leap_only { " (leap seconds only)" } else { "" };
                write!(f, "Activated time smoothing{end}")
            }
            Self::SmoothingReset => f.write_str("Reset time smoothing"),
            Self::Jump(forward) => {
                let direction = if *forward { "Forward" } else { "Backward" };
                write!(f, "{direction} time jump detected!")
            }
            Self::LeapListUsed(file) => write!(f, "Using leap second list {file}"),
            Self::LeapListFailed(file) => write!(f, "Leap second list {file} failed check, ignoring"),
            Self::LeapListNotOpened(file) => write!(f, "Failed to open leap seconds list {file}"),
            Self::LeapListNotParsed(file) => write!(f, "Failed to parse leap seconds list {file}"),
            Self::LeapListExpired(file) => write!(f, "Leap second list {file} needs update"),
            Self::LeapZoneUsed(zone) => write!(f, "Using {zone} timezone to obtain leap second data"),
            Self::LeapZoneFailed(zone) => {
                write!(f, "Timezone {zone} failed leap second check, ignoring")
            }
            Self::NoTemperature(file) => write!(f, "Could not read temperature from {file}"),
            Self::CompensationTooLarge(ppm, limit) => {
                let ppm = Fixed(*ppm, 3);
                write!(
                    f,
                    "Temperature compensation of {ppm} ppm exceeds sanity limit of {limit:.1}"
                )
            }
            Self::BadCompensationPoint(file) => write!(f, "Could not read tempcomp point from {file}"),
            Self::FewCompensationPoints(file) => write!(f, "Not enough points in {file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_print_as_the_needed_move() {
        let texts = [
            (
                ClockEvent::WrongBy(FastBy(1.5)),
                "System clock wrong by -1.500000 seconds",
            ),
            (
                ClockEvent::Stepped(FastBy(-2.0)),
                "System clock was stepped by 2.000000 seconds",
            ),
            (
                ClockEvent::ExceedsMaxChange {
                    offset: FastBy(-3.0),
                    max: 1.0,
                    exiting: false,
                },
                "Adjustment of 3.000 seconds exceeds the allowed maximum of 1.000 seconds (ignored) ",
            ),
            (
                ClockEvent::InitialOffset(FastBy(-0.25), Correction::Slew),
                "System's initial offset : 0.250000 seconds slow of true (slew)",
            ),
            (
                ClockEvent::OnceWrongBy(FastBy(-0.25), Correction::Ignored),
                "System clock wrong by 0.250000 seconds (ignored)",
            ),
            (
                ClockEvent::KernelLeap(KernelLeap::Cleared),
                "System clock status set to not insert/delete leap second",
            ),
        ];
        for (event, text) in texts {
            assert_eq!(event.to_string(), text);
        }
    }

    #[test]
    fn severities_follow_the_catalogue() {
        assert_eq!(ClockEvent::WrongBy(FastBy(0.0)).severity(), Severity::Warning);
        assert_eq!(ClockEvent::NotStepped.severity(), Severity::Error);
        assert_eq!(ClockEvent::AddedOffset(0.0).severity(), Severity::Info);
        assert_eq!(
            ClockEvent::Kernel(ClockError::NotControlled).severity(),
            Severity::Fatal
        );
    }
}
