//! Reports about the clock: `tracking`, `waitsync`, `activity`, `rtcdata`, `smoothing`, `manual list`, `settime`.

use super::{leap, yes};
use crate::output::{Age, Frequency, Offset, Padded, Same, Signed, Stamp, Style, date};
use truechimer_engine::text::Fixed;
use truechimer_engine::wire::command::{
    ActivityReport, ManualSample, RtcReport, SetTimeReport, SmoothingReport, TrackingReport,
};

/// `tracking`
pub(crate) fn tracking(t: &TrackingReport, name: &str, style: Style) -> String {
    style
        .line()
        .text("Reference ID    : ")
        .put(Same(format_args!("{:08X}", t.ref_id)))
        .text(" (")
        .put(Same(name))
        .text(")\n")
        .row("Stratum         : ", Same(t.stratum))
        .row("Ref time (UTC)  : ", Stamp(t.ref_time))
        .text("System time     : ")
        .put(Offset(t.correction))
        .text(" of NTP time\nLast offset     : ")
        .put(Signed(t.last_offset, 9))
        .text(" seconds\nRMS offset      : ")
        .put(Same(Fixed(t.rms_offset, 9)))
        .text(" seconds\n")
        .row("Frequency       : ", Frequency(t.frequency))
        .text("Residual freq   : ")
        .put(Signed(t.residual_frequency, 3))
        .text(" ppm\nSkew            : ")
        .put(Same(Fixed(t.skew, 3)))
        .text(" ppm\nRoot delay      : ")
        .put(Same(Fixed(t.root_delay, 9)))
        .text(" seconds\nRoot dispersion : ")
        .put(Same(Fixed(t.root_dispersion, 9)))
        .text(" seconds\nUpdate interval : ")
        .put(Same(Fixed(t.update_interval, 1)))
        .text(" seconds\n")
        .row("Leap status     : ", Same(leap(t.leap)))
        .end()
}

/// One try of `waitsync`; `correction` without sign.
pub(crate) fn waitsync(attempt: u64, t: &TrackingReport, style: Style) -> String {
    style
        .line()
        .text("try: ")
        .put(Same(attempt))
        .text(", refid: ")
        .put(Same(format_args!("{:08X}", t.ref_id)))
        .text(", correction: ")
        .put(Same(Fixed(t.correction.abs(), 9)))
        .text(", skew: ")
        .put(Same(Fixed(t.skew, 3)))
        .end()
}

/// `activity`
pub(crate) fn activity(a: &ActivityReport, style: Style) -> String {
    style
        .line()
        .text("200 OK\n")
        .put(Same(a.online))
        .text(" sources online\n")
        .put(Same(a.offline))
        .text(" sources offline\n")
        .put(Same(a.burst_online))
        .text(" sources doing burst (return to online)\n")
        .put(Same(a.burst_offline))
        .text(" sources doing burst (return to offline)\n")
        .put(Same(a.unresolved))
        .text(" sources with unknown address\n")
        .end()
}

/// `rtcdata`
pub(crate) fn rtc(r: &RtcReport, style: Style) -> String {
    style
        .line()
        .row("RTC ref time (UTC) : ", Stamp(r.ref_time))
        .row("Number of samples  : ", Same(r.samples))
        .row("Number of runs     : ", Same(r.runs))
        .row("Sample span period : ", Age::of(r.span))
        .text("RTC is fast by     : ")
        .put(Padded(Fixed(r.offset, 6), 12))
        .text(" seconds\nRTC gains time at  : ")
        .put(Padded(Fixed(r.frequency, 3), 9))
        .text(" ppm\n")
        .end()
}

/// `smoothing`
pub(crate) fn smoothing(s: &SmoothingReport, style: Style) -> String {
    style
        .line()
        .text("Active         : ")
        .put(Same(yes(s.active)))
        .text(" ")
        .put(Same(if s.leap_only { "(leap second only)" } else { "" }))
        .text("\nOffset         : ")
        .put(Signed(s.offset, 9))
        .text(" seconds\nFrequency      : ")
        .put(Signed(s.frequency, 6))
        .text(" ppm\nWander         : ")
        .put(Signed(s.wander, 6))
        .text(" ppm per second\nLast update    : ")
        .put(Same(Fixed(s.last_update, 1)))
        .text(" seconds ago\nRemaining time : ")
        .put(Same(Fixed(s.remaining, 1)))
        .text(" seconds\n")
        .end()
}

