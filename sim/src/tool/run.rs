//! Lets a world run and notes what happens.

use crate::build::{Action, Scene};
use std::io::{self, Write};
use std::net::IpAddr;
use truechimer_engine::event::sync::SyncEvent;
use truechimer_engine::event::{Event, Severity};
use truechimer_engine::wire::command::{Address, SourceReport, SourceStatsReport, TrackingReport};
use truechimer_sim::measure::{ErrorMeter, STEP};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// s
    pub(crate) duration: f64,
    /// The clock has converged when its error stays below this, s.
    pub(crate) threshold: f64,
    /// From when on the steady state is, s; `None`: from convergence on.
    pub(crate) from: Option<f64>,
}

/// The error of the clock in one part of the time that is shown as one column of a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The error of the clock over time.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// s
    pub(crate) duration: f64,
    /// `None`: no whole second falls there.
    pub(crate) columns: Vec<Option<Column>>,
}

impl Curve {
    fn new(duration: f64, columns: usize) -> Self {
        Self {
            duration,
            columns: vec![None; columns],
        }
    }

    fn add(&mut self, second: f64, error: f64) {
        let index = second / self.duration * self.columns.len() as f64;
        let last = self.columns.len() - 1;
        if let Some(column) = self.columns.get_mut((index as usize).min(last)) {
            let old = column.unwrap_or(Column {
                min: error,
                max: error,
            });
            *column = Some(Column {
                min: old.min.min(error),
                max: old.max.max(error),
            });
        }
    }
}

/// Figures of a part of the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) rms_time: f64,
    pub(crate) max_time: f64,
    pub(crate) rms_frequency: f64,
    pub(crate) max_frequency: f64,
}

/// Meter that knows the largest frequency error as well.
struct Meter {
    errors: ErrorMeter,
    last: Option<f64>,
    max_frequency: f64,
}

impl Meter {
    fn new() -> Self {
        Self {
            errors: ErrorMeter::new(0, 0.0),
            last: None,
            max_frequency: 0.0,
        }
    }

    fn add(&mut self, second: i64, error: f64) {
        self.errors.add(second, error);
        if let Some(change) = self.last.map(|last| (error - last).abs())
            && change < STEP
        {
            self.max_frequency = self.max_frequency.max(change);
        }
        self.last = Some(error);
    }

    fn figures(&self) -> Option<Figures> {
        self.last?;
        Some(Figures {
            rms_time: self.errors.rms_time(),
            max_time: self.errors.max_time(),
            rms_frequency: self.errors.rms_frequency(),
            max_frequency: self.max_frequency,
        })
    }
}

/// A source at the end.
#[derive(Clone, Debug)]
pub(crate) struct SourceLine {
    pub(crate) name: String,
    pub(crate) report: SourceReport,
    pub(crate) stats: Option<SourceStatsReport>,
}

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) curve: Curve,
    pub(crate) whole: Option<Figures>,
    /// In the steady state, if it was reached.
    pub(crate) steady: Option<Figures>,
    /// When the steady state begins, s.
    pub(crate) steady_from: f64,
    /// First second from which on the error stayed below the threshold.
    pub(crate) converged: Option<f64>,
    /// True seconds and by how much the clock went forward, s.
    pub(crate) steps: Vec<(f64, f64)>,
    /// Machine, and datagrams it has sent.
    pub(crate) sent: Vec<(String, u64)>,
    /// When the engine selected another source, and which.
    pub(crate) selected: Vec<(f64, String)>,
    /// Messages of the client's daemon.
    pub(crate) messages: Vec<(f64, Severity, String)>,
    pub(crate) tracking: Option<TrackingReport>,
    /// What is tracked, in words.
    pub(crate) reference: String,
    pub(crate) sources: Vec<SourceLine>,
    /// When the client's daemon ended and with which status, if it did.
    pub(crate) ended: Option<u8>,
}

/// Columns of the plot.
const COLUMNS: usize = 840;

