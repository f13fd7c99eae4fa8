//! What the engine asks of a clock, and what it tells about changes. The kernel, no clock at all (`-x`) and
//! the simulator are behind the same trait.

pub use crate::event::clock::ClockError;
use crate::time::{Cooked, FastBy, Now, Ppm, Raw};

/// A clock that can be disciplined. Calls are synchronous: what was really set, and when, enters the same
/// calculation.
pub trait Clock {
    /// What the clock can do. Constant.
    fn limits(&self) -> Limits;
    /// Reads both clocks, as close together as possible.
    fn now(&mut self) -> Now;
    /// The frequency in force; positive: the uncorrected clock runs fast.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn frequency(&mut self) -> Result<Ppm, ClockError>;
    /// Makes up for a clock that runs fast by `wanted`. Returns the value really set (`spec/sync.md` 6.5)
    /// and the raw time right after it.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError>;
    /// Moves the clock back by `by` at once.
    ///
    /// # Errors
    /// The kernel's refusal; the clock is then unchanged.
    fn step(&mut self, by: FastBy) -> Result<(), ClockError>;
    /// Tells the kernel about synchronisation and leap seconds.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError>;
}

/// What a clock can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The clock can be changed. If not (`-x`), corrections exist in cooked time only (`spec/sync.md` 6.11).
    pub control: bool,
    /// The kernel inserts and deletes leap seconds itself when told to.
    pub leap: bool,
    /// Largest frequency, either sign, ppm (100 000 on Linux).
    pub max_frequency: Ppm,
    /// Longest time (s) until a new frequency takes effect (`D` of `spec/sync.md` 6.3).
    pub max_delay: f64,
    /// Precision of the clock (s), measured at start (`spec/sync.md` 6.8).
    pub precision: f64,
}

/// What the kernel is told with `adjtimex` (`spec/sync.md` 6.6 and 6.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelStatus {
    /// Clear `STA_UNSYNC`.
    pub synchronised: bool,
    /// Estimated error, s.
    pub est_error: f64,
    /// Maximum error, s.
    pub max_error: f64,
    /// Leap second at the end of the day: 1 insert, -1 delete, 0 none.
    pub leap: i8,
    /// TAI - UTC in s, if known and to be set.
    pub tai: Option<i32>,
}

/// How a clock came to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// New frequency or a slew.
    Adjust,
    /// Our own step, or a leap second.
    Step,
    /// Somebody else stepped the clock: nothing stored is comparable any more.
    UnknownStep,
}

/// One change of the clock, announced once to all who keep cooked times (`spec/sync.md` section 10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// When, before the change.
    pub raw: Raw,
    /// When, before the change.
    pub cooked: Cooked,
    /// Change of frequency, dimensionless; a measured excess that was removed.
    pub dfreq: f64,
    /// Change of phase; the clock was fast by this and was moved back.
    pub by: FastBy,
    /// How.
    pub kind: ChangeKind,
}
