//! What the main thread asks its workers for reports: each alone knows the clients that belong to it.

use super::answer::{ServerStats, Shard};
use super::clientlog::{ClientReport, Service, Totals};
use super::steer::Steering;
use crate::time::Cooked;
use std::net::IpAddr;
use std::sync::Arc;

/// The workers, as the driver reaches them.
pub trait Workers {
    /// How clients are spread over them.
    fn steering(&self) -> &Steering;

    /// How many there are.
    fn count(&self) -> usize {
        self.steering().count()
    }

    /// Hands a question to one of them, which answers it with [`super::Worker::answer`] between two batches of
    /// requests, and waits for that. None: it does not answer any more.
    fn ask(&mut self, worker: usize, question: Question) -> Option<Answer>;
}

/// What a worker can be asked. Times are cooked ones of the question.
#[derive(Clone, Debug)]
pub enum Question {
    /// Its part of the statistics.
    Totals,
    /// What it knows about these clients.
    Clients {
        /// Who is meant.
        addresses: Vec<IpAddr>,
        /// Zero their counters afterwards.
        reset: bool,
        /// When it is asked.
        now: Cooked,
    },
    /// The clients in its table, from a place on.
    Page {
        /// The place.
        first: usize,
        /// How many.
        wanted: usize,
        /// Only those with this many requests of some service.
        min_hits: u32,
        /// Zero the counters of all that were looked at.
        reset: bool,
        /// Clients that are passed over as if they were not there, in order.
        except: Arc<[IpAddr]>,
        /// When it is asked.
        now: Cooked,
    },
}

/// What a worker says to a [`Question`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// See [`Question::Totals`].
    Totals(ServerTotals),
    /// In the order of the question; none: it does not know the client.
    Clients(Vec<Option<ClientReport>>),
    /// See [`Question::Page`].
    Page(Page),
}

/// A part of a table of clients.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// What was found.
    pub clients: Vec<ClientReport>,
    /// The place to go on at; none: there is nothing more.
    pub next: Option<usize>,
}

/// Statistics of one thread that serves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerTotals {
    /// By [`Service`].
    pub services: [Totals; 3],
    /// Records of clients that were replaced by others.
    pub replaced: u64,
    /// All else.
    pub stats: ServerStats,
}

impl ServerTotals {
    /// Adds what another thread has done.
    pub fn add(&mut self, other: &Self) {
        let Self {
            services,
            replaced,
            stats,
        } = other;
        for (sum, service) in self.services.iter_mut().zip(services) {
            sum.hits += service.hits;
            sum.drops += service.drops;
        }
        self.replaced += replaced;
        self.stats.add(stats);
    }
}

impl Question {
    /// What the owner of this shard says.
    #[must_use]
    pub fn answer(&self, shard: &mut Shard) -> Answer {
        match *self {
            Self::Totals => Answer::Totals(shard.totals()),
            Self::Clients {
                ref addresses,
                reset,
                now,
            } => {
                let log = &mut shard.log;
                let mut client = |&address| {
                    let place = log.place_of(address)?;
                    let report = log.report(place, now);
                    if reset {
                        log.reset(place);
                    }
                    report
                };
                Answer::Clients(addresses.iter().map(&mut client).collect())
            }
            Self::Page {
                first,
                wanted,
                min_hits,
                reset,
                ref except,
                now,
            } => {
                let log = &mut shard.log;
                let mut page = Page::default();
                for place in first..log.len() {
                    if page.clients.len() >= wanted {
                        page.next = Some(place);
                        break;
                    }
                    let Some(client) = log.report(place, now) else {
                        continue;
                    };
                    if except.binary_search(&client.address).is_ok() {
                        continue;
                    }
                    if client.has_hits(min_hits) {
                        page.clients.push(client);
                    }
                    if reset {
                        log.reset(place);
                    }
                }
                Answer::Page(page)
            }
        }
    }
}

impl Shard {
    /// Statistics of this thread.
    #[must_use]
    pub fn totals(&self) -> ServerTotals {
        ServerTotals {
            services: [Service::Ntp, Service::Nke, Service::Command].map(|service| self.log.totals(service)),
            replaced: self.log.replaced(),
            stats: self.stats(),
        }
    }
}

impl ClientReport {
    /// True if there were this many requests of some service.
    #[must_use]
    pub fn has_hits(&self, min: u32) -> bool {
        self.hits.iter().any(|&hits| hits >= min)
    }

    /// Adds what another thread knows about NTP requests of the same client; it knows no others. Intervals are those
    /// of `worker`, which gets all plain requests, if it knows any.
    pub fn add_ntp(&mut self, worker: &Self) {
        const NTP: usize = Service::Ntp as usize;
        let known = |worker: i8, own: i8| if worker == i8::MAX { own } else { worker };
        self.hits[NTP] = self.hits[NTP].saturating_add(worker.hits[NTP]);
        self.drops[NTP] = self.drops[NTP].saturating_add(worker.drops[NTP]);
        self.interval[NTP] = known(worker.interval[NTP], self.interval[NTP]);
        self.timeout_interval = known(worker.timeout_interval, self.timeout_interval);
        self.last_hit_ago[NTP] = self.last_hit_ago[NTP].min(worker.last_hit_ago[NTP]);
    }
}
