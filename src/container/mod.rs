//! `chronyd-container`, the entry point of the image: finds or makes the configuration, puts the directories right and
//! becomes `chronyd -d`. It has no child, so that signals reach the daemon.

mod directories;
mod environment;

use crate::args::{self, Args, DEFAULT_CONFIG, Mode};
use crate::config_files::{ConfigFiles, Origin, load};
use crate::logs::{self, MessageLog};
use crate::privilege::RunUser;
use crate::sys::error::{reason, text};
use crate::sys::process::{Capability, has_capability};
use directories::State;
use environment::{Control, NoNames, Rights, Wishes};
use nix::unistd::geteuid;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;
use truechimer_engine::config::{CommandSocket, Config, Loader, Options};
use truechimer_engine::event::Severity;

const CHRONYD: &str = "/usr/sbin/chronyd";
const RUN: &str = "/run/chrony";
const STATE: &str = "/var/lib/chrony";
const SOCKET: &str = "/run/chrony/chronyd.sock";
const PID_FILE: &str = "/run/chrony/chronyd.pid";
/// Where a configuration may be mounted.
const MOUNTED: [&str; 2] = [DEFAULT_CONFIG, "/etc/chrony.conf"];

/// Why the daemon is not started.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Variable(#[from] environment::VariableError),
    #[error("ENABLE_SYSCLK is on, but CAP_SYS_TIME is missing; add --cap-add=SYS_TIME")]
    Powerless,
    #[error("{0} is a directory: the file mounted there does not exist on the host")]
    Mount(&'static str),
    #[error("Could not execute {CHRONYD} : {0}")]
    Exec(String),
}

/// `chronyd-container`: the whole program.
#[must_use]
pub fn main() -> ExitCode {
    let log = MessageLog::install();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let error = match command_line(&log, arguments) {
        Ok(line) => execute(line),
        Err(refusal) => refusal,
    };
    logs::log(Severity::Fatal, error);
    ExitCode::FAILURE
}

/// Becomes the daemon; returns only if that fails.
fn execute(line: Vec<OsString>) -> Refusal {
    let line: Result<Vec<CString>, _> = line
        .into_iter()
        .map(|argument| CString::new(argument.into_vec()))
        .collect();
    let path = CString::new(CHRONYD);
    match (path, line) {
        (Ok(path), Ok(line)) => match nix::unistd::execv(&path, &line) {
            Err(error) => Refusal::Exec(text(error as i32)),
        },
        // Arguments come from a command line, which has no NUL in them.
        _ => Refusal::Exec(text(nix::libc::EINVAL)),
    }
}

