//! Timestamps of network cards, made ours (`spec/ntp.md` section 6.6): what that takes, as plain data. What keeps it true
//! is [`super::phc`] and whoever reads the clocks of the cards.

use super::clock::Cook;
use super::phc::Relation;
use crate::io::{HardwareStamp, Origin, Stamp};
use crate::time::{Cooked, Mono, Raw};

/// Octets of the check sum at the end of an Ethernet frame.
const FRAME_CHECK: u32 = 4;
/// A timestamp further away from ours is not believed, s.
const MAX_DISTANCE: f64 = 1.0;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To us.
    Received,
    /// From us.
    Sent,
}

/// A network card whose timestamps are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Card {
    /// Index of its interface.
    pub interface: u32,
    /// `txcomp`: what is added to transmit timestamps, s.
    pub tx_comp: f64,
    /// `rxcomp`: what is subtracted from receive timestamps, s.
    pub rx_comp: f64,
    /// Speed of its link, Mbit/s; 0: unknown.
    pub speed: u32,
    /// Its clock; none: not known yet.
    pub relation: Option<Relation>,
    /// From this time on its clock is to be read before a timestamp is used; none: at once.
    pub due: Option<Mono>,
}

/// All of them. Changes only with readings of their clocks and changes of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cards(pub Vec<Card>);

impl Cards {
    fn find(&self, interface: u32) -> Option<&Card> {
        self.0.iter().find(|card| card.interface == interface)
    }

    /// The clock of the card of this interface should be read before its next timestamp is used.
    #[must_use]
    pub fn is_due(&self, interface: u32, now: Mono) -> bool {
        self.find(interface)
            .is_some_and(|card| card.due.is_none_or(|due| due <= now))
    }

    /// Makes the timestamp of a card ours. `cook` is that of the time `now`, our own reading. None: it can't be used.
    #[must_use]
    pub fn convert(
        &self,
        stamp: &HardwareStamp,
        direction: Direction,
        cook: &Cook,
        now: Raw,
    ) -> Option<Stamp> {
        let card = self.find(stamp.interface)?;
        // The card takes the beginning of a frame; what counts is its end.
        let duration = match direction {
            Direction::Received if stamp.length > 0 && card.speed > 0 => {
                f64::from(stamp.length + FRAME_CHECK) * 8.0 / (f64::from(card.speed) * 1e6)
            }
            _ => 0.0,
        };
        let (time, error) = card.relation?.cooked(stamp.at.plus(duration));
        let time: Cooked = match direction {
            Direction::Received => time.plus(-card.rx_comp),
            Direction::Sent => time.plus(card.tx_comp),
        };
        if (time - cook.cook(now).0).abs() > MAX_DISTANCE {
            return None;
        }
        Some(Stamp {
            at: cook.uncook(time),
            error,
            origin: Origin::Hardware,
            duration,
            correction: duration,
        })
    }
}
