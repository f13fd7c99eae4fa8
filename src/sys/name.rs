//! Names to addresses, by the C library (hosts file, DNS, whatever `nsswitch.conf` says).

use super::address;
use std::ffi::CString;
use std::net::IpAddr;
use truechimer_engine::config::AddressFamily;
use truechimer_engine::io::ResolveError;

/// Most addresses taken from one answer (`spec/ntp.md` 2.16).
const MAX_ADDRESSES: usize = 16;

/// Looks `name` up and waits for the answer. Addresses are in the resolver's order, each once; those with a
/// scope are left out.
///
/// # Errors
/// Every failure of the resolver counts as temporary, as in chrony's default build; an answer without a usable
/// address is [`ResolveError::NoAddress`].
pub fn resolve(name: &str, family: AddressFamily) -> Result<Vec<IpAddr>, ResolveError> {
    let name = CString::new(name).map_err(|_| ResolveError::NoAddress)?;
    // SAFETY: `addrinfo` consists of integers and pointers, for which zero bytes are valid.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = match family {
        AddressFamily::Any => libc::AF_UNSPEC,
        AddressFamily::V4 => libc::AF_INET,
        AddressFamily::V6 => libc::AF_INET6,
    };
    hints.ai_socktype = libc::SOCK_DGRAM;
    let mut list: *mut libc::addrinfo = std::ptr::null_mut();
    // SAFETY: the name is NUL-terminated, hints and the result's place are valid for the call.
    let status =
        unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &raw const hints, &raw mut list) };
    if status != 0 {
        return Err(ResolveError::Temporary);
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: non-null entries of the list are valid until `freeaddrinfo`.
        let entry = unsafe { &*next };
        let length = entry.ai_addrlen as usize;
        if !entry.ai_addr.is_null() && length <= address::Name::SIZE {
            // SAFETY: the library says that `ai_addr` points to `ai_addrlen` bytes.
            let bytes = unsafe { std::slice::from_raw_parts(entry.ai_addr.cast::<u8>(), length) };
            match address::decode(bytes) {
                Some(address::Address::Ip(std::net::SocketAddr::V6(v6))) if v6.scope_id() != 0 => {}
                Some(address::Address::Ip(address))
                    if !found.contains(&address.ip()) && found.len() < MAX_ADDRESSES =>
                {
                    found.push(address.ip());
                }
                _ => {}
            }
        }
        next = entry.ai_next;
    }
    // SAFETY: the list comes from `getaddrinfo` and is not used any more.
    unsafe { libc::freeaddrinfo(list) };
    if found.is_empty() {
        Err(ResolveError::NoAddress)
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn literals_and_local_names_resolve() {
        assert_eq!(
            resolve("192.0.2.1", AddressFamily::Any),
            Ok(vec![IpAddr::from([192, 0, 2, 1])])
        );
        assert_eq!(
            resolve("localhost", AddressFamily::V4),
            Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
        );
    }

    #[test]
    fn nonsense_does_not() {
        assert_eq!(resolve("a\0b", AddressFamily::Any), Err(ResolveError::NoAddress));
        assert_eq!(resolve("::1", AddressFamily::V4), Err(ResolveError::Temporary));
    }
}
