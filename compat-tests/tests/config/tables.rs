//! The tables of `spec/config.md` section 12.

use super::{Printed, print};
use compat_tests::programs::workspace;
use compat_tests::{TempDir, subject};
use std::fs;
use std::os::unix::fs::symlink;

fn expected(code: i32, stdout: &str, messages: &[&str]) -> Printed {
    Printed {
        code: Some(code),
        stdout: stdout.to_owned(),
        messages: messages.iter().map(|&text| text.to_owned()).collect(),
    }
}

/// What stands between the first pair of backticks.
fn quoted(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

/// What chrony makes of a file `F` with this line alone, as the second column says.
fn outcome(line: &str, cell: &str) -> Printed {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let silent = first.starts_with(['!', '#', ';', '%'])
        || ["include", "confdir"].contains(&first.to_ascii_lowercase().as_str());
    let stdout = if silent {
        String::new()
    } else {
        words.join(" ") + "\n"
    };
    let text = quoted(cell).map(|text| match text.strip_suffix(" @") {
        Some(text) => format!("{text} at line 1 in file F"),
        None => text.to_owned(),
    });
    let (code, messages) = if cell.contains("**1**") && !cell.starts_with("ok") {
        (1, vec![format!("Fatal error : {}", text.unwrap())])
    } else if cell.starts_with("ok, warns") {
        (0, vec![text.unwrap()])
    } else {
        assert!(cell.starts_with("ok"), "'{cell}' is not understood");
        (0, vec![])
    };
    Printed {
        code: Some(code),
        stdout,
        messages,
    }
}

#[test]
fn lines_of_the_specification() {
    let spec = fs::read_to_string(workspace().join("docs/spec/config.md")).unwrap();
    let (_, section) = spec.split_once("\n## 12. ").unwrap();
    let (table, _) = section.split_once("\nMulti-line").unwrap();
    let dir = TempDir::new();
    let mut lines = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let line = quoted(row).unwrap();
        let cell = row.split(" | ").nth(1).unwrap();
        let text = line.replace("\\t", "\t");
        dir.write("F", format!("{text}\n"));
        assert_eq!(
            print(&subject(), &dir, &["-f", "F"]),
            outcome(&text, cell),
            "{row}"
        );
        lines += 1;
    }
    assert!(lines >= 179, "only {lines} lines");
}

#[test]
fn whole_files() {
    let dir = TempDir::new();
    let long = |length: usize, end: &str| format!("port {}{end}", "1".repeat(length - 5));
    let blank = |length: usize| format!("port 1{}\n", " ".repeat(length - 6));
    let too_long = || expected(1, "", &["Fatal error : String too long at line 1 in file F"]);
    let invalid =
        |word: &str, line: u32| format!("Fatal error : Invalid directive {word} at line {line} in file F");
    let parse = "Fatal error : Could not parse port directive at line 1 in file F";
    let cases: Vec<(Vec<u8>, Printed)> = vec![
        (blank(2046).into(), expected(0, "port 1\n", &[])),
        (blank(2047).into(), too_long()),
        (long(2048, "").into(), too_long()),
        (format!("#{}\n", "x".repeat(3000)).into(), too_long()),
        (b"port 1\r\n".to_vec(), expected(0, "port 1\n", &[])),
        (b"port\x0b1\x0c\n".to_vec(), expected(0, "port 1\n", &[])),
        (
            "\u{feff}port 1\n".into(),
            expected(1, "\u{feff}port 1\n", &[&invalid("\u{feff}port", 1)]),
        ),
        (b"port 1\0 2\n".to_vec(), expected(0, "port 1\n", &[])),
        (b"\0port 1\ncmdport 2\n".to_vec(), expected(0, "cmdport 2\n", &[])),
        (b"port \\\n1\n".to_vec(), expected(1, "port \\\n", &[parse])),
        (b"".to_vec(), expected(0, "", &[])),
        (
            b"port 1\nfoo\nbar\n".to_vec(),
            expected(1, "port 1\nfoo\n", &[&invalid("foo", 2)]),
        ),
        (b"port 1".to_vec(), expected(0, "port 1\n", &[])),
        (
            "x".repeat(2000).into(),
            // 255 octets of "Invalid directive ...".
            expected(
                1,
                &format!("{}\n", "x".repeat(2000)),
                &[&invalid(&"x".repeat(255 - 18), 1)],
            ),
        ),
    ];
    for (text, outcome) in cases {
        dir.write("F", &text);
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(print(&subject(), &dir, &["-f", "F"]), outcome, "{shown}");
    }
}

