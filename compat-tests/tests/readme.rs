//! What we promise to users: README.md lists what this build refuses, and the configurations that we ship are accepted.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use compat_tests::programs::workspace;
use compat_tests::{LIMIT, finish, ours};

/// The first word of each line `("name", |c| ...)` in the list of missing features.
fn refused() -> BTreeSet<String> {
    let path = workspace().join("engine/src/config/unsupported.rs");
    let text = fs::read_to_string(path).unwrap();
    let (_, list) = text.split_once("const MISSING").expect("the list");
    let (list, _) = list.split_once("\n];").expect("end of the list");
    list.split('"').skip(1).step_by(2).map(String::from).collect()
}

#[test]
fn lists_what_is_not_built() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Not built yet\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    // Names of directives and options of sources; options of the daemon begin with a hyphen.
    let listed: BTreeSet<String> = section
        .lines()
        .skip_while(|line| !line.starts_with("* directives"))
        .take_while(|line| !line.starts_with("* options of the daemon"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(String::from)
        .collect();
    assert_eq!(
        listed,
        refused(),
        "left: README.md, right: engine/src/config/unsupported.rs"
    );
}

#[test]
fn our_own_configuration_is_accepted() {
    let mut command = Command::new(ours().chronyd);
    let file = workspace().join("examples/chrony.conf");
    command.args(["--check-config", "-f"]).arg(file);
    let done = finish(&mut command, LIMIT);
    // 2: warnings only, about directories that an installed system has.
    assert!(matches!(done.code(), Some(0 | 2)), "{done:?}");
}
