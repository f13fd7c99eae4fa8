//! Files, nesting, the command line (`spec/config.md` sections 1, 4, 12).

use super::{Loaded, World, load, load_arguments, load_text};
use crate::config::{KeptLine, Options, SourceKind, ignored_sources, source_files};

const PRINT: Options = Options {
    restarted: false,
    keep_lines: true,
    all_problems: false,
};

fn print(text: impl Into<Vec<u8>>) -> Loaded {
    load_text(text, PRINT)
}

fn error(loaded: &Loaded) -> &str {
    loaded.error.as_deref().unwrap_or("")
}

#[test]
fn long_lines() {
    let long = |n: usize, end: &str| format!("server {}{end}", "x".repeat(n - 7));
    assert_eq!(error(&print(long(2046, "\n"))), "");
    assert_eq!(error(&print(long(2047, ""))), "");
    for text in [
        long(2047, "\n"),
        long(2048, ""),
        format!("#{}\n", "x".repeat(3000)),
    ] {
        let loaded = print(text);
        assert_eq!(error(&loaded), "String too long at line 1 in file F");
        assert!(loaded.lines.is_empty());
    }
    let argument = "x".repeat(2048);
    assert_eq!(error(&load_arguments(&[&argument])), "String too long at line 1");
}

#[test]
fn odd_octets() {
    assert_eq!(print("port 1\r\n").printed(), ["port 1"]);
    assert_eq!(print("port\x0b1\x0c\n").printed(), ["port 1"]);
    assert_eq!(print(*b"port 1\0 2\n").printed(), ["port 1"]);
    assert_eq!(print(*b"\0port 1\ncmdport 2\n").printed(), ["cmdport 2"]);
    assert_eq!(
        error(&print("\u{feff}port 1")),
        "Invalid directive \u{feff}port at line 1 in file F"
    );
    assert_eq!(
        error(&print("port \\\n1\n")),
        "Could not parse port directive at line 1 in file F"
    );
    let latin = print(*b"keyfile /k\xe9y\n");
    assert_eq!(
        latin.lines.first().map(KeptLine::normalised),
        Some(b"keyfile /k\xe9y".to_vec())
    );
}

#[test]
fn a_hundred_thousand_lines() {
    let block = |i: usize| {
        let (c, d) = (i / 250 % 250, i % 250);
        format!(
            "server h{i}.example iburst minpoll 4 offset 1e-3\n# x\nallow 10.{c}.{d}.0/24\nmaxdistance {i}.5\n"
        )
    };
    let text: String = (0..25_000).map(block).collect();
    let loaded = load_text(text.as_str(), Options::default());
    assert_eq!((loaded.error, loaded.config.sources.len()), (None, 25_000));
    assert_eq!(loaded.config.network.access.len(), 25_000);
}

#[test]
fn the_first_error_ends_the_reading() {
    let loaded = print("port 1\nfoo\nbar\n");
    assert_eq!(loaded.printed(), ["port 1", "foo"]);
    assert_eq!(error(&loaded), "Invalid directive foo at line 2 in file F");
    assert_eq!(error(&print("")), "");
    assert_eq!(
        error(&load(&mut World::default(), PRINT)),
        "Could not open F : No such file or directory"
    );
}

#[test]
fn arguments() {
    let loaded = load_arguments(&["port 1", "", "# c", "foo"]);
    assert_eq!(error(&loaded), "Invalid directive foo at line 4");
    assert_eq!(
        error(&load_arguments(&["server", "foo"])),
        "Invalid syntax for server directive at line 1"
    );
    assert_eq!(load_arguments(&["port\n5"]).printed(), ["port 5"]);
}

#[test]
fn includes() {
    let mut world = World::default();
    world.file("F", "include a/*.inc\ninclude a/*.none\nfoo\n");
    world.file("a/1.inc", "port 1");
    world.file("a/2.inc", "include b\ncmdport 2\n");
    world.file("a/.3.inc", "bar");
    world.file("b", "");
    let loaded = load(&mut world, PRINT);
    assert_eq!(loaded.printed(), ["port 1", "cmdport 2", "foo"]);
    assert_eq!(error(&loaded), "Invalid directive foo at line 3 in file F");
    world.file("b", "rtcsync x\n");
    let loaded = load(&mut world, PRINT);
    assert_eq!(
        error(&loaded),
        "Too many arguments for rtcsync directive at line 1 in file b"
    );
    world.file("F", "include none/*.conf");
    assert_eq!(
        error(&load(&mut world, PRINT)),
        "Could not search for files matching none/*.conf"
    );
    world.file("F", "include {a,b}");
    assert_eq!(
        error(&load(&mut world, PRINT)),
        "Could not open {a,b} : No such file or directory"
    );
}

