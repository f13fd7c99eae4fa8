//! Configurations of our own (`compat-tests/configs`), which together have every directive and every option of a
//! source, and what `chronyd -p` makes of them.

use super::print;
use compat_tests::programs::workspace;
use compat_tests::subject;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn our_files_cover_the_language() {
    let dir = workspace().join("compat-tests/configs");
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    names.sort();
    let mut words = BTreeSet::new();
    for name in names {
        let seen = print(&subject(), &dir, &["-f", &name]);
        let expected = fs::read_to_string(dir.join(name.replace(".conf", ".printed"))).unwrap();
        assert_eq!((seen.code, seen.stdout), (Some(0), expected), "{name}");
        let retired = ["commandkey", "generatecommandkey", "linux_freq_scale", "linux_hz"];
        let warnings = match name.as_str() {
            "retired.conf" => retired
                .map(|word| format!("{word} directive is no longer supported"))
                .to_vec(),
            _ => vec![],
        };
        assert_eq!(seen.messages, warnings, "{name}");
        let text = fs::read_to_string(dir.join(name)).unwrap();
        words.extend(text.split_ascii_whitespace().map(str::to_ascii_lowercase));
    }
    // The first columns of the table of all directives, and of those of options.
    let spec = fs::read_to_string(workspace().join("docs/spec/config.md")).unwrap();
    let section = |from: &str, to: &str| {
        let (_, rest) = spec.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    let tables = section("\n### 5.1 ", "\n### 5.2 ") + &section("\n#### 5.2.1 ", "\n#### 5.2.2 ");
    let mut known = 0;
    for row in tables.lines().filter(|row| row.starts_with("| `")) {
        let cell = row.split(" | ").next().unwrap();
        for word in cell.split('`').skip(1).step_by(2) {
            assert!(words.contains(word), "{word} is in none of the files");
            known += 1;
        }
    }
    assert!(known >= 130, "only {known} words in the tables");
}
