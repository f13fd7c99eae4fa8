//! Leap seconds: from the sources' vote and the database to the clock (`spec/sync.md` 5.10).

use super::clock::LocalClock;
use super::cx::{Cx, Outbox};
use super::leapdb::{LeapDb, next_midnight};
use super::sample::Leap;
use crate::config::LeapMode;
use crate::event::{Event, clock::ClockEvent};
use crate::time::{FastBy, Mono, Raw};

/// Samples this close (s) to a leap second are dropped.
const GUARD: i64 = 5;
/// Time (s) from the start of a leap second until it counts as over.
const LENGTH: f64 = 2.0;
/// The kernel acts at the second itself; clients are warned this much (s) earlier.
const SYSTEM_LEAD: f64 = 0.5;
const DAY: i64 = 86_400;
/// The database is asked for times in steps of this many seconds.
const HALF_DAY: i64 = DAY / 2;
/// Days since 1 March.
const JUNE_30: i64 = 121;
const DECEMBER_31: i64 = 305;

/// A file for the leap second database: its name in the configuration and its contents, if it can be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeapFile<'a> {
    /// `leapseclist`, or the name of the zone of `leapsectz`.
    pub name: &'a str,
    /// Contents.
    pub contents: Option<&'a [u8]>,
}

/// What is known about leap seconds and how far the current one is.
#[derive(Clone, Debug)]
pub(super) struct Leaps {
    mode: LeapMode,
    database: Option<(LeapDb, String)>,
    /// Half-day for which an expired list was reported.
    warned: Option<i64>,
    /// Leap second at the end of the day: 1, -1 or 0.
    second: i8,
    /// TAI - UTC, s; 0: unknown.
    tai: i32,
    /// Midnight (Unix seconds) of the leap second that is due or was last.
    when: Option<i64>,
    in_progress: bool,
    timer: Option<Mono>,
    /// Our leap status.
    status: Leap,
}

impl Leaps {
    /// `system` becomes `step` if the clock cannot do leap seconds.
    pub(super) fn new(mode: LeapMode, clock: &LocalClock) -> Self {
        let mode = if mode == LeapMode::System && !clock.leap_control() {
            LeapMode::Step
        } else {
            mode
        };
        Self {
            mode,
            database: None,
            warned: None,
            second: 0,
            tai: 0,
            when: None,
            in_progress: false,
            timer: None,
            status: Leap::Unsynchronised,
        }
    }

    /// Takes the database from the list, or else from the zone, if they pass the check.
    pub(super) fn load(&mut self, out: &mut Outbox, list: Option<LeapFile<'_>>, zone: Option<LeapFile<'_>>) {
        self.database = list.and_then(|file| from_list(out, file)).or_else(|| {
            let LeapFile { name, contents } = zone?;
            let database = contents.and_then(LeapDb::from_tzif).filter(LeapDb::is_plausible);
            let name = name.to_owned();
            out.events.push(Event::Clock(match &database {
                Some(_) => ClockEvent::LeapZoneUsed(name.clone()),
                None => ClockEvent::LeapZoneFailed(name.clone()),
            }));
            database.map(|database| (database, name))
        });
    }

    /// The files were read again. Newer data take the place of what is known; what is of no use changes
    /// nothing.
    pub(super) fn reload(
        &mut self,
        out: &mut Outbox,
        list: Option<LeapFile<'_>>,
        zone: Option<LeapFile<'_>>,
    ) {
        let Some((database, name)) = &mut self.database else {
            return;
        };
        let newer = if let Some(file) = list.filter(|file| file.name == name) {
            parse_list(file)
                .map_err(|event| out.events.push(Event::Clock(event)))
                .ok()
        } else {
            zone.filter(|file| file.name == name)
                .and_then(|file| LeapDb::from_tzif(file.contents?))
        };
        if let Some(newer) = newer.filter(LeapDb::is_plausible) {
            *database = newer;
        }
    }

    pub(super) const fn status(&self) -> Leap {
        self.status
    }

    pub(super) const fn mode(&self) -> LeapMode {
        self.mode
    }

    /// Our leap status as told to others.
    pub(super) const fn told(&self) -> Leap {
        if self.in_progress {
            Leap::Unsynchronised
        } else {
            self.status
        }
    }

    /// True if there is a leap second ahead.
    pub(super) const fn is_pending(&self) -> bool {
        self.second != 0 && !self.in_progress
    }

