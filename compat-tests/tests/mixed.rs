//! Ours and chrony side by side, each both server and client of the other: every way of asking at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use compat_tests::{Chronyd, Instance, Pair, Programs, reference, subject, until, within};

/// For all that must come. A source is asked four times a second; a slow machine gets its time.
const LIMIT: Duration = Duration::from_secs(120);

const KEYS: &str = "\
1 MD5 ASCII:md5-secret-key\n\
2 SHA1 HEX:000102030405060708090A0B0C0D0E0F10111213\n\
3 SHA256 HEX:202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F\n\
4 AES128 HEX:2B7E151628AED2A6ABF7158809CF4F3C\n\
5 AES256 HEX:603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4\n\
6 SHA512 HEX:404142434445464748494A4B4C4D4E4F\n\
7 SHA384 HEX:505152535455565758595A5B5C5D5E5F\n\
8 SHA3-256 HEX:00112233445566778899AABBCCDDEEFF\n\
9 SHA3-224 HEX:606162636465666768696A6B6C6D6E6F\n\
10 SHA3-384 HEX:707172737475767778797A7B7C7D7E7F\n\
11 SHA3-512 HEX:808182838485868788898A8B8C8D8E8F\n";

/// What must become of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Good samples.
    Good,
    /// Good samples of authenticated packets.
    Secure,
    /// Good samples in interleaved mode.
    Interleaved,
    /// Both.
    SecureInterleaved,
    /// No valid packet, though it is asked.
    Silent,
}

use Fate::{Good, Interleaved, Secure, SecureInterleaved, Silent};

/// Options of `server`, of which each has an address of its own, from the last octet [`FIRST`] on.
const SERVERS: &[(&str, Fate)] = &[
    ("", Good),
    ("version 1", Good),
    ("version 2", Good),
    ("version 3", Good),
    ("key 1", Secure),
    ("key 2", Secure),
    ("key 3", Secure),
    ("key 3 version 4", Secure),
    ("key 4", Secure),
    ("key 5", Secure),
    ("key 6", Secure),
    ("key 7", Secure),
    ("key 8", Secure),
    ("key 9", Secure),
    ("key 10", Secure),
    ("key 11", Secure),
    // The other side has another secret, and none at all.
    ("key 20", Silent),
    ("key OWN", Silent),
    ("xleave", Interleaved),
    ("xleave key 2 extfield F323", SecureInterleaved),
    ("extfield F323", Good),
    ("extfield 10A", Good),
    ("extfield F323 extfield F324 key 3", Secure),
    ("port 319", Good),
    ("port 319 xleave key 4", SecureInterleaved),
    ("port 319 extfield F323 extfield 10A", Good),
    ("filter 3", Good),
    ("copy", Good),
    ("burst iburst", Good),
];
const FIRST: u8 = 100;

fn address(side: u8, number: usize) -> String {
    format!("10.99.{side}.{}", usize::from(FIRST) + number)
}

/// `ntpdata` by address: names and values.
fn ntp_data(daemon: &Instance) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = daemon.chronyc(&["-n", "ntpdata"]).ok();
    let mut all = BTreeMap::new();
    for record in text.split("\n\n") {
        let fields: BTreeMap<String, String> = record
            .lines()
            .filter_map(|line| line.split_once(" : "))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        if let Some(address) = fields.get("Remote address") {
            let address = address.split(' ').next().unwrap_or_default();
            all.insert(address.to_owned(), fields);
        }
    }
    all
}

/// Whether a source has met its fate.
fn is_met(data: &BTreeMap<String, String>, fate: Fate) -> bool {
    let number = |name: &str| data[name].parse::<u32>().unwrap();
    let yes = |name: &str| data[name] == "Yes";
    let good = number("Total good RX") >= 2;
    match fate {
        Good => good && !yes("Authenticated"),
        Secure => good && yes("Authenticated"),
        Interleaved => good && yes("Interleaved") && data["NTP tests"] == "111 111 1111",
        SecureInterleaved => is_met(data, Interleaved) && yes("Authenticated"),
        Silent => number("Total TX") >= 2 && number("Total valid RX") == 0,
    }
}

/// Waits until every source has met its fate at some time: on a busy machine a later packet may fail a test.
fn wait_for_fates(daemon: &Instance, who: &str, fates: &[(String, Fate)]) {
    let mut left: Vec<&(String, Fate)> = fates.iter().collect();
    let mut data = BTreeMap::new();
    let met = within(LIMIT, || {
        data = ntp_data(daemon);
        left.retain(|(address, fate)| !data.get(address).is_some_and(|data| is_met(data, *fate)));
        left.is_empty()
    });
    let why = left
        .iter()
        .map(|(address, fate)| format!("{address} is not {fate:?}: {:?}\n", data.get(address)));
    assert!(met, "{who}:\n{}", why.collect::<String>());
}

