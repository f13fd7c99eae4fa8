//! `chronyc`: the command-line client. It asks a daemon by the command protocol and prints what it says, as
//! chrony's client does.

mod command;
mod complete;
mod date;
mod input;
mod keygen;
mod names;
mod options;
mod output;
mod paths;
mod report;
mod session;
mod sys;
mod transport;
mod usage;
mod watch;

use crate::command::scan;
use crate::names::Names;
use crate::options::{Options, Parsed};
use crate::output::Style;
use crate::session::Session;
use crate::transport::Link;
use nix::errno::Errno;
use nix::unistd::{User, geteuid, setgid, setgroups, setuid};
use std::process::ExitCode;

/// Longest command, with the space after its last word.
const MAX_COMMAND: usize = 2047;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_else(|| "chronyc".to_owned());
    let arguments: Vec<String> = arguments.collect();
    match options::parse(&arguments) {
        Parsed::Run(options) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(text) => {
                eprintln!("{text}");
                ExitCode::FAILURE
            }
        },
        Parsed::Help => {
            print!("{}", usage::usage(&program));
            ExitCode::SUCCESS
        }
        Parsed::Version => {
            print!("{}", usage::VERSION);
            ExitCode::SUCCESS
        }
        Parsed::Bad(text) => {
            eprintln!("{program}: {text}");
            print!("{}", usage::usage(&program));
            ExitCode::FAILURE
        }
    }
}

/// True: the last command succeeded. An error is for standard error.
fn run(options: &Options) -> Result<bool, String> {
    become_user(options.user.as_deref())?;
    sys::catch_signals();
    let names = Names {
        family: options.family,
        numeric: options.numeric,
        original: options.original,
    };
    let port = options
        .port
        .as_deref()
        .map_or(paths::PORT, |port| scan::atoi(port) as u16);
    let servers = transport::servers(options.hosts(), port, &names);
    let link = Link::new(servers).map_err(|error| format!("Could not open /dev/urandom : {error}"))?;
    let link = link.ok_or("Could not open connection to daemon")?;
    let style = Style {
        csv: options.csv,
        wide: options.wide,
    };
    let mut session = Session::new(link, names, style);
    session.dots = options.dots;
    session.json = options.json;
    if options.words.is_empty() && !options.multiple {
        return Ok(input::run(&mut session));
    }
    let commands = if options.multiple {
        options.words.clone()
    } else {
        vec![options.words.join(" ")]
    };
    for command in commands {
        if command.len() >= MAX_COMMAND {
            return Err("Command too long".to_owned());
        }
        if !session.run(&command) {
            return Ok(false);
        }
        if session.over {
            break;
        }
    }
    Ok(true)
}

/// Gives up root's rights. The default user may be missing, one that is asked for may not.
fn become_user(wanted: Option<&str>) -> Result<(), String> {
    let name = wanted.unwrap_or(paths::USER);
    if name == "root" || !geteuid().is_root() {
        return Ok(());
    }
    let Ok(Some(user)) = User::from_name(name) else {
        return match wanted {
            Some(_) => Err(format!("Could not get user/group ID of {name}")),
            None => Ok(()),
        };
    };
    let done = setgroups(&[])
        .and_then(|()| setgid(user.gid))
        .and_then(|()| setuid(user.uid));
    match done {
        // Root of a container may lack the capabilities for it, and so does a daemon beside us, which stays root too.
        Err(Errno::EPERM) if wanted.is_none() => Ok(()),
        Err(error) => Err(format!("Could not become user {name} : {}", error.desc())),
        Ok(()) => Ok(()),
    }
}
