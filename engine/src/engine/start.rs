//! The start: `initstepslew`, then the configured sources, then polling (`spec/config.md` 7.1).

use super::{Engine, announce_changes, dumps, with_cx};
use crate::config::{SourceConfig, SourceKind};
use crate::source::ConfigId;
use crate::sync::cx::Cx;
use crate::sync::kernel::Clock;
use crate::sync::special;
use crate::time::{Mono, Now};

/// Time (s) from the end of `initstepslew` until the configured sources are added.
const INIT_PAUSE: f64 = 2.0;

/// How far the start has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Sources are not added yet.
    New,
    /// `initstepslew` runs.
    InitStepSlew(InitStepSlew),
    /// The first round of name resolving runs.
    Resolving,
    /// Sources are polled.
    Running,
    /// [`Engine::shutdown`] was called.
    Ended,
}

/// A running `initstepslew`.
#[derive(Debug)]
pub(super) struct InitStepSlew {
    /// Its servers.
    servers: Vec<ConfigId>,
    /// When the configured sources are to be added, after the end.
    resume: Option<Mono>,
    /// Sources of `sourcedir` files, to be added then.
    source_dirs: Vec<SourceConfig>,
}

impl Engine {
    /// Adds the configured sources and those of `sourcedir` files, and begins; with `initstepslew` that comes
    /// first. In the special modes the end comes as [`crate::io::Output::Exit`].
    pub fn start(&mut self, now: Now, kernel: &mut dyn Clock, source_dirs: Vec<SourceConfig>) {
        let begins_with_step = self.begins_with_step();
        let init = self.config.init_step_slew.take();
        let Some((threshold, servers)) = init.filter(|_| begins_with_step) else {
            self.add_sources(now, kernel, source_dirs);
            return;
        };
        self.discipline.set_mode(special::Mode::InitStepSlew(threshold));
        let added = with_cx!(self, now, kernel, |cx| {
            let servers = servers.iter().filter_map(|server| {
                let config = SourceConfig {
                    iburst: true,
                    ..SourceConfig::new(SourceKind::Server, &server.to_string())
                };
                self.manager.add_configured(cx, &mut self.discipline, &config)
            });
            let servers = servers.collect();
            self.manager.begin_resolving(cx);
            self.manager.start(cx, &mut self.discipline);
            self.discipline.check_special_mode(cx);
            servers
        });
        self.phase = Phase::InitStepSlew(InitStepSlew {
            servers: added,
            resume: None,
            source_dirs,
        });
        self.continue_start(now, kernel);
    }

    /// False while `initstepslew` is before us or runs: others should wait for the clock to be right.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.phase {
            Phase::New => !self.begins_with_step(),
            Phase::InitStepSlew(_) => false,
            Phase::Resolving | Phase::Running | Phase::Ended => true,
        }
    }

    fn begins_with_step(&self) -> bool {
        let init = &self.config.init_step_slew;
        init.as_ref().is_some_and(|(_, servers)| !servers.is_empty())
            && !self.restarted
            && self.discipline.reference.mode().is_normal()
    }

    /// The sources of the `sourcedir` files, read again. Not before the configured ones were added.
    pub fn reload_sources(&mut self, now: Now, kernel: &mut dyn Clock, sources: Vec<SourceConfig>) {
        if matches!(self.phase, Phase::Resolving | Phase::Running) {
            with_cx!(self, now, kernel, |cx| self.manager.reload(
                cx,
                &mut self.discipline,
                sources
            ));
            self.update_server_sockets();
        }
    }

    fn add_sources(&mut self, now: Now, kernel: &mut dyn Clock, source_dirs: Vec<SourceConfig>) {
        self.phase = Phase::Resolving;
        let sources = std::mem::take(&mut self.config.sources);
        with_cx!(self, now, kernel, |cx| {
            for source in &sources {
                self.manager.add_configured(cx, &mut self.discipline, source);
            }
            self.manager.reload(cx, &mut self.discipline, source_dirs);
            self.serving
                .start_broadcasts(&self.config.network, cx.now.mono, cx.random);
            self.manager.begin_resolving(cx);
        });
        self.update_server_sockets();
        self.continue_start(now, kernel);
    }

    /// Goes on with the start when what it waits for has come.
    pub(super) fn continue_start(&mut self, now: Now, kernel: &mut dyn Clock) {
        match &mut self.phase {
            Phase::InitStepSlew(init) => match init.resume {
                None => {
                    if self.discipline.reference.take_end().is_some() {
                        init.resume = Some(now.mono.plus(INIT_PAUSE));
                    }
                }
                Some(resume) if resume <= now.mono => {
                    let servers = std::mem::take(&mut init.servers);
                    let source_dirs = std::mem::take(&mut init.source_dirs);
                    with_cx!(self, now, kernel, |cx| {
                        for id in servers {
                            self.manager.remove_config(cx, &mut self.discipline, id, false);
                        }
                        self.manager.begin_again();
                    });
                    self.discipline.set_mode(special::Mode::Normal);
                    self.add_sources(now, kernel, source_dirs);
                }
                Some(_) => {}
            },
            // Polling starts when all names have been tried once.
            Phase::Resolving if self.manager.names_tried() => {
                self.phase = Phase::Running;
                let dumps = std::mem::take(&mut self.dumps);
                with_cx!(self, now, kernel, |cx| {
                    dumps::load(cx, &mut self.discipline, &dumps);
                    self.manager.start(cx, &mut self.discipline);
                    self.discipline.check_special_mode(cx);
                });
            }
            _ => {}
        }
    }

    /// When [`Self::continue_start`] wants to be called.
    pub(super) fn start_wakeup(&self) -> Option<Mono> {
        match &self.phase {
            Phase::InitStepSlew(init) => init.resume,
            _ => None,
        }
    }
}