/// What stands before the samples of `manual list`.
pub(crate) fn manual_header(samples: usize, style: Style) -> String {
    let count = style.captions(&format!("210 n_samples = {samples}\n"));
    count + &style.header("#    Date     Time(UTC)    Slewed   Original   Residual")
}

/// One sample of `manual list`.
pub(crate) fn manual_sample(index: usize, m: &ManualSample, style: Style) -> String {
    let time = date(m.when).map_or_else(|| "INVALID    INVALID ".to_owned(), |date| date.to_string());
    style
        .line()
        .put(Padded(index, 2))
        .text(" ")
        .put(Same(time))
        .text(" ")
        .put(Padded(Fixed(m.slewed, 2), 10))
        .text(" ")
        .put(Padded(Fixed(m.original, 2), 10))
        .text(" ")
        .put(Padded(Fixed(m.residual, 2), 10))
        .end()
}

/// `settime`; not affected by the style.
pub(crate) fn settime(s: &SetTimeReport) -> String {
    format!(
        "Clock was {} seconds fast.  Frequency change = {}ppm, new frequency = {}ppm\n",
        Fixed(s.offset, 2),
        Fixed(s.frequency_change, 2),
        Fixed(s.frequency, 2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{self, CSV, HUMAN};
    use truechimer_engine::time::Cooked;
    use truechimer_engine::wire::command::{Address, ref_id_text};

    #[test]
    fn tracking_as_in_6_1() {
        let t = TrackingReport {
            ref_id: 0x7f00_000c,
            address: Address::of_refclock(0x7f00_000c),
            stratum: 2,
            leap: 0,
            ref_time: Cooked::new(1_795_188_775, 795_829_684),
            correction: -0.000001386,
            last_offset: -0.000000159,
            rms_offset: 0.226870984,
            frequency: 0.081,
            residual_frequency: -0.005,
            skew: 0.172,
            root_delay: 0.000003515,
            root_dispersion: 0.000002788,
            update_interval: 1.0,
        };
        assert_eq!(
            tracking(&t, "127.0.0.12", HUMAN),
            "Reference ID    : 7F00000C (127.0.0.12)
Stratum         : 2
Ref time (UTC)  : Fri Nov 20 15:32:55 2026
System time     : 0.000001386 seconds fast of NTP time
Last offset     : -0.000000159 seconds
RMS offset      : 0.226870984 seconds
Frequency       : 0.081 ppm fast
Residual freq   : -0.005 ppm
Skew            : 0.172 ppm
Root delay      : 0.000003515 seconds
Root dispersion : 0.000002788 seconds
Update interval : 1.0 seconds
Leap status     : Normal
"
        );
        assert_eq!(
            tracking(
                &TrackingReport {
                    correction: -0.000001387,
                    root_dispersion: 0.000002792,
                    ..t
                },
                "127.0.0.12",
                CSV
            ),
            "7F00000C,127.0.0.12,2,1795188775.795829684,-0.000001387,-0.000000159,0.226870984,0.081,-0.005,0.172,\
             0.000003515,0.000002792,1.0,Normal\n"
        );
        let t = TrackingReport {
            correction: 0.000001391,
            ..t
        };
        assert_eq!(
            waitsync(1, &t, HUMAN),
            "try: 1, refid: 7F00000C, correction: 0.000001391, skew: 0.172\n"
        );
        assert_eq!(waitsync(1, &t, CSV), "1,7F00000C,0.000001391,0.172\n");
    }

    #[test]
    fn tracking_without_a_server_as_in_6_1() {
        let unsynchronised = TrackingReport {
            ref_id: 0,
            stratum: 0,
            leap: 3,
            root_delay: 1.0,
            root_dispersion: 1.0,
            ..samples::tracking()
        };
        let text = tracking(&unsynchronised, &ref_id_text(0), HUMAN);
        for line in [
            "Reference ID    : 00000000 ()\n",
            "Stratum         : 0\n",
            "Ref time (UTC)  : Thu Jan 01 00:00:00 1970\n",
            "Root delay      : 1.000000000 seconds\n",
            "Root dispersion : 1.000000000 seconds\n",
            "Leap status     : Not synchronised\n",
        ] {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
        for (ref_id, line) in [
            (0x7f7f_0101, "Reference ID    : 7F7F0101 ()\n"),
            (0x4750_5330, "Reference ID    : 47505330 (GPS0)\n"),
        ] {
            let t = TrackingReport {
                ref_id,
                ..samples::tracking()
            };
            assert!(tracking(&t, &ref_id_text(ref_id), HUMAN).starts_with(line));
        }
    }

    #[test]
    fn activity_as_in_6_7() {
        let a = ActivityReport {
            online: 6,
            offline: 0,
            burst_online: 0,
            burst_offline: 0,
            unresolved: 1,
        };
        assert_eq!(
            activity(&a, HUMAN),
            "200 OK
6 sources online
0 sources offline
0 sources doing burst (return to online)
0 sources doing burst (return to offline)
1 sources with unknown address
"
        );
        assert_eq!(activity(&a, CSV), "6,0,0,0,1\n");
    }

    #[test]
    fn rtc_as_in_6_10() {
        let r = RtcReport {
            ref_time: Cooked::new(1_432_970_756, 0),
            samples: 10,
            runs: 5,
            span: 549,
            offset: -1.632736,
            frequency: -107.623,
        };
        assert_eq!(
            rtc(&r, HUMAN),
            "RTC ref time (UTC) : Sat May 30 07:25:56 2015
Number of samples  : 10
Number of runs     : 5
Sample span period :  549
RTC is fast by     :    -1.632736 seconds
RTC gains time at  :  -107.623 ppm
"
        );
        assert_eq!(rtc(&r, CSV), "1432970756.000000000,10,5,549,-1.632736,-107.623\n");
    }

    #[test]
    fn smoothing_as_in_6_11() {
        let s = SmoothingReport {
            active: true,
            leap_only: true,
            offset: 1.000268817,
            frequency: -0.142859,
            wander: -0.01,
            last_update: 17.8,
            remaining: 19988.4,
        };
        assert_eq!(
            smoothing(&s, HUMAN),
            "Active         : Yes (leap second only)
Offset         : +1.000268817 seconds
Frequency      : -0.142859 ppm
Wander         : -0.010000 ppm per second
Last update    : 17.8 seconds ago
Remaining time : 19988.4 seconds
"
        );
        assert_eq!(
            smoothing(&s, CSV),
            "Yes,(leap second only),1.000268817,-0.142859,-0.010000,17.8,19988.4\n"
        );
        let s = SmoothingReport {
            leap_only: false,
            ..s
        };
        assert!(smoothing(&s, HUMAN).starts_with("Active         : Yes \n"));
        assert!(smoothing(&s, CSV).starts_with("Yes,,1.0"));
    }

    #[test]
    fn manual_list_as_in_6_12() {
        assert_eq!(
            manual_header(2, HUMAN),
            "210 n_samples = 2
#    Date     Time(UTC)    Slewed   Original   Residual
=======================================================
"
        );
        assert_eq!(manual_header(2, CSV), "");
        let m = ManualSample {
            when: Cooked::new(917_474_960, 0),
            slewed: 0.0,
            original: 0.97,
            residual: -0.001,
        };
        assert_eq!(
            manual_sample(0, &m, HUMAN),
            " 0 1999-01-27 22:09:20       0.00       0.97      -0.00\n"
        );
        assert_eq!(
            manual_sample(0, &m, CSV),
            "0,1999-01-27 22:09:20,0.00,0.97,-0.00\n"
        );
        let m = ManualSample {
            when: Cooked::new(1_795_188_281, 0),
            slewed: -12_345_679.0,
            original: 1e8,
            residual: 0.0,
        };
        assert_eq!(
            manual_sample(1, &m, HUMAN),
            " 1 2026-11-20 15:24:41 -12345679.00 100000000.00       0.00\n"
        );
        let m = ManualSample {
            when: Cooked::new(i64::MAX, 0),
            ..m
        };
        assert!(manual_sample(1, &m, CSV).starts_with("1,INVALID    INVALID ,"));
    }

    #[test]
    fn settime_as_in_6_15() {
        let s = SetTimeReport {
            offset: 0.593431,
            frequency_change: 0.0,
            frequency: 0.03,
        };
        assert_eq!(
            settime(&s),
            "Clock was 0.59 seconds fast.  Frequency change = 0.00ppm, new frequency = 0.03ppm\n"
        );
    }
}
