//! Worked examples of `spec/sync.md` 11.4 and properties of the selection.

use super::*;
use crate::config::{AuthSelectMode, SelectOptions, SelectionConfig};
use crate::sync::address::SourceAddress;
use crate::sync::kernel::{Change, ChangeKind};
use crate::sync::sample::Sample;
use crate::sync::sources::{Kind, NewSource, SourcesParams};
use crate::sync::testing::{START, World};
use crate::time::{Era, FastBy, Raw, SlowBy};
use std::net::{IpAddr, Ipv4Addr};

pub(super) fn at(t: f64) -> Cooked {
    Cooked::new(START, 0).plus(t)
}

/// A source as the examples describe it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// Offset (s, fast-positive) and half of the width of its interval (s).
    pub(super) offset: f64,
    pub(super) half_width: f64,
    pub(super) stratum: u8,
    pub(super) options: SelectOptions,
    pub(super) authenticated: bool,
}

pub(super) fn spec(offset: f64, half_width: f64) -> Spec {
    Spec {
        offset,
        half_width,
        stratum: 2,
        options: SelectOptions::default(),
        authenticated: false,
    }
}

pub(super) const NONE: SelectOptions = SelectOptions {
    noselect: false,
    prefer: false,
    trust: false,
    require: false,
};

pub(super) struct Bench {
    pub(super) world: World,
    pub(super) sources: Sources,
    pub(super) specs: Vec<Spec>,
    pub(super) env: SelectEnv,
    pub(super) time: f64,
}

impl Bench {
    pub(super) fn with(config: &SelectionConfig, specs: &[Spec]) -> Self {
        let params = SourcesParams {
            precision: 1e-6,
            max_clock_error: 1e-6,
            log_statistics: true,
            log_selection: true,
        };
        let mut bench = Self {
            world: World::new(0.0),
            sources: Sources::new(config, params),
            specs: Vec::new(),
            env: SelectEnv::default(),
            time: 0.0,
        };
        for spec in specs {
            bench.add(*spec);
        }
        bench
    }

    pub(super) fn new(specs: &[Spec]) -> Self {
        Self::with(&SelectionConfig::default(), specs)
    }

    pub(super) fn add(&mut self, spec: Spec) -> SourceId {
        let number = u32::try_from(self.specs.len()).unwrap();
        let address = Ipv4Addr::from(0xc000_0201 + number);
        self.sources.add(NewSource {
            id: SourceId(number),
            kind: Kind::Ntp(SourceAddress::Ip(IpAddr::V4(address))),
            name: address.to_string(),
            refid: u32::from(address),
            select: spec.options,
            authenticated: spec.authenticated,
            min_samples: -1,
            max_samples: -1,
            min_delay: 0.0,
            asymmetry: 1.0,
            max_unreach: 100_000,
        });
        self.sources.set_active(SourceId(number), true);
        self.specs.push(spec);
        SourceId(number)
    }

    pub(super) fn ids(&self) -> Vec<SourceId> {
        (0..self.sources.len())
            .filter_map(|i| self.sources.id_at(i))
            .collect()
    }

    pub(super) fn measure(&mut self, id: SourceId) {
        let spec = self.specs[id.0 as usize];
        let noise = 1e-6 * ((self.time * 5.0 + f64::from(id.0)) % 3.0 - 1.0);
        let sample = Sample {
            time: at(self.time),
            offset: SlowBy(-spec.offset - noise),
            peer_delay: 1e-3,
            peer_dispersion: 1e-6,
            root_delay: 2.0 * (spec.half_width - 1e-6),
            root_dispersion: 1e-6,
        };
        self.sources.reachability(id, true);
        self.sources.status_update(id, spec.stratum, Leap::Normal, false);
        self.world
            .at(at(self.time), |cx| self.sources.accumulate(cx, id, &sample));
    }

    pub(super) fn select(&mut self, updated: Option<SourceId>) -> Outcome {
        let (now, env) = (at(self.time), self.env);
        self.world.at(now, |cx| self.sources.select(cx, updated, env))
    }

    /// A sample of each source, then one second passes.
    pub(super) fn round(&mut self) -> Vec<Outcome> {
        let outcomes = self.ids().into_iter().map(|id| {
            self.measure(id);
            self.select(Some(id))
        });
        let outcomes = outcomes.collect();
        self.time += 1.0;
        outcomes
    }

    pub(super) fn rounds(&mut self, n: usize) -> Vec<Outcome> {
        (0..n).flat_map(|_| self.round()).collect()
    }

    pub(super) fn letters(&self) -> String {
        (0..self.sources.len())
            .filter_map(|i| self.sources.select_report(i))
            .map(|r| r.status.letter())
            .collect()
    }

