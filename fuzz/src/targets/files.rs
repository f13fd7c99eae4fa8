//! Files that are read at start.

use super::world::{World, configured};
use truechimer_engine::auth::Keys;
use truechimer_engine::sync::leap::LeapFile;
use truechimer_engine::sync::reference::{DriftFile, Start};

const SOURCE: &str = "server 192.0.2.1 iburst minpoll 0 maxpoll 0";

/// The key file.
pub(super) fn keys(data: &[u8]) {
    let (keys, events) = Keys::parse(data, "keys");
    for event in events {
        assert!(!event.to_string().is_empty());
    }
    for id in (0..40).chain([u32::MAX]) {
        if let Some(key) = keys.get(id) {
            for version in [3, 4] {
                let mac = key.mac(version, b"message");
                assert!(key.verify(version, b"message", mac.as_ref()));
            }
        }
    }
}

/// A dump file of a source, loaded and written again.
pub(super) fn dump(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let dumps = vec![("192.0.2.1.dat".to_owned(), text)];
    let config = configured(&[
        SOURCE,
        "dumpdir /dumps",
        "makestep 1 1",
        "log statistics tracking",
    ]);
    if let Some(mut world) = World::new(config, &Start::default(), b"", dumps) {
        world.pass(20.0);
        world.end();
    }
}

/// The drift file.
pub(super) fn drift(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let start = Start {
        drift: Some(DriftFile {
            name: "drift",
            text: Some(&text),
        }),
        ..Start::default()
    };
    let config = configured(&[SOURCE, "driftfile drift", "fallbackdrift 1 4"]);
    if let Some(mut world) = World::new(config, &start, b"", Vec::new()) {
        world.pass(20.0);
        world.end();
    }
}

/// A leap second list, or a file of a time zone.
pub(super) fn leap(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let file = LeapFile {
        name: "leap",
        contents: Some(data),
    };
    let zone = first & 1 == 0;
    let start = Start {
        leap_list: (!zone).then_some(file),
        leap_zone: zone.then_some(file),
        ..Start::default()
    };
    let directive = if zone {
        "leapsectz leap"
    } else {
        "leapseclist leap"
    };
    let config = configured(&[
        SOURCE,
        directive,
        "local stratum 1",
        "leapsecmode slew",
        "smoothtime 400 0.01 leaponly",
    ]);
    if let Some(mut world) = World::new(config, &start, b"", Vec::new()) {
        // The leap second of June 2015 is two hours away.
        world.pass(5.0);
        world.disturb(7790.0);
        world.pass(10.0);
        world.end();
    }
}
