//! The image, built once for all tests, and containers of it that are always removed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use compat_tests::programs::{cache, release, with_lock, workspace};
use compat_tests::{Finished, Namespace, TempDir, finish, until};

/// Starting a container takes the engine a moment.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// What every file of a test image is dated.
const EPOCH: &str = "1700000000";

/// Settings of the engine: this machine may allow less than podman asks for.
fn settings() -> &'static Path {
    static SETTINGS: OnceLock<PathBuf> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let path = cache().join("containers.conf");
        let text = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\nruntime = \"runc\"\n";
        // Read by other tests meanwhile: it must never be half a file.
        let temporary = path.with_extension(std::process::id().to_string());
        fs::write(&temporary, text).unwrap();
        fs::rename(&temporary, &path).unwrap();
        path
    })
}

/// A command for the engine, in a network namespace or in that of this machine.
pub(crate) fn command(program: &Path, at: Option<&Namespace>) -> Command {
    let mut command = if let Some(namespace) = at {
        // Not `ip netns exec`, whose own mounts would hide the containers' from everybody else.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", namespace.name()))
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env("CONTAINERS_CONF", settings());
    command
}

pub(crate) fn podman_at(at: Option<&Namespace>, arguments: &[&str]) -> Finished {
    let mut command = command(Path::new("podman"), at);
    finish(command.args(arguments), Duration::from_secs(300))
}

pub(crate) fn podman(arguments: &[&str]) -> Finished {
    podman_at(None, arguments)
}

/// The image's name; the variable `IMAGE` names a finished one to be tested instead.
pub(crate) fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        env::var("IMAGE")
            .unwrap_or_else(|_| with_lock(&cache().join("image.lock"), || build("localhost/truechimer-test")))
    })
}

/// Builds an image from the programs that people get, without a registry.
pub(crate) fn build(name: &str) -> String {
    let mut command = Command::new(workspace().join("scripts/container-base"));
    let base = finish(&mut command, Duration::from_secs(900)).ok();

    // With programs in the context the Containerfile builds none.
    let context = TempDir::new();
    let programs = release();
    let dir = context.subdir("image-programs", 0o755);
    let entry = programs.chronyd.with_file_name("chronyd-container");
    for program in [&programs.chronyd, &programs.chronyc, &entry] {
        fs::copy(program, dir.join(program.file_name().unwrap()))
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    }
    let mut crates = Command::new(workspace().join("scripts/sbom"));
    let crates = finish(crates.arg("crates"), LIMIT).ok();
    fs::write(dir.join("crates.tsv"), crates).unwrap();
    for part in [
        "Containerfile",
        "Cargo.toml",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "scripts",
    ] {
        let mut copy = Command::new("cp");
        finish(copy.arg("-r").arg(workspace().join(part)).arg(&*context), LIMIT).ok();
    }

    let base = format!("RUST_IMAGE={}", base.trim());
    podman(&[
        "build",
        "--isolation=chroot",
        "--format=docker",
        "--timestamp",
        EPOCH,
        "--build-arg",
        &base,
        "--build-arg=VERSION=0.1.0",
        "--build-arg=REVISION=0123456789abcdef",
        "--build-arg=CREATED=2023-11-14T22:13:20Z",
        "--no-cache",
        "--tag",
        name,
        context.to_str().unwrap(),
    ])
    .ok();
    name.to_owned()
}

/// A container and its volumes, removed when dropped.
pub(crate) struct Container {
    pub(crate) name: String,
    dir: TempDir,
}

impl Container {
    /// The options of `podman run` and the arguments of the image are given; the name is not.
    pub(crate) fn run(name: &str, at: Option<&Namespace>, options: &[&str], arguments: &[&str]) -> Self {
        Self::with_config(name, at, None, options, arguments)
    }

    /// The same with a configuration mounted.
    pub(crate) fn with_config(
        name: &str,
        at: Option<&Namespace>,
        config: Option<&str>,
        options: &[&str],
        arguments: &[&str],
    ) -> Self {
        let name = format!("compat-{}-{name}", std::process::id());
        let dir = TempDir::new();
        let container = Self { name, dir };
        let mount = config.map(|config| {
            let path = container.dir.write("chrony.conf", config);
            format!("--volume={}:/etc/chrony/chrony.conf:ro", path.display())
        });
        let mut all = vec!["run", "--detach", "--name", &container.name];
        all.extend(mount.as_deref());
        all.extend(options);
        all.push(image());
        all.extend(arguments);
        podman_at(at, &all).ok();
        container
    }

