//! The special modes of the reference: `initstepslew`, `-q` and `-Q` (`spec/sync.md` 8.4).

use super::clock::LocalClock;
use super::cx::Cx;
use crate::event::{
    Event,
    clock::{ClockEvent, Correction},
};
use crate::time::FastBy;

/// What the reference does with an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    /// Disciplines the clock.
    #[default]
    Normal,
    /// `initstepslew`: corrects one offset, by a step if it is not below the threshold (s).
    InitStepSlew(f64),
    /// `-q`: steps once.
    UpdateOnce,
    /// `-Q`: tells the offset.
    PrintOnce,
    /// Nothing, after the end of another mode.
    Ignore,
}

impl Mode {
    /// The only mode in which the selection has messages and orphan mode works.
    #[must_use]
    pub fn is_normal(self) -> bool {
        self == Self::Normal
    }

    /// What this mode does with the first offset, or with knowing that there will be none. True if there was
    /// one; `None` if this is not a special mode that waits for one.
    pub(super) fn conclude(
        self,
        cx: &mut Cx<'_>,
        clock: &mut LocalClock,
        offset: Option<FastBy>,
    ) -> Option<bool> {
        let step = match self {
            Self::InitStepSlew(threshold) => offset.is_some_and(|offset| offset.0.abs() >= threshold),
            Self::UpdateOnce => true,
            Self::PrintOnce => false,
            Self::Normal | Self::Ignore => return None,
        };
        let slew = matches!(self, Self::InitStepSlew(_)) && !step;
        let event = match (offset, self) {
            (Some(offset), Self::InitStepSlew(_)) => {
                ClockEvent::InitialOffset(offset, if step { Correction::Step } else { Correction::Slew })
            }
            (Some(offset), _) => ClockEvent::OnceWrongBy(
                offset,
                if step {
                    Correction::Step
                } else {
                    Correction::Ignored
                },
            ),
            (None, Self::InitStepSlew(_)) => ClockEvent::NoInitSource,
            (None, _) => ClockEvent::NoOnceSource,
        };
        cx.out.events.push(Event::Clock(event));
        if let Some(offset) = offset {
            // A refusal has its own message; the mode has ended all the same.
            if step {
                let _ = clock.step(cx, offset);
            } else if slew {
                let _ = clock.accumulate_offset(cx, offset, 0.0);
            }
        }
        Some(offset.is_some())
    }
}
