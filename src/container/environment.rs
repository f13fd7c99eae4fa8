//! The variables of the container: what they take, and the directives that they mean.

use crate::config_files::ConfigFiles;
use std::collections::BTreeMap;
use std::path::Path;
use truechimer_engine::config::{
    AddressFamily, Config, ConfigError, Environment, Loader, Options, Subnet, Unsearchable, unsupported,
};

/// Servers if none are named.
const DEFAULT_POOL: &str = "pool.ntp.org";
/// Where the C library looks for time zones.
const ZONES: &str = "/usr/share/zoneinfo";
/// Stratum of a server that follows its own clock.
const LOCAL: &str = "local stratum 10";

/// The variables that make a configuration, and have no meaning beside one that is given.
const OF_CONFIGURATION: &[&str] = &[
    "NTP_SERVERS",
    "CHRONY_SERVERS",
    "CHRONY_ALLOWED",
    "ALLOW_CIDR",
    "NTP_DIRECTIVES",
    "ENABLE_NTS",
    "NOCLIENTLOG",
];

/// A variable that can't be used; `Display` names it and what it takes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum VariableError {
    /// It takes something else.
    #[error("{name}={value}: it takes {takes}")]
    Value {
        /// The variable.
        name: &'static str,
        /// Its value, or the part of it that is wrong.
        value: String,
        /// What would be right.
        takes: &'static str,
    },
    /// A line that the configuration does not take.
    #[error("{name}: '{line}': {reason}")]
    Directive {
        /// The variable.
        name: &'static str,
        /// The line.
        line: String,
        /// The configuration's message.
        reason: String,
    },
    /// NTS is asked for but not there.
    #[error("ENABLE_NTS is on, but {0}; unset it to use NTP without authentication")]
    Nts(String),
    /// The default servers have no NTS.
    #[error(
        "ENABLE_NTS is on, but {DEFAULT_POOL} has no NTS; name servers that have it in NTP_SERVERS, \
         for example NTP_SERVERS=time.cloudflare.com"
    )]
    NtsPool,
}

/// Whether the clock of the machine is to be kept (`ENABLE_SYSCLK`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Control {
    /// If that is allowed.
    #[default]
    Auto,
    /// Or it is an error.
    Yes,
    /// Serve only.
    No,
}

/// What the variables say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Wishes {
    /// Lines for the sources.
    sources: Vec<String>,
    /// Who may ask; `None`: nothing was said.
    allowed: Option<Vec<String>>,
    directives: Vec<String>,
    no_client_log: bool,
    /// `LOG_LEVEL`, as the option `-L` takes it.
    pub(super) threshold: Option<i32>,
    /// `ENABLE_SYSCLK`
    pub(super) control: Control,
    /// Variables that are set and count only without a configuration.
    pub(super) of_configuration: Vec<&'static str>,
}

/// What the container may do, as far as the configuration depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rights {
    /// The clock will be controlled.
    pub(super) clock: bool,
    /// Port 123 can be opened.
    pub(super) ntp_port: bool,
    /// The state directory can be written.
    pub(super) state: bool,
    /// There is a directory for the Unix command socket.
    pub(super) socket: bool,
}

impl Wishes {
    /// Reads the variables.
    pub(super) fn read(variables: &BTreeMap<String, String>) -> Result<Self, VariableError> {
        // A variable may be set to nothing, and quotes of an environment file stay in it.
        let get = |name: &str| {
            let value = variables
                .get(name)
                .map(|value| value.trim_matches(|c: char| c == '"' || c.is_whitespace()));
            value.filter(|value| !value.is_empty())
        };
        let flag = |name| get(name).map_or(Ok(false), |value| boolean(name, value));
        check_zone(get("TZ"))?;
        let nts = flag("ENABLE_NTS")?;
        let servers = [
            ("NTP_SERVERS", get("NTP_SERVERS")),
            ("CHRONY_SERVERS", get("CHRONY_SERVERS")),
        ];
        let mut allowed = None;
        for name in ["CHRONY_ALLOWED", "ALLOW_CIDR"] {
            if let Some(list) = get(name) {
                allowed.get_or_insert_with(Vec::new).extend(subnets(name, list)?);
            }
        }
        Ok(Self {
            sources: sources(servers, nts)?,
            allowed,
            directives: get("NTP_DIRECTIVES").map_or(Ok(Vec::new()), directives)?,
            no_client_log: flag("NOCLIENTLOG")?,
            threshold: get("LOG_LEVEL").map(log_level).transpose()?,
            control: get("ENABLE_SYSCLK").map_or(Ok(Control::Auto), control)?,
            of_configuration: OF_CONFIGURATION
                .iter()
                .copied()
                .filter(|name| get(name).is_some())
                .collect(),
        })
    }

