//! Table, rates and limits.

use super::*;
use crate::random::Seeded;
use proptest::prelude::*;

fn log(limit: u64, ntp: Option<RateLimit>) -> ClientLog {
    ClientLog::new(Some(limit), [ntp, None, None], &mut Seeded::new(1))
}

fn client(i: u32) -> Option<IpAddr> {
    Some(IpAddr::from((0x0a00_0000 + i).to_be_bytes()))
}

fn at(seconds: i64) -> Cooked {
    Cooked::new(1_767_225_600 + seconds, 0)
}

fn reports(log: &ClientLog, now: Cooked) -> Vec<ClientReport> {
    (0..log.len()).filter_map(|i| log.report(i, now)).collect()
}

#[test]
fn size_follows_the_limit() {
    for (limit, records) in [
        (524_288, 4096),
        (0, 8),
        (960, 8),
        (1920, 16),
        (2879, 16),
        (u64::MAX, 1 << 24),
    ] {
        assert_eq!(log(limit, None).capacity(), records, "{limit}");
    }
    assert_eq!(log(524_288, None).len(), 8);
    let mut off = ClientLog::new(None, [None; 3], &mut Seeded::new(1));
    assert!(!off.is_active() && off.capacity() == 0 && off.is_empty());
    assert_eq!(off.hit(Service::Ntp, client(1), at(0)), None);
    assert_eq!(off.totals(Service::Ntp).hits, 1);
}

#[test]
fn table_grows_and_keeps_every_client() {
    let mut log = log(524_288, None);
    for i in 0..1000 {
        for _ in 0..=i % 3 {
            log.hit(Service::Ntp, client(i), at(i64::from(i)));
        }
    }
    assert!(log.len() <= 4096);
    assert_eq!((reports(&log, at(0)).len(), log.replaced()), (1000, 0));
    for i in 0..1000 {
        let address = client(i).unwrap();
        let report = reports(&log, at(1000))
            .into_iter()
            .find(|r| r.address == address)
            .unwrap();
        assert_eq!(report.hits, [i % 3 + 1, 0, 0]);
    }
}

#[test]
fn the_oldest_record_is_replaced() {
    let mut log = log(0, None);
    for i in 0..8 {
        log.hit(Service::Ntp, client(i), at(i64::from(i)));
    }
    // The oldest for NTP, but its command is new.
    log.hit(Service::Command, client(0), at(10));
    log.hit(Service::Ntp, client(8), at(11));
    let found = reports(&log, at(11));
    assert!(found.iter().all(|r| Some(r.address) != client(1)));
    assert!(found.iter().any(|r| Some(r.address) == client(0)));
    assert_eq!((found.len(), log.replaced()), (8, 1));
    // Of equally old ones the one with fewer hits.
    for i in [0, 2, 3, 4, 5, 6, 7, 8] {
        log.hit(Service::Ntp, client(i), at(20));
    }
    let fewest = reports(&log, at(20))
        .into_iter()
        .min_by_key(|r| r.hits[0])
        .unwrap()
        .hits[0];
    log.hit(Service::Ntp, client(0), at(20));
    log.hit(Service::Ntp, client(9), at(20));
    assert_eq!(fewest, 2);
    assert!(reports(&log, at(20)).iter().any(|r| Some(r.address) == client(0)));
}

#[test]
fn rates_and_times_are_reported() {
    let mut log = log(0, None);
    log.hit(Service::Ntp, client(1), at(0));
    let first = reports(&log, at(5))[0];
    assert_eq!(
        (first.interval, first.last_hit_ago),
        ([127; 3], [5, u32::MAX, u32::MAX])
    );
    for i in 1..20 {
        log.hit(Service::Ntp, client(1), at(64 * i));
    }
    let report = reports(&log, at(64 * 19 + 7))[0];
    assert_eq!(
        (report.interval[0], report.last_hit_ago[0], report.hits[0]),
        (6, 7, 20)
    );
    // A thread that asks for the time before another one has a request.
    assert_eq!(reports(&log, at(64 * 19 - 1))[0].last_hit_ago[0], 0);
    log.reset(0);
    let report = reports(&log, at(64 * 19 + 7))[0];
    assert_eq!((report.hits, report.interval[0]), ([0; 3], 6));
}

