//! Who may ask: `allow`, `deny`, `cmdallow`, `cmddeny` (`spec/ntp.md` section 5.2).

mod flips;
mod key;
mod rules;
#[cfg(test)]
mod tests;

use crate::config::{AccessRule, Subnet};
use flips::{Flips, difference};
use key::Key;
use rules::Rules;
use std::net::IpAddr;
use std::sync::Arc;

/// Flips are settled when there is more than one recent one to this many. Each then costs the time to sort about as many
/// into a list, be the list short or long, and those of 100,000 rules still fit into the processor's first cache.
const SETTLED_TO_RECENT: usize = 64;

/// A rule with more leading bits than its address has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Bad subnet in {0}/{1}")]
pub struct BadSubnet(pub IpAddr, pub u32);

/// An access list for both families, which takes new rules. Everything is denied at first. The most specific rule
/// decides, whatever the order of the rules; of rules that end within the same four bits the last one does.
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    v4: Rules<u32>,
    v6: Rules<u128>,
    verdicts: Arc<Verdicts>,
}

impl AccessList {
    /// The list that results from these rules, applied in order.
    ///
    /// # Errors
    /// The first rule that makes no sense.
    pub fn new(rules: &[AccessRule]) -> Result<Self, BadSubnet> {
        let mut list = Self::default();
        for rule in rules {
            let AccessRule { allow, all, .. } = *rule;
            let (v4, v6) = subnets(rule.subnet)?;
            if let Some((address, length)) = v4 {
                list.v4.set(address, length, allow, all);
            }
            if let Some((address, length)) = v6 {
                list.v6.set(address, length, allow, all);
            }
        }
        list.verdicts = Arc::new(Verdicts {
            v4: Family::new(list.v4.flips()),
            v6: Family::new(list.v6.flips()),
        });
        Ok(list)
    }

    /// Adds one rule. Takes the longer the more rules there are inside of its subnet.
    ///
    /// # Errors
    /// The rule makes no sense; nothing has changed.
    pub fn apply(&mut self, rule: &AccessRule) -> Result<(), BadSubnet> {
        let AccessRule { allow, all, .. } = *rule;
        let (v4, v6) = subnets(rule.subnet)?;
        let v4 = v4.map(|(address, length)| self.v4.change(address, length, allow, all));
        let v6 = v6.map(|(address, length)| self.v6.change(address, length, allow, all));
        let (v4, v6) = (v4.unwrap_or_default(), v6.unwrap_or_default());
        if !v4.is_empty() || !v6.is_empty() {
            // A copy for us if workers still read this one.
            let verdicts = Arc::make_mut(&mut self.verdicts);
            verdicts.v4.change(&v4);
            verdicts.v6.change(&v6);
        }
        Ok(())
    }

    /// What the rules come to. After a rule that changes nothing it is still the same one.
    #[must_use]
    pub const fn verdicts(&self) -> &Arc<Verdicts> {
        &self.verdicts
    }
}

type Net<K> = Option<(K, u8)>;

/// What a subnet is in each family: an address and the number of its leading bits that count.
fn subnets(subnet: Subnet) -> Result<(Net<u32>, Net<u128>), BadSubnet> {
    match subnet {
        Subnet::Any => Ok((Some((0, 0)), Some((0, 0)))),
        Subnet::Net(address, bits) => {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let length = u8::try_from(bits).ok().filter(|length| *length <= longest);
            let length = length.ok_or(BadSubnet(address, bits))?;
            Ok(match address {
                IpAddr::V4(address) => (Some((address.into(), length)), None),
                IpAddr::V6(address) => (None, Some((address.into(), length))),
            })
        }
    }
}

/// What an access list says of every address. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    v4: Family<u32>,
    v6: Family<u128>,
}

impl Verdicts {
    /// True if this address may ask.
    #[must_use]
    #[inline(always)] // Copying 17 octets to pass them would take longer than the look.
    pub fn allows(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.allows(address.into()),
            IpAddr::V6(address) => self.v6.allows(address.into()),
        }
    }

    /// True if some IPv4 address may ask: the family's server socket is then open.
    #[must_use]
    pub fn any_v4(&self) -> bool {
        self.v4.any()
    }

    /// The same for IPv6.
    #[must_use]
    pub fn any_v6(&self) -> bool {
        self.v6.any()
    }
}

/// The verdicts on the addresses of one family: where they flip, in two sorted lists, so that a new rule need not change
/// a long one. What is in both flips twice, which is not at all.
#[derive(Clone, Debug)]
struct Family<K> {
    settled: Arc<Flips<K>>,
    recent: Vec<K>,
}

impl<K: Key> Default for Family<K> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<K: Key> Family<K> {
    fn new(flips: Vec<K>) -> Self {
        Self {
            settled: Arc::new(Flips::new(flips)),
            recent: Vec::new(),
        }
    }

    fn allows(&self, address: K) -> bool {
        let settled = self.settled.is_odd_at(address);
        settled != (!self.recent.is_empty() && self.recent_is_odd_at(address))
    }

    #[cold]
    fn recent_is_odd_at(&self, address: K) -> bool {
        self.recent.partition_point(|flip| *flip <= address) % 2 == 1
    }

    fn any(&self) -> bool {
        self.settled.keys() != self.recent
    }

    /// Flips at these addresses if it did not, and the other way round.
    fn change(&mut self, flips: &[K]) {
        let count = self.recent.len() + flips.len();
        if count * SETTLED_TO_RECENT > self.settled.len() {
            let recent = difference(&self.recent, flips);
            *self = Self::new(difference(self.settled.keys(), &recent));
            return;
        }
        for flip in flips {
            match self.recent.binary_search(flip) {
                Ok(place) => drop(self.recent.remove(place)),
                Err(place) => self.recent.insert(place, *flip),
            }
        }
    }
}
