//! `sources` and `sourcestats`.

use super::{NAME, WIDE_NAME};
use crate::output::{Age, Choice, Freq, Name, Padded, Same, Seconds, SignedFreq, SignedSeconds, Style};
use truechimer_engine::wire::command::{SourceMode, SourceReport, SourceState, SourceStatsReport};

const SOURCES: &str = r"
  .-- Source mode  '^' = server, '=' = peer, '#' = local clock.
 / .- Source state '*' = current best, '+' = combined, '-' = not combined,
| /             'x' = may be in error, '~' = too variable, '?' = unusable.
||@                                                 .- xxxx [ yyyy ] +/- zzzz
||@      Reachability register (octal) -.           |  xxxx = adjusted offset,
||@      Log2(Polling interval) --.      |          |  yyyy = measured offset,
||@                                \     |          |  zzzz = estimated error.
||@                                 |    |           \
";

const SOURCE_STATS: &str = r"@                             .- Number of sample points in measurement set.
@                            /    .- Number of residual runs with same sign.
@                           |    /    .- Length of measurement set (time).
@                           |   |    /      .- Est. clock freq error (ppm).
@                           |   |   |      /           .- Est. error in freq.
@                           |   |   |     |           /         .- Est. offset.
@                           |   |   |     |          |          |   On the -.
@                           |   |   |     |          |          |   samples. \
@                           |   |   |     |          |          |             |
";

/// What stands before the rows of `sources`.
pub(crate) fn sources_header(verbose: bool, style: Style) -> String {
    let captions = if verbose {
        style.captions(SOURCES)
    } else {
        String::new()
    };
    captions
        + &style.header("MS Name/IP address        @ Stratum Poll Reach LastRx Last sample               ")
}

/// A row of `sources`.
pub(crate) fn source(s: &SourceReport, name: &str, style: Style) -> String {
    let mode = match s.mode {
        SourceMode::Client => '^',
        SourceMode::Peer => '=',
        SourceMode::RefClock => '#',
        SourceMode::Unknown => ' ',
    };
    let state = match s.state {
        SourceState::Selected => '*',
        SourceState::Nonselectable => '?',
        SourceState::Falseticker => 'x',
        SourceState::Jittery => '~',
        SourceState::Combined => '+',
        SourceState::Selectable => '-',
        SourceState::Unknown => ' ',
    };
    style
        .line()
        .put(Same(mode))
        .put(Same(state))
        .text(" ")
        .put(Name(name, style.name_width(WIDE_NAME)))
        .text("  ")
        .put(Padded(s.stratum, 2))
        .text("  ")
        .put(Padded(s.poll, 2))
        .text("   ")
        .put(Choice(
            format_args!("{:3o}", s.reach),
            format_args!("{:o}", s.reach),
        ))
        .text("  ")
        .put(Age(s.last_sample))
        .text("  ")
        .put(SignedSeconds(s.adjusted_offset))
        .text("[")
        .put(SignedSeconds(s.measured_offset))
        .text("] +/- ")
        .put(Seconds(s.error))
        .end()
}

/// What stands before the rows of `sourcestats`.
pub(crate) fn source_stats_header(verbose: bool, style: Style) -> String {
    let captions = if verbose {
        style.captions(SOURCE_STATS)
    } else {
        String::new()
    };
    captions
        + &style.header("Name/IP Address           @ NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev")
}