    pub(super) fn messages(&mut self) -> Vec<String> {
        self.world.out.events.drain(..).map(|e| e.to_string()).collect()
    }
}

pub(super) fn letters_after_8(specs: &[Spec]) -> String {
    let mut bench = Bench::new(specs);
    bench.rounds(8);
    bench.letters()
}

fn is_update(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Update(_))
}

#[test]
fn example_25_falseticker() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3), spec(1e-3, 6e-3), spec(1.0, 6e-3)]);
    let outcomes = bench.rounds(8);
    assert!(
        ["*+x", "+*x"].contains(&bench.letters().as_str()),
        "{}",
        bench.letters()
    );
    let Some(Outcome::Update(update)) = outcomes.iter().rev().find(|o| is_update(o)) else {
        panic!("no update");
    };
    assert_eq!(
        (update.combined, update.stratum, update.leap),
        (2, 2, Leap::Normal)
    );
    assert!((update.offset.0 - 0.5e-3).abs() < 2e-5);
    let messages = bench.messages();
    let count = |text: &str| messages.iter().filter(|m| m.starts_with(text)).count();
    assert!(count("Selected source 192.0.2.") > 0 && count("Selected source 192.0.2.3") == 0);
    assert_eq!(
        count("Detected falseticker 192.0.2.3"),
        count("Detected falseticker")
    );
    assert_eq!(bench.sources.take_bad(), [SourceId(2)]);
}

#[test]
fn example_26_no_majority() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3), spec(1.0, 6e-3)]);
    let outcomes = bench.rounds(8);
    assert_eq!(bench.letters(), "xx");
    assert!(outcomes.iter().all(|o| *o == Outcome::Nothing));
    let messages = bench.messages();
    assert_eq!(
        messages,
        ["Can't synchronise: no majority (no agreement among 2 sources)"]
    );
}

#[test]
fn a_lost_majority_unsynchronises_once() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3)]);
    assert!(bench.rounds(8).iter().filter(|o| is_update(o)).count() == 6);
    bench.add(spec(1.0, 6e-3));
    let outcomes = bench.rounds(8);
    assert_eq!(
        outcomes.iter().filter(|o| **o == Outcome::Unsynchronise).count(),
        1
    );
    assert_eq!((bench.letters().as_str(), bench.sources.selected()), ("xx", None));
}

#[test]
fn examples_27_to_29_options() {
    let trusted = Spec {
        options: SelectOptions { trust: true, ..NONE },
        ..spec(0.0, 6e-3)
    };
    assert_eq!(letters_after_8(&[trusted, spec(1.0, 6e-3)]), "*x");
    assert_eq!(
        letters_after_8(&[trusted, spec(3e-3, 6e-3), spec(0.5e-3, 2e-3)]),
        "+T*"
    );
    let preferred = Spec {
        options: SelectOptions { prefer: true, ..NONE },
        stratum: 3,
        ..spec(1e-3, 16e-3)
    };
    assert_eq!(letters_after_8(&[spec(0.0, 6e-3), preferred]), "P*");
}

#[test]
fn example_30_required_but_not_selectable() {
    let options = SelectOptions {
        require: true,
        noselect: true,
        ..NONE
    };
    let mut bench = Bench::new(&[
        Spec {
            options,
            ..spec(0.0, 6e-3)
        },
        spec(0.0, 6e-3),
    ]);
    let outcomes = bench.rounds(12);
    assert_eq!(bench.letters(), "NW");
    assert!(outcomes.iter().all(|o| *o == Outcome::Nothing));
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no required source in selectable sources"]
    );
}

#[test]
fn example_31_a_better_source_takes_over_at_the_second_update() {
    let mut bench = Bench::new(&[spec(0.0, 51.001e-3)]);
    bench.rounds(8);
    let (old, new) = (SourceId(0), bench.add(spec(0.0, 6.001e-3)));
    for _ in 0..8 {
        bench.time += 1.0;
        bench.measure(old);
        bench.measure(new);
    }
    assert_eq!(bench.select(Some(new)), Outcome::Nothing);
    let report = bench.sources.select_report(1).unwrap();
    assert!((report.score - 8.3594).abs() < 1e-4, "{}", report.score);
    assert_eq!(bench.sources.selected(), Some(old));
    assert!(is_update(&bench.select(Some(old))));
    assert_eq!(
        (bench.sources.selected(), bench.letters().as_str()),
        (Some(new), "D*")
    );
}

#[test]
fn example_32_waiting_for_the_others() {
    let mut bench = Bench::new(&[spec(0.0, 6.001e-3), spec(0.0, 6.001e-3)]);
    bench.rounds(2);
    bench.measure(SourceId(0));
    assert_eq!(bench.select(Some(SourceId(0))), Outcome::Nothing);
    assert_eq!(bench.letters(), "wM");
    bench.measure(SourceId(1));
    assert!(is_update(&bench.select(Some(SourceId(1)))));
    assert_eq!(bench.letters(), "*+");
}

