//! Which sources a command is for.

use std::net::IpAddr;

use crate::sync::address::SourceAddress;

/// Which sources a command is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Matching {
    /// All, also unresolved ones.
    All,
    /// This address only.
    Exact(SourceAddress),
    /// Those whose address equals `address` in the bits of `mask`. A mask of the other family: exact match.
    Subnet {
        /// Address.
        address: IpAddr,
        /// Mask.
        mask: IpAddr,
    },
}

impl Matching {
    /// True if the command is for the source with this address.
    #[must_use]
    pub fn includes(&self, source: SourceAddress) -> bool {
        match (*self, source) {
            (Self::All, _) => true,
            (Self::Exact(address), _) => address == source,
            (Self::Subnet { address, mask }, SourceAddress::Ip(source)) => match (address, mask, source) {
                (IpAddr::V4(a), IpAddr::V4(m), IpAddr::V4(s)) => {
                    (a.to_bits() ^ s.to_bits()) & m.to_bits() == 0
                }
                (IpAddr::V6(a), IpAddr::V6(m), IpAddr::V6(s)) => {
                    (a.to_bits() ^ s.to_bits()) & m.to_bits() == 0
                }
                _ => address == source,
            },
            (Self::Subnet { .. }, SourceAddress::Id(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_select_subnets_of_their_own_family() {
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let subnet = |address, mask| Matching::Subnet {
            address: ip(address),
            mask: ip(mask),
        };
        let source = SourceAddress::Ip(ip("192.0.2.7"));
        assert!(subnet("192.0.2.0", "255.255.255.0").includes(source));
        assert!(!subnet("192.0.3.0", "255.255.255.0").includes(source));
        assert!(!subnet("192.0.2.0", "ffff::").includes(source));
        assert!(subnet("192.0.2.7", "ffff::").includes(source));
        assert!(!subnet("::", "::").includes(source));
        assert!(Matching::All.includes(SourceAddress::Id(1)));
        assert!(!subnet("0.0.0.0", "0.0.0.0").includes(SourceAddress::Id(1)));
    }
}
