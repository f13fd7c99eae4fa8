use super::*;
use crate::random::{Random, Seeded};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{Range, RangeInclusive};

fn rule(allow: bool, all: bool, address: [u8; 4], bits: u32) -> AccessRule {
    AccessRule {
        allow,
        all,
        subnet: Subnet::Net(IpAddr::from(address), bits),
    }
}

const ANY: AccessRule = AccessRule {
    allow: true,
    all: false,
    subnet: Subnet::Any,
};

fn allows(list: &AccessList, address: impl Into<IpAddr>) -> bool {
    list.verdicts().allows(address.into())
}

/// Whether somebody may ask, in each family.
fn families(list: &AccessList) -> [bool; 2] {
    [list.verdicts().any_v4(), list.verdicts().any_v6()]
}

#[test]
fn within_four_bits_the_last_rule_wins() {
    let (wide, narrow) = (
        rule(false, false, [10, 0, 0, 0], 9),
        rule(true, false, [10, 0, 0, 0], 10),
    );
    let inside = [10, 1, 2, 3];
    assert!(!allows(&AccessList::new(&[narrow, wide]).unwrap(), inside));
    assert!(allows(&AccessList::new(&[wide, narrow]).unwrap(), inside));
}

#[test]
fn the_most_specific_rule_wins_in_any_order() {
    let (net, host) = (
        rule(true, false, [10, 0, 0, 0], 8),
        rule(false, false, [10, 1, 2, 3], 32),
    );
    for rules in [[net, host], [host, net]] {
        let list = AccessList::new(&rules).unwrap();
        assert!(allows(&list, [10, 1, 2, 2]) && !allows(&list, [10, 1, 2, 3]));
        assert!(!allows(&list, [11, 1, 2, 2]));
    }
}

#[test]
fn all_removes_what_is_inside() {
    let mut list = AccessList::new(&[rule(false, false, [10, 1, 2, 3], 32)]).unwrap();
    list.apply(&rule(true, false, [10, 0, 0, 0], 8)).unwrap();
    assert!(!allows(&list, [10, 1, 2, 3]));
    list.apply(&rule(true, true, [10, 0, 0, 0], 8)).unwrap();
    assert!(allows(&list, [10, 1, 2, 3]));
    list.apply(&rule(false, false, [10, 0, 0, 0], 8)).unwrap();
    assert!(!allows(&list, [10, 1, 2, 3]));
    // Nothing is inside of a host.
    list.apply(&rule(true, true, [255; 4], 32)).unwrap();
    assert!(allows(&list, [255; 4]) && !allows(&list, [255, 255, 255, 254]));
}

#[test]
fn both_families_and_none() {
    let list = AccessList::new(&[ANY]).unwrap();
    assert!(allows(&list, Ipv4Addr::LOCALHOST) && allows(&list, Ipv6Addr::LOCALHOST));
    assert_eq!(families(&list), [true, true]);
    let list = AccessList::new(&[rule(true, false, [1, 2, 3, 4], 32)]).unwrap();
    assert_eq!(families(&list), [true, false]);
    assert!(!allows(&list, Ipv6Addr::LOCALHOST));
    let mut list = AccessList::new(&[ANY, rule(false, true, [0, 0, 0, 0], 0)]).unwrap();
    assert_eq!(families(&list), [false, true]);
    list.apply(&AccessRule { allow: false, ..ANY }).unwrap();
    assert_eq!(families(&list), [false, false]);
    assert_eq!(families(&AccessList::default()), [false, false]);
}

#[test]
fn allowed_subnets_hidden_by_those_inside_do_not_count() {
    let mut rules = vec![rule(true, false, [0, 0, 0, 0], 0)];
    rules.extend((0..=1).map(|half| rule(false, false, [half << 7, 0, 0, 0], 1)));
    assert_eq!(families(&AccessList::new(&rules).unwrap()), [false, false]);
}

#[test]
fn too_many_bits() {
    let bad = BadSubnet(IpAddr::from([1, 2, 3, 4]), 33);
    let rules = [ANY, rule(true, false, [1, 2, 3, 4], 33)];
    assert_eq!(AccessList::new(&rules).unwrap_err(), bad);
    assert_eq!(bad.to_string(), "Bad subnet in 1.2.3.4/33");
    let mut list = AccessList::default();
    for bits in [129, 256, u32::MAX] {
        let subnet = Subnet::Net(Ipv6Addr::LOCALHOST.into(), bits);
        assert!(list.apply(&AccessRule { subnet, ..ANY }).is_err());
    }
    assert_eq!(families(&list), [false, false]);
}

#[test]
fn a_rule_that_changes_nothing_leaves_what_was_published() {
    let mut list = AccessList::new(&[ANY]).unwrap();
    let before = Arc::clone(list.verdicts());
    list.apply(&rule(true, true, [10, 0, 0, 0], 8)).unwrap();
    assert!(Arc::ptr_eq(&before, list.verdicts()));
    list.apply(&rule(false, false, [10, 1, 0, 0], 16)).unwrap();
    assert!(!allows(&list, [10, 1, 2, 3]) && before.allows(IpAddr::from([10, 1, 2, 3])));
}

