//! NTP programs that others have made, unpacked and not changed. None of them can set the clock: they run without the
//! right to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::dir::TempDir;
use crate::harmless::{HARMLESS, library};
use crate::netns::Namespace;
use crate::process::finish;
use crate::programs::{cache, debian12, unpacked, with_lock, workspace};
use crate::wait::LIMIT;

/// Directory of the programs of Debian testing; its ntpd-rs is the crate `ntpd` of crates.io.
fn testing() -> PathBuf {
    let packages = ["ntpd-rs", "openntpd", "systemd-timesyncd"];
    unpacked("testing", "time-programs", &packages)
}

fn harmless(namespace: &Namespace, program: &Path) -> Command {
    let (first, rest) = HARMLESS.split_first().expect("a program");
    let mut command = namespace.command(first);
    command.args(rest).arg(program);
    command
}

/// ntpsec's `ntpdig`, which asks once.
#[must_use]
pub fn ntpdig(namespace: &Namespace) -> Command {
    harmless(namespace, &debian12().join("ntpdig"))
}

/// ntpsec's `ntpd` with the configuration, in the foreground.
#[must_use]
pub fn ntpsec(namespace: &Namespace, dir: &TempDir, config: &str) -> Command {
    let mut command = harmless(namespace, &debian12().join("ntpd"));
    command.args(["-n", "-c"]).arg(dir.write("ntp.conf", config));
    command
}

/// `busybox ntpd` in the foreground, which tells of every reply and sets nothing.
#[must_use]
pub fn busybox(namespace: &Namespace) -> Command {
    let dir = cache().join("busybox-ntpd");
    with_lock(&dir.with_extension("lock"), || {
        let mut build = Command::new(workspace().join("scripts/busybox-ntpd"));
        finish(build.arg(&dir), Duration::from_secs(900)).ok();
    });
    let mut command = harmless(namespace, &dir.join("busybox"));
    command.args(["ntpd", "-n", "-w", "-dd"]);
    command
}

/// The daemon of ntpd-rs with the configuration.
#[must_use]
pub fn ntpd_rs(namespace: &Namespace, dir: &TempDir, config: &str) -> Command {
    let mut command = harmless(namespace, &testing().join("ntp-daemon"));
    command.arg("-c").arg(dir.write("ntp.toml", config));
    leaving_the_clock(&mut command, dir);
    command
}

/// What the daemon of ntpd-rs that runs with the configuration in `dir` knows, for Prometheus.
#[must_use]
pub fn ntpd_rs_status(dir: &TempDir) -> String {
    let mut command = Command::new(testing().join("ntp-ctl"));
    command
        .args(["status", "-f", "prometheus", "-c"])
        .arg(dir.join("ntp.toml"));
    finish(&mut command, LIMIT).stdout
}

/// systemd-timesyncd with the configuration, as nobody.
#[must_use]
pub fn timesyncd(namespace: &Namespace, dir: &TempDir, config: &str) -> Command {
    let files = [("etc/systemd/timesyncd.conf", config)];
    let folders = ["run/systemd/timesync", "var/lib/systemd/timesync"];
    let mut command = in_root(namespace, dir, &files, &folders);
    command
        .env("SYSTEMD_LOG_LEVEL", "debug")
        .env("SYSTEMD_LOG_TARGET", "console");
    command
        .arg("65534:65534")
        .arg("/usr/lib/systemd/systemd-timesyncd");
    command
}

/// OpenNTPD with the configuration, in the foreground.
#[must_use]
pub fn openntpd(namespace: &Namespace, dir: &TempDir, config: &str) -> Command {
    let files = [
        ("etc/ntpd.conf", config),
        (
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\n_ntpd:x:65534:65534::/run/empty:/\n",
        ),
        ("etc/group", "root:x:0:\n_ntpd:x:65534:\n"),
        ("etc/services", "ntp 123/udp\n"),
    ];
    // The one for its drift file belongs to root.
    let mut command = in_root(namespace, dir, &files, &["run/openntpd"]);
    command
        .arg("0:0")
        .args(["/usr/sbin/openntpd", "-d", "-v", "-f", "/etc/ntpd.conf"]);
    command
}

/// A command that runs a program of Debian testing with the unpacked packages as its root; the user and the program are to
/// be added. Below `etc`, `run` and `var` there is nothing but the files, the folders (of nobody) and folders of root
/// that are needed.
fn in_root(namespace: &Namespace, dir: &TempDir, files: &[(&str, &str)], folders: &[&str]) -> Command {
    let root = testing().with_file_name("root");
    // `ip netns exec` has made a mount namespace.
    let mut script = format!("set -e\ncd '{}'\n", root.display());
    for folder in ["etc", "run", "var"] {
        script += &format!("mkdir -p {folder}\nmount -t tmpfs -o mode=755 tmpfs {folder}\n");
    }
    script +=
        "mkdir -p dev proc run/empty var/lib/openntpd\nmount --bind /dev dev\nmount --rbind /proc proc\n";
    for (name, text) in files {
        let copy = dir.write(&name.replace('/', "-"), text);
        script += &format!(
            "mkdir -p $(dirname {name})\ninstall -m 644 '{}' {name}\n",
            copy.display()
        );
    }
    for folder in folders {
        script += &format!("mkdir -p {folder}\nchown 65534:65534 {folder}\n");
    }
    script += &format!(
        "user=$1 program=$2\nshift 2\nexec {} chroot --groups= --userspec=$user . $program \"$@\"\n",
        HARMLESS.join(" ")
    );
    let mut command = namespace.command("sh");
    command.arg("-c").arg(script).arg("sh");
    command
}

/// For daemons that end when they may not set the clock: what would do so reports success, and nothing happens.
fn leaving_the_clock(command: &mut Command, dir: &TempDir) {
    command.env("LD_PRELOAD", library("time-programs/leave-clock.c", dir));
}
