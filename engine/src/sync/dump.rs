//! The history of a source as text, for files below `dumpdir` (`spec/sync.md` 2.8,
//! `spec/files-and-security.md` 3.2).

use super::regression::MAX_SAMPLES;
use super::stats::{Point, SourceStats};
use crate::text::Exp;
use crate::time::{Cooked, Era};
use std::fmt::Write as _;
use std::str::SplitWhitespace;

const MAX_DELAY: f64 = 1e6;

/// Why a history was not loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DumpError {
    /// It doesn't follow the format.
    #[error("malformed dump file")]
    Malformed,
    /// It is of another source, or has values that can't be.
    #[error("dump file does not fit the source")]
    Unusable,
}

impl SourceStats {
    /// Number of samples and asymmetry counter, then one line for each sample, oldest first.
    pub(super) fn save(&self, text: &mut String) {
        let _ = writeln!(text, "{} {}", self.samples(), self.asymmetry_run());
        for p in self.active() {
            let _ = write!(text, "{}.{:09}", p.time.sec(), p.time.nsec());
            for value in [
                p.offset,
                p.original,
                p.peer_delay,
                p.peer_dispersion,
                p.root_delay,
                p.root_dispersion,
            ] {
                let _ = write!(text, " {}", Exp(value, 6));
            }
            text.push('\n');
        }
    }

    /// Takes what [`Self::save`] wrote in the place of the samples there are. `now` is the present time: no
    /// sample may be of the future. Without success there are no samples.
    pub(super) fn load<'a>(
        &mut self,
        mut lines: impl Iterator<Item = &'a str>,
        now: Cooked,
        era: Era,
    ) -> Result<(), DumpError> {
        self.reset();
        let mut counts = lines.next().ok_or(DumpError::Malformed)?.split_whitespace();
        let (samples, asymmetry_run): (usize, i32) = (number(&mut counts)?, number(&mut counts)?);
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(DumpError::Unusable);
        }
        let mut points = Vec::with_capacity(samples);
        let mut last: Option<Cooked> = None;
        for _ in 0..samples {
            let p = point(lines.next().ok_or(DumpError::Malformed)?)?;
            let delays = [p.peer_delay, p.peer_dispersion, p.root_delay, p.root_dispersion];
            let usable = era.is_sane(p.time, 0.0)
                && era.is_sane(p.time, -p.offset)
                && p.time <= now
                && last.is_none_or(|last| last < p.time)
                && p.original.is_finite()
                && delays.iter().all(|d| d.abs() < MAX_DELAY);
            if !usable {
                return Err(DumpError::Unusable);
            }
            last = Some(p.time);
            points.push(p);
        }
        for p in points {
            self.push(p);
        }
        self.set_asymmetry_run(asymmetry_run);
        self.regress();
        Ok(())
    }
}

fn number<T: std::str::FromStr>(words: &mut SplitWhitespace<'_>) -> Result<T, DumpError> {
    words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or(DumpError::Malformed)
}

fn point(line: &str) -> Result<Point, DumpError> {
    let mut words = line.split_whitespace();
    let time = time(words.next().ok_or(DumpError::Malformed)?)?;
    let mut values = [0.0; 6];
    for value in &mut values {
        *value = number(&mut words)?;
    }
    let [
        offset,
        original,
        peer_delay,
        peer_dispersion,
        root_delay,
        root_dispersion,
    ] = values;
    Ok(Point {
        time,
        offset,
        original,
        peer_delay,
        peer_dispersion,
        root_delay,
        root_dispersion,
    })
}

/// `SECONDS.NANOSECONDS`
fn time(word: &str) -> Result<Cooked, DumpError> {
    let (sec, nsec) = word.split_once('.').unwrap_or((word, "0"));
    let sec = sec.parse().map_err(|_| DumpError::Malformed)?;
    let nsec: u32 = nsec.parse().map_err(|_| DumpError::Malformed)?;
    Ok(Cooked::new(sec, nsec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::sample::Sample;
    use crate::sync::stats::StatsConfig;
    use crate::time::SlowBy;

    const START: i64 = 1_795_188_244;

    fn filled(samples: u32) -> SourceStats {
        let mut stats = SourceStats::new(StatsConfig::default());
        for i in 0..samples {
            stats.accumulate(&Sample {
                time: Cooked::new(START + i64::from(16 * i), 888_420_838),
                offset: SlowBy(-1.182475e-05 - 1e-6 * f64::from((i * 5) % 7)),
                peer_delay: 3.0715e-5,
                peer_dispersion: 3.966525e-7,
                root_delay: 3.0715e-5,
                root_dispersion: 3.966525e-7,
            });
        }
        stats
    }

    fn era() -> Era {
        Era::starting_at(START - 18_250 * 86_400)
    }

    #[test]
    fn what_was_saved_can_be_loaded() {
        let stats = filled(10);
        let mut text = String::new();
        stats.save(&mut text);
        assert!(text.starts_with(
            "10 0\n1795188244.888420838 1.182475e-05 1.182475e-05 3.071500e-05 3.966525e-07 3.071500e-05 3.966525e-07\n"
        ), "{text}");
        let mut loaded = filled(3);
        let now = Cooked::new(START + 1000, 0);
        assert_eq!(loaded.load(text.lines(), now, era()), Ok(()));
        assert_eq!(loaded.samples(), 10);
        let (a, b) = (loaded.report(now), stats.report(now));
        assert!((a.offset.0 - b.offset.0).abs() < 1e-9 && (a.skew / b.skew - 1.0).abs() < 1e-3);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let now = Cooked::new(START + 1000, 0);
        let line = "1795188244.888420838 1e-5 1e-5 3e-5 4e-7 3e-5 4e-7";
        for (text, error) in [
            (String::new(), DumpError::Malformed),
            ("0 0\n".to_owned(), DumpError::Unusable),
            ("65 0\n".to_owned(), DumpError::Unusable),
            (format!("2 0\n{line}\n"), DumpError::Malformed),
            (format!("2 0\n{line}\n{line}\n"), DumpError::Unusable),
            (
                format!("1 0\n{}\n", line.replace("4e-7", "x")),
                DumpError::Malformed,
            ),
            (
                format!("1 0\n{}\n", line.replace("4e-7", "nan")),
                DumpError::Unusable,
            ),
            (
                format!("1 0\n{}\n", line.replace("3e-5", "1e7")),
                DumpError::Unusable,
            ),
            (
                format!("1 0\n{}\n", line.replace("1e-5", "1e12")),
                DumpError::Unusable,
            ),
            (
                format!("1 0\n{}\n", line.replace("1795188244", "1795199999")),
                DumpError::Unusable,
            ),
            (
                format!("1 0\n{}\n", line.replace("1795188244", "99999999999999999999")),
                DumpError::Malformed,
            ),
        ] {
            let mut stats = filled(4);
            assert_eq!(stats.load(text.lines(), now, era()), Err(error), "{text}");
            assert_eq!(stats.samples(), 0);
        }
    }
}
