//! What a world is made of: nodes, their sockets, and how to make them.

use crate::clock::SimClock;
use crate::oscillator::Temperature;
#[cfg(doc)]
use crate::world::World;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use truechimer_engine::config::{
    AddressFamily, Config, ConfigError, Environment, Loader, Options, SourceConfig, Unsearchable,
};
use truechimer_engine::engine::{Engine, Mode, StartError};
use truechimer_engine::event::{Event, record::Record};
use truechimer_engine::io::{Mail, Role, SocketId, SocketSpec};

/// First port of sockets that don't ask for one.
pub(crate) const EPHEMERAL: u16 = 32_768;

/// A node of a world: 0 is the first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub usize);

/// How to make a node.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// What its `chrony.conf` says.
    pub config: Config,
    /// Error of the clock at start, s; positive: fast.
    pub offset: f64,
    /// Error of the frequency, s/s; positive: fast.
    pub frequency: f64,
    /// Random walk of the frequency, standard deviation per second.
    pub wander: f64,
    /// As with `chronyd -x`.
    pub no_control: bool,
    /// Temperature of the oscillator.
    pub temperature: Option<Temperature>,
    /// Contents of the file of `leapseclist`.
    pub leap_list: Option<String>,
    /// Contents of the file of the time zone of `leapsectz`.
    pub leap_zone: Option<Vec<u8>>,
    /// Contents of the file of points of `tempcomp`.
    pub temp_points: Option<String>,
    /// Contents of the key file.
    pub keys: Option<Vec<u8>>,
    /// Its address; without, the one of [`World::address`].
    pub address: Option<Ipv4Addr>,
}

impl NodeSpec {
    /// A node with a perfect clock.
    #[must_use]
    pub fn perfect(config: Config) -> Self {
        Self {
            config,
            offset: 0.0,
            frequency: 0.0,
            wander: 0.0,
            no_control: false,
            temperature: None,
            leap_list: None,
            leap_zone: None,
            temp_points: None,
            keys: None,
            address: None,
        }
    }

    /// A node that reads these lines as its `chrony.conf`, with a perfect clock.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn reading(lines: &[&str]) -> Result<Self, ConfigError> {
        let mut environment = NoFiles;
        let mut loader = Loader::new(&mut environment, Options::default());
        loader.directives(lines)?;
        Ok(Self::perfect(loader.finish()))
    }

    /// The same with the clock `offset` s and `frequency` (s/s) fast.
    #[must_use]
    pub fn fast_by(mut self, offset: f64, frequency: f64) -> Self {
        (self.offset, self.frequency) = (offset, frequency);
        self
    }

    /// The same with a random walk of the frequency.
    #[must_use]
    pub fn wandering(mut self, wander: f64) -> Self {
        self.wander = wander;
        self
    }
}

/// How a node's daemon is started, beside its configuration.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// `-q`, `-Q`
    pub mode: Mode,
    /// `-4`, `-6`
    pub family: AddressFamily,
    /// `-R`
    pub restarted: bool,
    /// Text of the drift file, if there is one.
    pub drift: Option<String>,
    /// `-r`: dump files, by name.
    pub dumps: BTreeMap<String, String>,
    /// What the `sourcedir` files say.
    pub source_files: Vec<SourceConfig>,
}

/// Configurations in a simulation stand for themselves.
struct NoFiles;

impl Environment for NoFiles {
    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Err("No such file or directory".to_owned())
    }

    fn glob(&mut self, _: &str) -> Result<Vec<String>, Unsearchable> {
        Err(Unsearchable)
    }

    fn resolve(&mut self, _: &str) -> Option<IpAddr> {
        None
    }
}

/// Why a world could not be made.
#[derive(Debug)]
pub enum WorldError {
    /// The engine of this node refused its configuration.
    Start(NodeId, StartError),
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(node, error) => write!(f, "node {}: {error}", node.0 + 1),
        }
    }
}

impl std::error::Error for WorldError {}

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) clock: SimClock,
    pub(crate) address: IpAddr,
    /// Engine's number -> local port and what it is connected to.
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    pub(crate) next_port: u16,
    /// True time of the timer that is armed, and its serial number.
    pub(crate) wakeup: Option<(i64, u64)>,
    /// True time at which a suspended machine wakes up.
    pub(crate) asleep_until: Option<i64>,
    pub(crate) exited: Option<u8>,
    pub(crate) log: Vec<(i64, Event)>,
    pub(crate) records: Vec<Record>,
    pub(crate) drift: Option<(f64, f64)>,
    /// Dump files by name.
    pub(crate) dumps: BTreeMap<String, String>,
    /// What the `sourcedir` files say.
    pub(crate) source_files: Vec<SourceConfig>,
    /// Sockets of the server can't be opened.
    pub(crate) no_server_sockets: bool,
    pub(crate) mails: Vec<Mail>,
    pub(crate) replies: Vec<Vec<u8>>,
    pub(crate) sent: u64,
}

pub(crate) struct Socket {
    pub(crate) port: u16,
    pub(crate) remote: Option<SocketAddr>,
}

impl Node {
    /// Opens a socket. False if that is not possible.
    pub(crate) fn open(&mut self, id: SocketId, spec: &SocketSpec) -> bool {
        let socket = match *spec {
            SocketSpec::Client { remote, .. } => {
                self.next_port = self.next_port.checked_add(1).unwrap_or(EPHEMERAL);
                Socket {
                    port: self.next_port,
                    remote: Some(remote),
                }
            }
            SocketSpec::Bound { local, role } => {
                // There is only one address family in this world.
                if local.is_ipv6() || role == Role::Server && self.no_server_sockets {
                    return false;
                }
                Socket {
                    port: local.port(),
                    remote: None,
                }
            }
        };
        self.sockets.insert(id, socket);
        true
    }

    pub(crate) fn socket_for(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketId> {
        let here = |socket: &&Socket| socket.port == to.port() && socket.remote.is_none_or(|r| r == from);
        self.sockets
            .iter()
            .find(|(_, socket)| here(socket))
            .map(|(id, _)| *id)
    }
}
