//! The program `truechimer-sim`, run as users run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the whole project.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_truechimer-sim"))
        .args(arguments)
        .current_dir(project())
        .output()
        .unwrap()
}

/// A folder of a test's own.
fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Values of the CSV report by kind and name.
fn values(csv: &str, kind: &str, name: &str) -> Vec<f64> {
    let rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[0] == kind && row[2].starts_with(name))
        .map(|row| if row[3].is_empty() { row[1] } else { row[3] }.parse().unwrap())
        .collect()
}

fn value(csv: &str, kind: &str, name: &str) -> f64 {
    match values(csv, kind, name)[..] {
        [value] => value,
        ref other => panic!("{kind} {name}: {other:?} in\n{csv}"),
    }
}

#[test]
fn the_laboratory_of_the_examples() {
    let arguments = [
        "examples/worlds/lan.conf",
        "examples/worlds/lan.toml",
        "-d",
        "6h",
        "--csv",
    ];
    let first = stdout(&run(&arguments));
    assert!(value(&first, "converged", "threshold") == 1e-3);
    let converged: f64 = first
        .lines()
        .find_map(|line| line.strip_prefix("converged,")?.split(',').next()?.parse().ok())
        .unwrap();
    assert!((4.0..30.0).contains(&converged), "{converged}");
    let rms = value(&first, "steady", "rms_time");
    assert!((1e-7..2e-5).contains(&rms), "{rms}");
    assert!(value(&first, "whole", "max_time") >= 0.02);
    // One poll is 16 s.
    let sent = value(&first, "sent", "client");
    assert!((1200.0..1500.0).contains(&sent), "{sent}");
    assert_eq!(value(&first, "sent", "clock1"), sent);
    assert_eq!(values(&first, "step", "").len(), 0);
    assert_eq!(values(&first, "selected", "clock1 (10.0.0.1)").len(), 1);

    assert_eq!(first, stdout(&run(&arguments)), "the same seed");
    let mut other = arguments.to_vec();
    other.extend(["--seed", "2"]);
    assert_ne!(value(&stdout(&run(&other)), "steady", "rms_time"), rms);
}

#[test]
fn a_pool_on_the_internet_without_its_liar() {
    let csv = stdout(&run(&[
        "examples/chrony.conf",
        "examples/worlds/internet.toml",
        "-d",
        "2d",
        "--from",
        "1h",
        "--csv",
    ]));
    let step = value(&csv, "step", "forward");
    assert!((step - 1.5).abs() < 0.02, "{step}");
    assert!(values(&csv, "selected", "liar").is_empty(), "{csv}");
    assert!(!values(&csv, "selected", "near").is_empty(), "{csv}");
    assert!(value(&csv, "steady", "max_time") < 5e-3, "{csv}");
    assert!(
        csv.lines()
            .any(|line| line.starts_with("warning,") && line.contains("Detected falseticker"))
    );
}

#[test]
fn all_that_can_go_wrong_in_the_examples() {
    let folder = folder("trouble");
    let svg = folder.join("trouble.svg");
    let series = folder.join("trouble.csv");
    let arguments = [
        "examples/worlds/trouble.conf",
        "examples/worlds/trouble.toml",
        "--duration=3d",
        "--log",
        "--svg",
        svg.to_str().unwrap(),
        "--series",
        series.to_str().unwrap(),
    ];
    let text = stdout(&run(&arguments));
    for part in [
        "Backward time jump detected!",
        "Forward time jump detected!",
        "no selectable sources (3 unreachable sources)",
        "steps of the clock      forward by 100 s at 1d 06:",
        " x c (10.0.0.3)",
        "simulated 3d 00:00:00, seed 1",
        "at the end it follows",
    ] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }

    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert_eq!(
        svg.matches("#f3dede").count(),
        3,
        "an outage in both parts and in the legend"
    );
    assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    assert!(svg.matches("<path ").count() >= 2);

    let series = fs::read_to_string(series).unwrap();
    let rows: Vec<Vec<f64>> = series
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|field| field.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 3 * 86_400);
    assert!(
        rows.iter()
            .zip(1..)
            .all(|(row, second)| row[0] == f64::from(second))
    );
    let largest = rows.iter().map(|row| row[1].abs()).fold(0.0, f64::max);
    assert!((largest - 100.0).abs() < 0.1, "{largest}");
}

#[test]
fn temperature_and_missing_names() {
    let folder = folder("temperature");
    let conf = folder.join("chrony.conf");
    let world = folder.join("world.toml");
    fs::write(
        &conf,
        "server time.example iburst minpoll 6 maxpoll 6\nserver gone.example\nmailonchange a@b 1\n",
    )
    .unwrap();
    let run = |swing: f64| {
        let text = format!(
            "start = \"2031-01-01 00:00:00\"\nunresolvable = [\"gone.example\"]\n\
             [client.clock.temperature]\nswing = {swing}\nperiod = \"6h\"\nppm_per_degree = 0.5\n\
             [server.x]\nname = [\"time.example\", \"other.example\"]\n"
        );
        fs::write(&world, text).unwrap();
        let arguments = [
            conf.to_str().unwrap(),
            world.to_str().unwrap(),
            "--csv",
            "-d",
            "1d",
            "--from",
            "3h",
        ];
        stdout(&run(&arguments))
    };
    let calm = value(&run(0.0), "steady", "rms_time");
    let warm = value(&run(5.0), "steady", "rms_time");
    assert!(warm > 10.0 * calm, "{warm} {calm}");
}

