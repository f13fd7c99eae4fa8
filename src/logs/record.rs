//! Lines of the log files below `logdir` (`spec/files-and-security.md` section 4).

use super::utc;
use std::net::IpAddr;
use truechimer_engine::event::record::{
    Measurement, Record, Refclock, Rtc, Selection, Statistics, Subject, TempComp, Tracking,
};
use truechimer_engine::text::{Exp, Fixed};
use truechimer_engine::time::Cooked;

/// Header line of `measurements.log`.
pub(super) const MEASUREMENTS: &str = "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    \
     Offset  Peer del. Peer disp.  Root del. Root disp. Refid     MTxRx";
/// Header line of `statistics.log`.
pub(super) const STATISTICS: &str = "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  \
     Diff freq   Est skew  Stress  Ns  Bs  Nr  Asym";
/// Header line of `selection.log`.
pub(super) const SELECTION: &str =
    "   Date (UTC) Time     IP Address   S EOpts Reach Score Last sample  Low end   High end";
/// Header line of `tracking.log`.
pub(super) const TRACKING: &str = "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L \
     Co  Offset sd Rem. corr. Root delay Root disp. Max. error";

/// Header line of `tempcomp.log`.
pub(super) const TEMPCOMP: &str = "   Date (UTC) Time        Temp.       Comp.";

/// Header line of `refclocks.log`.
pub(super) const REFCLOCKS: &str =
    "   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp.";

/// Header line of `rtc.log`.
pub(super) const RTC: &str =
    "   Date (UTC) Time   RTC fast (s) Val   Est fast (s)   Slope (ppm)  Ns  Nr Meas";

/// The line of a record, without the newline.
pub(super) fn line(record: &Record) -> String {
    match record {
        Record::Measurement(record) => measurement(record),
        Record::Statistics(record) => statistics(record),
        Record::Selection(record) => selection(record),
        Record::Tracking(record) => tracking(record),
        Record::TempComp(record) => tempcomp(record),
        Record::Refclock(record) => refclock(record),
        Record::Rtc(record) => rtc(record),
    }
}

fn date(time: Cooked) -> String {
    utc(time.sec()).to_string()
}

/// An address, or the printable bytes of a reference ID; no reference at all is `0.0.0.0`.
fn subject(subject: Subject) -> String {
    match subject {
        Subject::Address(address) => address.to_string(),
        Subject::RefId(0) => IpAddr::from([0; 4]).to_string(),
        Subject::RefId(id) => id
            .to_be_bytes()
            .into_iter()
            .filter(|byte| (0x20..0x7f).contains(byte))
            .map(char::from)
            .collect(),
    }
}

const fn leap(leap: u8) -> char {
    match leap {
        0 => 'N',
        1 => '+',
        2 => '-',
        _ => '?',
    }
}

fn measurement(record: &Measurement) -> String {
    let tests = |from: u32, to: u32| -> String {
        (to..=from)
            .rev()
            .map(|bit| if record.tests >> bit & 1 == 1 { '1' } else { '0' })
            .collect()
    };
    format!(
        "{} {:<15} {} {:>2} {} {} {}  {:>2} {:>2} {:>4} {:>10} {:>10} {:>10} {:>10} {:>10} {:08X} {}{} {} {}",
        date(record.time),
        record.source.to_string(),
        leap(record.leap),
        record.stratum,
        tests(9, 7),
        tests(6, 4),
        tests(3, 0),
        record.local_poll,
        record.remote_poll,
        Fixed(record.score, 2),
        Exp(record.offset.0, 3),
        Exp(record.peer_delay, 3),
        Exp(record.peer_dispersion, 3),
        Exp(record.root_delay, 3),
        Exp(record.root_dispersion, 3),
        record.refid,
        record.mode,
        if record.interleaved { 'I' } else { 'B' },
        record.tx_origin,
        record.rx_origin,
    )
}

fn statistics(record: &Statistics) -> String {
    format!(
        "{} {:<15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {:>3} {:>3} {:>3} {:>5}",
        date(record.time),
        subject(record.source),
        Exp(record.std_dev, 3),
        Exp(record.offset.0, 3),
        Exp(record.offset_sd, 3),
        Exp(record.freq, 3),
        Exp(record.skew, 3),
        Exp(record.stress, 1),
        record.samples,
        record.best_start,
        record.runs,
        Fixed(record.asymmetry, 2),
    )
}

