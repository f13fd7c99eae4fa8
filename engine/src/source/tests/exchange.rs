//! What is sent, and what replies are worth (`spec/ntp.md` sections 2.8 to 2.12, 3, 4.1, 10.23 to 10.26).

use super::*;
use crate::sync::kernel::{Change, ChangeKind};
use crate::time::FastBy;
use crate::wire::ntp::refid;

/// Minpoll 0, so that the examples of 10.26 don't take long.
fn fast(c: &mut SourceConfig) {
    (c.minpoll, c.maxpoll) = (0, 0);
}

#[test]
fn measurements_of_bad_replies_are_those_of_10_26() {
    let mut sim = Sim::with_source(
        Box::new(|request| {
            let mut reply = request.reply();
            match request.count {
                1 | 2 => {
                    (reply.leap, reply.stratum) = (3, 0);
                    reply.refid = if request.count == 1 {
                        refid::RATE
                    } else {
                        u32::from_be_bytes(*b"DENY")
                    };
                }
                3 => reply.originate = NtpTimestamp(1),
                4 => reply.root_dispersion = NtpShort::from_seconds(16.0),
                _ => {}
            }
            vec![reply.write().to_vec()]
        }),
        |c| (c.minpoll, c.maxpoll) = (0, 1),
    );
    sim.run(20.0);
    let node = sim.node();
    let lines: Vec<(String, i8, String)> = node.lines[..5]
        .iter()
        .map(|(_, line)| (tests(line), line.local_poll, format!("{:.2}", line.score)))
        .collect();
    let expected = [
        ("111 111 1111", "0.00"),
        ("111 101 0000", "0.10"),
        ("111 101 0000", "0.20"),
        ("101 111 0000", "0.20"),
        ("111 110 0000", "0.55"),
    ];
    for (line, (tests, score)) in lines.iter().zip(expected) {
        assert_eq!(line, &(tests.to_owned(), 0, score.to_owned()));
    }
    let gaps = node.gaps();
    assert!((5.0..5.11).contains(&gaps[1]), "KoD: {}", gaps[1]);
    assert!((1.0..1.03).contains(&gaps[2]), "DENY: {}", gaps[2]);
    assert!(node.said("Received KoD RATE from 192.0.2.1"));

    let good = &node.lines[0].1;
    assert!(good.synced && !node.lines[1].1.synced);
    assert_eq!((good.leap, good.stratum, good.mode), (0, 2, 4));
    assert_eq!((good.tx_origin, good.rx_origin), ('K', 'K'));
    // The network is symmetric; the clocks are equal.
    assert!(good.offset.0.abs() < 1e-6 && (good.peer_delay - 2.0 * ONE_WAY).abs() < 1e-6);
    assert!((good.root_delay - 1.0 / 256.0).abs() < 1e-9);
    // 2000 ppm of the round trip and two precisions.
    assert!((good.peer_dispersion - 2.0 * ONE_WAY * 2e-3 - 1e-9 - 1.0 / 33_554_432.0).abs() < 1e-8);
    let lone = &node.lines[3].1;
    assert_eq!(
        (lone.offset.0, lone.peer_delay, lone.peer_dispersion),
        (0.0, 0.0, 0.0)
    );
}

#[test]
fn only_the_first_valid_reply_to_a_request_counts() {
    let mut sim = Sim::with_source(
        Box::new(|request| {
            let reply = request.reply().write().to_vec();
            vec![reply.clone(), reply]
        }),
        fast,
    );
    sim.run(10.0);
    // The socket is closed after the first.
    assert_eq!(sim.node().lines.len(), sim.node().sent.len());
    let data = sim.node().manager.associations().next().unwrap().ntp_data();
    assert_eq!(data.totals.valid_rx, data.totals.tx);
    assert_eq!(data.totals.good_rx, data.totals.tx);
    assert_eq!(data.totals.kernel_tx, data.totals.tx);
    let last = data.last.unwrap();
    assert_eq!(last.tests, 0x3ff);
    assert_eq!(last.local, Some(node_ip(0)));
    assert_eq!(last.header.stratum, 2);
}

