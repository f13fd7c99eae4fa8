//! Parsing and building against the captures of `spec/ntp.md` section 10.

use super::captures::{EXCHANGES, OLD, SENT, SIGNED, octets};
use super::*;
use crate::time::NtpTimestamp;

const V4: &str =
    "23000620 00000000 00000000 00000000 0000000000000000 0000000000000000 0000000000000000 9d0bd50401abc029";
const V3: &str =
    "1b000620 00000000 00000000 00000000 0000000000000000 0000000000000000 0000000000000000 9d0bd50401abc029";

fn with(header: &str, rest: &str) -> Vec<u8> {
    octets(&format!("{header} {rest}"))
}

fn zeros(count: usize) -> String {
    "00".repeat(count)
}

/// Takes a packet apart and puts it together again.
fn rebuilt(packet: &Packet<'_>) -> Vec<u8> {
    let mut builder = Builder::new(&packet.header);
    for field in packet.fields() {
        match (field.kind(), packet.mono_root, packet.net_correction) {
            (FieldKind::MonoRoot, Some(value), _) => builder.mono_root(&value).unwrap(),
            (FieldKind::NetCorrection, _, Some(value)) => builder.net_correction(value).unwrap(),
            _ => builder.field(field.code, field.body).unwrap(),
        }
    }
    match packet.auth {
        Auth::None | Auth::Nts => {}
        Auth::Symmetric(key) | Auth::MsSntp(key) | Auth::MsSntpExtended(key) => {
            builder.mac(key, packet.digest()).unwrap();
        }
    }
    builder.bytes().to_vec()
}

#[test]
fn every_capture_survives_parsing_and_building() {
    let exchanged = EXCHANGES.iter().flat_map(|(_, request, reply)| [request, reply]);
    for hex in exchanged.chain(SENT).chain([&SIGNED.0]) {
        let mut bytes = octets(hex);
        let built = rebuilt(&Packet::parse(&bytes).unwrap());
        if bytes[1] >= 16 {
            bytes[1] = 0;
        }
        assert_eq!(built, bytes);
    }
}

#[test]
fn replies_answer_the_transmit_timestamp_or_the_receive_timestamp() {
    for (section, request, reply) in EXCHANGES {
        let (request, reply) = (octets(request), octets(reply));
        let (request, reply) = (
            Packet::parse(&request).unwrap().header,
            Packet::parse(&reply).unwrap().header,
        );
        let basic = reply.originate == request.transmit;
        let interleaved = reply.originate == request.receive && !request.receive.is_zero();
        assert!(basic || interleaved, "{section}");
        assert_eq!(reply.version, request.version, "{section}");
    }
}

#[test]
fn header_values_of_an_unsynchronised_server() {
    let bytes = octets(EXCHANGES[0].2);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(
        packet.header,
        Header {
            leap: 3,
            version: 4,
            mode: Mode::Server,
            stratum: 0,
            poll: 6,
            precision: -29,
            root_delay: NtpShort::ONE,
            root_dispersion: NtpShort::ONE,
            refid: refid::NONE,
            reference: NtpTimestamp::ZERO,
            originate: NtpTimestamp(0x5066_2fc1_ae70_8e9d),
            receive: NtpTimestamp(0xeeaa_e4f6_d2f4_c7f1),
            transmit: NtpTimestamp(0xeeaa_e4f6_d2fc_67c8),
        }
    );
    assert_eq!(packet.auth, Auth::None);
}

#[test]
fn fields_are_recognised() {
    let find =
        |section: &str, n: usize| octets(EXCHANGES.iter().filter(|e| e.0 == section).nth(n).unwrap().2);
    let mono = find("10.13", 1);
    let packet = Packet::parse(&mono).unwrap();
    let root = packet.mono_root.unwrap();
    assert_eq!((root.receive.0, root.epoch), (0xeeaa_e4ff_4f75_921b, 0x2c74_2c7d));
    assert_eq!(
        (packet.auth, packet.digest().len(), packet.message().len()),
        (Auth::Symmetric(2), 20, 76)
    );
    assert_eq!(packet.net_correction, None);
    let both = find("10.14", 1);
    let packet = Packet::parse(&both).unwrap();
    assert_eq!(packet.net_correction, Some(0.0));
    assert!(packet.mono_root.is_some());
    assert_eq!(
        packet.fields().map(|f| f.code).collect::<Vec<_>>(),
        [0x010a, 0xf323]
    );
}

#[test]
fn the_network_correction_of_chrony_4_8_is_an_unknown_field() {
    for (number, (request, reply)) in OLD.iter().enumerate() {
        for hex in [request, reply] {
            let bytes = octets(hex);
            let packet = Packet::parse(&bytes).unwrap();
            assert!(packet.fields().any(|field| field.code == 0xf324));
            assert_eq!(packet.net_correction, None);
            assert_eq!(packet.mono_root.is_some(), number == 1);
            assert_eq!(rebuilt(&packet), bytes);
        }
    }
}

