//! What a look into the access list takes, with few rules and with many; and what the list itself takes.
//!
//! `cargo bench -p truechimer-engine --bench access`. Addresses are those of the rules and of their neighbours, chosen
//! at random from many, so that nothing of a large list is in the processor's caches by chance.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use truechimer_engine::config::{AccessRule, Subnet};
use truechimer_engine::random::{Random, Seeded};
use truechimer_engine::server::{AccessList, Verdicts};

const ADDRESSES: usize = 1 << 18;
const ROUNDS: usize = 7;
/// How often all addresses are looked for in a round.
const PASSES: usize = 8;
/// Numbers of rules.
const FEW: usize = 10;
const MANY: usize = 100_000;
/// Rules added to a list that is there; too few of them to be sorted into it.
const ADDED: usize = 100;

/// Which rules there are.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    v6: bool,
    /// Shortest and longest prefix.
    bits: [u32; 2],
    /// All are in this many networks with prefixes this long.
    networks: Option<(u32, u32)>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "IPv4 subnets (/12 to /24)",
        v6: false,
        bits: [12, 24],
        networks: None,
    },
    Kind {
        name: "IPv4 hosts",
        v6: false,
        bits: [32, 32],
        networks: None,
    },
    Kind {
        name: "IPv4 hosts in 20 /16",
        v6: false,
        bits: [32, 32],
        networks: Some((20, 16)),
    },
    Kind {
        name: "IPv6 subnets (/32 to /64)",
        v6: true,
        bits: [32, 64],
        networks: None,
    },
    Kind {
        name: "IPv6 hosts",
        v6: true,
        bits: [128, 128],
        networks: None,
    },
    Kind {
        name: "IPv6 /64s in 5 /32",
        v6: true,
        bits: [64, 64],
        networks: Some((5, 32)),
    },
    Kind {
        name: "IPv6 hosts in 20 /64",
        v6: true,
        bits: [128, 128],
        networks: Some((20, 64)),
    },
];

impl Kind {
    fn address(self, random: &mut Seeded) -> IpAddr {
        let address = self.anywhere(random);
        let Some((count, bits)) = self.networks else {
            return address;
        };
        let number = u64::from(random.bits32() % count);
        let network = self.anywhere(&mut Seeded::new(number));
        match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(host)) => {
                let mask = u32::MAX << (32 - bits);
                Ipv4Addr::from(u32::from(network) & mask | u32::from(host) & !mask).into()
            }
            (IpAddr::V6(network), IpAddr::V6(host)) => {
                let mask = u128::MAX << (128 - bits);
                Ipv6Addr::from(u128::from(network) & mask | u128::from(host) & !mask).into()
            }
            _ => unreachable!("one family"),
        }
    }

    fn anywhere(self, random: &mut Seeded) -> IpAddr {
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

    /// Half of them in or beside the rules' subnets.
    fn addresses(self, rules: &[AccessRule], random: &mut Seeded) -> Vec<IpAddr> {
        (0..ADDRESSES)
            .map(|i| match rules[random.bits32() as usize % rules.len()].subnet {
                Subnet::Net(address, bits) if i % 2 == 0 => neighbour(address, bits, random),
                _ => self.address(random),
            })
            .collect()
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
    // Else the kernel counts at its ticks only.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("statistics of the scheduler");
    let first = text.split_whitespace().next();
    first.and_then(|time| time.parse().ok()).expect("a number")
}

/// Result, and how long it took, ns.
fn timed<T>(f: impl FnOnce() -> T) -> (T, f64) {
    let start = processor_time();
    let result = f();
    (result, processor_time() - start)
}

/// Median time of a look, ns, for each list: in turn, so that what disturbs disturbs all.
fn looks<const N: usize>(lists: [(&Verdicts, &[IpAddr]); N], pass: fn(&Verdicts, &[IpAddr])) -> [f64; N] {
    let mut times = [[0.0; ROUNDS]; N];
    for round in 0..ROUNDS {
        for (times, (verdicts, addresses)) in times.iter_mut().zip(lists) {
            let ((), time) = timed(|| (0..PASSES).for_each(|_| pass(verdicts, addresses)));
            times[round] = time / (PASSES * addresses.len()) as f64;
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    })
}

/// Looks as fast as they can follow each other.
fn many_at_a_time(verdicts: &Verdicts, addresses: &[IpAddr]) {
    for address in addresses {
        black_box(verdicts.allows(*black_box(address)));
    }
}

/// Looks that wait for each other.
fn one_at_a_time(verdicts: &Verdicts, addresses: &[IpAddr]) {
    let mut last = 0;
    for i in 0..addresses.len() {
        // The next address is not known before the verdict.
        last = usize::from(verdicts.allows(*black_box(&addresses[i ^ last])));
    }
    black_box(last);
}

/// Resident memory of this process, KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).expect("a number")
}

/// What making the list takes: memory (KiB), and time of each rule (ns) at once and one after another.
fn cost(kind: Kind) {
    let rules = kind.rules(MANY, &mut Seeded::new(1));
    let before = memory();
    let (list, at_once) = timed(|| AccessList::new(&rules).expect("good rules"));
    let memory = memory() - before;
    drop(list);
    let (_, one_by_one) = timed(|| {
        let mut list = AccessList::default();
        let mut published = Arc::clone(list.verdicts());
        for rule in &rules {
            list.apply(rule).expect("a good rule");
            // Workers read what was published before until then.
            published = Arc::clone(list.verdicts());
        }
        published
    });
    let each = |time: f64| time / MANY as f64;
    println!(
        "{:26} {MANY} rules: {memory} KiB; {:.0} ns a rule at once, {:.0} ns one after another",
        kind.name,
        each(at_once),
        each(one_by_one)
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, number] = &arguments[..]
        && word == "cost"
    {
        return cost(KINDS[number.parse::<usize>().expect("a number")]);
    }
    for &kind in KINDS {
        let mut random = Seeded::new(1);
        let [(few, few_addresses), (many, addresses)] = [FEW, MANY].map(|count| {
            let rules = kind.rules(count, &mut random);
            let list = AccessList::new(&rules).expect("good rules");
            (list, kind.addresses(&rules, &mut random))
        });
        let mut more = many.clone();
        for rule in kind.rules(ADDED, &mut random) {
            more.apply(&rule).expect("a good rule");
        }
        let lists = [
            (&**few.verdicts(), &few_addresses[..]),
            (&**many.verdicts(), &addresses[..]),
            (&**more.verdicts(), &addresses[..]),
        ];
        println!("{}:", kind.name);
        for (name, pass) in [
            ("many at a time", many_at_a_time as fn(&Verdicts, &[IpAddr])),
            ("one at a time", one_at_a_time),
        ] {
            let [few, many, more] = looks(lists, pass);
            println!(
                "  {name:15} {FEW} rules {few:5.1} ns, {MANY} rules {many:5.1} ns: {:.2} times; {more:5.1} ns with {ADDED} added",
                many / few
            );
        }
    }
    // Each with a memory of its own.
    let own = std::env::current_exe().expect("this program");
    for kind in 0..KINDS.len() {
        let mut child = Command::new(&own);
        child.args(["cost".to_owned(), kind.to_string()]);
        assert!(child.status().expect("a child").success());
    }
}
