//! How much of a measured frequency is believed, how fast an offset is corrected, and the average of
//! offsets (`spec/sync.md` 5.3, 5.6, 5.15).

/// Outcome of [`mix`]: s/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mixed {
    /// Change of frequency to be made, positive: the clock is fast.
    pub(super) freq: f64,
    /// New skew.
    pub(super) skew: f64,
    /// What was measured and is not made.
    pub(super) residual: f64,
}

/// Weighs a measured frequency `freq` of `skew` against our expectation, no change with skew `expected`. All
/// in s/s. A manual measurement is believed as it is; one above `max_update_skew` not at all.
pub(super) fn mix(manual: bool, expected: f64, freq: f64, skew: f64, max_update_skew: f64) -> Mixed {
    let gain = if manual {
        1.0
    } else if skew.abs() > max_update_skew {
        0.0
    } else {
        let own = 3.0 * expected * expected;
        (own / (own + skew * skew)).clamp(0.0, 1.0)
    };
    // Two certain and contradicting frequencies: stay with ours.
    let gain = if gain.is_nan() { 0.0 } else { gain };
    let made = gain * freq;
    let residual = freq - made;
    let extra = libm::sqrt(made * made * (1.0 - gain) + residual * residual * gain);
    Mixed {
        freq: made,
        skew: expected + gain * (skew - expected) + extra,
        residual,
    }
}

/// Correction rate (s^2): the area under the curve of an offset of `offset_sd` that is slewed away in
/// `ratio` times `interval` (s).
pub(super) fn correction_rate(ratio: f64, offset_sd: f64, interval: f64) -> f64 {
    ratio * 0.5 * offset_sd * interval
}

/// Running average of squared offsets. It jumps until the first offset larger than the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RmsOffset {
    squared: f64,
    moving: bool,
}

impl RmsOffset {
    pub(super) fn add(&mut self, offset: f64) {
        let new = offset * offset;
        if self.moving {
            self.squared += 0.1 * (new - self.squared);
        } else {
            self.moving = self.squared > 0.0 && self.squared < new;
            self.squared = new;
        }
    }

    /// s
    pub(super) fn get(&self) -> f64 {
        libm::sqrt(self.squared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 2e-6 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn mixing_follows_example_35() {
        let m = mix(false, 1.0, 50e-6, 100e-6, 1e-3);
        near(m.freq, 4.999_999_983e-5);
        near(m.skew, 1.000_062_198e-4);
        assert!((m.residual - 1.6667e-13).abs() < 1e-16);
        let m = mix(false, 1e-6, 0.5e-6, 2e-6, 1e-3);
        near(m.freq, 2.142_857e-7);
        near(m.skew, 1.676_007e-6);
        near(m.residual, 2.857_143e-7);
        let m = mix(false, 1e-6, 0.5e-6, 0.1e-6, 1e-3);
        near(m.freq, 4.983_389e-7);
        near(m.skew, 1.317_616e-7);
        near(m.residual, 1.661_130e-9);
        let m = mix(false, 1e-6, 0.5e-6, 2000e-6, 1e-3);
        assert_eq!(
            m,
            Mixed {
                freq: 0.0,
                skew: 1e-6,
                residual: 0.5e-6
            }
        );
        let m = mix(true, 1e-6, 5e-6, 0.0999, 1e-3);
        assert_eq!(
            m,
            Mixed {
                freq: 5e-6,
                skew: 0.0999,
                residual: 0.0
            }
        );
    }

    #[test]
    fn rate_and_average_follow_example_36() {
        near(correction_rate(3.0, 20e-6, 64.0), 1.92e-3);
        let mut rms = RmsOffset::default();
        for (offset, squared) in [(1e-3, 1e-6), (5e-4, 2.5e-7), (6e-4, 3.6e-7), (1e-4, 3.25e-7)] {
            rms.add(offset);
            near(rms.get() * rms.get(), squared);
        }
    }
}