#[test]
fn every_way_of_asking() {
    let cable = Pair::new();
    let quick = "minpoll -2 maxpoll -2 noselect";
    let start = |programs: &Programs, side: u8| {
        let namespace = if side == 1 { &cable.left } else { &cable.right };
        let other = 3 - side;
        for i in 0..SERVERS.len() {
            let own = format!("{}/16", address(side, i));
            namespace.ip(&["addr", "add", &own, "dev", "veth0"]);
        }
        let mut lines: Vec<String> = SERVERS
            .iter()
            .enumerate()
            .map(|(i, (options, _))| {
                let options = options.replace("OWN", &(20 + side).to_string());
                format!("server {} {options} {quick}", address(other, i))
            })
            .collect();
        lines.push(format!("server fd00:99::{other}0 xleave key 2 {quick}"));
        lines.push(format!("peer 10.99.0.{other} xleave key 2 extfield F323 {quick}"));
        lines.push(format!("peer fd00:99::{other} key 3 {quick}"));
        lines.push(format!("broadcast 1 10.99.255.255 {}", 10_000 + u16::from(side)));
        let own6 = format!("fd00:99::{side}0/64");
        namespace.ip(&["addr", "add", &own6, "dev", "veth0", "nodad"]);
        let daemon = Chronyd::new(programs);
        // A key of the same number with another secret, and one that the other side lacks.
        let keys = format!(
            "{KEYS}20 SHA1 secret-of-{side}\n{} SHA1 secret\n",
            20 + u32::from(side)
        );
        let keys = daemon.dir().write("keys", keys);
        daemon
            .within(namespace)
            .config(&lines.join("\n"))
            .config(&format!("keyfile {}", keys.display()))
            .config(&format!("local stratum {}\nallow\nptpport 319", side + 1))
            .start()
    };
    let ours = start(&subject(), 1);
    let theirs = start(&reference(), 2);

    let fates = |other: u8| -> Vec<(String, Fate)> {
        let servers = SERVERS.iter().enumerate();
        let mut fates: Vec<_> = servers.map(|(i, (_, fate))| (address(other, i), *fate)).collect();
        fates.push((format!("fd00:99::{other}0"), SecureInterleaved));
        fates.push((format!("10.99.0.{other}"), SecureInterleaved));
        fates.push((format!("fd00:99::{other}"), Secure));
        fates
    };
    wait_for_fates(&ours, "ours asks chrony", &fates(2));
    wait_for_fates(&theirs, "chrony asks ours", &fates(1));

    // Both count what they served; requests with a wrong key are not authenticated.
    for daemon in [&ours, &theirs] {
        let stats = daemon.chronyc(&["serverstats"]).ok();
        let number = |name: &str| -> u64 {
            let line = stats.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(" : ").nth(1).unwrap().trim().parse().unwrap()
        };
        let (all, secure) = (
            number("NTP packets received"),
            number("Authenticated NTP packets"),
        );
        assert!(secure > 0 && secure < all, "{stats}");
        assert!(
            number("Interleaved NTP packets") > 0 && number("NTP timestamps held") > 0,
            "{stats}"
        );
    }

    // Each side hears the broadcasts of the other.
    for (namespace, other) in [(&cable.left, 2_u8), (&cable.right, 1)] {
        let port = 10_000 + u16::from(other);
        let socket = namespace.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut packet = [0; 100];
        let (length, from) = socket.recv_from(&mut packet).expect("a broadcast");
        assert_eq!((length, from.port()), (48, 123));
        // Version 4, mode 5; stratum; poll 0; no originate and receive timestamps, but a transmit timestamp.
        assert_eq!((packet[0], packet[1], packet[2]), (0x25, other + 1, 0));
        assert!(packet[24..40] == [0; 16] && packet[40..48] != [0; 8]);
    }
}

#[test]
fn too_many_requests_are_answered_with_a_kiss_of_death() {
    let cable = Pair::new();
    let start = |programs: &Programs, side: u8| {
        let namespace = if side == 1 { &cable.left } else { &cable.right };
        Chronyd::new(programs)
            .within(namespace)
            .config(&format!(
                "server 10.99.0.{} minpoll 0 maxpoll 0 noselect",
                3 - side
            ))
            .config("local\nallow\nratelimit interval 12 burst 1 leak 4 kod 1")
            .start()
    };
    let (ours, theirs) = (start(&subject(), 1), start(&reference(), 2));
    for (daemon, other) in [(&ours, 2), (&theirs, 1)] {
        until(LIMIT, "the kiss of death", || {
            let text = format!("Received KoD RATE from 10.99.0.{other}");
            daemon.log().contains(&text).then_some(())
        });
    }
}

#[test]
fn transmit_timestamps_are_told_apart_by_number() {
    let cable = Pair::new();
    let start = |programs: &Programs, side: u8| {
        let namespace = if side == 1 { &cable.left } else { &cable.right };
        let other = 3 - side;
        Chronyd::new(programs)
            .within(namespace)
            .config(&format!(
                "server fd00:99::{other} xleave minpoll -2 maxpoll -2 noselect"
            ))
            .config(&format!(
                "peer 10.99.0.{other} xleave minpoll -2 maxpoll -2 noselect"
            ))
            .config(&format!("local stratum {}\nallow", side + 1))
            // chrony 4.9 itself cannot send from its server's sockets then: the kernel refuses its flags.
            .config(if side == 1 { "maxtxbuffers 64" } else { "" })
            .start()
    };
    let (ours, theirs) = (start(&subject(), 1), start(&reference(), 2));
    for (daemon, other) in [(&ours, 2), (&theirs, 1)] {
        let addresses = [format!("fd00:99::{other}"), format!("10.99.0.{other}")];
        until(LIMIT, "transmit timestamps of the kernel", || {
            let data = ntp_data(daemon);
            let stamped = |data: &BTreeMap<String, String>| {
                let stamps: u32 = data["Total kernel TX"].parse().unwrap();
                stamps >= 3 && data["TX timestamping"] == "Kernel" && data["Interleaved"] == "Yes"
            };
            let all = addresses
                .iter()
                .all(|address| data.get(address).is_some_and(stamped));
            all.then_some(())
        });
        let log = daemon.log();
        assert!(
            !log.contains("Transmit ID") && !log.contains("maxtxbuffers"),
            "{log}"
        );
    }
}
