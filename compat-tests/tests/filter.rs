//! A daemon under each system call filter does all that it can do, lives, and ends in good order.

use std::fs;
use std::os::unix::fs::symlink;

use compat_tests::{Chronyd, Instance, LIMIT, Namespace, TempDir, finish, ours, reference, subject, until};
use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};

/// A server of time on port 11123.
fn server(namespace: &Namespace, keys: &str) -> Instance {
    let server = Chronyd::new(&reference()).within(namespace);
    let path = server.dir().write("keys", keys);
    let lines = format!(
        "port 11123\ncmdport 0\nallow\nlocal stratum 3\nkeyfile {}",
        path.display()
    );
    server.config(&lines).start()
}

fn lives_and_ends(level: &str) {
    let namespace = Namespace::new();
    let keys = "5 SHA1 HEX:000102030405060708090A0B0C0D0E0F\n";
    let _server = server(&namespace, keys);
    let daemon = Chronyd::new(&subject()).within(&namespace);
    let path = daemon.dir().write("keys", keys);
    let sensor = daemon.dir().write("sensor", "21\n");
    let dumps = daemon.dir().subdir("dumps", 0o755);
    let lines = format!(
        "server localhost port 11123 iburst minpoll -2 maxpoll 0\n\
         server 127.0.0.2 port 11123 iburst key 5\n\
         server does-not-exist.invalid\n\
         keyfile {}\ndumpdir {}\nlog rawmeasurements statistics selection tracking tempcomp\nallow\n\
         tempcomp {} 0.1 20 0 1 0\nmakestep 1 3\nrtcsync\nleapsectz right/UTC\nsourcedir {}",
        path.display(),
        dumps.display(),
        sensor.display(),
        daemon.dir().join("later").display()
    );
    let mut daemon = daemon
        .config(&lines)
        .option("-F")
        .option(level)
        .option("-r")
        .start();
    let loaded = format!("Loaded seccomp filter (level {})", level.trim_start_matches('-'));
    daemon.wait_log(&loaded, LIMIT);
    daemon.wait_synchronised(LIMIT);
    let ask = |arguments: &[&str]| daemon.chronyc(arguments).ok();
    until(LIMIT, "the name of a source", || {
        ask(&["-N", "sources"]).contains("localhost").then_some(())
    });

    for command in [
        &["rekey"][..],
        &["dump"],
        &["refresh"],
        &["online"],
        &["offline"],
        &["onoffline"],
        &["burst", "1/1"],
        &["reload", "sources"],
        &["allow", "10.0.0.0/8"],
        &["deny", "all"],
        &["allow", "all"],
        &["local", "stratum", "9"],
        &["reselect"],
        &["reset", "sources"],
        &["add", "server", "127.0.0.3", "port", "11123"],
        &["delete", "127.0.0.3"],
        &["serverstats"],
        &["clients"],
        &["ntpdata"],
        &["selectdata"],
    ] {
        ask(command);
    }
    // A key file that was replaced, and sources in a directory that is new.
    let new_keys = daemon.dir.write(
        "new",
        format!("{keys}6 SHA1 HEX:000102030405060708090A0B0C0D0E10\n"),
    );
    fs::rename(new_keys, daemon.dir.join("keys")).unwrap();
    ask(&["rekey"]);
    until(LIMIT, "the new keys", || {
        daemon.log().contains("Loaded 2 symmetric keys").then_some(())
    });
    let later = daemon.dir.subdir("later", 0o755);
    fs::write(later.join("x.sources"), "server 127.0.0.7 offline\n").unwrap();
    ask(&["reload", "sources"]);
    assert!(ask(&["-n", "sources"]).contains("127.0.0.7"));
    // A name that leads nowhere; whether that is said depends on the client.
    let _ = daemon.chronyc(&["add", "server", "nowhere.invalid"]);
    let mut over_udp = namespace.command(&subject().chronyc);
    let over_udp = over_udp
        .args(subject().stay_root())
        .args(["-h", "127.0.0.1", "tracking"]);
    finish(over_udp, LIMIT).ok();

    let readings = daemon.dir.join("logs/tempcomp.log");
    until(LIMIT, "a temperature", || {
        let text = fs::read_to_string(&readings).unwrap_or_default();
        text.contains("  2.1000e+01  1.0000e+00\n").then_some(())
    });

    // Rotated logs are made again.
    let log = daemon.dir.join("logs/measurements.log");
    fs::rename(&log, daemon.dir.join("logs/old")).unwrap();
    ask(&["cyclelogs"]);
    until(LIMIT, "a new log", || log.exists().then_some(()));

    assert!(daemon.stop().success(), "{}", daemon.log());
    assert!(!daemon.dir.join("chronyd.pid").exists() && !daemon.socket.exists());
    assert!(daemon.dir.join("drift").exists());
    assert!(fs::read_dir(&dumps).unwrap().count() > 0, "{}", daemon.log());
}

#[test]
fn level_1() {
    lives_and_ends("1");
}

#[test]
fn level_1_with_a_signal() {
    lives_and_ends("-1");
}

#[test]
fn level_2() {
    lives_and_ends("2");
}

#[test]
fn level_2_with_a_signal() {
    lives_and_ends("-2");
}

/// Whether a source of a file is found that became a link to elsewhere after the start.
fn follows_a_new_link(options: &[&str]) -> bool {
    let elsewhere = TempDir::new();
    let target = elsewhere.write("file", "server 127.0.0.9 offline\n");
    let daemon = Chronyd::new(&ours());
    let sources = daemon.dir().subdir("sources", 0o755);
    let lines = format!("port 0\ncmdport 0\nsourcedir {}", sources.display());
    let daemon = daemon.config(&lines);
    let daemon = options
        .iter()
        .fold(daemon, |daemon, option| daemon.option(option));
    let mut daemon = daemon.start();
    // The limits come after the socket; a file of its own is read under them.
    fs::write(sources.join("a.sources"), "server 127.0.0.8 offline\n").unwrap();
    symlink(target, sources.join("b.sources")).unwrap();
    let found = until(LIMIT, "the source of a file", || {
        daemon.chronyc(&["reload", "sources"]).ok();
        let found = daemon.chronyc(&["-c", "-n", "sources"]).ok();
        found.contains(",127.0.0.8,").then_some(found)
    });
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    found.contains(",127.0.0.9,")
}

/// Of our own alone: files that the configuration does not name are out of reach, even for root, unless `-F 0` takes
/// all limits off.
#[test]
fn files_out_of_reach() {
    let kernel_can = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .is_ok();
    assert!(follows_a_new_link(&["-F", "0"]));
    for options in [&[][..], &["-F", "1"], &["-F", "2"]] {
        assert_eq!(follows_a_new_link(options), !kernel_can, "{options:?}");
    }
}

#[test]
fn no_such_level() {
    let daemon = Chronyd::new(&subject());
    let path = daemon.dir().write(
        "conf",
        "user root\npidfile /\nbindcmdaddress /\ncmdport 0\nport 0",
    );
    let mut command = std::process::Command::new(&subject().chronyd);
    let done = finish(command.args(["-d", "-x", "-F", "3", "-f"]).arg(path), LIMIT);
    assert_eq!(done.code(), Some(1));
    assert!(
        done.stderr.contains("Fatal error : Unsupported filter level"),
        "{}",
        done.stderr
    );
}