#[test]
fn example_33_stratum_counts() {
    let near = Spec {
        stratum: 1,
        ..spec(0.0, 6.001e-3)
    };
    let far = Spec {
        stratum: 4,
        ..spec(0.0, 5.951e-3)
    };
    assert_eq!(letters_after_8(&[near, far]), "*+");
    assert_eq!(letters_after_8(&[far, near]), "+*");
}

#[test]
fn unusable_sources_and_their_messages() {
    let config = SelectionConfig {
        max_stratum: 3,
        max_distance: 0.1,
        ..SelectionConfig::default()
    };
    let high = Spec {
        stratum: 4,
        ..spec(0.0, 6e-3)
    };
    let noselect = Spec {
        options: SelectOptions {
            noselect: true,
            ..NONE
        },
        ..spec(0.0, 6e-3)
    };
    let mut bench = Bench::with(&config, &[high, spec(0.0, 0.2), noselect]);
    bench.rounds(8);
    assert_eq!(bench.letters(), "rdN");
    assert_eq!(
        bench.messages(),
        [
            "Stratum of 192.0.2.1 above maxstratum of 3",
            "Root distance of 192.0.2.2 exceeds maxdistance of 0.100 seconds",
        ]
    );
    assert_eq!(bench.sources.take_bad(), [SourceId(0), SourceId(1)]);
    assert_eq!(bench.sources.take_bad(), []);
}

#[test]
fn unreachable_sources() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3), spec(0.0, 6e-3)]);
    bench.rounds(8);
    for id in [SourceId(0), SourceId(1)] {
        let select = (0..8).filter(|_| bench.sources.reachability(id, false)).count();
        assert_eq!(select, 1);
        assert_eq!(bench.select(None), Outcome::Nothing);
    }
    // Nobody is reachable, so there is nobody to compare the ages with.
    assert_eq!(bench.letters(), "SS");
    assert!(
        bench
            .messages()
            .contains(&"Can't synchronise: no selectable sources (2 unreachable sources)".to_owned())
    );
    for _ in 0..7 {
        bench.sources.reachability(SourceId(1), false);
    }
    assert_eq!(bench.sources.take_bad(), [SourceId(0), SourceId(1)]);
}

#[test]
fn reselecting_waits_for_a_sample() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3)]);
    bench.rounds(8);
    bench.sources.forget_selected();
    assert_eq!(bench.select(None), Outcome::Nothing);
    assert_eq!((bench.letters().as_str(), bench.sources.selected()), ("U", None));
    assert!(bench.round().iter().all(is_update));
    assert_eq!(bench.letters(), "*");
}

#[test]
fn the_last_source_removed_while_selected_is_reported() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3)]);
    bench.rounds(4);
    bench.messages();
    assert!(bench.sources.remove(SourceId(0)) && !bench.sources.remove(SourceId(0)));
    bench.select(None);
    assert_eq!(bench.messages(), ["Can't synchronise: no sources"]);
}

#[test]
fn authentication_modes() {
    let plain = spec(0.0, 6e-3);
    let authenticated = Spec {
        authenticated: true,
        ..plain
    };
    let options = |mode, specs: &[Spec]| {
        let config = SelectionConfig {
            auth_mode: mode,
            ..SelectionConfig::default()
        };
        let bench = Bench::with(&config, specs);
        (0..specs.len())
            .map(|i| option_bits(bench.sources.select_report(i).unwrap().effective))
            .collect::<Vec<_>>()
    };
    let both = [plain, authenticated];
    assert_eq!(options(AuthSelectMode::Ignore, &both), [0, 0]);
    assert_eq!(options(AuthSelectMode::Mix, &both), [0, 12]);
    assert_eq!(options(AuthSelectMode::Mix, &[authenticated]), [0]);
    assert_eq!(options(AuthSelectMode::Prefer, &both), [1, 0]);
    assert_eq!(options(AuthSelectMode::Prefer, &[plain]), [0]);
    assert_eq!(options(AuthSelectMode::Require, &[plain]), [1]);
}

#[test]
fn the_smallest_orphan_is_followed() {
    let orphan = Spec {
        stratum: 10,
        ..spec(0.0, 6e-3)
    };
    let mut bench = Bench::new(&[orphan, orphan]);
    bench.env.orphan_stratum = 10;
    bench.rounds(4);
    assert_eq!(bench.letters(), "OO");
    assert!(
        bench
            .messages()
            .contains(&"Unknown local refid in orphan mode".to_owned())
    );
    bench.sources.set_local_refid(SourceId(0), 0xc000_0300);
    assert!(bench.round().iter().any(is_update));
    assert_eq!(bench.letters(), "*O");
    bench.sources.set_local_refid(SourceId(0), 0xc000_0200);
    bench.round();
    assert_eq!(bench.letters(), "OO");
}

