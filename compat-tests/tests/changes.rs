//! Commands that change something: both clients leave the same state in both daemons, as both clients read it back.

use compat_tests::{Chronyd, Instance, LIMIT, Programs, ours, reference, until};

/// The sources stay offline, so that nothing changes by itself.
const CONFIG: &str = "port 0\ncmdport 0\nserver 127.0.0.99 port 9 offline\nserver 127.0.0.98 port 9 offline trust\n\
     peer 127.0.0.97 port 9 offline minpoll 4 maxpoll 5\nmanual";

/// Lines of commands in groups; after each group the state is read.
const GROUPS: &[&[&str]] = &[
    &[],
    &[
        "add server 127.0.0.91 port 9 offline minpoll 5 maxpoll 9 prefer",
        "add peer 127.0.0.92 port 9 offline minstratum 2 polltarget 12",
        "add server 127.0.0.91 port 9 offline",
        "add server 127.0.0.93 port 9 offline key 7",
        "delete 127.0.0.98",
        "delete 127.0.0.90",
        "sourcename 127.0.0.91",
    ],
    &[
        "minpoll 127.0.0.91 7",
        "maxpoll 127.0.0.91 8",
        "minpoll 127.0.0.97 6",
        "maxdelay 127.0.0.91 0.5",
        "maxdelayratio 127.0.0.91 3",
        "maxdelaydevratio 127.0.0.91 5",
        "minstratum 127.0.0.91 3",
        "polltarget 127.0.0.91 20",
        "minpoll 127.0.0.90 6",
        "offset 127.0.0.91 0.25",
        "selectopts 127.0.0.91 +trust -prefer",
        "selectopts 127.0.0.92 +noselect +require",
        "selectopts 127.0.0.90 +noselect",
    ],
    &[
        "allow 10/8",
        "deny 10.1/16",
        "allow all 10.1.2/24",
        "deny fd00::/16",
        "cmdallow 10.2/16",
        "cmddeny all 10/8",
        "cmdallow 10.3.4.5",
    ],
    &[
        "local stratum 7",
        "maxupdateskew 50",
        "makestep 0.1 3",
        "reselectdist 0.001",
        "reselect",
    ],
    &[
        "local off",
        "manual off",
        "reset sources",
        "refresh",
        "reload sources",
    ],
    &[
        "manual on",
        "manual reset",
        "dump",
        "cyclelogs",
        "rekey",
        "makestep",
        "doffset 0",
        "dfreq 0",
    ],
    &[
        "smoothtime reset",
        "smoothtime activate",
        "trimrtc",
        "writertc",
        "manual delete 3",
    ],
    &[
        "delete 127.0.0.99",
        "delete 127.0.0.97",
        "delete 127.0.0.91",
        "delete 127.0.0.92",
    ],
];

/// What is read, by one client in one go.
const REPORTS: &[&str] = &[
    "sources",
    "sourcestats",
    "selectdata",
    "authdata",
    "activity",
    "manual list",
    "accheck 10.0.0.1",
    "accheck 10.1.0.1",
    "accheck 10.1.2.3",
    "accheck fd00::1",
    "accheck 11.0.0.1",
    "cmdaccheck 10.0.0.1",
    "cmdaccheck 10.2.0.1",
    "cmdaccheck 10.3.4.5",
    "cmdaccheck 127.0.0.1",
    "tracking",
];

/// What a client says to commands.
fn ask(daemon: &Instance, client: &Programs, lines: &[&str]) -> String {
    let done = daemon.chronyc_of(client, &[&["-n", "-c", "-m"], lines].concat());
    format!("{lines:?}: {:?} {:?}\n{}", done.code(), done.stderr, done.stdout)
}

/// The state as a client reads it; of `tracking`, the last line, only who is followed.
fn read(daemon: &Instance, client: &Programs) -> String {
    let state = ask(daemon, client, REPORTS);
    let (start, tracking) = state.trim_end().rsplit_once('\n').expect("several lines");
    let fields: Vec<&str> = tracking.split(',').collect();
    assert_eq!(fields.len(), 14, "{state}");
    format!(
        "{start}\n{}\n",
        [0, 1, 2, 13].map(|field| fields[field]).join(",")
    )
}

/// All that was said while `client` changed things in a daemon, with what each client reads after each group.
fn story(daemon: &Programs, client: &Programs) -> String {
    let daemon = Chronyd::new(daemon).config(CONFIG).start();
    let mut story = String::new();
    for group in GROUPS {
        for line in *group {
            story += &ask(&daemon, client, &[line]);
        }
        // Some of it is done a little later.
        let state = until(LIMIT, "a state that stays", || {
            let (theirs, ours) = (read(&daemon, &reference()), read(&daemon, &ours()));
            (theirs == ours).then_some(ours)
        });
        story += &state;
    }
    story
}

#[test]
fn the_same_state_is_left() {
    let expected = story(&reference(), &reference());
    for (daemon, client) in [(reference(), ours()), (ours(), reference()), (ours(), ours())] {
        let story = story(&daemon, &client);
        for (line, expected) in story.lines().zip(expected.lines()) {
            let asked = format!("{} asks {}", client.chronyc.display(), daemon.chronyd.display());
            assert_eq!(line, expected, "{asked}");
        }
        assert_eq!(story, expected);
    }
}