#[test]
fn mono_root_needs_its_magic_and_length() {
    let wrong_magic = with(V4, &format!("f323001c f5bedd9b {}", zeros(20)));
    assert_eq!(Packet::parse(&wrong_magic).unwrap().mono_root, None);
    let too_long = with(V4, &format!("f3230020 f5bedd9a {}", zeros(24)));
    assert_eq!(Packet::parse(&too_long).unwrap().mono_root, None);
}

#[test]
fn what_parsing_refuses() {
    use ParseError::{Field, Length, Version};
    let cases = [
        (octets(V4)[..44].to_vec(), Length),
        (with(V4, "0000"), Length),
        (with(V4, &zeros(1100)), Length),
        (with(&V4.replacen("23", "03", 1), ""), Version),
        (with(&V4.replacen("23", "2b", 1), ""), Version),
        (with(V4, "00000001"), Field),
        // A field shorter than 16, then one of 28.
        (
            with(V4, &format!("7777000c {} 7777001c {}", zeros(8), zeros(24))),
            Field,
        ),
        // A SHA256 MAC of full length: key ID 3 is "type 0, length 3".
        (with(V4, &format!("00000003 {}", zeros(32))), Field),
        // A field that claims more than there is, and one that is no multiple of four.
        (with(V4, &format!("77770020 {}", zeros(24))), Field),
        (with(V4, &format!("7777001e {}", zeros(28))), Field),
        // A leftover of 16 octets behind a field.
        (with(V4, &format!("7777001c {}", zeros(24 + 16))), Field),
    ];
    for (bytes, error) in cases {
        assert_eq!(Packet::parse(&bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn what_is_taken_as_a_mac() {
    let cases = [
        // Crypto-NAK, in version 4 and before.
        (with(V4, "00000000"), Auth::Symmetric(0), 0),
        (with(V3, "00000000"), Auth::Symmetric(0), 0),
        // A lone field of 24 or 20 octets.
        (
            with(V4, &format!("77770018 {}", zeros(20))),
            Auth::Symmetric(0x7777_0018),
            20,
        ),
        (
            with(V4, &format!("77770014 {}", zeros(16))),
            Auth::Symmetric(0x7777_0014),
            16,
        ),
        // MS-SNTP is of version 3 and has a key.
        (
            with(V3, &format!("000003e8 {}", zeros(16))),
            Auth::MsSntp(1000),
            16,
        ),
        (
            with(V4, &format!("000003e8 {}", zeros(16))),
            Auth::Symmetric(1000),
            16,
        ),
        (
            with(V3, &format!("00000000 {}", zeros(16))),
            Auth::Symmetric(0),
            16,
        ),
        (
            with(V3, &format!("000003e8 01020304 {}", zeros(64))),
            Auth::MsSntpExtended(1000),
            68,
        ),
        (
            with(V3, &format!("000003e8 01020304 01 {}", zeros(63))),
            Auth::Symmetric(1000),
            68,
        ),
        (
            with(&V3.replacen("1b", "13", 1), &format!("000003e8 {}", zeros(16))),
            Auth::Symmetric(1000),
            16,
        ),
        // Any length before version 4.
        (
            with(V3, &format!("00000001 {}", zeros(100))),
            Auth::Symmetric(1),
            100,
        ),
        // NTS, and a MAC behind it.
        (with(V4, &format!("04040028 {}", zeros(36))), Auth::Nts, 0),
        (
            with(V4, &format!("01040024 {} 00000001 {}", zeros(32), zeros(16))),
            Auth::Symmetric(1),
            16,
        ),
    ];
    for (bytes, auth, digest) in cases {
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(
            (packet.auth, packet.digest().len()),
            (auth, digest),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn long_fields_are_skipped() {
    for length in [1064, 1092] {
        let bytes = with(V4, &format!("7777{length:04x} {}", zeros(length - 4)));
        assert_eq!(Packet::parse(&bytes).unwrap().auth, Auth::None);
    }
    assert!(
        Packet::parse(&with(
            V4,
            &format!("77770010 {} 7777001c {}", zeros(12), zeros(24))
        ))
        .is_ok()
    );
}

#[test]
fn builder_keeps_the_rules() {
    let mut builder = Builder::new(&Header {
        version: 4,
        ..Header::default()
    });
    assert_eq!(builder.field(1, &[0; 8]), Err(BuildError::FieldLength));
    assert_eq!(builder.field(1, &[0; 13]), Err(BuildError::FieldLength));
    assert_eq!(
        builder.field(1, &[0; MAX_LEN - HEADER_LEN]),
        Err(BuildError::TooLong)
    );
    assert_eq!(builder.field(1, &[0; MAX_LEN - HEADER_LEN - 4]), Ok(()));
    assert_eq!(builder.mac(1, &[]), Err(BuildError::TooLong));
    assert_eq!(builder.bytes().len(), MAX_LEN);
    let mut old = Builder::new(&Header {
        version: 3,
        ..Header::default()
    });
    assert_eq!(old.mono_root(&MonoRoot::default()), Err(BuildError::Version));
}
