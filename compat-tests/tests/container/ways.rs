//! Users, capabilities, mounts and variables, in all combinations that are promised.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::Duration;

use crate::engine::{Container, Volume, podman};
use compat_tests::TempDir;
use compat_tests::kernel::{KernelClock, KernelClockGuard, STA_UNSYNC};

/// Bits of capabilities, as `/proc/PID/status` has them.
const SYS_TIME: &str = "2000000";
const NONE: &str = "";
/// A daemon that serves nobody, and whose server can't be reached.
const QUIET: &str = "server 192.0.2.1\nport 0\ncmdport 0\ndriftfile /var/lib/chrony/chrony.drift\n";

#[test]
fn root_with_one_capability_controls_the_clock_read_only() {
    // The source reads the same clock, so there is nothing to correct; never a step without makestep.
    let guard = KernelClockGuard::new();
    let server = "local stratum 3\nport 11124\nallow 127.0.0.1\ncmdport 0\n";
    let server = Container::with_config("server", None, Some(server), &["--network=none"], &["-x"]);
    server.tracking();
    let config = "server 127.0.0.1 port 11124 iburst minpoll 0 maxpoll 0\nport 0\nrtcsync\n\
                  driftfile /var/lib/chrony/chrony.drift\n";
    let network = format!("--network=container:{}", server.name);
    let volume = Volume::new("state");
    let state = format!("--volume={}:/var/lib/chrony", volume.0);
    let options = [
        network.as_str(),
        "--cap-drop=ALL",
        "--cap-add=SYS_TIME",
        "--read-only",
        "--security-opt=no-new-privileges",
        // From the start on, and with the first failure.
        "--health-start-period=0s",
        "--health-retries=1",
        &state,
    ];
    let client = Container::with_config("client", None, Some(config), &options, &[]);
    assert_ne!(client.health(), "healthy", "before the first measurement");
    let tracking = client.synchronised();
    assert!(
        tracking.starts_with("Reference ID    : 7F000001 (127.0.0.1)\nStratum         : 4\n"),
        "{tracking}"
    );
    let limit = Duration::from_secs(60);
    compat_tests::until(limit, "STA_UNSYNC clear", || {
        (KernelClock::read().status & STA_UNSYNC == 0).then_some(())
    });
    assert_eq!(client.rights(), ("0".to_owned(), SYS_TIME.to_owned()));
    for words in [&["sources", "-v"][..], &["sourcestats"], &["serverstats"]] {
        client.exec(&[&["chronyc"], words].concat()).ok();
    }

    compat_tests::until(limit, "health", || (client.health() == "healthy").then_some(()));
    server.terminate();
    compat_tests::until(limit, "illness when the source is gone", || {
        (client.health() == "unhealthy").then_some(())
    });

    assert!(client.terminate() < Duration::from_secs(10));
    let (code, log) = client.ended();
    assert_eq!(code, 0, "{log}");
    assert!(
        log.contains("chronyd exiting") && !log.contains("stepped"),
        "{log}"
    );
    let drift = fs::read_to_string(volume.path().join("chrony.drift")).unwrap();
    let numbers = drift.split_whitespace().filter_map(|n| n.parse::<f64>().ok());
    assert_eq!(numbers.count(), 2, "{drift}");
    drop(guard);
}

#[test]
fn root_with_the_right_to_change_it_becomes_another_user() {
    let _guard = KernelClockGuard::new();
    // With nothing else, with read-only mounts, and with all that the engine gives by default.
    let few = ["--cap-drop=ALL", "--cap-add=SYS_TIME,SETUID,SETGID"];
    for (name, options) in [
        ("few", &few[..]),
        (
            "few-tmpfs",
            &[
                &few[..],
                &[
                    "--read-only",
                    "--tmpfs=/run/chrony",
                    "--security-opt=no-new-privileges",
                ],
            ]
            .concat(),
        ),
        ("many", &["--cap-add=SYS_TIME", "--cap-drop=NET_BIND_SERVICE"]),
    ] {
        let options = [&["--network=none"], options].concat();
        let container = Container::with_config(name, None, Some(QUIET), &options, &[]);
        assert_eq!(
            container.rights(),
            ("100".to_owned(), SYS_TIME.to_owned()),
            "{name}\n{}",
            container.log()
        );
    }
}

#[test]
fn no_root_and_no_capability() {
    // Its own user, another one, and one of the group that owns the mounts; with volumes and with tmpfs.
    for (name, options) in [
        ("own", &["--user=100:101"][..]),
        ("any", &["--user=4242:4243", "--security-opt=no-new-privileges"]),
        (
            "tmpfs",
            &[
                "--user=4242",
                "--tmpfs=/run/chrony:U",
                "--tmpfs=/var/lib/chrony:U",
                "--security-opt=no-new-privileges",
            ],
        ),
    ] {
        let options = [&["--network=none", "--cap-drop=ALL", "--read-only"], options].concat();
        // With a configuration and without one.
        for config in [None, Some(QUIET)] {
            let container = Container::with_config(name, None, config, &options, &[]);
            let (user, capabilities) = container.rights();
            let expected = options
                .iter()
                .find_map(|option| option.strip_prefix("--user="))
                .unwrap();
            assert_eq!(Some(user.as_str()), expected.split(':').next());
            assert_eq!(capabilities, NONE);
            let log = container.log();
            for line in [
                "CAP_SYS_TIME is missing: serving without",
                "Disabled control of system clock",
            ] {
                assert_eq!(log.matches(line).count(), 1, "{line} in\n{log}");
            }
            // A pool is eight sources until its name is resolved, which is impossible here.
            let activity = container.exec(&["chronyc", "-c", "activity"]).ok();
            assert_eq!(
                activity,
                if config.is_none() {
                    "0,0,0,0,8\n"
                } else {
                    "1,0,0,0,0\n"
                }
            );
            assert!(container.terminate() < Duration::from_secs(10));
            assert_eq!(container.ended().0, 0);
        }
    }
}

