//! `waitsync` and `settime`.

use super::{Failed, Session};
use crate::command::WaitSync;
use crate::report::json;
use crate::{date, report, sys};
use nix::poll::{PollTimeout, poll};
use std::time::{Duration, Instant, SystemTime};
use truechimer_engine::time::Cooked;
use truechimer_engine::wire::command::{Address, Reply, Request, TrackingReport};
use truechimer_engine::wire::ntp::refid;

/// True if the clock is synchronised, and as well as is wanted.
fn synchronised(t: &TrackingReport, wanted: &WaitSync) -> bool {
    let within = |value: f64, limit: f64| limit == 0.0 || value <= limit;
    let source = t.address != Address::Unspecified || (t.ref_id != refid::NONE && t.ref_id != refid::LOCAL);
    source && within(t.correction.abs(), wanted.correction) && within(t.skew, wanted.skew)
}

/// Sleeps, unless a signal comes.
pub(super) fn sleep(seconds: f64) {
    let Ok(time) = Duration::try_from_secs_f64(seconds) else {
        return;
    };
    let deadline = Instant::now() + time.min(Duration::from_secs(1 << 31));
    while !sys::interrupted() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // Ended early or not, the loop looks at the time.
        let _ = poll(
            &mut [],
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX),
        );
    }
}

impl Session {
    pub(super) fn wait_sync(&mut self, wanted: &WaitSync) -> Result<(), Failed> {
        for attempt in 1_u64.. {
            if let Ok(t) = self.ask_tracking() {
                if self.json {
                    let name = self.source_name(t.address, t.ref_id, usize::MAX);
                    self.print(&(json::tracking(&t, &name) + "\n"));
                } else {
                    self.print(&report::waitsync(attempt, &t, self.style));
                }
                if synchronised(&t, wanted) {
                    return Ok(());
                }
            }
            if (wanted.tries > 0 && attempt >= u64::from(wanted.tries)) || sys::interrupted() {
                break;
            }
            sleep(wanted.interval);
            if sys::interrupted() {
                break;
            }
        }
        Err(Failed)
    }

    pub(super) fn set_time(&mut self, text: &str) -> Result<(), Failed> {
        let now = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(time) => time.as_secs().cast_signed(),
            // Before 1970; rounded down.
            Err(error) => -(error.duration().as_secs_f64().ceil() as i64),
        };
        let Some(seconds) = date::parse(text, now) else {
            return Err(self.complain("510 - Could not parse date string"));
        };
        let request = Request::SetTime(Cooked::new(seconds, 0));
        let reply = if self.json {
            self.ask(&request)
        } else {
            self.send(&request)
        };
        if let Reply::SetTime(s) = reply? {
            let text = if self.json {
                json::settime(&s) + "\n"
            } else {
                report::settime(&s)
            };
            self.print(&text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::tracking;

    #[test]
    fn what_is_synchronised() {
        let t = tracking();
        let any = WaitSync {
            tries: 1,
            correction: 0.0,
            skew: 0.0,
            interval: 1.0,
        };
        assert!(synchronised(&t, &any));
        assert!(!synchronised(
            &TrackingReport {
                ref_id: refid::LOCAL,
                ..t
            },
            &any
        ));
        assert!(!synchronised(&TrackingReport { ref_id: 0, ..t }, &any));
        assert!(!synchronised(
            &t,
            &WaitSync {
                correction: 0.005,
                ..any
            }
        ));
        assert!(synchronised(
            &t,
            &WaitSync {
                correction: 0.02,
                skew: 1.0,
                ..any
            }
        ));
        assert!(!synchronised(&t, &WaitSync { skew: 0.5, ..any }));
    }
}
