//! Temperature compensation: from a temperature to a frequency (`spec/sync.md` 8.2), and when it is read.

use super::clock::LocalClock;
use super::cx::Cx;
use crate::config::{ClockConfig, TempComp, leading_numbers};
use crate::event::record::{self, Record};
use crate::event::{Event, clock::ClockEvent};
use crate::time::{Mono, Ppm};

/// Compensations above this (ppm) are not believed.
const MAX_COMPENSATION: f64 = 10.0;

/// Why a file of points was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PointsError {
    /// A line is not two numbers.
    #[error("not a point")]
    Line,
    /// There are fewer than two.
    #[error("not enough points")]
    Few,
}

/// Compensation (ppm) as a function of the temperature.
#[derive(Clone, Debug, PartialEq)]
pub enum Compensation {
    /// `k0 + (T - T0)*k1 + (T - T0)^2*k2`
    Polynomial {
        /// T0
        t0: f64,
        /// k0, k1, k2
        k: [f64; 3],
    },
    /// Straight lines through points (temperature, compensation); at least two.
    Points(Vec<(f64, f64)>),
}

impl Compensation {
    /// From the directive. `points`: text of the file of points, if the directive names one.
    ///
    /// # Errors
    /// A text that is not two or more points.
    pub fn new(config: &TempComp, points: &str) -> Result<Self, PointsError> {
        match config {
            TempComp::Polynomial { t0, k, .. } => Ok(Self::Polynomial { t0: *t0, k: *k }),
            TempComp::Points { .. } => {
                let points = points
                    .lines()
                    .map(point)
                    .collect::<Option<Vec<_>>>()
                    .ok_or(PointsError::Line)?;
                if points.len() < 2 {
                    Err(PointsError::Few)
                } else {
                    Ok(Self::Points(points))
                }
            }
        }
    }

    /// Compensation (ppm) at `temperature`.
    #[must_use]
    pub fn at(&self, temperature: f64) -> f64 {
        match self {
            Self::Polynomial { t0, k: [k0, k1, k2] } => {
                let t = temperature - t0;
                k0 + t * k1 + t * t * k2
            }
            Self::Points(points) => {
                let segments = || points.windows(2);
                let fits = |segment: &&[(f64, f64)]| segment.last().is_some_and(|&(t, _)| t >= temperature);
                match segments().find(fits).or_else(|| segments().last()) {
                    Some(&[(t1, c1), (t2, c2)]) => (temperature - t1) / (t2 - t1) * (c2 - c1) + c1,
                    _ => 0.0,
                }
            }
        }
    }

    /// Applies the compensation of a measured temperature to the clock; gives it (ppm) if it is believed.
    pub fn apply(&self, cx: &mut Cx<'_>, clock: &mut LocalClock, temperature: f64) -> Option<f64> {
        let ppm = self.at(temperature);
        if ppm.abs() <= MAX_COMPENSATION {
            clock.set_temp_comp(cx, ppm);
            return Some(ppm);
        }
        let event = ClockEvent::CompensationTooLarge(ppm, MAX_COMPENSATION);
        cx.out.events.push(Event::Clock(event));
        None
    }
}

fn point(line: &str) -> Option<(f64, f64)> {
    match leading_numbers(line, 2)?[..] {
        [temperature, compensation] => Some((temperature, compensation)),
        _ => None,
    }
}

/// Knows when the temperature is to be read, and what to do with it.
#[derive(Clone, Debug)]
pub struct Thermometer {
    compensation: Compensation,
    file: String,
    interval: f64,
    log: bool,
    due: Mono,
}

impl Thermometer {
    /// As configured, if it is; the first reading is due at once. `points`: text of the file of points, if it can
    /// be read. `log`: with lines for `tempcomp.log`.
    ///
    /// # Errors
    /// The message with which the daemon ends.
    pub fn new(
        config: &ClockConfig,
        points: Option<&str>,
        log: bool,
        now: Mono,
    ) -> Result<Option<Self>, ClockEvent> {
        let Some(config) = &config.temp_comp else {
            return Ok(None);
        };
        let points_file = || config.points().unwrap_or_default().to_owned();
        let compensation =
            Compensation::new(config, points.unwrap_or_default()).map_err(|error| match error {
                PointsError::Line => ClockEvent::BadCompensationPoint(points_file()),
                PointsError::Few => ClockEvent::FewCompensationPoints(points_file()),
            })?;
        Ok(Some(Self {
            compensation,
            file: config.file().to_owned(),
            interval: config.interval(),
            log,
            due: now,
        }))
    }

