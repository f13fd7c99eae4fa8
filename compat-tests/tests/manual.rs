//! The manual pages: nothing of ours is without an entry, nothing is described that we don't have, and `mandoc` finds
//! no fault with them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use compat_tests::programs::workspace;
use compat_tests::{finish, ours};

type Names = BTreeSet<String>;

fn page(name: &str) -> String {
    fs::read_to_string(workspace().join("packaging/man").join(name)).unwrap()
}

/// Lines of a page that begin an entry, such as `.It Ic allow`.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(".It "))
}

/// First words after a macro in the entries: `server` of `Ic server Ar name`, `-4` and `-6` of `Fl 4 , Fl 6`.
fn named(text: &str, symbol: &str) -> Names {
    let mut names = Names::new();
    for entry in entries(text) {
        let mut symbols = entry.split(' ').peekable();
        // Deeper in an entry the same macro marks arguments.
        let mut at_start = true;
        while let Some(word) = symbols.next() {
            if word == symbol && at_start {
                names.extend(symbols.peek().map(|&word| word.to_owned()));
            }
            at_start = word == "," || (at_start && word == symbol);
        }
    }
    names
}

/// Names in the tables of the directives: of directives and of all else, such as options.
fn directives_and_options() -> (Names, Names) {
    let (mut directives, mut options) = (Names::new(), Names::new());
    let dir = workspace().join("engine/src/config/directives");
    for file in fs::read_dir(dir).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let code: String = code.split_whitespace().collect();
        // Rows are `("name",Action::...)` or `("name",Value::...)` and the like; calls have a word before the bracket.
        for (at, _) in code.match_indices("(\"") {
            let (before, row) = (&code[..at], &code[at + 2..]);
            let Some((name, rest)) = row.split_once("\",") else {
                continue;
            };
            let is_row = before.ends_with(['[', ',']);
            if !is_row
                || name.is_empty()
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
            {
                continue;
            }
            if rest.starts_with("Action::") {
                directives.insert(name.to_owned());
            } else if !rest.starts_with("SourceKind::") {
                options.insert(name.to_owned());
            }
        }
    }
    assert!(
        directives.len() >= 100 && options.len() >= 80,
        "the tables of the directives are not where they were: {directives:?} {options:?}"
    );
    (directives, options)
}

#[test]
fn every_directive_and_option_has_an_entry() {
    let text = page("chrony.conf.5");
    let (directives, options) = directives_and_options();
    assert_eq!(
        named(&text, "Ic"),
        directives,
        "left: chrony.conf(5), right: the tables"
    );
    // Options share names with directives, so they have a mark of their own.
    let marked = text
        .split("Cm ")
        .skip(1)
        .filter_map(|rest| rest.split_ascii_whitespace().next());
    let marked: BTreeSet<&str> = marked.collect();
    let missing: Vec<_> = options
        .iter()
        .filter(|name| !marked.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "not among the options: {missing:?}");
}

/// The value of `const NAME: &str = "..."` in a file.
fn constant(file: &str, name: &str) -> String {
    let text = fs::read_to_string(workspace().join(file)).unwrap();
    let start = format!("const {name}: &str = \"");
    let (_, rest) = text
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {file}"));
    rest.split('"').next().unwrap_or_default().replace("\\\n", " ")
}

fn letters(options: &str) -> Names {
    options.chars().map(String::from).collect()
}

/// Long options in a text of usage, without their hyphens but one.
fn long_options(usage: &str) -> Names {
    usage
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| format!("-{word}"))
        .collect()
}

#[test]
fn every_option_of_the_daemon_has_an_entry() {
    let mut expected = letters(&constant("src/args.rs", "WITH_VALUE"));
    expected.extend(letters(&constant("src/args.rs", "FLAGS")));
    let usage = finish(
        Command::new(ours().chronyd).arg("--help"),
        Duration::from_secs(10),
    )
    .ok();
    expected.extend(long_options(&usage));
    expected.insert(format!("-{}", constant("src/args.rs", "CHECK_CONFIG")));
    assert_eq!(
        named(&page("chronyd.8"), "Fl"),
        expected,
        "left: chronyd(8), right: src/args.rs"
    );
}

#[test]
fn every_option_of_the_client_has_an_entry() {
    let usage = finish(
        Command::new(ours().chronyc).arg("--help"),
        Duration::from_secs(10),
    )
    .ok();
    let mut expected = long_options(&usage);
    expected.extend(
        usage
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix('-')?.chars().next())
            .filter(|letter| *letter != '-')
            .map(String::from),
    );
    // Accepted without effect, and not told.
    expected.extend(letters("adf"));
    assert!(expected.len() >= 16, "{expected:?}");
    assert_eq!(
        named(&page("chronyc.1"), "Fl"),
        expected,
        "left: chronyc(1), right: chronyc --help"
    );
}

#[test]
fn every_option_of_the_simulator_has_an_entry() {
    let text = fs::read_to_string(workspace().join("sim/src/tool/main.rs")).unwrap();
    let mut expected = Names::from(["d", "h", "-help", "V", "-version"].map(String::from));
    for made_by in ["time(\"", "flag(\"", "file(\"", ".long(\""] {
        let names = text
            .split(made_by)
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        expected.extend(names.map(|name| format!("-{name}")));
    }
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(
        named(&page("truechimer-sim.1"), "Fl"),
        expected,
        "left: truechimer-sim(1), right: sim/src/tool/main.rs"
    );
}

#[test]
fn every_command_has_an_entry() {
    // The list that completion offers; what it leaves out is kept for old scripts.
    let mut expected: Names = constant("chronyc/src/complete.rs", "COMMANDS")
        .split_ascii_whitespace()
        .map(String::from)
        .collect();
    let unlisted = ["authhash", "dfreq", "doffset", "password"];
    expected.extend(unlisted.map(String::from));
    let mut helped = Names::new();
    // Nothing listens there, and nothing is asked.
    let mut command = Command::new(ours().chronyc);
    let help = finish(command.args(["-h", "127.0.0.1", "help"]), Duration::from_secs(10)).ok();
    for line in help
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.trim_end().ends_with(':'))
    {
        let first = line.split(' ').next().unwrap_or_default();
        helped.extend(first.split('|').map(String::from));
    }
    assert!(
        helped.len() > 50 && helped.is_subset(&expected),
        "help: {helped:?}"
    );
    assert_eq!(
        named(&page("chronyc.1"), "Ic"),
        expected,
        "left: chronyc(1), right: chronyc's commands"
    );
}

#[test]
fn the_shell_completes_every_command() {
    let text = fs::read_to_string(workspace().join("packaging/completion/chronyc")).unwrap();
    let (_, list) = text.split_once("local commands=\"").expect("the list");
    let completed: BTreeSet<&str> = list.split('"').next().unwrap().split_ascii_whitespace().collect();
    let commands = constant("chronyc/src/complete.rs", "COMMANDS");
    let commands: BTreeSet<&str> = commands.split_ascii_whitespace().collect();
    assert_eq!(
        completed, commands,
        "left: packaging/completion/chronyc, right: chronyc itself"
    );
}

#[test]
fn mandoc_finds_no_fault() {
    let dir = workspace().join("packaging/man");
    let mut command = Command::new("mandoc");
    command
        .arg("-Tlint")
        .args(["chronyc.1", "truechimer-sim.1", "chrony.conf.5", "chronyd.8"]);
    let done = finish(command.current_dir(dir), Duration::from_secs(30));
    assert!(
        done.status.success() && done.stdout.is_empty() && done.stderr.is_empty(),
        "{}{}",
        done.stdout,
        done.stderr
    );
}
