//! The clocks of network cards: reading them in time, so that their timestamps can be made ours (`spec/ntp.md` sections
//! 6.4 and 6.7).

use crate::config::HwTimestamp;
use crate::random::Random;
use crate::sync::cards::{Card, Cards};
use crate::sync::clock::LocalClock;
use crate::sync::kernel::Change;
use crate::sync::phc::{PhcParams, PhcTracker};
use crate::time::{Mono, PhcReading, pow2};
use std::sync::Arc;

/// Polling intervals, log2 s.
const POLLS: std::ops::RangeInclusive<i32> = -6..=20;
/// Samples of a clock.
const SAMPLES: std::ops::RangeInclusive<i32> = 2..=64;
/// Speed of a link until it is known, Mbit/s.
const DEFAULT_SPEED: u32 = 1000;
/// Polls are late by up to this share of their interval.
const RANDOMNESS: f64 = 0.1;

#[derive(Debug)]
struct Interface {
    index: u32,
    /// s
    min_interval: f64,
    max_interval: f64,
    tracker: PhcTracker,
    /// When the clock is read in any case; set by the first reading, which comes with the first timestamp.
    next: Option<Mono>,
}

/// The interfaces whose cards take timestamps.
#[derive(Debug, Default)]
pub(super) struct Hardware {
    interfaces: Vec<Interface>,
    /// What is known of them, in the same order.
    cards: Arc<Cards>,
    last_poll: Option<Mono>,
}

impl Hardware {
    /// Timestamping is switched on for the interface with this index.
    pub(super) fn add(&mut self, index: u32, config: &HwTimestamp) {
        let poll = |poll: i32| poll.clamp(*POLLS.start(), *POLLS.end());
        let samples = |samples: i32| samples.clamp(*SAMPLES.start(), *SAMPLES.end()) as usize;
        let minpoll = poll(config.minpoll);
        let maxpoll = config
            .maxpoll
            .map_or(minpoll + 1, poll)
            .clamp(minpoll, *POLLS.end());
        let max_samples = samples(config.max_samples);
        self.interfaces.push(Interface {
            index,
            min_interval: pow2(minpoll),
            max_interval: pow2(maxpoll),
            tracker: PhcTracker::new(PhcParams {
                min_samples: samples(config.min_samples).min(max_samples),
                max_samples,
                precision: config.precision,
                separation: pow2(minpoll),
            }),
            next: None,
        });
        Arc::make_mut(&mut self.cards).0.push(Card {
            interface: index,
            tx_comp: config.tx_comp,
            rx_comp: config.rx_comp,
            speed: DEFAULT_SPEED,
            relation: None,
            due: None,
        });
    }

    /// What makes timestamps of cards ours.
    pub(super) const fn cards(&self) -> &Arc<Cards> {
        &self.cards
    }

    /// The clock was read; `speed` is that of the link, if known.
    pub(super) fn read(
        &mut self,
        index: u32,
        readings: &[PhcReading],
        speed: Option<u32>,
        clock: &LocalClock,
        now: Mono,
        random: &mut dyn Random,
    ) {
        let interfaces = self.interfaces.iter_mut();
        let both = interfaces.zip(&mut Arc::make_mut(&mut self.cards).0);
        for (interface, card) in both.filter(|(interface, _)| interface.index == index) {
            if interface.tracker.accumulate(readings, clock, random) {
                card.speed = speed.unwrap_or(card.speed);
            }
            card.relation = interface.tracker.relation();
            card.due = Some(now.plus(interface.min_interval));
        }
        if self
            .interfaces
            .iter()
            .any(|i| i.index == index && i.next.is_none())
        {
            self.arm(index, now, random);
        }
    }

    /// Sets the time of the next poll of an interface, away from those of others.
    fn arm(&mut self, index: u32, now: Mono, random: &mut dyn Random) {
        let count = self.interfaces.len() as f64;
        let last_poll = self.last_poll;
        let mut others: Vec<Mono> = self
            .interfaces
            .iter()
            .filter(|i| i.index != index)
            .filter_map(|i| i.next)
            .collect();
        others.sort_unstable();
        let Some(interface) = self.interfaces.iter_mut().find(|i| i.index == index) else {
            return;
        };
        let stretch = 1.0 + random.uniform() * RANDOMNESS;
        let separation = stretch * interface.max_interval / count / 4.0;
        let mut at = now.plus(stretch * interface.max_interval);
        if let Some(last) = last_poll {
            at = at.max(last.plus(separation));
        }
        for other in others {
            if (at - other).abs() < separation {
                at = other.plus(separation);
            }
        }
        interface.next = Some(at);
    }

