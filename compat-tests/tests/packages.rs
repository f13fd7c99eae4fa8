//! The packages: the `.deb` is installed in place of the distribution's chrony, in a root directory of its own; the `.rpm`
//! is looked at. What is packed are the programs of the release profile; the build from the source package, offline, is
//! in `make soak`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use compat_tests::programs::{cache, reference, release, with_lock, workspace};
use compat_tests::root::Root;
use compat_tests::{Finished, Process, TempDir, finish, until};

const LIMIT: Duration = Duration::from_secs(120);
const BUILD_LIMIT: Duration = Duration::from_secs(600);

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
fn deb() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| pack("package-deb"))
}

/// The `.rpm`, packed once.
fn rpm() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| pack("package-rpm"))
}

/// A root directory with chrony, and our package in `/root/truechimer.deb`.
fn root() -> Root {
    let root = Root::new();
    root.copy(deb(), "/root/truechimer.deb");
    root
}

const OURS: &str = "/root/truechimer.deb";
const THEIRS: &str = "/root/chrony.deb";

/// Output of a program of this machine that must succeed.
fn output(program: &str, arguments: &[&str]) -> String {
    finish(Command::new(program).args(arguments), LIMIT).ok()
}

/// Values of a key in a unit, in order.
fn unit_values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
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
struct Daemon {
    _process: Process,
    _dir: TempDir,
}

