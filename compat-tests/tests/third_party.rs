//! Clients of chrony that others have made, each unpacked and unchanged, ask chrony's daemon and ours, and come to the
//! same result.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use compat_tests::programs::{debian_wait_line, workspace};
use compat_tests::third_party::ThirdParty;
use compat_tests::{Chronyd, Finished, Instance, LIMIT, Namespace, Pair, Process, Programs, TempDir};
use compat_tests::{finish, reference, subject, until};

/// A daemon that follows another one, and what its clients need.
struct World {
    daemon: Instance,
    _server: Option<Instance>,
    cable: Pair,
    programs: Programs,
    dir: TempDir,
}

impl World {
    /// With one source that answers and one that doesn't.
    fn synchronised(programs: &Programs) -> Self {
        let cable = Pair::new();
        let server = Chronyd::new(&reference())
            .within(&cable.right)
            .config("local stratum 3\nallow")
            .start();
        let lines = format!("server {} iburst\nserver {} offline", Pair::RIGHT4, Pair::RIGHT6);
        let world = Self::new(programs, cable, Some(server), &lines);
        world.daemon.wait_synchronised(LIMIT);
        until(LIMIT, "the end of the burst", || {
            let activity = world.daemon.chronyc(&["-c", "activity"]).stdout;
            activity.starts_with("1,1,0,0,0").then_some(())
        });
        world
    }

    fn unsynchronised(programs: &Programs) -> Self {
        Self::new(programs, Pair::new(), None, "server 127.0.0.99 offline")
    }

    fn new(programs: &Programs, cable: Pair, server: Option<Instance>, lines: &str) -> Self {
        let daemon = Chronyd::new(programs).within(&cable.left).config(lines).start();
        let dir = TempDir::new();
        // The client of the same make, as root where the package's user is missing, and away from a daemon that
        // this machine may run.
        dir.subdir("bin", 0o755);
        let client = programs.chronyc.display();
        let stay_root = programs.stay_root().join(" ");
        let text = format!("#!/bin/sh\nexec '{client}' {stay_root} -h 127.0.0.1 \"$@\"\n");
        let path = dir.write("bin/chronyc", text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            daemon,
            _server: server,
            cable,
            programs: programs.clone(),
            dir,
        }
    }

    fn network(&self) -> &Namespace {
        &self.cable.left
    }

    /// A command that runs what is added to it where the daemon is.
    fn command(&self) -> Command {
        let mut command = self.network().command("env");
        let path = std::env::var("PATH").unwrap_or_default();
        command.arg(format!("PATH={}:{path}", self.dir.join("bin").display()));
        command
    }

    fn script(&self, script: &str, arguments: &[&str]) -> Finished {
        let mut command = self.command();
        ThirdParty::new().script(&mut command, script, arguments);
        finish(&mut command, LIMIT)
    }
}

/// A text with each number in it replaced, since what is measured moves. Words with digits in them stay.
fn form(text: &str) -> String {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+')) {
        let (before, number) = rest.split_at(at);
        out.push_str(before);
        let end = number.find(|c| !numeric(c)).unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        let within_word = before.ends_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || after.starts_with(|c: char| c.is_ascii_alphabetic());
        match number.trim_end_matches(['.', '-', '+']).parse::<f64>() {
            Ok(_) if !within_word => out.push('#'),
            _ => out.push_str(number),
        }
        rest = after;
    }
    out + rest
}

#[test]
fn numbers_have_no_form() {
    assert_eq!(form("a -1.5e-9 b=2, x1 -t 1795269513.8"), "a # b=#, x1 -t #");
}

/// What a client made of a daemon that is synchronised, and of one that isn't; the same of both makes.
fn same(client: impl Fn(&World) -> Vec<Finished>) -> [Vec<Finished>; 2] {
    type Make = fn(&Programs) -> World;
    [World::synchronised as Make, World::unsynchronised].map(|make| {
        let (theirs, ours) = (client(&make(&reference())), client(&make(&subject())));
        assert_eq!(theirs.len(), ours.len());
        for (theirs, ours) in theirs.iter().zip(&ours) {
            // Which way a clock is wrong is as much by chance as by how much.
            let outcome =
                |done: &Finished| (done.code(), form(&done.stdout).replace(" fast of ", " slow of "));
            assert_eq!(outcome(theirs), outcome(ours), "{theirs:?}\n{ours:?}");
        }
        ours
    })
}

#[test]
fn check_chrony_of_monitoring_plugins_contrib() {
    let check = "usr/lib/nagios/plugins/check_chrony";
    // Of strata: none is too large, 4 is worth a warning, 4 is critical.
    let [synchronised, not] = same(|world| {
        [["9", "15"], ["3", "9"], ["2", "3"]]
            .map(|[warning, critical]| {
                let limits = ["-w", "60000", "-c", "120000", "-W", warning, "-C", critical];
                world.script(check, &limits)
            })
            .into()
    });
    let codes: Vec<_> = synchronised.iter().map(Finished::code).collect();
    assert_eq!(codes, [Some(0), Some(1), Some(2)], "{synchronised:?}");
    assert!(synchronised[0].stdout.starts_with("chrony OK: System Time "));
    assert!(not.iter().all(|done| done.code() != Some(0)), "{not:?}");
}

