//! NTP programs that others have made ask our daemon, and those that also serve are asked by it. None of them may set
//! the clock.

use std::collections::BTreeMap;
use std::process::Command;

use compat_tests::{Chronyd, Instance, LIMIT, Pair, Process, TempDir, finish, subject, time_programs, until};

/// Where our daemon is asked; the address from which it asks is another one, or it would take a client that also serves
/// for one that has its own time.
const SERVER: &str = "10.99.0.22";

const KEYS: &str = "\
1 MD5 HEX:00112233445566778899aabbccddeeff00112233\n\
2 SHA1 HEX:0123456789abcdef0123456789abcdef01234567\n\
3 AES128 HEX:2b7e151628aed2a6abf7158809cf4f3c\n";
/// The same as other programs have it; the last one has another secret.
const THEIR_KEYS: &str = "\
1 MD5 00112233445566778899aabbccddeeff00112233\n\
2 SHA1 0123456789abcdef0123456789abcdef01234567\n\
3 AES 2b7e151628aed2a6abf7158809cf4f3c\n\
4 SHA1 00112233445566778899aabbccddeeff00112233\n";

struct World {
    cable: Pair,
    ours: Instance,
    dir: TempDir,
}

impl World {
    /// Our daemon on the right side, with more lines.
    fn new(lines: &str) -> Self {
        let cable = Pair::new();
        cable
            .right
            .ip(&["addr", "add", &format!("{SERVER}/24"), "dev", "veth0"]);
        let ours = Chronyd::new(&subject());
        let keys = ours.dir().write("keys", format!("{KEYS}4 SHA1 HEX:ffff\n"));
        let ours = ours
            .within(&cable.right)
            .config(&format!(
                "local stratum 3\nallow\nkeyfile {}\n{lines}",
                keys.display()
            ))
            .start();
        let dir = TempDir::new();
        Self { cable, ours, dir }
    }

    fn start(&self, command: &mut Command) -> Process {
        Process::start(command, &self.dir.join("log"))
    }

    /// A number of our `serverstats`.
    fn served(&self, name: &str) -> u64 {
        let stats = self.ours.chronyc(&["serverstats"]).ok();
        let line = stats.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {stats}"));
        line.split(" : ")
            .nth(1)
            .and_then(|n| n.trim().parse().ok())
            .expect("a number")
    }

    /// What we know of the program as a server.
    fn ntp_data(&self) -> BTreeMap<String, String> {
        let text = self.ours.chronyc(&["-n", "ntpdata", Pair::LEFT4]).ok();
        let fields = text.lines().filter_map(|line| line.split_once(" : "));
        fields
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect()
    }

    /// Waits until a number of what we know of the program is at least this.
    fn wait_for(&self, name: &str, least: u32) {
        until(LIMIT, name, || {
            let number: u32 = self.ntp_data().get(name)?.parse().ok()?;
            (number >= least).then_some(())
        });
    }
}

/// The lines with which we ask the program.
fn ask(options: &str) -> String {
    format!("server {} noselect minpoll 0 maxpoll 0 {options}", Pair::LEFT4)
}

#[test]
fn ntpdig_of_ntpsec() {
    let world = World::new("");
    let keys = world.dir.write("keys", THEIR_KEYS);
    let keys = keys.to_str().expect("paths of tests are text");
    let run = |arguments: &[&str]| {
        let mut command = time_programs::ntpdig(&world.cable.left);
        finish(command.args(arguments), LIMIT)
    };
    for address in [SERVER, Pair::RIGHT6] {
        let line = run(&[address]).ok();
        assert!(line.trim_end().ends_with(" s3 no-leap"), "{line}");
    }
    for (number, key) in ["1", "2", "3"].into_iter().enumerate() {
        let line = run(&["-a", key, "-k", keys, SERVER]).ok();
        assert!(line.trim_end().ends_with(" s3 no-leap"), "key {key}: {line}");
        assert_eq!(
            world.served("Authenticated NTP packets"),
            number as u64 + 1,
            "key {key}"
        );
    }
    // Another secret: no reply.
    let done = run(&["-t", "1", "-a", "4", "-k", keys, SERVER]);
    assert!(
        !done.status.success() && !done.stdout.contains(" s3 "),
        "{done:?}"
    );
    assert_eq!(world.served("Authenticated NTP packets"), 3);
    assert_eq!(world.served("NTP packets received"), 6);
}