#[test]
fn rate_rises_slowly_and_falls_quickly() {
    assert_eq!(next_rate(NO_RATE, 16), 0);
    assert_eq!((next_rate(NO_RATE, 0), next_rate(NO_RATE, 1)), (20, 16));
    assert_eq!((next_rate(0, 1), next_rate(16, 1)), (1, 16));
    assert_eq!((next_rate(16, 16), next_rate(8, 16)), (10, 3));
    assert_eq!(next_rate(NO_RATE, i32::MAX as u32), -56);
    for (rate, interval) in [
        (0, 0),
        (4, -1),
        (16, -4),
        (20, -5),
        (-4, 1),
        (-24, 6),
        (1, 0),
        (-1, 0),
    ] {
        assert_eq!(interval_of_rate(rate), interval, "{rate}");
    }
}

#[test]
fn burst_passes_and_then_few() {
    let limit = RateLimit {
        interval: 3,
        burst: 8,
        leak: 2,
        kod: 0,
    };
    let mut log = log(0, Some(limit));
    let mut random = Seeded::new(7);
    let mut ask = |log: &mut ClientLog, time| {
        let record = log.hit(Service::Ntp, client(1), time);
        log.limit(Service::Ntp, record, &mut random)
    };
    assert!((0..8).all(|_| ask(&mut log, at(0)) == Limit::Pass));
    let passed = (0..1000).filter(|_| ask(&mut log, at(0)) == Limit::Pass).count();
    assert!((150..=850).contains(&passed), "{passed}");
    assert_eq!(
        log.totals(Service::Ntp),
        Totals {
            hits: 1008,
            drops: 1000 - passed as u64
        }
    );
    assert_eq!(ask(&mut log, at(8)), Limit::Pass);
    // Only NTP is limited.
    let record = log.hit(Service::Command, client(1), at(8));
    assert_eq!(log.limit(Service::Command, record, &mut random), Limit::Pass);
}

#[test]
fn kod_is_no_drop() {
    let limit = RateLimit {
        interval: 3,
        burst: 1,
        leak: 4,
        kod: 1,
    };
    let mut log = log(0, Some(limit));
    let mut random = Seeded::new(7);
    let mut counts = [0; 3];
    for _ in 0..1000 {
        let record = log.hit(Service::Ntp, client(1), at(0));
        counts[log.limit(Service::Ntp, record, &mut random) as usize] += 1;
    }
    assert_eq!(log.totals(Service::Ntp).drops, counts[Limit::Drop as usize]);
    assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
}

#[test]
fn workers_and_the_main_thread_share_the_limit() {
    let slots = |octets: u64| (octets / RECORD_COST).max(1);
    for limit in [
        0,
        960,
        1919,
        10_000,
        524_288,
        1_000_000,
        20_000_000,
        999_999_999,
        u64::MAX,
    ] {
        for workers in [1, 2, 3, 4, 5, 7, 8, 16, 63, 64] {
            let parts = Parts::of(limit, workers);
            let (main, worker) = (max_slots(parts.main) as u64, max_slots(parts.worker) as u64);
            let total = main + workers as u64 * worker;
            // At least one slot each, and no more than a table of 2^24 records has.
            assert!(
                total <= slots(limit).max(workers as u64 + 1),
                "{limit} {workers} {parts:?}"
            );
            // Rounding loses no more than it does for one table.
            let possible = slots(limit).min(MAX_RECORDS / SLOT as u64);
            assert!(
                2 * total + 2 * workers as u64 >= possible,
                "{limit} {workers} {parts:?}"
            );
            assert_eq!(parts.worker_records() as u64, worker * SLOT as u64);
        }
        assert_eq!(Parts::of(limit, 0).main, limit);
    }
    let parts = Parts::of(524_288, 2);
    assert_eq!((max_slots(parts.worker), max_slots(parts.main)), (256, 32));
}