fn refclock(record: &Refclock) -> String {
    let start = format!(
        "{}.{:06} {:<5}",
        date(record.time),
        record.time.nsec() / 1000,
        subject(Subject::RefId(record.refid))
    );
    let leap = leap(record.leap);
    let (offset, dispersion) = (Exp(record.offset.0, 6), Exp(record.dispersion, 3));
    match record.raw {
        Some(raw) => format!(
            "{start} {:>3} {leap} {} {:>13} {offset:>13} {dispersion:>10}",
            raw.sequence,
            u8::from(raw.pps),
            Exp(raw.offset.0, 6)
        ),
        None => format!("{start}   - {leap} -       -       {offset:>13} {dispersion:>10}"),
    }
}

fn rtc(record: &Rtc) -> String {
    format!(
        "{} {:>14} {}  {:>14}  {:>12}  {:>2}  {:>2} {:>4}",
        date(record.time),
        Fixed(record.fast.0, 6),
        u8::from(record.valid),
        Fixed(record.estimate.0, 6),
        Fixed(record.slope.0, 3),
        record.samples,
        record.runs,
        record.period,
    )
}

fn tempcomp(record: &TempComp) -> String {
    format!(
        "{} {:>11} {:>11}",
        date(record.time),
        Exp(record.temperature, 4),
        Exp(record.compensation.0, 4),
    )
}

fn selection(record: &Selection) -> String {
    let option = |bit: u8, letter: char| if record.options & bit != 0 { letter } else { '-' };
    format!(
        "{} {:<15} {} -{}{}{}{} {:>4o} {:>5} {:>10} {:>10} {:>10}",
        date(record.time),
        subject(record.source),
        record.state,
        option(1, 'N'),
        option(2, 'P'),
        option(4, 'T'),
        option(8, 'R'),
        record.reach,
        Fixed(record.score, 2),
        Exp(record.last_sample, 3),
        Exp(record.low.0, 3),
        Exp(record.high.0, 3),
    )
}

