//! Properties of the selection (`spec/sync.md` 48).

use super::tests::{Bench, NONE, Spec, at, letters_after_8, spec};
use crate::config::SelectOptions;
use crate::sync::SourceId;
use crate::sync::kernel::{Change, ChangeKind};
use crate::sync::sample::Leap;
use crate::sync::update::Outcome;
use crate::time::{FastBy, Raw};
use proptest::prelude::*;

proptest! {
    /// `spec/sync.md` 48 (d): only differences of offsets matter.
    #[test]
    fn selection_is_relative(
        sources in prop::collection::vec((-0.02..0.02_f64, 1e-3..0.02_f64, 1..5_u8, 0..16_u8), 1..10),
        shift in -10.0..10.0_f64,
    ) {
        let specs = |shift: f64| sources.iter().map(|&(offset, half_width, stratum, bits)| Spec {
            offset: offset + shift,
            half_width,
            stratum,
            options: SelectOptions {
                noselect: bits == 1, prefer: bits == 2, trust: bits & 4 != 0, require: bits == 8,
            },
            authenticated: false,
        }).collect::<Vec<_>>();
        prop_assert_eq!(letters_after_8(&specs(0.0)), letters_after_8(&specs(shift)));
    }

    /// `spec/sync.md` 48 (e).
    #[test]
    fn identical_sources_never_switch(count in 1..8_usize, half_width in 1e-5..0.1_f64) {
        let mut bench = Bench::new(&vec![spec(0.0, half_width); count]);
        bench.rounds(4);
        let first = bench.sources.selected();
        prop_assert!(first.is_some());
        for _ in 0..40 {
            bench.round();
            prop_assert_eq!(bench.sources.selected(), first);
        }
    }

    /// Whatever happens in whatever order: no panic, only finite numbers for the reference, and the selected
    /// source is one of the table.
    #[test]
    fn any_order_of_events(
        events in prop::collection::vec((0..14_u8, 0..6_u32, -1.0..1.0_f64, 0.0..5.0_f64), 1..150),
    ) {
        let mut bench = Bench::new(&[spec(0.0, 6e-3), spec(1e-3, 6e-3)]);
        for (event, number, value, wait) in events {
            bench.time += wait;
            let id = SourceId(number);
            let mut outcome = Outcome::Nothing;
            match event {
                0..=4 if bench.ids().contains(&id) => {
                    bench.measure(id);
                    outcome = bench.select(Some(id));
                }
                5 => {
                    let options = SelectOptions { prefer: value > 0.9, trust: value < -0.9, ..NONE };
                    bench.add(Spec { options, stratum: 1 + number as u8, ..spec(value * 0.01, wait * 0.01 + 1e-5) });
                }
                6 => {
                    bench.sources.remove(id);
                    outcome = bench.select(None);
                }
                7 | 8 => {
                    bench.sources.reachability(id, value > 0.5);
                    outcome = bench.select(None);
                }
                9 => {
                    let kind = if value > 0.9 { ChangeKind::UnknownStep } else { ChangeKind::Adjust };
                    let by = FastBy(value);
                    let cooked = at(bench.time);
                    bench.sources.announce(
                        &Change { raw: Raw::default(), cooked, dfreq: value * 0.05, by, kind });
                }
                10 => {
                    bench.sources.reset(id);
                    outcome = bench.select(None);
                }
                11 => {
                    bench.sources.status_update(id, number as u8 * 4, Leap::from_bits(number as u8), false);
                    outcome = bench.select(None);
                }
                12 => bench.sources.add_dispersion(wait),
                _ => {
                    bench.sources.forget_selected();
                    outcome = bench.select(Some(id));
                }
            }
            if let Outcome::Update(u) = outcome {
                for v in [u.offset.0, u.offset_sd, u.freq, u.freq_sd, u.skew, u.root_delay, u.root_dispersion] {
                    prop_assert!(v.is_finite());
                }
                prop_assert!(u.combined >= 1 && u.skew > 0.0);
            }
            if let Some(selected) = bench.sources.selected() {
                prop_assert!(bench.ids().contains(&selected));
            }
        }
    }
}
