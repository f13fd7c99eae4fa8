//! `sourcedir` and `chronyc reload sources` (`spec/config.md` 4.3): what is read at start, added, removed and kept.

use std::fs;

use compat_tests::{Chronyd, Instance, subject};

/// The messages about sources that came since the last call.
struct Log {
    seen: usize,
}

impl Log {
    fn news(&mut self, daemon: &Instance) -> Vec<String> {
        let log = daemon.log();
        let about = ["Added ", "Removed ", "Could not add "];
        let all: Vec<_> = log
            .lines()
            .filter_map(|line| Some(line.split_once("Z ")?.1.to_owned()))
            .filter(|text| about.iter().any(|start| text.starts_with(start)))
            .collect();
        let new = all.get(self.seen..).unwrap_or_default().to_vec();
        self.seen = all.len();
        new
    }
}

#[test]
fn sources_come_and_go() {
    let daemon = Chronyd::new(&subject());
    let dir = daemon.dir().subdir("sources", 0o755);
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    write(
        "a.sources",
        "server 127.0.0.11 offline\nserver 127.0.0.12 offline minpoll 4\n# comment\n\nrtcsync\n",
    );
    write(
        "b.sources",
        "server 127.0.0.13 offline\nserver 127.0.0.14 offline",
    );
    write(
        "c.sources",
        "server 127.0.0.15 offline\nserver 127.0.0.11 offline minpoll 5\nserver 127.0.0.16 nosuch\n",
    );
    write("d.source", "server 127.0.0.17 offline\n");
    let daemon = daemon
        .config("port 0\ncmdport 0\nserver 127.0.0.15 offline")
        .config(&format!("sourcedir {}", dir.display()))
        .start();
    let mut log = Log { seen: 0 };
    let mut reload = |expected: &[&str]| {
        assert_eq!(daemon.chronyc(&["reload", "sources"]).ok(), "200 OK\n");
        assert_eq!(log.news(&daemon), expected);
    };
    // What was read at start. An address is used once: by chrony.conf, or by the first of the sorted lines.
    reload(&[
        "Added source 127.0.0.11",
        "Could not add source 127.0.0.11 : Already in use",
        "Added source 127.0.0.12",
        "Added source 127.0.0.13",
        "Could not add source 127.0.0.15 : Already in use",
    ]);
    // Nothing has changed, and a failure is told once.
    reload(&[]);
    // The line has its end now; the other one of the file is gone.
    write("b.sources", "server 127.0.0.14 offline\n");
    reload(&["Removed source 127.0.0.13", "Added source 127.0.0.14"]);
    // One as before, one with another option, one new.
    write(
        "a.sources",
        "server 127.0.0.11 offline\nserver 127.0.0.12 offline minpoll 6\nserver 127.0.0.17 offline\n",
    );
    reload(&[
        "Removed source 127.0.0.12",
        "Added source 127.0.0.12",
        "Added source 127.0.0.17",
    ]);
    fs::remove_file(dir.join("a.sources")).unwrap();
    fs::remove_file(dir.join("b.sources")).unwrap();
    fs::remove_file(dir.join("c.sources")).unwrap();
    write("x.sources", "server foo.invalid\npool bar.invalid\n");
    daemon.chronyc(&["reload", "sources"]).ok();
    let mut news = log.news(&daemon);
    let added = news.split_off(news.iter().position(|text| text.starts_with("Added")).unwrap());
    news.sort();
    assert_eq!(
        news,
        ["11", "12", "14", "17"].map(|end| format!("Removed source 127.0.0.{end}"))
    );
    assert_eq!(added[0], "Added pool bar.invalid");
    assert!(
        added[1].starts_with("Added source ID#") && added[1].ends_with(" (foo.invalid)"),
        "{added:?}"
    );
    // What chrony.conf says stays.
    let sources = daemon.chronyc(&["-c", "-n", "sources"]).ok();
    assert!(sources.contains(",127.0.0.15,"), "{sources}");
}
