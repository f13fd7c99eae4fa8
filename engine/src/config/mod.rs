//! `chrony.conf` as values that cannot be invalid (`spec/config.md`).
//!
//! [`Config`] holds the meaning of all directives; defaults are chrony's. One file a family of directives: the
//! values here, their syntax in `directives`. A [`Loader`] makes a `Config` of files and arguments;
//! [`unsupported()`] says which features of it this build lacks.

mod access;
mod clock;
mod directives;
mod error;
mod files;
mod line;
mod loader;
mod network;
mod options;
mod problem;
mod refclock;
mod search;
mod selection;
mod source;
mod unsupported;
mod value;

#[cfg(test)]
mod tests;

pub use access::{AccessRule, RateLimit, Subnet};
pub use clock::{
    ClockConfig, FallbackDrift, LeapMode, MailOnChange, MakeStep, MaxChange, SmoothTime, TempComp,
};
pub use error::{ConfigError, LineError, Place, Warning};
pub use files::{FileConfig, Logs};
pub use loader::{Environment, KeptLine, Loader, Options, Unsearchable};
pub use network::{
    Broadcast, CommandSocket, HwTimestamp, LocalMode, MAX_SERVER_THREADS, NetworkConfig, NtsConfig,
    OpenCommands, RxFilter, ServerThreads,
};
pub use problem::Problem;
pub use refclock::RefclockConfig;
pub use search::{ignored_sources, source_files, source_paths};
pub use selection::{AuthSelectMode, SelectionConfig};
pub use source::{AddressFamily, SelectOptions, SourceConfig, SourceKind};
pub use unsupported::{Unsupported, unsupported};
pub use value::leading_number;
pub(crate) use value::leading_numbers;

/// Everything that configuration files and directives on the command line say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `server`, `pool`, `peer`, in order.
    pub sources: Vec<SourceConfig>,
    /// `refclock`, in order.
    pub refclocks: Vec<RefclockConfig>,
    /// `sourcedir`, in order; each with its directories.
    pub source_dirs: Vec<Vec<String>>,
    /// `initstepslew`: threshold (s) and servers.
    pub init_step_slew: Option<(f64, Vec<std::net::IpAddr>)>,
    /// The system clock, real-time clock and reference.
    pub clock: ClockConfig,
    /// Source selection.
    pub selection: SelectionConfig,
    /// NTP client and server, commands, timestamps, NTS.
    pub network: NetworkConfig,
    /// Files, logs, process.
    pub files: FileConfig,
}