#[test]
fn marks_are_found_in_order() {
    for marks in [
        [0; SLOT],
        [7, 0, 7, 6, 8, 255, 0, 7],
        [1, 2, 3, 0, 1, 0, 255, 254],
    ] {
        for mark in 0..=255 {
            let found: Vec<_> = Marks(marks).with(mark).collect();
            let naive: Vec<_> = (0..SLOT).filter(|&i| marks[i] == mark).collect();
            assert!(naive.iter().all(|i| found.contains(i)), "{mark} in {marks:?}");
            assert!(
                found.is_sorted() && found.first() == naive.first(),
                "{mark} in {marks:?}"
            );
        }
    }
    assert_eq!((Marks::mark(0), Marks::mark(u64::MAX)), (1, 255));
    assert_eq!(size_of::<Record>(), 64);
}

proptest! {
    /// While nothing has to be replaced, every client has one record, which counts all its requests.
    #[test]
    fn equals_a_naive_list(requests in prop::collection::vec((0_u32..300, any::<bool>()), 0..2000)) {
        let (mut log, mut naive) = (log(u64::MAX, None), Vec::<(IpAddr, u32)>::new());
        for (i, v6) in requests {
            let v4 = client(i).unwrap();
            let IpAddr::V4(octets) = v4 else { unreachable!() };
            let address = if v6 { octets.to_ipv6_mapped().into() } else { v4 };
            log.expect([address].into_iter());
            let index = log.hit(Service::Ntp, Some(address), at(0)).unwrap();
            prop_assert_eq!(log.report(index.0, at(0)).unwrap().address, address);
            match naive.iter_mut().find(|known| known.0 == address) {
                Some(known) => known.1 += 1,
                None => naive.push((address, 1)),
            }
        }
        let mut found: Vec<_> = reports(&log, at(0)).iter().map(|r| (r.address, r.hits[0])).collect();
        found.sort_unstable();
        naive.sort_unstable();
        prop_assert_eq!(found, naive);
        prop_assert_eq!(log.replaced(), 0);
    }

    /// In a table that is full, each request replaces at most one record, of its own slot, the oldest one.
    #[test]
    fn a_full_table_replaces_the_oldest_of_the_slot(clients in prop::collection::vec(0_u32..200, 100..1500)) {
        let mut log = log(4 * RECORD_COST, None);
        for (second, &i) in clients.iter().enumerate() {
            let now = at(second as i64);
            let address = client(i).unwrap();
            let before: Vec<_> = (0..log.len()).map(|i| log.report(i, now)).collect();
            let (known, replaced) = (before.iter().flatten().any(|r| r.address == address), log.replaced());
            let index = log.hit(Service::Ntp, Some(address), now).unwrap().0;
            if before.len() != log.len() {
                continue;
            }
            let others = (0..log.len()).filter(|&i| i != index);
            for other in others {
                prop_assert_eq!(log.report(other, now), before[other]);
            }
            let report = log.report(index, now).unwrap();
            prop_assert_eq!(report.address, address);
            prop_assert_eq!(report.hits[0] > 1, known);
            prop_assert_eq!(log.replaced() - replaced, u64::from(!known && before[index].is_some()));
            if log.replaced() > replaced {
                let slot = &before[index / SLOT * SLOT..][..SLOT];
                let oldest = slot.iter().map(|r| r.unwrap().last_hit_ago[0]).max();
                prop_assert_eq!(oldest, Some(before[index].unwrap().last_hit_ago[0]));
            }
        }
    }
}
