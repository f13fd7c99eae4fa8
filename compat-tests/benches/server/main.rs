//! What a reply costs: our server and chrony's, alternating in one run on the same core, under the same load; and what
//! it costs to do no more than receive and send ([`Floor`]).
//!
//! `scripts/bench-server` runs it (as root, on at least two processors). The daemon has processor 0, the generator
//! processor 1. Each scenario runs all in turn, several times; figures are medians. Words given as arguments choose
//! the scenarios whose names contain one of them.

mod floor;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::Duration;

use compat_tests::programs::{Programs, earlier, reference, release};
use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Process, TempDir, until};
use floor::Floor;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use truechimer_loadgen::{Clients, Load, Pattern, Rate, Report};

const SERVER_CPU: usize = 0;
const LOAD_CPU: usize = 1;
/// Room for the client logs of 100,000 clients.
const CONFIG: &str = "allow\nlocal stratum 1\nclientloglimit 50000000\ncmdport 0";
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));
/// Where each client has a rule of its own, the addresses are scattered over two to this power.
const SCATTERED: u32 = 22;

struct Scenario {
    name: &'static str,
    clients: u32,
    rate: Rate,
    pattern: Pattern,
    /// A process that never rests has the same processor.
    busy: bool,
    /// Floors are measured, too. They have no way to wait for a batch, and give basic replies only.
    floors: &'static [(&'static str, Floor)],
    /// How many times longer than the others each run is.
    longer: u32,
    /// More lines of our configuration.
    own: &'static str,
    /// Access rules. Clients are then scattered.
    rules: Rules,
    /// What the ratio of the processor time of a reply may be at most.
    target: Option<f64>,
}

const PLAIN: Scenario = Scenario {
    name: "",
    clients: 1,
    // More than any server can answer.
    rate: Rate::PerSecond(2e6),
    pattern: Pattern::Basic,
    busy: false,
    floors: &[],
    longer: 1,
    own: "",
    rules: Rules::None,
    target: None,
};

const FLOORS: &[(&str, Floor)] = &[("informed", Floor::Informed), ("bare", Floor::Bare)];

/// Access rules in place of `allow`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rules {
    None,
    /// One for the network of the clients, and nine more.
    Few,
    /// One for each client.
    Many,
}

impl Rules {
    fn lines(self, clients: &Clients, count: u32) -> String {
        match self {
            Self::None => String::new(),
            Self::Few => {
                let others: String = (1..10).map(|i| format!("\nallow 10.{}.0.0/16", 20 * i)).collect();
                format!("deny\nallow 127.0.0.0/8{others}")
            }
            Self::Many => {
                let each: String = (0..count)
                    .map(|i| format!("\nallow {}", clients.address(i)))
                    .collect();
                format!("deny{each}")
            }
        }
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "saturated, 1 client",
        floors: FLOORS,
        target: Some(0.92),
        ..PLAIN
    },
    Scenario {
        name: "saturated, 100000 clients",
        floors: FLOORS,
        clients: 100_000,
        target: Some(0.92),
        ..PLAIN
    },
    Scenario {
        name: "1000/s",
        clients: 1000,
        rate: Rate::PerSecond(1e3),
        floors: FLOORS,
        // Else there are too few replies.
        longer: 3,
        target: Some(1.05),
        ..PLAIN
    },
    Scenario {
        name: "20000/s",
        clients: 20_000,
        rate: Rate::PerSecond(20e3),
        target: Some(0.7),
        ..PLAIN
    },
    Scenario {
        name: "100000/s",
        clients: 100_000,
        rate: Rate::PerSecond(100e3),
        target: Some(0.7),
        ..PLAIN
    },
    Scenario {
        name: "100000/s beside a busy process",
        clients: 100_000,
        rate: Rate::PerSecond(100e3),
        busy: true,
        ..PLAIN
    },
    Scenario {
        name: "interleaved, 20000/s",
        clients: 4000,
        rate: Rate::PerSecond(20e3),
        pattern: Pattern::Interleaved,
        target: Some(0.8),
        ..PLAIN
    },
    Scenario {
        name: "saturated, 100000 clients, 10 rules",
        clients: 100_000,
        rules: Rules::Few,
        ..PLAIN
    },
    Scenario {
        name: "saturated, 100000 clients, 100000 rules",
        clients: 100_000,
        rules: Rules::Many,
        ..PLAIN
    },
    Scenario {
        name: "interleaved, saturated",
        floors: &[("stamped", Floor::Stamped)],
        clients: 4000,
        pattern: Pattern::Interleaved,
        target: Some(0.8),
        ..PLAIN
    },
];

