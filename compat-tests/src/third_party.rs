//! Clients of chrony that others have made, unpacked and not changed: of Debian 12, and one from PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::dir::TempDir;
use crate::process::finish;
use crate::programs::{cache, unpacked, with_lock, workspace};

/// What they are in; Python comes along, since the machine may have none or another one.
const PACKAGES: &[&str] = &[
    "collectd-core",
    "monitoring-plugins-contrib",
    "prometheus-node-exporter-collectors",
    "python3-prometheus-client",
    "python3-cffi-backend",
    "python3-pip",
    "python3.11-minimal",
];

/// Where the clients are.
#[derive(Clone, Debug)]
pub struct ThirdParty {
    bin: PathBuf,
    root: PathBuf,
    wheels: PathBuf,
}

impl ThirdParty {
    /// Fetches and unpacks them, once.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new() -> Self {
        let bin = unpacked("bookworm", "third-party", PACKAGES);
        let root = bin.with_file_name("root");
        let wheels = cache().join("third-party-wheels");
        let made = Self { bin, root, wheels };
        with_lock(&made.wheels.with_extension("lock"), || made.unpack_wheels());
        made
    }

    fn unpack_wheels(&self) {
        let complete = self.wheels.join("complete");
        if complete.exists() {
            return;
        }
        let _ = fs::remove_dir_all(&self.wheels);
        let mut pip = Command::new(self.python());
        self.environment(&mut pip);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]);
        pip.args(["--require-hashes", "--root-user-action", "ignore", "--target"]);
        pip.arg(&self.wheels).arg("-r");
        pip.arg(workspace().join("compat-tests/third-party/requirements.txt"));
        let done = finish(&mut pip, Duration::from_secs(300));
        assert!(
            done.status.success(),
            "could not get pychrony from PyPI:\n{}",
            done.stderr
        );
        fs::write(complete, "").expect("a file in a directory just made");
    }

    fn python(&self) -> PathBuf {
        self.bin.join("python3.11")
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("PYTHONHOME", self.root.join("usr"))
            .env("PYTHONPATH", &self.wheels)
            .env("PYTHONDONTWRITEBYTECODE", "1");
    }

    /// Adds a Python script to a command that runs programs: below the unpacked packages, or with its full path.
    pub fn script(&self, command: &mut Command, script: &str, arguments: &[&str]) {
        self.environment(command);
        command
            .arg(self.python())
            .arg(self.root.join(script))
            .args(arguments);
    }

    /// Adds collectd with its chrony plugin alone, which asks 127.0.0.1, and writes values below `dir`.
    pub fn collectd(&self, command: &mut Command, dir: &TempDir) {
        let (root, at) = (self.root.display(), dir.display());
        let conf = dir.write(
            "collectd.conf",
            format!(
                "FQDNLookup false\nHostname test\nInterval 1\nBaseDir \"{at}\"\nPIDFile \"{at}/pid\"\n\
                 PluginDir \"{root}/usr/lib/collectd\"\nTypesDB \"{root}/usr/share/collectd/types.db\"\n\
                 LoadPlugin logfile\n<Plugin logfile>\nFile STDOUT\n</Plugin>\n\
                 LoadPlugin csv\n<Plugin csv>\nDataDir \"{at}/values\"\nStoreRates false\n</Plugin>\n\
                 LoadPlugin chrony\n<Plugin chrony>\nHost \"127.0.0.1\"\n</Plugin>\n"
            ),
        );
        command
            .arg(self.bin.join("collectd"))
            .args(["-f", "-C"])
            .arg(conf);
    }
}

impl Default for ThirdParty {
    fn default() -> Self {
        Self::new()
    }
}