#[test]
fn requests_are_those_of_10_24() {
    /// Options, length, first octet and key of the request.
    type Case = (fn(&mut SourceConfig), usize, u8, Option<u32>);
    let cases: [Case; 9] = [
        (|c| c.version = 1, 48, 0x0b, None),
        (|c| c.key = 2, 72, 0x23, Some(2)),
        (|c| (c.key, c.version) = (3, 4), 72, 0x23, Some(3)),
        (|c| c.mono_root = true, 76, 0x23, None),
        (|c| c.key = 3, 84, 0x1b, Some(3)),
        (|c| c.key = 4, 68, 0x23, Some(4)),
        (|_| {}, 48, 0x23, None),
        (
            |c| (c.xleave, c.mono_root, c.key) = (true, true, 2),
            100,
            0x23,
            Some(2),
        ),
        // Without `ptpport` the field is left out.
        (|c| c.net_correction = true, 48, 0x23, None),
    ];
    for (change, length, first, key) in cases {
        let mut sim = Sim::with_source(silent(), |c| {
            (c.minpoll, c.maxpoll) = (1, 1);
            change(c);
        });
        sim.run(1.0);
        let bytes = &sim.nodes[0].sent[0].2;
        assert_eq!((bytes.len(), bytes[0]), (length, first));
        // Stratum 0, poll 1, precision 32, nothing else up to the transmit timestamp.
        assert_eq!(bytes[1..4], [0, 1, 0x20]);
        assert!(bytes[4..40].iter().all(|byte| *byte == 0));
        assert!(bytes[40..48].iter().any(|byte| *byte != 0));
        let field = "f323001cf5bedd9a0000000000000000000000000000000000000000";
        if length == 76 || length == 100 {
            assert_eq!(bytes[48..76], crate::wire::ntp::captures::octets(field));
        }
        if let Some(key) = key {
            let packet = Packet::parse(bytes).unwrap();
            let (keys, _) = Keys::parse(KEYS.as_bytes(), "keys");
            assert!(keys.verify(&packet));
            assert_eq!(packet.auth, crate::wire::ntp::Auth::Symmetric(key));
        }
    }
}

#[test]
fn nothing_is_sent_with_a_missing_key_or_with_fields_in_an_old_version() {
    let cases: [fn(&mut SourceConfig); 2] = [|c| c.key = 99, |c| (c.version, c.mono_root) = (3, true)];
    for change in cases {
        let mut sim = Sim::with_source(good(), change);
        sim.run(300.0);
        assert!(sim.node().sent.is_empty());
    }
}

#[test]
fn replies_must_be_authenticated_as_agreed() {
    // No MAC in the reply to a request with a key.
    let mut sim = Sim::with_source(good(), |c| c.key = 2);
    sim.run(2.0);
    assert_eq!(tests(&sim.node().lines[0].1), "111 011 0000");
}

#[test]
fn a_packet_from_elsewhere_is_not_for_a_source() {
    let mut sim = Sim::with_source(silent(), fast);
    sim.run(1.0);
    let socket = sim.node().open[0];
    let mut reply = Header {
        version: 4,
        mode: Mode::Server,
        ..Header::default()
    };
    let rx = Stamp::new(sim.node().world.kernel.now().raw, Origin::Daemon);
    let mut take = |on, from: SocketAddr, header: &Header| {
        let bytes = header.write();
        sim.nodes[0].event(|m, cx, d| m.handle_datagram(cx, d, on, from, None, &bytes, rx))
    };
    let from = SocketAddr::new(ip(1), 123);
    assert_eq!(
        take(socket, SocketAddr::new(ip(1), 124), &reply),
        Handled::Consumed
    );
    assert_eq!(
        take(SERVER_SOCKET, SocketAddr::new(ip(1), 124), &reply),
        Handled::Unknown
    );
    assert_eq!(
        take(SERVER_SOCKET, SocketAddr::new(ip(2), 123), &reply),
        Handled::Unknown
    );
    // A reply on another socket is counted and dropped.
    assert_eq!(take(SERVER_SOCKET, from, &reply), Handled::Consumed);
    reply.mode = Mode::Client;
    assert_eq!(take(SERVER_SOCKET, from, &reply), Handled::Unknown);
    assert_eq!(take(socket, from, &reply), Handled::Consumed);
    reply.mode = Mode::Active;
    assert_eq!(take(SERVER_SOCKET, from, &reply), Handled::Unknown);
    reply.mode = Mode::Passive;
    assert_eq!(take(SERVER_SOCKET, from, &reply), Handled::Consumed);
    let data = sim.nodes[0].manager.associations().next().unwrap().ntp_data();
    assert_eq!(data.totals.rx, 3);
    assert!(sim.nodes[0].lines.is_empty());
}

