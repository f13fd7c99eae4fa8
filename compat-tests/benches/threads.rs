//! What a reply costs with `serverthreads 2`, beside one thread, alternating in one run under the same load: threads
//! that shared something they write would make each other's replies dearer.
//!
//! `scripts/bench-threads` runs it (as root, on two processors). One thread has processor 0; of two threads each has a
//! processor of its own. The generator has processor 1, so what two threads could answer together is not seen here: they
//! have little more than one processor for themselves. Figures are medians.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use compat_tests::programs::release;
use compat_tests::{Chronyd, Instance, Namespace};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use truechimer_loadgen::{Clients, Load, Pattern, Rate};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 123);
const FIRST_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1));
const CLIENTS: u32 = 100_000;
const LOAD_CPU: usize = 1;

struct Subject {
    name: &'static str,
    daemon: Instance,
    load: Load,
    // After the others, which live in it.
    _namespace: Namespace,
}

/// A thread of a daemon, by its name.
struct Thread {
    id: i32,
    name: String,
    /// Processor time, ns.
    time: f64,
}

/// Figures of one run.
struct Figures {
    /// Processor time of a reply, ns.
    cost: f64,
    replies: f64,
    loss: f64,
    /// Share of the first worker in the processor time of all threads.
    share: f64,
}

fn pin(thread: i32, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a processor");
    sched_setaffinity(Pid::from_raw(thread), &set).expect("two processors");
}

impl Subject {
    fn new(name: &'static str, more: &str, pattern: Pattern) -> Self {
        let namespace = Namespace::new();
        let daemon = Chronyd::new(&release())
            .within(&namespace)
            .config("allow\nlocal stratum 1\nclientloglimit 50000000\ncmdport 0")
            .config(more)
            .start();
        let clients = Clients::new(FIRST_CLIENT, CLIENTS, pattern);
        let load = namespace.enter(|| Load::new(SERVER, clients).expect("a socket"));
        let subject = Self {
            name,
            daemon,
            load,
            _namespace: namespace,
        };
        for thread in subject.threads() {
            let number = thread.name.strip_prefix("server-");
            pin(thread.id, number.map_or(0, |n| n.parse().expect("a number")));
        }
        subject
    }

    fn threads(&self) -> Vec<Thread> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.daemon.pid())).expect("its threads");
        let thread = |task: std::io::Result<fs::DirEntry>| {
            let path = task.ok()?.path();
            let name = fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
            let times = fs::read_to_string(path.join("schedstat")).ok()?;
            let id = path.file_name()?.to_str()?.parse().ok()?;
            let time = times.split_whitespace().next()?.parse().ok()?;
            Some(Thread { id, name, time })
        };
        tasks.filter_map(thread).collect()
    }

    fn run(&mut self, rate: Rate, time: Duration) -> Figures {
        let patience = Duration::from_millis(200);
        // The first requests fill caches and tables.
        self.load.run(rate, time / 8, patience).expect("load");
        let before = self.threads();
        let report = self.load.run(rate, time, patience).expect("load");
        let after = self.threads();
        report.assert_right();
        let of = |threads: &[Thread], wanted: Option<&str>| -> f64 {
            let chosen = threads
                .iter()
                .filter(|t| wanted.is_none_or(|name| t.name == name));
            chosen.map(|thread| thread.time).sum()
        };
        let spent = |wanted| of(&after, wanted) - of(&before, wanted);
        Figures {
            cost: spent(None) / report.answered.max(1) as f64,
            replies: report.answered as f64 / report.time.as_secs_f64(),
            loss: report.loss(),
            share: spent(Some("server-0")) / spent(None),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let (rounds, seconds) = (number("ROUNDS", 7) as usize, number("SECONDS", 2));
    // Cargo passes options of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    // A build must not keep to one processor.
    let _ = release();
    pin(0, LOAD_CPU);
    println!("{rounds} rounds of {seconds} s each; medians; {CLIENTS} clients");
    for (name, rate, pattern) in [
        ("20000/s", Rate::PerSecond(20e3), Pattern::Basic),
        ("100000/s", Rate::PerSecond(100e3), Pattern::Basic),
        (
            "interleaved, 20000/s",
            Rate::PerSecond(20e3),
            Pattern::Interleaved,
        ),
        ("saturated", Rate::PerSecond(2e6), Pattern::Basic),
    ] {
        if !chosen(name) {
            continue;
        }
        let mut subjects = [
            Subject::new("one", "serverthreads 1", pattern),
            Subject::new("two", "serverthreads 2", pattern),
        ];
        let mut runs = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // Either goes first in half of the rounds.
            for which in [round % 2, 1 - round % 2] {
                runs[which].push(subjects[which].run(rate, Duration::from_secs(seconds)));
            }
        }
        println!("\n{name}");
        for (subject, runs) in subjects.iter().zip(&runs) {
            println!(
                "  {:4} {:7.0} ns/reply  {:8.0} replies/s  loss {:7.4} %  first worker {:3.0} % of it",
                subject.name,
                median(runs.iter().map(|r| r.cost)),
                median(runs.iter().map(|r| r.replies)),
                100.0 * median(runs.iter().map(|r| r.loss)),
                100.0 * median(runs.iter().map(|r| r.share)),
            );
        }
        let ratio = |value: fn(&Figures) -> f64| {
            median(
                runs[1]
                    .iter()
                    .zip(&runs[0])
                    .map(|(two, one)| value(two) / value(one)),
            )
        };
        println!(
            "  two threads: {:.3} of the processor time of a reply, {:.3} of the replies/s",
            ratio(|r| r.cost),
            ratio(|r| r.replies)
        );
    }
}
