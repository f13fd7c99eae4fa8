//! Reports about clients that several threads serve.

use super::*;
use crate::config::{AccessRule, ServerThreads, Subnet};
use crate::io::{Origin, Peer};
use crate::random::Seeded;
use crate::server::{Answer, Question, Steering, Worker, Workers};
use crate::sync::testing::{SimClock, World};
use crate::wire::command::{
    Address, ClientRecord, ClientsReport, MAX_CLIENTS, Reply, ReplyCode, ReplyHeader, Request,
    ServerStatsReport, Status, VERSION,
};
use crate::wire::ntp::{Builder, Header, Mode as NtpMode};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;

const WORKERS: usize = 3;

/// Workers without threads. One that is gone does not answer.
#[derive(Clone)]
struct Threads(Rc<RefCell<Vec<Option<Worker>>>>, Steering);

impl Workers for Threads {
    fn steering(&self) -> &Steering {
        &self.1
    }

    fn ask(&mut self, worker: usize, question: Question) -> Option<Answer> {
        Some(self.0.borrow_mut()[worker].as_mut()?.answer(&question))
    }
}

struct Fixture {
    engine: Engine,
    kernel: SimClock,
    threads: Threads,
}

fn steering() -> Steering {
    Steering::new(WORKERS, &mut Seeded::new(5))
}

fn client(i: u8) -> IpAddr {
    if i.is_multiple_of(3) {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, i.into()).into()
    } else {
        [192, 0, 2, i].into()
    }
}

impl Fixture {
    fn new() -> Self {
        let everybody = AccessRule {
            allow: true,
            all: false,
            subnet: Subnet::Any,
        };
        let mut config = Config::default();
        let network = &mut config.network;
        network.server_threads = ServerThreads::Count(WORKERS as u8);
        network.access.push(everybody);
        network.cmd_access.push(everybody);
        let worker = |index| {
            Some(Worker::new(
                network,
                index,
                WORKERS,
                Box::new(Seeded::new(index as u64)),
            ))
        };
        let workers = (0..WORKERS).map(worker).collect();
        let threads = Threads(Rc::new(RefCell::new(workers)), steering());
        let mut kernel = World::new(0.0).kernel;
        let (options, start) = (EngineOptions::default(), Start::default());
        let random = Box::new(Seeded::new(9));
        let mut engine = Engine::new(config, &options, &start, random, &mut kernel).unwrap();
        engine.set_workers(Box::new(threads.clone()));
        Self {
            engine,
            kernel,
            threads,
        }
    }

    /// A request of a client, to its worker or to the main thread. Leaves saved timestamps if it asks for that.
    fn ask_time(&mut self, from: IpAddr, main: bool) {
        let now = self.kernel.now();
        let request = Header {
            version: 4,
            mode: NtpMode::Client,
            ..Header::default()
        };
        let request = Builder::new(&request);
        let rx = Stamp::new(now.raw, Origin::Kernel);
        let source = SocketAddr::new(from, 40_000);
        let admitted = if main {
            let mut server = self.engine.server(now, &mut self.kernel);
            server.admit(request.bytes(), source, &rx)
        } else {
            let published = self.engine.publish(now);
            let mut workers = self.threads.0.borrow_mut();
            let worker = workers[steering().worker(from)].as_mut().unwrap();
            worker.server(&published, now).admit(request.bytes(), source, &rx)
        };
        assert!(admitted.is_some());
    }

    fn command(&mut self, from: Peer, request: &Request) -> (Status, Reply) {
        let now = self.kernel.now();
        let bytes = &request.encode(VERSION, 0, 1);
        self.engine
            .handle(now, &mut self.kernel, Input::Command { from, bytes });
        while let Some(output) = self.engine.poll_output(now, &mut self.kernel) {
            if let Output::Reply { bytes, .. } = output {
                let header = ReplyHeader::decode(&bytes).unwrap();
                let code = ReplyCode::from_number(header.reply).unwrap();
                return (header.status, Reply::decode(code, &bytes).unwrap());
            }
        }
        panic!("no reply");
    }

    /// A command of a client.
    fn send_command(&mut self, from: IpAddr) {
        let remote = SocketAddr::new(from, 40_000);
        let (status, _) = self.command(Peer::Udp { remote, local: None }, &Request::Tracking);
        assert_eq!(status, Status::Success);
    }

    /// A command of the machine itself, which is no client.
    fn ask(&mut self, request: &Request) -> Reply {
        let (status, reply) = self.command(Peer::Unix(b"/run/chronyc".to_vec()), request);
        assert_eq!(status, Status::Success);
        reply
    }

