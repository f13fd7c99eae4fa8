//! Arguments that several commands have (`spec/chronyc.md` section 2).

use super::Fault;
use super::scan;
use crate::names::Names;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use truechimer_engine::wire::command::{Address, SourceMatch, SourceRef, Subnet};

const NO_ADDRESS: Fault = Fault::Message("Could not get address for hostname");

/// `ID#` and a number.
fn id(word: &str) -> Option<Address> {
    scan::unsigned(word.strip_prefix("ID#")?).map(Address::Id)
}

/// `ID#`, an address, or a host name; `-4` and `-6` hold for addresses, too.
pub(crate) fn source(word: &str, names: &Names) -> Option<Address> {
    id(word).or_else(|| names.address(word).map(Address::Ip))
}

/// A source of one of the commands that take its address.
pub(crate) fn address(word: &str, names: &Names) -> Result<Address, Fault> {
    source(word, names).ok_or(NO_ADDRESS)
}

/// An address, or the reference ID of a reference clock.
pub(crate) fn source_or_ref_id(word: &str) -> Option<SourceRef> {
    let ip = || word.parse().ok().map(Address::Ip);
    if let Some(address) = id(word).or_else(ip) {
        return Some(SourceRef::Address(address));
    }
    let mut bytes = [0; 4];
    let have = bytes.get_mut(..word.len())?;
    have.copy_from_slice(word.as_bytes());
    (!word.is_empty()).then_some(SourceRef::RefId(u32::from_be_bytes(bytes)))
}

/// The mask of a prefix; too many bits are all.
fn mask(ip: IpAddr, bits: u32) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::from_bits(!u32::MAX.checked_shr(bits).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(!u128::MAX.checked_shr(bits).unwrap_or(0)).into(),
    }
}

/// `[mask/]address`, `address/bits`, or nothing for all sources.
pub(crate) fn sources(words: &[&str], names: &Names) -> Result<SourceMatch, Fault> {
    if words.is_empty() {
        return Ok(SourceMatch::ALL);
    }
    // The rest of the line, whatever is in it, is the argument.
    let word = words.join(" ");
    let word = word.as_str();
    let Some((left, right)) = word.split_once('/') else {
        let address = address(word, names)?;
        let mask = address
            .ip()
            .map_or(Address::Unspecified, |ip| Address::Ip(mask(ip, 128)));
        return Ok(SourceMatch { mask, address });
    };
    let bad = Fault::Message("Invalid syntax for mask/address");
    let left: IpAddr = left.parse().map_err(|_| bad)?;
    if let Ok(address) = right.parse::<IpAddr>()
        && address.is_ipv4() == left.is_ipv4()
    {
        return Ok(SourceMatch {
            mask: left.into(),
            address: address.into(),
        });
    }
    let bits = scan::unsigned(right).ok_or(bad)?;
    Ok(SourceMatch {
        mask: mask(left, bits).into(),
        address: left.into(),
    })
}

/// One to three numbers of an IPv4 address, with the bits that they stand for.
fn short_ipv4(text: &str) -> Option<(IpAddr, i32)> {
    let mut octets = [0; 4];
    let mut count = 0;
    for part in text.split('.') {
        let octet = octets.get_mut(..3)?.get_mut(count)?;
        if !part.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
        count += 1;
    }
    Some((IpAddr::from(octets), 8 * count as i32))
}

/// `[all] [subnet]` of the access lists: whether `all` was there, and the subnet.
pub(crate) fn subnet(words: &[&str], names: &Names) -> Result<(bool, Subnet), Fault> {
    let (all, words) = match words {
        ["all", rest @ ..] => (true, rest),
        _ => (false, words),
    };
    let subnet = match words {
        [] => Some(Subnet {
            address: Address::Unspecified,
            bits: 0,
        }),
        [word] => one_subnet(word, names),
        _ => None,
    };
    subnet
        .map(|subnet| (all, subnet))
        .ok_or(Fault::Message("Could not read address"))
}

fn one_subnet(word: &str, names: &Names) -> Option<Subnet> {
    let (net, bits) = match word.split_once('/') {
        Some((net, bits)) if bits.trim_start_matches('+').bytes().all(|c| c.is_ascii_digit()) => {
            (net, Some(scan::int(bits)?))
        }
        Some(_) => return None,
        None => (word, None),
    };
    let (ip, full) = match net.parse() {
        Ok(ip @ IpAddr::V4(_)) => (ip, 32),
        Ok(ip @ IpAddr::V6(_)) => (ip, 128),
        Err(_) => match short_ipv4(net) {
            Some(short) => short,
            // The resolver takes numbers for addresses, too.
            None if bits.is_none() && net.contains(|c: char| !c.is_ascii_digit() && c != '.') => {
                let ip = names.address(net)?;
                (ip, if ip.is_ipv4() { 32 } else { 128 })
            }
            None => return None,
        },
    };
    Some(Subnet {
        address: ip.into(),
        bits: bits.unwrap_or(full),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn matching(text: &str) -> Result<(String, String), Fault> {
        sources(&[text], &Names::default()).map(|m| (m.mask.to_string(), m.address.to_string()))
    }

    #[test]
    fn masks() {
        let is = |text, mask: &str, address: &str| {
            assert_eq!(
                matching(text).unwrap(),
                (mask.to_owned(), address.to_owned()),
                "{text}"
            );
        };
        assert_eq!(sources(&[], &Names::default()).unwrap(), SourceMatch::ALL);
        is("127.0.0.0/24", "255.255.255.0", "127.0.0.0");
        is("255.0.0.0/127.0.0.1", "255.0.0.0", "127.0.0.1");
        is("1.2.3.4/5.6.7", "248.0.0.0", "1.2.3.4");
        is("1.2.3.4/99", "255.255.255.255", "1.2.3.4");
        is("::/0", "::", "::");
        is("1.2.3.4", "255.255.255.255", "1.2.3.4");
        is("ID#7", "[UNSPEC]", "ID#0000000007");
        assert!(matching("1.2.3.4/x").is_err());
        assert!(matching("a/b").is_err());
    }

    #[test]
    fn subnets() {
        let is = |text: &str, address: &str, bits| {
            let words: Vec<&str> = text.split(' ').collect();
            let (_, subnet) = subnet(&words, &Names::default()).unwrap();
            assert_eq!(
                subnet,
                Subnet {
                    address: ip(address),
                    bits
                },
                "{text}"
            );
        };
        is("10", "10.0.0.0", 8);
        is("192.168", "192.168.0.0", 16);
        is("1.2.3/20", "1.2.3.0", 20);
        is("1.2.3.4", "1.2.3.4", 32);
        is("all 10.0.0.0/8", "10.0.0.0", 8);
        is("2001:db8::/32", "2001:db8::", 32);
        is("1.2.3.4/99", "1.2.3.4", 99);
        assert!(subnet(&["all", "1.2.3.4", "x"], &Names::default()).is_err());
        assert!(subnet(&["1.2.3.4/x"], &Names::default()).is_err());
    }

    #[test]
    fn reference_ids() {
        assert_eq!(source_or_ref_id("PPS"), Some(SourceRef::RefId(0x5050_5300)));
        assert_eq!(
            source_or_ref_id("1.2.3.4"),
            Some(SourceRef::Address(ip("1.2.3.4")))
        );
        assert_eq!(source_or_ref_id("ID#3"), Some(SourceRef::Address(Address::Id(3))));
        assert_eq!(source_or_ref_id("GPS00"), None);
    }
}
