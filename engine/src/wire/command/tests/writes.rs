//! E18 to E24: errors and requests that change something.

use super::super::*;
use super::*;

#[test]
fn e18_errors() {
    let mut bytes = Request::Tracking.encode(VERSION, 0, 1);
    for (version, refusal) in [
        (4, Refusal::Silent),
        (5, Refusal::Status(Status::BadVersion)),
        (7, Refusal::Status(Status::BadVersion)),
    ] {
        bytes[0] = version;
        assert_eq!(RequestHeader::decode(&bytes).unwrap().code(104), Err(refusal));
    }
    bytes[0] = 6;
    assert_eq!(
        RequestHeader::decode(&bytes).unwrap().code(32),
        Err(Refusal::Status(Status::BadLength))
    );
    bytes[5] = 200;
    assert_eq!(
        RequestHeader::decode(&bytes).unwrap().code(28),
        Err(Refusal::Status(Status::Invalid))
    );
    assert_eq!(RequestHeader::decode(&bytes[..27]), None);
    assert_eq!(
        RequestHeader::decode(&[bytes.clone(), vec![0; 1000]].concat()),
        None
    );
    bytes[2] = 1;
    assert_eq!(RequestHeader::decode(&bytes), None);
    bytes[2] = 0;
    bytes[1] = 2;
    assert_eq!(RequestHeader::decode(&bytes), None);
    for code in [0, 10, 12, 27, 28, 32, 38, 39, 40, 55, 56, 58, 61, 76] {
        assert_eq!(Code::from_number(code), None);
    }
}

#[test]
fn e19_access_check() {
    let check = |a| Request::CheckAccess(AccessList::Ntp, address(a));
    request(
        &check("127.0.0.1"),
        0x1122_3316,
        "06010000 00190000 11223316 00*8 7f000001 00*12 0001 0000",
        40,
    );
    request(
        &check("2001:db8::1"),
        1,
        "06010000 00190000 00000001 00*8 20010db8 00*11 01 0002 0000",
        40,
    );
    let header = RequestHeader {
        version: 6,
        command: 25,
        attempt: 0,
        sequence: 0x1122_3316,
    };
    let bytes = encode_reply(&header, Status::AccessAllowed, &Reply::Null);
    assert_eq!(bytes, hex("06 02 00 00 00 19 00 01 00 08 00*6 11 22 33 16 00*8"));
    assert!(ReplyHeader::decode(&bytes).unwrap().status.is_success());
}

#[test]
fn e20_burst() {
    let sources = SourceMatch {
        mask: address("255.255.255.0"),
        address: address("127.0.0.0"),
    };
    request(
        &Request::Burst {
            sources,
            good: 3,
            total: 5,
        },
        0x9e96_94e5,
        "06010000 00030000 9e9694e5 00*8 ffffff00 00*12 0001 0000 7f000000 00*12 0001 0000 00000003 00000005",
        68,
    );
}

#[test]
fn e21_select_options() {
    request(
        &Request::SelectOptions {
            source: SourceRef::Address(address("127.0.0.11")),
            mask: SelectBits(0xf),
            options: SelectBits::PREFER.with(SelectBits::TRUST),
        },
        0xacc7_c992,
        "06010000 00480000 acc7c992 00*8 7f00000b 00*12 0001 0000 00000000 0000000f 00000028",
        52,
    );
}

#[test]
fn e22_offset() {
    let near_001 = f64::from(0x0083_126f_u32) * 2.0_f64.powi(-8 - 25);
    request(
        &Request::Offset(SourceRef::RefId(0x4750_5330), near_001),
        0x77a1_f5a7,
        "06010000 00490000 77a1f5a7 00*8 00*20 47505330 f083126f",
        48,
    );
}

