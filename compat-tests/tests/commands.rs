//! Commands across versions: every chronyc that people have asks our daemon, and ours asks theirs.

use compat_tests::{
    Chronyd, Finished, Instance, LIMIT, Pair, Programs, finish, old, reference, subject, until,
};

/// A daemon that is synchronised to another one, on a cable.
struct World {
    daemon: Instance,
    _server: Instance,
    cable: Pair,
}

/// How the client reaches the daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Unix,
    Udp4,
    Udp6,
}

impl World {
    fn new(daemon: &Programs) -> Self {
        let cable = Pair::new();
        let server = Chronyd::new(&reference())
            .within(&cable.right)
            .config("local stratum 3\nallow 10.99.0.0/24")
            .start();
        let lines = format!("server {} iburst\nserver {} offline", Pair::RIGHT4, Pair::RIGHT6);
        let daemon = Chronyd::new(daemon).within(&cable.left).config(&lines).start();
        daemon.wait_synchronised(LIMIT);
        until(LIMIT, "the end of the burst", || {
            daemon
                .chronyc(&["-c", "activity"])
                .stdout
                .starts_with("1,1,0,0,0")
                .then_some(())
        });
        Self {
            daemon,
            _server: server,
            cable,
        }
    }

    fn ask(&self, client: &Programs, way: Way, arguments: &[&str]) -> Finished {
        let host = match way {
            Way::Unix => return self.daemon.chronyc_of(client, arguments),
            Way::Udp4 => "127.0.0.1",
            Way::Udp6 => "::1",
        };
        let mut command = self.cable.left.command(&client.chronyc);
        finish(
            command
                .args(client.stay_root())
                .args(["-h", host])
                .args(arguments),
            LIMIT,
        )
    }

    /// The reports of one client over one way.
    fn check(&self, client: &Programs, way: Way) {
        let shown = format!("{} {way:?}", client.chronyc.display());

        let tracking = self.ask(client, way, &["-n", "tracking"]).ok();
        let lines: Vec<(&str, &str)> = tracking
            .lines()
            .map(|line| line.split_once(": ").expect("label and value"))
            .collect();
        let labels = [
            "Reference ID    ",
            "Stratum         ",
            "Ref time (UTC)  ",
            "System time     ",
            "Last offset     ",
            "RMS offset      ",
            "Frequency       ",
            "Residual freq   ",
            "Skew            ",
            "Root delay      ",
            "Root dispersion ",
            "Update interval ",
            "Leap status     ",
        ];
        assert_eq!(lines.iter().map(|l| l.0).collect::<Vec<_>>(), labels, "{shown}");
        assert_eq!(lines[0].1, "0A630002 (10.99.0.2)", "{shown}");
        assert_eq!(lines[1].1, "4", "{shown}");
        assert_eq!(lines[12].1, "Normal", "{shown}");
        assert!(lines[3].1.ends_with(" of NTP time"), "{shown}: {tracking}");

        let sources = self.ask(client, way, &["-n", "sources", "-v"]).ok();
        let (captions, table) = sources
            .split_once("MS Name/IP address         Stratum Poll Reach LastRx Last sample")
            .expect("header");
        assert!(
            captions.starts_with('\n') && captions.lines().count() > 5,
            "{shown}: {sources}"
        );
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), 2, "{shown}: {sources}");
        assert!(
            rows[0].starts_with("^* 10.99.0.2                     3   6 "),
            "{shown}: {sources}"
        );
        let never = "^? fd00:99::2                    0   6     0     -     +0ns[   +0ns] +/-    0ns";
        assert_eq!(rows[1], never, "{shown}");

        let stats = self.ask(client, way, &["-n", "sourcestats", "-v"]).ok();
        let (captions, table) = stats
            .split_once("Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev\n")
            .expect("header");
        assert!(captions.lines().count() > 5, "{shown}: {stats}");
        let rows: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(rows.len(), 2, "{shown}: {stats}");
        assert!(
            rows[0].starts_with("10.99.0.2 ") && rows[0].len() >= 78,
            "{shown}: {stats}"
        );
        let none = "fd00:99::2                  0   0     0     +0.000   2000.000     +0ns  4000ms";
        assert_eq!(rows[1], none, "{shown}");

        let activity = self.ask(client, way, &["activity"]).ok();
        assert_eq!(
            activity,
            "200 OK\n1 sources online\n1 sources offline\n0 sources doing burst (return to online)\n\
             0 sources doing burst (return to offline)\n0 sources with unknown address\n",
            "{shown}"
        );

        // Whoever may look may not change anything, except through the socket.
        let change = self.ask(client, way, &["maxupdateskew", "500"]);
        if way == Way::Unix {
            assert_eq!(change.ok(), "200 OK\n", "{shown}");
        } else {
            assert_eq!(
                (change.code(), change.stdout.as_str()),
                (Some(1), "501 Not authorised\n"),
                "{shown}"
            );
        }
    }
}