    /// TAI - UTC (s) at `when` (Unix seconds), if the database knows it.
    pub(super) fn tai_offset(&self, when: i64) -> Option<i32> {
        let (database, _) = self.database.as_ref()?;
        let (_, tai) = database.query(when.div_euclid(HALF_DAY) * HALF_DAY);
        (tai != 0).then_some(tai)
    }

    /// True within 5 s of a leap second of the past or of the future (`spec/sync.md` 1.4).
    pub(super) fn is_close(&self, second: i64) -> bool {
        self.when
            .is_some_and(|when| (-GUARD..GUARD).contains(&second.saturating_sub(when)))
    }

    /// A new leap status. The database is asked only if there is a time. `reset`: the timer must be armed
    /// anew, since the clock was stepped.
    pub(super) fn update(
        &mut self,
        cx: &mut Cx<'_>,
        clock: &mut LocalClock,
        leap: Leap,
        now: Option<Raw>,
        reset: bool,
    ) {
        let mut leap = leap;
        let (mut second, mut tai) = (0, 0);
        if let Some(now) = now {
            let known = self.ask(cx.out, now.sec());
            tai = known.1;
            if leap == Leap::Normal {
                leap = known.0;
            }
        }
        if matches!(leap, Leap::Insert | Leap::Delete) {
            if now.is_some_and(|now| is_leap_day(now.sec())) {
                second = if leap == Leap::Insert { 1 } else { -1 };
            } else {
                leap = Leap::Normal;
            }
        }
        let close = now.is_some_and(|now| self.is_close(now.sec()));
        if (second, tai) != (self.second, self.tai) && !close {
            (self.second, self.tai) = (second, tai);
            if self.mode == LeapMode::System {
                clock.set_leap(cx, second, tai, false);
            }
            self.arm(cx.now.mono, now);
        } else if reset {
            self.arm(cx.now.mono, now);
        }
        self.status = leap;
    }

    pub(super) const fn timer(&self) -> Option<Mono> {
        self.timer
    }

    /// Starts or ends the leap second if it is time. Returns it (1 or -1) when it was announced to all who
    /// keep times.
    pub(super) fn on_timeout(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) -> Option<i8> {
        if self.timer.is_none_or(|at| at > cx.now.mono) {
            return None;
        }
        if self.in_progress {
            self.end(cx, clock);
            return None;
        }
        self.in_progress = true;
        self.timer = Some(cx.now.mono.plus(LENGTH));
        let by = FastBy(f64::from(self.second));
        let (event, announced) = match self.mode {
            LeapMode::System => return None,
            LeapMode::Step => {
                clock.announce_leap(cx, self.second);
                // The message comes in any case; a refusal has its own before it.
                let _ = clock.step(cx, by);
                (ClockEvent::LeapStep, Some(self.second))
            }
            LeapMode::Slew => {
                clock.announce_leap(cx, self.second);
                let _ = clock.accumulate_offset(cx, by, 0.0);
                (ClockEvent::LeapSlew, Some(self.second))
            }
            LeapMode::Ignore => (ClockEvent::LeapIgnored, None),
        };
        cx.out.events.push(Event::Clock(event));
        announced
    }

    fn end(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) {
        (self.in_progress, self.timer) = (false, None);
        if self.tai != 0 {
            self.tai += i32::from(self.second);
        }
        self.second = 0;
        if self.mode == LeapMode::System {
            clock.set_leap(cx, 0, self.tai, true);
        }
        if matches!(self.status, Leap::Insert | Leap::Delete) {
            self.status = Leap::Normal;
        }
    }

    fn arm(&mut self, mono: Mono, now: Option<Raw>) {
        (self.in_progress, self.timer) = (false, None);
        let Some(now) = now.filter(|_| self.second != 0) else {
            return;
        };
        let midnight = next_midnight(now.sec());
        self.when = Some(midnight);
        let mut lead = if self.second < 0 { 1.0 } else { 0.0 };
        if self.mode == LeapMode::System {
            lead += SYSTEM_LEAD;
        }
        self.timer = Some(mono.plus(Raw::new(midnight, 0) - now - lead));
    }

    fn ask(&mut self, out: &mut Outbox, now: i64) -> (Leap, i32) {
        let Some((database, name)) = &self.database else {
            return (Leap::Normal, 0);
        };
        let half_day = now.div_euclid(HALF_DAY);
        let start = half_day * HALF_DAY;
        if self.warned != Some(half_day) {
            self.warned = Some(half_day);
            if database.is_expired(start) {
                out.events
                    .push(Event::Clock(ClockEvent::LeapListExpired(name.clone())));
            }
        }
        database.query(start)
    }
}

