//! `mailonchange`: a mail about a large correction. Only this test sees the mail program that takes it: it is in a mount
//! namespace of its own.

use std::fs;
use std::process::Command;

use compat_tests::programs::subject_is_reference;
use compat_tests::{Chronyd, LIMIT, Namespace, Process, TempDir, finish, reference, subject, until};

/// Puts a mail program into /usr/lib as this process sees it, then runs the arguments.
const SCRIPT: &str = "set -e; dir=$0; mount -t tmpfs none \"$dir/mnt\"; mkdir \"$dir/mnt/new\" \"$dir/mnt/work\"; \
    mount -t overlay overlay -o \"lowerdir=/usr/lib,upperdir=$dir/mnt/new,workdir=$dir/mnt/work\" /usr/lib; \
    cp --remove-destination \"$dir/sendmail\" /usr/lib/sendmail; exec \"$@\"";

/// Today, as a mail has it.
fn today() -> String {
    let mut date = Command::new("date");
    finish(date.args(["-u", "+%A, %d %B %Y"]).env("LC_ALL", "C"), LIMIT)
        .ok()
        .trim()
        .to_owned()
}

/// A daemon that is asked to correct its clock by half a second. `program`: text of the mail program.
fn daemon(namespace: &Namespace, dir: &TempDir, program: &str, threshold: &str) -> Process {
    use std::os::unix::fs::PermissionsExt;
    dir.subdir("mnt", 0o755);
    let path = dir.write("sendmail", program);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let conf = dir.write(
        "conf",
        format!(
            "user root\npidfile /\nbindcmdaddress /\ncmdport 0\nport 0\nmailonchange root@localhost {threshold}\n\
             server 127.0.0.1 port 11123 iburst minpoll 0 maxpoll 0 offset 0.5\n"
        ),
    );
    let mut command = namespace.command("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT]).arg(&**dir);
    command.arg(&subject().chronyd).args(["-d", "-x", "-f"]).arg(conf);
    command.env("TZ", "UTC0").env("LC_ALL", "C");
    Process::start(&mut command, &dir.join("log"))
}

#[test]
fn a_large_correction_is_mailed() {
    let namespace = Namespace::new();
    let _server = Chronyd::new(&reference())
        .within(&namespace)
        .config("port 11123\ncmdport 0\nallow\nlocal stratum 3")
        .start();
    let dir = TempDir::new();
    let mail = dir.join("mail");
    let at = dir.display();
    let program = format!("#!/bin/sh\n{{ echo \"$*\"; cat; }} > {at}/part\nmv {at}/part {at}/mail\n");
    let before = today();
    let process = daemon(&namespace, &dir, &program, "0.1");
    until(LIMIT, "a mail", || mail.exists().then_some(()));
    let text = fs::read_to_string(&mail).unwrap();
    drop(process);
    let lines: Vec<&str> = text.lines().collect();
    let host = finish(&mut Command::new("hostname"), LIMIT).ok();
    let subject = format!(
        "Subject: chronyd reports change to system clock on node [{}]",
        host.trim()
    );
    assert_eq!(lines.len(), 10, "{text}");
    assert_eq!(lines[..4], ["-t", "To: root@localhost", &subject, ""], "{text}");
    assert!(
        [before, today()]
            .iter()
            .any(|day| lines[4] == format!("On {day}")),
        "{text}"
    );
    let time = lines[5].strip_prefix("  with the system clock reading ").unwrap();
    assert!(time.len() == 14 && time.ends_with(" (UTC)"), "{text}");
    assert_eq!(
        lines[6..],
        [
            "",
            "chronyd started to apply an adjustment of 0.500 seconds to it,",
            "  which exceeded the reporting threshold of 0.100 seconds",
            "",
        ],
        "{text}"
    );
}

#[test]
fn a_mail_program_that_fails_harms_nobody() {
    let namespace = Namespace::new();
    let _server = Chronyd::new(&reference())
        .within(&namespace)
        .config("port 11123\ncmdport 0\nallow\nlocal stratum 3")
        .start();
    let dir = TempDir::new();
    let program = format!("#!/bin/sh\ntouch {}/tried\nexit 75\n", dir.display());
    let mut process = daemon(&namespace, &dir, &program, "0.1");
    let tried = dir.join("tried");
    until(LIMIT, "the mail program", || tried.exists().then_some(()));
    // Chrony says so only if there is none at all.
    if !subject_is_reference() {
        process.wait_log("Could not send mail notification to user root@localhost", LIMIT);
    }
    assert!(process.stop().success(), "{}", process.log());
}
