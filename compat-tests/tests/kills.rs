//! A daemon that is killed at any moment leaves nothing behind that keeps the next one from starting, and no half-written
//! file. The variable `SOAK` multiplies the number of kills.

use std::fs;
use std::process::Command;
use std::time::Duration;

use compat_tests::{LIMIT, Process, TempDir, soak, subject, until, within};
use nix::sys::signal::Signal;

#[test]
fn killed_at_any_moment() {
    let dir = TempDir::new();
    dir.subdir("run", 0o700);
    let at = dir.display();
    let conf = dir.write(
        "chrony.conf",
        format!(
            "user root\nport 0\ncmdport 0\nlocal\npidfile {at}/pid\nbindcmdaddress {at}/run/chronyd.sock\n\
             driftfile {at}/drift\ndumpdir {at}\nlogdir {at}/logs\nlog tracking\n"
        ),
    );
    dir.write("drift", "            1.500000             0.250000\n");
    let programs = subject();
    let mut pause = Duration::from_millis(1);
    for round in 0..15 * soak() {
        let mut command = Command::new(&programs.chronyd);
        let mut daemon = Process::start(command.args(["-x", "-d", "-f"]).arg(&conf), &dir.join("log"));
        std::thread::sleep(pause);
        // Every third time in order, so that the drift file is written while the next kill may come.
        let signal = if round % 3 == 2 {
            Signal::SIGTERM
        } else {
            Signal::SIGKILL
        };
        assert!(daemon.ended().is_none(), "{}", daemon.log());
        daemon.signal(signal);
        assert!(within(LIMIT, || daemon.ended().is_some()));
        let drift = fs::read_to_string(dir.join("drift")).unwrap();
        let numbers: Vec<f64> = drift.split_whitespace().map(|n| n.parse().unwrap()).collect();
        assert_eq!((numbers.len(), numbers[0], drift.len()), (2, 1.5, 42), "{drift}");
        // 1 ms to 200 ms.
        pause = Duration::from_micros((u64::try_from(pause.as_micros()).unwrap() * 7 / 4) % 200_000 + 1_000);
    }

    let mut command = Command::new(&programs.chronyd);
    let mut daemon = Process::start(command.args(["-x", "-d", "-f"]).arg(&conf), &dir.join("log"));
    daemon.wait_log("Frequency 1.500 +/- 0.250 ppm read from", LIMIT);
    until(LIMIT, "the command socket", || {
        dir.join("run/chronyd.sock").exists().then_some(())
    });
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    let left: Vec<_> = fs::read_dir(dir.join("run")).unwrap().collect();
    assert!(left.is_empty() && !dir.join("pid").exists(), "{left:?}");
}
