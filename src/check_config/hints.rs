//! What chrony accepts silently and is nearly always a mistake.

use super::lines::{Line, Lines, whole};
use super::report::{Finding, Level, Report};
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use truechimer_engine::config::{
    AuthSelectMode, Config, Environment, SourceConfig, SourceKind, Warning, ignored_sources, source_files,
    source_paths,
};

/// Sources that are needed to tell a wrong one from the others.
const ENOUGH_SOURCES: usize = 3;

/// Adds all hints.
pub(super) fn collect(
    config: &Config,
    lines: &Lines,
    warnings: &[Warning],
    files: &mut dyn Environment,
    report: &mut Report,
) {
    accepted_with_warning(lines, warnings, report);
    comments_in_lines(lines, report);
    for (line, source) in source_lines(lines).zip(&config.sources) {
        poll_range(line, source, report);
        pool_of_one(line, source, report);
    }
    open_to_all(lines, public_address(), report);
    let sources = all_sources(config, files);
    mixed_authentication(config, &sources, lines, report);
    drift_directory(config, lines, report);
    for path in source_paths(files, &config.source_dirs) {
        ignored_lines(&path, &files.read(&path).unwrap_or_default(), report);
    }
}

fn all_sources(config: &Config, files: &mut dyn Environment) -> Vec<SourceConfig> {
    let mut sources = config.sources.clone();
    sources.extend(source_files(files, &config.source_dirs));
    sources
}

fn source_lines(lines: &Lines) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| {
        ["server", "pool", "peer"]
            .iter()
            .any(|directive| line.is(directive))
    })
}

/// What the normal start logs with severity warning.
fn accepted_with_warning(lines: &Lines, warnings: &[Warning], report: &mut Report) {
    for warning in warnings {
        let word = match warning {
            Warning::Retired(word) | Warning::Unresolved(word) => word,
        };
        report.add(lines.about(word, Level::Warning, warning.to_string()));
    }
}

fn comments_in_lines(lines: &Lines, report: &mut Report) {
    for line in lines.iter() {
        if let Some(index) = line.words().skip(1).position(|word| word.starts_with('#')) {
            let text = "words after '#' in a line are arguments, not a comment".to_owned();
            let help = "a comment needs a line of its own".to_owned();
            report.add(Finding {
                help,
                ..line.at(Level::Warning, index + 1, text)
            });
        }
    }
}

fn poll_range(line: &Line, source: &SourceConfig, report: &mut Report) {
    if source.maxpoll < source.minpoll
        && let Some(index) = line.find("maxpoll")
    {
        let (min, max) = (source.minpoll, source.maxpoll);
        let text = format!("maxpoll {max} is below minpoll {min}, {min} is used for both");
        let help = match line.find("minpoll") {
            Some(_) => String::new(),
            None => format!("minpoll is {min} unless given: add 'minpoll {max}'"),
        };
        report.add(Finding {
            help,
            ..line.at(Level::Warning, index, text)
        });
    }
}

fn pool_of_one(line: &Line, source: &SourceConfig, report: &mut Report) {
    if source.kind == SourceKind::Pool && source.name.parse::<IpAddr>().is_ok() {
        let text = "a pool with an IP address is a single server".to_owned();
        let help = "use 'server', or the name of the pool".to_owned();
        report.add(Finding {
            help,
            ..line.at(Level::Warning, 1, text)
        });
    }
}

pub(super) fn open_to_all(lines: &Lines, public: Option<IpAddr>, report: &mut Report) {
    let Some(address) = public else {
        return;
    };
    for line in lines.of("allow") {
        let subnet = line.words().skip(1).find(|word| *word != "all");
        if subnet.is_none_or(|subnet| subnet.ends_with("/0")) {
            let text = format!("every address may ask this server, which has the public address {address}");
            let help = "name the subnets of your clients".to_owned();
            report.add(Finding {
                help,
                ..line.at(Level::Warning, 0, text)
            });
        }
    }
}

