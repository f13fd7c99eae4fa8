//! Commands that are one request, answered by a status (`spec/chronyc.md` section 3).

use super::scan::{self, Scanner};
use super::{Fault, add, args};
use crate::names::Names;
use truechimer_engine::wire::command::{
    AccessList, LocalSettings, ManualMode, Parameter, Request, SelectBits, SmoothTimeAction,
};

/// The request; `None` if there is no such command.
pub(crate) fn parse(name: &str, words: &[&str], names: &Names) -> Option<Result<Request, Fault>> {
    let change = |list, allow| {
        args::subnet(words, names).map(|(all, subnet)| Request::ChangeAccess {
            list,
            allow,
            all,
            subnet,
        })
    };
    let number = |fault| words.first().and_then(|word| scan::float(word)).ok_or(fault);
    let value = Fault::Message("Invalid value");
    Some(match name {
        "accheck" => check(AccessList::Ntp, words, names),
        "cmdaccheck" => check(AccessList::Command, words, names),
        "add" => add::parse(words, names),
        "allow" => change(AccessList::Ntp, true),
        "deny" => change(AccessList::Ntp, false),
        "cmdallow" => change(AccessList::Command, true),
        "cmddeny" => change(AccessList::Command, false),
        "burst" => burst(words, names),
        "cyclelogs" => Ok(Request::CycleLogs),
        "delete" => match words.first() {
            Some(word) => args::address(word, names).map(Request::DeleteSource),
            None => Err(Fault::Message("Invalid syntax for address")),
        },
        "dfreq" => number(value).map(Request::AdjustFrequency),
        "doffset" => number(value).map(Request::AdjustOffset),
        "dump" => Ok(Request::Dump),
        "local" => local(words).map(Request::Local),
        "makestep" => makestep(words),
        "manual" => manual(words),
        "maxdelay" => modify_float(words, names, Parameter::MaxDelay),
        "maxdelaydevratio" => modify_float(words, names, Parameter::MaxDelayDevRatio),
        "maxdelayratio" => modify_float(words, names, Parameter::MaxDelayRatio),
        "maxpoll" => modify_int(words, names, Parameter::MaxPoll),
        "maxupdateskew" => number(Fault::Silent).map(Request::MaxUpdateSkew),
        "minpoll" => modify_int(words, names, Parameter::MinPoll),
        "minstratum" => modify_int(words, names, Parameter::MinStratum),
        "offline" => args::sources(words, names).map(Request::Offline),
        "offset" => offset(words),
        "online" => args::sources(words, names).map(Request::Online),
        "onoffline" => Ok(Request::OnOffline),
        "polltarget" => modify_int(words, names, Parameter::PollTarget),
        "refresh" => Ok(Request::Refresh),
        "rekey" => Ok(Request::Rekey),
        "reload" => keyword(
            words,
            "sources",
            Request::ReloadSources,
            "Invalid syntax for reload command",
        ),
        "reselect" => Ok(Request::Reselect),
        "reselectdist" => number(Fault::Silent).map(Request::ReselectDistance),
        "reset" => keyword(
            words,
            "sources",
            Request::ResetSources,
            "Invalid syntax for reset command",
        ),
        "selectopts" => selectopts(words),
        "shutdown" => Ok(Request::Shutdown),
        "smoothtime" => match words {
            ["reset"] => Ok(Request::SmoothTime(SmoothTimeAction::Reset)),
            ["activate"] => Ok(Request::SmoothTime(SmoothTimeAction::Activate)),
            _ => Err(Fault::Message("Invalid syntax for smoothtime command")),
        },
        "trimrtc" => Ok(Request::TrimRtc),
        "writertc" => Ok(Request::WriteRtc),
        _ => return None,
    })
}

fn keyword(words: &[&str], word: &str, request: Request, fault: &'static str) -> Result<Request, Fault> {
    if words == [word] {
        Ok(request)
    } else {
        Err(Fault::Message(fault))
    }
}