/// Standard error of a run that fails.
fn failure(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_to_do() {
    const SERVER: &str = "server 10.0.0.1\n";
    const WORLD: &str = "[server.a]\naddress = \"10.0.0.1\"\n";
    let folder = folder("wrong");
    let conf = folder.join("c");
    let world = folder.join("w");
    // Configuration, what is added to the world, and what is said about it.
    for (conf_text, more, expected) in [
        (
            "server 10.0.0.1 ibrust\n",
            "",
            "/c:1:17: Invalid option in server directive\n  did you mean 'iburst'?",
        ),
        (
            "\nserver ntp.example iburst\n",
            "",
            "/c:2: there is no server with the name ntp.example in this world\n  add one to the world description:",
        ),
        (
            "server 10.0.0.9\n",
            "",
            "/c:1: there is no server with the address 10.0.0.9 in this world",
        ),
        (
            "server 2001:db8::1\n",
            "",
            "/c:1: 2001:db8::1 is an IPv6 address, and simulated worlds have IPv4 only",
        ),
        (
            "server 10.0.0.1\nrefclock SHM 0\n",
            "",
            "/c:2: refclock is not supported by this build\n  leave it out to simulate the rest",
        ),
        (
            "server 10.0.0.1 nts\n",
            "",
            "/c:1: nts is not supported by this build",
        ),
        (
            SERVER,
            "[network]\njiter = 1\n",
            "/w:4:1: unknown field `jiter`, expected one of `delay`, `jitter`",
        ),
        (
            SERVER,
            "[network]\ndelay = \"5 parsecs\"\n",
            "/w:4:9: '5 parsecs' is not a time; write seconds (0.1)",
        ),
        (SERVER, "[network]\ndelay = -1\n", "/w:4:9: -1 s is negative"),
        (
            SERVER,
            "[network]\nloss = 30\n",
            "/w:4:8: 30 is not a probability; write a number from 0 to 1 (0.3 is 30 %)",
        ),
        (
            SERVER,
            "[network]\noutages = [[5, 4]]\n",
            "/w:4:12: an outage ends before it begins",
        ),
        (
            SERVER,
            "[[link]]\nbetween = [\"client\", \"z\"]\n",
            "/w:4:22: there is no machine 'z' in this world\n  machines are: client, a",
        ),
        (
            SERVER,
            "[[link]]\nfrom = \"a\"\n",
            "/w:4:8: it is not clear which way this [[link]] goes",
        ),
        (
            SERVER,
            "[[event]]\nat = 5\n",
            "/w:4:6: it is not clear what happens in this [[event]]",
        ),
        (
            SERVER,
            "[server.b]\naddress = \"10.0.0.1\"\n",
            "/w:4:11: 10.0.0.1 is the address of 'a' already",
        ),
        (
            SERVER,
            "[server.b]\nstratum = 16\n",
            "/w:4:11: stratum 16 is not possible",
        ),
        (SERVER, "[server.b]\nconf = \"none\"\n", "none: Could not open "),
        (SERVER, "[client]\naddress = \"10.0.0.256\"\n", "/w:4:11: "),
        (SERVER, "[server.client]\n", "/w:1:1: a server is called 'client'"),
        (SERVER, "unclear\n", "/w:3:8: "),
    ] {
        fs::write(&conf, conf_text).unwrap();
        fs::write(&world, format!("{WORLD}{more}")).unwrap();
        let said = failure(&[conf.to_str().unwrap(), world.to_str().unwrap()]);
        assert!(said.contains(expected), "{more}{conf_text}: {said}");
    }
    fs::write(&world, "start = \"yesterday\"\n[server.a]\n").unwrap();
    let paths = [conf.to_str().unwrap(), world.to_str().unwrap()];
    assert!(
        failure(&paths).contains("/w:1:9: 'yesterday' is not a date and time after 1970\n  write it in UTC")
    );
    fs::write(&world, "").unwrap();
    assert!(
        failure(&paths).contains("/w:1:1: there is no server in this world\n  add a table [server.NAME]")
    );
    assert!(failure(&["/nonexistent", "/nonexistent"]).contains("/nonexistent: No such file or directory"));
    assert!(failure(&[paths[0], paths[1], "--from", "2d"]).contains("--from: not before the end"));
    let usage = run(&[paths[0], paths[1], "--duration", "soon"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("'soon' is not a time"));
}

#[test]
fn the_examples_of_the_manual_are_there() {
    let manual = fs::read_to_string(project().join("docs/simulation.md")).unwrap();
    let runs = manual
        .lines()
        .filter_map(|line| line.strip_prefix("truechimer-sim examples/"));
    let mut count = 0;
    for line in runs {
        count += 1;
        for path in line.split(' ').take(2) {
            let path = if path.starts_with("examples/") {
                path.to_owned()
            } else {
                format!("examples/{path}")
            };
            assert!(project().join(&path).exists(), "{path}");
        }
    }
    assert!(count >= 3, "{count}");
}
