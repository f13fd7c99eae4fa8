//! How a source is addressed.

use std::fmt;
use std::net::IpAddr;

/// Address of a source; unresolved ones have a number instead, so that commands can name them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SourceAddress {
    /// Of the network.
    Ip(IpAddr),
    /// Not yet resolved; from 1, never used again.
    Id(u32),
}

impl SourceAddress {
    /// The real address.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Id(_) => None,
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Id(id) => write!(f, "ID#{id:010}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unresolved_sources_show_ten_digits() {
        assert_eq!(SourceAddress::Id(3).to_string(), "ID#0000000003");
    }
}