fn check(list: AccessList, words: &[&str], names: &Names) -> Result<Request, Fault> {
    let ip = match words {
        [word] => names.address(word),
        _ => None,
    };
    ip.map(|ip| Request::CheckAccess(list, ip.into()))
        .ok_or(Fault::Message("Could not read address"))
}

fn burst(words: &[&str], names: &Names) -> Result<Request, Fault> {
    let counts = words.first().and_then(|word| {
        let (good, rest) = scan::int_prefix(word)?;
        Some((good, scan::int(rest.strip_prefix('/')?)?))
    });
    let (good, total) = counts.ok_or(Fault::Message("Invalid syntax for burst command"))?;
    let sources = args::sources(words.get(1..2).unwrap_or_default(), names)?;
    Ok(Request::Burst { sources, good, total })
}

fn local(words: &[&str]) -> Result<Option<LocalSettings>, Fault> {
    const BAD: Fault = Fault::Message("Invalid syntax for local command");
    if words == ["off"] {
        return Ok(None);
    }
    let mut settings = LocalSettings {
        stratum: 10,
        distance: 1.0,
        orphan: false,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 0.0,
    };
    let mut wait_unsynced = None;
    let line = words.join(" ");
    let mut rest = Scanner::new(&line);
    while let Some(word) = rest.word() {
        let mut float = || rest.float().ok_or(BAD);
        match word.to_ascii_lowercase().as_str() {
            "activate" => settings.activate = float()?,
            "distance" => settings.distance = float()?,
            "orphan" => settings.orphan = true,
            "stratum" => {
                settings.stratum = rest.int().filter(|n| (1..=15).contains(n)).ok_or(BAD)?;
            }
            "waitsynced" => settings.wait_synced = float()?,
            "waitunsynced" => wait_unsynced = Some(float()?),
            _ => return Err(BAD),
        }
    }
    settings.wait_unsynced = wait_unsynced.unwrap_or(if settings.orphan { 300.0 } else { 0.0 });
    Ok(Some(settings))
}

fn makestep(words: &[&str]) -> Result<Request, Fault> {
    const BAD: Fault = Fault::Message("Bad syntax for makestep command");
    match words {
        [] => Ok(Request::MakeStep),
        [threshold, limit, ..] => Ok(Request::SetMakeStep {
            threshold: scan::float(threshold).ok_or(BAD)?,
            limit: scan::int(limit).ok_or(BAD)?,
        }),
        [_] => Err(BAD),
    }
}

fn manual(words: &[&str]) -> Result<Request, Fault> {
    match words {
        ["off"] => Ok(Request::Manual(ManualMode::Off)),
        ["on"] => Ok(Request::Manual(ManualMode::On)),
        ["reset"] => Ok(Request::Manual(ManualMode::Reset)),
        [word, rest @ ..] if word.starts_with("delete") => {
            match rest.first().and_then(|word| scan::int(word)) {
                Some(index) => Ok(Request::ManualDelete(index.cast_unsigned())),
                None => Err(Fault::Message("Bad syntax for manual delete command")),
            }
        }
        _ => Err(Fault::Message("Invalid syntax for manual command")),
    }
}

const ADDRESS_VALUE: Fault = Fault::Message("Invalid syntax for address value");

fn modify_float(words: &[&str], names: &Names, parameter: fn(f64) -> Parameter) -> Result<Request, Fault> {
    modify(words, names, |word| scan::float(word).map(parameter))
}

fn modify_int(words: &[&str], names: &Names, parameter: fn(i32) -> Parameter) -> Result<Request, Fault> {
    modify(words, names, |word| scan::int(word).map(parameter))
}

fn modify(
    words: &[&str],
    names: &Names,
    parameter: impl Fn(&str) -> Option<Parameter>,
) -> Result<Request, Fault> {
    let [source, value, ..] = words else {
        return Err(ADDRESS_VALUE);
    };
    let parameter = parameter(value).ok_or(ADDRESS_VALUE)?;
    Ok(Request::Modify(args::address(source, names)?, parameter))
}

