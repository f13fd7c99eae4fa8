//! The configuration language: what `chronyd -p` prints, refuses and warns about, for real files and for random
//! ones beside the reference.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use compat_tests::programs::workspace;
use compat_tests::{LIMIT, Programs, TempDir, finish, reference, subject};

#[path = "config/check.rs"]
mod check;
#[path = "config/own.rs"]
mod own;
#[path = "config/tables.rs"]
mod tables;

/// What `chronyd -p` leaves behind.
#[derive(Debug, Eq, PartialEq)]
struct Printed {
    code: Option<i32>,
    stdout: String,
    /// Without time stamps.
    messages: Vec<String>,
}

fn print(programs: &Programs, dir: &Path, arguments: &[&str]) -> Printed {
    let mut command = Command::new(&programs.chronyd);
    let done = finish(command.arg("-p").args(arguments).current_dir(dir), LIMIT);
    let message = |line: &str| line.split_once("Z ").map_or(line, |(_, text)| text).to_owned();
    Printed {
        code: done.code(),
        messages: done.stderr.lines().map(message).collect(),
        stdout: done.stdout,
    }
}

/// The files that were found in public, with what chrony makes of them. They are not part of this repository.
fn corpus() -> Option<PathBuf> {
    let dir = env::var_os("TRUECHIMER_CORPUS")
        .map_or_else(|| workspace().join("../shared/corpus/chrony-conf"), PathBuf::from);
    if dir.join("expected.tsv").is_file() {
        return Some(dir);
    }
    assert!(env::var_os("CI").is_none(), "no corpus in {}", dir.display());
    eprintln!(
        "no corpus in {}: real configuration files are not tested",
        dir.display()
    );
    None
}

#[test]
fn real_files() {
    let Some(dir) = corpus() else {
        return;
    };
    let expected = fs::read_to_string(dir.join("expected.tsv")).unwrap();
    let mut files = 0;
    for row in expected.lines().skip(1) {
        let fields: Vec<_> = row.split('\t').collect();
        let (number, code, error, depends) = (fields[0], fields[1], fields[2], fields[5]);
        let file = format!("{number}.conf");
        let seen = print(&subject(), &dir, &["-f", &file]);
        files += 1;
        if depends == "environment" {
            // Files and names that are elsewhere on this machine.
            assert_eq!(seen, print(&reference(), &dir, &["-f", &file]), "{file}");
            continue;
        }
        let stdout = fs::read(dir.join(format!("printed/{number}.txt"))).unwrap();
        assert_eq!(seen.stdout, String::from_utf8_lossy(&stdout), "{file}");
        assert_eq!(
            seen.code.map(|code| code.to_string()).as_deref(),
            Some(code),
            "{file}"
        );
        let fatal = seen.messages.iter().find(|text| text.starts_with("Fatal error"));
        let first = fatal.or(seen.messages.first()).map_or("-", String::as_str);
        assert_eq!(first, error, "{file}");
        let stderr = fs::read(dir.join(format!("printed/{number}.stderr.txt"))).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr);
        assert_eq!(seen.messages, stderr.lines().collect::<Vec<_>>(), "{file}");
    }
    assert!(files > 100, "only {files} files");
}

#[test]
fn our_example_is_accepted() {
    let example = workspace().join("examples/chrony.conf");
    let example = example.to_str().unwrap();
    for programs in [subject(), reference()] {
        let seen = print(&programs, Path::new("/"), &["-f", example]);
        assert_eq!((seen.code, seen.messages.as_slice()), (Some(0), [].as_slice()));
        assert!(seen.stdout.contains("\nmakestep 1 3\n"));
    }
}

#[test]
fn a_hundred_thousand_lines() {
    let dir = TempDir::new();
    let mut text = String::new();
    for i in 0..25_000 {
        text += &format!("server host{i}.example iburst minpoll 4 maxpoll 6 offset 1e-3\n# comment {i}\n");
        text += &format!("allow 10.{}.{}.0/24\nmaxdistance {i}.5\n", i / 250 % 250, i % 250);
    }
    let conf = dir.write("chrony.conf", &text);
    let programs = subject();
    let start = Instant::now();
    let seen = print(&programs, &dir, &["-f", conf.to_str().unwrap()]);
    let took = start.elapsed();
    assert_eq!((seen.code, seen.stdout.lines().count()), (Some(0), 75_000));
    // A fraction of a second; quadratic, it would be many minutes.
    assert!(took < LIMIT, "took {took:?}");
}