fn tracking(record: &Tracking) -> String {
    format!(
        "{} {:<15} {:>2} {:>10} {:>10} {:>10} {} {:>2} {:>10} {:>10} {:>10} {:>10} {:>10}",
        date(record.time),
        subject(record.source),
        record.stratum,
        Fixed(record.frequency.0, 3),
        Fixed(record.skew.0, 3),
        Exp(record.offset.0, 3),
        leap(record.leap),
        record.combined,
        Exp(record.offset_sd, 3),
        Exp(record.uncorrected, 3),
        Exp(record.root_delay, 3),
        Exp(record.root_dispersion, 3),
        Exp(record.max_error, 3),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use truechimer_engine::event::record::RawRefclock;
    use truechimer_engine::time::{FastBy, Ppm, SlowBy};

    // 2026-11-20 15:24:02
    const TIME: i64 = 1_795_188_242;

    #[test]
    fn measurements_as_captured() {
        let record = Measurement {
            time: Cooked::new(TIME, 999_999_999),
            source: IpAddr::from([127, 0, 0, 1]),
            leap: 0,
            stratum: 5,
            tests: 0x3ff,
            synced: true,
            local_poll: -1,
            remote_poll: 0,
            score: 0.78,
            offset: SlowBy(-1.334e-5),
            peer_delay: 2.621e-5,
            peer_dispersion: 5.443e-7,
            root_delay: 0.0,
            root_dispersion: 0.0,
            refid: 0x7f7f_0101,
            mode: 4,
            interleaved: false,
            tx_origin: 'K',
            rx_origin: 'K',
        };
        assert_eq!(
            line(&Record::Measurement(Box::new(record.clone()))),
            "2026-11-20 15:24:02 127.0.0.1       N  5 111 111 1111  -1  0 0.78 -1.334e-05  2.621e-05  \
             5.443e-07  0.000e+00  0.000e+00 7F7F0101 4B K K"
        );
        let failed = Measurement {
            tests: 0b11_0101_0110,
            ..record
        };
        assert!(line(&Record::Measurement(Box::new(failed))).contains(" 5 110 101 0110  -1"));
    }

    #[test]
    fn statistics_as_captured() {
        let record = Statistics {
            time: Cooked::new(TIME + 2, 0),
            source: Subject::Address(IpAddr::from([127, 0, 0, 1])),
            std_dev: 2.766e-6,
            offset: FastBy(1.208e-6),
            offset_sd: 1.551e-6,
            freq: 1.171e-6,
            skew: 1.114e-5,
            stress: 0.11,
            samples: 8,
            best_start: 0,
            runs: 5,
            asymmetry: 0.0,
        };
        assert_eq!(
            line(&Record::Statistics(Box::new(record))),
            "2026-11-20 15:24:04 127.0.0.1        2.766e-06  1.208e-06  1.551e-06  1.171e-06  1.114e-05 \
             1.1e-01   8   0   5  0.00"
        );
    }

    #[test]
    fn selection_as_captured() {
        let record = Selection {
            time: Cooked::new(TIME + 47, 0),
            source: Subject::Address(IpAddr::from([127, 0, 0, 1])),
            state: '*',
            options: 4 | 8,
            authenticated: false,
            reach: 0o377,
            score: 1.0,
            last_sample: 0.7924,
            low: FastBy(-2.988e-6),
            high: FastBy(3.752e-6),
        };
        assert_eq!(
            line(&Record::Selection(Box::new(record))),
            "2026-11-20 15:24:49 127.0.0.1       * ---TR  377  1.00  7.924e-01 -2.988e-06  3.752e-06"
        );
    }

    #[test]
    fn tracking_as_captured() {
        let record = Tracking {
            time: Cooked::new(TIME, 0),
            source: Subject::RefId(0),
            stratum: 0,
            frequency: Ppm(0.0),
            skew: Ppm(1e6),
            offset: FastBy(0.0),
            leap: 3,
            combined: 0,
            offset_sd: 0.0,
            uncorrected: -0.0,
            root_delay: 1.0,
            root_dispersion: 1.0,
            max_error: 1.5,
        };
        assert_eq!(
            line(&Record::Tracking(Box::new(record))),
            "2026-11-20 15:24:02 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  0.000e+00 \
             -0.000e+00  1.000e+00  1.000e+00  1.500e+00"
        );
    }

    #[test]
    fn refclocks_as_captured() {
        let raw = RawRefclock {
            sequence: 0,
            pps: false,
            offset: SlowBy(1.2e-5),
        };
        let record = Refclock {
            // Microseconds are cut off.
            time: Cooked::new(TIME + 5, 1_619_999),
            refid: u32::from_be_bytes(*b"GPS\0"),
            leap: 0,
            raw: Some(raw),
            offset: SlowBy(1.393_056e-5),
            dispersion: 2e-9,
        };
        assert_eq!(
            line(&Record::Refclock(Box::new(record.clone()))),
            "2026-11-20 15:24:07.001619 GPS     0 N 0  1.200000e-05  1.393056e-05  2.000e-09"
        );
        let filtered = Refclock {
            time: Cooked::new(TIME + 6, 4_213_000),
            raw: None,
            offset: SlowBy(1.317_788e-5),
            dispersion: 1.964e-7,
            ..record
        };
        assert_eq!(
            line(&Record::Refclock(Box::new(filtered))),
            "2026-11-20 15:24:08.004213 GPS     - N -       -        1.317788e-05  1.964e-07"
        );
        assert_eq!(REFCLOCKS.len(), 79);
    }

    #[test]
    fn rtc_as_captured() {
        let record = Rtc {
            time: Cooked::new(1_263_091_478, 0),
            fast: FastBy(0.500_008),
            valid: true,
            estimate: FastBy(0.500_008),
            slope: Ppm(0.003),
            samples: 8,
            runs: 3,
            period: 60,
        };
        assert_eq!(
            line(&Record::Rtc(Box::new(record))),
            "2010-01-10 02:44:38       0.500008 1        0.500008         0.003   8   3   60"
        );
    }

    #[test]
    fn reference_ids_drop_what_cannot_be_printed() {
        assert_eq!(subject(Subject::RefId(0x4750_5300)), "GPS");
        assert_eq!(subject(Subject::RefId(u32::from_be_bytes(*b"MANU"))), "MANU");
    }
}