/// Runs a world; every second goes to `series`.
pub(crate) fn run(scene: &mut Scene, wanted: &Wanted, series: &mut dyn Write) -> io::Result<Outcome> {
    let mut curve = Curve::new(wanted.duration, COLUMNS);
    let (mut whole, mut steady) = (Meter::new(), Meter::new());
    let mut last_beyond = None;
    let mut result = writeln!(series, "second,error,frequency");
    let mut last = None;
    let mut second = |second: i64, error: f64| {
        let at = second as f64;
        curve.add(at, error);
        whole.add(second, error);
        if error.abs() > wanted.threshold {
            last_beyond = Some(at);
        }
        match wanted.from {
            Some(from) if at >= from => steady.add(second, error),
            None if error.abs() > wanted.threshold => steady = Meter::new(),
            None => steady.add(second, error),
            Some(_) => {}
        }
        if result.is_ok() {
            let frequency = last.map_or(0.0, |last: f64| error - last);
            result = writeln!(series, "{second},{error:e},{frequency:e}");
        }
        last = Some(error);
    };
    for (at, action) in std::mem::take(&mut scene.actions) {
        if at >= wanted.duration {
            break;
        }
        let left = at - scene.world.elapsed();
        scene.world.run_metered(left.max(0.0), scene.client, &mut second);
        scene.act(action);
    }
    let left = wanted.duration - scene.world.elapsed();
    scene.world.run_metered(left.max(0.0), scene.client, &mut second);
    result?;
    // Seconds are counted at their end.
    let converged = last_beyond.map_or(0.0, |beyond| beyond + 1.0);
    let converged = Some(converged).filter(|at| *at < wanted.duration.floor());
    let steady_from = wanted.from.or(converged).unwrap_or(wanted.duration);
    let mut outcome = Outcome {
        whole: whole.figures(),
        steady: steady
            .figures()
            .filter(|_| wanted.from.is_some() || converged.is_some()),
        curve,
        steady_from,
        converged,
        steps: scene.world.clock(scene.client).stepped().collect(),
        sent: Vec::new(),
        selected: Vec::new(),
        messages: Vec::new(),
        tracking: None,
        reference: String::new(),
        sources: Vec::new(),
        ended: scene.world.exited(scene.client),
    };
    scene.collect(&mut outcome);
    Ok(outcome)
}

impl Scene {
    fn act(&mut self, action: Action) {
        match action {
            Action::Link { from, to, link } => self.world.set_link(from, to, link),
            Action::Step(node, by) => self.world.clock(node).disturb(by),
            Action::Frequency(node, by) => self.world.clock(node).oscillator().shift(by),
            Action::Suspend(node, seconds) => self.world.suspend(node, seconds),
        }
    }

    /// What a machine is called here, with its address.
    fn name_of(&self, address: IpAddr) -> String {
        let index = self.addresses.iter().position(|own| IpAddr::V4(*own) == address);
        match index.and_then(|index| self.nodes.get(index)) {
            Some(name) => format!("{name} ({address})"),
            None => address.to_string(),
        }
    }

    fn collect(&mut self, outcome: &mut Outcome) {
        for (index, name) in self.nodes.iter().enumerate() {
            let sent = self.world.sent(truechimer_sim::NodeId(index));
            outcome.sent.push((name.clone(), sent));
        }
        for (at, event) in self.world.log(self.client) {
            if let Event::Sync(SyncEvent::Selected { source }) = event {
                let word = source.split(' ').next().unwrap_or(source);
                let name = word
                    .parse()
                    .map_or_else(|_| source.clone(), |ip| self.name_of(ip));
                outcome.selected.push((at, name));
            }
            outcome.messages.push((at, event.severity(), event.to_string()));
        }
        if outcome.ended.is_some() {
            return;
        }
        outcome.tracking = self.world.tracking(self.client);
        outcome.reference = match &outcome.tracking {
            Some(report) if report.stratum == 0 => "nothing: the clock is not synchronised".to_owned(),
            Some(report) => match report.address.ip() {
                Some(ip) => self.name_of(ip),
                None => "its own clock".to_owned(),
            },
            None => "nothing".to_owned(),
        };
        let stats = self.world.source_stats(self.client);
        for report in self.world.sources(self.client) {
            let of = |address: &Address| address.ip();
            outcome.sources.push(SourceLine {
                name: of(&report.address).map_or_else(|| "unresolved name".to_owned(), |ip| self.name_of(ip)),
                stats: stats
                    .iter()
                    .find(|stats| of(&stats.address) == of(&report.address))
                    .copied(),
                report,
            });
        }
    }
}