    fn page(&mut self, first: u32, min_hits: u32, reset: bool) -> ClientsReport {
        let request = Request::Clients {
            first,
            count: MAX_CLIENTS as u32,
            min_hits,
            reset,
        };
        match self.ask(&request) {
            Reply::Clients(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// The whole list, asked for as chronyc does.
    fn list(&mut self, min_hits: u32, reset: bool) -> Vec<ClientRecord> {
        let (mut all, mut first) = (Vec::new(), 0);
        loop {
            let page = self.page(first, min_hits, reset);
            let last = page.clients.len() < MAX_CLIENTS || page.next >= page.indices;
            all.extend(page.clients);
            if last {
                assert!(page.next == page.indices, "{} of {}", page.next, page.indices);
                return all;
            }
            assert!(page.next > first);
            first = page.next;
        }
    }

    fn stats(&mut self) -> ServerStatsReport {
        match self.ask(&Request::ServerStats) {
            Reply::ServerStats(report) => report,
            other => panic!("{other:?}"),
        }
    }
}

/// NTP requests and commands of each client.
type Hits = BTreeMap<IpAddr, (u32, u32)>;

fn hits(list: &[ClientRecord]) -> Hits {
    let mut hits = Hits::new();
    for client in list {
        let Address::Ip(address) = client.address else {
            panic!("{client:?}");
        };
        let before = hits.insert(address, (client.ntp_hits, client.cmd_hits));
        assert_eq!(before, None, "{address} is shown twice");
    }
    hits
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Time(u8),
    TimeOfMain(u8),
    Command(u8),
    List(u32),
    Reset(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let client = || prop_oneof![0_u8..8, any::<u8>()];
    prop_oneof![
        10 => client().prop_map(Event::Time),
        3 => client().prop_map(Event::TimeOfMain),
        3 => client().prop_map(Event::Command),
        1 => (0_u32..5).prop_map(Event::List),
        1 => (0_u32..5).prop_map(Event::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each client is shown once, with all that it has done; a list with a reset zeroes all that it looked at. The
    /// statistics are those of all threads together.
    #[test]
    fn many_tables_look_like_one(events in prop::collection::vec(event(), 1..300)) {
        let mut fixture = Fixture::new();
        let (mut expected, mut time, mut commands) = (Hits::new(), 0, 0);
        for event in events {
            match event {
                Event::Time(i) | Event::TimeOfMain(i) => {
                    fixture.ask_time(client(i), matches!(event, Event::TimeOfMain(_)));
                    expected.entry(client(i)).or_default().0 += 1;
                    time += 1;
                }
                Event::Command(i) => {
                    fixture.send_command(client(i));
                    expected.entry(client(i)).or_default().1 += 1;
                    commands += 1;
                }
                Event::List(min) | Event::Reset(min) => {
                    let reset = matches!(event, Event::Reset(_));
                    let mut wanted = expected.clone();
                    wanted.retain(|_, (time, commands)| *time >= min || *commands >= min);
                    prop_assert_eq!(hits(&fixture.list(min, reset)), wanted);
                    if reset {
                        expected.values_mut().for_each(|counts| *counts = (0, 0));
                    }
                }
            }
        }
        prop_assert_eq!(hits(&fixture.list(0, false)), expected);
        let stats = fixture.stats();
        let own = stats.cmd_hits - commands;
        prop_assert_eq!((stats.ntp_hits, stats.kernel_rx, stats.daemon_tx), (time, time, time));
        // What asked for the reports is counted, though it is no client.
        prop_assert!(own > 0);
        prop_assert_eq!(stats.log_drops, 0);
    }
}

#[test]
fn times_of_a_client_are_the_latest_and_its_rate_that_of_its_worker() {
    let mut fixture = Fixture::new();
    for _ in 0..20 {
        fixture.ask_time(client(1), false);
        fixture.kernel.advance(16.0);
    }
    fixture.ask_time(client(1), true);
    fixture.send_command(client(1));
    fixture.kernel.advance(8.0);
    let list = fixture.list(0, false);
    let [one] = list[..] else { panic!("{list:?}") };
    assert_eq!(
        (one.ntp_hits, one.ntp_interval, one.last_ntp),
        (21, Some(4), Some(8))
    );
    assert_eq!((one.cmd_hits, one.last_cmd), (1, Some(8)));
    // The main thread alone knows another one.
    fixture.ask_time(client(2), true);
    let list = fixture.list(0, false);
    assert_eq!(list.len(), 2);
}

#[test]
fn a_table_that_grows_moves_no_other() {
    let mut fixture = Fixture::new();
    let of = |worker: usize| {
        (0..=u8::MAX)
            .map(client)
            .filter(move |&c| steering().worker(c) == worker)
    };
    for address in of(2) {
        fixture.ask_time(address, false);
    }
    let first = fixture.page(0, 0, false);
    assert_eq!(first.clients.len(), MAX_CLIENTS);
    // The first two workers' tables have grown when the next page is asked for.
    for address in of(0).chain(of(1)) {
        fixture.ask_time(address, false);
    }
    let (mut all, mut page) = (first.clients.clone(), first);
    while page.next < page.indices {
        page = fixture.page(page.next, 0, false);
        all.extend(page.clients.iter().copied());
    }
    assert_eq!(hits(&all).len(), of(2).count());
    // Beyond the end there is nothing, and the number stays.
    let beyond = fixture.page(page.indices + 5, 0, false);
    assert_eq!((beyond.clients.len(), beyond.next), (0, page.indices + 5));
}

#[test]
fn a_worker_that_is_gone_is_left_out() {
    let mut fixture = Fixture::new();
    (0..=u8::MAX).for_each(|i| fixture.ask_time(client(i), false));
    fixture.send_command(client(1));
    let gone = steering().worker(client(1));
    let others = (0..=u8::MAX).filter(|&i| steering().worker(client(i)) != gone);
    let expected = others.clone().count();
    fixture.threads.0.borrow_mut()[gone] = None;
    let list = hits(&fixture.list(0, false));
    assert_eq!(list.len(), expected + 1);
    assert_eq!(list.get(&client(1)), Some(&(0, 1)));
    assert_eq!(fixture.stats().ntp_hits, expected as u64);
}
