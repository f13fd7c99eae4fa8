//! The files below `logdir`, ours beside chrony's: header, banner, and every column as `spec/files-and-security.md`
//! section 4 gives its width and form. Whoever reads chrony's logs by column or by pattern reads ours.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use compat_tests::{Chronyd, Instance, LIMIT, Namespace, Programs, ours, reference, until};
use regex_lite::Regex;

/// Entries between two banners in these tests.
const BANNER: usize = 3;

/// One column: what is between the one before and it, its pattern, its least width, and which side it sticks to.
#[derive(Clone, Copy)]
struct Column {
    before: &'static str,
    pattern: &'static str,
    width: usize,
    left: bool,
}

const fn right(before: &'static str, pattern: &'static str, width: usize) -> Column {
    Column {
        before,
        pattern,
        width,
        left: false,
    }
}

const fn left(before: &'static str, pattern: &'static str, width: usize) -> Column {
    Column {
        before,
        pattern,
        width,
        left: true,
    }
}

const DATE: Column = left("", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", 19);
const ADDRESS: Column = left(" ", r"[0-9a-f.:]+", 15);
const LEAP: Column = left(" ", "[N+?-]", 1);
/// `%10.3e`
const fn float(before: &'static str) -> Column {
    right(before, r"-?(?:\d\.\d{3}e[+-]\d{2,}|nan|inf)", 10)
}

const MEASUREMENTS: &[Column] = &[
    DATE,
    ADDRESS,
    LEAP,
    right(" ", r"\d+", 2),
    left(" ", "[01]{3}", 3),
    left(" ", "[01]{3}", 3),
    left(" ", "[01]{4}", 4),
    right("  ", r"-?\d+", 2),
    right(" ", r"-?\d+", 2),
    right(" ", r"-?\d+\.\d\d", 4),
    float(" "),
    float(" "),
    float(" "),
    float(" "),
    float(" "),
    left(" ", "[0-9A-F]{8}", 8),
    left(" ", "[1-6]", 1),
    left("", "[BI]", 1),
    left(" ", "[DKH]", 1),
    left(" ", "[DKH]", 1),
];
const STATISTICS: &[Column] = &[
    DATE,
    ADDRESS,
    float(" "),
    float(" "),
    float(" "),
    float(" "),
    float(" "),
    right(" ", r"-?(?:\d\.\de[+-]\d{2,}|nan|inf)", 7),
    right(" ", r"\d+", 3),
    right(" ", r"\d+", 3),
    right(" ", r"\d+", 3),
    right(" ", r"-?\d+\.\d\d", 5),
];
const SELECTION: &[Column] = &[
    DATE,
    ADDRESS,
    left(" ", r"[A-Za-z*+#~?@-]", 1),
    left(" -", "[N-]", 1),
    left("", "[P-]", 1),
    left("", "[T-]", 1),
    left("", "[R-]", 1),
    right(" ", "[0-7]{1,3}", 4),
    right(" ", r"-?\d+\.\d\d", 5),
    float(" "),
    float(" "),
    float(" "),
];
const TRACKING: &[Column] = &[
    DATE,
    ADDRESS,
    right(" ", r"\d+", 2),
    right(" ", r"-?\d+\.\d{3}", 10),
    right(" ", r"\d+\.\d{3}", 10),
    float(" "),
    LEAP,
    right(" ", r"\d+", 2),
    float(" "),
    float(" "),
    float(" "),
    float(" "),
    float(" "),
];
/// `%13.6e`
const LONG_FLOAT: &str = r"-?\d\.\d{6}e[+-]\d{2,}";
const REFCLOCKS_RAW: &[Column] = &[
    DATE,
    left(".", r"\d{6}", 6),
    left(" ", r"\S+", 5),
    right(" ", r"\d+", 3),
    LEAP,
    left(" ", "[01]", 1),
    right(" ", LONG_FLOAT, 13),
    right(" ", LONG_FLOAT, 13),
    float(" "),
];
const REFCLOCKS_FILTERED: &[Column] = &[
    DATE,
    left(".", r"\d{6}", 6),
    left(" ", r"\S+", 5),
    left("   -", " ", 1),
    left("", "[N+?-]", 1),
    right(" -       -       ", LONG_FLOAT, 13),
    float(" "),
];

/// The fields of a line; what is wrong with it otherwise.
fn parse(line: &str, columns: &[Column]) -> Result<Vec<String>, String> {
    let mut rest = line;
    let mut fields = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let wrong = |what: &str| {
            format!(
                "column {number} ({}): {what} in '{line}' at '{rest}'",
                column.pattern
            )
        };
        let text = rest
            .strip_prefix(column.before)
            .ok_or_else(|| wrong("nothing before it"))?;
        let pattern = if column.left {
            format!("^({}) *", column.pattern)
        } else {
            format!("^ *({})", column.pattern)
        };
        let found = Regex::new(&pattern)
            .unwrap()
            .captures(text)
            .ok_or_else(|| wrong("other form"))?;
        let (whole, field) = (found.get(0).unwrap(), found.get(1).unwrap());
        // Padded to the width, and not more; what is longer is not padded at all.
        let length = whole.len().min(column.width.max(field.len()));
        if length < column.width || !column.left && whole.len() > length {
            return Err(wrong("other width"));
        }
        fields.push(field.as_str().to_owned());
        rest = &text[length..];
    }
    if rest.is_empty() {
        Ok(fields)
    } else {
        Err(format!("'{rest}' is left over in '{line}'"))
    }
}