/// A server with interleaved mode as in 3.3: one client, one saved pair.
fn interleaving() -> Script {
    let mut saved: Option<(NtpTimestamp, NtpTimestamp)> = None;
    Box::new(move |request| {
        let asked = request.header();
        let mut reply = request.reply();
        reply.receive.0 |= 1;
        reply.transmit.0 &= !1;
        let real = NtpTimestamp(reply.transmit.0 + 0x5000);
        if asked.originate.0 & 1 == 1 && asked.receive != asked.transmit {
            if let Some((rx, tx)) = saved
                && rx == asked.originate
            {
                reply.originate = asked.receive;
                reply.transmit = tx;
            }
            saved = Some((reply.receive, real));
        }
        vec![reply.write().to_vec()]
    })
}

#[test]
fn interleaved_client_follows_10_25() {
    let mut sim = Sim::with_source(interleaving(), |c| {
        fast(c);
        c.xleave = true;
    });
    sim.run(10.0);
    let node = sim.node();
    let shown: Vec<(String, bool)> = node.lines[..5]
        .iter()
        .map(|(_, line)| (tests(line), line.interleaved))
        .collect();
    let line = |tests: &str, interleaved| (tests.to_owned(), interleaved);
    assert_eq!(
        shown,
        [
            line("111 111 1111", false),
            line("111 111 1111", false),
            line("111 111 0111", true),
            line("111 111 1111", true),
            line("111 111 1111", true),
        ]
    );
    let header = |i: usize| Packet::parse(&node.sent[i].2).unwrap().header;
    assert!(header(0).originate.is_zero() && header(0).receive.is_zero());
    for i in 1..5 {
        let h = header(i);
        assert_eq!(h.originate.0 & 1, 1);
        assert!(!h.receive.is_zero() && h.receive != h.transmit);
        assert_ne!(h.receive, header(i - 1).receive);
    }
    assert!(
        node.lines[3].1.offset.0.abs() < 5e-6,
        "{:?}",
        node.lines[3].1.offset
    );
}

#[test]
fn an_interleaved_client_goes_back_to_basic_mode_when_replies_are_missing() {
    let mut sim = Sim::with_source(
        Box::new(|request| {
            if request.count < 2 {
                vec![request.reply().write().to_vec()]
            } else {
                Vec::new()
            }
        }),
        |c| {
            fast(c);
            c.xleave = true;
        },
    );
    sim.run(12.0);
    let node = sim.node();
    let basic = |i: usize| Packet::parse(&node.sent[i].2).unwrap().header.originate.is_zero();
    assert!(basic(0));
    assert!((1..=5).all(|i| !basic(i)));
    assert!((6..=9).all(basic));
}

#[test]
fn symmetric_peers_come_together_as_in_10_23() {
    for xleave in [false, true] {
        let mut sim = Sim::new(silent());
        sim.nodes = vec![Node::new(1, Some(1)), Node::new(2, None)];
        for (i, other) in [(0, 1), (1, 0)] {
            let mut config = SourceConfig::new(SourceKind::Peer, &node_ip(other).to_string());
            (config.minpoll, config.maxpoll, config.key, config.xleave) = (0, 0, 2, xleave);
            sim.nodes[i].add(&config);
        }
        sim.nodes[0].start();
        sim.run(0.05);
        sim.nodes[1].start();
        sim.run(30.0);
        let (a, b) = (&sim.nodes[0], &sim.nodes[1]);
        let first = Packet::parse(&a.sent[0].2).unwrap().header;
        assert_eq!(
            (first.mode, first.stratum, first.refid),
            (Mode::Active, 1, 0x7f7f_0101)
        );
        assert!(first.originate.is_zero() && first.receive.is_zero() && !first.transmit.is_zero());
        assert_eq!(tests(&b.lines[0].1), "110 111 0000");
        assert_eq!(b.lines[0].1.tx_origin, 'D');
        // b answers a packet that it could not use.
        let answer = Packet::parse(&b.sent[0].2).unwrap().header;
        assert_eq!((answer.leap, answer.stratum), (3, 0));
        assert_eq!(answer.originate, first.transmit);
        let good = b.lines.iter().filter(|(_, line)| tests(line) == "111 111 1111");
        assert!(
            good.count() > 15,
            "{xleave}: {:?}",
            b.lines.iter().map(|l| tests(&l.1)).collect::<Vec<_>>()
        );
        let used = b.lines.iter().filter(|(_, line)| line.interleaved).count();
        assert_eq!(used > 15, xleave, "{used}");
        assert!(b.lines.iter().skip(3).all(|(_, line)| line.offset.0.abs() < 1e-5));
        assert_eq!((a.unknown, b.unknown), (0, 0));
    }
}

