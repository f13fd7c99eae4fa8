//! Where the verdict flips, as a sorted list with an index that finds a place in it in about the same time
//! however long it is.

use super::key::Key;
use std::cmp::Ordering;

/// In a slot: it leads to flips, not to a node.
const TO_FLIPS: u32 = 1 << 31;

/// Sorted addresses, each once. A flip is an address from which on the verdict is the other one; below the first flip
/// everything is denied.
///
/// The index is a tree. A node divides the range from its first to its last flip into equal slots, at most as many as it has
/// flips; a slot leads to its flips if they are few, else to a node of its own. Flips spread at random take one node
/// or two. As every node begins and ends at flips, in different slots, each below it has fewer flips and spans fewer bits:
/// however the flips lie, there are fewer nodes than flips, at most 13 (IPv4) or 34 (IPv6) below one another, with as many
/// slots for a flip.
#[derive(Clone, Debug)]
pub(super) struct Flips<K> {
    /// The flips, then [`Key::RUN`] times the highest address, so that there is always a run to count in.
    keys: Vec<K>,
    nodes: Vec<Node<K>>,
    /// Of all nodes: number of a node, or position in `keys` with [`TO_FLIPS`]. There may be no more than 2^31 flips;
    /// the rules for that many would take tens of gigabytes.
    slots: Vec<u32>,
    root: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node<K> {
    /// Its first flip.
    low: K,
    /// Bits of the distance from `low` within a slot.
    shift: u32,
    /// In `slots`.
    first: u32,
    /// Number of its last slot, counted from 0. What is beyond the node belongs to it.
    last: u32,
}

impl<K: Key> Default for Flips<K> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<K: Key> Flips<K> {
    /// `keys`: sorted, each once.
    pub(super) fn new(mut keys: Vec<K>) -> Self {
        let count = keys.len();
        keys.resize(count + K::RUN, K::MAX);
        keys.shrink_to_fit();
        let mut flips = Self {
            keys,
            nodes: Vec::new(),
            slots: Vec::new(),
            root: 0,
        };
        flips.root = flips.index(0, count);
        flips.nodes.shrink_to_fit();
        flips.slots.shrink_to_fit();
        flips
    }

    /// All of them.
    pub(super) fn keys(&self) -> &[K] {
        &self.keys[..self.len()]
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len() - K::RUN
    }

    /// True if the verdict has flipped an odd number of times up to this address, itself included.
    #[inline]
    pub(super) fn is_odd_at(&self, key: K) -> bool {
        let mut to = self.root;
        while to & TO_FLIPS == 0 {
            let node = &self.nodes[to as usize];
            let slot = key.slot(node.low, node.shift).min(node.last as usize);
            to = self.slots[node.first as usize + slot];
        }
        let from = (to & !TO_FLIPS) as usize;
        // Flips after those of the slot are greater than the address. Without branches: nobody could foretell them.
        let run = &self.keys[from..from + K::RUN];
        let passed = run.iter().map(|flip| usize::from(*flip <= key)).sum::<usize>();
        (from + passed).min(self.len()) % 2 == 1
    }

    /// Makes what leads to these flips.
    fn index(&mut self, from: usize, to: usize) -> u32 {
        let count = to - from;
        if count <= K::RUN {
            return from as u32 | TO_FLIPS;
        }
        let low = self.keys[from];
        let bits = self.keys[to - 1].distance_bits(low);
        // A quarter to a half of what a slot has room for. There are at least as many bits as it takes to tell the
        // flips apart.
        let shift = bits - (count / (K::RUN / 4)).ilog2();
        let last = self.keys[to - 1].slot(low, shift);
        let first = self.slots.len();
        self.slots.resize(first + last + 1, 0);
        let node = self.nodes.len();
        self.nodes.push(Node {
            low,
            shift,
            first: first as u32,
            last: last as u32,
        });
        let mut begin = from;
        for slot in 0..=last {
            let inside = self.keys[begin..to]
                .iter()
                .take_while(|key| key.slot(low, shift) == slot);
            let end = begin + inside.count();
            self.slots[first + slot] = self.index(begin, end);
            begin = end;
        }
        node as u32
    }
}

/// What is in one of two sorted lists, but not in both.
pub(super) fn difference<K: Ord + Copy>(mut a: &[K], mut b: &[K]) -> Vec<K> {
    let mut result = Vec::with_capacity(a.len() + b.len());
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b) {
        let order = x.cmp(y);
        if order != Ordering::Equal {
            result.push(*x.min(y));
        }
        if order.is_le() {
            a = rest_a;
        }
        if order.is_ge() {
            b = rest_b;
        }
    }
    result.extend(a);
    result.extend(b);
    result
}
