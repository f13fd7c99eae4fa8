//! Command line of `chronyd` (`spec/config.md` section 6).

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use truechimer_engine::config::AddressFamily;
use truechimer_engine::event::Severity;

/// Version of chrony that we behave like.
pub const CHRONY_VERSION: &str = "4.9";
/// What is built, in chrony's words and order.
pub const FEATURES: &str = "+CMDMON -REFCLOCK -RTC +PRIVDROP +SCFILTER +SIGND -NTS +SECHASH +IPV6 -DEBUG";
/// Configuration file, if none is named: Debian's, unless a packager sets the variable at build time.
pub const DEFAULT_CONFIG: &str = match option_env!("TRUECHIMER_CONFIG") {
    Some(path) => path,
    None => "/etc/chrony/chrony.conf",
};
/// User, if none is named: Debian's, unless a packager sets the variable at build time.
pub const DEFAULT_USER: &str = match option_env!("TRUECHIMER_USER") {
    Some(user) => user,
    None => "_chrony",
};

/// Options that take a value.
const WITH_VALUE: &str = "fFlLNPtu";
/// Options that don't; `-h` and `-v` end the scan.
const FLAGS: &str = "46dhmnpqQrRsUvx";

/// Our own addition to chrony's options.
const CHECK_CONFIG: &str = "check-config";

/// What the daemon is to do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Keep the clock right until told to stop.
    #[default]
    Normal,
    /// Set the clock once and exit (`-q`).
    Set,
    /// Log the offset and exit (`-Q`).
    Query,
}

/// A parsed command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Args {
    /// `-4`, `-6`
    pub family: AddressFamily,
    /// `-f`
    pub config_file: String,
    /// Directives instead of a file.
    pub directives: Vec<String>,
    /// `-n`, or implied.
    pub foreground: bool,
    /// Log to stderr: `-d`, `-p`, `-q`, `-Q`.
    pub log_to_stderr: bool,
    /// `-d` twice, which asks for messages that no build has.
    pub debug: bool,
    /// `-l`
    pub log_file: Option<String>,
    /// `-L`, or implied.
    pub threshold: Severity,
    /// `-p`
    pub print_config: bool,
    /// `--check-config`, our own addition.
    pub check_config: bool,
    /// `-q`, `-Q`; the last counts.
    pub mode: Mode,
    /// `-r`
    pub reload_dumps: bool,
    /// `-R`
    pub restart: bool,
    /// `-s`
    pub set_from_rtc: bool,
    /// `-t`, s.
    pub timeout: Option<u32>,
    /// `-u`
    pub user: Option<String>,
    /// Without `-U` or anything that implies it.
    pub check_root: bool,
    /// `-F`; `None`: not given.
    pub filter_level: Option<i32>,
    /// `-P`; 0: not given.
    pub priority: i32,
    /// `-m`
    pub lock_memory: bool,
    /// Not with `-x` or `-Q`.
    pub control_clock: bool,
    /// `-N`
    pub notify_fd: Option<i32>,
}

/// Why there is nothing to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stop {
    /// `-h`, `--help`
    Help,
    /// `-v`, `--version`
    Version,
    /// A wrong option: getopt's text, without the program's name.
    Usage(String),
    /// A value that is no number.
    Invalid(String),
}

/// Parses the command line without the program's name.
///
/// # Errors
/// What to print instead of running.
pub fn parse(arguments: &[OsString]) -> Result<Args, Stop> {
    // These two count wherever they are, even as the value of an option.
    for argument in arguments {
        match argument.as_bytes() {
            b"--help" => return Err(Stop::Help),
            b"--version" => return Err(Stop::Version),
            _ => {}
        }
    }
    let matches = command()
        .try_get_matches_from(normalise(arguments))
        .map_err(|error| stop(&error))?;
    Ok(collect(&matches))
}

