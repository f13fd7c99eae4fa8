//! Addresses of the command protocol (section 2.1), and what is made of them.

use super::Status;
use super::field::{Field, Reader};
use crate::wire::ntp::refid;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// 20 bytes: an address, the number of a source whose name has no address yet, or nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// None.
    #[default]
    Unspecified,
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// `ID#`: a source without an address.
    Id(u32),
}

impl Address {
    /// The form of a reference clock in [`super::SourceReport`]: its reference ID in place of an IPv4 address.
    #[must_use]
    pub const fn of_refclock(ref_id: u32) -> Self {
        Self::Ip(IpAddr::V4(Ipv4Addr::from_bits(ref_id)))
    }

    /// The 32 bits that stand for the address in reports: [`refid::of_address`], 0 when there is no address.
    #[must_use]
    pub fn ref_id(self) -> u32 {
        match self {
            Self::Ip(ip) => refid::of_address(ip),
            Self::Unspecified | Self::Id(_) => 0,
        }
    }

    /// The address, if it is one.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Unspecified | Self::Id(_) => None,
        }
    }

    /// Reads `ID#` and digits, or an IP address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("ID#") {
            Some(digits) => digits.parse().ok().map(Self::Id),
            None => text.parse().ok().map(Self::Ip),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("[UNSPEC]"),
            Self::Ip(ip) => ip.fmt(f),
            Self::Id(id) => write!(f, "ID#{id:010}"),
        }
    }
}

impl Field for Address {
    fn get(r: &mut Reader<'_>) -> Self {
        let bytes: [u8; 16] = r.array();
        let family: u16 = r.get();
        let _: u16 = r.get();
        let [a, b, c, d, ..] = bytes;
        match family {
            1 => Self::Ip(IpAddr::from([a, b, c, d])),
            2 => Self::Ip(IpAddr::from(bytes)),
            3 => Self::Id(u32::from_be_bytes([a, b, c, d])),
            _ => Self::Unspecified,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + 16;
        let family: u16 = match self {
            Self::Unspecified => 0,
            Self::Ip(IpAddr::V4(ip)) => {
                out.extend_from_slice(&ip.octets());
                1
            }
            Self::Ip(IpAddr::V6(ip)) => {
                out.extend_from_slice(&ip.octets());
                2
            }
            Self::Id(id) => {
                id.put(out);
                3
            }
        };
        out.resize(end, 0);
        family.put(out);
        0_u16.put(out);
    }
}

/// A reference ID as text: its bytes, without those that are not printable.
#[must_use]
pub fn ref_id_text(ref_id: u32) -> String {
    ref_id
        .to_be_bytes()
        .into_iter()
        .filter(|c| (0x20..0x7f).contains(c))
        .map(char::from)
        .collect()
}

/// Which NTP sources a request is about: mask and address.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SourceMatch {
    /// Of another family than the address: the address must be equal.
    pub mask: Address,
    /// Unspecified: all sources.
    pub address: Address,
}

impl SourceMatch {
    /// All sources, also those without an address.
    pub const ALL: Self = Self {
        mask: Address::Unspecified,
        address: Address::Unspecified,
    };
}

impl Field for SourceMatch {
    fn get(r: &mut Reader<'_>) -> Self {
        Self {
            mask: r.get(),
            address: r.get(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.mask.put(out);
        self.address.put(out);
    }
}

/// One source of any kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceRef {
    /// An NTP source; never [`Address::Unspecified`].
    Address(Address),
    /// A reference clock.
    RefId(u32),
}

impl Field for SourceRef {
    fn get(r: &mut Reader<'_>) -> Self {
        let address = r.get();
        let ref_id = r.get();
        match address {
            Address::Unspecified => Self::RefId(ref_id),
            _ => Self::Address(address),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (address, ref_id) = match *self {
            Self::Address(address) => (address, 0),
            Self::RefId(ref_id) => (Address::Unspecified, ref_id),
        };
        address.put(out);
        ref_id.put(out);
    }
}

/// A subnet as it is sent. That of a decoded request has a [`Network`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subnet {
    /// Unspecified: all addresses of both families.
    pub address: Address,
    /// Length of the prefix.
    pub bits: i32,
}

/// A valid subnet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Network {
    /// All addresses of both families.
    All,
    /// Address and length of the prefix, at most 32 or 128.
    Net(IpAddr, u8),
}

impl Subnet {
    /// The subnet's meaning, or [`Status::BadSubnet`].
    pub fn network(self) -> Result<Network, Status> {
        let limit = match self.address {
            Address::Unspecified if self.bits == 0 => return Ok(Network::All),
            Address::Ip(IpAddr::V4(_)) => 32,
            Address::Ip(IpAddr::V6(_)) => 128,
            Address::Unspecified | Address::Id(_) => return Err(Status::BadSubnet),
        };
        match (self.address.ip(), u8::try_from(self.bits)) {
            (Some(ip), Ok(bits)) if bits <= limit => Ok(Network::Net(ip, bits)),
            _ => Err(Status::BadSubnet),
        }
    }
}

impl Field for Subnet {
    fn get(r: &mut Reader<'_>) -> Self {
        Self {
            address: r.get(),
            bits: r.get(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.address.put(out);
        self.bits.put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_id_of_an_ipv6_address_is_its_hash() {
        assert_eq!(Address::parse("2001:db8::1").unwrap().ref_id(), 0x39ab_9b37);
        assert_eq!(Address::parse("127.0.0.14").unwrap().ref_id(), 0x7f00_000e);
        assert_eq!(ref_id_text(0x5050_5300), "PPS");
    }

    #[test]
    fn text_goes_both_ways() {
        for text in ["ID#0000000012", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("ID#7"), Some(Address::Id(7)));
        assert_eq!(Address::parse("ID#"), None);
        assert_eq!(Address::parse("name"), None);
    }

    #[test]
    fn subnets_are_checked() {
        let net = |address: &str, bits| {
            Subnet {
                address: Address::parse(address).unwrap(),
                bits,
            }
            .network()
        };
        assert_eq!(
            net("10.0.0.0", 8),
            Ok(Network::Net("10.0.0.0".parse().unwrap(), 8))
        );
        assert_eq!(net("10.0.0.0", 33), Err(Status::BadSubnet));
        assert_eq!(net("10.0.0.0", -1), Err(Status::BadSubnet));
        assert!(net("::", 128).is_ok() && net("::", 129).is_err() && net("ID#1", 0).is_err());
        assert_eq!(
            Subnet {
                address: Address::Unspecified,
                bits: 0
            }
            .network(),
            Ok(Network::All)
        );
        assert!(
            Subnet {
                address: Address::Unspecified,
                bits: 1
            }
            .network()
            .is_err()
        );
    }
}