/// Figures of one run.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Processor time of a reply, ns.
    cost: f64,
    /// Replies a second.
    replies: f64,
    loss: f64,
    /// Median of transmit minus receive timestamp, ns.
    processing: f64,
    /// Median and 99th percentile of arrival minus transmit timestamp, ns.
    leaving: [f64; 2],
}

/// What runs as a subject.
enum Running {
    Daemon(Instance),
    /// With the directory of its log.
    Floor {
        process: Process,
        _dir: TempDir,
    },
}

/// A server to be measured.
struct Subject {
    name: &'static str,
    namespace: Namespace,
    running: Running,
}

impl Subject {
    fn daemon(name: &'static str, programs: &Programs, more: &str) -> Self {
        let namespace = Namespace::new();
        let daemon = Chronyd::new(programs)
            .within(&namespace)
            .config(CONFIG)
            .config(more)
            .start();
        Self::of(name, namespace, Running::Daemon(daemon))
    }

    fn floor(name: &'static str, floor: Floor) -> Self {
        let (namespace, dir) = (Namespace::new(), TempDir::new());
        let own = std::env::current_exe().expect("this program");
        let mut command = namespace.command(own);
        let process = Process::start(command.arg(floor.argument()), &dir.join("log"));
        // Until then it takes nothing.
        let taken = || namespace.enter(|| std::net::UdpSocket::bind(SERVER).is_err());
        until(LIMIT, "the floor's socket", || taken().then_some(()));
        Self::of(name, namespace, Running::Floor { process, _dir: dir })
    }

    fn of(name: &'static str, namespace: Namespace, running: Running) -> Self {
        let subject = Self {
            name,
            namespace,
            running,
        };
        pin(subject.pid(), SERVER_CPU);
        subject
    }

    fn pid(&self) -> u32 {
        match &self.running {
            Running::Daemon(daemon) => daemon.pid(),
            Running::Floor { process, .. } => process.pid(),
        }
    }

    /// Processor time of all its threads, ns.
    fn cpu(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("its threads");
        let time = |thread: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        };
        threads.filter_map(time).sum()
    }

    /// Resident memory, KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn run(&self, load: &mut Load, rate: Rate, time: Duration) -> Figures {
        // The first requests fill caches and tables.
        load.run(rate, time / 8, Duration::from_millis(200))
            .expect("load");
        let before = self.cpu();
        let report = load.run(rate, time, Duration::from_millis(200)).expect("load");
        let cpu = self.cpu() - before;
        report.assert_right();
        figures(&report, cpu)
    }
}

fn figures(report: &Report, cpu: f64) -> Figures {
    Figures {
        cost: cpu / report.answered.max(1) as f64,
        replies: report.answered as f64 / report.time.as_secs_f64(),
        loss: report.loss(),
        processing: f64::from(report.processing.quantile(0.5)),
        leaving: [0.5, 0.99].map(|share| f64::from(report.leaving.quantile(share))),
    }
}

fn pin(process: u32, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a processor");
    let pid = Pid::from_raw(process as i32);
    if let Err(error) = sched_setaffinity(pid, &set) {
        println!("(no processor of its own: {error})");
    }
}