#[test]
fn textfile_collector_of_node_exporter() {
    let script = "usr/share/prometheus-node-exporter-collectors/chrony.py";
    let [synchronised, not] = same(|world| vec![world.script(script, &[])]);
    let text = &synchronised[0].stdout;
    let info = "chrony_tracking_reference_info{ref_host=\"10.99.0.2\",ref_id=\"0A630002\"} 1.0";
    assert!(
        text.contains(info) && text.contains("\nchrony_tracking_stratum 4.0\n"),
        "{text}"
    );
    assert_eq!((synchronised[0].code(), not[0].code()), (Some(0), Some(0)));
}

#[test]
fn pychrony_with_libchrony() {
    let script = workspace().join("compat-tests/third-party/pychrony_reports.py");
    let script = script.to_str().expect("paths of tests are text");
    let [synchronised, not] = same(|world| {
        [Path::new("127.0.0.1"), &world.daemon.socket]
            .map(|server| world.script(script, &[server.to_str().expect("paths of tests are text")]))
            .into()
    });
    for done in synchronised {
        let text = done.ok();
        assert!(
            text.contains("synchronised: True") && text.contains("address='fd00:99::2'"),
            "{text}"
        );
    }
    for done in not {
        let text = done.ok();
        assert!(
            text.contains("synchronised: False") && text.contains("127.0.0.99"),
            "{text}"
        );
    }
}

/// The values that collectd wrote, by file, without those of the last line, which may be half written.
fn collected(dir: &Path) -> BTreeMap<PathBuf, Vec<f64>> {
    let mut values = BTreeMap::new();
    for file in fs::read_dir(dir.join("values/test/chrony")).into_iter().flatten() {
        let path = file.expect("an entry of a directory").path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        let lines = whole.lines().skip(1);
        let numbers = lines.filter_map(|line| line.split(',').nth(1)?.parse().ok());
        // The name ends with the date, which may change at any time.
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("names are text");
        let (name, _) = name.split_at(name.len() - "-2026-11-21".len());
        values.insert(PathBuf::from(name), numbers.collect());
    }
    values
}

#[test]
fn chrony_plugin_of_collectd() {
    let collect = |programs: &Programs| {
        let world = World::synchronised(programs);
        let dir = TempDir::new();
        let mut command = world.command();
        ThirdParty::new().collectd(&mut command, &dir);
        let mut collectd = Process::start(&mut command, &dir.join("log"));
        // Ten of the clock, and eight of each of two sources.
        let values = until(LIMIT, "values of collectd", || {
            let values = collected(&dir);
            let full = values.len() >= 26 && values.values().all(|numbers| !numbers.is_empty());
            full.then_some(values)
        });
        let log = collectd.log();
        assert!(collectd.stop().success(), "{}", collectd.log());
        let complaints: Vec<_> = log
            .lines()
            .filter(|line| line.contains("chrony") && !line.contains("successfully loaded"))
            .map(form)
            .collect();
        (values, complaints)
    };
    let (theirs, ours) = (collect(&reference()), collect(&subject()));
    let names = |values: &BTreeMap<PathBuf, Vec<f64>>| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&theirs.0), names(&ours.0));
    assert_eq!(theirs.1, ours.1);
    let stratum = ours
        .0
        .get(Path::new("clock_stratum-chrony"))
        .expect("the stratum");
    assert!(stratum.iter().all(|&stratum| stratum == 4.0), "{ours:?}");
}

#[test]
fn the_line_of_chrony_wait_service() {
    let line = debian_wait_line();
    let (program, arguments) = line.split_first().expect("a program");
    assert_eq!(program, "/usr/bin/chronyc");
    let ours = fs::read_to_string(workspace().join("packaging/systemd/chrony-wait.service")).unwrap();
    assert!(
        ours.contains(&format!("ExecStart={}\n", line.join(" "))),
        "{ours}"
    );

    let run = |world: &World, client: &Programs| {
        let mut command = world.network().command(&client.chronyc);
        finish(command.args(client.stay_root()).args(arguments), LIMIT)
    };
    let (theirs, ours) = (World::synchronised(&reference()), World::synchronised(&subject()));
    for world in [&theirs, &ours] {
        for client in [&reference(), &subject()] {
            let done = run(world, client);
            assert_eq!(done.code(), Some(0), "{:?} {done:?}", world.programs.chronyd);
            assert_eq!(
                form(&done.stdout),
                "try: #, refid: 0A630002, correction: #, skew: #\n"
            );
        }
    }

    // A daemon that isn't synchronised is waited for.
    let world = World::unsynchronised(&subject());
    for client in [reference(), subject()] {
        let mut command = world.network().command(&client.chronyc);
        command.args(client.stay_root()).args(arguments);
        let dir = TempDir::new();
        let mut waiting = Process::start(&mut command, &dir.join("log"));
        // It may keep what it prints to itself until the end, so the requests are counted: its own and those here.
        let requests = || -> u32 {
            let stats = world.daemon.chronyc(&["-c", "serverstats"]).ok();
            stats
                .split(',')
                .nth(2)
                .and_then(|n| n.parse().ok())
                .expect("a number")
        };
        let (before, mut asked) = (requests(), 0);
        until(LIMIT, "three tries", || {
            asked += 1;
            (requests() - before >= asked + 3).then_some(())
        });
        // Signals end it as failed.
        assert_eq!(waiting.stop().code(), Some(1));
        let start = "try: 1, refid: 00000000, correction: 0.000000000, skew: 0.000\ntry: 2,";
        assert!(waiting.log().starts_with(start), "{}", waiting.log());
    }
}