#[test]
fn ten_files_deep() {
    let chain = |files: usize| {
        let mut world = World::default();
        world.file("F", "include 2\n");
        for i in 2..files {
            world.file(&i.to_string(), format!("include {}\n", i + 1));
        }
        world.file(&files.to_string(), "port 1\n");
        load(&mut world, PRINT)
    };
    assert_eq!(chain(10).printed(), ["port 1"]);
    assert_eq!(error(&chain(11)), "Maximum include level reached");
    assert_eq!(error(&print("include F\n")), "Maximum include level reached");
}

#[test]
fn confdir_sorts_by_base_name() {
    let mut world = World::default();
    for path in [
        "a/10.conf",
        "a/Z.conf",
        "a/a.conf",
        "a/a-b.conf",
        "b/05.conf",
        "b/10.conf",
        "a/.hidden.conf",
    ] {
        world.file(path, format!("keyfile {path}"));
    }
    world.file("a/x.CONF", "foo");
    world.file("a/20.conf~", "foo");
    let mut read = |line: &str| {
        world.file("F", line);
        load(&mut world, PRINT)
            .printed()
            .join(" ")
            .replace("keyfile ", "")
    };
    assert_eq!(
        read("confdir a b /none"),
        "b/05.conf a/10.conf a/Z.conf a/a-b.conf a/a.conf"
    );
    assert_eq!(
        read("confdir b a"),
        "b/05.conf b/10.conf a/Z.conf a/a-b.conf a/a.conf"
    );
    assert_eq!(read("confdir *"), "");
    world.broken("c/0.conf");
    world.file("F", "confdir c");
    assert_eq!(
        error(&load(&mut world, PRINT)),
        "Could not open c/0.conf : No such file or directory"
    );
}

#[test]
fn source_directories() {
    let mut world = World::default();
    world.file(
        "a/1.sources",
        "server one iburst\n# c\n\nport 1\nserver bad x\nPOOL two\npeer half",
    );
    world.file("b/1.sources", "server other\n");
    world.file(
        "b/2.sources",
        format!("server three\n#{}\nserver four\n", "x".repeat(3000)),
    );
    world.broken("b/0.sources");
    let dirs = |dirs: &[&str]| vec![dirs.iter().map(|&dir| dir.to_owned()).collect::<Vec<_>>()];
    let names = |sources: Vec<crate::config::SourceConfig>| {
        sources
            .into_iter()
            .map(|source| source.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let sources = source_files(&mut world, &dirs(&["a", "b", "none"]));
    assert_eq!(sources.get(1).map(|source| source.kind), Some(SourceKind::Pool));
    assert_eq!(names(sources), "one two three");
    let ignored = ignored_sources("x", b"# c\n\nserver a\nsevrer b\nport 1\nserver c ibrust\n");
    let seen: Vec<_> = ignored
        .iter()
        .map(|p| (p.error.to_string(), p.suggestion))
        .collect();
    let expected = [
        ("Invalid directive sevrer at line 4 in file x", Some("server")),
        ("Invalid directive port at line 5 in file x", None),
        (
            "Invalid option in server directive at line 6 in file x",
            Some("iburst"),
        ),
    ];
    assert_eq!(seen, expected.map(|(error, meant)| (error.to_owned(), meant)));
    assert_eq!(names(source_files(&mut world, &dirs(&["b"; 11]))), "");
    assert_eq!(names(source_files(&mut world, &dirs(&[]))), "");
}

#[test]
fn all_problems_at_once() {
    let mut world = World::default();
    world.file(
        "F",
        format!(
            "prot 1\n  server  a minpol 5\ninclude b c\ninclude b\nport x\n#{}\n",
            "x".repeat(9000)
        ),
    );
    world.file("b", "port 65536\nlocal stratum\nallow localhost x\n");
    let loaded = load(
        &mut world,
        Options {
            all_problems: true,
            ..PRINT
        },
    );
    assert_eq!(loaded.error, None);
    let marked: Vec<_> = loaded
        .problems
        .iter()
        .map(|p| {
            (
                p.error.to_string(),
                p.written.get(p.at.clone()).unwrap_or("?"),
                p.suggestion,
            )
        })
        .collect();
    let expected = [
        ("Invalid directive prot at line 1 in file F", "prot", Some("port")),
        (
            "Invalid option in server directive at line 2 in file F",
            "minpol",
            Some("minpoll"),
        ),
        (
            "Too many arguments for include directive at line 3 in file F",
            "c",
            None,
        ),
        (
            "Invalid value 65536 in port directive (min 0, max 65535) at line 1 in file b",
            "65536",
            None,
        ),
        ("Invalid value in local directive at line 2 in file b", "", None),
        ("Could not parse allow directive at line 3 in file b", "x", None),
        ("Could not parse port directive at line 5 in file F", "x", None),
        ("String too long at line 6 in file F", "", None),
    ];
    assert_eq!(
        marked,
        expected.map(|(error, word, meant)| (error.to_owned(), word, meant))
    );
}
