//! The command line (`spec/chronyc.md` section 1), as getopt reads it.

use crate::names::Family;
use crate::paths;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

/// Letters of options that take an argument.
const WITH_ARGUMENT: &str = "fhpu";

/// What the command line says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Options {
    pub(crate) family: Family,
    pub(crate) csv: bool,
    pub(crate) json: bool,
    pub(crate) dots: bool,
    pub(crate) multiple: bool,
    pub(crate) numeric: bool,
    pub(crate) original: bool,
    pub(crate) wide: bool,
    /// `None`: the default ones.
    pub(crate) hosts: Option<String>,
    pub(crate) port: Option<String>,
    /// `None`: the default one.
    pub(crate) user: Option<String>,
    pub(crate) words: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Parsed {
    Run(Options),
    Help,
    Version,
    /// Words for standard error, after the program's name.
    Bad(String),
}

fn grammar() -> Command {
    let flag = |letter: char| {
        let arg = Arg::new(letter.to_string())
            .short(letter)
            .action(ArgAction::Count);
        // The last of the two families wins; all else may be said twice.
        match letter {
            '4' => arg.overrides_with("6"),
            '6' => arg.overrides_with("4"),
            _ => arg,
        }
    };
    let with_argument = |letter: char| {
        Arg::new(letter.to_string())
            .short(letter)
            .action(ArgAction::Append)
            .num_args(1)
            .allow_hyphen_values(true)
    };
    Command::new("chronyc")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args("46acdejmnNvw".chars().map(flag))
        .args(WITH_ARGUMENT.chars().map(with_argument))
        // After "--", which is always there.
        .arg(Arg::new("words").num_args(0..).action(ArgAction::Append))
}

/// The arguments in a form that leaves clap nothing to interpret: one letter each, arguments apart, nothing
/// after `-v`, and `--` before the first word that is no option.
fn normalise(arguments: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            out.extend(["--".to_owned(), argument.clone()]);
            break;
        };
        if letters.starts_with('-') {
            // The end of the options, or a long one, of which there are no others.
            out.push(argument.clone());
            break;
        }
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            out.push(format!("-{letter}"));
            if letter == 'v' {
                return out;
            }
            if WITH_ARGUMENT.contains(letter) {
                match letters.as_str() {
                    "" => out.extend(arguments.next().cloned()),
                    rest => out.push(rest.to_owned()),
                }
                break;
            }
        }
    }
    out.extend(arguments.cloned());
    out
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[String]) -> Parsed {
    // These two are seen wherever they are, before all else.
    for argument in arguments {
        match argument.as_str() {
            "--help" => return Parsed::Help,
            "--version" => return Parsed::Version,
            _ => {}
        }
    }
    let arguments = normalise(arguments);
    match grammar().try_get_matches_from(&arguments) {
        Ok(matches) if matches.get_count("v") > 0 => Parsed::Version,
        Ok(matches) => Parsed::Run(options(&matches)),
        Err(error) => Parsed::Bad(message(&error)),
    }
}

fn options(matches: &ArgMatches) -> Options {
    let on = |letter| matches.get_count(letter) > 0;
    let last = |letter| {
        matches
            .get_many::<String>(letter)
            .and_then(Iterator::last)
            .cloned()
    };
    Options {
        family: match (on("4"), on("6")) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        },
        csv: on("c"),
        json: on("j"),
        dots: on("e"),
        multiple: on("m"),
        numeric: on("n"),
        original: on("N"),
        wide: on("w"),
        hosts: last("h"),
        port: last("p"),
        user: last("u"),
        words: matches
            .get_many::<String>("words")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }
}

/// getopt's words.
fn message(error: &clap::Error) -> String {
    let letter = match error.get(ContextKind::InvalidArg) {
        // Of `--x` the second dash is the letter.
        Some(ContextValue::String(text)) => text.chars().nth(1),
        _ => None,
    };
    let letter = letter.unwrap_or('-');
    match error.kind() {
        ErrorKind::UnknownArgument => format!("invalid option -- '{letter}'"),
        _ => format!("option requires an argument -- '{letter}'"),
    }
}

impl Options {
    /// The list of servers.
    pub(crate) fn hosts(&self) -> &str {
        self.hosts.as_deref().unwrap_or(paths::SERVERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed {
        parse(
            &line
                .split(' ')
                .filter(|w| !w.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    fn run(line: &str) -> Options {
        match read(line) {
            Parsed::Run(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn letters_may_be_together() {
        let options = run("-cn4 -6 -h::1 -p 11323 -ea -d -f =x -N tracking -n");
        assert!(options.csv && options.numeric && options.dots && options.original && !options.multiple);
        assert_eq!(options.family, Family::V6);
        assert_eq!((options.hosts(), options.port.as_deref()), ("::1", Some("11323")));
        assert_eq!(options.words, ["tracking", "-n"]);
        assert_eq!(run("-4 -6 -4").family, Family::V4);
        assert_eq!(run("-6 -h -4").family, Family::V6);
        assert_eq!(run("-h=x -h -n").hosts(), "-n");
        assert_eq!(run("-h=x").hosts(), "=x");
        assert_eq!(run("-n -- -x y").words, ["-x", "y"]);
        assert_eq!(run("-n a -- y").words, ["a", "--", "y"]);
        assert_eq!(run("- -n").words, ["-", "-n"]);
        assert!(run("").words.is_empty());
        assert!(run("-n -n -c -c").csv);
        assert_eq!(run("-m -w sources").words, ["sources"]);
    }

    #[test]
    fn what_ends_the_reading() {
        assert_eq!(read("-c tracking --help"), Parsed::Help);
        assert_eq!(read("-t --version"), Parsed::Version);
        assert_eq!(read("-cv -t"), Parsed::Version);
        assert_eq!(read("-t -v"), Parsed::Bad("invalid option -- 't'".to_owned()));
        assert_eq!(read("--foo"), Parsed::Bad("invalid option -- '-'".to_owned()));
        assert_eq!(
            read("-nh"),
            Parsed::Bad("option requires an argument -- 'h'".to_owned())
        );
    }
}
