//! Adding and removing sources (`spec/ntp.md` section 2.15).

use super::pool::PoolId;
use super::{Manager, log};
use crate::config::{AddressFamily, SourceConfig, SourceKind};
use crate::event::source::SourceEvent;
use crate::source::{Association, SourceAddress};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::sync::sources::{Kind, NewSource};
use crate::time::Mono;
use crate::wire::ntp::refid;
use std::net::IpAddr;

/// Most sources.
const MAX_SOURCES: usize = 65_536;

/// Groups the sources of one directive.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConfigId(pub u32);

/// Why a source cannot be added. The text is that of the log and of chronyc.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddError {
    /// Another source has this address.
    #[error("Already in use")]
    InUse,
    /// There are 65536.
    #[error("Too many sources")]
    TooMany,
    /// Of the wrong family.
    #[error("Invalid address")]
    InvalidAddress,
    /// Characters that no name has.
    #[error("Invalid name")]
    InvalidName,
}

/// One source of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) association: Association,
    /// As configured.
    pub(super) name: String,
    pub(super) config: ConfigId,
    pub(super) pool: Option<PoolId>,
    /// It has not given a good reply since it got its address.
    pub(super) tentative: bool,
    /// Configured by address.
    pub(super) literal: bool,
    pub(super) family: AddressFamily,
    /// When the name was resolved last.
    pub(super) resolved_at: Option<Mono>,
}

impl Entry {
    pub(super) fn address(&self) -> SourceAddress {
        self.association.address()
    }

    /// How messages call this source.
    pub(super) fn label(&self) -> String {
        let address = self.address().to_string();
        if address == self.name {
            address
        } else {
            format!("{address} ({})", self.name)
        }
    }
}

pub(super) fn family_accepts(family: AddressFamily, ip: IpAddr) -> bool {
    match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => ip.is_ipv4(),
        AddressFamily::V6 => ip.is_ipv6(),
    }
}

