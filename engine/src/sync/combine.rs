//! Mean of the sources that agree with the selected one (`spec/sync.md` 4.4).

use super::sample::Leap;
use super::select::DISTANT_PENALTY;
use super::sources::Sources;
use super::stats::TrackingData;
use super::update::Update;
use crate::time::FastBy;

/// Reachability updates after which a source has lost the benefit of a start.
const STARTED: u8 = 8;

/// One source of the mean.
#[derive(Clone, Copy, Debug)]
struct Member {
    root_distance: f64,
    tracking: TrackingData,
}

/// Weighted sums of the members.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    count: u32,
    offset_weight: f64,
    offset: f64,
    offset_variance: f64,
    freq_weight: f64,
    freq: f64,
    inverse_skew: f64,
}

impl Mean {
    /// Offsets are taken at the time of the selected source's.
    fn add(&mut self, m: &Member, selected: &TrackingData) {
        let t = &m.tracking;
        let elapsed = selected.ref_time - t.ref_time;
        let offset = t.offset.0 + elapsed * t.freq;
        let sd = t.offset_sd + elapsed * t.freq_sd;
        let deviation = offset - selected.offset.0;
        let by_distance = 1.0 / m.root_distance;
        let by_freq = 1.0 / (t.freq_sd * t.freq_sd);
        self.count += 1;
        self.offset_weight += by_distance;
        self.offset += by_distance * offset;
        self.offset_variance += by_distance * (sd * sd + deviation * deviation);
        self.freq_weight += by_freq;
        self.freq += by_freq * t.freq;
        self.inverse_skew += 1.0 / (t.skew * t.skew);
    }

    fn apply(&self, update: &mut Update) {
        if self.count == 0 {
            return;
        }
        update.combined = self.count;
        update.offset = FastBy(self.offset / self.offset_weight);
        update.offset_sd = libm::sqrt(self.offset_variance / self.offset_weight);
        update.freq = self.freq / self.freq_weight;
        update.freq_sd = 1.0 / libm::sqrt(self.freq_weight);
        update.skew = 1.0 / libm::sqrt(self.inverse_skew);
    }
}

impl Sources {
    /// The update of the reference from the selected source and those `survivors` that are near enough. Sets the
    /// penalty of each; a survivor that has one was not combined.
    pub(super) fn combine(&mut self, selected: usize, survivors: &[usize], leap: Leap) -> Option<Update> {
        let s = self.table.get(selected)?;
        let best = Member {
            root_distance: s.data.root_distance,
            tracking: s.stats.tracking_data()?,
        };
        let t = best.tracking;
        let mut update = Update {
            stratum: s.stratum,
            leap,
            combined: 1,
            refid: s.refid,
            address: s.address(),
            ref_time: t.ref_time,
            offset: t.offset,
            offset_sd: t.offset_sd,
            freq: t.freq,
            freq_sd: t.freq_sd,
            skew: t.skew,
            root_delay: t.root_delay,
            root_dispersion: t.root_dispersion,
        };
        if survivors.len() < 2 {
            return Some(update);
        }
        let limit = self.config.combine_limit;
        let reselect = if s.is_ntp() {
            self.config.reselect_distance
        } else {
            0.0
        };
        let max_distance = limit * (best.root_distance + reselect);
        let max_clock_error = self.params.max_clock_error;
        let mut mean = Mean::default();
        for &i in survivors {
            let Some(s) = self.table.get_mut(i) else { continue };
            let Some(tracking) = s.stats.tracking_data() else {
                continue;
            };
            let member = Member {
                root_distance: s.data.root_distance,
                tracking,
            };
            let apart = (t.freq - tracking.freq).abs();
            let far = member.root_distance > max_distance
                || apart > limit * (t.skew + tracking.skew + max_clock_error);
            if i != selected && far {
                s.distant = if s.reach_size >= STARTED {
                    DISTANT_PENALTY
                } else {
                    1
                };
            } else if s.distant > 0 {
                s.distant -= 1;
            }
            if s.distant == 0 {
                mean.add(&member, &t);
            }
        }
        mean.apply(&mut update);
        Some(update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Cooked;

    #[test]
    fn example_34() {
        let member = |root_distance, offset, offset_sd, freq, freq_sd, skew| Member {
            root_distance,
            tracking: TrackingData {
                ref_time: Cooked::new(1_800_000_000, 0),
                offset: FastBy(offset),
                offset_sd,
                freq,
                freq_sd,
                skew,
                root_delay: 0.0,
                root_dispersion: 0.0,
            },
        };
        let first = member(1e-3, 10e-6, 5e-6, 0.1e-6, 0.02e-6, 0.1e-6);
        let second = member(3e-3, 20e-6, 8e-6, 0.2e-6, 0.04e-6, 0.2e-6);
        let mut mean = Mean::default();
        mean.add(&first, &first.tracking);
        mean.add(&second, &first.tracking);
        let mut update = Update {
            stratum: 2,
            leap: Leap::Normal,
            combined: 1,
            refid: 0,
            address: None,
            ref_time: first.tracking.ref_time,
            offset: FastBy(0.0),
            offset_sd: 0.0,
            freq: 0.0,
            freq_sd: 0.0,
            skew: 0.0,
            root_delay: 0.0,
            root_dispersion: 0.0,
        };
        mean.apply(&mut update);
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-5, "{got:e} is not {want:e}");
        assert_eq!(update.combined, 2);
        near(update.offset.0, 12.5e-6);
        near(update.offset_sd, 7.7298e-6);
        near(update.freq, 0.12e-6);
        near(update.freq_sd, 1.78885e-8);
        near(update.skew, 8.94427e-8);
    }
}