impl Daemon {
    fn start(root: &Root, name: &str) -> Self {
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

/// Addresses of the daemon's sources.
fn sources(root: &Root) -> BTreeSet<String> {
    let text = root.run("chronyc -c -n sources");
    text.lines()
        .filter_map(|line| line.split(',').nth(2))
        .map(String::from)
        .collect()
}

/// The hooks of dhclient, NetworkManager, ifupdown, ppp and networkd-dispatcher.
fn check_hooks(root: &Root) {
    let dhclient = |reason, servers| {
        let call = ". /etc/dhcp/dhclient-exit-hooks.d/chrony";
        root.run(&format!(
            "set -eu; reason={reason} interface=eth1 new_ntp_servers='{servers}'; {call}"
        ));
    };
    dhclient("BOUND", "192.0.2.8 192.0.2.9");
    let found = sources(root);
    assert!(
        found.contains("192.0.2.8") && found.contains("192.0.2.9"),
        "{found:?}"
    );
    dhclient("RENEW", "192.0.2.9");
    let found = sources(root);
    assert!(
        !found.contains("192.0.2.8") && found.contains("192.0.2.9"),
        "{found:?}"
    );
    dhclient("EXPIRE", "");
    assert!(!sources(root).contains("192.0.2.9"));

    let manager = |action, servers| {
        let script = "/usr/lib/NetworkManager/dispatcher.d/20-chrony-dhcp";
        root.run(&format!("DHCP4_NTP_SERVERS='{servers}' {script} eth0 {action}"));
    };
    // A server on the network may send anything.
    manager("up", "192.0.2.7 192.0.2.6;id $(id) -x");
    let found = sources(root);
    assert!(
        found.contains("192.0.2.7") && !found.contains("192.0.2.6"),
        "{found:?}"
    );
    assert_eq!(
        root.read("/run/chrony-dhcp/eth0.sources"),
        "server 192.0.2.7 iburst\n"
    );
    manager("connectivity-change", "");
    assert!(sources(root).contains("192.0.2.7"));
    manager("down", "");
    assert!(!sources(root).contains("192.0.2.7"));

    // The source of `CHANGED` goes online and offline with its route, by every kind of hook.
    root.run(
        "ip link add eth0 type veth peer name far && ip link set far up && ip addr add 192.0.2.1/24 dev eth0 \
         && ip link set eth0 up",
    );
    let wait_online = |wanted: &str, hook: &str| {
        until(LIMIT, &format!("{wanted} source online after {hook}"), || {
            let activity = root.run("chronyc -c activity");
            (activity.split(',').next() == Some(wanted)).then_some(())
        });
    };
    let hooks = [
        (
            "/etc/network/if-up.d/chrony",
            "/etc/network/if-post-down.d/chrony",
        ),
        (
            "/etc/ppp/ip-up.d/chrony ppp0 /dev/tty 0",
            "/etc/ppp/ip-down.d/chrony ppp0 /dev/tty 0",
        ),
        (
            "/usr/lib/NetworkManager/dispatcher.d/20-chrony-onoffline eth0 up",
            "/usr/lib/NetworkManager/dispatcher.d/20-chrony-onoffline eth0 down",
        ),
        (
            "/usr/lib/networkd-dispatcher/routable.d/chrony-onoffline",
            "/usr/lib/networkd-dispatcher/off.d/chrony-onoffline",
        ),
    ];
    for (up, down) in hooks {
        root.run(&format!("ip link set eth0 up && {up}"));
        wait_online("1", up);
        root.run(&format!("ip link set eth0 down && {down}"));
        wait_online("0", down);
    }
}

/// What an administrator has changed, by path.
const CHANGED: [(&str, &str); 4] = [
    // -x: the clock of this machine stays as it is.
    ("/etc/default/chrony", "DAEMON_OPTS=\"-F 1 -x\"\n"),
    (
        "/etc/chrony/chrony.keys",
        "7 SHA1 HEX:0102030405060708090a0b0c0d0e0f1011121314\n",
    ),
    ("/etc/chrony/sources.d/mine.sources", "server 192.0.2.33 key 7\n"),
    (
        "/var/lib/chrony/chrony.drift",
        "            2.500000             0.250000\n",
    ),
];

/// Changes the configuration as an administrator does; returns all files by path.
fn configure(root: &Root) -> BTreeMap<&'static str, String> {
    let mut files = BTreeMap::new();
    for (path, text) in CHANGED {
        root.write(path, text);
        files.insert(path, text.to_owned());
    }
    root.run("chown _chrony:_chrony /var/lib/chrony/chrony.drift");
    let conf = root.read("/etc/chrony/chrony.conf") + "allow 10.0.0.0/8\n";
    root.write("/etc/chrony/chrony.conf", &conf);
    files.insert("/etc/chrony/chrony.conf", conf);
    files
}

fn check_files(root: &Root, files: &BTreeMap<&str, String>) {
    for (path, text) in files {
        assert_eq!(&root.read(path), text, "{path}");
    }
    let owners = root
        .run("stat -c '%U:%G %a %n' /etc/chrony/chrony.keys /var/lib/chrony /var/lib/chrony/chrony.drift");
    assert_eq!(
        owners,
        "root:_chrony 640 /etc/chrony/chrony.keys\n_chrony:_chrony 750 /var/lib/chrony\n\
         _chrony:_chrony 644 /var/lib/chrony/chrony.drift\n"
    );
}

/// dpkg's word for a package.
fn status(root: &Root, package: &str) -> String {
    let done = root.shell(&format!("dpkg-query -W -f '${{db:Status-Status}}' {package}"));
    if done.status.success() {
        done.stdout
    } else {
        "not-installed".to_owned()
    }
}

/// The whole way: in place of chrony, its remains purged, and back.
#[test]
fn takes_the_place_of_chrony_and_gives_it_back() {
    let root = root();
    let files = configure(&root);
    // Left alone by the administrator: becomes ours.
    let theirs = root.read("/etc/logrotate.d/chrony");

    root.install(OURS);
    assert_eq!(
        (status(&root, "truechimer"), status(&root, "chrony")),
        ("installed".into(), "config-files".into())
    );
    check_files(&root, &files);
    assert_ne!(root.read("/etc/logrotate.d/chrony"), theirs);
    for link in ["multi-user.target.wants/chrony.service", "chronyd.service"] {
        let target = fs::read_link(root.path(&format!("/etc/systemd/system/{link}"))).expect(link);
        assert!(target.ends_with("chrony.service"), "{}", target.display());
    }

    // Once more, as at an upgrade.
    root.install(&format!("--reinstall {OURS}"));
    check_files(&root, &files);

    let daemon = Daemon::start(&root, "chrony.service");
    assert!(root.run("chronyc tracking").contains("Leap status"));
    assert!(root.run("chronyc authdata -a").contains("192.0.2.33"));
    check_hooks(&root);

    // Deletes nothing of ours, under the running daemon.
    root.run("dpkg --purge chrony");
    assert_eq!(status(&root, "chrony"), "not-installed");
    check_files(&root, &files);
    let conffiles = root.run("dpkg-query -W -f '${Conffiles}' truechimer");
    let conffiles: Vec<&str> = conffiles
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(conffiles.len() >= 10, "{conffiles:?}");
    for path in conffiles {
        assert!(root.path(path).exists(), "{path} is gone");
    }
    assert!(
        root.path("/etc/systemd/system/multi-user.target.wants/chrony.service")
            .is_symlink()
    );
    assert!(root.run("chronyc tracking").contains("Leap status"));
    drop(daemon);

    // The daemon has written its drift file: it knew the frequency and learnt nothing.
    let drift = root.read("/var/lib/chrony/chrony.drift");
    let mut files = files;
    files.insert("/var/lib/chrony/chrony.drift", drift);
    root.install(THEIRS);
    assert_eq!(
        (status(&root, "truechimer"), status(&root, "chrony")),
        ("config-files".into(), "installed".into())
    );
    check_files(&root, &files);
    root.run("dpkg --purge truechimer");
    check_files(&root, &files);
    // chrony reads all that.
    let version = root.run("chronyd -v; chronyd -p > /dev/null");
    assert!(!version.contains("truechimer"), "{version}");
}

/// Every file below the directories that packages use, with owner, mode and target. Not: what records every installation.
fn files(root: &Root) -> BTreeSet<String> {
    let text = root.run("find /etc /usr /var /opt /srv /run -xdev -printf '%y %m %u %g %p %l\\n'");
    let records = [
        " /var/cache/",
        " /var/log/",
        " /var/lib/dpkg",
        " /var/lib/apt",
        " /run/ready",
        " /var/lib/ucf/",
    ];
    text.lines()
        .filter(|line| !records.iter().any(|path| line.contains(path)))
        // Directories and registries that keep a copy of themselves from before the last change.
        .filter(|line| {
            !line
                .split(' ')
                .nth(4)
                .is_some_and(|path| path.starts_with("/etc/") && path.ends_with('-'))
        })
        .map(String::from)
        .collect()
}

#[test]
fn purge_leaves_what_chronys_own_does() {
    let theirs = Root::new();
    theirs.run("dpkg --purge chrony");
    let expected = files(&theirs);

    // Once with chrony's remains, once without: the same in the end.
    let ours = root();
    configure(&ours);
    ours.install(OURS);
    ours.run("dpkg --purge truechimer");
    // It was chrony's before.
    assert!(ours.path("/etc/chrony/chrony.conf").exists());
    ours.run("dpkg --purge chrony");
    assert_eq!(
        difference(&files(&ours), &expected),
        (vec![], vec![]),
        "after both were purged"
    );

    ours.install(OURS);
    let daemon = ours
        .run("cat /etc/chrony/chrony.conf; chronyd --check-config; [ $? = 2 ] || [ $? = 0 ]; id -un _chrony");
    assert!(daemon.ends_with("_chrony\n"), "{daemon}");
    // Tests of the package itself, as autopkgtest runs them.
    ours.copy(&workspace().join("packaging/debian/tests/daemon"), "/root/daemon");
    ours.run("sh /root/daemon 2>&1 && rm /root/daemon");
    ours.run("dpkg --remove truechimer");
    assert!(ours.path("/etc/chrony/chrony.conf").exists() && ours.path("/var/lib/chrony").exists());
    assert!(!ours.path("/usr/sbin/chronyd").exists());
    ours.run("dpkg --purge truechimer");
    assert_eq!(
        difference(&files(&ours), &expected),
        (vec![], vec![]),
        "after ours was purged"
    );

    // And chrony can be installed anew, with a configuration.
    ours.install(THEIRS);
    assert!(ours.path("/etc/chrony/chrony.conf").exists());
}

/// What only the left has, and only the right.
fn difference<'a>(
    left: &'a BTreeSet<String>,
    right: &'a BTreeSet<String>,
) -> (Vec<&'a String>, Vec<&'a String>) {
    (left.difference(right).collect(), right.difference(left).collect())
}