    /// True if it was said who may ask.
    pub(super) fn says_who_may_ask(&self) -> bool {
        self.allowed.is_some()
    }

    /// The configuration, a directive an element.
    pub(super) fn configuration(&self, rights: Rights) -> Vec<String> {
        let mut lines = self.sources.clone();
        if rights.clock {
            // A step at the start only: whatever runs beside us expects time to go on evenly.
            lines.extend(["makestep 1 3", "rtcsync"].map(String::from));
        }
        if rights.state {
            lines.push("driftfile /var/lib/chrony/chrony.drift".to_owned());
        }
        lines.push(format!("leapseclist {ZONES}/leap-seconds.list"));
        if rights.socket {
            // The UDP port would need a capability.
            lines.push("cmdport 0".to_owned());
        }
        match &self.allowed {
            Some(subnets) => lines.extend(subnets.iter().map(|subnet| format!("allow {subnet}"))),
            // Without the clock, serving is all that is left to do.
            None if !rights.clock && rights.ntp_port => lines.push("allow".to_owned()),
            None => {}
        }
        if self.no_client_log {
            lines.push("noclientlog".to_owned());
        }
        lines.extend(self.directives.iter().cloned());
        lines
    }
}

fn boolean(name: &'static str, value: &str) -> Result<bool, VariableError> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(VariableError::Value {
            name,
            value: value.to_owned(),
            takes: "1, yes, true or on, or 0, no, false or off",
        }),
    }
}

fn control(value: &str) -> Result<Control, VariableError> {
    let name = "ENABLE_SYSCLK";
    if value.eq_ignore_ascii_case("auto") {
        return Ok(Control::Auto);
    }
    match boolean(name, value) {
        Ok(true) => Ok(Control::Yes),
        Ok(false) => Ok(Control::No),
        Err(_) => Err(VariableError::Value {
            name,
            value: value.to_owned(),
            takes: "auto, 1, yes, true or on, or 0, no, false or off",
        }),
    }
}

fn log_level(value: &str) -> Result<i32, VariableError> {
    match value.to_ascii_lowercase().as_str() {
        "0" | "info" => Ok(0),
        "1" | "warning" => Ok(1),
        "2" | "error" => Ok(2),
        "3" | "fatal" => Ok(3),
        _ => Err(VariableError::Value {
            name: "LOG_LEVEL",
            value: value.to_owned(),
            takes: "0 (info), 1 (warning), 2 (error) or 3 (fatal)",
        }),
    }
}

/// A name of a file with a zone, or rules such as `CET-1CEST` (which are not checked further).
fn check_zone(zone: Option<&str>) -> Result<(), VariableError> {
    let Some(zone) = zone else { return Ok(()) };
    let name = zone.trim_start_matches(':');
    let first = name.split(',').next().unwrap_or_default();
    let rules = first.contains(|c: char| c.is_ascii_digit()) && !first.contains('/');
    if rules || Path::new(ZONES).join(name).is_file() {
        return Ok(());
    }
    Err(VariableError::Value {
        name: "TZ",
        value: zone.to_owned(),
        takes: "a time zone such as Europe/Berlin or UTC",
    })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The lines for the sources, without repetitions.
fn sources(variables: [(&'static str, Option<&str>); 2], nts: bool) -> Result<Vec<String>, VariableError> {
    let mut lines: Vec<String> = Vec::new();
    let end = if nts { " iburst nts" } else { " iburst" };
    for (name, text) in variables {
        for server in list(text.unwrap_or_default()) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
            if !server.chars().all(is_name) {
                return Err(VariableError::Value {
                    name,
                    value: server.to_owned(),
                    takes: "names or addresses separated by commas",
                });
            }
            let line = if server.starts_with("127.") {
                LOCAL.to_owned()
            } else {
                format!("{} {server}{end}", keyword(server))
            };
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        if nts {
            return nts_missing().and(Err(VariableError::NtsPool));
        }
        lines.push(format!("pool {DEFAULT_POOL}{end}"));
    } else if nts {
        nts_missing()?;
    }
    Ok(lines)
}

/// A name of the pool project stands for many servers; its numbered names are meant to be used together, each for one.
fn keyword(server: &str) -> &'static str {
    let numbered = server.starts_with(|c: char| c.is_ascii_digit());
    let of_pool = server == DEFAULT_POOL || server.ends_with(".pool.ntp.org");
    if of_pool && !numbered { "pool" } else { "server" }
}

/// The error of a build without NTS.
fn nts_missing() -> Result<(), VariableError> {
    let config = parse(&["server 192.0.2.1 nts".to_owned()]).unwrap_or_default();
    unsupported(&config)
        .first()
        .map_or(Ok(()), |missing| Err(VariableError::Nts(missing.to_string())))
}

fn subnets(name: &'static str, text: &str) -> Result<Vec<String>, VariableError> {
    let check = |entry: &str| {
        let parsed = parse(&[format!("allow {entry}")]).ok();
        let right = parsed.is_some_and(|config| {
            config.network.access.iter().all(|rule| match rule.subnet {
                Subnet::Any => true,
                Subnet::Net(address, bits) => bits <= if address.is_ipv4() { 32 } else { 128 },
            })
        });
        right
            .then(|| entry.to_owned())
            .ok_or_else(|| VariableError::Value {
                name,
                value: entry.to_owned(),
                takes: "subnets separated by commas, such as 10/8, 192.168.1.0/24 or fd00::/8, or all",
            })
    };
    list(text).map(check).collect()
}

/// Lines separated by newlines (also written `\n`); by commas if there is no newline.
fn directives(text: &str) -> Result<Vec<String>, VariableError> {
    let text = text.replace("\\n", "\n");
    let separator = if text.contains('\n') { '\n' } else { ',' };
    let lines = text
        .split(separator)
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let line = line.to_owned();
            match parse(std::slice::from_ref(&line)) {
                Ok(_) => Ok(line),
                Err(error) => {
                    let text = error.to_string();
                    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
                    let name = "NTP_DIRECTIVES";
                    Err(VariableError::Directive { name, line, reason })
                }
            }
        })
        .collect()
}

