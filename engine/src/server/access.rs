//! Who may ask: `allow`, `deny`, `cmdallow`, `cmddeny` (`spec/ntp.md` section 5.2).

use crate::config::{AccessRule, Subnet};
use std::net::IpAddr;

/// Bits of the address that one level of the tree looks at.
const STEP: u32 = 4;
/// Children of a node.
const FANOUT: usize = 1 << STEP;

/// A rule with more leading bits than its address has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Bad subnet in {0}/{1}")]
pub struct BadSubnet(pub IpAddr, pub u32);

/// An access list for both families. Everything is denied at first. The most specific rule decides, whatever
/// the order of the rules; of rules that end within the same four bits the last one does.
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    v4: Tree,
    v6: Tree,
}

impl AccessList {
    /// The list that results from these rules, applied in order.
    ///
    /// # Errors
    /// The first rule that makes no sense.
    pub fn new(rules: &[AccessRule]) -> Result<Self, BadSubnet> {
        let mut list = Self::default();
        for rule in rules {
            list.apply(rule)?;
        }
        Ok(list)
    }

    /// Adds one rule.
    ///
    /// # Errors
    /// The rule makes no sense; nothing has changed.
    pub fn apply(&mut self, rule: &AccessRule) -> Result<(), BadSubnet> {
        let state = if rule.allow { State::Allow } else { State::Deny };
        match rule.subnet {
            Subnet::Any => {
                self.v4.set(0, 0, state, rule.all);
                self.v6.set(0, 0, state, rule.all);
            }
            Subnet::Net(address, bits) => {
                if bits > if address.is_ipv4() { 32 } else { 128 } {
                    return Err(BadSubnet(address, bits));
                }
                let (tree, aligned) = match address {
                    IpAddr::V4(_) => (&mut self.v4, align(address)),
                    IpAddr::V6(_) => (&mut self.v6, align(address)),
                };
                tree.set(aligned, bits, state, rule.all);
            }
        }
        Ok(())
    }

    /// True if this address may ask.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4.allows(align(address)),
            IpAddr::V6(_) => self.v6.allows(align(address)),
        }
    }

    /// True if some IPv4 address may ask: the family's server socket is then open. Looks at the whole list.
    #[must_use]
    pub fn any_v4(&self) -> bool {
        self.v4.any(ROOT, State::Deny)
    }

    /// The same for IPv6.
    #[must_use]
    pub fn any_v6(&self) -> bool {
        self.v6.any(ROOT, State::Deny)
    }
}

/// The address at the upper end of 128 bits.
fn align(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Inherit,
    Allow,
    Deny,
}

/// A state (the two lowest bits) and the number of the block of the children above it; 0: none, as block 0 has the root.
#[derive(Clone, Copy, Debug, Default)]
struct Node(u32);

impl Node {
    const fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Inherit,
            1 => State::Allow,
            _ => State::Deny,
        }
    }

    const fn set_state(&mut self, state: State) {
        self.0 = self.0 & !3 | state as u32;
    }

    const fn children(self) -> usize {
        (self.0 >> 2) as usize
    }

    const fn set_children(&mut self, block: usize) {
        self.0 = (block as u32) << 2 | self.0 & 3;
    }
}

/// The children of a node: one line of the processor's cache.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Block([Node; FANOUT]);

/// Where a node is: number of the block, and place in it.
type Place = (usize, usize);

const ROOT: Place = (0, 0);

/// A tree of four bits a level. Children are blocks in one vector, so that a clone is one copy.
#[derive(Clone, Debug)]
struct Tree {
    blocks: Vec<Block>,
    /// Blocks to be used again.
    free: Vec<usize>,
}

impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self {
            blocks: vec![Block::default()],
            free: Vec::new(),
        };
        tree.node_mut(ROOT).set_state(State::Deny);
        tree
    }
}

impl Tree {
    fn node(&self, (block, place): Place) -> Node {
        self.blocks[block].0[place]
    }

    fn node_mut(&mut self, (block, place): Place) -> &mut Node {
        &mut self.blocks[block].0[place]
    }

    fn set(&mut self, address: u128, bits: u32, state: State, all: bool) {
        let mut node = ROOT;
        for level in 0..bits / STEP {
            node = (self.children_of(node), nibble(address, level));
        }
        let used = bits % STEP;
        if used == 0 {
            self.set_node(node, state, all);
            return;
        }
        let count = FANOUT >> used;
        let first = nibble(address, bits / STEP) & !(count - 1);
        let children = self.children_of(node);
        for child in first..first + count {
            self.set_node((children, child), state, all);
        }
    }

    fn set_node(&mut self, node: Place, state: State, all: bool) {
        self.node_mut(node).set_state(state);
        if all {
            self.remove_children(node);
        }
    }

    /// The block of the children; makes them if there are none.
    fn children_of(&mut self, node: Place) -> usize {
        let children = self.node(node).children();
        if children != 0 {
            return children;
        }
        let block = self.free.pop().unwrap_or_else(|| {
            self.blocks.push(Block::default());
            self.blocks.len() - 1
        });
        self.node_mut(node).set_children(block);
        block
    }

    fn remove_children(&mut self, node: Place) {
        let mut blocks = vec![self.node(node).children()];
        self.node_mut(node).set_children(0);
        while let Some(block) = blocks.pop() {
            if block == 0 {
                continue;
            }
            let Block(children) = std::mem::take(&mut self.blocks[block]);
            blocks.extend(children.map(Node::children));
            self.free.push(block);
        }
    }