/// Section 4 and the lower half of the second table of section 12.
#[test]
fn included_files_and_directories() {
    let dir = TempDir::new();
    for name in [
        "a/10.conf",
        "a/Z.conf",
        "a/a.conf",
        "a/a-b.conf",
        "b/05.conf",
        "b/10.conf",
        "h/.hidden.conf",
        "h/x.CONF",
        "h/20.conf~",
        "s/1.conf",
    ] {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // What is printed tells which file was read.
        fs::write(path, format!("pidfile /{name}")).unwrap();
    }
    fs::create_dir_all(dir.join("s/dir.conf")).unwrap();
    fs::create_dir_all(dir.join("c")).unwrap();
    symlink("nowhere", dir.join("c/0.conf")).unwrap();
    dir.write("good", "port 1\n");
    dir.write("bad", "include good\nfoo\n");
    for level in 1..=10 {
        let next = if level == 10 {
            "port 10\n".to_owned()
        } else {
            format!("include chain{}\n", level + 1)
        };
        dir.write(&format!("chain{level}"), next);
    }
    let read = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("pidfile /{name}\n"))
            .collect::<String>()
    };
    let fatal = |text: &str| format!("Fatal error : {text}");
    let no_file = |name: &str| fatal(&format!("Could not open {name} : No such file or directory"));
    let ok = |names: &[&str]| expected(0, &read(names), &[]);
    let cases = [
        ("include a/*.none", expected(0, "", &[])),
        (
            "include none/*.conf",
            expected(
                1,
                "",
                &[&fatal("Could not search for files matching none/*.conf")],
            ),
        ),
        (
            "include {a,b}/10.conf",
            expected(1, "", &[&no_file("{a,b}/10.conf")]),
        ),
        ("include a", expected(0, "", &[])),
        ("include b/*", ok(&["b/05.conf", "b/10.conf"])),
        ("include good\nport 2", expected(0, "port 1\nport 2\n", &[])),
        (
            "include good\nfoo",
            expected(
                1,
                "port 1\nfoo\n",
                &[&fatal("Invalid directive foo at line 2 in file F")],
            ),
        ),
        (
            "include bad",
            expected(
                1,
                "port 1\nfoo\n",
                &[&fatal("Invalid directive foo at line 2 in file bad")],
            ),
        ),
        ("include chain2", expected(0, "port 10\n", &[])),
        (
            "include chain1",
            expected(1, "", &[&fatal("Maximum include level reached")]),
        ),
        (
            "include F",
            expected(1, "", &[&fatal("Maximum include level reached")]),
        ),
        (
            "confdir a b",
            ok(&["b/05.conf", "a/10.conf", "a/Z.conf", "a/a-b.conf", "a/a.conf"]),
        ),
        (
            "confdir b a",
            ok(&["b/05.conf", "b/10.conf", "a/Z.conf", "a/a-b.conf", "a/a.conf"]),
        ),
        (
            "confdir a/",
            ok(&["a//10.conf", "a//Z.conf", "a//a-b.conf", "a//a.conf"]),
        ),
        ("confdir h", expected(0, "", &[])),
        ("confdir *", expected(0, "", &[])),
        ("confdir c", expected(1, "", &[&no_file("c/0.conf")])),
        ("confdir s", ok(&["s/1.conf"])),
        ("confdir none", expected(0, "", &[])),
        ("sourcedir a none", expected(0, "sourcedir a none\n", &[])),
    ];
    for (text, mut outcome) in cases {
        // A slash at the end of a directory changes its names, not what is in the files.
        outcome.stdout = outcome.stdout.replace("//", "/");
        dir.write("F", text);
        assert_eq!(print(&subject(), &dir, &["-f", "F"]), outcome, "{text}");
    }
    // With directives as arguments the first included file is level 1.
    let seen = print(&subject(), &dir, &["include chain1"]);
    assert_eq!(seen, expected(0, "port 10\n", &[]));
}

#[test]
fn directives_as_arguments() {
    let dir = TempDir::new();
    let fatal = |text: &str| format!("Fatal error : {text}");
    let cases: [(&[&str], Printed); 6] = [
        (
            &["port 1", "", "# c", "foo"],
            expected(1, "port 1\nfoo\n", &[&fatal("Invalid directive foo at line 4")]),
        ),
        (
            &["server", "foo", "iburst"],
            expected(
                1,
                "server\n",
                &[&fatal("Invalid syntax for server directive at line 1")],
            ),
        ),
        (&["port\n5"], expected(0, "port 5\n", &[])),
        (
            &["-f", "/nonexistent"],
            expected(
                1,
                "",
                &[&fatal("Could not open /nonexistent : No such file or directory")],
            ),
        ),
        (&["-f", "/nonexistent", "port 1"], expected(0, "port 1\n", &[])),
        (
            &["--", "-p"],
            expected(1, "-p\n", &[&fatal("Invalid directive -p at line 1")]),
        ),
    ];
    for (arguments, outcome) in cases {
        assert_eq!(print(&subject(), &dir, arguments), outcome, "{arguments:?}");
    }
}