#[test]
fn nothing_can_be_written() {
    let options = [
        "--network=none",
        "--cap-drop=ALL",
        "--read-only",
        "--read-only-tmpfs=false",
        "--image-volume=ignore",
    ];
    let container = Container::run("read-only", None, &options, &["-t", "600"]);
    compat_tests::until(Duration::from_secs(60), "the start", || {
        container.log().contains("Disabled control").then_some(())
    });
    let log = container.log();
    for directory in ["/run/chrony", "/var/lib/chrony"] {
        let line = format!("{directory} can't be written by UID 0 : Read-only file system");
        let fix = format!("add --tmpfs={directory} or a volume");
        assert!(log.contains(&line) && log.contains(&fix), "{log}");
    }
    assert!(container.running(), "{log}");
    container.terminate();
    assert_eq!(container.ended().0, 0);
}

#[test]
fn directories_of_somebody_else() {
    let dir = TempDir::new();
    let state = dir.subdir("state", 0o700);
    let drift = state.join("chrony.drift");
    fs::write(&drift, "1.0 1.0\n").unwrap();
    for path in [&state, &drift] {
        chown(path, Some(1000), Some(1000)).unwrap();
    }
    let mount = format!("--volume={}:/var/lib/chrony", state.display());
    let options = ["--network=none", mount.as_str()];
    {
        // Without the right to change it: what is wrong, and what helps.
        let few = [&options[..], &["--cap-drop=ALL"]].concat();
        let container = Container::with_config("may-not", None, Some(QUIET), &few, &["-x"]);
        container.tracking();
        let log = container.log();
        let why =
            "/var/lib/chrony can't be written by UID 0 : Permission denied (owner 1000:1000, mode 0700)";
        let fix = "add --cap-add=CHOWN, or give it to 0:0 on the host";
        assert!(log.contains(why) && log.contains(fix), "{log}");
    }
    let container = Container::with_config("may", None, Some(QUIET), &options, &["-x"]);
    container.tracking();
    let log = container.log();
    assert!(!log.contains("can't be written"), "{log}");
    let owner = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    assert_eq!(owner(&state), (100, 101));
    assert_eq!(owner(&drift), (100, 101));
}

#[test]
fn says_what_is_wrong() {
    let refused = |name: &str, config, options: &[&str], expected: &str| {
        let options = [&["--network=none", "--cap-drop=ALL"], options].concat();
        let container = Container::with_config(name, None, config, &options, &[]);
        let (code, log) = container.ended();
        assert_eq!(code, 1, "{log}");
        assert!(log.contains(&format!("Fatal error : {expected}")), "{log}");
    };
    refused(
        "wrong",
        Some("foo\n"),
        &[],
        "Invalid directive foo at line 1 in file /etc/chrony/chrony.conf",
    );
    refused(
        "powerless",
        Some(QUIET),
        &["--env=ENABLE_SYSCLK=Yes"],
        "ENABLE_SYSCLK is on, but CAP_SYS_TIME is missing; add --cap-add=SYS_TIME",
    );
    refused(
        "variable",
        None,
        &["--env=NOCLIENTLOG=perhaps"],
        "NOCLIENTLOG=perhaps: it takes 1, yes, true or on, or 0, no, false or off",
    );
    refused(
        "zone",
        None,
        &["--env=TZ=Europe/Atlantis"],
        "TZ=Europe/Atlantis: it takes a time zone",
    );
    refused(
        "no-file",
        None,
        &["--volume=/usr/share:/etc/chrony/chrony.conf:ro"],
        "/etc/chrony/chrony.conf is a directory: the file mounted there does not exist on the host",
    );
}

#[test]
fn variables_make_the_configuration() {
    let variables = [
        "NTP_SERVERS=\"a.example,127.127.1.1\"",
        "ALLOW_CIDR=10/8",
        "NTP_DIRECTIVES=minsources 2\nport 11123",
        "NOCLIENTLOG=TRUE",
        "TZ=Europe/Berlin",
        "ENABLE_SYSCLK=off",
        "LOG_LEVEL=1",
    ];
    let mut arguments = vec!["run", "--rm", "--network=none"];
    for variable in &variables {
        arguments.extend(["--env", variable]);
    }
    arguments.extend([crate::engine::image(), "-p"]);
    let printed = podman(&arguments).ok();
    let expected = "server a.example iburst\nlocal stratum 10\ndriftfile /var/lib/chrony/chrony.drift\n\
                    leapseclist /usr/share/zoneinfo/leap-seconds.list\ncmdport 0\nallow 10/8\nnoclientlog\n\
                    minsources 2\nport 11123\n";
    assert_eq!(printed, expected);

    // Options and help are chronyd's.
    let version = podman(&[
        "run",
        "--rm",
        "--network=none",
        crate::engine::image(),
        "chronyd",
        "--version",
    ])
    .ok();
    assert!(version.starts_with("chronyd (chrony) version 4.9 "), "{version}");
}
