//! Names and addresses of hosts.

use crate::sys;
use std::net::{IpAddr, ToSocketAddrs};

/// Most addresses used of one name.
const MAX_ADDRESSES: usize = 16;

/// Which addresses names may have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Family {
    #[default]
    Any,
    V4,
    V6,
}

impl Family {
    /// True if the address is of the family.
    pub(crate) const fn has(self, ip: &IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// How names are looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    pub(crate) family: Family,
    /// No names of addresses (`-n`).
    pub(crate) numeric: bool,
    /// Names as configured (`-N`).
    pub(crate) original: bool,
}

impl Names {
    /// All addresses of a name, in the resolver's order.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        if let Ok(ip) = name.parse() {
            return if self.family.has(&ip) {
                vec![ip]
            } else {
                Vec::new()
            };
        }
        let Ok(found) = (name, 0).to_socket_addrs() else {
            return Vec::new();
        };
        let mut all: Vec<IpAddr> = Vec::new();
        for ip in found.map(|a| a.ip()).filter(|ip| self.family.has(ip)) {
            if !all.contains(&ip) && all.len() < MAX_ADDRESSES {
                all.push(ip);
            }
        }
        all
    }

    /// The first address of a name.
    pub(crate) fn address(&self, name: &str) -> Option<IpAddr> {
        self.addresses(name).into_iter().next()
    }

    /// The name of an address by DNS, if names are wanted and it has one.
    pub(crate) fn of(&self, ip: IpAddr) -> Option<String> {
        if self.numeric { None } else { sys::host_name(ip) }
    }
}
