//! Makes a world of its description.

use crate::configuration::{self, Configuration, Names};
use crate::description::{Clock, Date, Description, Event, PairLink, Path, Server};
use crate::problem::{SimError, Source};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path;
use toml::Spanned;
use truechimer_engine::io::ResolveError;
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Launch, Link, NodeId, NodeSpec, Temperature, World};

/// What the machine with the configuration is called in links and events.
const CLIENT: &str = "client";

/// Something that happens to the world at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    /// A link goes down or comes back.
    Link { from: NodeId, to: NodeId, link: Link },
    /// Somebody else steps a clock forward, s.
    Step(NodeId, f64),
    /// An oscillator becomes faster, s/s.
    Frequency(NodeId, f64),
    /// A machine sleeps, s.
    Suspend(NodeId, f64),
}

/// A world that is ready to run.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) client: NodeId,
    /// What the machines are called, by number.
    pub(crate) nodes: Vec<String>,
    /// Addresses of the machines, by number.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// What happens, by time (s).
    pub(crate) actions: Vec<(f64, Action)>,
    /// Begin and end (s) of times in which something between the client and others is down.
    pub(crate) outages: Vec<[f64; 2]>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// The machines of a description before there is a world.
struct Plan<'a> {
    source: Source<'a>,
    description: &'a Description,
    /// The client, then the servers.
    nodes: Vec<&'a str>,
    addresses: Vec<Ipv4Addr>,
    names: Names,
}

