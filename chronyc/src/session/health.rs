//! `health`: one line, and an exit status for probes.

use super::{Failed, Session};
use crate::command::Health;
use crate::output::json::Object;
use truechimer_engine::text::Fixed;
use truechimer_engine::wire::command::{Address, SourceState, TrackingReport};
use truechimer_engine::wire::ntp::refid;

/// Leap status of a clock that nothing keeps.
const UNSYNCHRONISED: u16 = 3;

/// What is wrong with the clock itself.
fn problem(t: &TrackingReport, limits: &Health) -> Option<String> {
    if t.leap >= UNSYNCHRONISED || t.ref_id == refid::NONE {
        return Some("the clock is not synchronised".to_owned());
    }
    if t.ref_id == refid::LOCAL && t.address == Address::Unspecified {
        return Some("the clock follows no source (local mode)".to_owned());
    }
    match limits.max_stratum {
        Some(limit) if t.stratum > limit => {
            return Some(format!("stratum {} is above {limit}", t.stratum));
        }
        _ => {}
    }
    let offset = t.correction.abs();
    match limits.max_offset {
        Some(limit) if offset > limit => Some(format!(
            "offset of {} seconds is above {} seconds",
            Fixed(offset, 9),
            Fixed(limit, 9)
        )),
        _ => None,
    }
}

impl Session {
    /// Fails with one line that says why if the clock is not well. One request, unless sources have to be counted.
    pub(super) fn health(&mut self, limits: &Health) -> Result<(), Failed> {
        let t = self.ask_tracking()?;
        let mut problem = problem(&t, limits);
        // A clock stays synchronised after its last source is gone, so one source has to be counted, too.
        if problem.is_none()
            && let Some(limit @ 1..) = limits.min_sources
        {
            let followed = self.followed_sources(limit)?;
            if followed < limit {
                problem = Some(format!("{followed} sources are followed, which is below {limit}"));
            }
        }
        let healthy = problem.is_none();
        let line = match problem {
            problem if self.json => {
                let object = Object::default().bool("healthy", healthy);
                match problem {
                    None => object.raw("reason", "null").end(),
                    Some(problem) => object.text("reason", &problem).end(),
                }
            }
            None => "healthy".to_owned(),
            Some(problem) => format!("unhealthy: {problem}"),
        };
        self.print(&(line + "\n"));
        if healthy { Ok(()) } else { Err(Failed) }
    }

    /// Sources that have a part in the clock: the selected one and those combined with it. Not counted further than to
    /// `enough`.
    fn followed_sources(&mut self, enough: u32) -> Result<u32, Failed> {
        let mut followed = 0;
        for index in 0..self.count()? {
            if matches!(
                self.source(index)?.state,
                SourceState::Selected | SourceState::Combined
            ) {
                followed += 1;
                if followed == enough {
                    break;
                }
            }
        }
        Ok(followed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::tracking;

    #[test]
    fn reasons() {
        let t = tracking();
        let none = Health::default();
        assert_eq!(problem(&t, &none), None);
        assert!(problem(&TrackingReport { leap: 3, ..t }, &none).is_some());
        assert!(
            problem(
                &TrackingReport {
                    ref_id: refid::LOCAL,
                    ..t
                },
                &none
            )
            .is_some()
        );
        assert!(
            problem(
                &t,
                &Health {
                    max_offset: Some(0.02),
                    max_stratum: Some(2),
                    ..none
                }
            )
            .is_none()
        );
        assert_eq!(
            problem(
                &t,
                &Health {
                    max_stratum: Some(1),
                    ..none
                }
            )
            .as_deref(),
            Some("stratum 2 is above 1")
        );
        assert_eq!(
            problem(
                &t,
                &Health {
                    max_offset: Some(0.005),
                    ..none
                }
            )
            .as_deref(),
            Some("offset of 0.010000000 seconds is above 0.005000000 seconds")
        );
    }
}
