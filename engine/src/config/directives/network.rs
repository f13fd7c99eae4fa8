//! Sockets, the server, hardware timestamps (sections 5.5, 5.6, 5.8, 5.11).

use super::{Action, Table};
use crate::config::error::Fault;
use crate::config::line::Line;
use crate::config::options::{self, Options, Report, Value};
use crate::config::{Broadcast, CommandSocket, Config, HwTimestamp, LocalMode, RxFilter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &Table = &[
    (
        "port",
        Action::Set(|line, config| line.int(0, 65535).map(|x| config.network.port = Some(x))),
    ),
    (
        "acquisitionport",
        Action::Set(|line, config| {
            line.int(0, 65535)
                .map(|x| config.network.acquisition_port = Some(x))
        }),
    ),
    (
        "cmdport",
        Action::Set(|line, config| line.int(0, 65535).map(|x| config.network.cmd_port = Some(x))),
    ),
    (
        "bindaddress",
        Action::Set(|line, config| bind(line, &mut config.network.bind_v4, &mut config.network.bind_v6)),
    ),
    (
        "bindacqaddress",
        Action::Set(|line, config| {
            bind(
                line,
                &mut config.network.bind_acq_v4,
                &mut config.network.bind_acq_v6,
            )
        }),
    ),
    ("bindcmdaddress", Action::Set(bindcmdaddress)),
    (
        "binddevice",
        Action::Set(|line, config| line.string().map(|x| config.network.bind_device = Some(x))),
    ),
    (
        "bindacqdevice",
        Action::Set(|line, config| line.string().map(|x| config.network.bind_acq_device = Some(x))),
    ),
    (
        "bindcmddevice",
        Action::Set(|line, config| line.string().map(|x| config.network.bind_cmd_device = Some(x))),
    ),
    (
        "dscp",
        Action::Set(|line, config| line.int(0, 63).map(|x| config.network.dscp = x)),
    ),
    ("broadcast", Action::Set(broadcast)),
    ("clientloglimit", Action::Set(clientloglimit)),
    (
        "noclientlog",
        Action::Set(|line, config| line.nothing().map(|()| config.network.no_client_log = true)),
    ),
    ("local", Action::Set(local)),
    (
        "ntpsigndsocket",
        Action::Set(|line, config| line.string().map(|x| config.network.signd_dir = Some(x))),
    ),
    ("hwtimestamp", Action::Set(hwtimestamp)),
    (
        "hwtstimeout",
        Action::Set(|line, config| line.double().map(|x| config.network.hw_timeout = x)),
    ),
    (
        "maxtxbuffers",
        Action::Set(|line, config| line.int(0, 1_048_576).map(|x| config.network.max_tx_buffers = x)),
    ),
    (
        "ptpport",
        Action::Set(|line, config| line.int(0, 65535).map(|x| config.network.ptp_port = x)),
    ),
    (
        "ptpdomain",
        Action::Set(|line, config| line.int(0, 255).map(|x| config.network.ptp_domain = x)),
    ),
];

fn bind(line: &mut Line<'_>, v4: &mut Option<Ipv4Addr>, v6: &mut Option<Ipv6Addr>) -> Result<(), Fault> {
    match line.address()? {
        IpAddr::V4(address) => *v4 = Some(address),
        IpAddr::V6(address) => *v6 = Some(address),
    }
    Ok(())
}

fn bindcmdaddress(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let network = &mut config.network;
    line.arguments(1..=1)?;
    match line.next_word() {
        Some("/") => network.command_socket = CommandSocket::Disabled,
        Some(path) if path.starts_with('/') => network.command_socket = CommandSocket::Path(path.to_owned()),
        _ => {
            return bind(line, &mut network.bind_cmd_v4, &mut network.bind_cmd_v6).map_err(|fault| Fault {
                expected: "an IP address, the path of a socket, or / for no socket".into(),
                ..fault
            });
        }
    }
    Ok(())
}

fn broadcast(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let interval = line.next_c_int()?;
    line.skip_word();
    let address = line.next_address()?;
    let mut port = 123;
    if !line.is_end() {
        port = line.next_c_int()?;
        line.skip_word();
    }
    if line.word().is_some() {
        return Err(line.unparsed("the end of the line"));
    }
    config.network.broadcasts.push(Broadcast {
        interval,
        address,
        port,
    });
    Ok(())
}

fn clientloglimit(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(1..=1)?;
    let limit = line
        .c_unsigned_long()
        .ok_or_else(|| line.unparsed("a number of octets"))?;
    config.network.client_log_limit = limit;
    Ok(())
}

const LOCAL: &Options<LocalMode> = &[
    (
        "stratum",
        Value::Int(1, 15, |l, x| l.stratum = u8::try_from(x).unwrap_or(10)),
    ),
    ("orphan", Value::Flag(|l| l.orphan = true)),
    ("distance", Value::Double(|l, x| l.distance = x)),
    ("activate", Value::Double(|l, x| l.activate = x)),
    ("waitsynced", Value::Double(|l, x| l.wait_synced = x)),
    ("waitunsynced", Value::Double(|l, x| l.wait_unsynced = x)),
];

fn local(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let mut local = LocalMode {
        stratum: 10,
        orphan: false,
        distance: 1.0,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: -1.0,
    };
    options::parse(line, LOCAL, Report::Named, &mut local)?;
    if local.wait_unsynced < 0.0 {
        local.wait_unsynced = if local.orphan { 300.0 } else { 0.0 };
    }
    config.network.local = Some(local);
    Ok(())
}

const TIMESTAMP: &Options<HwTimestamp> = &[
    ("minpoll", Value::Int(-32, 32, |t, x| t.minpoll = x)),
    ("maxpoll", Value::Int(-32, 32, |t, x| t.maxpoll = Some(x))),
    ("minsamples", Value::Int(0, i32::MAX, |t, x| t.min_samples = x)),
    ("maxsamples", Value::Int(0, i32::MAX, |t, x| t.max_samples = x)),
    ("precision", Value::Double(|t, x| t.precision = x)),
    ("txcomp", Value::Double(|t, x| t.tx_comp = x)),
    ("rxcomp", Value::Double(|t, x| t.rx_comp = x)),
    ("nocrossts", Value::Flag(|t| t.no_cross_timestamp = true)),
    (
        "rxfilter",
        Value::Word(&[
            ("none", |t| t.rx_filter = RxFilter::None),
            ("ntp", |t| t.rx_filter = RxFilter::Ntp),
            ("ptp", |t| t.rx_filter = RxFilter::Ptp),
            ("all", |t| t.rx_filter = RxFilter::All),
        ]),
    ),
];

fn hwtimestamp(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let interface = line
        .word()
        .ok_or_else(|| line.unparsed("the name of an interface or *"))?;
    let mut timestamp = HwTimestamp {
        interface: interface.to_owned(),
        minpoll: 0,
        maxpoll: None,
        min_samples: 2,
        max_samples: 16,
        precision: 100e-9,
        tx_comp: 0.0,
        rx_comp: 0.0,
        no_cross_timestamp: false,
        rx_filter: RxFilter::Any,
    };
    options::parse(line, TIMESTAMP, Report::Plain, &mut timestamp)?;
    config.network.hw_timestamps.push(timestamp);
    Ok(())
}
