//! `serverstats` and `clients`: what the main thread knows, with what its workers know.

use super::Target;
use crate::server::{Answer, ClientLog, ClientReport, Page, Question, Service, Workers};
use crate::sync::cx::Cx;
use crate::time::Cooked;
use crate::wire::command::{Address, ClientRecord, ClientsReport, MAX_CLIENTS, ServerStatsReport, Status};
use std::net::IpAddr;
use std::sync::Arc;

/// A request for a part of the table of clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) min_hits: u32,
    pub(super) reset: bool,
}

/// Addresses in the main thread's table, in order, kept while they stay the same.
#[derive(Debug, Default)]
pub(super) struct Known {
    made: u64,
    addresses: Arc<[IpAddr]>,
}

impl Known {
    fn of(&mut self, log: &ClientLog, now: Cooked) -> Arc<[IpAddr]> {
        if self.made != log.made() {
            let clients = (0..log.len()).filter_map(|place| log.report(place, now));
            let mut addresses: Vec<_> = clients.map(|client| client.address).collect();
            addresses.sort_unstable();
            (self.made, self.addresses) = (log.made(), addresses.into());
        }
        Arc::clone(&self.addresses)
    }
}

/// The counters of all threads together.
pub(super) fn server_stats(target: &mut Target<'_>) -> ServerStatsReport {
    let mut totals = target.shard.totals();
    if let Some(workers) = &mut target.workers {
        for worker in 0..workers.count() {
            if let Some(Answer::Totals(more)) = workers.ask(worker, Question::Totals) {
                totals.add(&more);
            }
        }
    }
    let service = |service: Service| totals.services[service as usize];
    let [ntp, nke, cmd] = [Service::Ntp, Service::Nke, Service::Command].map(service);
    let stats = totals.stats;
    ServerStatsReport {
        ntp_hits: ntp.hits,
        nke_hits: nke.hits,
        cmd_hits: cmd.hits,
        ntp_drops: ntp.drops,
        nke_drops: nke.drops,
        cmd_drops: cmd.drops,
        log_drops: totals.replaced,
        ntp_auth_hits: stats.authenticated,
        ntp_interleaved_hits: stats.interleaved,
        ntp_timestamps: stats.timestamps,
        ntp_span: stats.span,
        daemon_rx: stats.rx[0],
        daemon_tx: stats.tx[0],
        kernel_rx: stats.rx[1],
        kernel_tx: stats.tx[1],
        hardware_rx: stats.rx[2],
        hardware_tx: stats.tx[2],
    }
}

/// A part of all tables, seen as one: the main thread's, then those of the workers. A client that is in the main
/// thread's is shown there, with what its worker knows of it, and passed over in the worker's. So each client is shown
/// once, and a reset zeroes what was shown.
///
/// Tables grow. So that a place keeps its number then, each worker's table has as many numbers as it can have records.
pub(super) fn clients(
    cx: &Cx<'_>,
    target: &mut Target<'_>,
    known: &mut Known,
    capacity: usize,
    wanted: Wanted,
) -> Result<ClientsReport, Status> {
    let log = &mut target.shard.log;
    if !log.is_active() {
        return Err(Status::Inactive);
    }
    let Wanted {
        first,
        count,
        min_hits,
        reset,
    } = wanted;
    let mut report = ClientsReport {
        indices: log.len() as u32,
        next: first,
        clients: Vec::new(),
    };
    let count = (count as usize).min(MAX_CLIENTS);
    let mut clients = Vec::new();
    let mut place = first as usize;
    while place < log.len() && clients.len() < count {
        // No more than are wanted, so all of these are looked at whatever they are.
        let mut some = Vec::new();
        while place < log.len() && some.len() < count - clients.len() {
            some.extend(log.report(place, cx.cooked));
            if reset {
                log.reset(place);
            }
            place += 1;
        }
        if let Some(workers) = &mut target.workers {
            join(&mut some, &mut **workers, reset, cx.cooked);
        }
        some.retain(|client| client.has_hits(min_hits));
        clients.extend(some);
    }
    if let Some(workers) = &mut target.workers {
        let base = log.capacity();
        let end = base + workers.count() * capacity;
        report.indices = end as u32;
        if (log.len()..base).contains(&place) {
            place = base;
        }
        while (base..end).contains(&place) && clients.len() < count {
            let (worker, inside) = ((place - base) / capacity, (place - base) % capacity);
            let question = Question::Page {
                first: inside,
                wanted: count - clients.len(),
                min_hits,
                reset,
                except: known.of(log, cx.cooked),
                now: cx.cooked,
            };
            let page = match workers.ask(worker, question) {
                Some(Answer::Page(page)) => page,
                _ => Page::default(),
            };
            clients.extend(page.clients);
            place = base + worker * capacity + page.next.unwrap_or(capacity).min(capacity);
        }
    }
    report.next = place as u32;
    report.clients = clients.iter().map(client_record).collect();
    Ok(report)
}

/// Adds to clients of the main thread what the workers that they belong to know about them.
fn join(clients: &mut [ClientReport], workers: &mut dyn Workers, reset: bool, now: Cooked) {
    let steering = *workers.steering();
    for worker in 0..steering.count() {
        let mut own: Vec<_> = clients
            .iter_mut()
            .filter(|client| steering.worker(client.address) == worker)
            .collect();
        if own.is_empty() {
            continue;
        }
        let question = Question::Clients {
            addresses: own.iter().map(|client| client.address).collect(),
            reset,
            now,
        };
        if let Some(Answer::Clients(found)) = workers.ask(worker, question) {
            for (client, found) in own.iter_mut().zip(found) {
                if let Some(found) = found {
                    client.add_ntp(&found);
                }
            }
        }
    }
}

fn client_record(client: &ClientReport) -> ClientRecord {
    let interval = |log2: i8| (log2 != i8::MAX).then_some(log2);
    let ago = |seconds: u32| (seconds != u32::MAX).then_some(seconds);
    let [ntp_hits, nke_hits, cmd_hits] = client.hits;
    let [ntp_drops, nke_drops, cmd_drops] = client.drops;
    let [ntp_interval, nke_interval, cmd_interval] = client.interval.map(interval);
    let [last_ntp, last_nke, last_cmd] = client.last_hit_ago.map(ago);
    ClientRecord {
        address: Address::Ip(client.address),
        ntp_hits,
        nke_hits,
        cmd_hits,
        ntp_drops,
        nke_drops,
        cmd_drops,
        ntp_interval,
        nke_interval,
        cmd_interval,
        ntp_timeout_interval: interval(client.timeout_interval),
        last_ntp,
        last_nke,
        last_cmd,
    }
}
