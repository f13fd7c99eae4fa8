//! The clock of a server that is not the machine's: by how much it may differ, and when.

use std::sync::Mutex;
use truechimer::sys::clock;
use truechimer_engine::time::Raw;

/// Fastest slew of a clock, s/s. Until a step its clock may be slewed: a request that comes just then and is answered after
/// the step has such a receive timestamp.
const MAX_SLEW: f64 = 0.1;

/// Offsets between two values, ns, positive: the server is ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Least.
    pub low: i64,
    /// Most.
    pub high: i64,
}

/// From a time on, the clock is off by something in one of these.
#[derive(Clone, Debug)]
struct Era {
    from: Raw,
    ranges: Vec<Range>,
}

/// What is known about the offset of a clock that is stepped while the load runs. Times of replies are held against it.
#[derive(Debug)]
pub struct Offsets(Mutex<Vec<Era>>);

impl Offsets {
    /// A clock that is as much ahead of the machine's from the beginning.
    #[must_use]
    pub fn new(range: Range) -> Self {
        Self(Mutex::new(vec![Era {
            from: Raw::default(),
            ranges: vec![range],
        }]))
    }

    fn eras(&self) -> std::sync::MutexGuard<'_, Vec<Era>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// From now on the clock may be stepped, to an offset in this range.
    pub fn begin_step(&self, to: Range) {
        let mut eras = self.eras();
        let mut ranges = eras.last().map_or_else(Vec::new, |era| era.ranges.clone());
        ranges.push(to);
        let from = clock::realtime();
        eras.push(Era { from, ranges });
    }

    /// The clock was stepped to an offset in this range.
    pub fn end_step(&self, to: Range) {
        let from = clock::realtime();
        self.eras().push(Era {
            from,
            ranges: vec![to],
        });
    }

    /// All offsets that the clock may have had between two times; the second is true if it may have been stepped.
    pub(crate) fn between(&self, start: Raw, end: Raw) -> (Vec<Range>, bool) {
        let eras = self.eras();
        let mut ranges = Vec::new();
        let mut seen = 0;
        for era in eras.iter().rev() {
            if era.from - end <= 0.0 {
                let slewed = if era.ranges.len() > 1 {
                    ((end - era.from) * MAX_SLEW * 1e9) as i64
                } else {
                    0
                };
                ranges.extend(era.ranges.iter().map(|range| Range {
                    low: range.low - slewed,
                    high: range.high + slewed,
                }));
                seen += 1;
            }
            if era.from - start <= 0.0 {
                break;
            }
        }
        let stepped = seen > 1 || ranges.len() > 1;
        (ranges, stepped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_offsets_count_while_it_is_stepped() {
        let at = |sec| Raw::new(sec, 0);
        let (old, new) = (Range { low: -5, high: 5 }, Range { low: 95, high: 105 });
        let era = |from, ranges: &[Range]| Era {
            from: at(from),
            ranges: ranges.to_vec(),
        };
        let offsets = Offsets(Mutex::new(vec![
            era(0, &[old]),
            era(100, &[old, new]),
            era(110, &[new]),
        ]));
        assert_eq!(offsets.between(at(50), at(99)), (vec![old], false));
        let slewed = |range: Range, by| Range {
            low: range.low - by,
            high: range.high + by,
        };
        let both = vec![slewed(old, 200_000_000), slewed(new, 200_000_000)];
        assert_eq!(offsets.between(at(101), at(102)), (both, true));
        assert!(offsets.between(at(99), at(101)).1);
        assert!(offsets.between(at(109), at(111)).1);
        assert_eq!(offsets.between(at(111), at(112)), (vec![new], false));
    }
}