fn offset(words: &[&str]) -> Result<Request, Fault> {
    let parsed = match words {
        [source, value, ..] => args::source_or_ref_id(source).zip(scan::float(value)),
        _ => None,
    };
    let (source, offset) = parsed.ok_or(Fault::Message("Invalid syntax for offset command"))?;
    Ok(Request::Offset(source, offset))
}

fn selectopts(words: &[&str]) -> Result<Request, Fault> {
    const BAD: Fault = Fault::Message("Invalid syntax for selectopts command");
    let [source, words @ ..] = words else {
        return Err(BAD);
    };
    let source = args::source_or_ref_id(source).ok_or(BAD)?;
    let (mut mask, mut options) = (SelectBits::default(), SelectBits::default());
    for word in words {
        let mut letters = word.chars();
        let sign = letters.next();
        let bit = match letters.as_str().to_ascii_lowercase().as_str() {
            "noselect" => SelectBits::NOSELECT,
            "prefer" => SelectBits::PREFER,
            "require" => SelectBits::REQUIRE,
            "trust" => SelectBits::TRUST,
            _ => return Err(BAD),
        };
        mask = mask.with(bit);
        match sign {
            Some('+') => options = options.with(bit),
            Some('-') => {}
            _ => return Err(BAD),
        }
    }
    Ok(Request::SelectOptions {
        source,
        mask,
        options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, Fault> {
        let words: Vec<&str> = line.split(' ').collect();
        parse(words[0], &words[1..], &Names::default()).unwrap()
    }

    fn bytes(line: &str) -> String {
        let request = read(line).unwrap().encode(6, 0, 0);
        request.iter().skip(20).map(|b| format!("{b:02x}")).collect()
    }

    fn fault(line: &str, text: &'static str) {
        assert_eq!(read(line), Err(Fault::Message(text)), "{line}");
    }

    #[test]
    fn payloads_as_in_the_protocol_specification() {
        assert_eq!(bytes("makestep 0.1 3"), "00000003fccccccd");
        assert_eq!(
            bytes("local stratum 8 orphan"),
            "00000001000000080480000000000001000000000000000014960000"
        );
        assert_eq!(bytes("local stratum 8 orphan waitunsynced 2")[48..], *"06800000");
        assert_eq!(bytes("manual reset"), "0000000200000000");
        assert_eq!(bytes("dfreq 0.5"), "0280000000000000");
        assert_eq!(
            bytes("burst 3/5 127.0.0.0/24"),
            format!(
                "ffffff00{0}00010000{1}{0}0001000000000003{2}",
                "0".repeat(24),
                "7f000000",
                "00000005"
            )
        );
        assert_eq!(
            bytes("selectopts 127.0.0.11 -noselect +prefer +trust -require"),
            format!("7f00000b{}00010000000000000000000f00000028", "0".repeat(24))
        );
        assert_eq!(
            bytes("offset GPS0 0.001"),
            format!("{}47505330f083126f", "0".repeat(40))
        );
    }

    #[test]
    fn messages() {
        fault("burst 3", "Invalid syntax for burst command");
        fault("delete", "Invalid syntax for address");
        fault("dfreq x", "Invalid value");
        fault("local stratum 16", "Invalid syntax for local command");
        fault("local foo", "Invalid syntax for local command");
        fault("makestep 1", "Bad syntax for makestep command");
        fault("manual", "Invalid syntax for manual command");
        fault("manual delete", "Bad syntax for manual delete command");
        fault("minpoll 1.2.3.4", "Invalid syntax for address value");
        fault("offset GPS00 1", "Invalid syntax for offset command");
        fault("offset GPS0", "Invalid syntax for offset command");
        fault("reload", "Invalid syntax for reload command");
        fault("reset x", "Invalid syntax for reset command");
        fault("selectopts", "Invalid syntax for selectopts command");
        fault("selectopts PPS prefer", "Invalid syntax for selectopts command");
        fault("smoothtime", "Invalid syntax for smoothtime command");
        fault("accheck", "Could not read address");
        fault("accheck ID#1", "Could not read address");
        assert_eq!(read("maxupdateskew x"), Err(Fault::Silent));
        assert!(parse("foo", &[], &Names::default()).is_none());
    }
}