#[test]
fn peers_tell_their_root_and_their_monotonic_time() {
    let mut sim = Sim::new(silent());
    sim.nodes = vec![Node::new(1, Some(1)), Node::new(2, None)];
    for (i, other) in [(0, 1), (1, 0)] {
        let mut config = SourceConfig::new(SourceKind::Peer, &node_ip(other).to_string());
        (config.minpoll, config.maxpoll, config.mono_root) = (0, 0, true);
        sim.nodes[i].add(&config);
        sim.nodes[i].discipline.mono.offset = 0.25;
    }
    sim.nodes[0].start();
    sim.run(0.05);
    sim.nodes[1].start();
    sim.run(10.0);
    for node in &sim.nodes {
        let era = node.discipline.clock.era();
        for (i, (_, _, bytes)) in node.sent.iter().enumerate() {
            let packet = Packet::parse(bytes).unwrap();
            let (h, field) = (packet.header, packet.mono_root.unwrap());
            assert_eq!(field.epoch, node.discipline.mono.epoch);
            assert_eq!(field.receive.is_zero(), h.receive.is_zero(), "packet {i}");
            if !h.receive.is_zero() {
                let ahead = era.cooked(field.receive) - era.cooked(h.receive);
                assert!((ahead - 0.25).abs() < 1e-5, "{ahead}");
            }
            assert!((field.root_delay.seconds() - h.root_delay.seconds()).abs() < 2e-5);
        }
    }
    let epochs = [0, 1].map(|i| sim.nodes[i].discipline.mono.epoch);
    assert_ne!(epochs[0], epochs[1]);
    let b = &sim.nodes[1];
    assert!(
        b.lines
            .iter()
            .filter(|(_, line)| tests(line) == "111 111 1111")
            .count()
            > 3
    );
    assert!(
        b.sent
            .iter()
            .skip(2)
            .all(|(_, _, bytes)| !Packet::parse(bytes).unwrap().header.receive.is_zero())
    );
}

#[test]
fn a_peer_tells_the_same_reference_time_each_time() {
    let mut sim = Sim::new(silent());
    sim.nodes = vec![Node::new(1, Some(1))];
    let mut config = SourceConfig::new(SourceKind::Peer, "192.0.2.1");
    (config.minpoll, config.maxpoll) = (0, 0);
    sim.node().add(&config);
    sim.node().start();
    sim.run(10.0);
    let reference =
        |(_, _, bytes): &(f64, SocketAddr, Vec<u8>)| Packet::parse(bytes).unwrap().header.reference;
    let told: Vec<NtpTimestamp> = sim.node().sent.iter().map(reference).collect();
    assert!(told.len() > 5 && !told[0].is_zero(), "{told:?}");
    assert!(told.iter().all(|time| *time == told[0]), "{told:?}");
}

#[test]
fn a_response_waits_for_the_timestamp_of_the_network_card() {
    let mut sim = Sim::with_source(good(), fast);
    sim.node().manager.set_hardware_timeout(Some(0.001));
    sim.run(5.0);
    let node = sim.node();
    let waits: Vec<f64> = node
        .lines
        .iter()
        .zip(&node.sent)
        .map(|((at, line), (sent, ..))| {
            assert_eq!(tests(line), "111 111 1111");
            assert_eq!((line.tx_origin, line.rx_origin), ('K', 'K'));
            at - sent - 2.0 * ONE_WAY
        })
        .collect();
    // Not before the first good one; then in vain, as this card is silent.
    assert!(waits.len() >= 4 && waits[0] < 1e-4, "{waits:?}");
    assert!(
        waits[1..].iter().all(|wait| (0.001..0.0011).contains(wait)),
        "{waits:?}"
    );
    // Without cards nothing waits.
    sim.node().manager.set_hardware_timeout(None);
    let before = sim.node().lines.len();
    sim.run(8.0);
    let node = sim.node();
    let (at, _) = node.lines[before + 1];
    assert!(at - node.sent[before + 1].0 - 2.0 * ONE_WAY < 1e-4);
}