#[test]
fn e23_add_source() {
    let mut source = AddSource::new(SourceKind::Server, "127.0.0.33");
    source.flags = SourceFlags(0x805);
    source.minpoll = 4;
    source.offset = 0.25;
    source.key = 30;
    let old = hex(
        "06010000 00400000 776ff5b6 00*8 00000001 3132372e302e302e3333 00*246
        0000007b 00000004 0000000a 00000064 00000000 00000008 00000000 00000004
        ffffffff ffffffff 0000001e 0000116c 06c00000 00000000 0aa00000 00000000
        04800000 00800000 00002005 00000000 00000000 00000000 000186a0",
    );
    let code = RequestHeader::decode(&old).unwrap().code(old.len()).unwrap();
    assert_eq!((code, old.len()), (Code::AddSourceOld, 372));
    assert_eq!(
        Request::decode(code, &old),
        Ok(Request::AddSource(Box::new(source)))
    );

    let third = f64::from(0x0099_999a_u32) * 2.0_f64.powi(-25);
    let source = AddSource {
        port: 124,
        minpoll: 5,
        maxpoll: 7,
        presend: 3,
        min_stratum: 2,
        poll_target: 9,
        version: 3,
        max_sources: 5,
        min_samples: 4,
        max_samples: 8,
        max_unreach: 11,
        filter: 3,
        key: 77,
        nts_port: 4461,
        cert_set: 9,
        max_nts_retry: 21,
        max_delay: 2.0,
        max_delay_ratio: 5.0,
        max_delay_dev_ratio: 6.0,
        max_delay_quant: third,
        min_delay: 0.5,
        asymmetry: 0.25,
        offset: 0.125,
        flags: SourceFlags(5),
        ..AddSource::new(SourceKind::Pool, "1.2.3.4")
    };
    request(
        &Request::AddSource(Box::new(source)),
        0x3e28_ea42,
        "06010000 004b0000 3e28ea42 00*8 00000003 312e322e332e34 00*249
         0000007c 00000005 00000007 00000003 00000002 00000009 00000003 00000005
         00000004 00000008 0000000b 00000003 0000004d 0000116d 00000009 00000015
         06800000 08a00000 08c00000 0099999a 02800000 00800000 fe800000 00000005",
        408,
    );
}

#[test]
fn e23_bad_names_are_refused() {
    let decode = |name: &str, flags| {
        let mut source = AddSource::new(SourceKind::Server, name);
        source.flags = flags;
        let bytes = Request::AddSource(Box::new(source)).encode(VERSION, 0, 0);
        Request::decode(Code::AddSource, &bytes).map(drop)
    };
    assert_eq!(decode("", SourceFlags::default()), Ok(()));
    assert_eq!(decode("a b", SourceFlags::default()), Err(Status::InvalidName));
    assert_eq!(decode("127.0.0.1", SourceFlags::IPV6), Err(Status::InvalidFamily));
    assert_eq!(decode("127.0.0.1", SourceFlags(0x1800)), Ok(()));
    assert_eq!(decode("::1", SourceFlags(0x1800)), Err(Status::InvalidFamily));
    let mut bytes = Request::AddSource(Box::new(AddSource::new(SourceKind::Peer, "x"))).encode(VERSION, 0, 0);
    bytes[279] = b'x';
    assert_eq!(Request::decode(Code::AddSource, &bytes), Err(Status::InvalidName));
    bytes[23] = 4;
    assert_eq!(Request::decode(Code::AddSource, &bytes), Err(Status::Invalid));
}

#[test]
fn e24_single_payloads() {
    let tenth = f64::from(-0x0033_3333_i32 + 0x0100_0000) * 2.0_f64.powi(-27);
    let send = |r: &Request, command: &str, payload: &str, length| {
        request(
            r,
            1,
            &format!("06010000 {command} 0000 00000001 00*8 {payload}"),
            length,
        );
    };
    send(
        &Request::SetMakeStep {
            limit: 3,
            threshold: tenth,
        },
        "0032",
        "00000003 fccccccd",
        28,
    );
    let subnet = Subnet {
        address: address("10.0.0.0"),
        bits: 8,
    };
    let allow = Request::ChangeAccess {
        list: AccessList::Ntp,
        allow: true,
        all: false,
        subnet,
    };
    send(&allow, "0011", "0a000000 00*12 0001 0000 00000008", 44);
    let local = LocalSettings {
        stratum: 8,
        distance: 1.0,
        orphan: true,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 300.0,
    };
    send(
        &Request::Local(Some(local)),
        "004a",
        "00000001 00000008 04800000 00000001 00000000 00000000 14960000",
        48,
    );
    send(&Request::Local(None), "004a", "", 48);
    send(&Request::Manual(ManualMode::Reset), "000d", "00000002", 28);
    let all6 = SourceMatch {
        mask: address("::"),
        address: address("::"),
    };
    send(
        &Request::Online(all6),
        "0001",
        "00*16 0002 0000 00*16 0002 0000",
        60,
    );
    send(&Request::AdjustFrequency(0.5), "001f", "02800000", 28);
    send(&Request::Dump, "0006", "00000000", 28);
    let clients = Request::Clients {
        first: 0,
        count: 8,
        min_hits: 3,
        reset: true,
    };
    send(&clients, "0044", "00000000 00000008 00000003 00000001", 520);
}
