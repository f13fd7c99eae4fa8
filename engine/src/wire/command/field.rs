//! What a packet is made of. Reading is total: lengths are checked once, before, and bytes that are missing
//! all the same read as zero.

use super::float;
use crate::time::Cooked;

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn at(bytes: &'a [u8], offset: usize) -> Self {
        Self {
            rest: bytes.get(offset..).unwrap_or_default(),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let (have, rest) = self.rest.split_at(N.min(self.rest.len()));
        for (to, from) in out.iter_mut().zip(have) {
            *to = *from;
        }
        self.rest = rest;
        out
    }

    pub(super) fn get<T: Field>(&mut self) -> T {
        T::get(self)
    }
}

/// Something with one fixed form on the wire.
pub(super) trait Field: Sized {
    fn get(r: &mut Reader<'_>) -> Self;
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($t:ty)*) => {
        $(impl Field for $t {
            fn get(r: &mut Reader<'_>) -> Self {
                Self::from_be_bytes(r.array())
            }

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        })*
    };
}

integers!(u8 i8 u16 u32 i32 i16 u64);

/// The protocol's Float.
impl Field for f64 {
    fn get(r: &mut Reader<'_>) -> Self {
        float::decode(r.get())
    }

    fn put(&self, out: &mut Vec<u8>) {
        float::encode(*self).put(out);
    }
}

/// Timespec (section 2.2).
impl Field for Cooked {
    fn get(r: &mut Reader<'_>) -> Self {
        let (high, low, nsec): (u32, u32, u32) = (r.get(), r.get(), r.get());
        // The mark of a sender that has 32 bits only.
        let high = if high == 0x7fff_ffff { 0 } else { high };
        let sec = (u64::from(high) << 32 | u64::from(low)) as i64;
        Self::new(sec, nsec.min(999_999_999))
    }

    fn put(&self, out: &mut Vec<u8>) {
        (self.sec() as u64).put(out);
        self.nsec().put(out);
    }
}

/// Seconds since something; all ones: never.
impl Field for Option<u32> {
    fn get(r: &mut Reader<'_>) -> Self {
        Some(r.get()).filter(|age| *age != u32::MAX)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.unwrap_or(u32::MAX).put(out);
    }
}

/// log2 of an interval; 127: unknown.
impl Field for Option<i8> {
    fn get(r: &mut Reader<'_>) -> Self {
        Some(r.get()).filter(|log| *log != i8::MAX)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.unwrap_or(i8::MAX).put(out);
    }
}

/// A structure whose fields lie on the wire in the order in which they are declared.
macro_rules! layout {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $t:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $t,)* }

        impl $crate::wire::command::field::Field for $name {
            fn get(r: &mut $crate::wire::command::field::Reader<'_>) -> Self {
                Self { $($field: r.get(),)* }
            }

            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::command::field::Field::put(&self.$field, out);)*
            }
        }
    };
}

/// An enumeration on the wire; numbers that are not in the list are `Unknown`.
macro_rules! numbers {
    ($(#[$doc:meta])* pub enum $name:ident: $t:ty { $($(#[$vdoc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A number without meaning; only a client sees it.
            Unknown,
        }

        impl $crate::wire::command::field::Field for $name {
            fn get(r: &mut $crate::wire::command::field::Reader<'_>) -> Self {
                match r.get::<$t>() {
                    $($number => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }

            fn put(&self, out: &mut Vec<u8>) {
                let number: $t = match self {
                    $(Self::$variant => $number,)*
                    Self::Unknown => <$t>::MAX,
                };
                $crate::wire::command::field::Field::put(&number, out);
            }
        }
    };
}

pub(super) use {layout, numbers};
