//! Lengths, statuses, and what no example shows.

use super::super::*;
use super::*;
use crate::time::Cooked;
use proptest::prelude::*;

#[test]
fn bad_arguments_are_answered_with_their_status() {
    let subnet = Subnet {
        address: address("10.0.0.0"),
        bits: 33,
    };
    let bad = Request::ChangeAccess {
        list: AccessList::Command,
        allow: false,
        all: true,
        subnet,
    };
    assert_eq!(
        Request::decode(Code::CmdDenyAll, &bad.encode(VERSION, 0, 0)),
        Err(Status::BadSubnet)
    );
    let mut manual = Request::Manual(ManualMode::On).encode(VERSION, 0, 0);
    manual[23] = 3;
    assert_eq!(Request::decode(Code::Manual, &manual), Err(Status::Invalid));
}

#[test]
fn lengths_follow_the_table() {
    let lengths: Vec<(u16, usize)> = Code::ALL
        .iter()
        .map(|c| (c.number(), c.request_length()))
        .collect();
    let table = [
        (1, 60),
        (2, 60),
        (3, 68),
        (4, 44),
        (5, 44),
        (6, 28),
        (7, 44),
        (8, 44),
        (9, 28),
        (11, 40),
        (13, 28),
        (14, 32),
        (15, 76),
        (16, 28),
        (17, 44),
        (18, 44),
        (19, 44),
        (20, 44),
        (21, 44),
        (22, 44),
        (23, 44),
        (24, 44),
        (25, 40),
        (26, 40),
        (29, 40),
        (30, 28),
        (31, 28),
        (33, 104),
        (34, 84),
        (35, 56),
        (36, 28),
        (37, 28),
        (41, 416),
        (42, 28),
        (43, 28),
        (44, 48),
        (45, 44),
        (46, 44),
        (47, 44),
        (48, 28),
        (49, 28),
        (50, 28),
        (51, 52),
        (52, 28),
        (53, 28),
        (54, 196),
        (57, 172),
        (62, 28),
        (63, 28),
        (64, 372),
        (65, 284),
        (66, 28),
        (67, 52),
        (68, 520),
        (69, 76),
        (70, 28),
        (71, 28),
        (72, 52),
        (73, 48),
        (74, 48),
        (75, 408),
    ];
    assert_eq!(lengths, table);
    assert_eq!(reply_length(99), 0);
    assert_eq!(Code::Tracking.access(), Access::Read(&[Topic::Tracking]));
    assert_eq!(Code::MakeStep.access(), Access::Write);
    assert_eq!(Request::Tracking.encode(5, 0, 0).len(), 20);
}

#[test]
fn statuses_keep_their_numbers() {
    for number in 0..40 {
        assert_eq!(Status::from_number(number).number(), number);
    }
    assert_eq!(
        Status::from_number(20).to_string(),
        "520 Got unexpected error from daemon"
    );
}

#[test]
fn times_of_32_bit_senders_and_bad_nanoseconds() {
    let mut bytes = Request::SetTime(Cooked::new(-1, 5)).encode(VERSION, 0, 0);
    let decode = |b: &[u8]| Request::decode(Code::SetTime, b);
    assert_eq!(decode(&bytes), Ok(Request::SetTime(Cooked::new(-1, 5))));
    bytes[20..24].copy_from_slice(&hex("7fffffff"));
    bytes[28..32].copy_from_slice(&hex("ffffffff"));
    assert_eq!(
        decode(&bytes),
        Ok(Request::SetTime(Cooked::new(0xffff_ffff, 999_999_999)))
    );
}

proptest! {
    /// Whatever arrives: no panic, and what is understood survives another round.
    #[test]
    fn any_request_is_digested(code in prop::sample::select(Code::ALL), mut bytes in prop::collection::vec(any::<u8>(), 28..600)) {
        bytes[..12].copy_from_slice(&hex("06010000 0000 0000 00000000"));
        bytes[4..6].copy_from_slice(&code.number().to_be_bytes());
        if let Some(Ok(code)) = RequestHeader::decode(&bytes).map(|h| h.code(bytes.len()))
            && let Ok(request) = Request::decode(code, &bytes)
        {
            let again = request.encode(VERSION, 0, 0);
            let second = Request::decode(request.code(), &again);
            prop_assert_eq!(second.map(|r| r.encode(VERSION, 0, 0)), Ok(again));
        }
    }

    #[test]
    fn any_bytes_are_digested(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        let _ = RequestHeader::decode(&bytes).map(|h| h.code(bytes.len()));
        let _ = ReplyHeader::decode(&bytes);
        for code in Code::ALL {
            let _ = Request::decode(*code, &bytes);
            let _ = Reply::decode(code.reply(), &bytes);
        }
    }

    #[test]
    fn any_reply_is_digested(code in prop::sample::select(Code::ALL), bytes in prop::collection::vec(any::<u8>(), 600)) {
        let reply = Reply::decode(code.reply(), &bytes);
        prop_assert!(reply.is_some());
        if let Some(reply) = reply {
            let header = RequestHeader { version: 6, command: code.number(), attempt: 0, sequence: 0 };
            let again = encode_reply(&header, Status::Success, &reply);
            prop_assert_eq!(again.len(), code.reply().length());
            let second = Reply::decode(code.reply(), &again);
            prop_assert_eq!(second.map(|r| encode_reply(&header, Status::Success, &r)), Some(again));
        }
    }
}
