//! Commands about time entered by hand and smoothing of served time (`spec/command-protocol.md` 6.5).

use super::{Answer, Target};
use crate::sync::cx::Cx;
use crate::sync::manual::ManualError;
use crate::time::Cooked;
use crate::wire::command::{
    ManualMode, ManualSample, Reply, Request, SetTimeReport, SmoothTimeAction, SmoothingReport, Status,
};

/// Answers such a request; `None`: it is not one of them.
pub(super) fn answer(cx: &mut Cx<'_>, target: &mut Target<'_>, request: &Request) -> Option<Answer> {
    Some(match *request {
        Request::SetTime(time) => set_time(cx, target, time),
        Request::Manual(mode) => {
            let manual = target.discipline.manual();
            match mode {
                ManualMode::Off => manual.enable(false),
                ManualMode::On => manual.enable(true),
                ManualMode::Reset => manual.reset(),
            }
            Ok(Reply::Null)
        }
        Request::ManualList => Ok(Reply::ManualList(list(target))),
        Request::ManualDelete(index) => target
            .discipline
            .delete_manual(cx, index as usize)
            .map(|_| Reply::Null)
            .map_err(|_| Status::BadSample),
        Request::Smoothing => smoothing(cx, target),
        Request::SmoothTime(action) => smooth_time(cx, target, action),
        _ => return None,
    })
}

fn set_time(cx: &mut Cx<'_>, target: &mut Target<'_>, time: Cooked) -> Answer {
    match target.discipline.enter_time(cx, time) {
        Ok(report) => Ok(Reply::SetTime(SetTimeReport {
            offset: report.offset.0,
            frequency_change: report.dfreq.0,
            frequency: report.frequency.0,
        })),
        Err(ManualError::Disabled) => Err(Status::NotEnabled),
        Err(_) => Err(Status::Failed),
    }
}

fn list(target: &mut Target<'_>) -> Vec<ManualSample> {
    let samples = target.discipline.manual().samples().iter();
    samples
        .map(|sample| ManualSample {
            when: sample.when,
            slewed: sample.offset.0,
            original: sample.original.0,
            residual: sample.residual,
        })
        .collect()
}

fn smoothing(cx: &Cx<'_>, target: &Target<'_>) -> Answer {
    let smooth = target.discipline.smooth.as_ref().ok_or(Status::NotEnabled)?;
    let report = smooth.report(cx.cooked);
    Ok(Reply::Smoothing(SmoothingReport {
        active: report.active,
        leap_only: report.leap_only,
        offset: report.offset,
        frequency: report.frequency.0,
        wander: report.wander,
        last_update: report.last_update,
        remaining: report.remaining,
    }))
}

fn smooth_time(cx: &mut Cx<'_>, target: &mut Target<'_>, action: SmoothTimeAction) -> Answer {
    let smooth = target.discipline.smooth.as_mut().ok_or(Status::NotEnabled)?;
    match action {
        SmoothTimeAction::Reset => smooth.reset(cx.out, cx.cooked),
        SmoothTimeAction::Activate => smooth.activate(cx.out, cx.cooked),
        SmoothTimeAction::Unknown(_) => return Err(Status::Invalid),
    }
    Ok(Reply::Null)
}