/// xorshift: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Directives with the kinds of their arguments: i integer, f number, w word, a address, n access rule, o options of
/// a source, r of a reference clock, l of `local`, h of `hwtimestamp`, t rate limit, `*` more of the same.
#[rustfmt::skip]
const DIRECTIVES: &[(&str, &str)] = &[
    ("acquisitionport", "i"), ("allow", "n"), ("authselectmode", "w"), ("bindacqaddress", "a"),
    ("bindacqdevice", "w"), ("bindaddress", "a"), ("bindcmdaddress", "a"), ("bindcmddevice", "w"),
    ("binddevice", "w"), ("broadcast", "iai"), ("clientloglimit", "i"), ("clockprecision", "f"),
    ("cmdallow", "n"), ("cmddeny", "n"), ("cmdport", "i"), ("cmdratelimit", "t"), ("combinelimit", "f"),
    ("commandkey", "w"), ("confdir", "p*"), ("corrtimeratio", "f"), ("deny", "n"), ("driftfile", "wwi"),
    ("driftfile", "w"), ("dscp", "i"), ("dumpdir", "w"), ("dumponexit", "w*"), ("fallbackdrift", "ii"),
    ("generatecommandkey", ""), ("hwclockfile", "w"), ("hwtimestamp", "wh"), ("hwtstimeout", "f"),
    ("include", "p"), ("initstepslew", "fa"), ("keyfile", "w"), ("leapseclist", "w"), ("leapsecmode", "w"),
    ("leapsectz", "w"), ("linux_freq_scale", "f"), ("linux_hz", "i"), ("local", "l"), ("lock_all", ""),
    ("log", "w*"), ("logbanner", "i"), ("logchange", "f"), ("logdir", "w"), ("mailonchange", "wf"),
    ("makestep", "fi"), ("manual", ""), ("maxchange", "fii"), ("maxclockerror", "f"), ("maxdistance", "f"),
    ("maxdrift", "f"), ("maxjitter", "f"), ("maxntsconnections", "i"), ("maxsamples", "i"),
    ("maxslewrate", "f"), ("maxstratum", "i"), ("maxtxbuffers", "i"), ("maxupdateskew", "f"),
    ("minsamples", "i"), ("minsources", "i"), ("minstratum", "i"), ("nocerttimecheck", "i"),
    ("noclientlog", ""), ("nosystemcert", ""), ("ntpsigndsocket", "w"), ("ntsaeads", "i*"),
    ("ntscachedir", "w"), ("ntsdumpdir", "w"), ("ntsntpserver", "w"), ("ntsport", "i"),
    ("ntsprocesses", "i"), ("ntsratelimit", "t"), ("ntsrefresh", "i"), ("ntsrotate", "i"),
    ("ntsservercert", "w"), ("ntsserverkey", "w"), ("ntstrustedcerts", "iw"), ("ntstrustedcerts", "w"),
    ("opencommands", "w*"), ("peer", "wo"), ("pidfile", "w"), ("pool", "wo"), ("port", "i"),
    ("ptpdomain", "i"), ("ptpport", "i"), ("ratelimit", "t"), ("refclock", "wwr"), ("refresh", "i"),
    ("reselectdist", "f"), ("rtcautotrim", "f"), ("rtcdevice", "w"), ("rtcfile", "w"), ("rtconutc", ""),
    ("rtcsync", ""), ("sched_priority", "i"), ("server", "wo"), ("smoothtime", "ffw"), ("smoothtime", "ff"),
    ("sourcedir", "p*"), ("stratumweight", "f"), ("tempcomp", "wffffff"), ("tempcomp", "wfw"),
    ("user", "w"), ("server", "wo"), ("refclock", "wwr"), ("allow", "n"), ("local", "l"),
    ("hwtimestamp", "wh"),
];

