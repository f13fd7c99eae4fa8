//! packaging/kubernetes: right by the schemas of Kubernetes, and played by podman.
//!
//! Podman has no DaemonSet, no Service, no priorities, tolerations and spreading: a DaemonSet is played as a
//! Deployment, the rest is passed over by it. It runs a liveness probe as its health check; the other probes are run
//! here by hand.

use std::fs;
use std::process::Command;

use crate::engine::{LIMIT, image, podman, podman_at, python_tool};
use compat_tests::kernel::KernelClockGuard;
use compat_tests::programs::workspace;
use compat_tests::{Namespace, TempDir, finish, until};

fn manifest(name: &str) -> String {
    fs::read_to_string(workspace().join("packaging/kubernetes").join(name)).unwrap()
}

#[test]
fn right_by_the_schema() {
    let mut command = Command::new(python_tool("kubernetes-validate"));
    command.arg("--strict");
    for name in ["daemonset.yaml", "deployment.yaml"] {
        command.arg(workspace().join("packaging/kubernetes").join(name));
    }
    finish(&mut command, LIMIT).ok();

    // And what is wrong is found.
    let dir = TempDir::new();
    let wrong = dir.write(
        "wrong.yaml",
        manifest("daemonset.yaml").replace("hostNetwork: true", "hostNetwork: 7"),
    );
    let done = finish(Command::new(python_tool("kubernetes-validate")).arg(wrong), LIMIT);
    assert_ne!(done.code(), Some(0), "{done:?}");
}

/// Plays a manifest, runs the probes and takes it down again; returns the log of the daemon.
fn play(text: &str, network: &Namespace) -> String {
    let dir = TempDir::new();
    // Names are the engine's, which other tests may share.
    let name = dir.file_name().unwrap().to_str().unwrap();
    let text = text
        .replace("image: truechimer\n", "image: IMAGE\n")
        .replace("truechimer", name)
        .replace("name: run\n", &format!("name: {name}-run\n"))
        .replace("name: state\n", &format!("name: {name}-state\n"))
        .replace("image: IMAGE\n", &format!("image: {}\n", image()));
    let path = dir.write("play.yaml", text);
    let path = path.to_str().unwrap();
    let played = podman_at(Some(network), &["kube", "play", path]);
    // Versions of podman differ in whether they number the pods.
    let filter = format!("--filter=name=^{name}.*-chronyd$");
    let container = podman(&["ps", "--all", "--format={{.Names}}", &filter])
        .ok()
        .trim()
        .to_owned();
    let answer = std::panic::catch_unwind(|| {
        assert_eq!(played.code(), Some(0), "{played:?}");
        until(LIMIT, "the startup probe", || {
            let done = podman(&["exec", &container, "/usr/bin/chronyc", "-n", "tracking"]);
            (done.code() == Some(0)).then_some(())
        });
        // No source can be reached.
        let ready = podman(&[
            "exec",
            &container,
            "/usr/bin/chronyc",
            "health",
            "--min-sources",
            "1",
        ]);
        assert_eq!(ready.stdout, "unhealthy: the clock is not synchronised\n");
        podman(&["stop", &container]).ok();
    });
    let log = podman(&["logs", &container]);
    let down = podman(&["kube", "down", path]);
    // These outlive what is taken down.
    for volume in ["node", "run", "state"] {
        podman(&["volume", "rm", "--force", &format!("{name}-{volume}")]);
    }
    let log = log.stdout + &log.stderr;
    assert!(answer.is_ok(), "{log}");
    assert_eq!(down.code(), Some(0), "{down:?}");
    log
}

#[test]
fn daemon_set_played() {
    let _guard = KernelClockGuard::new();
    let network = Namespace::new();
    let state = TempDir::new();
    // No step, whatever happens: nothing can be reached anyway.
    let text = manifest("daemonset.yaml")
        .replace("kind: DaemonSet", "kind: Deployment")
        .replace(
            "path: /var/lib/truechimer\n",
            &format!("path: {}\n", state.display()),
        )
        .replace("    makestep 1 3\n", "");
    let log = play(&text, &network);
    assert!(log.contains("Keeping UID 0 with reduced capabilities"), "{log}");
    assert!(!log.contains("can't be written"), "{log}");
    assert!(state.join("chrony.drift").exists(), "{log}");
}

#[test]
fn deployment_played() {
    let network = Namespace::new();
    // One, as podman has it.
    let text = manifest("deployment.yaml").replace("replicas: 2", "replicas: 1");
    let log = play(&text, &network);
    for line in [
        "Configuration: port 11123",
        "Configuration: allow 10/8",
        "Disabled control of system clock",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert!(!log.contains("can't be"), "{log}");
}
