//! The `.deb`, installed in place of the distribution's chrony in a root directory of its own. What is packed are the
//! programs of the release profile; the build from the source package, offline, is in `make soak`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use compat_tests::package::{BUILD_LIMIT, Daemon, LIMIT, OURS, THEIRS, deb, output, root};
use compat_tests::programs::workspace;
use compat_tests::root::Root;
use compat_tests::{TempDir, finish, until};

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
