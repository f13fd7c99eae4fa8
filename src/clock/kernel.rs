//! The kernel's clock, disciplined by `adjtimex` (`spec/sync.md` 6.5 to 6.7). Slewing is done by frequency
//! alone; neither the kernel's PLL nor `adjtime` is used.

use crate::sys::{
    self,
    clock::{empty_timex, timex},
};
use std::io;
use truechimer_engine::event::clock::{ClockEvent, KernelLeap};
use truechimer_engine::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
use truechimer_engine::time::{FastBy, Now, Ppm, Raw};

/// Largest frequency, ppm: 10 % of the tick, the kernel's limit.
const MAX_FREQUENCY: f64 = 100_000.0;
/// Units of `timex.freq` in one ppm.
const SCALE: f64 = 65_536.0;
/// Errors from here on mean "unsynchronised" to the kernel, s.
const MAX_SYNC_ERROR: f64 = 16.0;
const ADJ_TAI: u32 = 0x80;
const ADJ_SETOFFSET: u32 = 0x100;
/// State of the clock right after a leap second.
const TIME_WAIT: i32 = 4;

/// Where `adjtimex` calls go: the kernel, or a test.
pub trait Adjust {
    /// `adjtimex()`.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn adjtimex(&mut self, values: &mut timex) -> io::Result<i32>;
    /// Both clocks.
    fn now(&mut self) -> Now;
}

/// The kernel that we run on.
#[derive(Debug)]
pub struct System;

impl Adjust for System {
    fn adjtimex(&mut self, values: &mut timex) -> io::Result<i32> {
        sys::clock::adjtimex(values)
    }

    fn now(&mut self) -> Now {
        sys::clock::now()
    }
}

/// Why the clock can't be taken over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StartError {
    /// `adjtimex` failed.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The kernel's release does not start with two numbers.
    #[error("Could not parse kernel version")]
    UnknownKernel,
    /// Older than 2.6.39.
    #[error("Kernel version not supported, sorry.")]
    OldKernel,
}

/// What another program could have changed behind our back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Known {
    pll: bool,
    constant: i64,
    freq: i64,
}

impl Known {
    fn of(values: &timex) -> Self {
        Self {
            pll: values.status & libc::STA_PLL != 0,
            constant: values.constant,
            freq: values.freq,
        }
    }
}

/// The system clock under our control.
#[derive(Debug)]
pub struct KernelClock<K = System> {
    kernel: K,
    hz: f64,
    nominal_tick: i64,
    limits: Limits,
    rtc_sync: bool,
    /// Status bits as we want them.
    status: i32,
    tai: i32,
    /// State that the last call returned.
    state: i32,
    known: Option<Known>,
    events: Vec<ClockEvent>,
}

impl KernelClock<System> {
    /// Takes the system clock over: ends an `adjtime` in progress, turns the PLL off and sets the status to
    /// "unsynchronised"; the frequency stays (`spec/sync.md` 6.5, "start"). `precision` is in s; `rtc_sync`
    /// lets the kernel know when the clock is synchronised.
    ///
    /// # Errors
    /// Without the right to set the clock, or on a kernel that is too old.
    pub fn start(precision: f64, rtc_sync: bool) -> Result<Self, StartError> {
        let hz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
            .ok()
            .flatten()
            .unwrap_or(100);
        let release = nix::sys::utsname::uname()
            .map(|names| names.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        Self::take_over(System, hz.clamp(1, 100_000), &release, precision, rtc_sync)
    }
}

impl<K: Adjust> KernelClock<K> {
    /// [`KernelClock::start`] with any kernel.
    ///
    /// # Errors
    /// As there.
    pub fn take_over(
        kernel: K,
        hz: i64,
        release: &str,
        precision: f64,
        rtc_sync: bool,
    ) -> Result<Self, StartError> {
        let version = parse_release(release).ok_or(StartError::UnknownKernel)?;
        if version < (2, 6, 39) {
            return Err(StartError::OldKernel);
        }
        // Since 4.19 a new frequency is in force at once, before it was so from the next tick on.
        let max_delay = if version >= (4, 19, 0) { 1e-5 } else { 0.01 };
        let mut clock = Self {
            kernel,
            hz: hz as f64,
            nominal_tick: (1_000_000 + hz / 2) / hz,
            limits: Limits {
                control: true,
                leap: true,
                max_frequency: Ppm(MAX_FREQUENCY),
                max_delay,
                precision,
            },
            rtc_sync,
            status: libc::STA_UNSYNC,
            tai: 0,
            state: 0,
            known: None,
            events: Vec::new(),
        };
        clock.call(libc::ADJ_OFFSET_SINGLESHOT, |_| ())?;
        clock.call(libc::MOD_OFFSET | libc::MOD_STATUS, |values| {
            values.status = libc::STA_PLL | libc::STA_UNSYNC;
        })?;
        let values = clock.call(libc::MOD_STATUS, |values| values.status = libc::STA_UNSYNC)?;
        clock.known = Some(Known::of(&values));
        Ok(clock)
    }