#[rustfmt::skip]
const INTEGERS: &[&str] = &[
    "0", "1", "-1", "2", "4", "5x", "10", "16", "17", "+3", "032", "-7", "-33", "64", "100", "123", "255",
    "256", "65535", "65536", "1048577", "2147483647", "2147483648", "-2147483649", "4294967295",
    "4294967296", "99999999999", "99999999999999999999", "0x10", "1e3", "1.5", "F323", "0xF324", "10a", "x",
    "-", "+-1", "3,4",
];
#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "0", "1", "-1.5", ".5", "1.", "1e3", "1e", "1e+", "1e-3x", "0x1p-3", "0x", "0x.8", "0x1p", "inf",
    "infx", "infi", "-infinity", "nan", "nan(1)", "nan(", "nanx", "1,5", "1.5abc", ".", "-", "+2", "1e999",
    "-1e-999", "0X1.8P+1",
];
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "a.b", "/a", "\"/a", "SHM", "PPS", "0", "eth0", "*", "iburst", "interval", "INTERVAL", "leaponly",
    "LeapOnly", "system", "Step", "slew", "ignore", "mix", "REQUIRE", "prefer", "tracking", "Tracking",
    "sources", "rtcdata", "measurements", "rtc", "refclocks", "tempcomp", "selection", "#", "GPS", "ABCDE",
    "1.2.3.4", "all", "!", "none",
];
#[rustfmt::skip]
const ADDRESSES: &[&str] = &[
    "1.2.3.4", "::1", "::ffff:1.2.3.4", "01.2.3.4", "1.2.3", "/", "/a/b", "fe80::1%lo", "[::1]",
    "1.2.3.4:5", "::1.2", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "255.255.255.255", "256.1.1.1", "::",
    "0.0.0.0", "1::2::3", "::00001",
];
#[rustfmt::skip]
const SUBNETS: &[&str] = &[
    "", "all", "1", "1.2", "1.2.3", "1.2.3.4", "1.2.3.4/24", "1.2/33", "0/0", "::/0", "2001:db8::/129",
    "1.2.3.0/+24", "1.2.3.0/-1", "1/24x", "1/", "/8", "256", "4294967297", "+1", "010.1", "::1/64", "1.256",
    "1.2.3/024", "ALL/8", "1.2.3.4/24/8", "1/99999999999", "1/99999999999999999999", "localhost",
    "localhost/8", "-1/8", "1.-2/8", "1..2/8",
];
#[rustfmt::skip]
const PATHS: &[&str] = &[
    "d", "d/", "e", "none", "d/*.conf", "d/1*", "d/[12].conf", "d/[!1]*", "none/*.conf", "?/1.conf",
    "d/1.conf", "d/none", "*/none/*", "e/./*.conf", "d\\/1.conf", "[d", "d/*.none", "f/*", "f",
    "d/../e/?.conf", "d/[[:digit:]].conf",
];
#[rustfmt::skip]
const SOURCE: &[&str] = &[
    "minpoll i", "maxpoll i", "iburst", "burst", "key i", "nts", "certset i", "maxntsretry i", "maxdelay f",
    "maxdelayratio f", "maxdelaydevratio f", "maxdelayquant f", "mindelay f", "asymmetry f", "offset f",
    "minsamples i", "maxsamples i", "maxunreach i", "filter i", "offline", "auto_offline", "prefer",
    "noselect", "trust", "require", "xleave", "polltarget i", "port i", "ntsport i", "presend i",
    "minstratum i", "version i", "copy", "extfield i", "ipv4", "ipv6", "maxsources i", "optional", "foo",
];
#[rustfmt::skip]
const REFCLOCK: &[&str] = &[
    "poll i", "dpoll i", "refid w", "lock w", "rate i", "maxlockage i", "width f", "pps", "offset f",
    "delay f", "stratum i", "precision f", "maxdispersion f", "filter i", "prefer", "noselect", "trust",
    "require", "tai", "local", "minsamples i", "maxsamples i", "maxunreach i", "optional", "xleave",
];
#[rustfmt::skip]
const LOCAL: &[&str] = &[
    "stratum i", "orphan", "distance f", "activate f", "waitsynced f", "waitunsynced f", "foo",
];
const LIMITS: &[&str] = &["interval i", "burst i", "leak i", "kod i", "foo i"];
#[rustfmt::skip]
const TIMESTAMPS: &[&str] = &[
    "minpoll i", "maxpoll i", "minsamples i", "maxsamples i", "precision f", "txcomp f", "rxcomp f",
    "nocrossts", "rxfilter w", "foo",
];

fn value(random: &mut Random, kind: char) -> String {
    // Now and then something else.
    let kind = if random.chance(8) {
        ['i', 'f', 'w', 'a'][random.below(4)]
    } else {
        kind
    };
    match kind {
        'i' if random.chance(60) => random.below(12).to_string(),
        'i' => random.of(INTEGERS).to_owned(),
        'f' if random.chance(50) => format!("{}.{}", random.below(10), random.below(10)),
        'f' => random.of(NUMBERS).to_owned(),
        'a' => random.of(ADDRESSES).to_owned(),
        'n' if random.chance(30) => format!("all {}", random.of(SUBNETS)),
        'n' => random.of(SUBNETS).to_owned(),
        'p' => random.of(PATHS).to_owned(),
        'o' => options(random, SOURCE),
        'r' => options(random, REFCLOCK),
        'l' => options(random, LOCAL),
        't' => options(random, LIMITS),
        'h' => options(random, TIMESTAMPS),
        _ => random.of(WORDS).to_owned(),
    }
}

