//! Our packages: built once from the programs of the release profile, and daemons started as the units say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::programs::{cache, release, with_lock, workspace};
use crate::root::Root;
use crate::{Process, TempDir, finish};

/// For what takes seconds at most.
pub const LIMIT: Duration = Duration::from_secs(120);
/// For building and looking through a package.
pub const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// Packs the release programs with a script; returns the path that it prints.
fn pack(script: &str) -> PathBuf {
    let programs = release().chronyd;
    let out = cache().join("packages");
    let done = with_lock(&cache().join("packages.lock"), || {
        let mut command = Command::new(workspace().join("scripts").join(script));
        command
            .arg("--programs")
            .arg(programs.parent().unwrap())
            .arg(&out);
        finish(&mut command, BUILD_LIMIT)
    });
    let text = done.ok();
    let path = PathBuf::from(text.lines().last().expect("the package's path"));
    assert!(path.is_file(), "{text}");
    path
}

/// The `.deb`, packed once.
#[must_use]
pub fn deb() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| pack("package-deb"))
}

/// The `.rpm`, packed once.
#[must_use]
pub fn rpm() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| pack("package-rpm"))
}

/// A root directory with chrony, and our package in `/root/truechimer.deb`.
#[must_use]
pub fn root() -> Root {
    let root = Root::new();
    root.copy(deb(), "/root/truechimer.deb");
    root
}

/// Our package in the root directory.
pub const OURS: &str = "/root/truechimer.deb";
/// The distribution's chrony in the root directory.
pub const THEIRS: &str = "/root/chrony.deb";

/// Output of a program of this machine that must succeed.
pub fn output(program: &str, arguments: &[&str]) -> String {
    finish(Command::new(program).args(arguments), LIMIT).ok()
}

/// Values of a key in a unit, in order.
#[must_use]
pub fn unit_values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(k, _)| *k == key).map(|(_, value)| value).collect()
}

/// Names of capabilities in a unit as setpriv wants them, each after a sign.
fn capabilities(sign: char, names: &str) -> String {
    let names = names
        .split(' ')
        .map(|name| format!("{sign}{}", name.trim_start_matches("CAP_").to_lowercase()));
    names.collect::<Vec<_>>().join(",")
}

/// The daemon, started as systemd starts the unit: directories, environment, command line, rights.
#[derive(Debug)]
pub struct Daemon {
    _process: Process,
    _dir: TempDir,
}

impl Daemon {
    /// Starts what a unit says, and waits until it is ready.
    #[must_use]
    pub fn start(root: &Root, name: &str) -> Self {
        let unit = root.read(&format!("/lib/systemd/system/{name}"));
        let one = |key: &str| {
            *unit_values(&unit, key)
                .first()
                .unwrap_or_else(|| panic!("no {key} in the unit"))
        };
        assert_eq!(one("Type"), "notify");
        let user = one("User");
        for (base, key) in [("/run", "Runtime"), ("/var/lib", "State"), ("/var/log", "Logs")] {
            let (name, mode) = (
                one(&format!("{key}Directory")),
                one(&format!("{key}DirectoryMode")),
            );
            root.run(&format!("install -d -o {user} -g {user} -m {mode} {base}/{name}"));
        }
        let options = root.run(&format!(
            ". {}; echo $DAEMON_OPTS",
            one("EnvironmentFile").trim_start_matches('-')
        ));
        let command = one("ExecStart").replace("$DAEMON_OPTS", options.trim());

        // "!": by root, who changes to the user by himself.
        let by_root = command.starts_with('!');
        let bounding: Vec<String> = unit_values(&unit, "CapabilityBoundingSet")
            .iter()
            .map(|value| match value.strip_prefix('~') {
                Some(dropped) => capabilities('-', dropped),
                None => format!("-all,{}", capabilities('+', value)),
            })
            .collect();
        let mut words: Vec<String> = ["setpriv", "--no-new-privs"].map(String::from).to_vec();
        words.push(format!("--bounding-set={}", bounding.join(",")));
        if !by_root {
            let ambient = capabilities('+', one("AmbientCapabilities"));
            words.extend([
                format!("--inh-caps={ambient}"),
                format!("--ambient-caps={ambient}"),
            ]);
            words.extend([
                format!("--reuid={user}"),
                format!("--regid={user}"),
                "--clear-groups".to_owned(),
            ]);
        }
        words.extend(["env", "NOTIFY_SOCKET=/run/notify"].map(String::from));
        words.extend(command.trim_start_matches('!').split(' ').map(String::from));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();

        let notify = root.path("/run/notify");
        let _ = fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).unwrap();
        fs::set_permissions(&notify, fs::Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let dir = TempDir::new();
        let process = Process::start(&mut root.command(&words), &dir.join("log"));
        let mut message = [0; 64];
        let size = socket
            .recv(&mut message)
            .unwrap_or_else(|e| panic!("not ready ({e}):\n{}", process.log()));
        assert_eq!(&message[..size], b"READY=1", "{}", process.log());
        // The main process of Type=notify is the one that was started, and its id is in the file that the unit names.
        let pid = root.read(one("PIDFile"));
        let name = root.run(&format!("cat /proc/{}/comm", pid.trim()));
        assert_eq!(name.trim(), "chronyd");
        Self {
            _process: process,
            _dir: dir,
        }
    }
}
