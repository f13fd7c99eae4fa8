//! Which programs are run, and where they come from.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::process::finish;

/// A daemon and its client.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The daemon.
    pub chronyd: PathBuf,
    /// The client.
    pub chronyc: PathBuf,
    /// Whether the client switches away from root unless told otherwise (`-u root`).
    switches_user: bool,
}

impl Programs {
    /// The client's arguments that make it stay root.
    #[must_use]
    pub fn stay_root(&self) -> &'static [&'static str] {
        if self.switches_user { &["-u", "root"] } else { &[] }
    }
}

/// The programs under test, chosen by the variable `SUBJECT`: `ours` (default) or `reference`.
#[must_use]
pub fn subject() -> Programs {
    match env::var("SUBJECT").as_deref() {
        Err(_) | Ok("ours") => ours(),
        Ok("reference") => reference(),
        Ok(other) => panic!("SUBJECT is '{other}'; it must be 'ours' or 'reference'"),
    }
}

/// Whether chrony itself is under test.
#[must_use]
pub fn subject_is_reference() -> bool {
    env::var("SUBJECT").is_ok_and(|s| s == "reference")
}

/// The programs of this workspace: from the directory in the variable `OURS`, else built with the profile of the
/// running test.
#[must_use]
pub fn ours() -> Programs {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    own(BUILT.get_or_init(|| env::var_os("OURS").map_or_else(|| build(&profile_dir()), PathBuf::from)))
}

/// The programs of this workspace as people get them: from the directory in the variable `OURS_RELEASE`, else built
/// with the profile `release`.
#[must_use]
pub fn release() -> Programs {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let release = || build(&profile_dir().with_file_name("release"));
    own(BUILT.get_or_init(|| env::var_os("OURS_RELEASE").map_or_else(release, PathBuf::from)))
}

/// Programs of an earlier state of this workspace, to measure the difference: from the directory in the variable
/// `OURS_EARLIER`, if it is set.
#[must_use]
pub fn earlier() -> Option<Programs> {
    env::var_os("OURS_EARLIER").map(|dir| own(Path::new(&dir)))
}

fn own(dir: &Path) -> Programs {
    let programs = Programs {
        chronyd: dir.join("chronyd"),
        chronyc: dir.join("chronyc"),
        switches_user: true,
    };
    for program in [&programs.chronyd, &programs.chronyc] {
        assert!(program.is_file(), "{} is missing", program.display());
    }
    programs
}

/// The directory of this profile: `target/debug` or its like. Tests run in `deps` below it.
fn profile_dir() -> PathBuf {
    let test = env::current_exe().expect("path of the running test");
    let deps = test.parent().expect("a file is in a directory");
    deps.parent()
        .unwrap_or_else(|| panic!("{} is not below a target directory", test.display()))
        .to_owned()
}

/// Builds both programs into the directory of a profile; a build that is fresh takes no time.
fn build(dir: &Path) -> PathBuf {
    let profile = match dir.file_name().and_then(|n| n.to_str()) {
        // The profile of tests shares its dependencies with the running test.
        None | Some("debug") => "test",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--profile", profile]);
    command.args(["-p", "truechimer", "-p", "truechimer-chronyc", "--bins"]);
    command.current_dir(workspace());
    if let Some(target) = dir.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    let done = finish(&mut command, Duration::from_secs(900));
    assert!(
        done.status.success(),
        "could not build the programs:\n{}",
        done.stderr
    );
    dir.to_owned()
}

/// The root directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let mut dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    dir.pop();
    dir
}

/// A directory below `target` where things are kept from one run to the next.
#[must_use]
pub fn cache() -> PathBuf {
    let dir = profile_dir().with_file_name("compat-cache");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("could not make {}: {e}", dir.display()));
    dir
}

/// chrony 4.9 of Debian testing.
#[must_use]
pub fn reference() -> Programs {
    let bin = unpacked("testing", "testing", &["chrony"]);
    Programs {
        chronyd: bin.join("chronyd"),
        chronyc: bin.join("chronyc"),
        switches_user: true,
    }
}

/// chrony 4.3 of Debian 12.
#[must_use]
pub fn old() -> Programs {
    let bin = debian12();
    Programs {
        chronyd: bin.join("chronyd"),
        chronyc: bin.join("chronyc"),
        switches_user: false,
    }
}

/// The line by which Debian's `chrony-wait.service` waits for a clock that is right: program and arguments.
#[must_use]
pub fn debian_wait_line() -> Vec<String> {
    let unit = unpacked("testing", "testing", &["chrony"])
        .with_file_name("root")
        .join("usr/lib/systemd/system/chrony-wait.service");
    let text = fs::read_to_string(&unit).unwrap_or_else(|e| panic!("could not read {}: {e}", unit.display()));
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
    let line = line.unwrap_or_else(|| panic!("no ExecStart in {}", unit.display()));
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Directory with ntpsec's `ntpdate`, `ntpdig` and `ntpd` and with `adjtimex`, of Debian 12.
#[must_use]
pub fn debian12() -> PathBuf {
    unpacked(
        "bookworm",
        "bookworm",
        &["chrony", "ntpsec-ntpdate", "ntpsec-ntpdig", "ntpsec", "adjtimex"],
    )
}

/// Unpacks packages of a Debian suite once, below `name` in the cache; returns the directory of their programs.
pub(crate) fn unpacked(suite: &str, name: &str, packages: &[&str]) -> PathBuf {
    let dir = cache().join(name);
    // Tests run at the same time, in threads and in processes: the first one unpacks, the others wait.
    with_lock(&dir.with_extension("lock"), || {
        let mut command = Command::new(workspace().join("scripts/unpack-debian"));
        command.arg(suite).arg(&dir).args(packages);
        let done = finish(&mut command, Duration::from_secs(600));
        assert!(
            done.status.success(),
            "could not get {} of Debian {suite}:\n{}{}",
            packages.join(", "),
            done.stdout,
            done.stderr
        );
    });
    dir.join("bin")
}

/// Runs a function while no other test, in whatever process, runs one under the same lock file.
pub fn with_lock<T>(path: &Path, run: impl FnOnce() -> T) -> T {
    let file = File::create(path).unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
    file.lock()
        .unwrap_or_else(|e| panic!("could not lock {}: {e}", path.display()));
    run()
}
