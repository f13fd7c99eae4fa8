//! Extension fields (`spec/ntp.md` section 1.4).

use super::{Time32, decode_correction, encode_correction};
use crate::time::NtpTimestamp;

/// Type of the monotonic root field.
pub(super) const MONO_ROOT: u16 = 0xf323;
/// Type of the network correction field.
pub(super) const NET_CORRECTION: u16 = 0x010a;
/// First word of the body of a monotonic root field.
const MONO_ROOT_MAGIC: [u8; 4] = [0xf5, 0xbe, 0xdd, 0x9a];
/// Length of both bodies.
pub(super) const EXPERIMENTAL_BODY: usize = 24;
/// Type and length.
pub(super) const FIELD_HEADER: usize = 4;
/// Shortest field.
pub(super) const MIN_FIELD: usize = 16;

/// What is known about the type of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// Of NTS: unique identifier, cookie, cookie placeholder or authenticator.
    Nts,
    /// Monotonic root (0xF323).
    MonoRoot,
    /// Network correction (0x010A).
    NetCorrection,
    /// Anything else.
    Unknown,
}

/// One extension field of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Type as on the wire.
    pub code: u16,
    /// What follows type and length.
    pub body: &'a [u8],
}

impl<'a> Field<'a> {
    /// Takes one field from the start of `bytes`. Returns it and the rest; `None` if there is no valid one.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[t0, t1, l0, l1], _) = bytes.split_first_chunk::<FIELD_HEADER>()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < MIN_FIELD || !length.is_multiple_of(4) || length > bytes.len() {
            return None;
        }
        let (field, rest) = bytes.split_at_checked(length)?;
        let body = field.get(FIELD_HEADER..)?;
        Some((
            Self {
                code: u16::from_be_bytes([t0, t1]),
                body,
            },
            rest,
        ))
    }

    /// Which field it is, by its type only.
    #[must_use]
    pub const fn kind(&self) -> FieldKind {
        match self.code {
            0x0104 | 0x0204 | 0x0304 | 0x0404 => FieldKind::Nts,
            MONO_ROOT => FieldKind::MonoRoot,
            NET_CORRECTION => FieldKind::NetCorrection,
            _ => FieldKind::Unknown,
        }
    }
}

/// Body of a monotonic root field.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MonoRoot {
    /// Root delay in higher resolution.
    pub root_delay: Time32,
    /// Root dispersion in higher resolution.
    pub root_dispersion: Time32,
    /// Receive timestamp on the sender's monotonic scale; zero: none.
    pub receive: NtpTimestamp,
    /// Changes whenever the scale has a gap.
    pub epoch: u32,
}

impl MonoRoot {
    /// Reads a body; `None` if its length or magic is not that of this field.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: &[u8; EXPERIMENTAL_BODY] = body.try_into().ok()?;
        if body[..4] != MONO_ROOT_MAGIC {
            return None;
        }
        let word = |i: usize| u32::from_be_bytes([body[i], body[i + 1], body[i + 2], body[i + 3]]);
        Some(Self {
            root_delay: Time32(word(4)),
            root_dispersion: Time32(word(8)),
            receive: NtpTimestamp(u64::from(word(12)) << 32 | u64::from(word(16))),
            epoch: word(20),
        })
    }

    /// The body. The default value gives that of a client's request.
    #[must_use]
    pub fn write(&self) -> [u8; EXPERIMENTAL_BODY] {
        let mut body = [0; EXPERIMENTAL_BODY];
        body[..4].copy_from_slice(&MONO_ROOT_MAGIC);
        body[4..8].copy_from_slice(&self.root_delay.0.to_be_bytes());
        body[8..12].copy_from_slice(&self.root_dispersion.0.to_be_bytes());
        body[12..20].copy_from_slice(&self.receive.0.to_be_bytes());
        body[20..].copy_from_slice(&self.epoch.to_be_bytes());
        body
    }
}

/// Reads the body of a network correction field, s; `None` if its length is wrong.
pub(super) fn read_correction(body: &[u8]) -> Option<f64> {
    let body: &[u8; EXPERIMENTAL_BODY] = body.try_into().ok()?;
    let (encoded, _) = body.split_first_chunk::<8>()?;
    Some(decode_correction(u64::from_be_bytes(*encoded)))
}

/// Body of a network correction field; `seconds` is zero in requests.
pub(super) fn write_correction(seconds: f64) -> [u8; EXPERIMENTAL_BODY] {
    let mut body = [0; EXPERIMENTAL_BODY];
    body[..8].copy_from_slice(&encode_correction(seconds).to_be_bytes());
    body
}