/// Paths in a `.deb` with type, mode and owner.
fn contents(deb: &str) -> BTreeMap<String, String> {
    let list = output("dpkg-deb", &["--contents", deb]);
    list.lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let mode = format!(
                "{} {}",
                words.next().unwrap_or_default(),
                words.next().unwrap_or_default()
            );
            let path = words
                .nth(3)
                .expect("the path")
                .trim_start_matches('.')
                .trim_end_matches('/');
            // Units and libraries are below /usr in newer distributions; the directories are the same.
            let path = path
                .strip_prefix("/usr/lib/systemd/system")
                .map_or(path.to_owned(), |rest| format!("/lib/systemd/system{rest}"));
            (path, mode)
        })
        .collect()
}

#[test]
fn has_the_files_of_the_distributions_package() {
    let deb = deb().to_str().unwrap();
    let ours = contents(deb);
    let root = Root::new();
    let dir = TempDir::new();
    fs::copy(root.path(THEIRS), dir.join("chrony.deb")).unwrap();
    let theirs = contents(dir.join("chrony.deb").to_str().unwrap());
    let missing: Vec<_> = theirs
        .iter()
        // Documents have places of their own; chronyd makes the state's directory fit for it.
        .filter(|(path, _)| !path.starts_with("/usr/share/doc") && !path.starts_with("/usr/share/lintian"))
        .filter(|(path, mode)| *path != "/var/lib/chrony" && ours.get(*path) != Some(*mode))
        .collect();
    assert!(
        missing.is_empty(),
        "missing or with another mode: {missing:?}\nin {ours:?}"
    );

    for field in ["Provides", "Conflicts", "Replaces"] {
        let value = output("dpkg-deb", &["--field", deb, field]);
        assert!(
            value.contains("chrony") && value.contains("time-daemon"),
            "{field}: {value}"
        );
    }
    let lintian = finish(
        Command::new("lintian").args(["--profile", "debian", "--allow-root", "--fail-on", "error", deb]),
        BUILD_LIMIT,
    );
    assert!(lintian.status.success(), "{}{}", lintian.stdout, lintian.stderr);

    // All crates that are linked in are in debian/copyright.
    let unpacked = dir.join("ours");
    output("dpkg-deb", &["--extract", deb, unpacked.to_str().unwrap()]);
    let copyright = fs::read_to_string(unpacked.join("usr/share/doc/truechimer/copyright")).unwrap();
    let tree = finish(
        Command::new("cargo")
            .args([
                "tree",
                "--locked",
                "--workspace",
                "--prefix",
                "none",
                "--edges",
                "normal",
                "--format",
                "{p}",
            ])
            .current_dir(workspace()),
        BUILD_LIMIT,
    );
    let tree = tree.ok();
    let crates: BTreeSet<&str> = tree
        .lines()
        .filter(|line| !line.is_empty() && !line.contains("(/"))
        .collect();
    assert!(crates.len() > 20, "{tree}");
    for line in crates {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let entry = format!("Files: vendor/{name}-{}/*\n", version.trim_start_matches('v'));
        assert!(copyright.contains(&entry), "{entry} is not in debian/copyright");
    }
}

