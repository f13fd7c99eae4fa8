//! NTS (section 5.7).

use super::{Action, Table};
use crate::config::Config;
use crate::config::error::Fault;
use crate::config::line::Line;

pub(super) const TABLE: &Table = &[
    ("ntsaeads", Action::Set(aeads)),
    (
        "ntsservercert",
        Action::Set(|line, config| line.string().map(|x| config.network.nts.server_certs.push(x))),
    ),
    (
        "ntsserverkey",
        Action::Set(|line, config| line.string().map(|x| config.network.nts.server_keys.push(x))),
    ),
    ("ntstrustedcerts", Action::Set(trusted_certs)),
    (
        "ntsdumpdir",
        Action::Set(|line, config| line.string().map(|x| config.network.nts.dump_dir = Some(x))),
    ),
    (
        "ntscachedir",
        Action::Set(|line, config| line.string().map(|x| config.network.nts.dump_dir = Some(x))),
    ),
    (
        "ntsntpserver",
        Action::Set(|line, config| line.string().map(|x| config.network.nts.ntp_server = Some(x))),
    ),
    (
        "ntsport",
        Action::Set(|line, config| line.int(0, 65535).map(|x| config.network.nts.port = x)),
    ),
    (
        "ntsprocesses",
        Action::Set(|line, config| line.int(0, 1000).map(|x| config.network.nts.processes = x)),
    ),
    (
        "maxntsconnections",
        Action::Set(|line, config| {
            line.int(1, i32::MAX)
                .map(|x| config.network.nts.max_connections = x)
        }),
    ),
    (
        "ntsrefresh",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.network.nts.refresh = x)),
    ),
    (
        "ntsrotate",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.network.nts.rotate = x)),
    ),
    (
        "nosystemcert",
        Action::Set(|line, config| line.nothing().map(|()| config.network.nts.no_system_cert = true)),
    ),
    (
        "nocerttimecheck",
        Action::Set(|line, config| {
            line.int(0, i32::MAX)
                .map(|x| config.network.nts.no_cert_time_check = x)
        }),
    ),
];

fn aeads(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let mut aeads = Vec::new();
    while !line.is_end() {
        aeads.push(line.next_int(0, i32::MAX)?);
    }
    config.network.nts.aeads = aeads;
    Ok(())
}

fn trusted_certs(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let mut set = 0;
    if line.arguments(2..=2).is_ok() {
        set = line
            .c_unsigned()
            .ok_or_else(|| line.unparsed("the number of a set of certificates"))?;
        line.skip_word();
    }
    let path = line.string()?;
    config.network.nts.trusted_certs.push((set, path));
    Ok(())
}
