//! The world in which accuracy is measured: a perfect `local stratum 1` server and one client.

use crate::link::Link;
use crate::measure::ErrorMeter;
use crate::node::{NodeId, NodeSpec, WorldError};
use crate::world::World;
use truechimer_engine::config::{AccessRule, Config, LocalMode, SourceConfig, SourceKind, Subnet};

/// Unix second at which measured worlds start.
pub const EPOCH: i64 = 1_780_000_000;

/// What is varied between measurements.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The client's configuration, without its source.
    pub config: Config,
    /// The client's source; the name is replaced by the server's address.
    pub source: SourceConfig,
    /// Mean of the exponential part of the delay, s per direction.
    pub jitter: f64,
    /// Random walk of the client's frequency, per second.
    pub wander: f64,
    /// Seed of the world.
    pub seed: u64,
}

impl Scenario {
    /// A client with default options.
    #[must_use]
    pub fn new(jitter: f64, wander: f64, seed: u64) -> Self {
        Self {
            config: Config::default(),
            source: SourceConfig::new(SourceKind::Server, ""),
            jitter,
            wander,
            seed,
        }
    }

    /// The world, and the client in it: 0.1 s and 100 ppm fast at start.
    ///
    /// # Errors
    /// If an engine refuses its configuration.
    pub fn world(&self) -> Result<(World, NodeId), WorldError> {
        let mut world = World::new(EPOCH, self.seed);
        world.set_default_link(Link::exponential(1e-4, self.jitter));
        let server = world.add(NodeSpec::perfect(server_config(1)))?;
        let mut config = self.config.clone();
        config.network.port = Some(0);
        let mut source = self.source.clone();
        source.name = World::address(server).to_string();
        config.sources.push(source);
        let client = NodeSpec {
            offset: 0.1,
            frequency: 1e-4,
            wander: self.wander,
            ..NodeSpec::perfect(config)
        };
        let client = world.add(client)?;
        Ok((world, client))
    }

    /// Runs until true second `until`; errors count from true second `from` on.
    ///
    /// # Errors
    /// If an engine refuses its configuration.
    pub fn measure(&self, from: i64, until: i64) -> Result<ErrorMeter, WorldError> {
        let (mut world, client) = self.world()?;
        let mut meter = ErrorMeter::new(from, 1e-3);
        world.run_metered(until as f64, client, |second, error| meter.add(second, error));
        Ok(meter)
    }
}

/// Configuration of a server that serves its own clock to everybody.
#[must_use]
pub fn server_config(stratum: u8) -> Config {
    let mut config = Config::default();
    config.network.local = Some(LocalMode {
        stratum,
        orphan: false,
        distance: 1.0,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 0.0,
    });
    config.network.access.push(AccessRule {
        allow: true,
        all: false,
        subnet: Subnet::Any,
    });
    config
}
