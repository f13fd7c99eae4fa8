//! The hardware below a clock: what it does when nobody corrects it.

use crate::random::Draw;

/// The temperature of an oscillator, which goes up and down like a sine, and what it does to the frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// In the middle, and at the start; degrees.
    pub mean: f64,
    /// How far it goes up and down, degrees.
    pub swing: f64,
    /// Time from one maximum to the next, s.
    pub period: f64,
    /// Change of the frequency, s/s per degree above the mean; positive: faster when warmer.
    pub effect: f64,
}

impl Temperature {
    /// Degrees above the mean after `seconds`.
    fn above(&self, seconds: f64) -> f64 {
        self.swing * libm::sin(std::f64::consts::TAU * seconds / self.period)
    }
}

/// An oscillator with a frequency error that wanders.
#[derive(Clone, Debug)]
pub struct Oscillator {
    frequency: f64,
    wander: f64,
    temperature: Option<Temperature>,
    /// Part of `frequency` that the temperature makes.
    warmth: f64,
    seconds: u64,
    draw: Draw,
}

impl Oscillator {
    /// `frequency`: s gained per true s (1e-4: 100 ppm fast). `wander`: standard deviation of the normal step
    /// of the frequency, once per true second.
    #[must_use]
    pub fn new(frequency: f64, wander: f64, draw: Draw) -> Self {
        Self {
            frequency,
            wander,
            temperature: None,
            warmth: 0.0,
            seconds: 0,
            draw,
        }
    }

    /// The same at a temperature that changes, beginning at its mean.
    #[must_use]
    pub fn at_temperature(mut self, temperature: Option<Temperature>) -> Self {
        self.temperature = temperature;
        self
    }

    /// The temperature now, degrees, if this oscillator has one.
    #[must_use]
    pub fn temperature(&self) -> Option<f64> {
        self.temperature.map(|t| t.mean + t.above(self.seconds as f64))
    }

    /// Seconds gained per true second, now.
    #[must_use]
    pub fn frequency(&self) -> f64 {
        self.frequency
    }

    /// A sudden change, s/s.
    pub fn shift(&mut self, by: f64) {
        self.frequency += by;
    }

    /// One true second has passed.
    pub(crate) fn tick(&mut self) {
        self.seconds += 1;
        if let Some(temperature) = self.temperature {
            let warmth = temperature.effect * temperature.above(self.seconds as f64);
            self.frequency += warmth - self.warmth;
            self.warmth = warmth;
        }
        if self.wander != 0.0 {
            self.frequency += self.wander * self.draw.normal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequency_follows_the_temperature() {
        let temperature = Temperature {
            mean: 25.0,
            swing: 5.0,
            period: 400.0,
            effect: 1e-7,
        };
        let mut oscillator = Oscillator::new(1e-5, 0.0, Draw::new(1)).at_temperature(Some(temperature));
        assert_eq!(oscillator.temperature(), Some(25.0));
        let mut after = |seconds: u32| {
            (0..seconds).for_each(|_| oscillator.tick());
            (oscillator.temperature(), oscillator.frequency())
        };
        let (warm, fast) = after(100);
        assert_eq!(warm, Some(30.0));
        assert!((fast - 1.05e-5).abs() < 1e-15);
        let (cold, slow) = after(200);
        assert_eq!(cold, Some(20.0));
        assert!((slow - 0.95e-5).abs() < 1e-15);
    }
}
