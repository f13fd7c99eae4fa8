//! Which worker a client belongs to.

use std::net::IpAddr;

/// Odd, about 2^32 divided by the golden ratio: neighbours come to lie far apart.
pub const STEER_FACTOR: u32 = 0x9e37_79b9;

/// The worker, of `count`, that all plain requests from this address go to.
///
/// A socket filter on the source address can compute it, as it takes 32-bit arithmetic only: `x` is the IPv4 address
/// as a number, or the exclusive or of the four words of an IPv6 address (network order); then
///
/// ```text
/// x = (x ^ (x >> 16)) * STEER_FACTOR    modulo 2^32
/// x = (x ^ (x >> 15)) * STEER_FACTOR    modulo 2^32
/// (x >> 16) % count
/// ```
///
/// The shifts let high bits of the address reach the low ones of the result, so that networks whose hosts differ in a
/// few bits only are spread as well.
#[must_use]
pub fn steer(address: IpAddr, count: usize) -> usize {
    let mut x = match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let all = u128::from(address);
            (all >> 96) as u32 ^ (all >> 64) as u32 ^ (all >> 32) as u32 ^ all as u32
        }
    };
    x = (x ^ x >> 16).wrapping_mul(STEER_FACTOR);
    x = (x ^ x >> 15).wrapping_mul(STEER_FACTOR);
    (x >> 16) as usize % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const CLIENTS: u32 = 8192;

    fn check(name: &str, client: impl Fn(u32) -> IpAddr) {
        for count in [1, 2, 3, 4, 5, 7, 8, 16, 64] {
            let mut loads = vec![0_u32; count];
            (0..CLIENTS).for_each(|i| loads[steer(client(i), count)] += 1);
            let fair = f64::from(CLIENTS) / count as f64;
            // Six standard deviations of a random choice.
            let off = 6.0 * libm::sqrt(fair);
            let uneven = loads.iter().any(|&load| (f64::from(load) - fair).abs() > off);
            assert!(!uneven, "{name} on {count}: {loads:?}");
        }
    }

    #[test]
    fn clients_are_spread_evenly() {
        // Numbers from a counter at every place that a network may have its hosts' bits at.
        for shift in 0..=19 {
            check(&format!("IPv4 << {shift}"), |i| {
                Ipv4Addr::from((i << shift) ^ 0x0a00_0001).into()
            });
        }
        for shift in (0..=112).step_by(3) {
            check(&format!("IPv6 << {shift}"), |i| {
                Ipv6Addr::from(u128::from(i) << shift ^ 0x2001_0db8 << 96).into()
            });
        }
        let scattered = |i: u32| u128::from(i).wrapping_mul(0xf39c_c060_5ced_c834_1082_276b_f3a2_7251);
        check("scattered", |i| Ipv6Addr::from(scattered(i)).into());
    }

    #[test]
    fn equal_in_every_build_and_in_a_socket_filter() {
        let v6 = |text: &str| IpAddr::V6(text.parse().unwrap());
        let clients = [
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([192, 0, 2, 77]),
            IpAddr::from([255; 4]),
            v6("::1"),
            v6("2001:db8::1:2"),
            // Its words: what the IPv4 address has, and zeros.
            v6("::192.0.2.77"),
        ];
        let places = |count| clients.map(|client| steer(client, count));
        assert_eq!(places(1), [0; 6]);
        assert_eq!(places(0), [0; 6]);
        assert_eq!(places(3), [2, 2, 1, 1, 1, 2]);
        assert_eq!(places(65_536), [15_209, 12_212, 31_504, 44_908, 53_041, 12_212]);
    }
}