/// A log: three lines of banner before every third entry, and the entries.
struct Log {
    banner: [String; 3],
    entries: Vec<Vec<String>>,
}

fn read(path: &Path, columns: &[&[Column]]) -> Log {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let banner = [lines[0].to_owned(), lines[1].to_owned(), lines[2].to_owned()];
    assert_eq!(
        (&banner[0], &banner[0]),
        (&"=".repeat(banner[1].len()), &banner[2])
    );
    let mut entries = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let place = number % (BANNER + 3);
        if place < 3 {
            assert_eq!(*line, banner[place], "line {number} of {text}");
        } else {
            let tries: Vec<_> = columns.iter().map(|columns| parse(line, columns)).collect();
            let good = tries.iter().find_map(|result| result.clone().ok());
            entries.push(good.unwrap_or_else(|| panic!("{tries:#?}")));
        }
    }
    Log { banner, entries }
}

const LOGS: [(&str, &[Column]); 4] = [
    ("measurements", MEASUREMENTS),
    ("statistics", STATISTICS),
    ("selection", SELECTION),
    ("tracking", TRACKING),
];

/// A server that is right, and one that does not know the time.
fn servers(namespace: &Namespace) -> [Instance; 2] {
    let server = |lines: &str| Chronyd::new(&ours()).config(lines).within(namespace).start();
    [
        server("local stratum 4\nallow\nport 11123\ncmdport 0"),
        server("allow\nport 11124\ncmdport 0"),
    ]
}

fn client(programs: &Programs, namespace: &Namespace, lines: &str) -> Instance {
    let usual = "port 0\ncmdport 0\nserver 127.0.0.1 port 11123 iburst minpoll -2 maxpoll -2 trust\n\
                 server ::1 port 11123 iburst minpoll -2 maxpoll -2\n\
                 server 127.0.0.2 port 11124 minpoll -2 maxpoll -2";
    let daemon = Chronyd::new(programs).within(namespace);
    daemon.config(usual).config(lines).start()
}

/// Waits until every log has so many lines, and some of every source that it has lines of.
fn wait_for_lines(daemon: &Instance, count: usize, raw: bool) {
    for (name, _) in LOGS {
        let path = daemon.dir.join(format!("logs/{name}.log"));
        until(LIMIT, &format!("lines of {}", path.display()), || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let all = sources(name, raw)
                .iter()
                .all(|source| text.contains(&format!(" {source} ")));
            (all && text.lines().count() >= count).then_some(())
        });
    }
}

/// Whose lines a log has. Which source is selected depends on the moment.
fn sources(log: &str, raw: bool) -> &'static [&'static str] {
    match log {
        "measurements" if raw => &["127.0.0.1", "127.0.0.2", "::1"],
        "selection" => &["127.0.0.1", "127.0.0.2", "::1"],
        "measurements" | "statistics" => &["127.0.0.1", "::1"],
        _ => &[],
    }
}

fn values(log: &Log, column: usize) -> BTreeSet<&str> {
    log.entries.iter().map(|entry| entry[column].as_str()).collect()
}

/// The value that is there most often.
fn usual(log: &Log, column: usize) -> &str {
    let count = |value: &str| log.entries.iter().filter(|entry| entry[column] == value).count();
    values(log, column)
        .into_iter()
        .max_by_key(|value| count(value))
        .unwrap()
}

#[test]
fn columns_and_banners() {
    let namespace = Namespace::new();
    let _servers = servers(&namespace);
    let lines = format!("log rawmeasurements statistics selection tracking\nlogbanner {BANNER}");
    let programs = [ours(), reference()];
    let mut daemons = programs.map(|programs| client(&programs, &namespace, &lines));
    for daemon in &daemons {
        wait_for_lines(daemon, 30, true);
    }
    for daemon in &mut daemons {
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    }
    for (name, columns) in LOGS {
        let [ours, theirs] = daemons
            .each_ref()
            .map(|daemon| read(&daemon.dir.join(format!("logs/{name}.log")), &[columns]));
        assert_eq!(ours.banner, theirs.banner);
        let expected: BTreeSet<&str> = sources(name, true).iter().copied().collect();
        if !expected.is_empty() {
            assert_eq!(
                (values(&ours, 1), values(&theirs, 1)),
                (expected.clone(), expected),
                "{name}"
            );
        }
        // What does not depend on the moment is the same: leap, stratum, polls, reference ID, mode, timestamps...
        let same: &[usize] = match name {
            "measurements" => &[2, 3, 4, 5, 7, 8, 15, 16, 17, 18, 19],
            "selection" => &[3, 4, 6],
            "tracking" => &[2, 6],
            _ => &[],
        };
        for &column in same {
            assert_eq!(
                usual(&ours, column),
                usual(&theirs, column),
                "column {column} of {name}"
            );
        }
    }
}