/// Warns about too few sources.
pub(super) fn few_sources(config: &Config, files: &mut dyn Environment, report: &mut Report) {
    let sources = all_sources(config, files);
    let count = |source: &SourceConfig| match source.kind {
        SourceKind::Pool if source.name.parse::<IpAddr>().is_err() => {
            usize::try_from(source.max_sources).unwrap_or(1)
        }
        _ => 1,
    };
    let total = sources
        .iter()
        .map(count)
        .fold(config.refclocks.len(), usize::saturating_add);
    // More may come into a sourcedir at any time; a server of its own time needs none.
    if total >= ENOUGH_SOURCES
        || !config.source_dirs.is_empty()
        || (total == 0 && config.network.local.is_some())
    {
        return;
    }
    let text = match total {
        0 => "there is no time source".to_owned(),
        1 => "there is only 1 time source: if it is wrong, nobody will notice".to_owned(),
        n => format!("there are only {n} time sources: if they differ, nothing tells which is wrong"),
    };
    let help = format!("use at least {ENOUGH_SOURCES}, better four or more");
    report.add(Finding {
        help,
        ..whole(Level::Warning, text)
    });
}

fn mixed_authentication(config: &Config, sources: &[SourceConfig], lines: &Lines, report: &mut Report) {
    let authenticated = |source: &SourceConfig| source.nts || source.key != 0;
    if config.selection.auth_mode == AuthSelectMode::Ignore
        && sources.iter().any(|source| source.nts)
        && sources
            .iter()
            .any(|source| !authenticated(source) && !source.select.noselect)
    {
        let text = "unauthenticated sources count as much as those with NTS".to_owned();
        let help =
            "whoever forges their packets controls the clock: use 'authselectmode prefer' or remove them";
        let finding = lines.about("authselectmode", Level::Warning, text);
        report.add(Finding {
            help: help.to_owned(),
            ..finding
        });
    }
}

fn drift_directory(config: &Config, lines: &Lines, report: &mut Report) {
    if let Some(directory) = config
        .files
        .drift_file
        .as_deref()
        .map(Path::new)
        .and_then(Path::parent)
        && !directory.as_os_str().is_empty()
        && !directory.is_dir()
    {
        let text = format!(
            "there is no directory {}: the drift file cannot be written",
            directory.display()
        );
        let line = lines.of("driftfile").last();
        report.add(line.map_or_else(
            || whole(Level::Warning, text.clone()),
            |line| line.at(Level::Warning, 1, text.clone()),
        ));
    }
}

fn ignored_lines(path: &str, contents: &[u8], report: &mut Report) {
    for problem in ignored_sources(path, contents) {
        let mut finding = Finding::problem(Level::Warning, &problem);
        finding.message += ", the line is ignored";
        report.add(finding);
    }
    if !contents.is_empty() && !contents.ends_with(b"\n") {
        let text = format!("the last line of {path} has no newline at its end and is ignored");
        report.add(whole(Level::Warning, text));
    }
}

/// A public address of an interface.
fn public_address() -> Option<IpAddr> {
    let addresses = getifaddrs().ok()?.filter_map(|interface| interface.address);
    let ip = addresses.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    ip.into_iter().find(is_public)
}

/// Can anyone on the Internet send to it?
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            let reserved = v4.octets()[0] == 0 || v4.octets()[0] >= 224;
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || shared
                || reserved
                || v4.is_documentation())
        }
        // Global unicast without the prefix for documentation.
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000 && !is_documentation(v6),
    }
}

fn is_documentation(address: &Ipv6Addr) -> bool {
    matches!(address.segments(), [0x2001, 0xdb8, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        for text in ["8.8.8.8", "2001:4860::1", "100.128.0.1"] {
            assert!(text.parse().is_ok_and(|address| is_public(&address)), "{text}");
        }
        for text in [
            "10.0.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.1.1",
        ] {
            assert!(text.parse().is_ok_and(|address| !is_public(&address)), "{text}");
        }
        for text in ["::1", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1"] {
            assert!(text.parse().is_ok_and(|address| !is_public(&address)), "{text}");
        }
    }
}