/// A row of `sourcestats`.
pub(crate) fn source_stats(s: &SourceStatsReport, name: &str, style: Style) -> String {
    style
        .line()
        .put(Name(name, style.name_width(NAME)))
        .text(" ")
        .put(Padded(s.samples, 3))
        .text(" ")
        .put(Padded(s.runs, 3))
        .text("  ")
        .put(Age::of(s.span))
        .text(" ")
        .put(SignedFreq(s.frequency))
        .text(" ")
        .put(Freq(s.skew))
        .text("  ")
        .put(SignedSeconds(s.offset))
        .text("  ")
        .put(Seconds(s.std_dev))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{CSV, HUMAN, WIDE};
    use truechimer_engine::wire::command::Address;
    use truechimer_engine::wire::command::SourceMode::{Client, Peer, RefClock};
    use truechimer_engine::wire::command::SourceState::{Falseticker, Nonselectable, Selectable, Selected};

    fn report(mode: SourceMode, state: SourceState) -> SourceReport {
        SourceReport {
            address: Address::of_refclock(0x7f00_000c),
            poll: 0,
            stratum: 1,
            state,
            mode,
            flags: 0,
            reach: 0xff,
            last_sample: Some(1),
            measured_offset: 0.000000445,
            adjusted_offset: 0.000000604,
            error: 0.000003574,
        }
    }

    #[test]
    fn sources_as_in_6_2() {
        let header = sources_header(false, HUMAN);
        assert_eq!(
            header,
            "MS Name/IP address         Stratum Poll Reach LastRx Last sample               
===============================================================================
"
        );
        // Stratum, polling interval, age; adjusted offset, measured offset and error in nanoseconds.
        #[rustfmt::skip]
        let rows = [
            (RefClock, Nonselectable, "GPS0", (0, 0, 0), (121_668, 121_668, 1000),
             "#? GPS0                          0   0   377     0   +122us[ +122us] +/- 1000ns\n",
             Some("#,?,GPS0,0,0,377,0,0.000121668,0.000121668,0.000001000\n")),
            (Client, Selected, "127.0.0.12", (1, 0, 1), (604, 445, 3574),
             "^* 127.0.0.12                    1   0   377     1   +604ns[ +445ns] +/- 3574ns\n",
             Some("^,*,127.0.0.12,1,0,377,1,0.000000604,0.000000445,0.000003574\n")),
            (Client, Selectable, "127.0.0.13", (3, 0, 2), (-2190, -2190, 1096),
             "^- 127.0.0.13                    3   0   377     2  -2190ns[-2190ns] +/- 1096ns\n",
             None),
            (Client, Falseticker, "127.0.0.15", (1, 0, 0), (-500_000_000, -500_000_000, 3566),
             "^x 127.0.0.15                    1   0   377     0   -500ms[ -500ms] +/- 3566ns\n",
             None),
            (Client, Nonselectable, "127.0.0.11", (1, -2, 0), (2223, 2223, 4719),
             "^? 127.0.0.11                    1  -2   377     0  +2223ns[+2223ns] +/- 4719ns\n",
             None),
        ];
        let seconds = |nanoseconds: i32| f64::from(nanoseconds) / 1e9;
        for (mode, state, name, (stratum, poll, age), (adjusted, measured, error), human, csv) in rows {
            let s = SourceReport {
                stratum,
                poll,
                last_sample: Some(age),
                adjusted_offset: seconds(adjusted),
                measured_offset: seconds(measured),
                error: seconds(error),
                ..report(mode, state)
            };
            assert_eq!(source(&s, name, HUMAN), human);
            if let Some(csv) = csv {
                assert_eq!(source(&s, name, CSV), csv);
            }
        }
    }

    #[test]
    fn sources_without_samples_as_in_6_2() {
        let s = SourceReport {
            stratum: 0,
            reach: 0,
            last_sample: None,
            measured_offset: 0.0,
            adjusted_offset: 0.0,
            error: 0.0,
            ..report(Peer, Nonselectable)
        };
        assert_eq!(
            source(&s, "127.0.0.16", HUMAN),
            "=? 127.0.0.16                    0   0     0     -     +0ns[   +0ns] +/-    0ns\n"
        );
        assert_eq!(
            source(&s, "127.0.0.16", CSV),
            "=,?,127.0.0.16,0,0,0,4294967295,0.000000000,0.000000000,0.000000000\n"
        );
        let s = SourceReport {
            mode: Client,
            poll: 6,
            ..s
        };
        assert_eq!(
            source(&s, "ID#0000000001", HUMAN),
            "^? ID#0000000001                 0   6     0     -     +0ns[   +0ns] +/-    0ns\n"
        );
    }

    #[test]
    fn wide_names_move_the_rest() {
        let s = SourceReport {
            poll: -2,
            measured_offset: 2.223e-6,
            adjusted_offset: 2.223e-6,
            error: 4.719e-6,
            last_sample: Some(0),
            ..report(Client, Nonselectable)
        };
        assert_eq!(
            source(&s, "2001:db8:1234:5678:9abc:def0:1234:5678", WIDE),
            "^? 2001:db8:1234:5678:9abc:def0:1234:5678      1  -2   377     0  +2223ns[+2223ns] +/- 4719ns\n"
        );
    }

    #[test]
    fn wide_headers_have_14_columns_more() {
        for header in [sources_header, source_stats_header] {
            for verbose in [false, true] {
                let (narrow, wide) = (header(verbose, HUMAN), header(verbose, WIDE));
                let last = |text: &str| text.lines().last().map(str::len);
                assert_eq!(last(&narrow).map(|n| n + 14), last(&wide));
                assert_eq!(narrow.lines().count(), wide.lines().count());
            }
            assert_eq!(header(true, CSV), "");
        }
    }

    #[test]
    fn captions_as_in_6_2_and_6_3() {
        assert_eq!(
            sources_header(true, HUMAN).strip_suffix(&sources_header(false, HUMAN)),
            Some(
                r"
  .-- Source mode  '^' = server, '=' = peer, '#' = local clock.
 / .- Source state '*' = current best, '+' = combined, '-' = not combined,
| /             'x' = may be in error, '~' = too variable, '?' = unusable.
||                                                 .- xxxx [ yyyy ] +/- zzzz
||      Reachability register (octal) -.           |  xxxx = adjusted offset,
||      Log2(Polling interval) --.      |          |  yyyy = measured offset,
||                                \     |          |  zzzz = estimated error.
||                                 |    |           \
"
            )
        );
        assert_eq!(
            source_stats_header(true, HUMAN).strip_suffix(&source_stats_header(false, HUMAN)),
            Some(
                r"                             .- Number of sample points in measurement set.
                            /    .- Number of residual runs with same sign.
                           |    /    .- Length of measurement set (time).
                           |   |    /      .- Est. clock freq error (ppm).
                           |   |   |      /           .- Est. error in freq.
                           |   |   |     |           /         .- Est. offset.
                           |   |   |     |          |          |   On the -.
                           |   |   |     |          |          |   samples. \
                           |   |   |     |          |          |             |
"
            )
        );
    }

    #[test]
    fn sourcestats_as_in_6_3() {
        assert_eq!(
            source_stats_header(false, HUMAN),
            "Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev
==============================================================================
"
        );
        let s = SourceStatsReport {
            ref_id: 0,
            address: Address::Unspecified,
            samples: 6,
            runs: 3,
            span: 5,
            std_dev: 1e-9,
            frequency: -0.081,
            skew: 0.0,
            offset: 0.000121612,
            offset_error: 0.0,
        };
        assert_eq!(
            source_stats(&s, "GPS0", HUMAN),
            "GPS0                        6   3     5     -0.081      0.000   +122us     1ns\n"
        );
        assert_eq!(
            source_stats(&s, "GPS0", CSV),
            "GPS0,6,3,5,-0.081,0.000,0.000121612,0.000000001\n"
        );
        #[rustfmt::skip]
        let rows = [
            ("127.0.0.12", 16, 8, 16, -0.005, 0.158, -4e-9, 655e-9,
             "127.0.0.12                 16   8    16     -0.005      0.158     -4ns   655ns\n"),
            ("127.0.0.15", 20, 10, 18, -0.103, 0.077, -0.5, 455e-9,
             "127.0.0.15                 20  10    18     -0.103      0.077   -500ms   455ns\n"),
        ];
        for (name, samples, runs, span, frequency, skew, offset, std_dev, human) in rows {
            let s = SourceStatsReport {
                samples,
                runs,
                span,
                frequency,
                skew,
                offset,
                std_dev,
                ..s
            };
            assert_eq!(source_stats(&s, name, HUMAN), human);
        }
        let s = SourceStatsReport {
            samples: 0,
            runs: 0,
            span: 0,
            std_dev: 4.0,
            frequency: 0.0,
            skew: 2000.0,
            offset: 0.0,
            ..s
        };
        assert_eq!(
            source_stats(&s, "127.0.0.16", HUMAN),
            "127.0.0.16                  0   0     0     +0.000   2000.000     +0ns  4000ms\n"
        );
        assert_eq!(
            source_stats(&s, "127.0.0.16", CSV),
            "127.0.0.16,0,0,0,0.000,2000.000,0.000000000,4.000000000\n"
        );
    }
}
