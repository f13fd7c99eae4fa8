//! A daemon that is killed at any moment leaves nothing behind that keeps the next one from starting, and no half-written
//! file. In `make soak` a thousand times.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use compat_tests::{
    Chronyd, LIMIT, Namespace, Process, TempDir, filter_options, ours, soak, subject, until, within,
};
use nix::sys::signal::Signal;

/// Random numbers, a different series in each run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift is random enough for moments.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Short ones are as likely as long ones: the start is as worth hitting as the life.
    fn pause(&mut self) -> Duration {
        let longest = 1 << self.below(20);
        Duration::from_micros(self.below(longest + 1))
    }
}

/// The two numbers of a drift file that must be whole.
fn drift(text: &str) -> [f64; 2] {
    let numbers: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert!(text.ends_with('\n') && text.len() == 42, "{text:?}");
    [numbers[0], numbers[1]]
}

#[test]
fn killed_at_any_moment() {
    let namespace = Namespace::new();
    let _server = Chronyd::new(&ours())
        .config("local stratum 1\nallow 127.0.0.0/8")
        .within(&namespace)
        .start();
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    dir.subdir("state", 0o700);
    let precious = dir.write("precious", "text");
    let at = dir.display();
    // It measures and writes as often as it can.
    let conf = dir.write(
        "chrony.conf",
        format!(
            "server 127.0.0.1 iburst minpoll -6 maxpoll -6 maxsamples 8\nuser root\nport 0\ncmdport 0\n\
             pidfile {at}/run/pid\nbindcmdaddress {at}/run/chronyd.sock\ndriftfile {at}/state/drift interval 0\n\
             dumpdir {at}/state\nlogdir {at}/state\nlog tracking measurements statistics selection\n"
        ),
    );
    let path = dir.join("state/drift");
    fs::write(&path, "            1.500000             0.250000\n").unwrap();
    let programs = subject();
    let start = |options: &[&str]| {
        let mut command = namespace.command(&programs.chronyd);
        command
            .args(filter_options())
            .args(["-x", "-r", "-d", "-f"])
            .arg(&conf);
        Process::start(command.args(options), &dir.join("log"))
    };
    let mut random = Random::new();
    // A file that was written is another one, or younger.
    let identity = || {
        let found = fs::metadata(&path).unwrap();
        (found.ino(), found.mtime(), found.mtime_nsec())
    };
    let mut before = fs::read_to_string(&path).unwrap();
    for round in 0..30.max(10 * soak()) {
        let mut daemon = start(&[]);
        let in_order = round % 5 == 4;
        if in_order {
            // Every now and then one ends in order, and writes for sure.
            daemon.wait_log("Selected source", LIMIT);
        }
        std::thread::sleep(random.pause());
        assert!(daemon.ended().is_none(), "{}", daemon.log());
        let old = identity();
        if in_order {
            assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
            assert_ne!(identity(), old);
        } else if random.below(3) == 0 {
            // In the middle of the end, in which most is written.
            daemon.signal(Signal::SIGTERM);
            std::thread::sleep(Duration::from_micros(random.below(5000)));
        }
        if daemon.ended().is_none() {
            daemon.signal(Signal::SIGKILL);
        }
        assert!(within(LIMIT, || daemon.ended().is_some()));
        let now = fs::read_to_string(&path).unwrap();
        let [_, skew] = drift(&now);
        assert!(skew > 0.0, "{now}");
        // What the next one starts with.
        let log = daemon.log();
        let [frequency, skew] = drift(&before);
        let read = format!("Frequency {frequency:.3} +/- {skew:.3} ppm read from ");
        assert!(
            log.contains(&read) || !log.contains("Frequency"),
            "{read}:\n{log}"
        );
        assert!(
            !log.contains("Could not read valid frequency") && !log.contains("Fatal"),
            "{log}"
        );
        before = now;
    }

    let mut daemon = start(&[]);
    daemon.wait_log("Frequency ", LIMIT);
    until(LIMIT, "the command socket", || {
        dir.join("run/chronyd.sock").exists().then_some(())
    });
    daemon.wait_log("Selected source", LIMIT);
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    let names = |name: &str| {
        let entries = fs::read_dir(dir.join(name)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert!(names("run").is_empty(), "{:?}", names("run"));
    assert_eq!(
        names("state"),
        [
            "127.0.0.1.dat",
            "drift",
            "measurements.log",
            "selection.log",
            "statistics.log",
            "tracking.log"
        ]
    );
    assert_eq!(fs::read_to_string(precious).unwrap(), "text");
}