/// Prepares everything and gives the daemon's command line, with its name.
fn command_line(log: &MessageLog, mut given: Vec<OsString>) -> Result<Vec<OsString>, Refusal> {
    // Somebody who knows what is run may name it.
    if given
        .first()
        .is_some_and(|first| first == "chronyd" || first == CHRONYD)
    {
        given.remove(0);
    }
    let mut line: Vec<OsString> = vec![CHRONYD.into(), "-d".into()];
    let Ok(args) = args::parse(&given) else {
        // Help, the version, or a mistake, for all of which the daemon has its words.
        line.extend(given);
        return Ok(line);
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    let wishes = Wishes::read(&variables.collect())?;
    if let Some(level) = wishes.threshold {
        log.set_threshold(severity(level));
        line.extend(["-L".into(), level.to_string().into()]);
    }
    if !geteuid().is_root() {
        line.push("-U".into());
    }
    let clock = controls(&wishes, &args)?;
    if args.control_clock && !clock {
        line.push("-x".into());
    }
    line.extend(given);

    let source = origin(&args)?;
    let directives = if args.print_config || args.check_config || args.mode != Mode::Normal {
        only_look(source, &wishes, clock)
    } else {
        prepare(source, &args, &wishes, clock)
    };
    line.extend(directives.into_iter().map(OsString::from));
    Ok(line)
}

fn severity(level: i32) -> Severity {
    match level {
        ..=0 => Severity::Info,
        1 => Severity::Warning,
        2 => Severity::Error,
        _ => Severity::Fatal,
    }
}

/// Whether the daemon is to control the clock.
fn controls(wishes: &Wishes, args: &Args) -> Result<bool, Refusal> {
    if !args.control_clock {
        return Ok(false);
    }
    let allowed = has_capability(Capability::SysTime);
    match wishes.control {
        Control::No => Ok(false),
        Control::Yes if !allowed => Err(Refusal::Powerless),
        // Setting the clock was asked for: the daemon says why it can't.
        Control::Auto
            if !allowed && args.mode == Mode::Normal && !args.print_config && !args.check_config =>
        {
            logs::info(
                "CAP_SYS_TIME is missing: serving without controlling the clock (-x); add --cap-add=SYS_TIME to control it",
            );
            Ok(false)
        }
        Control::Auto | Control::Yes => Ok(true),
    }
}

/// What is configured by arguments or a file; `None`: nothing is.
fn origin(args: &Args) -> Result<Option<Origin>, Refusal> {
    if !args.directives.is_empty() {
        return Ok(Some(Origin::Directives(args.directives.clone())));
    }
    if args.config_file != DEFAULT_CONFIG {
        return Ok(Some(Origin::File(args.config_file.clone())));
    }
    for path in MOUNTED {
        // What an engine makes of a file that isn't there.
        if Path::new(path).is_dir() {
            return Err(Refusal::Mount(path));
        }
        if Path::new(path).exists() {
            return Ok(Some(Origin::File(path.to_owned())));
        }
    }
    Ok(None)
}

/// The directives that go to the command line when nothing is to be run or changed.
fn only_look(source: Option<Origin>, wishes: &Wishes, clock: bool) -> Vec<String> {
    let rights = Rights {
        clock,
        ntp_port: true,
        state: true,
        socket: true,
    };
    match source {
        Some(Origin::File(path)) => include(&path),
        Some(Origin::Directives(_)) => Vec::new(),
        None => wishes.configuration(rights),
    }
}

/// Directives for a file. The daemon's own default needs none.
fn include(path: &str) -> Vec<String> {
    if path == MOUNTED[1] {
        vec![format!("include {path}")]
    } else {
        Vec::new()
    }
}

/// Puts the directories right, and gives the directives that go to the command line.
fn prepare(source: Option<Origin>, args: &Args, wishes: &Wishes, clock: bool) -> Vec<String> {
    let mut config = source
        .as_ref()
        .map_or_else(|| Some(Config::default()), |source| read(source, args));
    let explicit = args
        .user
        .as_deref()
        .or_else(|| config.as_ref()?.files.user.as_deref());
    // An unknown user is for the daemon to complain about.
    let Ok(user) = RunUser::find(explicit) else {
        return only_look(source, wishes, clock);
    };
    let state = directories::prepare(Path::new(STATE), &user);
    if let State::Unusable(why) = &state {
        logs::warning(format_args!("{why}; nothing is remembered over a restart"));
    } else {
        directories::adopt_files(Path::new(STATE), &user);
    }
    let run = directories::prepare(Path::new(RUN), &user);
    let mut directives = match &source {
        None => {
            let rights = Rights {
                clock,
                ntp_port: directories::may_open(123),
                state: !matches!(state, State::Unusable(_)),
                socket: !matches!(run, State::Unusable(_)),
            };
            let made = wishes.configuration(rights);
            config = read(&Origin::Directives(made.clone()), args);
            for directive in &made {
                logs::info(format_args!("Configuration: {directive}"));
            }
            made
        }
        Some(Origin::File(path)) => include(path),
        Some(Origin::Directives(_)) => Vec::new(),
    };
    if source.is_some() && !wishes.of_configuration.is_empty() {
        logs::warning(format_args!(
            "{} without effect: there is a configuration",
            wishes.of_configuration.join(", ")
        ));
    }
    // A wrong configuration is for the daemon to complain about.
    let Some(config) = config else { return directives };
    check_port(&config, source.is_none() && !wishes.says_who_may_ask() && !clock);
    let extra = run_files(&run, &user, &config);
    if !extra.is_empty() {
        if let (Some(Origin::File(path)), true) = (&source, directives.is_empty()) {
            directives.push(format!("include {path}"));
        }
        directives.extend(extra);
    }
    directives
}

/// What a configuration means; `None` if it is wrong.
fn read(source: &Origin, args: &Args) -> Option<Config> {
    let mut files = NoNames(ConfigFiles::new(args.family));
    let mut loader = Loader::new(&mut files, Options::default());
    load(&mut loader, source).ok().map(|()| loader.finish())
}

/// Says how clients can be served if they can't. `wanted`: by nobody but our own default.
fn check_port(config: &Config, by_default: bool) {
    let port = config.network.port.unwrap_or(123);
    let serves = by_default || config.network.access.iter().any(|rule| rule.allow);
    if serves && port != 0 && !directories::may_open(port) {
        logs::warning(format_args!(
            "Port {port} can't be opened to serve time; add --cap-add=NET_BIND_SERVICE (as root) or \
             --sysctl net.ipv4.ip_unprivileged_port_start=0, or use another one (port 11123)"
        ));
    }
}

/// Directives for a socket at a place where the daemon can have it, and no PID file, if there is no usual directory.
fn run_files(run: &State, user: &RunUser, config: &Config) -> Vec<String> {
    let usual_socket = match &config.network.command_socket {
        CommandSocket::Default => true,
        CommandSocket::Path(path) => path == SOCKET,
        CommandSocket::Disabled => false,
    };
    let usual_pid_file = config.files.pid_file.as_deref().unwrap_or(PID_FILE) == PID_FILE;
    let socket = match run {
        State::Ready => {
            directories::remove_stale_pid_file(Path::new(PID_FILE), user);
            return Vec::new();
        }
        State::Shared => directories::private_socket(Path::new(RUN), user)
            .map_err(|error| format!("{RUN} : {}", reason(&error))),
        State::Unusable(why) => Err(why.clone()),
    };
    let socket = socket.unwrap_or_else(|why| {
        logs::warning(format_args!("{why}; without it chronyc has no socket"));
        "/".to_owned()
    });
    let mut directives = Vec::new();
    if usual_socket {
        directives.push(format!("bindcmdaddress {socket}"));
    }
    if usual_pid_file {
        // It would be left behind, to be taken for that of a running daemon; in a container nobody looks for it.
        directives.push("pidfile /".to_owned());
    }
    directives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_are_led_elsewhere_and_others_are_left_alone() {
        let user = RunUser::current();
        let unusable = State::Unusable("why".to_owned());
        let mut config = Config::default();
        assert_eq!(
            run_files(&unusable, &user, &config),
            ["bindcmdaddress /", "pidfile /"]
        );
        config.network.command_socket = CommandSocket::Path(SOCKET.to_owned());
        config.files.pid_file = Some(PID_FILE.to_owned());
        assert_eq!(
            run_files(&unusable, &user, &config),
            ["bindcmdaddress /", "pidfile /"]
        );
        config.network.command_socket = CommandSocket::Path("/elsewhere/sock".to_owned());
        config.files.pid_file = Some("/elsewhere/pid".to_owned());
        assert!(run_files(&unusable, &user, &config).is_empty());
    }

    #[test]
    fn options_and_directives_keep_the_given_configuration() {
        let parse =
            |line: &[&str]| args::parse(&line.iter().map(OsString::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            origin(&parse(&["-x", "port 0"])).unwrap(),
            Some(Origin::Directives(vec!["port 0".to_owned()]))
        );
        assert_eq!(
            origin(&parse(&["-f", "/x"])).unwrap(),
            Some(Origin::File("/x".to_owned()))
        );
        assert!(include(DEFAULT_CONFIG).is_empty());
        assert_eq!(include("/etc/chrony.conf"), ["include /etc/chrony.conf"]);
    }

    #[test]
    fn the_clock_is_left_alone_when_told_so() {
        let args = |line: &[&str]| args::parse(&line.iter().map(OsString::from).collect::<Vec<_>>()).unwrap();
        let with = |control| {
            let mut wishes = Wishes::default();
            wishes.control = control;
            wishes
        };
        assert!(!controls(&with(Control::Yes), &args(&["-x"])).unwrap());
        assert!(!controls(&with(Control::No), &args(&[])).unwrap());
        assert!(controls(&with(Control::Auto), &args(&["-q"])).unwrap());
        let allowed = has_capability(Capability::SysTime);
        assert_eq!(controls(&with(Control::Auto), &args(&[])).unwrap(), allowed);
        assert_eq!(controls(&with(Control::Yes), &args(&[])).is_ok(), allowed);
    }
}
