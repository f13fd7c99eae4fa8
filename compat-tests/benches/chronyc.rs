//! What `chronyc tracking` and `chronyc health` cost from start to exit, beside `chronyc tracking` of chrony 4.3 of Debian 12,
//! which runs without a loader of its own where its libraries are installed: whole processes, over the Unix socket of
//! the same daemon, one after the other in turn, median of 200.
//!
//! `TMPDIR=/dev/shm cargo bench -p compat-tests --bench chronyc`: on a tmpfs as /run is, or the directories that clients since
//! 4.8 make for their sockets cost more than all else.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use compat_tests::programs::{debian12, release};
use compat_tests::{Chronyd, ours};

const ROUNDS: usize = 200;

fn main() {
    let daemon = Chronyd::new(&ours())
        .config("port 0\ncmdport 0\nlocal stratum 7")
        .start();
    let release = release();
    // Not the wrapper, which would be measured, too.
    let old = debian12().with_file_name("root").join("usr/bin/chronyc");
    let run = |program: &std::path::Path, stay_root: &[&str], words: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(stay_root)
            .arg("-n")
            .arg("-h")
            .arg(&daemon.socket)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status().expect("a client that can be run");
        let took = start.elapsed();
        // Its clock follows nothing, so `health` is not content.
        assert!(status.code().is_some_and(|code| code <= 1), "{status}");
        took
    };
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(run(&old, &[], &["tracking"]));
        times[1].push(run(&release.chronyc, release.stay_root(), &["tracking"]));
        times[2].push(run(&release.chronyc, release.stay_root(), &["health"]));
    }
    let [old, tracking, health] = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    let ratio = |time: Duration| time.as_secs_f64() / old.as_secs_f64();
    println!("chrony 4.3  tracking  {old:?}");
    println!("ours        tracking  {tracking:?}  ratio {:.2}", ratio(tracking));
    println!("ours        health    {health:?}  ratio {:.2}", ratio(health));
}