    /// One `adjtimex` call, with the check for interference.
    fn call(&mut self, modes: u32, fill: impl FnOnce(&mut timex)) -> Result<timex, ClockError> {
        let mut values = empty_timex();
        fill(&mut values);
        values.modes = modes;
        self.state = self
            .kernel
            .adjtimex(&mut values)
            .map_err(|error| ClockError::Kernel {
                call: format!("adjtimex(0x{modes:x})"),
                error: sys::error::reason(&error),
            })?;
        if let Some(known) = self.known {
            let now = Known::of(&values);
            // What this call itself has set is no interference.
            let changed = (modes & libc::MOD_STATUS == 0 && now.pll != known.pll)
                || now.constant != known.constant && modes & (libc::MOD_TIMECONST | ADJ_TAI) == 0
                || now.freq != known.freq && modes & libc::MOD_FREQUENCY == 0;
            if changed {
                self.events.push(ClockEvent::Interference);
            }
            self.known = Some(now);
        }
        Ok(values)
    }

    /// What there is to say since the last call.
    pub fn take_events(&mut self) -> Vec<ClockEvent> {
        std::mem::take(&mut self.events)
    }

    /// `spec/sync.md` 6.7.
    fn set_leap(&mut self, leap: i8, tai: i32) -> Result<(), ClockError> {
        const BITS: i32 = libc::STA_INS | libc::STA_DEL;
        let old = self.status & BITS;
        let new = match leap {
            1.. => libc::STA_INS,
            0 => 0,
            _ => libc::STA_DEL,
        };
        let applied = self.state == TIME_WAIT;
        if old != 0 && new == 0 && applied && self.tai != 0 {
            // The kernel has moved it together with the clock.
            self.tai += if old == libc::STA_INS { 1 } else { -1 };
        }
        let new_tai = tai != 0 && tai != self.tai;
        if old == new && !new_tai {
            return Ok(());
        }
        self.status = self.status & !BITS | new;
        let status = self.status;
        let modes = libc::MOD_STATUS | if tai != 0 { ADJ_TAI } else { 0 };
        self.call(modes, |values| {
            values.status = status;
            values.constant = i64::from(tai);
        })?;
        if new_tai {
            self.tai = tai;
            self.events.push(ClockEvent::TaiOffset(tai));
        }
        if old != new {
            self.events.push(ClockEvent::KernelLeap(match leap {
                1.. => KernelLeap::Insert,
                0 if applied => KernelLeap::ResetAfter,
                0 => KernelLeap::Cleared,
                _ => KernelLeap::Delete,
            }));
        }
        Ok(())
    }

    /// `spec/sync.md` 6.6.
    fn set_sync(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        let synchronised = status.synchronised && self.rtc_sync && status.max_error < MAX_SYNC_ERROR;
        let (est, max) = if synchronised {
            (
                status.est_error.clamp(0.0, MAX_SYNC_ERROR),
                status.max_error.max(0.0),
            )
        } else {
            (MAX_SYNC_ERROR, MAX_SYNC_ERROR)
        };
        if synchronised {
            self.status &= !libc::STA_UNSYNC;
        } else {
            self.status |= libc::STA_UNSYNC;
        }
        let bits = self.status;
        self.call(
            libc::MOD_STATUS | libc::MOD_ESTERROR | libc::MOD_MAXERROR,
            |values| {
                values.status = bits;
                values.esterror = (est * 1e6) as i64;
                values.maxerror = (max * 1e6) as i64;
            },
        )?;
        Ok(())
    }
}

impl<K: Adjust> Clock for KernelClock<K> {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn now(&mut self) -> Now {
        self.kernel.now()
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        let values = self.call(0, |_| ())?;
        let ticks = (self.nominal_tick - values.tick) as f64;
        Ok(Ppm(self.hz * ticks - values.freq as f64 / SCALE))
    }

    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        let wanted = wanted.0.clamp(-MAX_FREQUENCY, MAX_FREQUENCY);
        let ticks = (wanted / self.hz).round();
        let freq = (-(wanted - self.hz * ticks) * SCALE) as i64;
        let tick = self.nominal_tick - ticks as i64;
        let values = self.call(libc::ADJ_TICK | libc::MOD_FREQUENCY, |values| {
            values.tick = tick;
            values.freq = freq;
        })?;
        let raw = self.kernel.now().raw;
        // What the kernel says it took, not what we asked for.
        let ticks = (self.nominal_tick - values.tick) as f64;
        Ok((Ppm(self.hz * ticks - values.freq as f64 / SCALE), raw))
    }