fn options(random: &mut Random, table: &[&str]) -> String {
    let mut text = String::new();
    for _ in 0..random.below(5) {
        let option = random.of(table);
        let (name, kind) = option.split_once(' ').unwrap_or((option, ""));
        text += &changed(random, name);
        for kind in kind.chars() {
            text += " ";
            text += &value(random, kind);
        }
        // An option may follow a number directly.
        text += if random.chance(4) { "" } else { " " };
    }
    text
}

/// Mostly the same, else in other case or misspelt.
fn changed(random: &mut Random, word: &str) -> String {
    match random.below(40) {
        0 => word.to_uppercase(),
        1 => word.chars().rev().collect(),
        2 => format!("{word}x"),
        _ => word.to_owned(),
    }
}

fn line(random: &mut Random) -> String {
    let (directive, kinds) = DIRECTIVES[random.below(DIRECTIVES.len())];
    let mut words = vec![changed(random, directive)];
    let mut kinds: Vec<_> = kinds.chars().collect();
    if kinds.last() == Some(&'*') {
        kinds.pop();
        let kind = kinds.pop().unwrap();
        kinds.extend(vec![kind; random.below(13)]);
    }
    if random.chance(5) {
        kinds.push('w');
    }
    if random.chance(5) {
        kinds.pop();
    }
    words.extend(kinds.into_iter().map(|kind| value(random, kind)));
    let spaces = random.of(&[" ", " ", " ", "  ", "\t", " \r"]);
    let comment = if random.chance(2) {
        random.of(&["# ", ";", "!", " %"])
    } else {
        ""
    };
    format!("{comment}{}", words.join(spaces))
}

/// Now and then with an octet above 127 or a control character, or with a line about as long as one may be.
fn disturbed(random: &mut Random, mut text: Vec<u8>) -> Vec<u8> {
    if random.chance(5) {
        let at = random.below(text.len());
        text[at] = u8::try_from(128 + random.below(128)).unwrap();
    }
    if random.chance(3) {
        text.insert(random.below(text.len()), [0, 1, 7, 11, 12, 127][random.below(6)]);
    }
    if random.chance(4) {
        let end = text
            .iter()
            .position(|&octet| octet == b'\n')
            .unwrap_or(text.len());
        let missing = (2040 + random.below(16)).saturating_sub(end);
        let filling = [b' ', b'\t', b'x', b'0'][random.below(4)];
        text.splice(end..end, vec![filling; missing]);
    }
    text
}

#[test]
fn random_files_beside_the_reference() {
    let rounds = env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(300);
    let seed = env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x2545_f491_4f6c_dd1d);
    let mut random = Random(seed);
    let dir = TempDir::new();
    for (name, text) in [
        ("d/1.conf", "port 1\n"),
        ("d/2.conf", "foo"),
        ("e/1.conf", "include d/1.conf\nport 3"),
        ("f", "x"),
    ] {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (ours, theirs) = (subject(), reference());
    let mut accepted = 0;
    for round in 0..rounds {
        let lines: Vec<_> = (0..1 + random.below(4)).map(|_| line(&mut random)).collect();
        let (by_us, by_them, text) = if random.chance(20) {
            let arguments: Vec<_> = std::iter::once("--")
                .chain(lines.iter().map(String::as_str))
                .collect();
            (
                print(&ours, &dir, &arguments),
                print(&theirs, &dir, &arguments),
                lines.join("|"),
            )
        } else {
            let end = if random.chance(80) { "\n" } else { "" };
            let text = lines.join(random.of(&["\n", "\r\n", "\n\n"])) + end;
            let text = disturbed(&mut random, text.into());
            dir.write("chrony.conf", &text);
            let text = String::from_utf8_lossy(&text).into_owned();
            let arguments = ["-f", "chrony.conf"];
            (
                print(&ours, &dir, &arguments),
                print(&theirs, &dir, &arguments),
                text,
            )
        };
        accepted += usize::from(by_them.code == Some(0));
        assert_eq!(by_us, by_them, "round {round}:\n{text}");
    }
    // A comparison of errors alone would not be worth much.
    assert!(accepted * 5 > rounds, "only {accepted} of {rounds} were accepted");
}
