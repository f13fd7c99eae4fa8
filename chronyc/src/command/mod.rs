//! From a line of input to what is to be done (`spec/chronyc.md` sections 1.4, 2, 3 and 4).

mod add;
mod args;
mod health;
mod requests;
pub(crate) mod scan;
mod watch;

pub(crate) use health::Health;
pub(crate) use watch::Watch;

use crate::names::{Family, Names};
use truechimer_engine::wire::command::{Address, Request};

/// Why a command is not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// With these words for standard error.
    Message(&'static str),
    /// Without a word.
    Silent,
}

/// What `-a` and `-v` of a report say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Listing {
    /// Also sources without an address.
    pub(crate) all: bool,
    /// With explanations.
    pub(crate) verbose: bool,
}

/// `waitsync`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WaitSync {
    /// 0: no limit.
    pub(crate) tries: u32,
    /// s; 0: any.
    pub(crate) correction: f64,
    /// ppm; 0: any.
    pub(crate) skew: f64,
    /// Between tries, s.
    pub(crate) interval: f64,
}

/// `clients`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ClientsOptions {
    /// `-p`
    pub(crate) min_hits: u32,
    /// `-k`
    pub(crate) nke: bool,
    /// `-r`
    pub(crate) reset: bool,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// A request that is answered by a status.
    Send(Request),
    Tracking,
    Sources(Listing),
    SourceStats(Listing),
    SelectData(Listing),
    AuthData(Listing),
    /// `None`: of all sources.
    NtpData(Option<Address>),
    Activity,
    Clients(ClientsOptions),
    ServerStats,
    RtcData,
    Smoothing,
    ManualList,
    SourceName(Address),
    WaitSync(WaitSync),
    /// The date is read when it is done.
    SetTime(String),
    /// `dns -n`, `dns +n`
    Numeric(bool),
    /// `dns -4`, `-6`, `-46`
    Family(Family),
    /// ms.
    Timeout(u32),
    Retries(u32),
    Keygen(Vec<String>),
    /// Not a command of chrony.
    Health(Health),
    /// Not a command of chrony.
    Watch(Watch),
    Help,
    Quit,
    /// Once did something; still a success.
    Obsolete(&'static str),
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// Nothing, or a comment.
    Empty,
    /// To be done.
    Do(Action),
    /// Not understood, with words for standard error.
    Bad(String),
    /// Not understood.
    BadSilent,
}

/// Reads a line.
pub(crate) fn parse(line: &str, names: &Names) -> Line {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [name, words @ ..] = words.as_slice() else {
        return Line::Empty;
    };
    if name.starts_with(['!', ';', '#', '%']) {
        return Line::Empty;
    }
    match action(name, words, names) {
        Ok(action) => Line::Do(action),
        Err(Problem::Fault(Fault::Message(text))) => Line::Bad(text.to_owned()),
        Err(Problem::Fault(Fault::Silent)) => Line::BadSilent,
        Err(Problem::Text(text)) => Line::Bad(text),
    }
}