    /// The sensor file, if it is to be read now.
    pub fn due(&mut self, now: Mono) -> Option<String> {
        if now < self.due {
            return None;
        }
        self.due = now.plus(self.interval);
        Some(self.file.clone())
    }

    /// When the temperature is to be read.
    #[must_use]
    pub fn next_wakeup(&self) -> Mono {
        self.due
    }

    /// What the sensor says; `None` if it could not be read.
    pub fn read(&self, cx: &mut Cx<'_>, clock: &mut LocalClock, temperature: Option<f64>) {
        let Some(temperature) = temperature else {
            let event = ClockEvent::NoTemperature(self.file.clone());
            cx.out.events.push(Event::Clock(event));
            return;
        };
        if let Some(ppm) = self.compensation.apply(cx, clock, temperature)
            && self.log
        {
            cx.out.records.push(Record::TempComp(record::TempComp {
                time: cx.cooked,
                temperature,
                compensation: Ppm(ppm),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClockConfig;
    use crate::sync::testing::World;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn compensations_are_those_of_example_44() {
        let polynomial = Compensation::Polynomial {
            t0: 30.0,
            k: [26.0, 0.0, 0.000_183],
        };
        near(polynomial.at(35.0), 26.004_575);
        near(polynomial.at(10.0), 26.0732);
        let config = TempComp::Points {
            file: "sensor".to_owned(),
            interval: 1.0,
            points: "points".to_owned(),
        };
        let points = Compensation::new(&config, "20 1\n21 .64\n22 .36\n23 .16\n").unwrap();
        near(points.at(20.5), 0.82);
        near(points.at(19.0), 1.36);
        near(points.at(30.0), -1.24);
        assert_eq!(Compensation::new(&config, "20 1\n"), Err(PointsError::Few));
        assert_eq!(
            Compensation::new(&config, "20 1\n\n21 2\n"),
            Err(PointsError::Line)
        );
        let loose = Compensation::new(&config, "  20x\n21 2\n");
        assert_eq!(loose, Err(PointsError::Line));
        let loose = Compensation::new(&config, "\t0x14 1e0 and more\n21 2");
        assert_eq!(loose, Ok(Compensation::Points(vec![(20.0, 1.0), (21.0, 2.0)])));
    }

    #[test]
    fn readings_are_due_at_their_interval() {
        let polynomial = |interval| ClockConfig {
            temp_comp: Some(TempComp::Polynomial {
                file: "sensor".to_owned(),
                interval,
                t0: 20.0,
                k: [0.0, 1.0, 0.0],
            }),
            ..ClockConfig::default()
        };
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        for (interval, after) in [(30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (f64::NAN, 1.0)] {
            let thermometer = Thermometer::new(&polynomial(interval), None, true, Mono(5));
            let mut thermometer = thermometer.unwrap().unwrap();
            assert_eq!(thermometer.due(Mono(4)), None);
            assert_eq!(thermometer.due(Mono(5)).as_deref(), Some("sensor"));
            assert_eq!(thermometer.due(Mono(5)), None);
            assert_eq!(thermometer.next_wakeup(), Mono(5).plus(after));
        }
        let thermometer = Thermometer::new(&polynomial(1.0), None, true, Mono(0));
        let thermometer = thermometer.unwrap().unwrap();
        world.with(|cx| {
            thermometer.read(cx, &mut clock, None);
            thermometer.read(cx, &mut clock, Some(40.0));
            thermometer.read(cx, &mut clock, Some(22.0));
        });
        let texts: Vec<_> = world.out.events.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "Could not read temperature from sensor",
                "Temperature compensation of 20.000 ppm exceeds sanity limit of 10.0"
            ]
        );
        assert_eq!(world.out.records.len(), 1, "only what was applied");
        near(world.kernel.frequency, -2.0);
    }

    #[test]
    fn large_compensations_are_not_applied() {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        let compensation = Compensation::Polynomial {
            t0: 0.0,
            k: [0.0, 1.0, 0.0],
        };
        assert_eq!(world.with(|cx| compensation.apply(cx, &mut clock, 11.0)), None);
        near(world.kernel.frequency, 0.0);
        assert_eq!(
            world.out.events[0].to_string(),
            "Temperature compensation of 11.000 ppm exceeds sanity limit of 10.0"
        );
        assert_eq!(
            world.with(|cx| compensation.apply(cx, &mut clock, 5.0)),
            Some(5.0)
        );
        near(world.kernel.frequency, -5.0);
    }
}
