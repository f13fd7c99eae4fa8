//! From `add` of chronyc to what a line of `chrony.conf` means.

use crate::config::{AddressFamily, SelectOptions, SourceConfig, SourceKind};
use crate::wire::command::{AddSource, SelectBits, SourceFlags, SourceKind as WireKind};

/// The source that a request describes. Numbers that no configuration file could have are corrected, as
/// `spec/command-protocol.md` 6.5 says.
pub(super) fn source_config(add: &AddSource) -> SourceConfig {
    let kind = match add.kind {
        WireKind::Server => SourceKind::Server,
        WireKind::Peer => SourceKind::Peer,
        WireKind::Pool => SourceKind::Pool,
    };
    let on = |flag| add.flags.contains(flag);
    let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    SourceConfig {
        port: add.port as u16,
        minpoll: add.minpoll,
        maxpoll: add.maxpoll,
        presend: add.presend,
        iburst: on(SourceFlags::IBURST),
        burst: on(SourceFlags::BURST),
        xleave: on(SourceFlags::XLEAVE),
        copy: on(SourceFlags::COPY),
        online: on(SourceFlags::ONLINE),
        auto_offline: on(SourceFlags::AUTO_OFFLINE),
        nts: on(SourceFlags::NTS),
        nts_port: add.nts_port as u16,
        cert_set: add.cert_set,
        max_nts_retry: add.max_nts_retry,
        key: add.key,
        version: add.version.min(4) as u8,
        max_delay: add.max_delay,
        max_delay_ratio: add.max_delay_ratio,
        max_delay_dev_ratio: add.max_delay_dev_ratio,
        max_delay_quant: add.max_delay_quant,
        min_delay: add.min_delay,
        asymmetry: add.asymmetry,
        offset: add.offset,
        min_samples: add.min_samples,
        max_samples: add.max_samples,
        max_unreach: add.max_unreach,
        filter: add.filter,
        poll_target: int(add.poll_target),
        min_stratum: int(add.min_stratum),
        max_sources: int(add.max_sources),
        mono_root: on(SourceFlags::MONO_ROOT),
        net_correction: on(SourceFlags::NET_CORRECTION),
        family: if on(SourceFlags::IPV4) {
            AddressFamily::V4
        } else if on(SourceFlags::IPV6) {
            AddressFamily::V6
        } else {
            AddressFamily::Any
        },
        select: SelectOptions {
            noselect: on(SourceFlags::NOSELECT),
            prefer: on(SourceFlags::PREFER),
            trust: on(SourceFlags::TRUST),
            require: on(SourceFlags::REQUIRE),
        },
        ..SourceConfig::new(kind, &add.name)
    }
}

/// Select options of the protocol as the configuration has them.
pub(super) fn select_options(bits: SelectBits) -> SelectOptions {
    SelectOptions {
        noselect: bits.contains(SelectBits::NOSELECT),
        prefer: bits.contains(SelectBits::PREFER),
        trust: bits.contains(SelectBits::TRUST),
        require: bits.contains(SelectBits::REQUIRE),
    }
}
