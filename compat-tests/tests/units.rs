//! The units of the `.deb`: as safe as chrony's, without faults, and one of them started without root.

use std::collections::BTreeMap;

use compat_tests::Finished;
use compat_tests::package::{Daemon, OURS, root};
use compat_tests::programs::reference;

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