/// Reads the world description and the configurations, and makes the world.
pub(crate) fn build(conf: &str, world_path: &str, text: &str, seed: u64) -> Result<Scene, SimError> {
    let source = Source {
        path: world_path,
        text,
    };
    let description: Description = toml::from_str(text).map_err(|error| source.toml(&error))?;
    let plan = Plan::new(source, &description)?;
    let mut notes = Vec::new();
    let mut world = World::new(plan.epoch()?, seed);
    for (name, addresses) in &plan.names {
        let addresses: Vec<IpAddr> = addresses.iter().copied().map(IpAddr::V4).collect();
        if addresses.is_empty() {
            world.set_name_error(name, ResolveError::NoAddress);
        } else {
            world.set_name(name, addresses);
        }
    }
    let links = plan.links()?;
    for (&(from, to), (link, _)) in &links {
        world.set_link(from, to, *link);
    }
    for (index, (&name, &address)) in plan.nodes.iter().zip(&plan.addresses).enumerate() {
        let (clock, configuration) = plan.machine(index, name, conf)?;
        let Configuration {
            spec,
            source_files,
            without_meaning,
        } = configuration;
        if !without_meaning.is_empty() {
            let what = without_meaning.join(", ");
            notes.push(format!(
                "of no effect in a simulated world: {what} (configuration of {name})"
            ));
        }
        let spec = NodeSpec {
            offset: clock.offset.0,
            frequency: 1e-6 * clock.frequency,
            wander: clock.wander,
            temperature: clock.temperature.map(|warmth| Temperature {
                mean: warmth.mean,
                swing: warmth.swing,
                period: warmth.period.0.max(1.0),
                effect: 1e-6 * warmth.ppm_per_degree,
            }),
            address: Some(address),
            ..spec
        };
        let launch = Launch {
            source_files,
            ..Launch::default()
        };
        world.launch(spec, launch).map_err(|error| SimError::Start {
            name: name.to_owned(),
            error,
        })?;
    }
    let client = NodeId(0);
    let mut outages: Vec<[f64; 2]> = Vec::new();
    for (&(from, to), (_, down)) in &links {
        if from == client || to == client {
            outages.extend(
                down.iter()
                    .filter(|outage| !outages.contains(outage))
                    .copied()
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(Scene {
        world,
        client,
        actions: plan.actions(&links)?,
        outages,
        nodes: plan.nodes.iter().map(|&name| name.to_owned()).collect(),
        addresses: plan.addresses,
        notes,
    })
}

/// Links by their ends, each with its outages.
type Links = BTreeMap<(NodeId, NodeId), (Link, Vec<[f64; 2]>)>;

impl<'a> Plan<'a> {
    fn new(source: Source<'a>, description: &'a Description) -> Result<Self, SimError> {
        let servers = &description.server;
        if servers.is_empty() {
            return Err(source.problem(
                0..0,
                "there is no server in this world",
                "add a table [server.NAME]",
            ));
        }
        if servers.contains_key(CLIENT) {
            let fix = "the machine with the configuration is called so; rename the server";
            return Err(source.problem(0..0, "a server is called 'client'", fix));
        }
        let client = &description.client;
        let given = std::iter::once((CLIENT, client.address.as_ref(), client.name.list()));
        let given = given.chain(
            servers
                .iter()
                .map(|(name, server)| (name.as_str(), server.address.as_ref(), server.name.list())),
        );
        let taken: Vec<Ipv4Addr> = given
            .clone()
            .filter_map(|(_, address, _)| Some(*address?.get_ref()))
            .collect();
        let mut free = (0..)
            .filter_map(|index| match World::address(NodeId(index)) {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })
            .filter(|address| !taken.contains(address));
        let mut plan = Self {
            source,
            description,
            nodes: Vec::new(),
            addresses: Vec::new(),
            names: Names::new(),
        };
        for (node, address, names) in given {
            let Some(own) = address.map(|address| *address.get_ref()).or_else(|| free.next()) else {
                break;
            };
            if let Some(other) = plan.addresses.iter().position(|used| *used == own) {
                let what = format!("{own} is the address of '{}' already", plan.nodes[other]);
                let at = address.map_or(0..0, Spanned::span);
                return Err(source.problem(at, what, "give each machine an address of its own"));
            }
            plan.nodes.push(node);
            plan.addresses.push(own);
            let unnamed = [node.to_owned()];
            for name in if names.is_empty() { &unnamed } else { names } {
                plan.names.entry(name.clone()).or_default().push(own);
            }
        }
        for name in &description.unresolvable {
            if plan.names.insert(name.clone(), Vec::new()).is_some() {
                let fix = "take it out of the list 'unresolvable' or rename the machine";
                return Err(source.problem(0..0, format!("'{name}' is a machine of this world"), fix));
            }
        }
        Ok(plan)
    }

    /// Unix second of the start.
    fn epoch(&self) -> Result<i64, SimError> {
        let Some(start) = &self.description.start else {
            return Ok(EPOCH);
        };
        let text = match start.get_ref() {
            Date::Plain(date) => date.to_string(),
            Date::Quoted(date) => date.clone(),
        };
        let wrong = || {
            let fix = "write it in UTC, for example start = 2026-06-01T00:00:00Z";
            self.source.problem(
                start.span(),
                format!("'{text}' is not a date and time after 1970"),
                fix,
            )
        };
        let time = humantime::parse_rfc3339_weak(&text).map_err(|_| wrong())?;
        let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| wrong())?;
        i64::try_from(since.as_secs()).map_err(|_| wrong())
    }

    fn find(&self, name: &Spanned<String>) -> Result<NodeId, SimError> {
        let found = self.nodes.iter().position(|node| node == name.get_ref());
        found.map(NodeId).ok_or_else(|| {
            let known = self.nodes.join(", ");
            let what = format!("there is no machine '{}' in this world", name.get_ref());
            self.source
                .problem(name.span(), what, format!("machines are: {known}"))
        })
    }

    /// Clock and configuration of a machine.
    fn machine(&self, index: usize, name: &str, conf: &str) -> Result<(Clock, Configuration), SimError> {
        let Some(server) = self.description.server.get(name).filter(|_| index > 0) else {
            return Ok((
                self.description.client.clock,
                configuration::read(conf, &self.names)?,
            ));
        };
        let configuration = match &server.conf {
            Some(conf) => {
                let base = path::Path::new(self.source.path).parent();
                let path = base.map_or_else(|| conf.get_ref().into(), |base| base.join(conf.get_ref()));
                configuration::read(&path.to_string_lossy(), &self.names)?
            }
            None => Configuration {
                spec: NodeSpec::perfect(server_config(self.stratum(server)?)),
                source_files: Vec::new(),
                without_meaning: Vec::new(),
            },
        };
        Ok((server.clock, configuration))
    }

    fn stratum(&self, server: &Server) -> Result<u8, SimError> {
        match &server.stratum {
            Some(stratum) if !(1..=15).contains(stratum.get_ref()) => {
                let what = format!("stratum {} is not possible", stratum.get_ref());
                Err(self.source.problem(stratum.span(), what, "strata are 1 to 15"))
            }
            Some(stratum) => Ok(*stratum.get_ref()),
            None => Ok(1),
        }
    }

    /// All links of the world.
    fn links(&self) -> Result<Links, SimError> {
        let network = &self.description.network;
        let base = network.over(Link::default());
        let everywhere = self.outages(network.outages.as_deref())?;
        let mut links = Links::new();
        let ids = || (0..self.nodes.len()).map(NodeId);
        for from in ids() {
            links.extend(ids().map(|to| ((from, to), (base, everywhere.clone()))));
        }
        for (server, id) in self.description.server.values().zip(ids().skip(1)) {
            let client = NodeId(0);
            self.change(&mut links, (client, id), [&server.link, &server.request])?;
            self.change(&mut links, (id, client), [&server.link, &server.reply])?;
        }
        for link in &self.description.link {
            for ends in self.ends(link)? {
                let old = links.get(&ends).cloned().unwrap_or((base, Vec::new()));
                let mut down = old.1;
                down.extend(self.outages(link.outages.as_deref())?);
                links.insert(ends, (link.over(old.0), down));
            }
        }
        Ok(links)
    }

    fn change(&self, links: &mut Links, ends: (NodeId, NodeId), paths: [&Path; 2]) -> Result<(), SimError> {
        if let Some((link, down)) = links.get_mut(&ends) {
            for path in paths {
                *link = path.over(*link);
                down.extend(self.outages(path.outages.as_deref())?);
            }
        }
        Ok(())
    }

    fn outages(
        &self,
        given: Option<&[Spanned<[crate::values::Span; 2]>]>,
    ) -> Result<Vec<[f64; 2]>, SimError> {
        let one = |outage: &Spanned<[crate::values::Span; 2]>| {
            let [begin, end] = outage.get_ref().map(|span| span.0);
            if begin < end {
                Ok([begin, end])
            } else {
                let fix = "write the begin and the end, for example [\"1h\", \"2h\"]";
                Err(self
                    .source
                    .problem(outage.span(), "an outage ends before it begins", fix))
            }
        };
        given.unwrap_or_default().iter().map(one).collect()
    }

    /// Between which machines a link is.
    fn ends(&self, link: &PairLink) -> Result<Vec<(NodeId, NodeId)>, SimError> {
        match (&link.between, &link.from, &link.to) {
            (Some([a, b]), None, None) => {
                let (a, b) = (self.find(a)?, self.find(b)?);
                Ok(vec![(a, b), (b, a)])
            }
            (None, Some(from), Some(to)) => Ok(vec![(self.find(from)?, self.find(to)?)]),
            (between, from, to) => {
                let at = between.as_ref().map(|ends| ends[0].span());
                let at = at.or(from.as_ref().or(to.as_ref()).map(Spanned::span));
                let fix = "write between = [\"A\", \"B\"] for both directions, or from = \"A\" and to = \"B\" for one";
                let what = "it is not clear which way this [[link]] goes";
                Err(self.source.problem(at.unwrap_or(0..0), what, fix))
            }
        }
    }

    /// Everything that happens, in order.
    fn actions(&self, links: &Links) -> Result<Vec<(f64, Action)>, SimError> {
        let mut actions = Vec::new();
        for (&(from, to), (link, outages)) in links {
            for (begin, end) in merged(outages) {
                let down = Link { down: true, ..*link };
                actions.push((begin, Action::Link { from, to, link: down }));
                actions.push((
                    end,
                    Action::Link {
                        from,
                        to,
                        link: *link,
                    },
                ));
            }
        }
        for event in &self.description.event {
            actions.push((event.at.get_ref().0, self.event(event)?));
        }
        actions.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(actions)
    }

    fn event(&self, event: &Event) -> Result<Action, SimError> {
        let node = event
            .node
            .as_ref()
            .map_or(Ok(NodeId(0)), |name| self.find(name))?;
        match (event.step, event.frequency, event.suspend) {
            (Some(step), None, None) => Ok(Action::Step(node, step.0)),
            (None, Some(ppm), None) => Ok(Action::Frequency(node, 1e-6 * ppm)),
            (None, None, Some(span)) => Ok(Action::Suspend(node, span.0)),
            _ => Err(self.source.problem(
                event.at.span(),
                "it is not clear what happens in this [[event]]",
                "give it exactly one of step, frequency and suspend",
            )),
        }
    }
}

/// Outages that overlap as one.
fn merged(outages: &[[f64; 2]]) -> Vec<(f64, f64)> {
    let mut sorted = outages.to_vec();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut result: Vec<(f64, f64)> = Vec::new();
    for [begin, end] in sorted {
        match result.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => result.push((begin, end)),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn outages_that_overlap_are_one() {
        assert_eq!(
            merged(&[[5.0, 6.0], [1.0, 3.0], [2.0, 4.0]]),
            [(1.0, 4.0), (5.0, 6.0)]
        );
    }
}
