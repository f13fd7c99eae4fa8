//! `watch`: the clock and its sources again and again, on the whole screen of a terminal or as text.

use super::{Failed, Session};
use crate::command::{Listing, Watch};
use crate::output::json::Object;
use crate::report;
use crate::report::json;
use crate::sys;
use crate::watch::{Event, Page, Screen, lines};
use std::time::{Duration, Instant};
use truechimer_engine::wire::command::TrackingReport;

/// Offsets that are kept for the plot: more than any screen has columns.
const KEPT: usize = 1000;

/// What the daemon said in one round.
struct Round {
    clock: Option<(TrackingReport, String)>,
    /// The report `sources`, or what went wrong.
    rest: String,
    result: Result<(), Failed>,
}

impl Session {
    pub(super) fn watch(&mut self, watch: &Watch) -> Result<(), Failed> {
        if self.json || self.style.csv || !Screen::exists() {
            return self.watch_as_text(watch);
        }
        match Screen::enter() {
            Ok(mut screen) => self.watch_on(&mut screen, watch),
            Err(_) => Err(self.broke()),
        }
    }

    /// Asks for everything that is shown, and keeps what would have been printed.
    fn round(&mut self) -> Round {
        self.kept = Some(String::new());
        let clock = self.ask_tracking().map(|t| {
            let name = self.source_name(t.address, t.ref_id, usize::MAX);
            (t, name)
        });
        let result = match &clock {
            Ok(_) => self.sources(Listing::default()),
            Err(failed) => Err(*failed),
        };
        Round {
            clock: clock.ok(),
            rest: self.kept.take().unwrap_or_default(),
            result,
        }
    }

    fn watch_on(&mut self, screen: &mut Screen, watch: &Watch) -> Result<(), Failed> {
        let title = format!(
            "chronyc watch   every {} s   {}   q: quit",
            watch.interval,
            self.link.server()
        );
        let mut offsets = Vec::new();
        let mut deadline = Instant::now();
        for number in 1.. {
            let round = self.round();
            // The correction is what the clock lacks.
            offsets.push(round.clock.as_ref().map(|(t, _)| -t.correction));
            if offsets.len() > KEPT {
                offsets.remove(0);
            }
            deadline = next(deadline, watch.interval);
            loop {
                let page = Page {
                    title: &title,
                    clock: round.clock.as_ref().map(|(t, name)| (t, name.as_str())),
                    rest: &round.rest,
                    offsets: &offsets,
                    interval: watch.interval,
                };
                let (columns, rows) = screen.size();
                if screen.draw(&lines(&page, columns, rows)).is_err() {
                    return Err(self.broke());
                }
                if watch.count == Some(number) {
                    return round.result;
                }
                match screen.wait(deadline) {
                    Event::Time => break,
                    Event::Resized => {}
                    Event::Quit => return Ok(()),
                    Event::Interrupted => return Err(Failed),
                }
            }
        }
        Ok(())
    }

    fn watch_as_text(&mut self, watch: &Watch) -> Result<(), Failed> {
        let mut deadline = Instant::now();
        for number in 1.. {
            let result = if self.json {
                self.json_round()
            } else {
                let round = self.round();
                let clock = round.clock.as_ref();
                let clock = clock.map(|(t, name)| report::tracking(t, name, self.style));
                let gap = self.style.captions("\n");
                self.print(&(clock.unwrap_or_default() + &gap + &round.rest + &gap));
                round.result
            };
            if !self.flush() || sys::interrupted() {
                return Err(Failed);
            }
            if watch.count == Some(number) {
                return result;
            }
            deadline = next(deadline, watch.interval);
            super::waiting::sleep(deadline.saturating_duration_since(Instant::now()).as_secs_f64());
            if sys::interrupted() {
                return Err(Failed);
            }
        }
        Ok(())
    }

    /// One line with both reports.
    fn json_round(&mut self) -> Result<(), Failed> {
        let t = self.ask_tracking()?;
        let name = self.source_name(t.address, t.ref_id, usize::MAX);
        let sources = self.json_sources(Listing::default())?.replace('\n', "");
        let line = Object::default()
            .raw("tracking", &json::tracking(&t, &name))
            .raw("sources", &sources)
            .end();
        self.print(&(line + "\n"));
        Ok(())
    }

    /// Standard output has failed; it is told in the end.
    fn broke(&mut self) -> Failed {
        self.broken = true;
        Failed
    }
}

/// When the next round is due; a late one makes the others late.
fn next(last: Instant, interval: f64) -> Instant {
    let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::from_secs(1));
    last.checked_add(interval)
        .map_or(last, |next| next.max(Instant::now()))
}
