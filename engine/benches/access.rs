//! What a look into the access list takes, with few rules and with many.
//!
//! `cargo bench -p truechimer-engine --bench access`. Addresses are those of the rules and of their neighbours, chosen
//! at random from many, so that nothing of a large list is in the processor's caches by chance.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use truechimer_engine::config::{AccessRule, Subnet};
use truechimer_engine::random::{Random, Seeded};
use truechimer_engine::server::AccessList;

const ADDRESSES: usize = 1 << 18;
const ROUNDS: usize = 5;
/// Numbers of rules.
const FEW: usize = 10;
const MANY: usize = 100_000;

/// Which rules there are.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    v6: bool,
    /// Shortest and longest prefix.
    bits: [u32; 2],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "IPv4 subnets (/12 to /24)",
        v6: false,
        bits: [12, 24],
    },
    Kind {
        name: "IPv4 hosts",
        v6: false,
        bits: [32, 32],
    },
    Kind {
        name: "IPv6 subnets (/32 to /64)",
        v6: true,
        bits: [32, 64],
    },
    Kind {
        name: "IPv6 hosts",
        v6: true,
        bits: [128, 128],
    },
];

impl Kind {
    fn address(self, random: &mut Seeded) -> IpAddr {
        if self.v6 {
            let bits = u128::from(random.bits64()) << 64 | u128::from(random.bits64());
            // What is in use.
            Ipv6Addr::from(bits >> 3 | 1 << 125).into()
        } else {
            Ipv4Addr::from(random.bits32()).into()
        }
    }

    fn rules(self, count: usize, random: &mut Seeded) -> Vec<AccessRule> {
        let [shortest, longest] = self.bits;
        let mut rule = |_| AccessRule {
            allow: random.bits32() & 1 == 1,
            all: false,
            subnet: Subnet::Net(
                self.address(random),
                shortest + random.bits32() % (longest - shortest + 1),
            ),
        };
        (0..count).map(&mut rule).collect()
    }
}

/// An address with other bits after the first `keep` ones.
fn neighbour(address: IpAddr, keep: u32, random: &mut Seeded) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let other = random.bits32().checked_shr(keep).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) ^ other).into()
        }
        IpAddr::V6(v6) => {
            let other = u128::from(random.bits64()) << 64 | u128::from(random.bits64());
            Ipv6Addr::from(u128::from(v6) ^ other.checked_shr(keep).unwrap_or(0)).into()
        }
    }
}

/// Processor time of this thread so far, ns: other programs do not count.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("statistics of the scheduler");
    let first = text.split_whitespace().next();
    first.and_then(|time| time.parse().ok()).expect("a number")
}

/// Median time of a look, ns.
fn measure(list: &AccessList, addresses: &[IpAddr]) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = processor_time();
            for &address in addresses {
                black_box(list.allows(black_box(address)));
            }
            (processor_time() - start) / addresses.len() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn main() {
    for &kind in KINDS {
        let mut random = Seeded::new(1);
        let [few, many] = [FEW, MANY].map(|count| {
            let rules = kind.rules(count, &mut random);
            let list = AccessList::new(&rules).expect("good rules");
            let addresses: Vec<IpAddr> = (0..ADDRESSES)
                .map(|i| match rules[random.bits32() as usize % count].subnet {
                    Subnet::Net(address, bits) if i % 2 == 0 => neighbour(address, bits, &mut random),
                    _ => kind.address(&mut random),
                })
                .collect();
            measure(&list, &addresses)
        });
        println!(
            "{:26} {FEW} rules {few:6.1} ns, {MANY} rules {many:6.1} ns: {:.1} times",
            kind.name,
            many / few
        );
    }
}
