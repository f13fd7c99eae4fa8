//! The hardware below a clock: what it does when nobody corrects it.

use crate::random::Draw;

/// An oscillator with a frequency error that wanders.
#[derive(Clone, Debug)]
pub struct Oscillator {
    frequency: f64,
    wander: f64,
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
            draw,
        }
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
        if self.wander != 0.0 {
            self.frequency += self.wander * self.draw.normal();
        }
    }
}
