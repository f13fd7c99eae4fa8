//! What a reply costs: our server and chrony's, alternating in one run on the same core, under the same load.
//!
//! `scripts/bench-server` runs it (as root, on at least two processors). The daemon has processor 0, the generator
//! processor 1. Each scenario runs both in turn, several times; figures are medians. Words given as arguments choose
//! the scenarios whose names contain one of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::Duration;

use compat_tests::programs::{Programs, reference, release};
use compat_tests::{Chronyd, Instance, Namespace};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use truechimer_loadgen::{Clients, Load, Pattern, Rate, Report};

const SERVER_CPU: usize = 0;
const LOAD_CPU: usize = 1;
/// Room for the client logs of 100,000 clients.
const CONFIG: &str = "allow\nlocal stratum 1\nclientloglimit 50000000\ncmdport 0";
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));

struct Scenario {
    name: &'static str,
    clients: u32,
    rate: Rate,
    pattern: Pattern,
    /// A process that never rests has the same processor.
    busy: bool,
    /// More lines of our configuration.
    own: &'static str,
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
    own: "",
    target: None,
};

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "saturated, 1 client",
        target: Some(0.92),
        ..PLAIN
    },
    Scenario {
        name: "saturated, 100000 clients",
        clients: 100_000,
        target: Some(0.92),
        ..PLAIN
    },
    Scenario {
        name: "1000/s",
        clients: 1000,
        rate: Rate::PerSecond(1e3),
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
        name: "interleaved, saturated",
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

/// A daemon to be measured.
struct Subject {
    name: &'static str,
    namespace: Namespace,
    daemon: Instance,
}

impl Subject {
    fn new(name: &'static str, programs: &Programs, more: &str) -> Self {
        let namespace = Namespace::new();
        let daemon = Chronyd::new(programs)
            .within(&namespace)
            .config(CONFIG)
            .config(more)
            .start();
        pin(daemon.pid(), SERVER_CPU);
        Self {
            name,
            namespace,
            daemon,
        }
    }

    /// Processor time of all its threads, ns.
    fn cpu(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.daemon.pid())).expect("its threads");
        let time = |thread: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        };
        threads.filter_map(time).sum()
    }

    /// Resident memory, KiB.
    fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).expect("its status");
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

fn run(scenario: &Scenario, rounds: u64, time: Duration) {
    let subjects = [
        Subject::new("ours", &release(), scenario.own),
        Subject::new("chrony", &reference(), ""),
    ];
    let mut loads: Vec<Load> = subjects
        .iter()
        .map(|subject| {
            let clients = Clients::new(FIRST_CLIENT, scenario.clients, scenario.pattern);
            subject
                .namespace
                .enter(|| Load::new(SERVER, clients).expect("a socket"))
        })
        .collect();
    let busy = scenario.busy.then(Busy::new);
    let mut runs = [Vec::new(), Vec::new()];
    for round in 0..rounds as usize {
        // Either goes first in half of the rounds.
        for which in [round % 2, 1 - round % 2] {
            runs[which].push(subjects[which].run(&mut loads[which], scenario.rate, time));
        }
    }
    drop(busy);
    println!("\n{}", scenario.name);
    for (subject, runs) in subjects.iter().zip(&runs) {
        println!(
            "  {:7} {:7.0} ns/reply  {:8.0} replies/s  loss {:7.4} %  server {:8.1} us  stamp {:6.1} us, 99 % {:6.1} us  {:6} KiB",
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
    let ratio = |value: fn(&Figures) -> f64| {
        median(
            runs[0]
                .iter()
                .zip(&runs[1])
                .map(|(a, b)| value(a) / value(b))
                .collect(),
        )
    };
    let cost = ratio(|r| r.cost);
    let verdict = match scenario.target {
        Some(target) if cost <= target => format!(" (at most {target}: yes)"),
        Some(target) => format!(" (at most {target}: NO)"),
        None => String::new(),
    };
    println!(
        "  ratio   {cost:.3} of the processor time of a reply{verdict}, {:.3} of the replies/s",
        ratio(|r| r.replies)
    );
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let (rounds, seconds) = (number("ROUNDS", 7), number("SECONDS", 2));
    pin(0, LOAD_CPU);
    urge();
    println!("{rounds} rounds of {seconds} s each; medians");
    for scenario in SCENARIOS.iter().filter(|scenario| chosen(scenario.name)) {
        run(scenario, rounds, Duration::from_secs(seconds));
    }
}
