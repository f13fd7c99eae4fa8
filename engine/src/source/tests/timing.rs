//! When requests are sent (`spec/ntp.md` sections 2.4, 2.5, 10.28).

use super::*;
use crate::event::source::NewValue;
use crate::source::{Matching, SourceAddress};

/// Delays are stretched by up to 2 %; a step of the virtual clock may add a little.
#[track_caller]
fn about(gap: f64, interval: f64) {
    assert!(
        (interval - 1e-6..=interval * 1.02 + 1e-6).contains(&gap),
        "{gap} is not about {interval}"
    );
}

#[test]
fn iburst_to_a_silent_server_is_eight_requests() {
    let mut sim = Sim::with_source(silent(), |c| {
        (c.iburst, c.minpoll, c.maxpoll) = (true, 3, 3);
    });
    sim.run(40.0);
    let node = sim.node();
    about(node.sent[0].0, 0.2);
    let gaps = node.gaps();
    for gap in &gaps[..7] {
        about(*gap, 2.0);
    }
    about(gaps[7], 8.0);
    about(gaps[8], 8.0);
}

#[test]
fn iburst_ends_with_the_fourth_good_reply() {
    let mut sim = Sim::with_source(good(), |c| {
        (c.iburst, c.minpoll, c.maxpoll) = (true, 2, 2);
    });
    sim.run(20.0);
    let gaps = sim.node().gaps();
    for gap in &gaps[..3] {
        about(*gap, 1.0);
    }
    about(gaps[3], 4.0);
    about(gaps[4], 4.0);
}

#[test]
fn without_iburst_there_is_one_request_an_interval() {
    let mut sim = Sim::with_source(good(), |_| {});
    sim.run(300.0);
    let node = sim.node();
    about(node.sent[0].0, 0.2);
    let gaps = node.gaps();
    about(gaps[0], 64.0);
    assert!(gaps.len() >= 3);
}

#[test]
fn presend_makes_pairs_of_which_the_second_counts() {
    let mut sim = Sim::with_source(good(), |c| {
        (c.presend, c.minpoll, c.maxpoll, c.key) = (2, 2, 2, 0);
    });
    sim.run(30.0);
    let node = sim.node();
    for (i, gap) in node.gaps().iter().enumerate() {
        about(*gap, if i % 2 == 0 { 2.0 } else { 4.0 });
    }
    assert_eq!(tests(&node.lines[0].1), "111 111 0111");
    assert_eq!(tests(&node.lines[1].1), "111 111 1111");
    assert_eq!(tests(&node.lines[2].1), "111 111 0111");
}

#[test]
fn presend_goes_on_after_a_burst() {
    let mut sim = Sim::with_source(good(), |c| {
        (c.presend, c.iburst, c.minpoll, c.maxpoll) = (2, true, 2, 2);
    });
    sim.run(60.0);
    let warm_ups = sim
        .node()
        .lines
        .iter()
        .filter(|(_, line)| tests(line) == "111 111 0111");
    assert!(warm_ups.count() > 3);
}

#[test]
fn sources_start_a_fifth_of_a_second_apart() {
    let mut sim = Sim::new(silent());
    for last in 1..=5 {
        sim.node().add(&server(&ip(last).to_string(), |_| {}));
    }
    sim.node().start();
    sim.run(2.0);
    let node = sim.node();
    assert_eq!(node.sent.len(), 5);
    for gap in node.gaps() {
        about(gap, 0.2);
    }
}

#[test]
fn missing_replies_make_the_interval_longer() {
    let mut sim = Sim::with_source(silent(), |c| (c.minpoll, c.maxpoll) = (0, 4));
    sim.run(60.0);
    let (poll, score) = sim.node().manager.associations().next().unwrap().poll_and_score();
    assert_eq!(poll, 3, "{score}");
    // The first missing reply is noticed at the second request.
    let gaps = sim.node().gaps();
    for gap in &gaps[..4] {
        about(*gap, 1.0);
    }
    about(gaps[4], 2.0);
    about(gaps[8], 4.0);
}

#[test]
fn burst_option_sends_several_requests_when_the_interval_is_long() {
    let mut sim = Sim::with_source(silent(), |c| (c.burst, c.minpoll, c.maxpoll) = (true, 4, 5));
    sim.run(400.0);
    let gaps = sim.node().gaps();
    // At poll 5 a burst of two follows each interval.
    let short = gaps.iter().filter(|gap| **gap < 2.1).count();
    let long = gaps.iter().filter(|gap| **gap > 31.9).count();
    assert!(short > 5 && long > 5, "{gaps:?}");
}

#[test]
fn burst_command_on_an_offline_source() {
    let mut sim = Sim::with_source(good(), |c| c.online = false);
    sim.run(100.0);
    assert!(sim.node().sent.is_empty());
    let all = Matching::All;
    assert!(sim.node().event(|m, cx, d| m.burst(cx, d, all, (2, 5))));
    assert_eq!(sim.node().manager.activity().burst_offline, 1);
    sim.run(200.0);
    let node = sim.node();
    assert_eq!(node.sent.len(), 2);
    about(node.gaps()[0], 2.0);
    assert_eq!(node.manager.activity().offline, 1);
    assert!(node.open.is_empty());
}

