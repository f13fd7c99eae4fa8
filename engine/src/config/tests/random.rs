//! Lines made by chance: nothing panics, what was read is printed.

use super::load_text;
use crate::config::Options;
use proptest::prelude::*;

const ALL: Options = Options {
    restarted: false,
    keep_lines: true,
    all_problems: true,
};

/// Words that lead deep into the parser, and others.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "server",
            "pool",
            "allow",
            "local",
            "refclock",
            "makestep",
            "tempcomp",
            "broadcast",
            "driftfile",
            "ratelimit",
            "hwtimestamp",
            "ntsaeads",
            "log",
            "bindcmdaddress",
            "initstepslew",
            "confdir",
            "include",
            "minpoll",
            "offset",
            "extfield",
            "key",
            "refid",
            "rxfilter",
            "interval",
            "all",
            "stratum",
            "SHM",
            "/",
            "-1",
            "1e",
            "0x1p",
            "nan(",
            "99999999999999999999",
            "1.2.3/8",
            "::1",
            "#",
            "+",
            "-",
        ])
        .prop_map(str::to_owned),
        "[-+]?[0-9]{1,12}[.]?[0-9]{0,3}[a-z]{0,3}",
        "[^ \t\n\u{b}\u{c}\r\0]{1,12}",
    ]
}

proptest! {
    #[test]
    fn lines_are_printed_as_read(words in prop::collection::vec(word(), 1..8), spaces in "[ \t\r]{1,3}") {
        let loaded = load_text(format!("{spaces}{}{spaces}\n", words.join(&spaces)), ALL);
        prop_assert_eq!(loaded.error, None);
        let first = words.first().map_or("", String::as_str);
        let unprinted = first.starts_with(['!', ';', '#', '%'])
            || ["include", "confdir"].iter().any(|name| name.eq_ignore_ascii_case(first));
        let expected = if unprinted { vec![] } else { vec![words.join(" ").into_bytes()] };
        let printed: Vec<_> = loaded.lines.iter().map(crate::config::KeptLine::normalised).collect();
        prop_assert_eq!(printed, expected);
        // What is marked is part of the line as written.
        for problem in loaded.problems {
            prop_assert!(problem.written.get(problem.at).is_some());
        }
    }

    #[test]
    fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..4000)) {
        prop_assert_eq!(load_text(octets, ALL).error, None);
    }
}
