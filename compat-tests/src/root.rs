//! A system of its own to install packages in: this machine's distribution with its chrony, in a root directory that is
//! thrown away. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::dir::TempDir;
use crate::process::{Finished, Process, finish};
use crate::programs::{cache, with_lock, workspace};
use crate::wait::until;

/// Installing takes seconds; the machine may be slow.
const LIMIT: Duration = Duration::from_secs(600);

/// A root directory with namespaces of its own: files, processes and network. All is gone when it is dropped.
#[derive(Debug)]
pub struct Root {
    // Before the directory, which holds its log.
    holder: Process,
    /// First process of the namespaces.
    pid: String,
    dir: TempDir,
}

impl Drop for Root {
    /// Neither `unshare` nor the first process of a namespace ends by SIGTERM. All others there end with it.
    fn drop(&mut self) {
        self.holder.signal(Signal::SIGKILL);
    }
}

/// The root directory that all start from; made once, kept from one run to the next.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let dir = cache().join("package-root");
        with_lock(&dir.with_extension("lock"), || {
            let mut command = Command::new(workspace().join("scripts/package-root"));
            finish(command.arg(&dir), Duration::from_secs(1200)).ok();
        });
        dir.join("root")
    })
}

impl Root {
    /// A root directory where the distribution's chrony is installed and configured.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new();
        // The changes are on a file system in memory: an overlay cannot be put on another one, which the machine's own
        // root may be.
        let script = "
            set -e
            mount -t tmpfs -o size=2g tmpfs \"$1\"
            mkdir \"$1/upper\" \"$1/work\" \"$1/root\"
            mount -t overlay -o \"lowerdir=$0,upperdir=$1/upper,workdir=$1/work\" overlay \"$1/root\"
            mount --rbind /dev \"$1/root/dev\"
            mount -t proc proc \"$1/root/proc\"
            mount -t tmpfs -o mode=755 tmpfs \"$1/root/run\"
            chroot \"$1/root\" ip link set lo up
            touch \"$1/root/run/ready\"
            exec sleep infinity";
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--net",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            script,
        ]);
        let place = dir.subdir("place", 0o755);
        command.arg(base()).arg(&place);
        let log = dir.join("log");
        let mut holder = Process::start(&mut command, &log);
        let parent = holder.pid();
        let pid = until(Duration::from_secs(300), "a root directory for packages", || {
            assert!(holder.ended().is_none(), "no root directory:\n{}", holder.log());
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
            let child = children.split_whitespace().next()?;
            let ready = format!("/proc/{child}/root{}/root/run/ready", place.display());
            Path::new(&ready).exists().then(|| child.to_owned())
        });
        Self { holder, pid, dir }
    }

    /// A path inside, as this process reaches it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        let place = self.dir.join("place/root");
        format!("/proc/{}/root{}{inside}", self.pid, place.display()).into()
    }

    /// The file at a path inside.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn read(&self, inside: &str) -> String {
        let path = self.path(inside);
        fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("could not read {inside} in the root directory: {e}"))
    }

    /// Writes a file inside; its owner and mode stay if it is there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::write(&path, text)
            .unwrap_or_else(|e| panic!("could not write {inside} in the root directory: {e}"));
    }

    /// Copies a file of this machine into it.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy(&self, from: &Path, inside: &str) {
        let to = self.path(inside);
        fs::copy(from, &to).unwrap_or_else(|e| panic!("could not copy {}: {e}", from.display()));
    }

    /// A command that runs inside, with the arguments as they are.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--pid", "--net", "--"]);
        command
            .arg("chroot")
            .arg(self.dir.join("place/root"))
            .args(arguments);
        // Of the environment only what programs need.
        command.env_clear().env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a shell script inside.
    #[must_use]
    pub fn shell(&self, script: &str) -> Finished {
        finish(&mut self.command(&["sh", "-c", script]), LIMIT)
    }

    /// Runs a shell script inside that must succeed; returns what it printed.
    pub fn run(&self, script: &str) -> String {
        let done = self.shell(script);
        assert!(
            done.status.success(),
            "{}: {script}\nstdout:\n{}\nstderr:\n{}",
            done.status,
            done.stdout,
            done.stderr
        );
        done.stdout
    }

    /// Installs a package file with what apt does for it, keeping changed configuration files.
    pub fn install(&self, path: &str) -> String {
        self.run(&format!(
            "apt-get install -qq -y -oDpkg::Options::=--force-confold -oDpkg::Use-Pty=0 {path} 2>&1"
        ))
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}