fn command() -> Command {
    let mut command = Command::new("chronyd")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .version(CHRONY_VERSION);
    for letter in FLAGS.chars() {
        let action = match letter {
            'h' => ArgAction::Help,
            'v' => ArgAction::Version,
            'd' => ArgAction::Count,
            _ => ArgAction::SetTrue,
        };
        command = command.arg(Arg::new(letter.to_string()).short(letter).action(action));
    }
    for letter in WITH_VALUE.chars() {
        let argument = Arg::new(letter.to_string())
            .short(letter)
            .num_args(1)
            .action(ArgAction::Set);
        command = command.arg(if "FLNPt".contains(letter) {
            argument.value_parser(number)
        } else {
            argument.value_parser(clap::value_parser!(OsString))
        });
    }
    command
        .arg(
            Arg::new(CHECK_CONFIG)
                .long(CHECK_CONFIG)
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("directives")
                .num_args(0..)
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(OsString)),
        )
}

/// Attaches every value to its option (`-f`, `x` becomes `-f=x`), the one form that leaves nothing to guess: a
/// value may look like an option, be `--`, or start with `=`.
fn normalise(arguments: &[OsString]) -> Vec<OsString> {
    let mut result = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            result.push(argument.clone());
            result.extend(rest.cloned());
            break;
        }
        let is_cluster = bytes.len() > 1 && bytes.starts_with(b"-");
        let takes = |byte: &u8| WITH_VALUE.as_bytes().contains(byte);
        let first = bytes
            .iter()
            .skip(1)
            .position(|byte| takes(byte) || !FLAGS.as_bytes().contains(byte));
        let option = first
            .map(|at| at + 1)
            .filter(|&at| is_cluster && bytes.get(at).is_some_and(takes));
        let Some((cluster, value)) = option.and_then(|at| bytes.split_at_checked(at + 1)) else {
            result.push(argument.clone());
            continue;
        };
        let value = if value.is_empty() {
            rest.next().map(|next| next.as_bytes())
        } else {
            Some(value)
        };
        let mut token = cluster.to_vec();
        if let Some(value) = value {
            token.push(b'=');
            token.extend_from_slice(value);
        }
        result.push(OsString::from_vec(token));
    }
    result
}

/// A number as `sscanf("%d")` reads it: whatever follows the digits does not count.
fn number(text: &str) -> Result<i32, String> {
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let end = digits
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    let digits = digits
        .get(..end)
        .filter(|digits| !digits.is_empty())
        .ok_or("not a number")?;
    let value = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 40);
    let value = if negative { -value } else { value };
    Ok(value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
}

fn stop(error: &clap::Error) -> Stop {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    // `-z` as given, or `-f <f>` of our own definition.
    let letter = argument.chars().nth(1).unwrap_or('-');
    match error.kind() {
        ErrorKind::DisplayHelp => Stop::Help,
        ErrorKind::DisplayVersion => Stop::Version,
        ErrorKind::ValueValidation => Stop::Invalid(context(ContextKind::InvalidValue)),
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            Stop::Usage(format!("option requires an argument -- '{letter}'"))
        }
        _ => Stop::Usage(format!("invalid option -- '{letter}'")),
    }
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