/// Puts this process, and those that it starts later, before whatever else runs on this machine.
fn urge() {
    // With automatic groups, niceness counts within a session only, and that of the session beside others.
    let _ = nix::unistd::setsid();
    let _ = std::fs::write("/proc/self/autogroup", "-19");
    let own = std::process::id().to_string();
    let status = Command::new("renice").args(["-n", "-19", "-p", &own]).output();
    if !status.is_ok_and(|done| done.status.success()) {
        println!("(no priority over other processes)");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median_of(runs: &[Figures], value: impl Fn(&Figures) -> f64) -> f64 {
    median(runs.iter().map(value).collect())
}

/// Something that never rests.
struct Busy(Child);

impl Busy {
    fn new() -> Self {
        let child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("sh");
        pin(child.id(), SERVER_CPU);
        Self(child)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn clients(scenario: &Scenario) -> Clients {
    let clients = Clients::new(FIRST_CLIENT, scenario.clients, scenario.pattern);
    match scenario.rules {
        Rules::None => clients,
        Rules::Few | Rules::Many => clients.scattered(SCATTERED),
    }
}

fn subjects(scenario: &Scenario) -> Vec<Subject> {
    let rules = scenario.rules.lines(&clients(scenario), scenario.clients);
    let own = format!("{}\n{rules}", scenario.own);
    let mut all = vec![
        Subject::daemon("ours", &release(), &own),
        Subject::daemon("chrony", &reference(), &rules),
    ];
    if let Some(programs) = earlier() {
        all.push(Subject::daemon("earlier", &programs, &own));
    }
    let floors = scenario.floors.iter();
    all.extend(floors.map(|&(name, floor)| Subject::floor(name, floor)));
    all
}

fn run(scenario: &Scenario, rounds: u64, time: Duration) {
    let subjects = subjects(scenario);
    let mut loads: Vec<Load> = subjects
        .iter()
        .map(|subject| {
            let load = || Load::new(SERVER, clients(scenario)).expect("a socket");
            subject.namespace.enter(load)
        })
        .collect();
    let busy = scenario.busy.then(Busy::new);
    let mut runs = vec![Vec::new(); subjects.len()];
    for round in 0..rounds as usize {
        // Each goes first in its turn.
        for place in 0..subjects.len() {
            let which = (round + place) % subjects.len();
            let figures = subjects[which].run(&mut loads[which], scenario.rate, time * scenario.longer);
            runs[which].push(figures);
        }
    }
    drop(busy);
    println!("\n{}", scenario.name);
    for (subject, runs) in subjects.iter().zip(&runs) {
        println!(
            "  {:8} {:7.0} ns/reply  {:8.0} replies/s  loss {:7.4} %  server {:8.1} us  stamp {:6.1} us, 99 % {:6.1} us  {:6} KiB",
            subject.name,
            median_of(runs, |r| r.cost),
            median_of(runs, |r| r.replies),
            100.0 * median_of(runs, |r| r.loss),
            median_of(runs, |r| r.processing) / 1e3,
            median_of(runs, |r| r.leaving[0]) / 1e3,
            median_of(runs, |r| r.leaving[1]) / 1e3,
            subject.memory(),
        );
    }
    for (subject, own) in subjects.iter().zip(&runs).filter(|(s, _)| s.name != "chrony") {
        let ratio = |value: fn(&Figures) -> f64| {
            let pairs = own.iter().zip(&runs[1]);
            median(pairs.map(|(a, b)| value(a) / value(b)).collect())
        };
        let cost = ratio(|r| r.cost);
        let verdict = match scenario.target.filter(|_| subject.name == "ours") {
            Some(target) if cost <= target => format!(" (at most {target}: yes)"),
            Some(target) => format!(" (at most {target}: NO)"),
            None => String::new(),
        };
        println!(
            "  {:8} {cost:.3} of chrony's processor time of a reply{verdict}, {:.3} of its replies/s",
            subject.name,
            ratio(|r| r.replies)
        );
    }
}

fn main() {
    if let Some(floor) = Floor::chosen() {
        floor.serve();
    }
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let (rounds, seconds) = (number("ROUNDS", 7), number("SECONDS", 2));
    // A build must neither be urged nor keep to one processor.
    let _ = (release(), reference());
    pin(0, LOAD_CPU);
    urge();
    println!("{rounds} rounds of {seconds} s each; medians");
    for scenario in SCENARIOS.iter().filter(|scenario| chosen(scenario.name)) {
        run(scenario, rounds, Duration::from_secs(seconds));
    }
}
