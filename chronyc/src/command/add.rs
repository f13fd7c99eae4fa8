//! `add` (`spec/chronyc.md` section 3.1).

use super::Fault;
use super::scan::Scanner;
use crate::names::Names;
use truechimer_engine::wire::command::{AddSource, Request, SourceFlags, SourceKind};

const SYNTAX: Fault = Fault::Message("Invalid syntax for add command");
const OPTION: Fault = Fault::Message("Invalid option in add command");
const VALUE: Fault = Fault::Message("Invalid value in add command");
const HOST: Fault = Fault::Message("Invalid host/IP address");

/// Longest name.
const MAX_NAME: usize = 255;

/// The words after `add`.
pub(crate) fn parse(words: &[&str], names: &Names) -> Result<Request, Fault> {
    let [kind, words @ ..] = words else {
        return Err(SYNTAX);
    };
    let kind = match kind.to_ascii_lowercase().as_str() {
        "server" => SourceKind::Server,
        "peer" => SourceKind::Peer,
        "pool" => SourceKind::Pool,
        _ => return Err(SYNTAX),
    };
    let [name, words @ ..] = words else {
        return Err(SYNTAX);
    };
    let mut source = AddSource::new(kind, name);
    let line = words.join(" ");
    let mut rest = Scanner::new(&line);
    while let Some(word) = rest.word() {
        option(&mut source, word, &mut rest)?;
    }
    // The name itself is sent, but only if it means something here, too.
    if name.len() > MAX_NAME || names.address(name).is_none() {
        return Err(HOST);
    }
    Ok(Request::AddSource(Box::new(source)))
}

fn flag(word: &str) -> Option<(SourceFlags, bool)> {
    Some(match word {
        "auto_offline" => (SourceFlags::AUTO_OFFLINE, true),
        "burst" => (SourceFlags::BURST, true),
        "copy" => (SourceFlags::COPY, true),
        "iburst" => (SourceFlags::IBURST, true),
        "ipv4" => (SourceFlags::IPV4, true),
        "ipv6" => (SourceFlags::IPV6, true),
        "noselect" => (SourceFlags::NOSELECT, true),
        "nts" => (SourceFlags::NTS, true),
        "offline" => (SourceFlags::ONLINE, false),
        "prefer" => (SourceFlags::PREFER, true),
        "require" => (SourceFlags::REQUIRE, true),
        "trust" => (SourceFlags::TRUST, true),
        "xleave" => (SourceFlags::XLEAVE, true),
        _ => return None,
    })
}

fn option(source: &mut AddSource, word: &str, rest: &mut Scanner<'_>) -> Result<(), Fault> {
    let word = word.to_ascii_lowercase();
    if let Some((flag, on)) = flag(&word) {
        source.flags.set(flag, on);
        // There is one family; the last one given.
        match flag {
            SourceFlags::IPV4 => source.flags.set(SourceFlags::IPV6, false),
            SourceFlags::IPV6 => source.flags.set(SourceFlags::IPV4, false),
            _ => {}
        }
        return Ok(());
    }
    const MAX: i32 = i32::MAX;
    match word.as_str() {
        "asymmetry" => source.asymmetry = float(rest)?,
        "certset" => source.cert_set = rest.unsigned().ok_or(VALUE)?,
        "extfield" => match rest.hex() {
            Some(0xf323) => source.flags.set(SourceFlags::MONO_ROOT, true),
            Some(0x10a | 0xf324) => source.flags.set(SourceFlags::NET_CORRECTION, true),
            _ => return Err(VALUE),
        },
        "filter" => source.filter = int(rest, 0, MAX)?,
        "key" => source.key = rest.unsigned().filter(|key| *key != 0).ok_or(VALUE)?,
        "maxdelay" => source.max_delay = float(rest)?,
        "maxdelaydevratio" => source.max_delay_dev_ratio = float(rest)?,
        "maxdelayquant" => source.max_delay_quant = float(rest)?,
        "maxdelayratio" => source.max_delay_ratio = float(rest)?,
        "maxntsretry" => source.max_nts_retry = int(rest, -32, 32)?,
        "maxpoll" => source.maxpoll = int(rest, -32, 32)?,
        "maxsamples" => source.max_samples = int(rest, 0, MAX)?,
        "maxsources" => source.max_sources = natural(rest, 1, MAX)?,
        "maxunreach" => source.max_unreach = int(rest, 0, MAX)?,
        "mindelay" => source.min_delay = float(rest)?,
        "minpoll" => source.minpoll = int(rest, -32, 32)?,
        "minsamples" => source.min_samples = int(rest, 0, MAX)?,
        "minstratum" => source.min_stratum = natural(rest, 0, 16)?,
        "ntsport" => source.nts_port = natural(rest, 0, 65_535)?,
        "offset" => source.offset = float(rest)?,
        "polltarget" => source.poll_target = natural(rest, 1, MAX)?,
        "port" => source.port = natural(rest, 0, 65_535)?,
        "presend" => source.presend = int(rest, -32, 32)?,
        "version" => source.version = natural(rest, 1, 4)?,
        _ => return Err(OPTION),
    }
    Ok(())
}