#[test]
fn votes_about_leap_seconds() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3); 3]);
    bench.rounds(8);
    assert_eq!(bench.sources.leap_vote(), Leap::Normal);
    assert!(bench.sources.status_update(SourceId(0), 2, Leap::Insert, false));
    assert!(bench.sources.status_update(SourceId(1), 2, Leap::Insert, true));
    assert_eq!(bench.sources.leap_vote(), Leap::Normal);
    bench.sources.status_update(SourceId(1), 2, Leap::Insert, false);
    assert_eq!(bench.sources.leap_vote(), Leap::Insert);
}

#[test]
fn special_modes_say_nothing_and_know_when_to_give_up() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3), spec(1.0, 6e-3)]);
    bench.env.normal = false;
    assert!(!bench.sources.is_hopeless());
    bench.rounds(4);
    assert_eq!(bench.messages(), Vec::<String>::new());
    bench.rounds(4);
    assert!(bench.sources.is_hopeless());
    let mut bench = Bench::new(&[spec(0.0, 6e-3)]);
    for n in 0..5 {
        bench.sources.reachability(SourceId(0), false);
        assert_eq!(bench.sources.is_hopeless(), n == 4);
    }
    bench.sources.set_active(SourceId(0), false);
    assert!(bench.sources.is_hopeless());
}

#[test]
fn an_unknown_step_forgets_the_samples() {
    let mut bench = Bench::new(&[spec(0.0, 6e-3)]);
    bench.rounds(8);
    bench.sources.announce(&Change {
        raw: Raw::new(START, 0),
        cooked: at(8.0),
        dfreq: 0.0,
        by: FastBy(100.0),
        kind: ChangeKind::UnknownStep,
    });
    assert_eq!(bench.select(None), Outcome::Nothing);
    assert_eq!(bench.letters(), "M");
    let report = bench.sources.select_report(0).unwrap();
    assert_eq!(
        (report.low.0, report.high.0, report.last_sample_ago),
        (0.0, 0.0, 0)
    );
}

#[test]
fn a_dump_file_restores_the_source() {
    let mut bench = Bench::new(&[spec(1e-3, 6e-3)]);
    assert_eq!(bench.sources.dump(SourceId(0)), None);
    bench.rounds(10);
    let id = SourceId(0);
    let text = bench.sources.dump(id).expect("samples");
    assert!(text.starts_with("SRC0\n192.0.2.1\n0 377 8 2 0\n10 0\n"), "{text}");
    assert_eq!(bench.sources.dump_name(id).as_deref(), Some("192.0.2.1.dat"));

    let mut other = Bench::new(&[spec(1e-3, 6e-3)]);
    other.time = 100.0;
    let era = Era::starting_at(START - 18_250 * 86_400);
    let load = |bench: &mut Bench, text: &str| bench.sources.load_dump(id, text, at(100.0), era);
    for (from, to) in [
        ("SRC0", "SRC1"),
        ("192.0.2.1", "192.0.2.9"),
        ("8 2 0", "8 16 0"),
        ("8 2 0", "8 2 3"),
        ("0 377", "377"),
    ] {
        assert!(load(&mut other, &text.replacen(from, to, 1)).is_err());
    }
    assert_eq!(load(&mut other, &text), Ok(()));
    other.sources.dumps_loaded();
    let Outcome::Update(update) = other.select(None) else {
        panic!("no update")
    };
    assert!((update.offset.0 - 1e-3).abs() < 1e-5);
    assert_eq!(other.sources.reach(id), 0xff);
}

#[test]
fn reports_hide_the_fraction_of_a_second() {
    let mut bench = Bench::new(&[spec(1e-3, 6e-3)]);
    let report = bench.sources.source_report(0, at(0.0)).unwrap();
    assert_eq!((report.since_sample, report.stratum), (u32::MAX, 0));
    bench.time = 0.9;
    bench.measure(SourceId(0));
    let report = bench.sources.source_report(0, at(2.0)).unwrap();
    assert_eq!((report.since_sample, report.stratum, report.reach), (2, 2, 1));
    assert!(report.original == report.adjusted && (report.original.0 - 1e-3).abs() < 2e-6);
    assert_eq!(bench.sources.source_report(1, at(2.0)), None);
    assert!(
        bench
            .sources
            .stats_report(0, at(2.0))
            .is_some_and(|r| r.stats.samples == 1)
    );
}
