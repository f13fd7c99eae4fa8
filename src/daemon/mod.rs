//! From the command line to the exit status: start, event loop, shutdown (`spec/config.md` sections 7 to 9).

mod dumps;
mod event_loop;
mod fork;
mod keys;
mod leap_files;
mod mail;
mod notify;
mod pid_file;
mod reach;
mod rounds;
mod serve;
mod settings;
mod start;

use crate::args::{self, Args, Stop};
use crate::check_config::{self, Check};
use crate::logs::{self, MessageLog};
use crate::net::Inherited;
use fork::{Parent, Role, daemonise};
use notify::Notifier;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use truechimer_engine::event::Severity;

/// The daemon cannot start or go on. The text is logged with the prefix `Fatal error : `, and the process
/// ends at once with status 1, without cleaning up (`spec/config.md` 3.4).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

impl Fatal {
    /// From anything that has chrony's text.
    pub fn new(text: impl std::fmt::Display) -> Self {
        Self(text.to_string())
    }
}

/// `chronyd`: the whole program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments
        .next()
        .map_or_else(|| "chronyd".into(), |name| name.to_string_lossy().into_owned());
    let arguments: Vec<OsString> = arguments.collect();
    let log = MessageLog::install();
    match args::parse(&arguments) {
        Ok(args) if args.check_config => check(&args),
        Ok(args) => {
            let mut parent = Parent::none();
            run(&args, &log, &mut parent).unwrap_or_else(|fatal| {
                logs::log(Severity::Fatal, &fatal);
                parent.fatal(&fatal);
                ExitCode::FAILURE
            })
        }
        Err(Stop::Help) => print(&args::usage(&program), ExitCode::SUCCESS),
        Err(Stop::Version) => print(&args::version(), ExitCode::SUCCESS),
        Err(Stop::Usage(text)) => {
            let _ = writeln!(std::io::stderr(), "{program}: {text}");
            print(&args::usage(&program), ExitCode::FAILURE)
        }
        Err(Stop::Invalid(value)) => {
            logs::log(Severity::Fatal, format_args!("Invalid argument {value}"));
            ExitCode::FAILURE
        }
    }
}

/// Whoever closed stdout does not want to know.
fn print(text: &str, status: ExitCode) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    status
}

fn check(args: &Args) -> ExitCode {
    let check = Check {
        origin: settings::origin(args),
        family: args.family,
        restarted: args.restart,
    };
    check_config::run(&check, &mut std::io::stdout()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The first steps, in the order of `spec/config.md` 7.1: everything before the configuration is read.
fn run(args: &Args, log: &MessageLog, parent: &mut Parent) -> Result<ExitCode, Fatal> {
    if args.check_root && !nix::unistd::getuid().is_root() {
        return Err(Fatal::new("Not superuser"));
    }
    let socket = std::env::var_os("NOTIFY_SOCKET").filter(|_| !args.print_config);
    let notifier = Notifier::new(socket, args.notify_fd);
    let inherited = Inherited::take(std::env::var_os("LISTEN_FDS").as_deref(), args.notify_fd);
    if !args.foreground {
        let mut keep = inherited.descriptors();
        keep.extend(args.notify_fd);
        match daemonise(&keep)? {
            Role::Foreground(status) => return Ok(status),
            Role::Daemon(waiting) => *parent = waiting,
        }
    }
    log.set_threshold(args.threshold);
    if let Some(path) = &args.log_file {
        log.to_file(path).map_err(Fatal::new)?;
    } else if !args.log_to_stderr {
        log.to_system_log();
    }
    if args.debug {
        logs::warning("Debug messages missing in non-debug build");
    }
    logs::info(format_args!(
        "chronyd version {} starting ({})",
        args::CHRONY_VERSION,
        args::FEATURES
    ));
    logs::info(format_args!(
        "truechimer {}, a chrony-compatible daemon",
        env!("CARGO_PKG_VERSION")
    ));
    let settings = settings::read(args)?;
    if args.print_config {
        return Ok(ExitCode::SUCCESS);
    }
    start::start(args, &settings, log, inherited, notifier, parent).map(ExitCode::from)
}
