//! The path between two nodes, one direction.

use crate::random::Draw;

/// How the delay of a packet varies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Exponential with this mean, s.
    Exponential(f64),
    /// Normal with this standard deviation, s; never below the base delay.
    Normal(f64),
}

/// One direction of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Shortest delay, s.
    pub delay: f64,
    /// What is added to it.
    pub jitter: Jitter,
    /// Probability that a packet is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a packet arrives twice, 0 to 1.
    pub duplication: f64,
    /// Probability that a packet is held back for [`Link::hold`], so that later ones overtake it, 0 to 1.
    pub reordering: f64,
    /// How long such a packet is held back, s.
    pub hold: f64,
    /// Nothing passes.
    pub down: bool,
}

impl Default for Link {
    /// 100 us and nothing else.
    fn default() -> Self {
        Self {
            delay: 1e-4,
            jitter: Jitter::Exponential(0.0),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            hold: 0.0,
            down: false,
        }
    }
}

impl Link {
    /// A path with the given base delay and exponential jitter of mean `jitter`, s.
    #[must_use]
    pub fn exponential(delay: f64, jitter: f64) -> Self {
        Self {
            delay,
            jitter: Jitter::Exponential(jitter),
            ..Self::default()
        }
    }

    /// Delays (s) of the copies of one packet that arrive.
    pub(crate) fn arrivals(&self, draw: &mut Draw) -> impl Iterator<Item = f64> + use<> {
        let lost = self.down || (self.loss > 0.0 && draw.uniform() < self.loss);
        let first = (!lost).then(|| self.one(draw));
        let twice = !lost && self.duplication > 0.0 && draw.uniform() < self.duplication;
        let second = twice.then(|| self.one(draw));
        first.into_iter().chain(second)
    }

    fn one(&self, draw: &mut Draw) -> f64 {
        let extra = match self.jitter {
            Jitter::Exponential(mean) => mean * draw.exponential(),
            Jitter::Normal(sd) => (sd * draw.normal()).max(0.0),
        };
        let held = self.reordering > 0.0 && draw.uniform() < self.reordering;
        self.delay + extra + if held { self.hold } else { 0.0 }
    }
}
