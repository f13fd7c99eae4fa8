//! The captures of `spec/ntp.md` section 10 and the messages of section 7.1.

use super::*;
use crate::wire::ntp::captures::{EXCHANGES, KEYS, SENT, octets};

fn keys() -> Keys {
    Keys::parse(KEYS.as_bytes(), "keys").0
}

/// Every captured packet with a MAC.
fn authenticated() -> Vec<Vec<u8>> {
    let exchanged = EXCHANGES.iter().flat_map(|(_, request, reply)| [request, reply]);
    let packets = exchanged.chain(SENT).map(|hex| octets(hex));
    packets
        .filter(|bytes| matches!(Packet::parse(bytes).unwrap().auth, Auth::Symmetric(_)))
        .collect()
}

#[test]
fn captured_macs_verify_and_are_made_again() {
    let keys = keys();
    let packets = authenticated();
    assert_eq!(packets.len(), 33);
    for bytes in packets {
        let packet = Packet::parse(&bytes).unwrap();
        assert!(keys.verify(&packet), "{bytes:02x?}");
        let Auth::Symmetric(id) = packet.auth else {
            unreachable!()
        };
        let mut builder = Builder::new(&packet.header);
        for field in packet.fields() {
            builder.field(field.code, field.body).unwrap();
        }
        keys.sign(id, &mut builder).unwrap();
        assert_eq!(builder.bytes(), bytes);
    }
}

#[test]
fn one_wrong_bit_is_enough() {
    let keys = keys();
    for mut bytes in authenticated() {
        // The poll and the last octet of the digest.
        for index in [2, bytes.len() - 1] {
            bytes[index] ^= 0x40;
            assert!(!keys.verify(&Packet::parse(&bytes).unwrap()));
            bytes[index] ^= 0x40;
        }
    }
}

#[test]
fn digests_of_the_wrong_length_fail() {
    let keys = keys();
    let key = keys.get(3).unwrap();
    let whole = key.mac(3, b"message");
    assert_eq!(whole.as_ref().len(), 32);
    assert_eq!(key.mac(4, b"message").as_ref(), &whole.as_ref()[..20]);
    for (version, length, accepted) in [
        (4, 20, true),
        (4, 16, false),
        (4, 32, false),
        (3, 20, false),
        (3, 32, true),
    ] {
        assert_eq!(
            key.verify(version, b"message", &whole.as_ref()[..length]),
            accepted,
            "{version} {length}"
        );
    }
    assert!(!key.verify(4, b"message", &[]));
    assert!(matches!(
        keys.sign(7, &mut Builder::new(&Default::default())),
        Err(SignError::NoKey(7))
    ));
}

#[test]
fn digests_have_the_length_of_their_type() {
    for (name, length) in [
        ("SHA384", 48),
        ("SHA3-224", 28),
        ("SHA3-384", 48),
        ("SHA3-512", 64),
        ("MD5", 16),
    ] {
        let (keys, _) = Keys::parse(format!("1 {name} abcdefghij").as_bytes(), "keys");
        let key = keys.get(1).unwrap();
        assert_eq!(
            (key.mac(3, b"").as_ref().len(), key.kind().digest_len()),
            (length, length)
        );
    }
    // From sha3sum and sha384sum of the text "abc".
    let mac = |name: &str| {
        let (keys, _) = Keys::parse(format!("1 {name} a").as_bytes(), "keys");
        let digest = keys.get(1).unwrap().mac(3, b"bc");
        digest.as_ref()[..4].to_vec()
    };
    assert_eq!(mac("SHA384"), octets("cb00753f"));
    assert_eq!(mac("SHA3-224"), octets("e642824c"));
    assert_eq!(mac("SHA3-384"), octets("ec014982"));
    assert_eq!(mac("SHA3-512"), octets("b751850b"));
}

/// Lines of a file and the messages that chrony 4.9 gives for it.
#[test]
fn messages_about_bad_lines() {
    let long = format!("24 MD5 {}", "x".repeat(3000));
    let fits = format!("33 MD5 {}", "y".repeat(2039));
    let aes = format!("32 AES128 HEX:{} ", "00".repeat(16));
    let cases: &[(&str, &str)] = &[
        ("1 ASCII:", "Could not decode key 1"),
        ("2 MD5 ASCII:", "Could not decode key 2"),
        ("3 HEX:", "Could not decode key 3"),
        ("4 HEX:0", "Could not decode key 4"),
        ("5 HEX:zz", "Could not decode key 5"),
        ("7 abc", ""),
        ("4294967295 abc", ""),
        ("x abc", "Could not parse key at line 1 in file keys"),
        ("65572x MD5 abcd", ""),
        ("8", "Could not parse key at line 1 in file keys"),
        ("9 md5 abc", "Invalid type in key 9"),
        ("10 TIGER abc", "Unsupported hash function in key 10"),
        ("11 WHIRLPOOL HEX:zz", "Could not decode key 11"),
        ("11 WHIRLPOOL abc", "Unsupported hash function in key 11"),
        (
            "12 AES128 abc",
            "Invalid length of AES128 key 12 (expected 128 bits)",
        ),
        (
            "13 AES256 HEX:00",
            "Invalid length of AES256 key 13 (expected 256 bits)",
        ),
        (&aes, ""),
        ("16 MD5 hex:00", ""),
        (
            "18   \t MD5    spaced   extra",
            "Could not parse key at line 1 in file keys",
        ),
        ("20 MD5 #abc", ""),
        ("22 FOO HEX:zz", "Could not decode key 22"),
        ("31 TIGER", ""),
        ("26 MD5 \u{1}\u{e9}abc", ""),
        ("29 MD5 a\0b c", ""),
        ("\n\n30 a b c", "Could not parse key at line 3 in file keys"),
        (&long, "Could not parse key at line 2 in file keys"),
        (&fits, ""),
    ];
    for (text, message) in cases {
        let (keys, events) = Keys::parse(text.as_bytes(), "keys");
        let loaded = usize::from(message.is_empty() || text.len() > 3000);
        let mut expected = vec![format!("Loaded {loaded} symmetric keys")];
        if !message.is_empty() {
            expected.insert(0, (*message).to_owned());
        }
        let texts: Vec<String> = events.iter().map(ToString::to_string).collect();
        assert_eq!((texts, keys.len()), (expected, loaded), "{text}");
    }
}

#[test]
fn comments_and_numbers() {
    let text = "  # a\n! b\n; c\n% d\n\n  \n0 a\n4294967296 a\n0x1b abc\n-1 a\n99999999999999999999 a\n+7 MD5 a\n65572x a\n";
    let (keys, events) = Keys::parse(text.as_bytes(), "keys");
    let texts: Vec<String> = events.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "Loaded 7 symmetric keys",
            "Detected duplicate key 0",
            "Detected duplicate key 0",
            "Detected duplicate key 4294967295"
        ]
    );
    assert!(keys.get(7).is_some() && keys.get(65572).is_some() && keys.get(1).is_none());
    assert!(keys.get(7).unwrap().is_short());
}