#[test]
fn a_hundred_thousand_rules_one_after_another() {
    let host = |i: u32| {
        let bits = u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        IpAddr::V6(Ipv6Addr::from(bits))
    };
    let mut list = AccessList::default();
    let mut most_recent = 0;
    for i in 0..100_000 {
        let subnet = Subnet::Net(host(i), 128);
        list.apply(&AccessRule { subnet, ..ANY }).unwrap();
        assert!(allows(&list, host(i)) && !allows(&list, host(i + 1)));
        most_recent = most_recent.max(list.verdicts.v6.recent.len());
    }
    assert!((0..100_000).all(|i| allows(&list, host(i))) && !allows(&list, host(100_000)));
    assert!((1000..=3200).contains(&most_recent), "{most_recent}");
}

/// The same by a list of prefixes of whole steps and a search through all of it.
#[derive(Clone, Default)]
struct Naive(Vec<(u32, u128, bool)>);

impl Naive {
    fn prefix(address: u128, bits: u32) -> u128 {
        if bits == 0 { 0 } else { address >> (128 - bits) }
    }

    fn apply(&mut self, address: u128, bits: u32, allow: bool, all: bool) {
        let whole = bits.div_ceil(4) * 4;
        if all {
            self.0
                .retain(|e| e.0 <= whole || Self::prefix(e.1, bits) != Self::prefix(address, bits));
        }
        let base = Self::prefix(address, bits) << (whole - bits);
        for i in 0..1_u128 << (whole - bits) {
            let prefix = if whole == 0 {
                0
            } else {
                (base + i) << (128 - whole)
            };
            self.0.push((whole, prefix, allow));
        }
    }

    fn allows(&self, address: u128) -> bool {
        let matching = self
            .0
            .iter()
            .filter(|e| Self::prefix(e.1, e.0) == Self::prefix(address, e.0));
        // The last of the longest.
        matching.max_by_key(|e| e.0).is_some_and(|e| e.2)
    }
}

/// A rule of a test: address, bits, allow, all.
type Rule = (u128, u32, bool, bool);

/// One of the families, with addresses at the upper end of 128 bits.
#[derive(Clone, Copy, Debug)]
struct Side {
    longest: u32,
}

const SIDES: [Side; 2] = [Side { longest: 32 }, Side { longest: 128 }];

impl Side {
    fn address(self, bits: u128) -> IpAddr {
        if self.longest == 32 {
            Ipv4Addr::from((bits >> 96) as u32).into()
        } else {
            Ipv6Addr::from(bits).into()
        }
    }

    fn rule(self, (address, bits, allow, all): Rule) -> AccessRule {
        AccessRule {
            allow,
            all,
            subnet: Subnet::Net(self.address(address), bits),
        }
    }

    /// Addresses that are near each other, at the ends, and anywhere.
    fn addresses(self) -> impl Strategy<Value = u128> {
        let low = 128 - self.longest;
        let places = vec![0, u128::MAX, 0x2001_0db8 << 96, 0xc0a8_0102 << 96, 1 << 127];
        // One place and what is about as far from it as some power of two.
        let near = (select(places), 0..self.longest, any::<u8>()).prop_map(move |(place, shift, by)| {
            let by = u128::from(by) << (low + shift).min(120);
            if by & 1 << 100 == 0 {
                place.wrapping_add(by)
            } else {
                place.wrapping_sub(by)
            }
        });
        prop_oneof![
            4 => near,
            1 => any::<u128>(),
            // Few different octets, so that rules meet.
            3 => prop::array::uniform16(select(vec![0_u8, 0x55, 0xff])).prop_map(u128::from_be_bytes),
        ]
        .prop_map(move |address| address >> low << low)
    }

    fn rules(self, count: Range<usize>) -> impl Strategy<Value = Vec<Rule>> {
        let bits = prop_oneof![0..=self.longest, Just(self.longest), Just(0_u32)];
        let all = prop::bool::weighted(0.2);
        prop::collection::vec((self.addresses(), bits, any::<bool>(), all), count)
    }

    /// Where verdicts may flip, and the addresses before: at the ends of everything and of the rules' subnets.
    fn edges(self, rules: &[Rule]) -> impl Iterator<Item = u128> {
        let unit = 1_u128 << (128 - self.longest);
        let subnets = rules.iter().flat_map(move |&(address, bits, ..)| {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let (first, last) = (address & !host, (address | host) & !(unit - 1));
            [
                first.wrapping_sub(unit),
                first,
                address,
                last,
                last.wrapping_add(unit),
            ]
        });
        subnets.chain([0, 0_u128.wrapping_sub(unit)])
    }