    /// When [`Self::pop_due`] has something.
    pub(super) fn next_wakeup(&self) -> Option<Mono> {
        self.interfaces
            .iter()
            .filter_map(|interface| interface.next)
            .min()
    }

    /// An interface whose clock is to be read now; its next poll is scheduled.
    pub(super) fn pop_due(&mut self, now: Mono, random: &mut dyn Random) -> Option<u32> {
        let due = self
            .interfaces
            .iter()
            .filter(|i| i.next.is_some_and(|next| next <= now));
        let index = due.min_by_key(|i| i.next)?.index;
        self.last_poll = Some(now);
        self.arm(index, now, random);
        Some(index)
    }

    /// The clock was changed.
    pub(super) fn announce(&mut self, change: &Change) {
        if self.interfaces.is_empty() {
            return;
        }
        let cards = &mut Arc::make_mut(&mut self.cards).0;
        for (interface, card) in self.interfaces.iter_mut().zip(cards) {
            interface.tracker.announce(change);
            card.relation = interface.tracker.relation();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::ClockConfig;
    use crate::io::{HardwareStamp, Origin, Stamp};
    use crate::random::Seeded;
    use crate::sync::cards::Direction;
    use crate::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
    use crate::time::{Era, FastBy, Now, PhcTime, Ppm, Raw};

    /// A clock that nobody changes.
    struct Still;

    impl Clock for Still {
        fn limits(&self) -> Limits {
            Limits {
                control: false,
                leap: false,
                max_frequency: Ppm(0.0),
                max_delay: 0.0,
                precision: 1e-9,
            }
        }

        fn now(&mut self) -> Now {
            now(0.0)
        }

        fn frequency(&mut self) -> Result<Ppm, ClockError> {
            Ok(Ppm(0.0))
        }

        fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
            Ok((wanted, now(0.0).raw))
        }

        fn step(&mut self, _: FastBy) -> Result<(), ClockError> {
            Ok(())
        }

        fn set_status(&mut self, _: KernelStatus) -> Result<(), ClockError> {
            Ok(())
        }
    }

    fn now(seconds: f64) -> Now {
        Now {
            mono: Mono(0).plus(seconds),
            raw: Raw::new(1_767_225_600, 0).plus(seconds),
        }
    }

    /// The card is 37 s ahead.
    fn phc(seconds: f64) -> PhcTime {
        PhcTime::new(1_767_225_637, 0).plus(seconds)
    }

    /// A card with clock readings at any rate, 3 us late when sending and 2 us when receiving.
    pub(in crate::engine) fn config(change: impl FnOnce(&mut HwTimestamp)) -> HwTimestamp {
        let mut config = HwTimestamp {
            interface: "eth0".to_owned(),
            minpoll: 0,
            maxpoll: None,
            min_samples: 2,
            max_samples: 16,
            precision: 1e-7,
            tx_comp: 3e-6,
            rx_comp: 2e-6,
            no_cross_timestamp: false,
            rx_filter: crate::config::RxFilter::Any,
        };
        change(&mut config);
        config
    }

    struct Bench {
        hardware: Hardware,
        clock: LocalClock,
        random: Seeded,
    }

    impl Bench {
        fn new(configs: &[HwTimestamp]) -> Self {
            let mut hardware = Hardware::default();
            for (i, config) in configs.iter().enumerate() {
                hardware.add(i as u32 + 1, config);
            }
            let clock = LocalClock::new(&ClockConfig::default(), Era::starting_at(0), &mut Still).unwrap();
            Self {
                hardware,
                clock,
                random: Seeded::new(1),
            }
        }

        fn read(&mut self, index: u32, seconds: f64) {
            let at = now(seconds);
            let reading = PhcReading {
                before: at.raw,
                phc: phc(seconds),
                after: at.raw,
            };
            let speed = Some(100);
            self.hardware
                .read(index, &[reading], speed, &self.clock, at.mono, &mut self.random);
        }

        fn convert(&self, direction: Direction, interface: u32, seconds: f64, length: u32) -> Option<Stamp> {
            let stamp = HardwareStamp {
                interface,
                at: phc(seconds),
                length,
            };
            let (cook, now) = (self.clock.snapshot(), now(seconds));
            self.hardware.cards.convert(&stamp, direction, &cook, now.raw)
        }
    }

    #[test]
    fn timestamps_become_ours_when_the_clock_is_known() {
        let mut bench = Bench::new(&[config(|_| {})]);
        assert_eq!(bench.hardware.next_wakeup(), None);
        let is_due = |bench: &Bench, index, at| bench.hardware.cards.is_due(index, Mono(0).plus(at));
        assert!(is_due(&bench, 1, 0.0) && !is_due(&bench, 2, 0.0));
        bench.read(1, 0.0);
        assert_eq!(bench.convert(Direction::Received, 1, 0.0, 90), None);
        assert!(bench.hardware.next_wakeup().is_some());
        for i in 1..4 {
            bench.read(1, f64::from(i));
        }
        assert!(!is_due(&bench, 1, 3.9) && is_due(&bench, 1, 4.0));
        // 94 octets at 100 Mbit/s are 7.52 us.
        let rx = bench.convert(Direction::Received, 1, 5.0, 90).unwrap();
        assert!((rx.at - now(5.0).raw - 5.52e-6).abs() < 3e-9, "{rx:?}");
        assert!((rx.duration - 7.52e-6).abs() < 1e-12 && rx.correction == rx.duration);
        assert_eq!((rx.origin, rx.error), (Origin::Hardware, 1e-7));
        let tx = bench.convert(Direction::Sent, 1, 5.0, 90).unwrap();
        assert!((tx.at - now(5.0).raw - 3e-6).abs() < 3e-9, "{tx:?}");
        assert_eq!((tx.duration, tx.correction), (0.0, 0.0));
        let unknown = bench.convert(Direction::Received, 1, 5.0, 0).unwrap();
        assert!((unknown.at - now(5.0).raw + 2e-6).abs() < 3e-9 && unknown.duration == 0.0);
        // Somebody else's interface, and a time that cannot be.
        assert_eq!(bench.convert(Direction::Sent, 7, 5.0, 0), None);
        let stamp = HardwareStamp {
            interface: 1,
            at: phc(3.9),
            length: 0,
        };
        let cook = bench.clock.snapshot();
        let far = bench
            .hardware
            .cards
            .convert(&stamp, Direction::Sent, &cook, now(5.0).raw);
        assert_eq!(far, None);
    }

    #[test]
    fn clocks_are_polled_at_their_intervals_and_apart() {
        let mut bench = Bench::new(&[config(|_| {}), config(|_| {}), config(|c| c.maxpoll = Some(3))]);
        for index in 1..=3 {
            bench.read(index, 0.0);
        }
        let mut polls = Vec::new();
        while polls.len() < 60 {
            let at = bench.hardware.next_wakeup().unwrap();
            assert_eq!(bench.hardware.pop_due(Mono(at.0 - 1), &mut bench.random), None);
            polls.push((at, bench.hardware.pop_due(at, &mut bench.random).unwrap()));
        }
        assert!(polls.windows(2).all(|pair| pair[1].0 - pair[0].0 > 0.16));
        let count = |index| polls.iter().filter(|poll| poll.1 == index).count();
        assert!(
            count(1) > 20 && count(2) > 20 && (3..10).contains(&count(3)),
            "{polls:?}"
        );
    }

    #[test]
    fn options_are_limited() {
        let odd = config(|c| {
            (c.minpoll, c.maxpoll, c.min_samples, c.max_samples) = (-32, Some(-32), 0, 1000);
        });
        let bench = Bench::new(&[odd, config(|c| (c.minpoll, c.maxpoll) = (3, Some(1)))]);
        let interfaces = &bench.hardware.interfaces;
        assert_eq!(
            (interfaces[0].min_interval, interfaces[0].max_interval),
            (pow2(-6), pow2(-6))
        );
        assert_eq!(
            (interfaces[1].min_interval, interfaces[1].max_interval),
            (8.0, 8.0)
        );
    }
}
