//! `chronyd --check-config` for the files of `compat-tests/check-config`: each has beside it what is said about it.

use compat_tests::programs::workspace;
use compat_tests::{finish, ours, reference};
use std::fs;
use std::process::Command;

#[test]
fn what_is_said_about_broken_files() {
    let dir = workspace().join("compat-tests/check-config");
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    names.sort();
    let mut broken = 0;
    for name in &names {
        let run = |chronyd, arguments: &[&str]| {
            let mut command = Command::new(chronyd);
            finish(command.args(arguments).current_dir(&dir), super::LIMIT)
        };
        let seen = run(ours().chronyd, &["--check-config", "-f", name]);
        let said = dir.join(name.replace(".conf", ".txt"));
        assert_eq!(seen.stdout, fs::read_to_string(said).unwrap(), "{name}");
        assert_eq!(seen.stderr, "", "{name}");
        let errors = seen.stdout.contains("error: ");
        let warnings = seen.stdout.contains("warning: ");
        let status = match (errors, warnings) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        assert_eq!(seen.code(), Some(status), "{name}");
        // What is an error here is one for chrony; what this build lacks, is not.
        let lacking = seen.stdout.contains("is not supported by this build");
        let refused = run(reference().chronyd, &["-p", "-f", name]).code() == Some(1);
        assert_eq!(errors && !lacking, refused, "{name}");
        broken += usize::from(status != 0);
    }
    assert!(broken >= 30, "only {broken} broken files");
}
