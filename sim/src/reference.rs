//! What chrony reaches in simulated worlds (docs/accuracy.md), and the same worlds for us.

use crate::link::{Jitter, Link};
use crate::measure::ErrorMeter;
use crate::node::{NodeId, NodeSpec};
use crate::scenario::{EPOCH, Scenario, server_config};
use crate::world::World;
use std::error::Error;

/// Accepted: RMS time error, RMS frequency error and largest time error, as multiples of chrony's.
pub const ACCEPTED: [f64; 3] = [1.15, 1.25, 1.5];
/// Accepted: time of convergence as a multiple of chrony's; one poll more is accepted as well.
pub const ACCEPTED_CONVERGENCE: f64 = 1.1;

/// Why a world could not be made.
pub type Failure = Box<dyn Error>;

/// A row of the table of steady states: from 100 polls on, for 900 polls more; with default polling from 60000 s to
/// 300000 s.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// log2 s; `None`: the default, 6 to 10.
    pub poll: Option<i32>,
    /// Mean of the exponential part of the delay, s per direction.
    pub jitter: f64,
    /// Random walk of the frequency, per second.
    pub wander: f64,
    /// RMS time error, RMS frequency error and largest time error of chrony: medians of 5 seeds.
    pub table: [f64; 3],
    /// The same of chrony 4.9: medians of 41 seeds.
    pub again: [f64; 3],
}

const fn row(poll: Option<i32>, jitter: f64, wander: f64, table: [f64; 3], again: [f64; 3]) -> Steady {
    Steady {
        poll,
        jitter,
        wander,
        table,
        again,
    }
}

/// The table of steady states.
pub const STEADY: [Steady; 9] = [
    row(
        Some(4),
        1e-5,
        1e-9,
        [2.63e-6, 6.04e-8, 9.23e-6],
        [2.60e-6, 6.14e-8, 9.06e-6],
    ),
    row(
        Some(4),
        1e-4,
        1e-10,
        [9.25e-6, 9.44e-8, 2.86e-5],
        [1.03e-5, 1.05e-7, 3.04e-5],
    ),
    row(
        Some(6),
        1e-5,
        1e-10,
        [2.13e-6, 1.09e-8, 6.85e-6],
        [2.37e-6, 1.28e-8, 7.83e-6],
    ),
    row(
        Some(6),
        1e-4,
        1e-9,
        [2.17e-5, 1.06e-7, 7.55e-5],
        [2.37e-5, 1.28e-7, 7.88e-5],
    ),
    row(
        Some(6),
        1e-3,
        1e-8,
        [1.93e-4, 1.04e-6, 6.99e-4],
        [2.15e-4, 1.44e-6, 7.94e-4],
    ),
    row(
        Some(8),
        1e-4,
        1e-8,
        [1.20e-4, 5.99e-7, 5.70e-4],
        [1.23e-4, 6.17e-7, 5.48e-4],
    ),
    row(
        Some(10),
        1e-3,
        1e-11,
        [6.22e-5, 1.11e-8, 1.99e-4],
        [6.80e-5, 1.39e-8, 2.33e-4],
    ),
    row(
        None,
        1e-4,
        1e-9,
        [9.56e-5, 1.38e-7, 3.85e-4],
        [9.76e-5, 1.50e-7, 4.00e-4],
    ),
    row(
        None,
        1e-3,
        1e-10,
        [1.70e-4, 5.58e-8, 5.00e-4],
        [1.56e-4, 5.17e-8, 4.52e-4],
    ),
];

impl Steady {
    /// `poll 6, jitter 1e-4, wander 1e-9`
    #[must_use]
    pub fn name(&self) -> String {
        let poll = self.poll.map_or("default".to_owned(), |poll| poll.to_string());
        format!("poll {poll}, jitter {:e}, wander {:e}", self.jitter, self.wander)
    }

    /// The world.
    #[must_use]
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::new(self.jitter, self.wander, seed);
        if let Some(poll) = self.poll {
            scenario.source.minpoll = poll;
            scenario.source.maxpoll = poll;
        }
        scenario
    }

    /// Our figures, in the order of [`Steady::table`].
    ///
    /// # Errors
    /// If the world can't be made.
    pub fn measure(&self, seed: u64) -> Result<[f64; 3], Failure> {
        let (from, until) = self
            .poll
            .map_or((60_000, 300_000), |poll| (100 << poll, 1000 << poll));
        let meter = self.scenario(seed).measure(from, until)?;
        Ok([meter.rms_time(), meter.rms_frequency(), meter.max_time()])
    }
}

/// A row of the table of convergence.
#[derive(Clone, Copy, Debug)]
pub struct Convergence {
    /// Options of the source.
    pub options: &'static str,
    /// Another line of the configuration.
    pub line: Option<&'static str>,
    /// log2 s
    pub poll: i32,
    /// Jitter (s), and chrony's seconds until the error stays below 1 ms.
    pub table: [(f64, f64); 3],
}

/// The table of convergence.
pub const CONVERGENCE: [Convergence; 4] = [
    Convergence {
        options: "",
        line: None,
        poll: 6,
        table: [(1e-5, 131.0), (1e-4, 131.0), (1e-3, 198.0)],
    },
    Convergence {
        options: "iburst",
        line: None,
        poll: 6,
        table: [(1e-5, 6.0), (1e-4, 6.0), (1e-3, 74.0)],
    },
    Convergence {
        options: "iburst minpoll 4 maxpoll 4",
        line: None,
        poll: 4,
        table: [(1e-5, 6.0), (1e-4, 6.0), (1e-3, 24.0)],
    },
    Convergence {
        options: "iburst",
        line: Some("maxslewrate 500"),
        poll: 6,
        table: [(1e-5, 204.0), (1e-4, 203.0), (1e-3, 217.0)],
    },
];

