//! Looking names up without holding up the daemon: on a thread, or under the strict system call filter in a
//! process of its own, as the modules of `nsswitch.conf` make calls that nobody can list.

use super::helper::{self, Answer};
use super::watch::{Descriptor, Key, Wake, Wakes};
use crate::logs;
use crate::sys::error::reason;
use crate::sys::name;
use std::io;
use std::thread;
use truechimer_engine::config::AddressFamily;
use truechimer_engine::io::{QueryId, ResolveError};

/// Who looks names up.
#[derive(Debug, Default)]
pub struct Resolver {
    helper: Option<Descriptor>,
    /// Names that are being looked up.
    pending: usize,
}

impl Resolver {
    /// One with a process of its own, which ends with ours; `limited`: it can write no files. To be called
    /// before there are other threads.
    ///
    /// # Errors
    /// What chrony says when there can't be one.
    pub fn with_helper(limited: bool) -> Result<Self, String> {
        let helper = Some(Descriptor::Plain(helper::start(limited)?));
        Ok(Self { helper, pending: 0 })
    }

    /// Watches for answers of the helper. To be called within the runtime.
    ///
    /// # Errors
    /// It can't be watched.
    pub fn start(&mut self, wakes: &Wakes) -> io::Result<()> {
        if let Some(descriptor) = self.helper.take() {
            self.helper = Some(descriptor.watch(Key::Resolver, wakes)?);
        }
        Ok(())
    }

    /// Looks `name` up. The answer comes as [`Wake::Resolved`], or from [`Self::receive`].
    pub fn resolve(&mut self, query: QueryId, name: &str, family: AddressFamily, wakes: &Wakes) {
        self.pending += 1;
        if let Some(descriptor) = &self.helper {
            if helper::ask(descriptor.fd(), query, name, family).is_err() {
                wakes.push(Wake::Resolved(query, Err(ResolveError::Temporary)));
            }
            return;
        }
        // One at a time, and seldom. The runtime's own threads are not for this: it panics when one can't be started.
        let (answers, wanted) = (wakes.clone(), name.to_owned());
        let started = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            answers.push(Wake::Resolved(query, name::resolve(&wanted, family)));
        });
        if let Err(error) = started {
            let reason = reason(&error);
            logs::error(format_args!(
                "Could not start thread to resolve {name} : {reason}"
            ));
            wakes.push(Wake::Resolved(query, Err(ResolveError::Temporary)));
        }
    }

    /// An answer has come.
    pub fn answered(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// No answer is awaited.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending == 0
    }

    /// The next answer of the helper; `None` when there is none yet.
    ///
    /// # Errors
    /// The helper is gone.
    pub fn receive(&self) -> io::Result<Option<Answer>> {
        self.helper
            .as_ref()
            .map_or(Ok(None), |descriptor| helper::receive(descriptor.fd()))
    }
}
