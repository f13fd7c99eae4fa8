//! Socket addresses as the kernel's bytes and back, without unsafe code.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address of a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// IPv4 or IPv6.
    Ip(SocketAddr),
    /// Path of a Unix socket without the terminating NUL; an abstract one starts with NUL.
    Unix(Vec<u8>),
}

/// Room for any address, aligned as the kernel's structures are.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Name(pub [u8; Self::SIZE]);

impl Name {
    /// Size of `sockaddr_storage`.
    pub const SIZE: usize = 128;

    /// All zero.
    pub const EMPTY: Self = Self([0; Self::SIZE]);
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// From a `sockaddr` of any family; `None` if it is of another family, too short or without a name.
pub fn decode(bytes: &[u8]) -> Option<Address> {
    match i32::from(u16::from_ne_bytes(array(bytes, 0)?)) {
        libc::AF_INET => {
            let (port, ip) = (
                u16::from_be_bytes(array(bytes, 2)?),
                Ipv4Addr::from(array::<4>(bytes, 4)?),
            );
            Some(Address::Ip(SocketAddr::V4(SocketAddrV4::new(ip, port))))
        }
        libc::AF_INET6 => {
            let (port, ip) = (
                u16::from_be_bytes(array(bytes, 2)?),
                Ipv6Addr::from(array::<16>(bytes, 8)?),
            );
            let scope = u32::from_ne_bytes(array(bytes, 24)?);
            Some(Address::Ip(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))))
        }
        libc::AF_UNIX => {
            let path = bytes.get(2..)?;
            let length = match path.first()? {
                0 => path.len(),
                _ => path.iter().position(|&byte| byte == 0).unwrap_or(path.len()),
            };
            Some(Address::Unix(path.get(..length)?.to_vec()))
        }
        _ => None,
    }
}

/// To a `sockaddr` and its length; `None` if a path is too long for one.
pub fn encode(address: &Address) -> Option<(Name, usize)> {
    let mut bytes = Vec::with_capacity(Name::SIZE);
    let mut family = |family: i32| bytes.extend_from_slice(&(family as u16).to_ne_bytes());
    match address {
        Address::Ip(SocketAddr::V4(v4)) => {
            family(libc::AF_INET);
            bytes.extend_from_slice(&v4.port().to_be_bytes());
            bytes.extend_from_slice(&v4.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        Address::Ip(SocketAddr::V6(v6)) => {
            family(libc::AF_INET6);
            bytes.extend_from_slice(&v6.port().to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&v6.ip().octets());
            bytes.extend_from_slice(&v6.scope_id().to_ne_bytes());
        }
        Address::Unix(path) => {
            // `sun_path` has 108 bytes, one of them for the NUL.
            if path.is_empty() || path.len() > 107 {
                return None;
            }
            family(libc::AF_UNIX);
            bytes.extend_from_slice(path);
            if path.first() != Some(&0) {
                bytes.push(0);
            }
        }
    }
    let mut name = Name::EMPTY;
    name.0.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    Some((name, bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["192.0.2.7:123", "[2001:db8::1]:323", "[fe80::1%3]:123"] {
            let address = Address::Ip(text.parse().unwrap());
            let (name, length) = encode(&address).unwrap();
            assert_eq!(decode(&name.0[..length]), Some(address));
        }
        for path in [&b"/run/chrony/chronyc.1.sock"[..], b"\0abstract"] {
            let address = Address::Unix(path.to_vec());
            let (name, length) = encode(&address).unwrap();
            assert_eq!(decode(&name.0[..length]), Some(address));
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[1]), None);
        assert_eq!(
            decode(&(libc::AF_UNIX as u16).to_ne_bytes()),
            None,
            "an unnamed Unix socket"
        );
        assert_eq!(decode(&(libc::AF_INET as u16).to_ne_bytes()), None);
        assert_eq!(decode(&[0xff; 40]), None);
        assert!(encode(&Address::Unix(vec![b'a'; 108])).is_none());
        assert!(encode(&Address::Unix(Vec::new())).is_none());
    }
}
