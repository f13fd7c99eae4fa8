//! What must end the daemon does so in its turn among the messages of the start, as with chrony.

use std::process::Command;
use std::time::Duration;

use compat_tests::{Programs, TempDir, finish, reference, subject};

/// Configurations, options of the command line, and the last message.
const CASES: &[(&str, &[&str], &str)] = &[
    (
        "noclientlog\nratelimit\nntpsigndsocket /nonexistent",
        &[],
        "Fatal error : Rate limiting cannot be enabled with noclientlog",
    ),
    (
        "noclientlog\ncmdratelimit",
        &["-F", "3"],
        "Fatal error : Rate limiting cannot be enabled with noclientlog",
    ),
    ("", &["-F", "3"], "Fatal error : Unsupported filter level"),
    (
        "",
        &["-F", "-3", "-t", "1"],
        "Fatal error : Unsupported filter level",
    ),
    ("", &[], "Fatal error : Nothing to do"),
    ("maxsamples 5", &[], "Fatal error : Nothing to do"),
    (
        "acquisitionport 0\nbindacqdevice nosuch0",
        &[],
        "Fatal error : Could not open NTP sockets",
    ),
    (
        "acquisitionport 0\nbindacqdevice nosuch0\nptpport 10319",
        &[],
        "Fatal error : Could not open NTP sockets",
    ),
    // Sockets over PTP are not needed that much.
    (
        "ptpport 10319\nbinddevice nosuch0",
        &["-t", "1"],
        "chronyd exiting",
    ),
    ("hwtimestamp *", &["-t", "1"], "chronyd exiting"),
    (
        "hwtimestamp lo",
        &[],
        "Fatal error : Could not enable HW timestamping on lo",
    ),
    (
        "hwtimestamp *\nhwtimestamp nosuchinterface00",
        &[],
        "Fatal error : Could not enable HW timestamping on nosuchinterface00",
    ),
];

/// Messages after the first one, without times; what chrony does not say is left out.
fn messages(programs: &Programs, config: &str, options: &[&str]) -> Vec<String> {
    let dir = TempDir::new();
    let at = dir.display();
    let text = format!("user root\npidfile {at}/pid\nbindcmdaddress /\ncmdport 0\nport 0\n{config}\n");
    let conf = dir.write("chrony.conf", text);
    let mut command = Command::new(&programs.chronyd);
    command.args(["-d", "-x", "-f"]).arg(conf).args(options);
    let done = finish(&mut command, Duration::from_secs(60));
    let lines = done.stderr.lines().skip(1).map(|line| line[21..].to_owned());
    lines.filter(|line| !line.starts_with("truechimer ")).collect()
}

#[test]
fn fatal_errors_come_in_their_turn() {
    let (ours, theirs) = (subject(), reference());
    for (config, options, last) in CASES {
        let said = messages(&ours, config, options);
        assert_eq!(said, messages(&theirs, config, options), "{config} {options:?}");
        assert_eq!(
            said.last().map(String::as_str),
            Some(*last),
            "{config} {options:?}"
        );
    }
}

/// Runs our daemon with a limit of `ulimit`; gives its messages. It must end by itself, with this status.
fn limited(limit: &str, options: &str, config: &str, status: i32) -> String {
    let dir = TempDir::new();
    let at = dir.display();
    let text = format!("pidfile {at}/pid\nbindcmdaddress /\ncmdport 0\nport 0\n{config}\n");
    let conf = dir.write("chrony.conf", text);
    let (chronyd, conf) = (
        subject().chronyd.display().to_string(),
        conf.display().to_string(),
    );
    let script = format!("ulimit {limit} && exec {chronyd} -d -x -f {conf} {options}");
    let done = finish(
        Command::new("bash").args(["-c", &script]),
        Duration::from_secs(60),
    );
    assert_eq!(done.status.code(), Some(status), "{limit}: {}", done.stderr);
    done.stderr
}

#[test]
fn too_few_descriptors_are_told() {
    let mut told = 0;
    for limit in 6..=24 {
        let said = limited(&format!("-n {limit}"), "-u root", "", 1);
        assert!(said.contains("Fatal error : "), "{limit}: {said}");
        told += usize::from(said.contains("(ulimit -n is too low)"));
    }
    assert!(told > 0);
}

#[test]
fn without_a_thread_a_name_is_not_resolved() {
    // Of this limit root is exempt. Without a source the time that `-t` gives ends with 1.
    let said = limited("-u 1", "-u nobody -t 1", "server ntp.invalid", 1);
    assert!(
        said.contains("Could not start thread to resolve ntp.invalid : "),
        "{said}"
    );
}
