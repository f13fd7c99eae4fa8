//! Addresses as numbers.

use std::fmt::Debug;

/// An address of one family.
pub(super) trait Key: Copy + Debug + Ord {
    /// Bits of an address.
    const BITS: u8;
    /// How many flips a look counts without branches at its end: one or two lines of the processor's cache.
    const RUN: usize;
    const MAX: Self;

    /// The first address of the subnet of this length that it belongs to.
    fn first(self, length: u8) -> Self;
    /// The last one.
    fn last(self, length: u8) -> Self;
    /// None after the highest.
    fn next(self) -> Option<Self>;
    /// Bits of the distance from a lower address.
    fn distance_bits(self, low: Self) -> u32;
    /// The distance from `low`, 0 below it, without its lowest `shift` bits; at most 32 bits are right.
    fn slot(self, low: Self, shift: u32) -> usize;
}

macro_rules! key {
    ($type:ty, run $run:literal) => {
        impl Key for $type {
            const BITS: u8 = Self::BITS as u8;
            const RUN: usize = $run;
            const MAX: Self = Self::MAX;

            fn first(self, length: u8) -> Self {
                self & !host_bits!($type, length)
            }

            fn last(self, length: u8) -> Self {
                self | host_bits!($type, length)
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn distance_bits(self, low: Self) -> u32 {
                Self::BITS - (self - low).leading_zeros()
            }

            #[inline]
            fn slot(self, low: Self, shift: u32) -> usize {
                u32::try_from(self.saturating_sub(low) >> shift).unwrap_or(u32::MAX) as usize
            }
        }
    };
}

macro_rules! host_bits {
    ($type:ty, $length:expr) => {
        <$type>::MAX.checked_shr(u32::from($length)).unwrap_or(0)
    };
}

key!(u32, run 8);
key!(u128, run 4);