    pub(crate) fn exec(&self, arguments: &[&str]) -> Finished {
        podman(&[&["exec", &self.name], arguments].concat())
    }

    /// Runs chronyc until `is_right` likes what it prints.
    pub(crate) fn wait_for(&self, words: &[&str], what: &str, is_right: impl Fn(&str) -> bool) -> String {
        until(LIMIT, what, || {
            let done = self.exec(&[&["chronyc", "-n"], words].concat());
            if done.code() != Some(0) {
                assert!(self.running(), "ended:\n{}", self.log());
            }
            (done.code() == Some(0) && is_right(&done.stdout)).then_some(done.stdout)
        })
    }

    /// Waits until `chronyc tracking` answers, and returns it.
    pub(crate) fn tracking(&self) -> String {
        self.wait_for(&["tracking"], "an answer of chronyc tracking", |_| true)
    }

    pub(crate) fn synchronised(&self) -> String {
        self.wait_for(&["tracking"], "synchronisation", |text| {
            text.contains("Leap status     : Normal")
        })
    }

    fn inspect(&self, what: &str) -> String {
        let format = format!("--format={{{{{what}}}}}");
        podman(&["inspect", &format, &self.name]).ok().trim().to_owned()
    }

    pub(crate) fn running(&self) -> bool {
        self.inspect(".State.Running") == "true"
    }

    pub(crate) fn log(&self) -> String {
        let done = podman(&["logs", &self.name]);
        done.stdout + &done.stderr
    }

    /// Has the engine ask for the health, which a service manager would do from time to time.
    pub(crate) fn health(&self) -> String {
        // Its exit status is that of the probe.
        let _ = podman(&["healthcheck", "run", &self.name]);
        self.inspect(".State.Health.Status")
    }

    /// Process id of the daemon as this machine sees it.
    pub(crate) fn pid(&self) -> String {
        self.inspect(".State.Pid")
    }

    /// User id and effective capabilities of the daemon once it has found its place.
    pub(crate) fn rights(&self) -> (String, String) {
        self.tracking();
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("no {key} in\n{status}"))
                .split_whitespace()
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(value("CapEff:"), value("CapPrm:"));
        (value("Uid:"), value("CapEff:").trim_start_matches('0').to_owned())
    }

    /// Sends SIGTERM to the daemon and returns the time until it is gone.
    pub(crate) fn terminate(&self) -> Duration {
        let pid = self.pid();
        let start = Instant::now();
        finish(Command::new("kill").arg(&pid), LIMIT).ok();
        // A zombie that its parent has not fetched has ended, too.
        let gone =
            || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        until(Duration::from_secs(60), "the end after SIGTERM", || {
            gone().then_some(())
        });
        start.elapsed()
    }

    /// Waits for the end; returns the exit status and the log.
    pub(crate) fn ended(&self) -> (i32, String) {
        let code = podman(&["wait", &self.name]).ok().trim().parse().unwrap();
        (code, self.log())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log());
        }
        let _ = podman(&["rm", "--force", "--time=0", "--volumes", &self.name]);
    }
}

/// A named volume, removed when dropped. It has to outlive its containers.
pub(crate) struct Volume(pub(crate) String);

impl Volume {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("compat-{}-{name}", std::process::id());
        podman(&["volume", "create", &name]).ok();
        Self(name)
    }

    pub(crate) fn path(&self) -> PathBuf {
        podman(&["volume", "inspect", "--format={{.Mountpoint}}", &self.0])
            .ok()
            .trim()
            .into()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = podman(&["volume", "rm", "--force", &self.0]);
    }
}

/// A program of scripts/python-tools.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    let dir = cache().join("python");
    with_lock(&dir.with_extension("lock"), || {
        let mut command = Command::new(workspace().join("scripts/python-tools"));
        finish(command.arg(&dir), Duration::from_secs(600)).ok();
    });
    dir.join("bin").join(name)
}
