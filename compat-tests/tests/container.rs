//! The image: built with podman from `Containerfile`, run read-only with at most one capability and without any network
//! but loopback. The variable `IMAGE` names a finished image to be tested instead.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use compat_tests::kernel::{KernelClock, KernelClockGuard, STA_UNSYNC};
use compat_tests::programs::{cache, release, with_lock, workspace};
use compat_tests::{Finished, TempDir, finish, until};

/// The image with all its files; what a pull costs is less.
const MAX_SIZE: u64 = 8_000_000;
/// How long the end after SIGTERM may take: far less than the ten seconds that container engines grant, and many times
/// what it does take.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Starting a container takes the engine a moment.
const LIMIT: Duration = Duration::from_secs(60);

fn podman(arguments: &[&str]) -> Finished {
    finish(
        Command::new("podman").args(["--runtime", "runc"]).args(arguments),
        Duration::from_secs(300),
    )
}

/// The image's name. Built once for all tests of this file.
fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| env::var("IMAGE").unwrap_or_else(|_| with_lock(&cache().join("image.lock"), build)))
}

fn build() -> String {
    let mut command = Command::new(workspace().join("scripts/container-base"));
    let base = finish(&mut command, Duration::from_secs(900)).ok();

    // With programs in the context the Containerfile builds none.
    let context = TempDir::new();
    let programs = release();
    let dir = context.subdir("image-programs", 0o755);
    for program in [&programs.chronyd, &programs.chronyc] {
        fs::copy(program, dir.join(program.file_name().unwrap())).unwrap();
    }
    fs::copy(workspace().join("Containerfile"), context.join("Containerfile")).unwrap();
    for part in ["scripts", "packaging"] {
        finish(
            Command::new("cp")
                .arg("-r")
                .arg(workspace().join(part))
                .arg(&*context),
            LIMIT,
        )
        .ok();
    }

    let name = "localhost/truechimer-test";
    let arguments = ["build", "--isolation=chroot", "--format=docker", "-t", name];
    let base = format!("RUST_IMAGE={}", base.trim());
    podman(&[&arguments[..], &["--build-arg", &base, context.to_str().unwrap()]].concat()).ok();
    name.to_owned()
}

/// A container with a volume for state, both removed when dropped.
struct Container {
    name: String,
    _dir: TempDir,
}

impl Container {
    /// Starts one with a configuration, with `options` for podman and `arguments` for the daemon.
    fn start(name: &str, config: Option<&str>, options: &[&str], arguments: &[&str]) -> Self {
        let dir = TempDir::new();
        let name = format!("compat-{}-{name}", std::process::id());
        let container = Self { name, _dir: dir };
        let mount = config.map(|config| {
            let path = container._dir.write("chrony.conf", config);
            format!("--volume={}:/etc/chrony/chrony.conf:ro", path.display())
        });
        let volume = format!("--volume={}:/var/lib/chrony", container.name);
        let mut all = vec![
            "run",
            "--detach",
            "--name",
            &container.name,
            "--read-only",
            "--cap-drop=ALL",
            &volume,
        ];
        all.extend(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        all.extend(mount.as_deref());
        all.extend(options);
        all.push(image());
        all.extend(arguments);
        podman(&all).ok();
        container
    }

    fn exec(&self, arguments: &[&str]) -> Finished {
        podman(&[&["exec", &self.name], arguments].concat())
    }

    /// Waits until `chronyc tracking` answers, and returns it.
    fn tracking(&self) -> String {
        until(LIMIT, "an answer of chronyc tracking", || {
            let done = self.exec(&["chronyc", "-n", "tracking"]);
            if done.code() != Some(0) {
                assert!(self.running(), "ended:\n{}", self.log());
            }
            (done.code() == Some(0)).then_some(done.stdout)
        })
    }

    fn running(&self) -> bool {
        podman(&["inspect", "--format={{.State.Running}}", &self.name])
            .ok()
            .trim()
            == "true"
    }

    fn log(&self) -> String {
        let done = podman(&["logs", &self.name]);
        done.stdout + &done.stderr
    }

    fn health(&self) -> String {
        podman(&["inspect", "--format={{.State.Health.Status}}", &self.name])
            .ok()
            .trim()
            .to_owned()
    }

    /// Process id of the daemon as this machine sees it.
    fn pid(&self) -> String {
        podman(&["inspect", "--format={{.State.Pid}}", &self.name])
            .ok()
            .trim()
            .to_owned()
    }

    fn volume(&self) -> PathBuf {
        podman(&["volume", "inspect", "--format={{.Mountpoint}}", &self.name])
            .ok()
            .trim()
            .into()
    }

    /// Sends SIGTERM to the daemon and returns the time until it is gone.
    fn terminate(&self) -> Duration {
        let pid = self.pid();
        let start = Instant::now();
        finish(Command::new("kill").arg(&pid), LIMIT).ok();
        // A zombie that its parent has not fetched has ended, too.
        let gone =
            || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        until(LIMIT, "the end after SIGTERM", || gone().then_some(()));
        start.elapsed()
    }

    fn exit_code(&self) -> i32 {
        podman(&["wait", &self.name]).ok().trim().parse().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log());
        }
        for arguments in [
            ["rm", "--force", "--time=0", "--volumes"].as_slice(),
            &["volume", "rm", "--force"],
        ] {
            let _ = Command::new("podman").args(arguments).arg(&self.name).output();
        }
    }
}