#[test]
fn ntpd_of_busybox() {
    let world = World::new("");
    let keys = world
        .dir
        .write("keys", "2 SHA1 0123456789abcdef0123456789abcdef01234567\n");
    let mut command = time_programs::busybox(&world.cable.left);
    command.arg("-k").arg(keys);
    command.args(["-p", SERVER, "-p", Pair::RIGHT6]);
    command.args(["-p", &format!("keyno:2:{}", Pair::RIGHT4)]);
    let client = world.start(&mut command);
    for address in [SERVER, Pair::RIGHT6, Pair::RIGHT4] {
        let start = format!("reply from {address}: ");
        until(LIMIT, "replies that busybox takes", || {
            let log = client.log();
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(&start)).collect();
            // On a busy machine it finds some of them too slow.
            let taken = lines.iter().any(|line| line.contains(" strat:3 "));
            (taken && lines.len() >= 2).then_some(())
        });
    }
    assert!(world.served("Authenticated NTP packets") >= 2);
}

#[test]
fn systemd_timesyncd() {
    let world = World::new("");
    let config = format!("[Time]\nNTP={SERVER}\nFallbackNTP=\n");
    let mut command = time_programs::timesyncd(&world.cable.left, &world.dir, &config);
    let mut client = world.start(&mut command);
    client.wait_log(&format!("Contacted time server {SERVER}:123 ({SERVER})."), LIMIT);
    let log = client.log();
    assert!(log.contains("stratum      : 3\n"), "{log}");
    // It would have set the clock.
    assert!(log.contains("clock_adjtime(): Operation not permitted"), "{log}");
}

#[test]
fn ntpd_rs_as_client_and_server() {
    let world = World::new(&ask(""));
    let config = format!(
        "[observability]\nobservation-path = \"{}\"\n\
         [synchronization]\nminimum-agreeing-sources = 1\n\
         [[source]]\nmode = \"server\"\naddress = \"{SERVER}\"\n\
         [[server]]\nlisten = \"{}:123\"\n",
        world.dir.join("observe").display(),
        Pair::LEFT4
    );
    let mut command = time_programs::ntpd_rs(&world.cable.left, &world.dir, &config);
    let mut daemon = world.start(&mut command);
    until(LIMIT, "synchronisation of ntpd-rs", || {
        assert!(daemon.ended().is_none(), "{}", daemon.log());
        let status = time_programs::ntpd_rs_status(&world.dir);
        let follows = status.lines().any(|line| line == "ntp_system_stratum 4");
        (follows && status.contains(&format!("address=\"{SERVER}:123\""))).then_some(())
    });
    world.wait_for("Total good RX", 2);
    assert_eq!(world.ntp_data()["Stratum"], "4");
}

#[test]
fn ntpd_of_ntpsec_as_client_and_server() {
    let world = World::new(&ask("key 3"));
    let keys = world.dir.write("keys", THEIR_KEYS);
    let config = format!(
        "server {SERVER} key 2 iburst minpoll 3 maxpoll 3\nkeys {}\ntrustedkey 1 2 3\nlogconfig =allall\n",
        keys.display()
    );
    let mut command = time_programs::ntpsec(&world.cable.left, &world.dir, &config);
    let mut daemon = world.start(&mut command);
    daemon.wait_log(" sys_peer", LIMIT);
    assert!(world.served("Authenticated NTP packets") >= 3);
    world.wait_for("Total valid RX", 2);
    assert_eq!(world.ntp_data()["Authenticated"], "Yes");
}

#[test]
fn openntpd_as_client_and_server() {
    let world = World::new(&ask(""));
    let config = format!("server {SERVER}\nlisten on {}\n", Pair::LEFT4);
    let mut command = time_programs::openntpd(&world.cable.left, &world.dir, &config);
    let mut daemon = world.start(&mut command);
    daemon.wait_log(&format!("peer {SERVER} now valid"), LIMIT * 2);
    // It never takes the clock for set, so its time is no good.
    world.wait_for("Total valid RX", 2);
}