impl Manager {
    /// Adds a source or pool. Names are resolved by [`Self::begin_resolving`] or [`Self::resolve_now`]. `log`: with
    /// messages, as for commands and `sourcedir`.
    ///
    /// # Errors
    /// The source is not added.
    pub fn add(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: &SourceConfig,
        with_log: bool,
    ) -> Result<ConfigId, AddError> {
        let id = ConfigId(self.next_config);
        if let Ok(ip) = config.name.parse::<IpAddr>() {
            if !family_accepts(config.family, ip) {
                return Err(AddError::InvalidAddress);
            }
            if self.by_ip.contains_key(&ip) {
                return Err(AddError::InUse);
            }
            self.check_room(1)?;
            let source = self.insert(cx, discipline, config, SourceAddress::Ip(ip), None);
            self.announce_added(cx, source, with_log);
        } else {
            if !config.name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(AddError::InvalidName);
            }
            if config.kind == SourceKind::Pool {
                self.add_pool(cx, discipline, config)?;
                if with_log {
                    log(cx, SourceEvent::PoolAdded(config.name.clone()));
                }
            } else {
                self.check_room(1)?;
                let source = self.insert_unresolved(cx, discipline, config, None);
                self.names.add_source(source, &config.name);
                self.announce_added(cx, source, with_log);
            }
        }
        self.next_config += 1;
        Ok(id)
    }

    /// Adds a source of the configuration file; a failure is logged.
    pub fn add_configured(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: &SourceConfig,
    ) -> Option<ConfigId> {
        let added = self.add(cx, discipline, config, false).ok();
        if added.is_none() {
            log(cx, SourceEvent::NotAdded(config.name.clone(), None));
        }
        added
    }

    fn announce_added(&self, cx: &mut Cx<'_>, id: SourceId, with_log: bool) {
        if let Some(entry) = self.table.get(&id).filter(|_| with_log) {
            log(cx, SourceEvent::Added(entry.label()));
        }
    }

    pub(super) fn check_room(&self, wanted: usize) -> Result<(), AddError> {
        if self.table.len() + wanted > MAX_SOURCES {
            return Err(AddError::TooMany);
        }
        Ok(())
    }

    pub(super) fn insert_unresolved(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: &SourceConfig,
        pool: Option<PoolId>,
    ) -> SourceId {
        let address = SourceAddress::Id(self.next_unresolved);
        self.next_unresolved = self.next_unresolved.wrapping_add(1);
        self.insert(cx, discipline, config, address, pool)
    }

    fn insert(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: &SourceConfig,
        address: SourceAddress,
        pool: Option<PoolId>,
    ) -> SourceId {
        let id = SourceId(self.next_source);
        self.next_source += 1;
        let digest = self.check_key(cx, config);
        let precision = discipline.clock.precision();
        let association = Association::new(id, config, address, digest, precision);
        discipline.sources.add(NewSource {
            id,
            kind: Kind::Ntp(address),
            name: config.name.clone(),
            refid: address.ip().map_or(0, refid::of_address),
            select: config.select,
            authenticated: association.is_authenticated(),
            min_samples: config.min_samples,
            max_samples: config.max_samples,
            min_delay: config.min_delay,
            asymmetry: config.asymmetry,
            max_unreach: config.max_unreach,
        });
        if let Some(ip) = address.ip() {
            self.by_ip.insert(ip, id);
        }
        let entry = Entry {
            association,
            name: config.name.clone(),
            config: ConfigId(self.next_config),
            pool,
            tentative: true,
            literal: address.ip().is_some(),
            family: config.family,
            resolved_at: None,
        };
        self.table.insert(id, entry);
        let (started, online) = (self.started, config.online);
        self.with(cx, discipline, id, |association, env| {
            if online {
                association.go_online(env);
            }
            if started {
                association.start(env);
            }
        });
        id
    }

    /// Warnings about the key of a new source. Returns the length (octets) of the digest that the key makes.
    fn check_key(&self, cx: &mut Cx<'_>, config: &SourceConfig) -> Option<usize> {
        if config.nts && config.kind == SourceKind::Peer {
            log(cx, SourceEvent::NtsWithPeer);
        }
        if config.nts || config.key == 0 {
            return None;
        }
        let Some(key) = self.settings.keys.get(config.key) else {
            log(cx, SourceEvent::KeyMissing(config.key));
            return None;
        };
        if key.is_short() {
            log(cx, SourceEvent::KeyTooShort(config.key));
        }
        Some(key.kind().digest_len())
    }

    /// Removes the sources of one directive.
    pub fn remove_config(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        config: ConfigId,
        with_log: bool,
    ) {
        let ids: Vec<SourceId> = self
            .table
            .iter()
            .filter(|(_, entry)| entry.config == config)
            .map(|(id, _)| *id)
            .collect();
        let pool = ids.first().and_then(|id| self.table.get(id)?.pool);
        if let Some(pool) = pool.and_then(|pool| self.pools.get(&pool)).filter(|_| with_log) {
            log(cx, SourceEvent::PoolRemoved(pool.name.clone()));
        }
        for id in ids {
            self.remove(cx, discipline, id, with_log && pool.is_none());
        }
    }

    /// Removes one source.
    pub(super) fn remove(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        with_log: bool,
    ) {
        self.with(cx, discipline, id, Association::stop);
        let Some(entry) = self.table.remove(&id) else {
            return;
        };
        if let Some(ip) = entry.address().ip() {
            self.by_ip.remove(&ip);
        }
        self.names.forget_source(id);
        if with_log {
            log(cx, SourceEvent::Removed(entry.label()));
        }
        discipline.remove_source(cx, id);
        if let Some(pool) = entry.pool
            && !self.table.values().any(|entry| entry.pool == Some(pool))
        {
            self.pools.remove(&pool);
            self.names.forget_pool(pool);
        }
    }

    /// Gives a source its first or another address. False if another source has it.
    pub(super) fn change_address(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        ip: IpAddr,
    ) -> bool {
        if self.by_ip.contains_key(&ip) {
            return false;
        }
        let Some(entry) = self.table.get_mut(&id) else {
            return false;
        };
        let old = entry.address();
        entry.tentative = true;
        entry.resolved_at = Some(cx.now.mono);
        let name = entry.name.clone();
        if let SourceAddress::Ip(old) = old {
            self.by_ip.remove(&old);
        }
        self.by_ip.insert(ip, id);
        let was_reachable = discipline.sources.reach(id) != 0;
        self.with(cx, discipline, id, |association, env| {
            association.change_address(env, ip, was_reachable);
        });
        discipline.sources.set_address(id, ip, refid::of_address(ip));
        if old.ip().is_some() {
            discipline.reset_source(cx, id);
            let (old, new) = (old.to_string(), ip.to_string());
            log(cx, SourceEvent::Replaced { old, new, name });
        }
        self.with(cx, discipline, id, Association::resume);
        true
    }
}
