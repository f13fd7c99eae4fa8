//! Pools: several sources of one name (`spec/ntp.md` section 2.16).

use super::Manager;
use super::table::AddError;
use crate::config::SourceConfig;
use crate::source::SourceAddress;
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;

/// Most addresses of a pool.
const MAX_SLOTS: usize = 16;

/// A pool; numbers are never used again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PoolId(pub(super) u32);

/// A directive `pool`.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    /// Sources wanted.
    max_sources: usize,
}

impl Manager {
    /// Makes the slots of a pool: twice as many as wanted, since not every address will be good.
    pub(super) fn add_pool(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: &SourceConfig,
    ) -> Result<(), AddError> {
        let max_sources = usize::try_from(config.max_sources)
            .unwrap_or(1)
            .clamp(1, MAX_SLOTS);
        let slots = (2 * max_sources).min(MAX_SLOTS);
        self.check_room(slots)?;
        let pool = PoolId(self.next_pool);
        self.next_pool += 1;
        let name = config.name.clone();
        self.names.add_pool(pool, &name);
        self.pools.insert(pool, Pool { name, max_sources });
        for _ in 0..slots {
            self.insert_unresolved(cx, discipline, config, Some(pool));
        }
        Ok(())
    }

    /// Slots of a pool that have no address yet.
    pub(super) fn empty_slots(&self, pool: PoolId) -> Vec<SourceId> {
        self.table
            .iter()
            .filter(|(_, entry)| entry.pool == Some(pool) && matches!(entry.address(), SourceAddress::Id(_)))
            .map(|(id, _)| *id)
            .collect()
    }

    /// A source gave a good reply. When a pool has as many of these as it wants, the others are removed.
    pub(super) fn confirm(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, id: SourceId) {
        let Some(entry) = self.table.get_mut(&id) else {
            return;
        };
        if !std::mem::take(&mut entry.tentative) {
            return;
        }
        let Some(id) = entry.pool else { return };
        let Some(pool) = self.pools.get(&id) else { return };
        let members = || self.table.iter().filter(|(_, entry)| entry.pool == Some(id));
        let confirmed = members().filter(|(_, entry)| !entry.tentative).count();
        if confirmed < pool.max_sources {
            return;
        }
        let surplus: Vec<SourceId> = members()
            .filter(|(_, entry)| entry.tentative)
            .map(|(id, _)| *id)
            .collect();
        for source in surplus {
            self.remove(cx, discipline, source, false);
        }
        self.names.forget_pool(id);
    }

    /// A source was removed by command: its pool does not want another instead.
    pub(super) fn shrink_pool(&mut self, id: PoolId) {
        let left = self.table.values().filter(|entry| entry.pool == Some(id)).count();
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.max_sources = pool.max_sources.min(left);
        }
    }
}