    /// The list made at once, the one to which the last of the rules were added one after another, and a naive one: all
    /// say the same at the ends of the subnets of `checked`.
    fn agree(self, rules: &[Rule], added: usize, checked: &[Rule]) -> Result<(), TestCaseError> {
        let whole: Vec<AccessRule> = rules.iter().map(|&rule| self.rule(rule)).collect();
        let at_once = AccessList::new(&whole).unwrap();
        let (first, more) = whole.split_at(rules.len() - added);
        let mut list = AccessList::new(first).unwrap();
        for rule in more {
            list.apply(rule).unwrap();
        }
        let mut naive = Naive::default();
        for &(address, bits, allow, all) in rules {
            naive.apply(address, bits, allow, all);
        }
        for edge in self.edges(checked) {
            let (address, expected) = (self.address(edge), naive.allows(edge));
            prop_assert_eq!(allows(&at_once, address), expected, "{} at once", address);
            prop_assert_eq!(allows(&list, address), expected, "{} one by one", address);
        }
        let some = self.edges(rules).any(|edge| allows(&list, self.address(edge)));
        let expected = if self.longest == 32 {
            [some, false]
        } else {
            [false, some]
        };
        prop_assert_eq!([families(&list), families(&at_once)], [expected; 2]);
        Ok(())
    }

    /// Many rules, most of them for addresses near each other.
    fn many(self, count: u32, random: &mut Seeded) -> Vec<Rule> {
        let mut rule = |i: u32| {
            let bits = u128::from(random.bits64()) << 64 | u128::from(random.bits64());
            let near = (0x2001_0db8 << 96) + (bits >> (self.longest / 3 * (1 + i % 2)));
            let address = if i.is_multiple_of(8) { bits } else { near };
            let low = 128 - self.longest;
            (
                address >> low << low,
                self.longest - i % 5,
                !i.is_multiple_of(3),
                false,
            )
        };
        (0..count).map(&mut rule).collect()
    }
}

proptest! {
    #[test]
    fn equals_a_naive_list(
        v4 in SIDES[0].rules(0..40),
        v6 in SIDES[1].rules(0..40),
        added in 0..40_usize,
    ) {
        for (side, rules) in SIDES.into_iter().zip([v4, v6]) {
            side.agree(&rules, added.min(rules.len()), &rules)?;
        }
    }

    #[test]
    fn flips_are_found_wherever_they_lie(
        v4 in flips(0_u32..=u32::MAX, |key, shift, low| {
            if low { key >> (shift % 32) } else { !(key >> (shift % 32)) }
        }),
        v6 in flips(0_u128..=u128::MAX, |key, shift, low| {
            if low { key >> (shift % 128) } else { !(key >> (shift % 128)) }
        }),
    ) {
        check_flips(&v4)?;
        check_flips(&v6)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_long_list_with_rules_added_equals_a_naive_one(
        seed in any::<u64>(),
        v4 in SIDES[0].rules(0..20),
        v6 in SIDES[1].rules(0..20),
    ) {
        for (side, newest) in SIDES.into_iter().zip([v4, v6]) {
            let mut random = Seeded::new(seed);
            let mut rules = side.many(1500, &mut random);
            // Some of those that are there, the other way round.
            let old = rules[..100].iter().map(|&(address, bits, allow, all)| (address, bits, !allow, all));
            rules.extend(old.collect::<Vec<_>>());
            let added = 100 + newest.len();
            rules.extend(newest);
            side.agree(&rules, added, &rules[rules.len() - added..])?;
        }
    }
}

/// Sorted addresses, each once: spread evenly, crowded at one end, and in rows.
fn flips<K: Key + 'static>(
    all: RangeInclusive<K>,
    shifted: fn(K, u32, bool) -> K,
) -> impl Strategy<Value = Vec<K>>
where
    RangeInclusive<K>: Strategy<Value = K>,
{
    let shift = prop_oneof![Just(0), 0..128_u32];
    let row = (all, shift, 1..20_usize, any::<bool>()).prop_map(move |(key, shift, length, low)| {
        let first = Some(shifted(key, shift, low));
        std::iter::successors(first, |key| key.next())
            .take(length)
            .collect::<Vec<_>>()
    });
    prop::collection::vec(row, 0..60).prop_map(|rows| {
        let set: BTreeSet<K> = rows.into_iter().flatten().collect();
        set.into_iter().collect()
    })
}

fn check_flips<K: Key>(keys: &[K]) -> Result<(), TestCaseError> {
    let flips = Flips::new(keys.to_vec());
    prop_assert_eq!(flips.keys(), keys);
    for probe in keys
        .iter()
        .flat_map(|&key| [Some(key), key.next()])
        .flatten()
        .chain([K::MAX.first(0), K::MAX])
    {
        let passed = keys.partition_point(|key| *key <= probe);
        prop_assert_eq!(flips.is_odd_at(probe), passed % 2 == 1, "{:?}", probe);
    }
    Ok(())
}
