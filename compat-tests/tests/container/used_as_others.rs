//! The command lines of four well-known images of chrony, with our image in place of theirs. The engine is run in a
//! network namespace of its own, where port 123 is free; clients ask from another one.

use std::time::Duration;

use crate::engine::{Container, Volume, command, image, python_tool};
use compat_tests::kernel::KernelClockGuard;
use compat_tests::programs::{debian12, workspace};
use compat_tests::{Pair, TempDir, finish, until};

/// Asks a server from outside until it answers.
fn ntpdate(network: &Pair) -> String {
    let path = format!("{}:{}", debian12().display(), std::env::var("PATH").unwrap());
    until(Duration::from_secs(90), "an answer for ntpdate -q", || {
        let mut command = network.right.command(debian12().join("ntpdate"));
        let done = finish(
            command.args(["-q", Pair::LEFT4]).env("PATH", &path),
            Duration::from_secs(30),
        );
        (done.code() == Some(0) && done.stdout.contains(Pair::LEFT4)).then_some(done.stdout)
    })
}

#[test]
fn with_a_directive_as_argument() {
    let _guard = KernelClockGuard::new();
    let container = Container::run(
        "directive",
        None,
        &["--network=none", "--cap-add", "SYS_TIME"],
        &["pool pool.ntp.org iburst"],
    );
    container.tracking();
    assert_eq!(container.exec(&["chronyc", "-c", "activity"]).ok(), "0,0,0,0,8\n");
    assert_eq!(container.rights().0, "100");
}

#[test]
fn read_only_with_volumes_and_a_published_port() {
    let _guard = KernelClockGuard::new();
    let network = Pair::new();
    let volume = Volume::new("chrony-data");
    let state = format!("--volume={}:/var/lib/chrony", volume.0);
    let config = "local stratum 8\nallow\ndriftfile /var/lib/chrony/chrony.drift\n";
    let options = [
        "--cap-drop=ALL",
        "--cap-add=SYS_TIME",
        "--read-only",
        &state,
        "-p",
        "123:123/udp",
        // Docker's default.
        "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
    ];
    let container =
        Container::with_config("read-only-port", Some(&network.left), Some(config), &options, &[]);
    container.tracking();
    let sources = container.exec(&["chronyc", "sources", "-v"]).ok();
    assert!(sources.contains("Source mode"), "{sources}");
    ntpdate(&network);
    let stats = container.exec(&["chronyc", "-c", "serverstats"]).ok();
    assert_ne!(stats.split(',').next(), Some("0"), "{stats}");
}

#[test]
fn with_more_capabilities_and_always_restarted() {
    let _guard = KernelClockGuard::new();
    let network = Pair::new();
    let options = [
        "--cap-drop",
        "ALL",
        "--cap-add",
        "NET_BIND_SERVICE",
        "--cap-add",
        "SYS_TIME",
        "--cap-add",
        "SYS_RESOURCE",
        "--restart",
        "always",
        "--publish",
        "123:123/udp",
    ];
    let config = "local stratum 8\nallow\n";
    let container = Container::with_config("restarted", Some(&network.left), Some(config), &options, &[]);
    ntpdate(&network);
    container.tracking();

    // What it leaves behind when it is killed must not keep the next one from starting.
    let first = container.pid();
    finish(
        std::process::Command::new("kill").args(["-KILL", &first]),
        Duration::from_secs(10),
    )
    .ok();
    until(Duration::from_secs(90), "the restart", || {
        let again = container.running() && ![first.as_str(), "0"].contains(&container.pid().as_str());
        again.then_some(())
    });
    container.tracking();
    assert!(
        !container.log().contains("may already be running"),
        "{}",
        container.log()
    );
}

#[test]
fn with_servers_and_clients_in_variables() {
    let network = Pair::new();
    let options = [
        "-e",
        "CHRONY_SERVERS=127.127.1.1,ntp.invalid",
        "-e",
        "CHRONY_ALLOWED=10/8,172.16/12,192.168/16",
        "-p",
        "123:123/udp",
    ];
    let container = Container::run("variables", Some(&network.left), &options, &[]);
    // Nobody keeps the clock of an imagined network, so it serves its own time.
    let answer = ntpdate(&network);
    assert!(answer.contains(" s11 ") || answer.contains("s10"), "{answer}");
    assert_eq!(container.rights().0, "100");
}

#[test]
fn by_compose() {
    let guard = KernelClockGuard::new();
    let network = Pair::new();
    let dir = TempDir::new();
    std::fs::copy(
        workspace().join("examples/compose.yaml"),
        dir.join("compose.yaml"),
    )
    .unwrap();
    let tool = python_tool("podman-compose");
    let project = format!("compat{}", std::process::id());
    let compose = |arguments: &[&str]| {
        let mut command = command(&tool, Some(&network.left));
        command.args(["--project-name", &project]).args(arguments);
        command.env("IMAGE", image()).env("NTP_SERVERS", "127.127.1.1");
        finish(command.current_dir(&*dir), Duration::from_secs(300))
    };
    let up = compose(&["up", "--detach"]);
    let checked = std::panic::catch_unwind(|| {
        assert_eq!(up.code(), Some(0), "{up:?}");
        ntpdate(&network);
        until(Duration::from_secs(60), "tracking by compose", || {
            let done = compose(&["exec", "-T", "chrony", "chronyc", "-n", "tracking"]);
            (done.code() == Some(0)).then_some(done.stdout)
        })
    });
    let log = compose(&["logs"]);
    let down = compose(&["down", "--volumes", "--timeout", "0"]);
    let tracking = checked.unwrap_or_else(|_| panic!("{}{}", log.stdout, log.stderr));
    assert!(tracking.contains("Stratum         : 10"), "{tracking}");
    assert_eq!(down.code(), Some(0), "{down:?}");
    drop(guard);
}
