//! Temperature compensation: from a temperature to a frequency (`spec/sync.md` 8.2).

use super::clock::LocalClock;
use super::cx::Cx;
use crate::config::TempComp;
use crate::event::{Event, clock::ClockEvent};

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

    /// Applies the compensation of a measured temperature to the clock.
    pub fn apply(&self, cx: &mut Cx<'_>, clock: &mut LocalClock, temperature: f64) {
        let ppm = self.at(temperature);
        if ppm.abs() <= MAX_COMPENSATION {
            clock.set_temp_comp(cx, ppm);
        } else {
            let event = ClockEvent::CompensationTooLarge(ppm, MAX_COMPENSATION);
            cx.out.events.push(Event::Clock(event));
        }
    }
}

fn point(line: &str) -> Option<(f64, f64)> {
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??))
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
    }

    #[test]
    fn large_compensations_are_not_applied() {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        let compensation = Compensation::Polynomial {
            t0: 0.0,
            k: [0.0, 1.0, 0.0],
        };
        world.with(|cx| compensation.apply(cx, &mut clock, 11.0));
        near(world.kernel.frequency, 0.0);
        assert_eq!(
            world.out.events[0].to_string(),
            "Temperature compensation of 11.000 ppm exceeds sanity limit of 10.0"
        );
        world.with(|cx| compensation.apply(cx, &mut clock, 5.0));
        near(world.kernel.frequency, -5.0);
    }
}
