//! Two time daemons on one cable: ours and other programs, in both roles.

use std::process::Command;
use std::time::Duration;

use compat_tests::{Chronyd, LIMIT, Pair, Programs, finish, old, programs, reference, subject};

/// Runs a server and a client and checks that the client believes the server.
fn synchronises(client: &Programs, server: &Programs, address: &str) {
    let cable = Pair::new();
    let server = Chronyd::new(server)
        .within(&cable.right)
        .config("local stratum 3\nallow 10.99.0.0/24\nallow fd00:99::/64")
        .start();
    let client = Chronyd::new(client)
        .within(&cable.left)
        .config(&format!("server {address} iburst"))
        .start();
    client.wait_synchronised(LIMIT);

    let tracking = client.chronyc(&["-c", "-n", "tracking"]).ok();
    let fields: Vec<&str> = tracking.trim_end().split(',').collect();
    assert_eq!(
        (fields[1], fields[2]),
        (address, "4"),
        "source and stratum in {tracking}"
    );
    let delay: f64 = fields[10].parse().unwrap();
    assert!(delay > 0.0 && delay < 1.0, "root delay in {tracking}");

    let sources = client.chronyc(&["-c", "-n", "sources"]).ok();
    assert!(sources.starts_with(&format!("^,*,{address},3,6,")), "{sources}");
    let clients = server.chronyc(&["-c", "-n", "clients"]).ok();
    let other = if address.contains(':') {
        Pair::LEFT6
    } else {
        Pair::LEFT4
    };
    assert!(clients.starts_with(&format!("{other},")), "{clients}");
    // Both use the other's clock, which is the same one.
    let stats = server.chronyc(&["-c", "serverstats"]).ok();
    let received: u32 = stats.split(',').next().unwrap().parse().unwrap();
    assert!(received >= 3, "packets in {stats}");
}

#[test]
fn client_of_the_reference() {
    synchronises(&subject(), &reference(), Pair::RIGHT4);
}

#[test]
fn client_of_the_reference_over_ipv6() {
    synchronises(&subject(), &reference(), Pair::RIGHT6);
}

#[test]
fn server_of_the_reference() {
    synchronises(&reference(), &subject(), Pair::RIGHT4);
}

#[test]
fn server_of_the_reference_over_ipv6() {
    synchronises(&reference(), &subject(), Pair::RIGHT6);
}

#[test]
fn client_and_server() {
    synchronises(&subject(), &subject(), Pair::RIGHT4);
}

#[test]
fn client_of_chrony_4_3() {
    synchronises(&subject(), &old(), Pair::RIGHT4);
}

#[test]
fn server_of_chrony_4_3() {
    synchronises(&old(), &subject(), Pair::RIGHT4);
}

#[test]
fn with_a_symmetric_key() {
    let (subject, reference) = (subject(), reference());
    for (client, server) in [(&subject, &reference), (&reference, &subject)] {
        let cable = Pair::new();
        let keys = "7 MD5 HEX:00112233445566778899aabbccddeeff\n";
        let server = Chronyd::new(server);
        let line = format!("keyfile {}", server.dir().write("keys", keys).display());
        let _server = server
            .within(&cable.right)
            .config(&line)
            .config("local\nallow 10.99.0.0/24")
            .start();
        let client = Chronyd::new(client);
        let line = format!("keyfile {}", client.dir().write("keys", keys).display());
        let line = format!("{line}\nserver {} key 7 iburst", Pair::RIGHT4);
        let client = client.within(&cable.left).config(&line).start();
        client.wait_synchronised(LIMIT);
    }
}

#[test]
fn client_that_is_not_allowed_stays_unsynchronised() {
    let cable = Pair::new();
    let server = Chronyd::new(&subject())
        .within(&cable.right)
        .config("local\nallow 10.99.0.7")
        .start();
    let client = reference();
    let client = Chronyd::new(&client)
        .within(&cable.left)
        .config(&format!("server {} iburst", Pair::RIGHT4))
        .start();
    // The server opens its port, takes the requests and drops them.
    std::thread::sleep(Duration::from_secs(3));
    let sources = client.chronyc(&["-c", "-n", "sources"]).ok();
    assert!(
        sources.starts_with(&format!("^,?,{},0,6,0,", Pair::RIGHT4)),
        "{sources}"
    );
    assert!(server.chronyc(&["-c", "-n", "clients"]).ok().is_empty());
}

#[test]
fn ntpdate_gets_a_valid_answer() {
    let cable = Pair::new();
    let _server = Chronyd::new(&subject())
        .within(&cable.right)
        .config("local stratum 5\nallow 10.99.0.0/24")
        .start();
    let bin = programs::debian12();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command: Command = cable.left.command(bin.join("ntpdate"));
    let done = finish(command.args(["-q", Pair::RIGHT4]).env("PATH", path), LIMIT);
    // ntpdig's line: "2026-11-20 18:00:00.12 (+0000) +0.000010 +/- 0.000050 10.99.0.2 s5 no-leap"
    let line = done.ok();
    assert!(
        line.trim_end().ends_with(&format!("{} s5 no-leap", Pair::RIGHT4)),
        "{line}"
    );
}
