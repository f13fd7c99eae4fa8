//! The world description: TOML (docs/simulation.md).

use crate::values::{Probability, Seconds, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use toml::Spanned;
use truechimer_sim::{Jitter, Link};

/// Everything around the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Date and time at which the world starts.
    pub(crate) start: Option<Spanned<Date>>,
    /// The machine with the configuration.
    #[serde(default)]
    pub(crate) client: Client,
    /// All links, unless something else is said.
    #[serde(default)]
    pub(crate) network: Path,
    /// By what they are called in this file.
    #[serde(default)]
    pub(crate) server: BTreeMap<String, Server>,
    /// Links of their own.
    #[serde(default)]
    pub(crate) link: Vec<PairLink>,
    /// What happens.
    #[serde(default)]
    pub(crate) event: Vec<Event>,
    /// Names that have no address.
    #[serde(default)]
    pub(crate) unresolvable: Vec<String>,
}

/// A date with or without quotes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Date {
    /// `2026-06-01T00:00:00Z`
    Plain(toml::value::Datetime),
    /// `"2026-06-01 00:00:00"`
    Quoted(String),
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(date) => date.fmt(f),
            Self::Quoted(date) => date.fmt(f),
        }
    }
}

/// The machine with the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) address: Option<Spanned<Ipv4Addr>>,
    /// Names by which others know it.
    #[serde(default)]
    pub(crate) name: Names,
    #[serde(default)]
    pub(crate) clock: Clock,
}

/// Another machine.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) address: Option<Spanned<Ipv4Addr>>,
    /// Names; without one what it is called in this file. Several servers with the same name are a pool.
    #[serde(default)]
    pub(crate) name: Names,
    #[serde(default)]
    pub(crate) clock: Clock,
    /// A configuration of its own.
    pub(crate) conf: Option<Spanned<String>>,
    /// Without a configuration: what it serves.
    pub(crate) stratum: Option<Spanned<u8>>,
    /// The way to the client and back.
    #[serde(default)]
    pub(crate) link: Path,
    /// The way from the client to this server.
    #[serde(default)]
    pub(crate) request: Path,
    /// The way back.
    #[serde(default)]
    pub(crate) reply: Path,
}

/// One or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    pub(crate) fn list(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// What the clock of a machine does by itself.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clock {
    /// Error at the start; positive: fast.
    #[serde(default)]
    pub(crate) offset: Seconds,
    /// ppm; positive: fast.
    #[serde(default)]
    pub(crate) frequency: f64,
    /// Random walk of the frequency: standard deviation of the change in one second, s/s.
    #[serde(default)]
    pub(crate) wander: f64,
    pub(crate) temperature: Option<Warmth>,
}

/// A temperature that goes up and down.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warmth {
    /// Degrees.
    #[serde(default = "room")]
    pub(crate) mean: f64,
    /// Degrees up and down.
    pub(crate) swing: f64,
    /// From one maximum to the next.
    #[serde(default = "day")]
    pub(crate) period: Span,
    /// ppm per degree; positive: faster when warmer.
    pub(crate) ppm_per_degree: f64,
}

fn room() -> f64 {
    25.0
}

fn day() -> Span {
    Span(86_400.0)
}

/// How the delay of packets varies.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    Exponential,
    Normal,
}

/// Defines a struct with the properties of a path, all optional, and with some more fields.
macro_rules! path {
    ($(#[$about:meta])* $name:ident { $($(#[$more_about:meta])* $more:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$more_about])* pub(crate) $more: $kind,)*
            /// Shortest time that a packet takes.
            delay: Option<Span>,
            /// Mean (exponential) or standard deviation (normal) of what is added to it.
            jitter: Option<Span>,
            distribution: Option<Distribution>,
            loss: Option<Probability>,
            duplication: Option<Probability>,
            /// Probability that a packet is held back.
            reordering: Option<Probability>,
            /// How long it is held back.
            hold: Option<Span>,
            /// Begin and end of times in which nothing passes.
            pub(crate) outages: Option<Vec<Spanned<[Span; 2]>>>,
        }

        impl $name {
            /// The link with what is said here.
            pub(crate) fn over(&self, base: Link) -> Link {
                let (old, was_normal) = match base.jitter {
                    Jitter::Exponential(mean) => (mean, false),
                    Jitter::Normal(sd) => (sd, true),
                };
                let jitter = self.jitter.map_or(old, |span| span.0);
                let normal = self.distribution.map_or(was_normal, |d| matches!(d, Distribution::Normal));
                let or = |new: Option<Probability>, old: f64| new.map_or(old, |p| p.0);
                Link {
                    delay: self.delay.map_or(base.delay, |span| span.0),
                    jitter: if normal { Jitter::Normal(jitter) } else { Jitter::Exponential(jitter) },
                    loss: or(self.loss, base.loss),
                    duplication: or(self.duplication, base.duplication),
                    reordering: or(self.reordering, base.reordering),
                    hold: self.hold.map_or(base.hold, |span| span.0),
                    down: base.down,
                }
            }
        }
    };
}

path! {
    /// Properties of a path; what is not said stays as it is elsewhere.
    Path {}
}

path! {
    /// A path between two machines that are named here.
    PairLink {
        /// Both directions.
        between: Option<[Spanned<String>; 2]>,
        /// One direction.
        from: Option<Spanned<String>>,
        to: Option<Spanned<String>>,
    }
}

/// Something that happens once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// When, since the start.
    pub(crate) at: Spanned<Span>,
    /// To whom; the client if nothing is said.
    pub(crate) node: Option<Spanned<String>>,
    /// Somebody else steps the clock; positive: forward.
    pub(crate) step: Option<Seconds>,
    /// The oscillator changes, ppm.
    pub(crate) frequency: Option<f64>,
    /// The machine sleeps for so long.
    pub(crate) suspend: Option<Span>,
}
