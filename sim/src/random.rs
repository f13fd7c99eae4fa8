//! Distributions on top of the engine's seeded generator.

use truechimer_engine::random::{Random, Seeded};

/// Draws from common distributions.
#[derive(Clone, Debug)]
pub struct Draw {
    bits: Seeded,
    /// The polar method makes two normal numbers at a time.
    spare: Option<f64>,
}

impl Draw {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            bits: Seeded::new(seed),
            spare: None,
        }
    }

    /// Uniform in [0, 1].
    pub fn uniform(&mut self) -> f64 {
        self.bits.uniform()
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = x * x + y * y;
            if s > 0.0 && s < 1.0 {
                let scale = libm::sqrt(-2.0 * libm::log(s) / s);
                self.spare = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - 0.999_999_999_999 * self.uniform())
    }

    /// A generator of its own for one part of a world, so that parts don't disturb each other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits.bits64())
    }

    /// The bits themselves, for an engine.
    pub fn seeded(&mut self) -> Seeded {
        Seeded::new(self.bits.bits64())
    }
}