#[test]
fn a_loop_is_noticed() {
    let mut sim = Sim::with_source(
        Box::new(|request| {
            let mut reply = request.reply();
            reply.refid = refid::of_address(node_ip(0));
            vec![reply.write().to_vec()]
        }),
        fast,
    );
    sim.run(2.0);
    assert_eq!(tests(&sim.node().lines[0].1), "111 111 1110");
}

#[test]
fn a_slow_server_fails_test_a() {
    let mut sim = Sim::with_source(
        Box::new(|request| {
            let mut reply = request.reply();
            reply.receive.0 -= 5 << 32;
            vec![reply.write().to_vec()]
        }),
        fast,
    );
    sim.run(2.0);
    assert_eq!(tests(&sim.node().lines[0].1), "111 111 0111");
}

#[test]
fn with_a_quantile_the_first_reply_fails_test_c() {
    let mut sim = Sim::with_source(good(), |c| {
        fast(c);
        c.max_delay_quant = 0.9;
    });
    sim.run(20.0);
    assert_eq!(tests(&sim.node().lines[0].1), "111 111 1101");
    // Each of the others does by chance.
    let passed = |line: &&(f64, Measurement)| tests(&line.1) == "111 111 1111";
    assert!(sim.node().lines.iter().filter(passed).count() > 3);
}

#[test]
fn a_filter_gives_one_sample_of_several_polls() {
    let mut sim = Sim::with_source(good(), |c| {
        fast(c);
        c.filter = 4;
    });
    sim.run(13.5);
    let node = sim.node();
    let id = node.manager.associations().next().unwrap().id();
    let samples = node.discipline.sources.stats(id).unwrap().samples();
    assert_eq!(samples, node.sent.len() / 4);
}

#[test]
fn copy_takes_over_stratum_and_reference() {
    let mut sim = Sim::with_source(good(), |c| {
        fast(c);
        c.copy = true;
    });
    sim.run(10.0);
    let node = sim.node();
    let served = node.event(|_, cx, d| d.served(cx.cooked, cx.now.mono));
    assert_eq!((served.stratum, served.refid), (2, 0xc633_6401));
}

#[test]
fn an_unknown_step_forgets_the_exchange() {
    let mut sim = Sim::with_source(silent(), |c| (c.minpoll, c.maxpoll) = (0, 6));
    sim.run(120.0);
    assert!(
        sim.node()
            .manager
            .associations()
            .next()
            .unwrap()
            .poll_and_score()
            .0
            > 0
    );
    sim.node().event(|m, cx, d| {
        let change = Change {
            raw: cx.now.raw,
            cooked: cx.cooked,
            dfreq: 0.0,
            by: FastBy(0.0),
            kind: ChangeKind::UnknownStep,
        };
        m.announce(cx, d, &change);
    });
    let node = sim.node();
    assert_eq!(
        node.manager.associations().next().unwrap().poll_and_score(),
        (0, 0.0)
    );
    let wakeup = node.manager.next_wakeup().unwrap() - node.now();
    assert!(wakeup < 1.1, "{wakeup}");
}

#[test]
fn a_stamp_far_from_the_event_is_not_believed() {
    let mut sim = Sim::with_source(silent(), fast);
    sim.run(1.0);
    let node = sim.node();
    let request = Packet::parse(&node.sent[0].2).unwrap().header;
    let stamp = NtpTimestamp::from_cooked(Cooked::new(crate::sync::testing::START, 0).plus(1.0), 0);
    let reply = Header {
        version: 4,
        mode: Mode::Server,
        stratum: 1,
        originate: request.transmit,
        receive: stamp,
        transmit: stamp,
        ..Header::default()
    };
    let (on, from) = (node.open[0], SocketAddr::new(ip(1), 123));
    let at = node.world.kernel.now().raw.plus(-2.0);
    let rx = Stamp::new(at, Origin::Hardware);
    let bytes = reply.write();
    node.event(|m, cx, d| m.handle_datagram(cx, d, on, from, None, &bytes, rx));
    assert_eq!(node.lines[0].1.rx_origin, 'D');
}
