//! Temperature compensation: a file is the sensor (`spec/files-and-security.md` 3.7 and 4).

use std::fs;
use std::path::Path;
use std::process::Command;

use compat_tests::{Chronyd, LIMIT, TempDir, finish, subject, until};

const HEADER: &str = "   Date (UTC) Time        Temp.       Comp.";

/// Changes a sensor in one go.
fn set(sensor: &Path, text: &str) {
    let new = sensor.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, sensor).unwrap();
}

/// What follows the date in the lines of a log.
fn entries(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("20"));
    lines
        .filter_map(|line| line.get(19..).map(String::from))
        .collect()
}

#[test]
fn readings_are_applied_and_logged() {
    let daemon = Chronyd::new(&subject());
    let sensor = daemon.dir().write("sensor", "40000\n");
    let lines = format!(
        "port 0\ncmdport 0\nlog tempcomp\nlogbanner 3\ntempcomp {} 0.1 26000 0.0 0.000183 0.0",
        sensor.display()
    );
    let mut daemon = daemon.config(&lines).start();
    let log = daemon.dir.join("logs/tempcomp.log");
    for (text, entry) in [
        ("40000\n", "  4.0000e+04  2.5620e+00"),
        ("  -3.5e1xyz 7\n", " -3.5000e+01 -4.7644e+00"),
        ("0x10", "  1.6000e+01 -4.7551e+00"),
        ("26000", "  2.6000e+04  0.0000e+00"),
    ] {
        set(&sensor, text);
        let came = || entries(&log).iter().any(|line| line == entry).then_some(());
        until(LIMIT, &format!("the line of {text} in tempcomp.log"), came);
    }
    let text = fs::read_to_string(&log).unwrap();
    let rule = "=".repeat(HEADER.len());
    assert!(
        text.starts_with(&format!("{rule}\n{HEADER}\n{rule}\n20")),
        "{text}"
    );
    // Nothing that is not believed is logged there.
    set(&sensor, "1e9");
    let too_large = "Temperature compensation of 182995.242 ppm exceeds sanity limit of 10.0";
    daemon.wait_log(too_large, LIMIT);
    assert!(!entries(&log).iter().any(|line| line.starts_with("  1.0000e+09")));
    set(&sensor, "nan");
    daemon.wait_log(
        "Temperature compensation of nan ppm exceeds sanity limit of 10.0",
        LIMIT,
    );
    fs::remove_file(&sensor).unwrap();
    let unreadable = format!("Could not read temperature from {}", sensor.display());
    daemon.wait_log(&unreadable, LIMIT);
    assert!(daemon.stop().success(), "{}", daemon.log());
}

/// Runs a daemon for a moment with a file of points; its exit status and messages.
fn with_points(dir: &TempDir, points: Option<&str>, more: &[&str]) -> (Option<i32>, String) {
    let at = dir.display();
    let file = dir.join("points");
    let _ = fs::remove_file(&file);
    if let Some(points) = points {
        fs::write(&file, points).unwrap();
    }
    dir.write("sensor", "20.5\n");
    let conf = dir.write(
        "conf",
        format!(
            "user root\npidfile /\nbindcmdaddress /\ncmdport 0\nport 0\nlogdir {at}/logs\nlog tempcomp\n\
             tempcomp {at}/sensor 1 {at}/points\n"
        ),
    );
    let mut command = Command::new(subject().chronyd);
    let done = finish(
        command.args(["-d", "-x", "-t", "2", "-f"]).arg(conf).args(more),
        LIMIT,
    );
    (done.code(), done.stderr)
}

#[test]
fn points_of_a_file_as_an_ordinary_user() {
    let dir = TempDir::new();
    let points = "20 1\n21 .64\n22 .36\n23 .16\n";
    // -t without synchronisation gives 1.
    let (status, messages) = with_points(&dir, Some(points), &["-u", "nobody"]);
    assert_eq!(status, Some(1), "{messages}");
    let entries = entries(&dir.join("logs/tempcomp.log"));
    assert!(!entries.is_empty(), "{messages}");
    assert!(
        entries.iter().all(|line| line == "  2.0500e+01  8.2000e-01"),
        "{entries:?}"
    );

    let file = dir.join("points");
    for (points, message) in [
        (Some("20 1\n"), format!("Not enough points in {}", file.display())),
        (
            Some("20 1\n\n21 2\n"),
            format!("Could not read tempcomp point from {}", file.display()),
        ),
        (
            Some("20 1\n21\n"),
            format!("Could not read tempcomp point from {}", file.display()),
        ),
        (
            None,
            format!("Could not open {} : No such file or directory", file.display()),
        ),
    ] {
        let (status, messages) = with_points(&dir, points, &[]);
        assert_eq!(status, Some(1), "{points:?}");
        assert!(
            messages.contains(&format!("Fatal error : {message}\n")),
            "{points:?}: {messages}"
        );
    }
}
