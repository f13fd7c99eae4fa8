//! Many random and damaged NTP packets, with and without MACs and extension fields, from several addresses: each gets
//! exactly the reply that the rules of the protocol give it, never one that is longer than the request; the statistics
//! add up and memory does not grow. And many damaged replies to the daemon as a client.
//!
//! `SOAK` is the factor: 100 makes a million and more.

mod client;
mod maker;
mod rules;
mod server;

use compat_tests::programs::subject_is_reference;
use compat_tests::{Chronyd, Instance, Namespace, soak, subject};
use server::{Limited, Server};

/// Where the series of packets begins: another one makes other packets.
const SEED: u64 = 0x5eed_2026_1121;

/// Packets for each kind of server. There are three.
fn packets() -> u64 {
    20_000 * u64::from(soak())
}

fn daemon(namespace: &Namespace, more: &str) -> Instance {
    let daemon = Chronyd::new(&subject()).within(namespace);
    let keys = daemon.dir().write("keys", maker::KEYS);
    daemon
        .config(&format!("keyfile {}", keys.display()))
        .config("local stratum 7\nptpport 319\nallow 127.0.0.0/8\ndeny 127.9.0.0/16\nallow ::1\nallow fd00:7::/64")
        .config("deny fd00:7::d")
        .config(more)
        .start()
}

fn run(more: &str, limited: Limited) {
    let namespace = Namespace::new();
    server::add_addresses(&namespace);
    let mut server = Server::new(&namespace, daemon(&namespace, more), SEED, limited);
    println!("seed {SEED:#x}, {} packets", packets());
    server.send(packets());
    server.finish();
}

#[test]
fn requests_in_batches() {
    run("", Limited::No);
}

/// With numbered transmit timestamps every request takes the way through the engine. chrony gives no reply where the
/// kernel can't number.
#[test]
fn requests_one_by_one() {
    if subject_is_reference() {
        return;
    }
    run("maxtxbuffers 64", Limited::No);
}

#[test]
fn requests_over_the_limit() {
    run("ratelimit interval 1 burst 4 leak 2 kod 2", Limited::Yes);
}

#[test]
fn replies_to_the_client() {
    client::run(SEED, 20_000 * u64::from(soak()));
}