#[test]
fn a_burst_without_replies_ends_after_its_packets() {
    let mut sim = Sim::with_source(silent(), |c| c.online = false);
    sim.node().event(|m, cx, d| m.burst(cx, d, Matching::All, (2, 5)));
    sim.run(100.0);
    assert_eq!(sim.node().sent.len(), 5);
    assert_eq!(sim.node().manager.activity().offline, 1);
}

#[test]
fn commands_switch_sources_and_say_so() {
    let mut sim = Sim::with_source(good(), |c| (c.minpoll, c.maxpoll) = (2, 2));
    sim.run(10.0);
    let one = Matching::Exact(SourceAddress::Ip(ip(1)));
    assert!(sim.node().event(|m, cx, d| m.offline(cx, d, one)));
    assert!(sim.node().said("Source 192.0.2.1 offline"));
    let sent = sim.node().sent.len();
    sim.run(50.0);
    assert_eq!(sim.node().sent.len(), sent);
    assert_eq!(sim.node().manager.activity().offline, 1);
    assert!(sim.node().event(|m, cx, d| m.online(cx, d, one)));
    assert!(sim.node().event(|m, cx, d| m.online(cx, d, one)));
    sim.run(60.0);
    assert!(sim.node().sent.len() > sent);
    let online = sim.node().events.iter().filter(|(_, e)| e.ends_with("online"));
    assert_eq!(online.count(), 1);
    let other = Matching::Exact(SourceAddress::Ip(ip(9)));
    assert!(!sim.node().event(|m, cx, d| m.online(cx, d, other)));
}

#[test]
fn onoffline_asks_the_network() {
    let mut sim = Sim::with_source(good(), |c| (c.minpoll, c.maxpoll) = (2, 2));
    sim.run(10.0);
    sim.node().unreachable = true;
    sim.node().event(|m, cx, _| m.online_if_reachable(cx));
    sim.pump();
    assert!(sim.node().said("Source 192.0.2.1 offline"));
    sim.node().unreachable = false;
    sim.node().event(|m, cx, _| m.online_if_reachable(cx));
    // Before anything else: a script that repeats the command must not put its end off.
    sim.pump();
    assert!(sim.node().said("Source 192.0.2.1 online"));
    assert!(sim.node().open.is_empty());
}

#[test]
fn onoffline_needs_one_descriptor() {
    let mut sim = Sim::new(silent());
    for last in 1..=40 {
        sim.node()
            .add(&server(&ip(last).to_string(), |c| c.online = false));
    }
    sim.node().start();
    sim.node().descriptors = 1;
    sim.node().event(|m, cx, _| m.online_if_reachable(cx));
    sim.pump();
    assert_eq!(sim.node().manager.activity().online, 40);
    assert!(sim.node().open.is_empty());
    sim.node().descriptors = 0;
    sim.node().event(|m, cx, _| m.online_if_reachable(cx));
    sim.pump();
    assert_eq!(sim.node().manager.activity().offline, 40);
}

#[test]
fn auto_offline_when_nothing_can_be_sent() {
    let mut sim = Sim::with_source(good(), |c| {
        (c.auto_offline, c.minpoll, c.maxpoll) = (true, 2, 2);
    });
    sim.run(10.0);
    sim.node().unreachable = true;
    sim.run(20.0);
    assert!(sim.node().said("Source 192.0.2.1 offline"));
}

#[test]
fn a_failure_to_send_does_not_count() {
    let mut sim = Sim::with_source(silent(), |c| (c.minpoll, c.maxpoll) = (0, 4));
    sim.node().unreachable = true;
    sim.run(30.0);
    let association = sim.node().manager.associations().next().unwrap();
    assert_eq!(association.poll_and_score(), (0, 0.0));
    assert_eq!(association.ntp_data().totals.tx, 0);
}

#[test]
fn options_are_changed_and_the_other_limit_follows() {
    let mut sim = Sim::with_source(silent(), |_| {});
    let address = SourceAddress::Ip(ip(1));
    for value in [
        NewValue::MinPoll(12),
        NewValue::MinPoll(99),
        NewValue::MaxDelay(-1.0),
        NewValue::PollTarget(-5),
    ] {
        assert!(sim.node().event(|m, cx, d| m.modify(cx, d, address, value)));
    }
    let events: Vec<&str> = sim.nodes[0].events.iter().map(|(_, e)| e.as_str()).collect();
    assert_eq!(
        events,
        [
            "Source 192.0.2.1 new minpoll 12",
            "Source 192.0.2.1 new maxpoll 12",
            "Source 192.0.2.1 new maxdelay 0.000000",
            "Source 192.0.2.1 new polltarget 1",
        ]
    );
    let other = SourceAddress::Id(1);
    assert!(
        !sim.node()
            .event(|m, cx, d| m.modify(cx, d, other, NewValue::MinPoll(3)))
    );
}

#[test]
fn a_thousand_sources_work() {
    let mut sim = Sim::new(good());
    for i in 0..1000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + i));
        sim.node()
            .add(&server(&address.to_string(), |c| c.iburst = i % 2 == 0));
    }
    sim.node().start();
    sim.run(500.0);
    let node = sim.node();
    // One every 0.2 s and a little more: the class has no room for more.
    assert!((2400..=2500).contains(&node.sent.len()), "{}", node.sent.len());
    assert!(node.lines.iter().all(|(_, line)| line.synced));
    assert!(node.gaps().iter().all(|gap| *gap > 0.001));
}
