//! E1 to E17: reports.

use super::super::*;
use super::*;
use crate::time::Cooked;

#[test]
fn e1_tracking() {
    request(&Request::Tracking, 0x1122_3301, "06010000 00210000 11223301", 104);
    let Reply::Tracking(t) = reply(&hex("06 02 00 00 00 21 00 05 00 00 00 00 00 00 00 00
          11 22 33 01 00 00 00 00 00 00 00 00 7f 00 00 0c
          7f 00 00 0c 00 00 00 00 00 00 00 00 00 00 00 00
          00 01 00 00 00 02 00 00 00 00 00 00 6b 00 68 60
          02 2c 5a 68 dd 4c 1c 93 c1 17 95 e5 f8 e7 8a 1d
          f3 56 d7 e5 e7 3e e5 62 f4 ed 4a b7 de e9 df d8
          dc 9b 45 01 04 81 33 01"))
    else {
        panic!()
    };
    assert_eq!((t.ref_id, t.address), (0x7f00_000c, address("127.0.0.12")));
    assert_eq!((t.stratum, t.leap), (2, 0));
    assert_eq!(t.ref_time, Cooked::new(0x6b00_6860, 0x022c_5a68));
    near(t.correction, -1.340273e-06);
    near(t.last_offset, -1.0569e-10);
    near(t.rms_offset, 0.0282641);
    near(t.frequency, -0.00258113);
    near(t.residual_frequency, -4.60396e-05);
    near(t.skew, 0.00724157);
    near(t.root_delay, 3.485e-06);
    near(t.root_dispersion, 1.15685e-06);
    near(t.update_interval, 1.00936902);
}

#[test]
fn e2_number_of_sources() {
    request(&Request::NSources, 0x1122_3302, "06010000 000e0000 11223302", 32);
    assert_eq!(
        reply_data(14, ReplyCode::NSources, "00000008"),
        Reply::NSources(8)
    );
}

#[test]
fn e3_to_e5_source_data() {
    request(
        &Request::SourceData(2),
        0x1122_3303,
        "06010000 000f0000 11223303 00*8 00000002",
        76,
    );
    let Reply::Source(s) = reply_data(
        15,
        ReplyCode::SourceData,
        "7f00000c 00*12 0001 0000 0000 0001 0000 0000 0000 00ff 00000000 d6ce288f d6ce459c def3a12a",
    ) else {
        panic!()
    };
    assert_eq!(
        (s.address, s.poll, s.stratum, s.reach),
        (address("127.0.0.12"), 0, 1, 0xff)
    );
    assert_eq!(
        (s.state, s.mode, s.last_sample),
        (SourceState::Selected, SourceMode::Client, Some(0))
    );
    near(s.measured_offset, 1.92e-07);
    near(s.adjusted_offset, 1.92106e-07);
    near(s.error, 3.63036e-06);

    let Reply::Source(s) = reply_data(
        15,
        ReplyCode::SourceData,
        "47505330 00*12 0001 0000 0000 0000 0001 0002 0000 00ff 00000000 e8ff223e e8ff2242 dc8648eb",
    ) else {
        panic!()
    };
    assert_eq!(
        (s.address, s.mode),
        (Address::of_refclock(0x4750_5330), SourceMode::RefClock)
    );
    assert_eq!(ref_id_text(s.address.ref_id()), "GPS0");

    let Reply::Source(s) = reply_data(
        15,
        ReplyCode::SourceData,
        "00000001 00*12 0003 0000 0006 0000 0001 0000 0000 0000 ffffffff 00*12",
    ) else {
        panic!()
    };
    assert_eq!((s.address, s.last_sample), (Address::Id(1), None));
}

#[test]
fn e6_sourcestats() {
    request(
        &Request::SourceStats(2),
        0x1122_3306,
        "06010000 00220000 11223306 00*8 00000002",
        84,
    );
    let Reply::SourceStats(s) = reply_data(
        34,
        ReplyCode::SourceStats,
        "7f00000c 7f00000c 00*12 0001 0000 00000031 0000001c 00000035 d6dd3a8c e73ee562 f4e7b0a5 bd48d793 de8eb439",
    ) else {
        panic!()
    };
    assert_eq!((s.samples, s.runs, s.span), (49, 28, 53));
    near(s.std_dev, 2.06035e-07);
    near(s.frequency, -4.60396e-05);
    near(s.skew, 0.00707062);
    near(s.offset, -2.08226e-11);
    near(s.offset_error, 2.12646e-06);
}

#[test]
fn e7_selectdata() {
    request(
        &Request::SelectData(2),
        0x1122_3307,
        "06010000 00450000 11223307 00*8 00000002",
        76,
    );
    let Reply::Select(s) = reply_data(
        69,
        ReplyCode::SelectData,
        "7f00000c 7f00000c 00*12 0001 0000 2a010000 0002 000e 00000000 04800000 df7dd5b3 de92c1cf",
    ) else {
        panic!()
    };
    assert_eq!(
        (s.state, s.authenticated, s.leap, s.last_sample),
        (b'*', true, 0, Some(0))
    );
    assert_eq!((s.configured, s.effective), (2, 0xe));
    near(s.score, 1.0);
    near(s.low, -1.93961e-06);
    near(s.high, 2.18685e-06);
}

#[test]
fn e8_authdata() {
    let id = address("127.0.0.14");
    request(
        &Request::AuthData(id),
        0x1122_3308,
        "06010000 00430000 11223308 00*8 7f00000e 00*12 0001 0000",
        52,
    );
    assert_eq!(
        reply_data(
            67,
            ReplyCode::AuthData,
            "0002 000f 00000001 0100 0000 00000048 0008 0064 0000 0000"
        ),
        Reply::Auth(AuthReport {
            mode: AuthMode::Nts,
            key_type: 15,
            key_id: 1,
            key_length: 256,
            ke_attempts: 0,
            last_ke: Some(72),
            cookies: 8,
            cookie_length: 100,
            nak: 0,
        })
    );
}

#[test]
fn e9_ntpdata() {
    request(
        &Request::NtpData(address("127.0.0.12")),
        0x1122_3309,
        "06010000 00390000 11223309 00*8 7f00000c 00*12 0001 0000",
        172,
    );
    let Reply::NtpData(d) = reply(&hex("06 02 00 00 00 39 00 1a 00 00 00 00 00 00 00 00
          11 22 33 09 00 00 00 00 00 00 00 00 7f 00 00 0c
          00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00
          7f 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00
          00 01 00 00 2b 73 00 04 04 01 00 e3 00 00 00 00
          00 00 00 00 7f 7f 01 01 00 00 00 00 6b 00 68 55
          32 6b d3 55 d7 31 d7 71 e0 f3 5e cc cc 84 bb ea
          e6 d7 0a be fc c3 66 30 83 ff 4b 4b 00 00 00 4a
          00 00 00 4a 00 00 00 4a 00 00 00 45 00 00 00 4a
          00 00 00 4a 00 00 00 00 00 00 00 00 ff ff ff ff
          ff ff ff ff ff ff ff ff ff ff ff ff"))
    else {
        panic!()
    };
    assert_eq!(
        (d.remote, d.local, d.remote_port),
        (address("127.0.0.12"), address("127.0.0.1"), 11123)
    );
    assert_eq!(
        (d.leap, d.version, d.mode, d.stratum, d.poll, d.precision),
        (0, 4, 4, 1, 0, -29)
    );
    assert_eq!((d.ref_id, d.root_delay), (0x7f7f_0101, 0.0));
    near(d.offset, -1.92e-07);
    near(d.peer_delay, 7.253e-06);
    near(d.response_time, 5.127e-05);
    near(d.jitter_asymmetry, 0.09541);
    assert_eq!(d.flags, NtpDataReport::AUTHENTICATED | 0x3ff);
    assert_eq!((d.tx_origin, d.rx_origin), (b'K', b'K'));
    assert_eq!(
        (d.total_tx, d.total_rx, d.total_valid, d.total_good),
        (74, 74, 74, 69)
    );
    assert_eq!(
        (d.kernel_tx, d.kernel_rx, d.hardware_tx, d.hardware_rx),
        (74, 74, 0, 0)
    );
}

#[test]
fn e10_unauthorised() {
    let header = RequestHeader {
        version: 6,
        command: 57,
        attempt: 0,
        sequence: 0x1122_330a,
    };
    let bytes = encode_reply(&header, Status::Unauthorised, &Reply::Null);
    assert_eq!(
        bytes,
        hex("06 02 00 00 00 39 00 01 00 02 00 00 00 00 00 00 11 22 33 0a 00*8")
    );
    assert_eq!(
        ReplyHeader::decode(&bytes).unwrap().status.to_string(),
        "501 Not authorised"
    );
}

#[test]
fn e11_source_name() {
    request(
        &Request::SourceName(Address::Id(1)),
        0x1122_330b,
        "06010000 00410000 1122330b 00*8 00000001 00*12 0003 0000",
        284,
    );
    let Reply::SourceName(name) = reply_data(
        65,
        ReplyCode::SourceName,
        "6e 6f 2d 73 75 63 68 2d 68 6f 73 74 2e 69 6e 76 61 6c 69 64",
    ) else {
        panic!()
    };
    assert_eq!(name.text(), Some("no-such-host.invalid"));
    assert_eq!(
        SourceName::new(&"x".repeat(255)).text(),
        Some("x".repeat(255).as_str())
    );
    assert_eq!(SourceName::new(&"x".repeat(300)).text(), None);
    assert_eq!(SourceName::new("a b").text(), None);
}

#[test]
fn e12_activity() {
    request(&Request::Activity, 0x1122_330c, "06010000 002c0000 1122330c", 48);
    assert_eq!(
        reply_data(44, ReplyCode::Activity, "00000006 00*12 00000001"),
        Reply::Activity(ActivityReport {
            online: 6,
            offline: 0,
            burst_online: 0,
            burst_offline: 0,
            unresolved: 1
        })
    );
}

#[test]
fn e13_smoothing() {
    request(&Request::Smoothing, 0x1122_330d, "06010000 00330000 1122330d", 52);
    let Reply::Smoothing(s) = reply_data(
        51,
        ReplyCode::Smoothing,
        "00000001 e0dffcae faf46eac f17ced91 00e80f5c 12f39694",
    ) else {
        panic!()
    };
    assert!(s.active && !s.leap_only);
    near(s.offset, 6.67533e-06);
    near(s.frequency, 0.0596759);
    near(s.wander, -0.001);
    near(s.last_update, 0.453242);
    near(s.remaining, 243.588);
}

#[test]
fn e14_server_stats() {
    request(
        &Request::ServerStats,
        0x1122_330e,
        "06010000 00360000 1122330e",
        196,
    );
    let Reply::ServerStats(s) = reply(&hex("06 02 00 00 00 36 00 19 00 00 00 00 00 00 00 00
          11 22 33 0e 00 00 00 00 00 00 00 00 00 00 00 00
          00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00
          00 00 00 d6 00 00 00 00 00 00 00 00 00 00 00 00
          00*32
          00 00 00 04 00 00 00 00 00 00 00 06 00 00 00 00
          00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
          00 00 00 04 00 00 00 00 00 00 00 08 00 00 00 00
          00 00 00 04 00 00 00 00 00 00 00 00 00 00 00 00
          00 00 00 00 ff*32"))
    else {
        panic!()
    };
    assert_eq!((s.ntp_hits, s.nke_hits, s.cmd_hits), (8, 0, 214));
    assert_eq!((s.ntp_interleaved_hits, s.ntp_timestamps), (4, 6));
    assert_eq!((s.daemon_rx, s.daemon_tx, s.kernel_rx, s.kernel_tx), (0, 4, 8, 4));
}

#[test]
fn e15_clients() {
    request(
        &Request::Clients {
            first: 0,
            count: 8,
            min_hits: 0,
            reset: false,
        },
        0x1122_330f,
        "06010000 00440000 1122330f 00*12 00000008",
        520,
    );
    let entry = "7f000015 00*12 0001 0000 00000004 00*20 fd7f7f7f 0000003c ffffffff ffffffff";
    let last = "7f000001 00*12 0001 0000 00*8 0000000a 00*12 7f7ffb7f ffffffff ffffffff 00000000";
    let Reply::Clients(c) = reply_data(
        68,
        ReplyCode::Clients,
        &format!("00000008 00000008 00000003 {entry} {entry} {last}"),
    ) else {
        panic!()
    };
    assert_eq!((c.indices, c.next, c.clients.len()), (8, 8, 3));
    let first = c.clients[0];
    assert_eq!(
        (first.address, first.ntp_hits, first.ntp_drops),
        (address("127.0.0.21"), 4, 0)
    );
    assert_eq!(
        (first.ntp_interval, first.cmd_interval, first.ntp_timeout_interval),
        (Some(-3), None, None)
    );
    assert_eq!((first.last_ntp, first.last_cmd), (Some(60), None));
    let third = c.clients[2];
    assert_eq!(
        (third.cmd_hits, third.cmd_interval, third.last_cmd),
        (10, Some(-5), Some(0))
    );
}

#[test]
fn e16_settime() {
    request(
        &Request::SetTime(Cooked::new(0x6b00_686a, 0)),
        0x1122_3310,
        "06010000 000b0000 11223310 00*8 00000000 6b00686a 00000000",
        40,
    );
    let Reply::SetTime(s) = reply_data(11, ReplyCode::ManualTimestamp, "0b6cf064 2741b603 253cb000") else {
        panic!()
    };
    near(s.offset, -9.19131);
    near(s.frequency_change, -194_855.95);
    near(s.frequency, -100_000.0);
}

#[test]
fn e17_manual_list() {
    request(&Request::ManualList, 1, "06010000 00290000 00000001", 416);
    let Reply::ManualList(samples) = reply_data(
        41,
        ReplyCode::ManualList,
        "00000002 00000000 6b006832 2d7dcba4 08986c4a 0297eb1e a0800000
         00000000 6b00686a 000009f4 deab091f 0b6cf064 a2800000",
    ) else {
        panic!()
    };
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0].when, Cooked::new(0x6b00_6832, 763_218_852));
    near(samples[0].slewed, 4.76322);
    near(samples[0].original, 0.593431);
    near(samples[0].residual, 8.88e-16 * 1.000_2);
}