    fn step(&mut self, by: FastBy) -> Result<(), ClockError> {
        let forward = Raw::default().plus(-by.0);
        self.call(ADJ_SETOFFSET | libc::ADJ_NANO, |values| {
            values.time.tv_sec = forward.sec();
            values.time.tv_usec = i64::from(forward.nsec());
        })?;
        Ok(())
    }

    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        self.set_leap(status.leap, status.tai.unwrap_or(0))?;
        self.set_sync(status)
    }
}

/// `6.18.44-generic` is (6, 18, 44); a missing third number is 0.
fn parse_release(release: &str) -> Option<(u32, u32, u32)> {
    let mut parts = release.splitn(3, '.');
    let mut number = || {
        let part = parts.next()?;
        let end = part
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(part.len());
        part.get(..end)?.parse().ok()
    };
    let (major, minor) = (number()?, number()?);
    Some((major, minor, number().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that remembers what it was told.
    #[derive(Debug, Default)]
    struct Fake {
        calls: Vec<(u32, i64, i64, i32)>,
        freq: i64,
        tick: i64,
        status: i32,
        constant: i64,
        state: i32,
        offset: (i64, i64),
        errors: (i64, i64),
        refuse: bool,
    }

    impl Adjust for Fake {
        fn adjtimex(&mut self, values: &mut timex) -> io::Result<i32> {
            if self.refuse {
                return Err(io::Error::from_raw_os_error(libc::EPERM));
            }
            let modes = values.modes;
            self.calls.push((modes, values.tick, values.freq, values.status));
            if modes & libc::MOD_FREQUENCY != 0 && modes != libc::ADJ_OFFSET_SINGLESHOT {
                self.freq = values.freq;
            }
            if modes & libc::ADJ_TICK != 0 {
                self.tick = values.tick;
            }
            if modes & libc::MOD_STATUS != 0 {
                self.status = values.status;
            }
            if modes & ADJ_SETOFFSET != 0 {
                self.offset = (values.time.tv_sec, values.time.tv_usec);
            }
            if modes & libc::MOD_MAXERROR != 0 {
                self.errors = (values.esterror, values.maxerror);
            }
            values.freq = self.freq;
            values.tick = self.tick;
            values.status = self.status;
            values.constant = self.constant;
            Ok(self.state)
        }

        fn now(&mut self) -> Now {
            Now::default()
        }
    }

    fn clock(rtc_sync: bool) -> KernelClock<Fake> {
        let fake = Fake {
            tick: 10_000,
            freq: 1000,
            ..Fake::default()
        };
        KernelClock::take_over(fake, 100, "6.1.0-13-amd64", 1e-7, rtc_sync).unwrap()
    }

    fn texts<K: Adjust>(clock: &mut KernelClock<K>) -> Vec<String> {
        clock.take_events().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn start_leaves_the_frequency_and_turns_the_pll_off() {
        let mut clock = clock(false);
        let modes: Vec<u32> = clock.kernel.calls.iter().map(|call| call.0).collect();
        assert_eq!(modes, [0x8001, 0x11, 0x10]);
        assert_eq!(clock.kernel.status, libc::STA_UNSYNC);
        assert!((clock.frequency().unwrap().0 + 1000.0 / 65_536.0).abs() < 1e-12);
        assert_eq!(clock.limits().max_delay, 1e-5);
    }

    #[test]
    fn start_without_the_right_says_so_as_chrony_does() {
        let fake = Fake {
            refuse: true,
            ..Fake::default()
        };
        let error = KernelClock::take_over(fake, 100, "6.1.0", 1e-7, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "adjtimex(0x8001) failed : Operation not permitted"
        );
    }

    #[test]
    fn kernel_versions() {
        assert_eq!(parse_release("2.6.39.4"), Some((2, 6, 39)));
        assert_eq!(parse_release("4.19-rc1"), Some((4, 19, 0)));
        assert_eq!(parse_release("6.18.44-fc-v595"), Some((6, 18, 44)));
        assert_eq!(parse_release("linux"), None);
        let old = KernelClock::take_over(Fake::default(), 100, "2.6.32", 1e-7, false);
        assert_eq!(old.unwrap_err(), StartError::OldKernel);
        let older = KernelClock::take_over(Fake::default(), 100, "4.9.0", 1e-7, false).unwrap();
        assert_eq!(older.limits().max_delay, 0.01);
    }

    #[test]
    fn frequency_is_split_into_ticks_and_rest() {
        let mut clock = clock(false);
        let (set, _) = clock.set_frequency(Ppm(12.5)).unwrap();
        assert_eq!((clock.kernel.tick, clock.kernel.freq), (10_000, -819_200));
        assert_eq!(set.0, 12.5);
        // spec/sync.md section 11, example 40
        let (set, _) = clock.set_frequency(Ppm(123.456)).unwrap();
        assert_eq!((clock.kernel.tick, clock.kernel.freq), (9999, -1_537_212));
        assert!((set.0 - 123.455_993_65).abs() < 1e-8);
        let (set, _) = clock.set_frequency(Ppm(-83_333.3)).unwrap();
        assert_eq!(clock.kernel.tick, 10_833);
        assert!((set.0 + 83_333.3).abs() < 2.0 / 65_536.0);
        clock.set_frequency(Ppm(150.0)).unwrap();
        assert_eq!(clock.kernel.tick, 9_998, "halves are rounded away from zero");
        assert!(texts(&mut clock).is_empty());
        let (set, _) = clock.set_frequency(Ppm(1e9)).unwrap();
        assert_eq!(set.0, 100_000.0);
    }

    #[test]
    fn steps_go_the_other_way() {
        let mut clock = clock(false);
        clock.step(FastBy(0.25)).unwrap();
        assert_eq!(clock.kernel.offset, (-1, 750_000_000));
        clock.step(FastBy(-10.0)).unwrap();
        assert_eq!(clock.kernel.offset, (10, 0));
        clock.kernel.refuse = true;
        let error = clock.step(FastBy(1.0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "adjtimex(0x2100) failed : Operation not permitted"
        );
    }

    fn status(synchronised: bool, max_error: f64, leap: i8, tai: Option<i32>) -> KernelStatus {
        KernelStatus {
            synchronised,
            est_error: 0.001,
            max_error,
            leap,
            tai,
        }
    }

    #[test]
    fn the_kernel_knows_about_synchronisation_with_rtcsync_only() {
        let mut with = clock(true);
        with.set_status(status(true, 0.5, 0, None)).unwrap();
        assert_eq!((with.kernel.status, with.kernel.errors), (0, (1000, 500_000)));
        with.set_status(status(true, 17.0, 0, None)).unwrap();
        assert_eq!(
            (with.kernel.status, with.kernel.errors),
            (libc::STA_UNSYNC, (16_000_000, 16_000_000))
        );
        let mut without = clock(false);
        without.set_status(status(true, 0.5, 0, None)).unwrap();
        assert_eq!(without.kernel.status, libc::STA_UNSYNC);
        assert_eq!(without.kernel.errors, (16_000_000, 16_000_000));
    }

    #[test]
    fn leap_second_and_tai() {
        let mut clock = clock(true);
        clock.set_status(status(true, 0.5, 1, Some(37))).unwrap();
        assert_eq!(clock.kernel.status, libc::STA_INS);
        assert_eq!(
            texts(&mut clock),
            [
                "System clock TAI offset set to 37 seconds",
                "System clock status set to insert leap second"
            ]
        );
        clock.kernel.state = TIME_WAIT;
        clock.set_status(status(true, 0.5, 1, Some(37))).unwrap();
        assert!(texts(&mut clock).is_empty());
        clock.set_status(status(true, 0.5, 0, Some(38))).unwrap();
        assert_eq!(clock.kernel.status, 0);
        assert_eq!(texts(&mut clock), ["System clock status reset after leap second"]);
        clock.kernel.state = 0;
        clock.set_status(status(true, 0.5, -1, None)).unwrap();
        clock.set_status(status(true, 0.5, 0, None)).unwrap();
        assert_eq!(
            texts(&mut clock),
            [
                "System clock status set to delete leap second",
                "System clock status set to not insert/delete leap second"
            ]
        );
    }

    #[test]
    fn interference_is_noticed_once() {
        let mut clock = clock(false);
        clock.set_frequency(Ppm(1.0)).unwrap();
        assert!(texts(&mut clock).is_empty());
        clock.kernel.freq += 5;
        clock.frequency().unwrap();
        assert_eq!(
            texts(&mut clock),
            ["System clock interference detected (another NTP client?)"]
        );
        clock.frequency().unwrap();
        assert!(texts(&mut clock).is_empty());
        clock.kernel.status |= libc::STA_PLL;
        clock.set_frequency(Ppm(2.0)).unwrap();
        assert_eq!(texts(&mut clock).len(), 1);
    }
}
