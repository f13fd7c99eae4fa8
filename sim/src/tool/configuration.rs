//! Reads a `chrony.conf` for a machine of the world.

use crate::problem::{SimError, reason};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use truechimer_engine::config::{
    AddressFamily, Config, Environment, KeptLine, Loader, Options, SourceConfig, TempComp, Unsearchable,
    source_files, unsupported,
};
use truechimer_sim::NodeSpec;

/// Names of the world and their addresses; empty: it has none.
pub(crate) type Names = BTreeMap<String, Vec<Ipv4Addr>>;

/// Features without which a simulation would be of something else. All others have no meaning there.
const NEEDED: [&str; 2] = ["refclock", "nts"];

/// A configuration and what was read with it.
pub(crate) struct Configuration {
    /// The machine, its clock being perfect.
    pub(crate) spec: NodeSpec,
    /// Of `sourcedir`.
    pub(crate) source_files: Vec<SourceConfig>,
    /// Directives that mean nothing in a simulated world.
    pub(crate) without_meaning: Vec<&'static str>,
}

/// Real files, and the names of the world.
struct Files<'a>(&'a Names);

impl Environment for Files<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
            return Ok(Vec::new());
        }
        fs::read(path).map_err(|error| reason(&error))
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable> {
        let paths = glob::glob(pattern).map_err(|_| Unsearchable)?;
        let mut found: Vec<String> = paths
            .filter_map(|path| Some(path.ok()?.to_str()?.to_owned()))
            .collect();
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            found.push(pattern.to_owned());
        }
        Ok(found)
    }

    fn resolve(&mut self, name: &str) -> Option<IpAddr> {
        self.0.get(name)?.first().copied().map(IpAddr::V4)
    }
}

/// Reads a configuration with all that it includes, and checks that this world has what it needs.
pub(crate) fn read(path: &str, names: &Names) -> Result<Configuration, SimError> {
    let mut files = Files(names);
    let options = Options {
        keep_lines: true,
        all_problems: true,
        ..Options::default()
    };
    let mut loader = Loader::new(&mut files, options);
    let mut problems = Vec::new();
    if let Err(error) = loader.file(path) {
        problems.push(SimError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        });
    }
    problems.extend(
        loader
            .problems()
            .iter()
            .map(|problem| SimError::config(path, problem)),
    );
    let lines = loader.lines().to_vec();
    let config = loader.finish();
    let source_files = source_files(&mut files, &config.source_dirs);
    let missing: Vec<&str> = unsupported(&config).iter().map(|missing| missing.what).collect();
    for what in &missing {
        if NEEDED.contains(what) {
            problems.push(SimError::Text {
                place: place(path, &lines, what),
                what: format!("{what} is not supported by this build"),
                fix: "leave it out to simulate the rest".to_owned(),
            });
        }
    }
    for source in config.sources.iter().chain(&source_files) {
        if let Err((what, fix)) = known(source, names) {
            let place = place(path, &lines, &source.name);
            problems.push(SimError::Text { place, what, fix });
        }
    }
    if problems.len() == 1 {
        return Err(problems.remove(0));
    } else if !problems.is_empty() {
        return Err(SimError::Several(problems));
    }
    Ok(Configuration {
        without_meaning: missing
            .into_iter()
            .filter(|what| !NEEDED.contains(what))
            .collect(),
        source_files,
        spec: spec(config)?,
    })
}

/// File and line of the first line with this word.
fn place(path: &str, lines: &[KeptLine], word: &str) -> String {
    let has = |line: &&KeptLine| {
        let text = line.normalised();
        text.split(|byte| *byte == b' ')
            .any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    lines.iter().find(has).map_or_else(
        || path.to_owned(),
        |line| {
            format!(
                "{}:{}",
                line.place.file.as_deref().unwrap_or(path),
                line.place.line
            )
        },
    )
}

/// What is missing in the world if it has no such source, and what to do.
fn known(source: &SourceConfig, names: &Names) -> Result<(), (String, String)> {
    let name = &source.name;
    let no_such = |what: &str, line: String| {
        let what = format!("there is no server with the {what} {name} in this world");
        Err((what, format!("add one to the world description:\n    {line}")))
    };
    match name.parse() {
        Ok(IpAddr::V4(address)) if !names.values().any(|known| known.contains(&address)) => {
            no_such("address", format!("[server.NAME]\n    address = \"{address}\""))
        }
        Ok(IpAddr::V6(_)) => Err((
            format!("{name} is an IPv6 address, and simulated worlds have IPv4 only"),
            "write a name here and give it to a server of the world".to_owned(),
        )),
        Err(_) if source.family == AddressFamily::V6 => Err((
            format!("{name} is wanted by IPv6, and simulated worlds have IPv4 only"),
            "leave the option ipv6 out".to_owned(),
        )),
        Err(_) if !names.contains_key(name) => {
            no_such("name", format!("[server.NAME]\n    name = \"{name}\""))
        }
        _ => Ok(()),
    }
}

/// A machine with this configuration, and with the files that the configuration names.
fn spec(config: Config) -> Result<NodeSpec, SimError> {
    let read = |path: &Option<String>| path.as_deref().map(|path| (path.to_owned(), fs::read(path)));
    let clock = &config.clock;
    let list = read(&clock.leap_list).and_then(|(_, text)| String::from_utf8(text.ok()?).ok());
    let zone = clock
        .leap_tz
        .as_ref()
        .map(|name| format!("/usr/share/zoneinfo/{name}"));
    let zone = read(&zone).and_then(|(_, contents)| contents.ok());
    let points = config.clock.temp_comp.as_ref().and_then(TempComp::points);
    let points = points.map(|path| fs::read_to_string(path).map_err(|error| SimError::file(path, &error)));
    let keys = match read(&config.files.key_file) {
        None => None,
        Some((_, Ok(text))) => Some(text),
        // Only those who use keys need them.
        Some((_, Err(_))) if config.sources.iter().all(|source| source.key == 0) => None,
        Some((path, Err(error))) => return Err(SimError::file(&path, &error)),
    };
    Ok(NodeSpec {
        leap_list: list,
        leap_zone: zone,
        temp_points: points.transpose()?,
        keys,
        ..NodeSpec::perfect(config)
    })
}