fn collect(matches: &ArgMatches) -> Args {
    let flag = |id: &str| matches.get_flag(id);
    // Position on the command line; later ones win.
    let place = |id: &str| {
        let given = matches.value_source(id) == Some(ValueSource::CommandLine);
        if given {
            matches
                .indices_of(id)
                .and_then(Iterator::max)
                .map_or(1, |at| at + 1)
        } else {
            0
        }
    };
    let value = |id: &str| matches.get_one::<OsString>(id).map(|value| text(value));
    let number = |id: &str| matches.get_one::<i32>(id).copied();
    let debug = matches.get_count("d");
    let threshold = if debug > 1 {
        0
    } else if place("L") > place("p") {
        number("L").unwrap_or(0)
    } else {
        i32::from(flag("p"))
    };
    let once = flag("q") || flag("Q");
    Args {
        family: match (place("4"), place("6")) {
            (0, 0) => AddressFamily::Any,
            (four, six) if four > six => AddressFamily::V4,
            _ => AddressFamily::V6,
        },
        config_file: value("f").unwrap_or_else(|| DEFAULT_CONFIG.to_owned()),
        directives: matches
            .get_many::<OsString>("directives")
            .map(|words| words.map(|word| text(word)).collect())
            .unwrap_or_default(),
        foreground: flag("n") || debug > 0 || flag("p") || once || flag(CHECK_CONFIG),
        log_to_stderr: debug > 0 || flag("p") || once,
        debug: debug > 1,
        log_file: value("l"),
        threshold: match threshold {
            ..=0 => Severity::Info,
            1 => Severity::Warning,
            2 => Severity::Error,
            _ => Severity::Fatal,
        },
        print_config: flag("p"),
        check_config: flag(CHECK_CONFIG),
        mode: match (place("q"), place("Q")) {
            (0, 0) => Mode::Normal,
            (set, query) if set > query => Mode::Set,
            _ => Mode::Query,
        },
        reload_dumps: flag("r"),
        restart: flag("R"),
        set_from_rtc: flag("s"),
        timeout: number("t").and_then(|seconds| u32::try_from(seconds).ok()),
        user: value("u"),
        check_root: !(flag("U") || flag("Q") || flag("p") || flag(CHECK_CONFIG)),
        filter_level: number("F"),
        priority: number("P").unwrap_or(0),
        lock_memory: flag("m"),
        control_clock: !(flag("x") || flag("Q")),
        notify_fd: number("N").filter(|&fd| fd >= 0),
    }
}

