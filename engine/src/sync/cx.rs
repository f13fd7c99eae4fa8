//! What a call into the engine carries along.

use super::kernel::{Change, Clock};
use crate::event::{Event, record::Record};
use crate::io::{FileJob, Mail};
use crate::random::Random;
use crate::time::{Cooked, Now};

/// What every handler of the engine gets: the time of the event, the kernel's clock, randomness, and where
/// to leave what it has to say.
///
/// A handler that changes the clock pushes a [`Change`]. The engine announces the changes, in order, to all
/// who keep cooked times when the handler has returned. So within one handler, cooked times are those of
/// before the change, and none may be cooked after it (`spec/sync.md` section 10).
pub struct Cx<'a> {
    /// Time of the event, read once after waking up.
    pub now: Now,
    /// The same, cooked ("last event time" of `spec/sync.md` section 9.1).
    pub cooked: Cooked,
    /// The kernel's clock.
    pub kernel: &'a mut dyn Clock,
    /// Random numbers.
    pub random: &'a mut dyn Random,
    /// What happened.
    pub out: &'a mut Outbox,
}

/// What handlers leave behind.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Changes of the clock not yet announced.
    pub changes: Vec<Change>,
    /// Dispersion (s) to be added to all stored samples (`spec/sync.md` section 10, "added dispersion").
    pub dispersion: f64,
    /// Messages.
    pub events: Vec<Event>,
    /// Lines of log files.
    pub records: Vec<Record>,
    /// Mails to be sent.
    pub mails: Vec<Mail>,
    /// Files to be written.
    pub saves: Vec<FileJob>,
    /// End the daemon with this status: a failure that chrony does not survive, or a special mode's end.
    pub exit: Option<u8>,
}