impl Convergence {
    /// Seconds until our error stays below 1 ms.
    ///
    /// # Errors
    /// If the world can't be made.
    pub fn measure(&self, jitter: f64, seed: u64) -> Result<f64, Failure> {
        let (mut world, client) = world(seed, &[0.0], self.options, self.line)?;
        world.set_default_link(Link::exponential(1e-4, jitter));
        let mut meter = ErrorMeter::new(0, 1e-3);
        world.run_metered(6000.0, client, |second, error| meter.add(second, error));
        Ok(meter.converged_at() as f64)
    }

    /// Most that is accepted where chrony needs `seconds`.
    #[must_use]
    pub fn accepted(&self, seconds: f64) -> f64 {
        ACCEPTED_CONVERGENCE * seconds + f64::from(1 << self.poll)
    }
}

/// A row of the table of other conditions: jitter 1e-4, wander 1e-9.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// What is different.
    pub name: &'static str,
    /// RMS time error of chrony, median of 5 seeds, s.
    pub table: f64,
    /// The same of chrony 4.9, median of 21 seeds.
    pub again: f64,
    /// Errors of the servers, s.
    servers: &'static [f64],
    options: &'static str,
    poll: i32,
    /// Links to the client and from it, if there is something about them.
    links: Option<(Link, Link)>,
}

const LOSSY: Link = Link {
    loss: 0.1,
    ..plain(1e-4)
};

const fn plain(jitter: f64) -> Link {
    Link {
        delay: 1e-4,
        jitter: Jitter::Exponential(jitter),
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        hold: 0.0,
        down: false,
    }
}

/// The table of other conditions.
pub const CONDITIONS: [Condition; 5] = [
    Condition {
        name: "3 servers, 1 falseticker",
        table: 2.43e-5,
        again: 2.23e-5,
        servers: &[0.0, 0.0, 1.0],
        options: "minpoll 6 maxpoll 6",
        poll: 6,
        links: None,
    },
    Condition {
        name: "asymmetric jitter",
        table: 7.15e-6,
        again: 6.87e-6,
        servers: &[0.0],
        options: "minpoll 6 maxpoll 6",
        poll: 6,
        links: Some((plain(2e-4), plain(0.0))),
    },
    Condition {
        name: "10 % loss",
        table: 2.62e-5,
        again: 2.56e-5,
        servers: &[0.0],
        options: "minpoll 6 maxpoll 6",
        poll: 6,
        links: Some((LOSSY, LOSSY)),
    },
    Condition {
        name: "filter 5",
        table: 1.90e-5,
        again: 1.93e-5,
        servers: &[0.0],
        options: "minpoll 4 maxpoll 4 filter 5",
        poll: 4,
        links: None,
    },
    Condition {
        name: "maxdelayquant 0.5",
        table: 1.00e-5,
        again: 1.15e-5,
        servers: &[0.0],
        options: "minpoll 4 maxpoll 4 maxdelayquant 0.5",
        poll: 4,
        links: None,
    },
];

impl Condition {
    /// Our RMS time error, s.
    ///
    /// # Errors
    /// If the world can't be made.
    pub fn measure(&self, seed: u64) -> Result<f64, Failure> {
        let (mut world, client) = world(seed, self.servers, self.options, None)?;
        if let Some((to, from)) = self.links {
            world.set_link(NodeId(0), client, to);
            world.set_link(client, NodeId(0), from);
        }
        let mut meter = ErrorMeter::new(100 << self.poll, 1e-3);
        world.run_metered(f64::from(1000 << self.poll), client, |second, error| {
            meter.add(second, error);
        });
        Ok(meter.rms_time())
    }
}

/// Chrony's largest error (s) after a step of the frequency by 1 ppm, and seconds until the error stays below five
/// times what it was before: poll 6, jitter 1e-5.
pub const FREQUENCY_STEP: (f64, f64) = (9.47e-5, 406.0);

/// Our figures, as in [`FREQUENCY_STEP`].
///
/// # Errors
/// If the world can't be made.
pub fn frequency_step(seed: u64) -> Result<(f64, f64), Failure> {
    const BEFORE: i64 = 50_000;
    let (mut world, client) = world(seed, &[0.0], "minpoll 6 maxpoll 6", None)?;
    world.set_default_link(Link::exponential(1e-4, 1e-5));
    let mut before = ErrorMeter::new(10_000, 1e-3);
    world.run_metered(BEFORE as f64, client, |second, error| before.add(second, error));
    world.clock(client).oscillator().shift(1e-6);
    let mut after = ErrorMeter::new(BEFORE, 5.0 * before.rms_time());
    world.run_metered(2000.0, client, |second, error| after.add(second, error));
    Ok((after.max_time(), (after.converged_at() - BEFORE) as f64))
}

/// Servers that are fast by these seconds, and a client with these options for each of them; jitter 1e-4, wander
/// 1e-9.
fn world(seed: u64, servers: &[f64], options: &str, line: Option<&str>) -> Result<(World, NodeId), Failure> {
    let mut world = World::new(EPOCH, seed);
    world.set_default_link(plain(1e-4));
    let mut lines: Vec<String> = line.map(str::to_owned).into_iter().collect();
    for &offset in servers {
        let node = world.add(NodeSpec::perfect(server_config(1)).fast_by(offset, 0.0))?;
        lines.push(format!("server {} {options}", World::address(node)));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = NodeSpec::reading(&lines)?.fast_by(0.1, 1e-4).wandering(1e-9);
    let client = world.add(client)?;
    Ok((world, client))
}
