//! NTP packets of versions 1 to 4 (`spec/ntp.md` section 1).
//!
//! [`Packet`] is a parsed datagram, [`Builder`] makes one. Reference IDs of addresses are here too.

mod build;
#[cfg(test)]
pub(crate) mod captures;
mod encoding;
mod field;
mod header;
mod packet;
pub mod ptp;
pub mod refid;
#[cfg(test)]
mod tests;

pub use build::{BuildError, Builder};
pub use encoding::{NtpShort, Time32, decode_correction, encode_correction};
pub use field::{Field, FieldKind, MonoRoot};
pub use header::{Header, Mode};
pub use packet::{Auth, Packet, ParseError};

/// NTP's port.
pub const PORT: u16 = 123;

/// Octets of the header.
pub const HEADER_LEN: usize = 48;

/// Longest message that is accepted or made: header, 1024 octets of fields, key ID and 64 octets of digest.
pub const MAX_LEN: usize = 1140;

/// Longest digest of a version 4 packet; longer ones are cut.
pub const MAX_V4_DIGEST: usize = 20;

/// The precision that clients send: all 64 bits of their timestamps are random (`spec/ntp.md` 1.7).
pub const CLIENT_PRECISION: i8 = 32;