#[test]
fn only_good_measurements_without_raw() {
    let namespace = Namespace::new();
    let _servers = servers(&namespace);
    for (word, raw) in [("measurements", false), ("rawmeasurements", true)] {
        for programs in [ours(), reference()] {
            let lines = format!("log {word} statistics selection tracking\nlogbanner {BANNER}");
            let mut daemon = client(&programs, &namespace, &lines);
            wait_for_lines(&daemon, 12, raw);
            assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
            let log = read(&daemon.dir.join("logs/measurements.log"), &[MEASUREMENTS]);
            assert_eq!(values(&log, 1).contains("127.0.0.2"), raw, "{:?}", log.entries);
            if !raw {
                assert_eq!([usual(&log, 4), usual(&log, 5)], ["111", "111"]);
                assert!(values(&log, 4).len() == 1 && values(&log, 5).len() == 1);
            }
        }
    }
}

#[test]
fn logs_are_cycled_and_banners_left_out() {
    let namespace = Namespace::new();
    let _servers = servers(&namespace);
    for programs in [ours(), reference()] {
        for (banner, first) in [("logbanner 0", false), ("", true)] {
            let lines = format!("log measurements statistics selection tracking\n{banner}");
            let daemon = client(&programs, &namespace, &lines);
            wait_for_lines(&daemon, 8, false);
            let path = |name: &str| daemon.dir.join(format!("logs/{name}.log"));
            for (name, _) in LOGS {
                fs::rename(path(name), daemon.dir.join(format!("logs/{name}.old"))).unwrap();
            }
            assert_eq!(daemon.chronyc(&["cyclelogs"]).ok(), "200 OK\n");
            let old = |name: &str| fs::read_to_string(daemon.dir.join(format!("logs/{name}.old"))).unwrap();
            let before = LOGS.map(|(name, _)| old(name));
            wait_for_lines(&daemon, 6, false);
            for ((name, columns), before) in LOGS.into_iter().zip(before) {
                let text = fs::read_to_string(path(name)).unwrap();
                assert_eq!(text.starts_with("===="), first, "{text}");
                assert_eq!(
                    text.matches("====\n   Date (UTC) Time").count(),
                    usize::from(first),
                    "{text}"
                );
                let entries = text.lines().skip(if first { 3 } else { 0 }).take(3);
                for line in entries {
                    parse(line, columns).unwrap();
                }
                assert_eq!(old(name), before, "nothing more for the old one");
            }
        }
    }
}

/// Of chrony alone, as this build has no reference clocks: what the document says about their log. Our lines are held
/// against the document where they are made.
#[test]
fn reference_clocks() {
    let daemon = Chronyd::new(&reference());
    let path = daemon.dir().join("clock");
    let lines = format!(
        "port 0\ncmdport 0\nlog refclocks\nlogbanner {BANNER}\nrefclock SOCK {} refid GPS poll -2 filter 2 precision 1e-6",
        path.display()
    );
    let mut daemon = daemon.config(&lines).start();
    let socket = UnixDatagram::unbound().unwrap();
    let log = daemon.dir.join("logs/refclocks.log");
    let start = Instant::now();
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < 24 {
        assert!(start.elapsed() < LIMIT, "{}", daemon.log());
        socket.send_to(&sample(1.2e-5), &path).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    let text = fs::read_to_string(&log).unwrap();
    let whole = text.lines().count() / 6 * 6;
    let cut: String = text.lines().take(whole).map(|line| format!("{line}\n")).collect();
    fs::write(daemon.dir.join("cut"), cut).unwrap();
    let log = read(&daemon.dir.join("cut"), &[REFCLOCKS_RAW, REFCLOCKS_FILTERED]);
    assert_eq!(
        log.banner[1],
        "   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp."
    );
    let lengths: BTreeSet<usize> = log.entries.iter().map(Vec::len).collect();
    assert_eq!(lengths.len(), 2, "both kinds of lines: {text}");
    assert!(log.entries.iter().all(|entry| entry[2] == "GPS"), "{text}");
}

/// What a SOCK reference clock gets: time (two 64-bit numbers), offset, pulse, leap, padding, magic number.
fn sample(offset: f64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(i64::try_from(now.as_secs()).unwrap().to_ne_bytes());
    bytes.extend(i64::from(now.subsec_micros()).to_ne_bytes());
    bytes.extend(offset.to_ne_bytes());
    for number in [0_i32, 0, 0, 0x534f_434b] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes
}
