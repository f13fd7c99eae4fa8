//! Sources of `sourcedir` files, which can be read again while running (`spec/config.md` section 4.3).

use super::table::{AddError, ConfigId};
use super::{Manager, log};
use crate::config::{SourceConfig, SourceKind};
use crate::event::source::SourceEvent;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;

/// A source of the files as they were read last, and what became of it.
#[derive(Debug)]
pub(super) struct Reloaded {
    config: SourceConfig,
    outcome: Result<ConfigId, AddError>,
}

/// Name, type, pool, family, port, and then all other options.
fn order(config: &SourceConfig) -> (String, bool, bool, crate::config::AddressFamily, u16, String) {
    (
        config.name.clone(),
        config.kind == SourceKind::Peer,
        config.kind == SourceKind::Pool,
        config.family,
        config.port,
        format!("{config:?}"),
    )
}

impl Manager {
    /// Takes the difference to the sources of the last call: those with any difference are removed, then new
    /// ones are added. Ones that could not be added are tried again.
    pub fn reload(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, sources: Vec<SourceConfig>) {
        let mut sources = sources;
        sources.sort_by_cached_key(order);
        let mut old = std::mem::take(&mut self.reloaded);
        let mut new: Vec<(SourceConfig, Option<Reloaded>)> = Vec::with_capacity(sources.len());
        for config in sources {
            let same = old.iter().position(|before| before.config == config);
            let before = same.map(|index| old.remove(index));
            new.push((config, before));
        }
        for gone in old {
            if let Ok(id) = gone.outcome {
                self.remove_config(cx, discipline, id, true);
            }
        }
        for (config, before) in new {
            let reloaded = match before {
                Some(kept) if kept.outcome.is_ok() => kept,
                before => self.add_reloaded(cx, discipline, config, before),
            };
            self.reloaded.push(reloaded);
        }
        self.resolve_now(cx);
    }

    fn add_reloaded(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: SourceConfig,
        before: Option<Reloaded>,
    ) -> Reloaded {
        let outcome = self.add(cx, discipline, &config, true);
        if let Err(error) = outcome
            && before.is_none_or(|before| before.outcome != Err(error))
        {
            let reason = Some(error.to_string());
            log(cx, SourceEvent::NotAdded(config.name.clone(), reason));
        }
        Reloaded { config, outcome }
    }
}
