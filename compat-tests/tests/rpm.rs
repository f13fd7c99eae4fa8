//! The `.rpm`: its files and scriptlets, which run in a root directory of Debian.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use compat_tests::package::{LIMIT, output, rpm, unit_values};
use compat_tests::programs::release;
use compat_tests::root::Root;
use compat_tests::{TempDir, finish};

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