/// Text of `--version`: chrony's line, which programs look for, then our own.
#[must_use]
pub fn version() -> String {
    format!(
        "chronyd (chrony) version {CHRONY_VERSION} ({FEATURES})\n\
         truechimer {}, a chrony-compatible daemon\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Text of `--help`.
#[must_use]
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [OPTION]... [DIRECTIVE]...\n\
         \n\
         Options:\n\
         \x20 -4\t\tUse IPv4 addresses only\n\
         \x20 -6\t\tUse IPv6 addresses only\n\
         \x20 -f FILE\tSpecify configuration file ({DEFAULT_CONFIG})\n\
         \x20 -n\t\tDon't run as daemon\n\
         \x20 -d\t\tDon't run as daemon and log to stderr\n\
         \x20 -l FILE\tLog to file\n\
         \x20 -L LEVEL\tSet logging threshold (0)\n\
         \x20 -p\t\tPrint configuration and exit\n\
         \x20 -q\t\tSet clock and exit\n\
         \x20 -Q\t\tLog offset and exit\n\
         \x20 -r\t\tReload dump files\n\
         \x20 -R\t\tAdapt configuration for restart\n\
         \x20 -s\t\tSet clock from RTC\n\
         \x20 -t SECONDS\tExit after elapsed time\n\
         \x20 -u USER\tSpecify user ({DEFAULT_USER})\n\
         \x20 -U\t\tDon't check for root\n\
         \x20 -F LEVEL\tSet system call filter level (0)\n\
         \x20 -P PRIORITY\tSet process priority (0)\n\
         \x20 -m\t\tLock memory\n\
         \x20 -x\t\tDon't control clock\n\
         \x20 -N FD\t\tNotify supervisor\n\
         \x20 -v, --version\tPrint version and exit\n\
         \x20 -h, --help\tPrint usage and exit\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str]) -> Result<Args, Stop> {
        parse(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn ok(line: &[&str]) -> Args {
        run(line).unwrap()
    }

    #[test]
    fn nothing_given() {
        let args = ok(&[]);
        assert!(!args.foreground && !args.log_to_stderr && args.check_root && args.control_clock);
        assert_eq!(
            (args.mode, args.threshold, args.timeout),
            (Mode::Normal, Severity::Info, None)
        );
        assert_eq!((args.family, args.notify_fd), (AddressFamily::Any, None));
        assert_eq!(args.config_file, DEFAULT_CONFIG);
        assert!(args.directives.is_empty());
    }

    #[test]
    fn bundles_values_and_directives_mix() {
        let args = ok(&[
            "port 1", "-dxt5", "-f", "/x", "allow", "-l/y", "-n", "-n", "-u", "-v", "-", "--", "-z",
        ]);
        assert!(args.foreground && args.log_to_stderr && !args.control_clock);
        assert_eq!(args.timeout, Some(5));
        assert_eq!(
            (args.config_file.as_str(), args.log_file.as_deref()),
            ("/x", Some("/y"))
        );
        assert_eq!(args.user.as_deref(), Some("-v"));
        assert_eq!(args.directives, ["port 1", "allow", "-", "-z"]);
        assert_eq!(ok(&["-f=x", "-l", "--"]).config_file, "=x");
        assert!(ok(&["--check-config", "-f", "x"]).check_config);
        assert_eq!(ok(&["-l", "--", "a"]).log_file.as_deref(), Some("--"));
        assert_eq!(ok(&["-f", "a", "-f", "b", "-f", ""]).config_file, "");
    }

    #[test]
    fn numbers_are_lenient() {
        assert_eq!(ok(&["-t5abc"]).timeout, Some(5));
        assert_eq!(ok(&["-t", "0x1"]).timeout, Some(0));
        assert_eq!(ok(&["-t", "-1"]).timeout, None);
        assert_eq!(ok(&["-F", "-2"]).filter_level, Some(-2));
        assert_eq!(ok(&["-N0"]).notify_fd, Some(0));
        assert_eq!(ok(&["-N", "-1"]).notify_fd, None);
        assert_eq!(ok(&["-P", "99999999999999999999"]).priority, i32::MAX);
        assert_eq!(run(&["-t", "x5"]), Err(Stop::Invalid("x5".to_owned())));
        assert_eq!(run(&["-L", ""]), Err(Stop::Invalid(String::new())));
    }

    #[test]
    fn the_last_one_wins() {
        assert_eq!(ok(&["-4", "-6"]).family, AddressFamily::V6);
        assert_eq!(ok(&["-6", "-46", "-4"]).family, AddressFamily::V4);
        let both = ok(&["-Q", "-q"]);
        assert_eq!(
            (both.mode, both.control_clock, both.check_root),
            (Mode::Set, false, false)
        );
        assert_eq!(ok(&["-q", "-Q"]).mode, Mode::Query);
        assert_eq!(ok(&["-p", "-L", "0"]).threshold, Severity::Info);
        assert_eq!(ok(&["-L", "0", "-p"]).threshold, Severity::Warning);
        assert_eq!(ok(&["-L", "9"]).threshold, Severity::Fatal);
        assert_eq!(ok(&["-L3", "-d", "-d"]).threshold, Severity::Info);
        assert!(ok(&["-dpd"]).debug && !ok(&["-d"]).debug);
        assert_eq!(ok(&["-L-1"]).threshold, Severity::Info);
    }

    #[test]
    fn texts_end_the_scan_where_they_are() {
        assert_eq!(run(&["-v", "-z"]), Err(Stop::Version));
        assert_eq!(run(&["-xh"]), Err(Stop::Help));
        assert_eq!(run(&["-z", "--version", "--help"]), Err(Stop::Version));
        assert_eq!(run(&["-f", "--help"]), Err(Stop::Help));
        assert_eq!(run(&["--", "--help"]), Err(Stop::Help));
    }

    #[test]
    fn wrong_options_are_getopts() {
        let usage = |text: &str| Err(Stop::Usage(text.to_owned()));
        assert_eq!(run(&["-z", "-v"]), usage("invalid option -- 'z'"));
        assert_eq!(run(&["-dz"]), usage("invalid option -- 'z'"));
        assert_eq!(run(&["--foo"]), usage("invalid option -- '-'"));
        assert_eq!(run(&["-x", "-f"]), usage("option requires an argument -- 'f'"));
    }

    #[test]
    fn version_starts_with_what_programs_look_for() {
        assert!(version().starts_with("chronyd (chrony) version 4.9 (+CMDMON "));
        assert_eq!(version().lines().count(), 2);
        assert_eq!(usage("chronyd").lines().count(), 26);
    }
}
