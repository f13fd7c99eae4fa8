//! What the configuration means together with the command line and the compiled-in defaults
//! (`spec/config.md` 6.4 and 6.2, `-Q`).

use super::Fatal;
use crate::args::{Args, Mode};
use crate::config_files::{self, Origin};
use crate::logs;
use crate::net::CommandSpec;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::thread::available_parallelism;
use truechimer_engine::config::{CommandSocket, Config, Options, SourceKind, unsupported};
use truechimer_engine::wire::ntp;

const RUN_DIRECTORY: &str = "/run/chrony";
const COMMAND_PORT: u16 = 323;

/// Everything that is to be done, with all defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The configuration; its ports are set.
    pub(super) config: Config,
    /// Path of the PID file.
    pub(super) pid_file: Option<String>,
    /// Command sockets.
    pub(super) commands: CommandSpec,
}

/// Where the configuration comes from.
#[must_use]
pub(super) fn origin(args: &Args) -> Origin {
    if args.directives.is_empty() {
        Origin::File(args.config_file.clone())
    } else {
        Origin::Directives(args.directives.clone())
    }
}

/// Reads the configuration. With `-p` it is printed as far as it is right.
///
/// # Errors
/// It is wrong, or wants something that this build lacks.
pub(super) fn read(args: &Args) -> Result<Settings, Fatal> {
    let options = Options {
        restarted: args.restart,
        keep_lines: args.print_config,
        ..Options::default()
    };
    let reading = config_files::read(&origin(args), args.family, options);
    if args.print_config {
        // Whoever closed stdout does not want to know.
        let _ = config_files::print(&reading.lines, &mut std::io::stdout());
    }
    for warning in &reading.warnings {
        logs::warning(warning);
    }
    let config = reading.result.map_err(Fatal::new)?;
    if !args.print_config
        && let Some(missing) = unsupported(&config).first()
    {
        return Err(Fatal::new(missing));
    }
    Ok(Settings::new(config, args.mode))
}

impl Settings {
    fn new(mut config: Config, mode: Mode) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        config.network.server_threads = config.network.server_threads.resolved(cores);
        let query = mode == Mode::Query;
        let default = |port| if query { 0 } else { port };
        let network = &mut config.network;
        network.port.get_or_insert(default(ntp::PORT));
        let port = *network.cmd_port.get_or_insert(default(COMMAND_PORT));
        let v4 = SocketAddr::from((network.bind_cmd_v4.unwrap_or(Ipv4Addr::LOCALHOST), port));
        let v6 = SocketAddr::from((network.bind_cmd_v6.unwrap_or(Ipv6Addr::LOCALHOST), port));
        let unix = match &network.command_socket {
            CommandSocket::Default => (!query).then(|| format!("{RUN_DIRECTORY}/chronyd.sock")),
            CommandSocket::Disabled => None,
            CommandSocket::Path(path) => Some(path.clone()),
        };
        let pid_file = match config.files.pid_file.as_deref() {
            None => (!query).then(|| format!("{RUN_DIRECTORY}/chronyd.pid")),
            Some("/") => None,
            Some(path) => Some(path.to_owned()),
        };
        let udp = |address| (port != 0).then_some(address);
        Self {
            commands: CommandSpec {
                unix,
                v4: udp(v4),
                v6: udp(v6),
            },
            pid_file,
            config,
        }
    }

    /// The server's port if it may have to be bound after the start: when somebody can ask for that (`commands`:
    /// there is a socket for `chronyc allow`), or for sources and broadcasts that are yet to come. 0: never.
    pub(super) fn port_of_later(&self, commands: bool) -> u16 {
        let config = &self.config;
        let network = &config.network;
        let port = network.port.unwrap_or(0);
        let later = commands
            || config
                .sources
                .iter()
                .any(|source| source.kind == SourceKind::Peer)
            || !config.source_dirs.is_empty()
            || !network.broadcasts.is_empty()
            || network.acquisition_port == Some(port);
        if later { port } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let settings = Settings::new(Config::default(), Mode::Normal);
        assert_eq!(settings.config.network.port, Some(123));
        assert_eq!(settings.pid_file.as_deref(), Some("/run/chrony/chronyd.pid"));
        assert_eq!(
            settings.commands.unix.as_deref(),
            Some("/run/chrony/chronyd.sock")
        );
        assert_eq!(settings.commands.v4, Some("127.0.0.1:323".parse().unwrap()));
        assert_eq!(settings.commands.v6, Some("[::1]:323".parse().unwrap()));
    }

    #[test]
    fn a_query_disturbs_nobody() {
        let settings = Settings::new(Config::default(), Mode::Query);
        assert_eq!(
            (settings.pid_file, settings.commands),
            (None, CommandSpec::default())
        );
        assert_eq!(settings.config.network.port, Some(0));
        let mut config = Config::default();
        config.network.cmd_port = Some(1323);
        config.files.pid_file = Some("/x".to_owned());
        let settings = Settings::new(config, Mode::Query);
        assert!(settings.commands.v4.is_some() && settings.pid_file.is_some());
    }

    #[test]
    fn a_port_that_nobody_can_ask_for_is_not_opened_again() {
        let mut settings = Settings::new(Config::default(), Mode::Normal);
        assert_eq!(
            (settings.port_of_later(true), settings.port_of_later(false)),
            (123, 0)
        );
        settings.config.source_dirs.push(vec!["/x".to_owned()]);
        assert_eq!(settings.port_of_later(false), 123);
    }

    #[test]
    fn a_slash_disables() {
        let mut config = Config::default();
        config.files.pid_file = Some("/".to_owned());
        config.network.command_socket = CommandSocket::Disabled;
        let settings = Settings::new(config, Mode::Normal);
        assert!(settings.pid_file.is_none() && settings.commands.unix.is_none());
    }
}