    fn allows(&self, address: u128) -> bool {
        let mut node = self.node(ROOT);
        let mut state = node.state();
        let mut level = 0;
        while node.children() != 0 {
            node = self.node((node.children(), nibble(address, level)));
            if node.state() != State::Inherit {
                state = node.state();
            }
            level += 1;
        }
        state == State::Allow
    }

    /// A node with children counts only through them, even if they cover all of it.
    fn any(&self, node: Place, inherited: State) -> bool {
        let node = self.node(node);
        let state = match node.state() {
            State::Inherit => inherited,
            state => state,
        };
        match node.children() {
            0 => state == State::Allow,
            block => (0..FANOUT).any(|child| self.any((block, child), state)),
        }
    }
}

/// The four bits of a level; at most 32 levels.
fn nibble(address: u128, level: u32) -> usize {
    (address >> (124 - STEP * level)) as usize & (FANOUT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

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

    #[test]
    fn within_four_bits_the_last_rule_wins() {
        let (wide, narrow) = (
            rule(false, false, [10, 0, 0, 0], 9),
            rule(true, false, [10, 0, 0, 0], 10),
        );
        let inside = IpAddr::from([10, 1, 2, 3]);
        assert!(!AccessList::new(&[narrow, wide]).unwrap().allows(inside));
        assert!(AccessList::new(&[wide, narrow]).unwrap().allows(inside));
    }

    #[test]
    fn the_most_specific_rule_wins_in_any_order() {
        let (net, host) = (
            rule(true, false, [10, 0, 0, 0], 8),
            rule(false, false, [10, 1, 2, 3], 32),
        );
        for rules in [[net, host], [host, net]] {
            let list = AccessList::new(&rules).unwrap();
            assert!(list.allows(IpAddr::from([10, 1, 2, 2])) && !list.allows(IpAddr::from([10, 1, 2, 3])));
            assert!(!list.allows(IpAddr::from([11, 1, 2, 2])));
        }
    }

    #[test]
    fn all_removes_what_is_inside() {
        let mut list = AccessList::new(&[rule(false, false, [10, 1, 2, 3], 32)]).unwrap();
        list.apply(&rule(true, false, [10, 0, 0, 0], 8)).unwrap();
        assert!(!list.allows(IpAddr::from([10, 1, 2, 3])));
        list.apply(&rule(true, true, [10, 0, 0, 0], 8)).unwrap();
        assert!(list.allows(IpAddr::from([10, 1, 2, 3])));
        assert_eq!(list.v4.free.len(), 6);
    }

    #[test]
    fn both_families_and_none() {
        let list = AccessList::new(&[ANY]).unwrap();
        assert!(list.allows(IpAddr::V4(Ipv4Addr::LOCALHOST)) && list.allows(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert!(list.any_v4() && list.any_v6());
        let list = AccessList::new(&[rule(true, false, [1, 2, 3, 4], 32)]).unwrap();
        assert!(list.any_v4() && !list.any_v6() && !list.allows(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        let list = AccessList::new(&[ANY, rule(false, true, [0, 0, 0, 0], 0)]).unwrap();
        assert!(!list.any_v4() && list.any_v6());
    }

    #[test]
    fn allowed_nodes_hidden_by_their_children_do_not_count() {
        let mut rules = vec![rule(true, false, [0, 0, 0, 0], 0)];
        rules.extend((0..=1).map(|half| rule(false, false, [half << 7, 0, 0, 0], 1)));
        assert!(!AccessList::new(&rules).unwrap().any_v4());
    }

    #[test]
    fn too_many_bits() {
        let address = IpAddr::from([1, 2, 3, 4]);
        assert_eq!(
            AccessList::new(&[rule(true, false, [1, 2, 3, 4], 33)]).unwrap_err(),
            BadSubnet(address, 33)
        );
        assert_eq!(BadSubnet(address, 33).to_string(), "Bad subnet in 1.2.3.4/33");
    }

    #[test]
    fn a_hundred_thousand_rules() {
        let host = |i: u32| {
            IpAddr::V6(Ipv6Addr::from(
                u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            ))
        };
        let mut list = AccessList::default();
        for i in 0..100_000 {
            list.apply(&AccessRule {
                allow: true,
                all: false,
                subnet: Subnet::Net(host(i), 128),
            })
            .unwrap();
        }
        assert!((0..100_000).all(|i| list.allows(host(i))) && !list.allows(host(100_000)));
    }

    /// The same by a list of prefixes of whole steps and a search through all of it.
    #[derive(Default)]
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

    proptest! {
        #[test]
        fn equals_a_naive_list(
            // Few different octets, so that rules meet.
            rules in prop::collection::vec((prop::array::uniform4(0_u8..4), 0_u32..=32, any::<bool>(), any::<bool>()), 0..40),
            probes in prop::collection::vec(prop::array::uniform4(0_u8..4), 50),
        ) {
            let (mut list, mut naive) = (AccessList::default(), Naive::default());
            for &(octets, bits, allow, all) in &rules {
                let octets = octets.map(|o| o * 0x55);
                list.apply(&rule(allow, all, octets, bits)).unwrap();
                naive.apply(align(IpAddr::from(octets)), bits, allow, all);
            }
            for probe in probes {
                let address = IpAddr::from(probe.map(|o| o * 0x55));
                prop_assert_eq!(list.allows(address), naive.allows(align(address)), "{}", address);
            }
        }
    }
}
