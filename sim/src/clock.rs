//! A simulated kernel clock on top of an oscillator.

use crate::oscillator::Oscillator;
use truechimer_engine::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
use truechimer_engine::time::{FastBy, Mono, Now, Ppm, Raw};

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;
/// Resolution of the kernel's frequency: 2^-16 ppm.
const FREQUENCY_STEPS: f64 = 65_536.0;

/// A clock that can be slewed and stepped like Linux' own. Positions are kept as an error against true time,
/// so that no precision is lost over months.
#[derive(Clone, Debug)]
pub struct SimClock {
    oscillator: Oscillator,
    /// True time of the last advance, ns since the world's start.
    at: i64,
    /// Error of the monotonic clock at `at`, s; positive: ahead of true time.
    mono_error: f64,
    /// Sum of the steps and the error at start, ns.
    stepped: i64,
    /// Compensation in force: the clock is slowed down by this.
    frequency: Ppm,
    /// Unix time of the world's start, s.
    epoch: i64,
    control: bool,
    precision: f64,
    status: Option<KernelStatus>,
    /// Unix time at which a leap second is due, and by how much the clock moves then, s.
    leap: Option<(i64, i64)>,
    /// True time (ns since the start) of each step, and by how much the clock went forward, s.
    steps: Vec<(i64, f64)>,
}

impl SimClock {
    /// A clock that is `offset` s ahead of true time at the start of the world, at Unix second `epoch`.
    #[must_use]
    pub fn new(oscillator: Oscillator, epoch: i64, offset: f64) -> Self {
        Self {
            oscillator,
            at: 0,
            mono_error: 0.0,
            stepped: (offset * 1e9) as i64,
            frequency: Ppm(0.0),
            epoch,
            control: true,
            precision: 1e-7,
            status: None,
            leap: None,
            steps: Vec::new(),
        }
    }

    /// A clock that the engine may not touch, as with `chronyd -x`.
    #[must_use]
    pub fn without_control(mut self) -> Self {
        self.control = false;
        self
    }

    /// Lets true time pass until `at` (ns since the world's start). `second` is called at every whole true
    /// second on the way with the second's number and the clock's error (s, positive: fast).
    pub fn advance(&mut self, at: i64, mut second: impl FnMut(i64, f64)) {
        while self.at < at {
            let next_second = (self.at / SECOND + 1) * SECOND;
            let until = next_second.min(at);
            self.mono_error += self.rate() * 1e-9 * (until - self.at) as f64;
            self.at = until;
            if until == next_second {
                second(until / SECOND, self.error());
                self.oscillator.tick();
            }
        }
        if let Some((due, by)) = self.leap
            && self.now().raw.sec() >= due
        {
            self.leap = None;
            self.stepped += by * SECOND;
        }
    }

    /// The monotonic clock stood still for the last `nanos` ns, the wall clock did not.
    pub(crate) fn stand_still(&mut self, nanos: i64) {
        self.mono_error -= 1e-9 * nanos as f64;
        self.stepped += nanos;
    }

    /// Error of the clock, s; positive: fast.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.mono_error + 1e-9 * self.stepped as f64
    }

    /// Error of the frequency as corrected, s gained per true second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (1.0 + self.oscillator.frequency()) * (1.0 - 1e-6 * self.frequency.0) - 1.0
    }

    /// The oscillator, to disturb it.
    pub fn oscillator(&mut self) -> &mut Oscillator {
        &mut self.oscillator
    }

    /// Somebody else steps the clock forward by `seconds`.
    pub fn disturb(&mut self, seconds: f64) {
        self.stepped += (seconds * 1e9) as i64;
    }

    /// True time (ns since the world's start) when the monotonic clock will show `deadline`, if the
    /// frequency stays as it is; never in the past.
    #[must_use]
    pub fn when(&self, deadline: Mono) -> i64 {
        let left = deadline - self.now_mono();
        self.at
            .saturating_add(((left / (1.0 + self.rate())) * 1e9).ceil().max(1.0) as i64)
    }

    /// What the engine last told the kernel about synchronisation.
    #[must_use]
    pub fn status(&self) -> Option<KernelStatus> {
        self.status
    }

    /// How often the engine has stepped the clock.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The steps: true seconds since the world's start, and by how much the clock went forward, s.
    pub fn stepped(&self) -> impl Iterator<Item = (f64, f64)> {
        self.steps.iter().map(|&(at, by)| (1e-9 * at as f64, by))
    }

    fn now_mono(&self) -> Mono {
        Mono(self.at + (self.mono_error * 1e9).floor() as i64)
    }
}

impl Clock for SimClock {
    fn limits(&self) -> Limits {
        Limits {
            control: self.control,
            leap: self.control,
            max_frequency: Ppm(100_000.0),
            max_delay: 1e-5,
            precision: self.precision,
        }
    }

    fn now(&mut self) -> Now {
        let mono = self.now_mono();
        Now {
            mono,
            raw: Raw::new(self.epoch, 0).plus_nanos(mono.0 + self.stepped),
        }
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        Ok(self.frequency)
    }

    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        if !self.control {
            return Err(ClockError::NotControlled);
        }
        self.frequency = Ppm((wanted.0 * FREQUENCY_STEPS).trunc() / FREQUENCY_STEPS);
        Ok((self.frequency, self.now().raw))
    }

    fn step(&mut self, by: FastBy) -> Result<(), ClockError> {
        if !self.control {
            return Err(ClockError::NotControlled);
        }
        self.stepped -= (by.0 * 1e9) as i64;
        self.steps.push((self.at, -by.0));
        Ok(())
    }

    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        // Like Linux, it does a leap second once and waits until the flag is cleared.
        if status.leap != self.status.map_or(0, |old| old.leap) {
            let midnight = (self.now().raw.sec() / 86_400 + 1) * 86_400;
            self.leap = match status.leap {
                0 => None,
                1.. => Some((midnight, -1)),
                _ => Some((midnight - 1, 1)),
            };
        }
        self.status = Some(status);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draw;

    fn clock(frequency: f64) -> SimClock {
        SimClock::new(Oscillator::new(frequency, 0.0, Draw::new(1)), 1_000_000, 0.1)
    }

    #[test]
    fn a_fast_clock_gains_and_the_right_compensation_stops_it() {
        let mut clock = clock(1e-4);
        clock.advance(1_000_000_000_000, |_, _| {});
        assert!((clock.error() - 0.2).abs() < 1e-9);
        let right = 1e6 * 1e-4 / (1.0 + 1e-4);
        let (set, _) = clock.set_frequency(Ppm(right)).unwrap();
        assert!((set.0 - right).abs() < 2e-5);
        clock.advance(2_000_000_000_000, |_, _| {});
        assert!((clock.error() - 0.2).abs() < 2e-8);
    }

    #[test]
    fn a_step_moves_the_wall_clock_only() {
        let mut clock = clock(0.0);
        let before = clock.now();
        clock.step(FastBy(0.1)).unwrap();
        let after = clock.now();
        assert_eq!(before.mono, after.mono);
        assert!((before.raw - after.raw - 0.1).abs() < 1e-9);
        assert!(clock.error().abs() < 1e-9);
    }

    #[test]
    fn a_deadline_comes_when_the_clock_shows_it() {
        let mut clock = clock(1e-2);
        let deadline = clock.now().mono.plus(64.0);
        clock.advance(clock.when(deadline), |_, _| {});
        assert!((clock.now().mono - deadline).abs() < 2e-9);
    }
}