/// What directives mean.
fn parse(directives: &[String]) -> Result<Config, ConfigError> {
    let mut files = NoNames(ConfigFiles::new(AddressFamily::Any));
    let mut loader = Loader::new(&mut files, Options::default());
    loader.directives(directives).map(|()| loader.finish())
}

/// The real files, but names are not looked up: that is for the daemon, and takes long without a network.
#[derive(Debug)]
pub(super) struct NoNames(pub(super) ConfigFiles<'static>);

impl Environment for NoNames {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.read(path)
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable> {
        self.0.glob(pattern)
    }

    fn resolve(&mut self, _: &str) -> Option<std::net::IpAddr> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rights = Rights {
        clock: true,
        ntp_port: true,
        state: true,
        socket: true,
    };

    fn read(variables: &[(&str, &str)]) -> Result<Wishes, VariableError> {
        let pairs = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Wishes::read(&pairs.collect())
    }

    fn lines(variables: &[(&str, &str)], rights: Rights) -> Vec<String> {
        let lines = read(variables).unwrap().configuration(rights);
        assert!(parse(&lines).is_ok(), "{lines:?}");
        lines
    }

    fn error(name: &str, value: &str) -> String {
        read(&[(name, value)]).unwrap_err().to_string()
    }

    #[test]
    fn nothing_set() {
        assert_eq!(
            lines(&[("NTP_SERVERS", " "), ("OTHER", "x")], ALL),
            [
                "pool pool.ntp.org iburst",
                "makestep 1 3",
                "rtcsync",
                "driftfile /var/lib/chrony/chrony.drift",
                "leapseclist /usr/share/zoneinfo/leap-seconds.list",
                "cmdport 0",
            ]
        );
    }

    #[test]
    fn rights_shape_the_configuration() {
        let none = Rights {
            clock: false,
            ntp_port: false,
            state: false,
            socket: false,
        };
        assert_eq!(
            lines(&[], none),
            [
                "pool pool.ntp.org iburst",
                "leapseclist /usr/share/zoneinfo/leap-seconds.list"
            ]
        );
        let serving = Rights {
            ntp_port: true,
            ..none
        };
        assert_eq!(lines(&[], serving).last().unwrap(), "allow");
        // Who says who may ask gets just that.
        let lines = lines(&[("ALLOW_CIDR", "10/8")], serving);
        assert_eq!(lines.last().unwrap(), "allow 10/8");
        assert!(!lines.contains(&"allow".to_owned()));
    }

    #[test]
    fn servers() {
        let sources = |variables: &[(&str, &str)]| read(variables).unwrap().sources;
        assert_eq!(
            sources(&[
                ("NTP_SERVERS", "\"a.example, 192.0.2.1 ,,2001:db8::1\""),
                ("CHRONY_SERVERS", "a.example,0.pool.ntp.org,de.pool.ntp.org")
            ]),
            [
                "server a.example iburst",
                "server 192.0.2.1 iburst",
                "server 2001:db8::1 iburst",
                "server 0.pool.ntp.org iburst",
                "pool de.pool.ntp.org iburst",
            ]
        );
        assert_eq!(sources(&[("CHRONY_SERVERS", "127.127.1.1,127.0.0.1")]), [LOCAL]);
        assert_eq!(
            error("NTP_SERVERS", "a b"),
            "NTP_SERVERS=a b: it takes names or addresses separated by commas"
        );
    }

    #[test]
    fn clients() {
        let lines = lines(
            &[
                ("CHRONY_ALLOWED", "10/8,172.16/12, 192.168/16"),
                ("ALLOW_CIDR", "fd00::/8,all"),
            ],
            ALL,
        );
        assert_eq!(
            lines[6..],
            [
                "allow 10/8",
                "allow 172.16/12",
                "allow 192.168/16",
                "allow fd00::/8",
                "allow all"
            ]
        );
        for wrong in ["10/33", "example.net", "10/x", "fd00::/129", "1 2"] {
            assert!(
                error("ALLOW_CIDR", wrong).starts_with(&format!("ALLOW_CIDR={wrong}: it takes subnets ")),
                "{wrong}"
            );
        }
        assert!(error("CHRONY_ALLOWED", "10/8,x").starts_with("CHRONY_ALLOWED=x: it takes subnets "));
    }

    #[test]
    fn more_directives() {
        let directives = |text| read(&[("NTP_DIRECTIVES", text)]).unwrap().directives;
        assert_eq!(
            directives("ratelimit interval 1, minsources 2"),
            ["ratelimit interval 1", "minsources 2"]
        );
        for text in ["ratelimit\nminsources 2\n", "ratelimit\\nminsources 2"] {
            assert_eq!(directives(text), ["ratelimit", "minsources 2"]);
        }
        assert_eq!(
            error("NTP_DIRECTIVES", "ratelimit,foo 1"),
            "NTP_DIRECTIVES: 'foo 1': Invalid directive foo"
        );
        assert_eq!(
            error("NTP_DIRECTIVES", "makestep x"),
            "NTP_DIRECTIVES: 'makestep x': Missing arguments for makestep directive"
        );
    }

    #[test]
    fn booleans() {
        for yes in ["1", "Yes", "TRUE", "on"] {
            let all = lines(&[("NOCLIENTLOG", yes)], ALL);
            assert_eq!(all.last().unwrap(), "noclientlog");
        }
        for no in ["0", "No", "FALSE", "off", ""] {
            assert!(!lines(&[("NOCLIENTLOG", no)], ALL).contains(&"noclientlog".to_owned()));
        }
        assert_eq!(
            error("NOCLIENTLOG", "maybe"),
            "NOCLIENTLOG=maybe: it takes 1, yes, true or on, or 0, no, false or off"
        );
    }

    #[test]
    fn control_and_log_level() {
        let control = |value| read(&[("ENABLE_SYSCLK", value)]).unwrap().control;
        assert_eq!(
            [control("Auto"), control("yes"), control("0"), control("")],
            [Control::Auto, Control::Yes, Control::No, Control::Auto]
        );
        assert!(error("ENABLE_SYSCLK", "2").starts_with("ENABLE_SYSCLK=2: it takes auto, 1, "));
        let level = |value| read(&[("LOG_LEVEL", value)]).unwrap().threshold;
        assert_eq!(
            [level("0"), level("Warning"), level("3"), level("")],
            [Some(0), Some(1), Some(3), None]
        );
        assert_eq!(
            error("LOG_LEVEL", "4"),
            "LOG_LEVEL=4: it takes 0 (info), 1 (warning), 2 (error) or 3 (fatal)"
        );
    }

    #[test]
    fn zones() {
        for zone in ["", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT"] {
            assert_eq!(read(&[("TZ", zone)]).map(|_| ()), Ok(()), "{zone}");
        }
        for zone in ["Europe/Nowhere", "Etc/Nowhere+1"] {
            assert_eq!(
                error("TZ", zone),
                format!("TZ={zone}: it takes a time zone such as Europe/Berlin or UTC")
            );
        }
    }

    #[test]
    fn nts_as_far_as_this_build_has_it() {
        let asked = read(&[("ENABLE_NTS", "1"), ("NTP_SERVERS", "time.example")]);
        match nts_missing() {
            Ok(()) => {
                assert_eq!(asked.unwrap().sources, ["server time.example iburst nts"]);
                assert_eq!(read(&[("ENABLE_NTS", "1")]), Err(VariableError::NtsPool));
            }
            Err(error) => {
                assert!(
                    error.to_string().contains("not supported by this build"),
                    "{error}"
                );
                assert_eq!(asked, Err(error.clone()));
                assert_eq!(read(&[("ENABLE_NTS", "1")]), Err(error));
            }
        }
        assert!(error("ENABLE_NTS", "x").starts_with("ENABLE_NTS=x: it takes 1, "));
    }

    #[test]
    fn what_counts_only_without_a_configuration() {
        let wishes = read(&[("NTP_SERVERS", "a"), ("NOCLIENTLOG", ""), ("LOG_LEVEL", "1")]).unwrap();
        assert_eq!(wishes.of_configuration, ["NTP_SERVERS"]);
    }
}