fn parse_list(file: LeapFile<'_>) -> Result<LeapDb, ClockEvent> {
    let contents = file
        .contents
        .ok_or_else(|| ClockEvent::LeapListNotOpened(file.name.to_owned()))?;
    LeapDb::from_list(&String::from_utf8_lossy(contents))
        .map_err(|_| ClockEvent::LeapListNotParsed(file.name.to_owned()))
}

fn from_list(out: &mut Outbox, file: LeapFile<'_>) -> Option<(LeapDb, String)> {
    let name = file.name.to_owned();
    match parse_list(file) {
        Ok(list) if list.is_plausible() => {
            out.events
                .push(Event::Clock(ClockEvent::LeapListUsed(name.clone())));
            return Some((list, name));
        }
        Ok(_) => {}
        Err(event) => out.events.push(Event::Clock(event)),
    }
    out.events.push(Event::Clock(ClockEvent::LeapListFailed(name)));
    None
}

/// True on 30 June and 31 December, UTC. `when`: Unix seconds.
fn is_leap_day(when: i64) -> bool {
    // Days of a year that starts in March, so that the leap day is its last. 400 such years make an era.
    let day_of_era = when.div_euclid(DAY).saturating_add(719_468).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    matches!(day_of_year, JUNE_30 | DECEMBER_31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClockConfig;
    use crate::sync::kernel::{ChangeKind, Clock};
    use crate::sync::testing::{START, World};

    const LIST: &[u8] = b"#$ 3676924800\n#@ 3707596800\n2272060800 10\n3439756800 34\n3550089600 35\n\
        3644697600 36\n3692217600 37\n";

    /// One hour before the end of a leap day, with a clock that has heard of an inserted second.
    fn evening(mode: LeapMode, leap: Leap) -> (World, LocalClock, Leaps) {
        let mut world = World::new(0.0);
        let end_of_june = 1_782_864_000;
        assert!(is_leap_day(end_of_june - 1));
        let wait = end_of_june - START - 3600;
        world.kernel.advance(wait as f64);
        let mut clock = world.clock(&ClockConfig::default());
        let mut leaps = Leaps::new(mode, &clock);
        let now = world.kernel.now().raw;
        world.with(|cx| leaps.update(cx, &mut clock, leap, Some(now), false));
        (world, clock, leaps)
    }

    #[test]
    fn leap_days_are_those_of_example_39() {
        assert!(is_leap_day(1_341_014_400) && is_leap_day(1_356_912_000));
        assert!(!is_leap_day(1_340_000_000) && !is_leap_day(1_341_100_800) && !is_leap_day(1_356_998_400));
        assert!(is_leap_day(1_719_705_600), "30 June of a leap year");
    }

    #[test]
    fn on_other_days_there_is_no_leap_second() {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        let mut leaps = Leaps::new(LeapMode::System, &clock);
        let now = world.kernel.now().raw;
        world.with(|cx| leaps.update(cx, &mut clock, Leap::Insert, Some(now), false));
        assert_eq!((leaps.status(), leaps.timer()), (Leap::Normal, None));
        assert!(world.kernel.status.is_none());
    }

    #[test]
    fn the_kernel_is_told_and_then_reset() {
        let (mut world, mut clock, mut leaps) = evening(LeapMode::System, Leap::Insert);
        assert_eq!(world.kernel.status.unwrap().leap, 1);
        assert_eq!(leaps.status(), Leap::Insert);
        let at = leaps.timer().unwrap();
        assert!((at - world.kernel.now().mono - 3599.5).abs() < 1e-6);
        world.kernel.advance_to(at);
        assert_eq!(world.with(|cx| leaps.on_timeout(cx, &mut clock)), None);
        assert!(leaps.in_progress && leaps.is_close(world.kernel.now().raw.sec()));
        world.kernel.advance_to(leaps.timer().unwrap());
        world.with(|cx| leaps.on_timeout(cx, &mut clock));
        assert_eq!((leaps.status(), leaps.timer()), (Leap::Normal, None));
        assert_eq!(world.kernel.status.unwrap().leap, 0);
        assert!(world.out.changes.is_empty());
        let texts: Vec<_> = world.out.events.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "System clock status set to insert leap second",
                "System clock status reset after leap second"
            ]
        );
    }

    #[test]
    fn stepping_nets_to_zero_in_stored_times() {
        let (mut world, mut clock, mut leaps) = evening(LeapMode::Step, Leap::Insert);
        world.kernel.advance_to(leaps.timer().unwrap());
        let before = world.kernel.now().raw;
        assert_eq!(world.with(|cx| leaps.on_timeout(cx, &mut clock)), Some(1));
        assert!((world.kernel.now().raw - before + 1.0).abs() < 2e-9);
        let changes = &world.out.changes;
        assert!(changes.iter().all(|change| change.kind == ChangeKind::Step));
        let sum: f64 = changes.iter().map(|change| change.by.0).sum();
        assert_eq!((changes.len(), sum), (2, 0.0));
    }

    #[test]
    fn a_deleted_second_is_slewed_a_second_earlier() {
        let (mut world, mut clock, mut leaps) = evening(LeapMode::Slew, Leap::Delete);
        let at = leaps.timer().unwrap();
        assert!((at - world.kernel.now().mono - 3599.0).abs() < 1e-6);
        world.kernel.advance_to(at);
        assert_eq!(world.with(|cx| leaps.on_timeout(cx, &mut clock)), Some(-1));
        let raw = world.kernel.now().raw;
        assert!((clock.correction(raw) - 1.0).abs() < 1e-9);
        assert_eq!(world.out.changes[0].by, FastBy(1.0));
    }

    #[test]
    fn database_decides_only_when_the_sources_say_nothing() {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        let mut leaps = Leaps::new(LeapMode::System, &clock);
        let list = LeapFile {
            name: "list",
            contents: Some(LIST),
        };
        leaps.load(
            &mut world.out,
            Some(list),
            Some(LeapFile {
                name: "zone",
                contents: None,
            }),
        );
        let eve = Raw::new(1_483_142_400, 0);
        world.with(|cx| leaps.update(cx, &mut clock, Leap::Delete, Some(eve), false));
        assert_eq!(leaps.status(), Leap::Delete);
        world.with(|cx| leaps.update(cx, &mut clock, Leap::Normal, Some(eve), false));
        assert_eq!(leaps.status(), Leap::Insert);
        assert_eq!(world.kernel.status.unwrap().tai, Some(36));
        assert_eq!(leaps.tai_offset(1_483_315_200), Some(37));
        world.with(|cx| leaps.update(cx, &mut clock, Leap::Unsynchronised, None, false));
        assert_eq!((leaps.status(), leaps.timer()), (Leap::Unsynchronised, None));
        let texts: Vec<_> = world.out.events.iter().map(ToString::to_string).collect();
        assert_eq!(texts[0], "Using leap second list list");
        assert!(!texts.iter().any(|text| text.contains("zone")));
    }

    #[test]
    fn failed_checks_are_reported() {
        let mut world = World::new(0.0);
        let clock = world.clock(&ClockConfig::default());
        let mut leaps = Leaps::new(LeapMode::System, &clock);
        let file = |name, contents| Some(LeapFile { name, contents });
        leaps.load(&mut world.out, file("none", None), file("Foo/Bar", None));
        leaps.load(&mut world.out, file("bad", Some(b"x")), None);
        let texts: Vec<_> = world.out.events.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "Failed to open leap seconds list none",
                "Leap second list none failed check, ignoring",
                "Timezone Foo/Bar failed leap second check, ignoring",
                "Failed to parse leap seconds list bad",
                "Leap second list bad failed check, ignoring",
            ]
        );
    }

    #[test]
    fn a_newer_list_is_taken_and_a_broken_one_is_not() {
        let mut world = World::new(0.0);
        let clock = world.clock(&ClockConfig::default());
        let mut leaps = Leaps::new(LeapMode::System, &clock);
        let file = |contents| {
            Some(LeapFile {
                name: "list",
                contents,
            })
        };
        leaps.reload(&mut world.out, file(Some(LIST)), None);
        assert!(leaps.database.is_none(), "there was none at start");
        leaps.load(&mut world.out, file(Some(LIST)), None);
        let newer =
            String::from_utf8_lossy(LIST).replace("#@ 3707596800", "#@ 5000000000") + "4999968000 38\n";
        world.out.events.clear();
        leaps.reload(&mut world.out, file(Some(newer.as_bytes())), None);
        let when = 4_999_968_000 - 2_208_988_800;
        assert_eq!(leaps.ask(&mut world.out, when - 1), (Leap::Insert, 37));
        leaps.reload(&mut world.out, file(Some(b"x")), None);
        leaps.reload(&mut world.out, file(None), None);
        assert_eq!(leaps.ask(&mut world.out, when - 1), (Leap::Insert, 37));
        let texts: Vec<String> = world.out.events.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "Failed to parse leap seconds list list",
                "Failed to open leap seconds list list"
            ]
        );
    }
}