fn float(rest: &mut Scanner<'_>) -> Result<f64, Fault> {
    rest.float().ok_or(VALUE)
}

fn int(rest: &mut Scanner<'_>, low: i32, high: i32) -> Result<i32, Fault> {
    rest.int().filter(|n| (low..=high).contains(n)).ok_or(VALUE)
}

/// For what is sent unsigned; `low` is not negative.
fn natural(rest: &mut Scanner<'_>, low: i32, high: i32) -> Result<u32, Fault> {
    int(rest, low, high).map(i32::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(text: &str) -> Result<AddSource, Fault> {
        let words: Vec<&str> = text.split(' ').collect();
        parse(&words, &Names::default()).map(|request| match request {
            Request::AddSource(source) => *source,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_option() {
        let source = add("POOL 1.2.3.4 minpoll 5 maxpoll 7 presend 3 minstratum 2 polltarget 9 version 3 maxsources 5 \
                          minsamples 4 maxsamples 8 key 77 ntsport 4461 maxdelay 2 maxdelayratio 5 maxdelaydevratio 6 \
                          mindelay 0.5 asymmetry 0.25 offset 0.125 filter 3 certset 9 maxdelayquant 0.3 \
                          maxunreach 11 port 124 maxntsretry 21 IBurst")
        .unwrap();
        let expected = AddSource {
            port: 124,
            minpoll: 5,
            maxpoll: 7,
            presend: 3,
            min_stratum: 2,
            poll_target: 9,
            version: 3,
            max_sources: 5,
            min_samples: 4,
            max_samples: 8,
            max_unreach: 11,
            filter: 3,
            key: 77,
            nts_port: 4461,
            cert_set: 9,
            max_nts_retry: 21,
            max_delay: 2.0,
            max_delay_ratio: 5.0,
            max_delay_dev_ratio: 6.0,
            max_delay_quant: 0.3,
            min_delay: 0.5,
            asymmetry: 0.25,
            offset: 0.125,
            flags: SourceFlags(5),
            ..AddSource::new(SourceKind::Pool, "1.2.3.4")
        };
        assert_eq!(source, expected);
        let flags = add(
            "server ::1 offline auto_offline prefer noselect trust require xleave burst nts copy extfield \
                         f323 extfield 10A ipv4 ipv6",
        );
        assert_eq!(flags.unwrap().flags, SourceFlags(0x8001_17fa));
        assert_eq!(add("server ::1 offline").unwrap().flags, SourceFlags(0));
    }

    #[test]
    fn errors() {
        assert_eq!(add("server"), Err(SYNTAX));
        assert_eq!(add("clock 1.2.3.4"), Err(SYNTAX));
        assert_eq!(add("server 1.2.3.4 foo"), Err(OPTION));
        assert_eq!(add("server 1.2.3.4 minpoll 5x"), Err(OPTION));
        assert!(add("server 1.2.3.4 minpoll 5iburst").is_ok());
        assert_eq!(add("server ID#1"), Err(HOST));
        for text in [
            "minpoll",
            "minpoll x",
            "minpoll 33",
            "version 5",
            "key 0",
            "extfield f325",
            "port 65536",
        ] {
            assert_eq!(add(&format!("server 1.2.3.4 {text}")), Err(VALUE), "{text}");
        }
        assert_eq!(add(&format!("server {}", "x".repeat(256))), Err(HOST));
    }
}
