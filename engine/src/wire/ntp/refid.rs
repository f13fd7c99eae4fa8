//! Reference IDs (`spec/ntp.md` section 1.6).

use md5::{Digest, Md5};
use std::net::IpAddr;

/// Local reference, 127.127.1.1.
pub const LOCAL: u32 = 0x7f7f_0101;
/// Time smoothing is active, 127.127.1.255.
pub const SMOOTHED: u32 = 0x7f7f_01ff;
/// Unsynchronised.
pub const NONE: u32 = 0;
/// Kiss-o'-death `RATE`.
pub const RATE: u32 = u32::from_be_bytes(*b"RATE");
/// Kiss-o'-death `NTSN` (NTS NAK).
pub const NTSN: u32 = u32::from_be_bytes(*b"NTSN");

/// Reference ID of a source by its address: an IPv4 address itself, the start of the MD5 of an IPv6 address.
#[must_use]
pub fn of_address(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..]: [u8; 16] = Md5::digest(address.octets()).into();
            u32::from_be_bytes([a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_both_families() {
        assert_eq!(of_address(IpAddr::from([192, 0, 2, 1])), 0xc000_0201);
        // From md5sum of the sixteen octets of ::1.
        assert_eq!(of_address(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])), 0xcf40_4dc8);
        assert_eq!(RATE, 0x5241_5445);
    }
}
