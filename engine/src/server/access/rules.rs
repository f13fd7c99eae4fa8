//! The rules of one family: what `allow` and `deny` have said so far.

use super::flips::difference;
use super::key::Key;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

/// Rules end at multiples of this many bits; one that ends between them is as many rules as it takes
/// (`spec/ntp.md` section 5.2: that is why the last rule within the same four bits wins).
const STEP: u8 = 4;

/// Subnets with a verdict of their own. In the order of their first addresses, larger ones first: directly before
/// what is inside of them. Where no subnet is, everything is denied.
#[derive(Clone, Debug)]
pub(super) struct Rules<K>(BTreeMap<(K, u8), bool>);

impl<K> Default for Rules<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Key> Rules<K> {
    /// Adds a rule for the subnet of this length that the address belongs to. `all`: instead of those inside of it.
    pub(super) fn set(&mut self, address: K, length: u8, allow: bool, all: bool) {
        let whole = length.next_multiple_of(STEP);
        let last = address.last(length);
        let mut part = Some(address.first(length));
        while let Some(first) = part.filter(|first| *first <= last) {
            let end = first.last(whole);
            if all {
                self.remove_inside(first, end, whole);
            }
            self.0.insert((first, whole), allow);
            part = end.next();
        }
    }

    /// [`Self::set`]. Gives where the verdict now flips and did not before, or the other way round.
    pub(super) fn change(&mut self, address: K, length: u8, allow: bool, all: bool) -> Vec<K> {
        let around = self.around(address, length);
        let before = self.flips_inside(address, length, around);
        self.set(address, length, allow, all);
        difference(&before, &self.flips_inside(address, length, around))
    }

    /// Addresses, in order, from each of which on the verdict is the other one.
    pub(super) fn flips(&self) -> Vec<K> {
        self.flips_inside(K::MAX, 0, false)
    }

    /// The flips if everything outside of this subnet is denied. `allow`: the verdict of the smallest one around it.
    fn flips_inside(&self, address: K, length: u8, allow: bool) -> Vec<K> {
        let (first, end) = (address.first(length), address.last(length));
        let mut flips = Vec::new();
        let mut set = |at: K, allow: bool| {
            if (flips.len() % 2 == 1) != allow {
                // Twice at the same place is never.
                if flips.last() == Some(&at) {
                    flips.pop();
                } else {
                    flips.push(at);
                }
            }
        };
        // The subnets around the place, each with its last address; the innermost is the last.
        let mut around = vec![(end, allow)];
        set(first, allow);
        let whole = length.next_multiple_of(STEP);
        let inside = self.0.range((first, whole)..=(end, K::BITS));
        // The end of everything closes what is still open.
        let subnets = inside.map(|(&(at, length), &allow)| (Some(at), Some((at.last(length), allow))));
        for (at, subnet) in subnets.chain([(end.next(), None)]) {
            while let Some(&(last, _)) = around.last()
                && at.is_none_or(|at| last < at)
            {
                around.pop();
                if let Some(next) = last.next() {
                    set(next, around.last().is_some_and(|(_, allow)| *allow));
                }
            }
            if let (Some(at), Some((last, allow))) = (at, subnet) {
                set(at, allow);
                around.push((last, allow));
            }
        }
        flips
    }

    /// The verdict of the smallest subnet around this one.
    fn around(&self, address: K, length: u8) -> bool {
        let lengths = (0..length).step_by(STEP.into()).rev();
        let mut around = lengths.filter_map(|length| self.0.get(&(address.first(length), length)));
        around.next().copied().unwrap_or(false)
    }

    fn remove_inside(&mut self, first: K, last: K, length: u8) {
        let inside = (Excluded((first, length)), Included((last, K::BITS)));
        let inside = self.0.range(inside);
        let subnets: Vec<(K, u8)> = inside.map(|(subnet, _)| *subnet).collect();
        for subnet in subnets {
            self.0.remove(&subnet);
        }
    }
}
