//! Which worker a client belongs to.

use crate::random::Random;
use std::net::IpAddr;

/// How clients are spread over workers, by their addresses: a hash with a key, so that nobody who does not know that can
/// choose many addresses that all belong to the same worker.
///
/// A socket filter can compute it, as it takes 32-bit arithmetic only: from the words of an address (network order;
/// one for IPv4, four for IPv6), modulo 2^32,
///
/// ```text
/// x = offset + words[0] * factors[0] + words[1] * factors[1] + ...
/// x = (x ^ (x >> 16)) * rounds[0]
/// x = (x ^ (x >> 15)) * rounds[1]
/// (x >> 16) % count
/// ```
///
/// All factors are odd, so that no bit of an address is lost. A product moves differences to higher bits only, and how
/// depends on the factor; the shifts bring them down again, so that addresses which differ in a few bits, whichever,
/// are spread as well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Steering {
    /// How many workers there are; never 0.
    count: u32,
    /// Added.
    pub offset: u32,
    /// One for each word of an IPv6 address; the first for IPv4.
    pub factors: [u32; 4],
    /// Factors of both rounds.
    pub rounds: [u32; 2],
}

impl Steering {
    /// Over `count` workers, at least one, with a key of its own.
    #[must_use]
    pub fn new(count: usize, random: &mut dyn Random) -> Self {
        let mut odd = || random.bits32() | 1;
        let (factors, rounds) = (std::array::from_fn(|_| odd()), std::array::from_fn(|_| odd()));
        Self {
            count: u32::try_from(count).unwrap_or(u32::MAX).max(1),
            offset: random.bits32(),
            factors,
            rounds,
        }
    }

    /// How many workers there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// The worker that all plain requests from this address go to.
    #[must_use]
    pub fn worker(&self, address: IpAddr) -> usize {
        let sum = match address {
            IpAddr::V4(address) => u32::from(address).wrapping_mul(self.factors[0]),
            IpAddr::V6(address) => {
                let all = u128::from(address);
                let words = [all >> 96, all >> 64, all >> 32, all].map(|word| word as u32);
                let products = words
                    .iter()
                    .zip(self.factors)
                    .map(|(word, factor)| word.wrapping_mul(factor));
                products.fold(0, u32::wrapping_add)
            }
        };
        let mut x = sum.wrapping_add(self.offset);
        x = (x ^ x >> 16).wrapping_mul(self.rounds[0]);
        x = (x ^ x >> 15).wrapping_mul(self.rounds[1]);
        ((x >> 16) % self.count) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const CLIENTS: u32 = 8192;
    const COUNTS: [usize; 9] = [1, 2, 3, 4, 5, 7, 8, 16, 64];
    const KEYS: u64 = 20;
    /// Its key is one that an attacker could know.
    const KNOWN: u64 = 4711;

    fn steering(count: usize, seed: u64) -> Steering {
        Steering::new(count, &mut Seeded::new(seed))
    }

    /// With every key they are spread as evenly as by a random choice.
    fn check(name: &str, clients: impl Iterator<Item = IpAddr>) {
        let clients: Vec<IpAddr> = clients.take(CLIENTS as usize).collect();
        assert_eq!(clients.len(), CLIENTS as usize);
        for (count, seed) in COUNTS
            .iter()
            .flat_map(|count| (0..KEYS).map(move |seed| (*count, seed)))
        {
            let steering = steering(count, seed);
            let mut loads = vec![0_u32; count];
            clients
                .iter()
                .for_each(|client| loads[steering.worker(*client)] += 1);
            let fair = f64::from(CLIENTS) / count as f64;
            // Six standard deviations of a random choice.
            let off = 6.0 * libm::sqrt(fair);
            let uneven = loads.iter().any(|&load| (f64::from(load) - fair).abs() > off);
            assert!(!uneven, "{name} on {count}, key {seed}: {loads:?}");
        }
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    /// In the network 2001:db8::/32.
    fn v6(number: u128) -> IpAddr {
        Ipv6Addr::from(number ^ 0x2001_0db8 << 96).into()
    }

    #[test]
    fn clients_are_spread_evenly() {
        // Numbers from a counter at every place that a network may have its hosts' bits at; those far to the left are
        // networks that differ in their first bits only, or a client from each /64.
        for shift in 0..=19 {
            check(
                &format!("IPv4 << {shift}"),
                (0..).map(|i| v4(i << shift ^ 0x0a00_0001)),
            );
        }
        for shift in (0..=112).step_by(4) {
            check(&format!("IPv6 << {shift}"), (0..).map(|i| v6(i << shift)));
        }
        let random = &mut Seeded::new(1);
        check("random IPv4", std::iter::repeat_with(|| v4(random.bits32())));
        let random = &mut Seeded::new(2);
        let bits = || u128::from(random.bits64()) << 64 | u128::from(random.bits64());
        check("random IPv6", std::iter::repeat_with(bits).map(v6));
        // The exclusive or, or the sum, of their words is the same.
        check("equal words", (0..).map(|i| v6(i << 64 | i << 32)));
        check(
            "equal sums",
            (0..).map(|i| v6(i << 64 | u128::from((i as u32).wrapping_neg()))),
        );
    }

    #[test]
    fn who_does_not_know_the_key_aims_at_nobody() {
        for count in [2, 8] {
            let known = steering(count, KNOWN);
            let hits = |client: &IpAddr| known.worker(*client) == 1;
            check("aimed IPv4", (0..).map(v4).filter(hits));
            check("aimed IPv6", (0..).map(v6).filter(hits));
        }
    }

    #[test]
    fn a_key_is_for_all_clients_and_for_one_start() {
        let random = &mut Seeded::new(3);
        let [one, other] = [0; 2].map(|_| Steering::new(7, random));
        let place = |steering: &Steering, i| steering.worker(v4(i));
        let moved = (0..1000).filter(|&i| place(&one, i) != place(&other, i)).count();
        assert!((700..1000).contains(&moved), "{moved}");
        let all = one.factors.iter().chain(&one.rounds);
        assert!(all.clone().all(|factor| factor % 2 == 1));
        let known = Steering {
            count: 65_536,
            offset: 5,
            factors: [3, 5, 7, 9],
            rounds: [0x9e37_79b9, 0x85eb_ca6b],
        };
        // By hand: 3 * 0xc0000201 + 5 = 0x40000608, and the rounds.
        let by_hand = {
            let x = 0x4000_0608_u32;
            let x = (x ^ 0x4000).wrapping_mul(0x9e37_79b9);
            (x ^ x >> 15).wrapping_mul(0x85eb_ca6b) >> 16
        };
        assert_eq!(known.worker([192, 0, 2, 1].into()), by_hand as usize);
        // 1 * 3 + 2 * 5 + 3 * 7 + 4 * 9 + 5 is 75, as 3 * x + 5 is modulo 2^32 for one x.
        let x = 70_u32.wrapping_mul(0xaaaa_aaab);
        assert_eq!(
            known.worker(Ipv6Addr::from(1 << 96 | 2 << 64 | 3 << 32 | 4).into()),
            known.worker(v4(x))
        );
        assert_eq!(Steering::new(0, random).count(), 1);
    }
}