/// The figure at the end of `systemd-analyze security`: the smaller the safer.
fn exposure(done: &Finished) -> f64 {
    let line = done.stdout.lines().last().unwrap_or_default();
    let number = line.split_whitespace().find_map(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no exposure level in\n{}{}", done.stdout, done.stderr))
}

#[test]
fn units_are_no_worse_than_chronys() {
    let root = root();
    let dir = "/lib/systemd/system";
    let names = [
        "chrony.service",
        "chrony-wait.service",
        "chronyd-restricted.service",
    ];
    // Theirs: of this distribution, and of the newest package, of which the restricted unit is.
    let newest = reference()
        .chronyd
        .with_file_name("")
        .join("../root/usr/lib/systemd/system");
    let security = |path: &str| {
        let command = format!("systemd-analyze security --no-pager --offline=true {path}");
        exposure(&root.shell(&command))
    };
    let mut theirs = BTreeMap::new();
    for name in names {
        let path = format!("{dir}/{name}");
        let installed = root.path(&path).exists().then(|| security(&path));
        root.run("mkdir -p /root/newest");
        root.copy(&newest.join(name), &format!("/root/newest/{name}"));
        let newest = security(&format!("/root/newest/{name}"));
        theirs.insert(name, installed.map_or(newest, |level| level.min(newest)));
    }
    root.install(OURS);
    for name in names {
        let level = security(&format!("{dir}/{name}"));
        assert!(
            level <= theirs[name],
            "{name}: {level}, chrony's {}",
            theirs[name]
        );
    }
    let units = [
        names.as_slice(),
        &[
            "chrony-dnssrv@example.org.service",
            "chrony-dnssrv@example.org.timer",
        ],
    ]
    .concat();
    let units: Vec<String> = units
        .iter()
        .map(|name| format!("{dir}/{}", name.replace("@example.org", "@")))
        .collect();
    // Manual pages are not unpacked in a small root, and man is not there.
    let verified = root.shell(&format!(
        "systemd-analyze verify --man=no {} 2>&1",
        units.join(" ")
    ));
    assert!(
        verified.status.success() && verified.stdout.is_empty(),
        "{verified:?}"
    );
    root.run("apparmor_parser --skip-kernel-load --skip-cache /etc/apparmor.d/usr.sbin.chronyd");

    // Without root from the start. -x: the clock of this machine stays as it is.
    root.write("/etc/default/chrony", "DAEMON_OPTS=\"-F 1 -x\"\n");
    let _daemon = Daemon::start(&root, "chronyd-restricted.service");
    assert!(root.run("chronyc tracking").contains("Leap status"));
    let owner = root.run("stat -c %U /proc/$(cat /run/chrony/chronyd.pid)");
    assert_eq!(owner, "_chrony\n");
}

#[test]
fn rpm_has_the_files_and_scriptlets_of_fedoras_chrony() {
    let rpm = rpm().to_str().unwrap();
    let list = output("rpm", &["--query", "--package", "--list", "--verbose", rpm]);
    let mut modes = BTreeMap::new();
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = words.iter().find(|word| word.starts_with('/')).expect("a path");
        modes.insert(*path, format!("{} {} {}", words[0], words[2], words[3]));
    }
    let expected = [
        ("/usr/sbin/chronyd", "-rwxr-xr-x root root"),
        ("/usr/bin/chronyc", "-rwxr-xr-x root root"),
        ("/etc/chrony.conf", "-rw-r--r-- root root"),
        ("/etc/chrony.keys", "-rw-r----- root chrony"),
        ("/etc/sysconfig/chronyd", "-rw-r--r-- root root"),
        ("/etc/logrotate.d/chrony", "-rw-r--r-- root root"),
        ("/usr/lib/systemd/system/chronyd.service", "-rw-r--r-- root root"),
        (
            "/usr/lib/systemd/system/chronyd-restricted.service",
            "-rw-r--r-- root root",
        ),
        (
            "/usr/lib/systemd/system/chrony-wait.service",
            "-rw-r--r-- root root",
        ),
        (
            "/usr/lib/systemd/ntp-units.d/50-chronyd.list",
            "-rw-r--r-- root root",
        ),
        ("/usr/lib/sysusers.d/chrony.conf", "-rw-r--r-- root root"),
        ("/usr/lib/tmpfiles.d/chrony.conf", "-rw-r--r-- root root"),
        (
            "/usr/lib/NetworkManager/dispatcher.d/20-chrony-dhcp",
            "-rwxr-xr-x root root",
        ),
        (
            "/usr/lib/NetworkManager/dispatcher.d/20-chrony-onoffline",
            "-rwxr-xr-x root root",
        ),
        ("/usr/share/man/man8/chronyd.8", "-rw-r--r-- root root"),
        ("/var/lib/chrony", "drwxr-x--- chrony chrony"),
        ("/var/lib/chrony/drift", "-rw-r--r-- chrony chrony"),
        ("/var/log/chrony", "drwxr-x--- chrony chrony"),
    ];
    for (path, mode) in expected {
        // Some rpmbuilds compress manual pages.
        let found = modes
            .get(path)
            .or_else(|| modes.get(format!("{path}.gz").as_str()));
        assert_eq!(found.map(String::as_str), Some(mode), "{path}");
    }

    // 1: a configuration file; 16: not replaced; 64: not shipped, only owned.
    let flags = output(
        "rpm",
        &[
            "--query",
            "--package",
            "--queryformat",
            "[%{FILEFLAGS} %{FILENAMES}\\n]",
            rpm,
        ],
    );
    for (path, flag) in [
        ("/etc/chrony.conf", "17"),
        ("/etc/sysconfig/chronyd", "17"),
        ("/etc/logrotate.d/chrony", "17"),
        ("/etc/chrony.keys", "65"),
        ("/var/lib/chrony/drift", "64"),
    ] {
        assert!(flags.contains(&format!("{flag} {path}\n")), "{path}\n{flags}");
    }

    // The unit and the configuration have Fedora's names, and nothing of Debian's.
    let dir = TempDir::new();
    let unpack = format!(
        "cd {} && rpm2cpio {rpm} | cpio --extract --make-directories --quiet",
        dir.display()
    );
    output("sh", &["-c", &unpack]);
    for path in [
        "usr/lib/systemd/system",
        "etc",
        "usr/lib/sysusers.d",
        "usr/lib/tmpfiles.d",
    ] {
        let found = finish(
            Command::new("grep")
                .args([
                    "-rE",
                    "_chrony|chrony\\.service|/etc/default|DAEMON_OPTS|/etc/chrony/",
                ])
                .arg(dir.join(path)),
            LIMIT,
        );
        assert_eq!(found.code(), Some(1), "{}", found.stdout);
    }
    let unit = fs::read_to_string(dir.join("usr/lib/systemd/system/chronyd.service")).unwrap();
    assert_eq!(unit_values(&unit, "EnvironmentFile"), ["-/etc/sysconfig/chronyd"]);
    assert_eq!(
        unit_values(&unit, "ExecStart"),
        ["!/usr/sbin/chronyd -n $OPTIONS"]
    );
    assert_eq!(unit_values(&unit, "User"), ["chrony"]);
    let conf = dir.join("etc/chrony.conf");
    let mut command = Command::new(release().chronyd);
    let checked = finish(command.args(["--check-config", "-f"]).arg(conf), LIMIT);
    assert!(matches!(checked.code(), Some(0 | 2)), "{checked:?}");

    // The scriptlets, as rpm runs them: in a root without systemd's manager, at installation, upgrade and removal.
    let root = Root::new();
    let scripts = [
        ("PREIN", ""),
        ("POSTIN", "1"),
        ("POSTIN", "2"),
        ("PREUN", "0"),
        ("POSTUN", "0"),
        ("POSTUN", "1"),
    ];
    root.run("dpkg --purge chrony");
    let sysusers = fs::read_to_string(dir.join("usr/lib/sysusers.d/chrony.conf")).unwrap();
    assert!(sysusers.contains("u chrony - "), "{sysusers}");
    root.write(
        "/usr/lib/tmpfiles.d/chrony.conf",
        &fs::read_to_string(dir.join("usr/lib/tmpfiles.d/chrony.conf")).unwrap(),
    );
    for (name, argument) in scripts {
        let script = output(
            "rpm",
            &[
                "--query",
                "--package",
                "--queryformat",
                &format!("%{{{name}}}"),
                rpm,
            ],
        );
        root.run(&format!("set -- {argument}\nset -e\n{script}"));
    }
    let made = root.run("id -un chrony; stat -c '%U:%G %a' /run/chrony /var/lib/chrony /var/log/chrony");
    assert_eq!(
        made,
        "chrony\nchrony:chrony 700\nchrony:chrony 750\nchrony:chrony 750\n"
    );
}