/// A daemon that serves on a port of the loopback interface and leaves the clock alone.
fn server(name: &str) -> Container {
    let config = "user root\nlocal stratum 3\nport 11124\nallow 127.0.0.1\ncmdport 0\n";
    Container::start(name, Some(config), &["--network=none"], &["-x"])
}

#[test]
fn small() {
    let size: u64 = podman(&["image", "inspect", "--format={{.Size}}", image()])
        .ok()
        .trim()
        .parse()
        .unwrap();
    assert!(size <= MAX_SIZE, "{size} bytes");
}

#[test]
fn controls_the_clock_read_only_with_one_capability() {
    // The source reads the same clock, so there is nothing to correct; never a step without makestep.
    let guard = KernelClockGuard::new();
    let server = server("server");
    server.tracking();
    let config = "server 127.0.0.1 port 11124 iburst minpoll 0 maxpoll 0\nport 0\nrtcsync\n\
                  driftfile /var/lib/chrony/chrony.drift\n";
    let network = format!("--network=container:{}", server.name);
    let client = Container::start("client", Some(config), &[&network, "--cap-add=SYS_TIME"], &[]);
    let tracking = until(LIMIT, "synchronisation", || {
        let tracking = client.tracking();
        tracking.contains("Leap status     : Normal").then_some(tracking)
    });
    assert!(
        tracking.starts_with("Reference ID    : 7F000001 (127.0.0.1)\nStratum         : 4\n"),
        "{tracking}"
    );
    until(LIMIT, "STA_UNSYNC clear", || {
        (KernelClock::read().status & STA_UNSYNC == 0).then_some(())
    });

    // It has one capability and not one more.
    let status = fs::read_to_string(format!("/proc/{}/status", client.pid())).unwrap();
    for line in ["CapPrm:\t0000000002000000", "CapEff:\t0000000002000000"] {
        assert!(status.contains(line), "{line} in\n{status}");
    }

    podman(&["healthcheck", "run", &client.name]).ok();
    assert_eq!(client.health(), "healthy");

    let volume = client.volume();
    let time = client.terminate();
    assert!(time < STOP_LIMIT, "{time:?}");
    assert_eq!(client.exit_code(), 0, "{}", client.log());
    assert!(client.log().contains("chronyd exiting"), "{}", client.log());
    assert!(!client.log().contains("stepped"), "{}", client.log());
    let drift = fs::read_to_string(volume.join("chrony.drift")).unwrap();
    assert_eq!(
        drift
            .split_whitespace()
            .filter_map(|n| n.parse::<f64>().ok())
            .count(),
        2,
        "{drift}"
    );
    drop(guard);
}

#[test]
fn leaves_the_clock_alone_without_any_capability() {
    let before = KernelClockGuard::new();
    // With the configuration in the image; its names can't be resolved here.
    let container = Container::start("plain", None, &["--network=none"], &["-x"]);
    assert!(
        container
            .tracking()
            .contains("Leap status     : Not synchronised")
    );
    // A pool is eight sources until its name is resolved.
    let activity = container.exec(&["chronyc", "-c", "activity"]).ok();
    assert_eq!(activity, "0,0,0,0,8\n");
    podman(&["healthcheck", "run", &container.name]).ok();
    assert_eq!(container.health(), "healthy");
    let now = KernelClock::read();
    assert_eq!(
        (now.frequency, now.tick),
        (before.saved().frequency, before.saved().tick)
    );
    let volume = container.volume();
    let time = container.terminate();
    assert!(time < STOP_LIMIT, "{time:?}");
    assert_eq!(container.exit_code(), 0);
    assert!(Path::new(&volume).join("chrony.drift").exists());
}

#[test]
fn is_unhealthy_when_nobody_answers() {
    let config = "cmdport 0\nbindcmdaddress /\nport 0\n";
    let container = Container::start("mute", Some(config), &["--network=none"], &["-x"]);
    assert_ne!(podman(&["healthcheck", "run", &container.name]).code(), Some(0));
    assert_ne!(container.health(), "healthy");
}

#[test]
fn says_what_is_wrong() {
    let container = Container::start("wrong", Some("foo\n"), &["--network=none"], &["-x"]);
    assert_eq!(container.exit_code(), 1);
    let log = container.log();
    assert!(
        log.contains("Fatal error : Invalid directive foo at line 1 in file /etc/chrony/chrony.conf"),
        "{log}"
    );

    let container = Container::start("powerless", Some("port 0\n"), &["--network=none"], &[]);
    assert_eq!(container.exit_code(), 1);
    let log = container.log();
    assert!(
        log.contains("Fatal error : adjtimex(0x8001) failed : Operation not permitted"),
        "{log}"
    );
}