#[test]
fn chronyc_of_the_reference_asks_us() {
    let world = World::new(&subject());
    for way in [Way::Unix, Way::Udp4, Way::Udp6] {
        world.check(&reference(), way);
    }
}

#[test]
fn chronyc_4_3_asks_us() {
    let world = World::new(&subject());
    for way in [Way::Unix, Way::Udp4, Way::Udp6] {
        world.check(&old(), way);
    }
}

#[test]
fn our_chronyc_asks_the_reference() {
    let world = World::new(&reference());
    for way in [Way::Unix, Way::Udp4, Way::Udp6] {
        world.check(&subject(), way);
    }
}

#[test]
fn our_chronyc_asks_chrony_4_3() {
    let world = World::new(&old());
    for way in [Way::Unix, Way::Udp4, Way::Udp6] {
        world.check(&subject(), way);
    }
}

#[test]
fn our_chronyc_asks_us() {
    let world = World::new(&subject());
    for way in [Way::Unix, Way::Udp4, Way::Udp6] {
        world.check(&subject(), way);
    }
}

/// A line of CSV without what changes from one moment to the next: of the fields at these places only the form is left.
fn still(line: &str, moving: &[usize]) -> Vec<String> {
    let form = |field: &str| {
        // The number of digits behind the point is the format's, those before it are the value's.
        let digits = field.split_once('.').map(|(_, behind)| behind.len());
        assert!(field.parse::<f64>().is_ok(), "'{field}' in '{line}' is no number");
        format!("number with {digits:?} decimals")
    };
    let fields = line.split(',').enumerate();
    fields
        .map(|(i, field)| {
            if moving.contains(&i) {
                form(field)
            } else {
                field.to_owned()
            }
        })
        .collect()
}

/// What both clients make of the same daemon at nearly the same time. Nothing that is measured can be compared, since it
/// moves between two requests; the tests of recorded replies do that.
#[test]
fn both_clients_print_the_same() {
    let world = World::new(&subject());
    for (arguments, moving) in [
        // All but the source, the stratum and the leap status.
        (["-c", "-n", "tracking"], &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12][..]),
        // Poll, reach, time of the last sample and what it said.
        (["-c", "-n", "sources"], &[4, 5, 6, 7, 8, 9]),
        // All but the name.
        (["-c", "-n", "sourcestats"], &[1, 2, 3, 4, 5, 6, 7]),
        (["-c", "-n", "activity"], &[]),
        (["-c", "-n", "rtcdata"], &[]),
        (["-c", "-n", "smoothing"], &[]),
    ] {
        let (theirs, ours) = (
            world.ask(&reference(), Way::Unix, &arguments),
            world.ask(&subject(), Way::Unix, &arguments),
        );
        assert_eq!(theirs.code(), ours.code(), "{arguments:?}");
        let lines = |text: &str| text.lines().map(|line| still(line, moving)).collect::<Vec<_>>();
        assert_eq!(lines(&theirs.stdout), lines(&ours.stdout), "{arguments:?}");
    }
}

#[test]
fn no_daemon() {
    let client = subject();
    let dir = compat_tests::TempDir::new();
    let socket = dir.join("none.sock");
    let mut command = std::process::Command::new(&client.chronyc);
    let command = command
        .args(client.stay_root())
        .arg("-h")
        .arg(socket)
        .arg("tracking");
    let done = finish(command, LIMIT);
    assert_eq!(done.code(), Some(1));
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        ("", "Could not open connection to daemon\n")
    );
}
