//! Sockets that are passed on by whoever starts the daemon.

use std::net::UdpSocket;

use compat_tests::{Chronyd, LIMIT, Namespace, subject, uninterrupted};

/// A second socket could not be bound to the address, as this one does not share it.
#[test]
fn a_passed_socket_is_used() {
    let namespace = Namespace::new();
    let (passed, client) = namespace.enter(|| {
        let passed = UdpSocket::bind("127.0.0.1:11123").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        (passed, client)
    });
    client.connect("127.0.0.1:11123").unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let mut daemon = Chronyd::new(&subject())
        .within(&namespace)
        .config("port 11123\nbindaddress 127.0.0.1\nallow\nlocal stratum 7")
        .option("-4")
        .socket(passed)
        .start();
    let mut request = [0; 48];
    request[0] = 0x23;
    for _ in 0..2 {
        client.send(&request).unwrap();
        let mut reply = [0; 64];
        assert_eq!(
            uninterrupted(|| client.recv(&mut reply)).unwrap(),
            48,
            "{}",
            daemon.log()
        );
        assert_eq!(reply[0] & 7, 4);
        // Closed and opened again: the same socket.
        daemon.chronyc(&["deny", "all"]).ok();
        daemon.chronyc(&["allow", "all"]).ok();
    }
    assert!(!daemon.log().contains("Could not open"), "{}", daemon.log());
    assert!(daemon.stop().success());
}