/// As [`Fault`], also with words made up at run time.
enum Problem {
    Fault(Fault),
    Text(String),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn listing(words: &[&str]) -> Listing {
    Listing {
        all: words.contains(&"-a"),
        verbose: words.contains(&"-v"),
    }
}

fn action(name: &str, words: &[&str], names: &Names) -> Result<Action, Problem> {
    Ok(match name {
        "activity" => Action::Activity,
        "authdata" => Action::AuthData(listing(words)),
        "authhash" | "password" => Action::Obsolete("Authentication is no longer supported"),
        "clients" => Action::Clients(clients(words)?),
        "dns" => dns(words)?,
        "exit" | "quit" => Action::Quit,
        "health" => Action::Health(health::parse(words)?),
        "help" => Action::Help,
        "keygen" => Action::Keygen(words.iter().map(|&word| word.to_owned()).collect()),
        "manual" if words.first().is_some_and(|word| word.starts_with("list")) => Action::ManualList,
        "ntpdata" if words.is_empty() => Action::NtpData(None),
        // The rest of the line is the name of a host.
        "ntpdata" => Action::NtpData(Some(args::address(&words.join(" "), names)?)),
        "retries" => match u32::try_from(words.first().map_or(0, |word| scan::atoi(word))) {
            Ok(retries @ 0..=30) => Action::Retries(retries),
            _ => return Err(Fault::Message("Invalid maximum number of retries").into()),
        },
        "rtcdata" => Action::RtcData,
        "selectdata" => Action::SelectData(listing(words)),
        "serverstats" => Action::ServerStats,
        "settime" => Action::SetTime(words.join(" ")),
        "smoothing" => Action::Smoothing,
        "sourcename" => {
            let source = args::source(&words.join(" "), names);
            Action::SourceName(source.ok_or(Fault::Message("Could not read address"))?)
        }
        "sources" => Action::Sources(listing(words)),
        "sourcestats" => Action::SourceStats(listing(words)),
        "timeout" => {
            let number = words.first().map_or(0, |word| scan::atoi(word));
            match u32::try_from(number) {
                Ok(timeout) if timeout >= 100 => Action::Timeout(timeout),
                _ => return Err(Problem::Text(format!("Timeout {number} is too short"))),
            }
        }
        "tracking" => Action::Tracking,
        "waitsync" => Action::WaitSync(waitsync(words)),
        "watch" => Action::Watch(watch::parse(words)?),
        _ => match requests::parse(name, words, names) {
            Some(request) => Action::Send(request?),
            None => return Err(Fault::Message("Unrecognized command").into()),
        },
    })
}

fn clients(words: &[&str]) -> Result<ClientsOptions, Fault> {
    let mut options = ClientsOptions::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-k" => options.nke = true,
            "-r" => options.reset = true,
            "-p" => {
                let number = words.next().and_then(|word| scan::unsigned(word));
                options.min_hits = number.ok_or(Fault::Message("Invalid syntax for clients command"))?;
            }
            _ => {}
        }
    }
    Ok(options)
}

fn dns(words: &[&str]) -> Result<Action, Fault> {
    Ok(match words.join(" ").as_str() {
        "-n" => Action::Numeric(true),
        "+n" => Action::Numeric(false),
        "-4" => Action::Family(Family::V4),
        "-6" => Action::Family(Family::V6),
        "-46" => Action::Family(Family::Any),
        _ => return Err(Fault::Message("Unrecognized dns command")),
    })
}

fn waitsync(words: &[&str]) -> WaitSync {
    let float = |index: usize| words.get(index).and_then(|word| scan::float(word));
    WaitSync {
        tries: words.first().and_then(|word| scan::unsigned(word)).unwrap_or(0),
        correction: float(1).unwrap_or(0.0),
        skew: float(2).unwrap_or(0.0),
        interval: float(3).unwrap_or(10.0).max(0.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Line {
        parse(line, &Names::default())
    }

    #[test]
    fn lines_without_command() {
        for line in ["", "  ", "# tracking", " ! x", ";", "%"] {
            assert_eq!(read(line), Line::Empty);
        }
        assert_eq!(read("Tracking"), Line::Bad("Unrecognized command".to_owned()));
        assert_eq!(read("track"), Line::Bad("Unrecognized command".to_owned()));
        assert_eq!(read("  tracking   foo "), Line::Do(Action::Tracking));
    }

    #[test]
    fn reports_take_options_in_any_order() {
        assert_eq!(
            read("sources -v x -a"),
            Line::Do(Action::Sources(Listing {
                all: true,
                verbose: true
            }))
        );
        assert_eq!(read("authdata"), Line::Do(Action::AuthData(Listing::default())));
        let clients = ClientsOptions {
            min_hits: 3,
            nke: false,
            reset: true,
        };
        assert_eq!(read("clients -p 3 -r"), Line::Do(Action::Clients(clients)));
        assert_eq!(
            read("clients -p x"),
            Line::Bad("Invalid syntax for clients command".to_owned())
        );
        let all = WaitSync {
            tries: 5,
            correction: 0.1,
            skew: 0.0,
            interval: 0.1,
        };
        assert_eq!(read("waitsync 5 0.1 x 0"), Line::Do(Action::WaitSync(all)));
    }

    #[test]
    fn local_commands() {
        assert_eq!(read("dns -46"), Line::Do(Action::Family(Family::Any)));
        assert_eq!(read("dns x"), Line::Bad("Unrecognized dns command".to_owned()));
        assert_eq!(
            read("timeout 99"),
            Line::Bad("Timeout 99 is too short".to_owned())
        );
        assert_eq!(read("timeout x"), Line::Bad("Timeout 0 is too short".to_owned()));
        assert_eq!(read("retries 30"), Line::Do(Action::Retries(30)));
        assert_eq!(
            read("retries 31"),
            Line::Bad("Invalid maximum number of retries".to_owned())
        );
        assert_eq!(read("manual listing"), Line::Do(Action::ManualList));
    }
}
