//! Parsing of packets: requests, replies and our own packets alike (`spec/ntp.md` section 1.3).

use super::field::read_correction;
use super::{Field, FieldKind, HEADER_LEN, Header, MAX_LEN, MonoRoot};

/// How a packet claims to be authenticated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// A MAC with this key ID. Its digest is [`Packet::digest`]; a crypto-NAK has key ID 0 and no digest.
    Symmetric(u32),
    /// MS-SNTP request with this key ID.
    MsSntp(u32),
    /// Extended MS-SNTP request with this key ID.
    MsSntpExtended(u32),
    /// Fields of NTS.
    Nts,
}

/// Why a datagram is no NTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseError {
    /// Shorter than a header, longer than [`MAX_LEN`], or not a multiple of four.
    #[error("invalid length")]
    Length,
    /// Not 1 to 4.
    #[error("unsupported version")]
    Version,
    /// An extension field or what is left behind them is malformed.
    #[error("malformed extension field")]
    Field,
}

/// A parsed packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    mac: usize,
    /// The header.
    pub header: Header,
    /// Kind of authentication.
    pub auth: Auth,
    /// Monotonic root field.
    pub mono_root: Option<MonoRoot>,
    /// Network correction field, s.
    pub net_correction: Option<f64>,
}

impl<'a> Packet<'a> {
    /// Parses a datagram.
    ///
    /// # Errors
    /// The datagram is to be dropped silently.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(ParseError::Length)?;
        if bytes.len() > MAX_LEN || !bytes.len().is_multiple_of(4) {
            return Err(ParseError::Length);
        }
        let header = Header::read(header);
        if !(1..=4).contains(&header.version) {
            return Err(ParseError::Version);
        }
        let mut packet = Self {
            bytes,
            mac: bytes.len(),
            header,
            auth: Auth::None,
            mono_root: None,
            net_correction: None,
        };
        let mac = match rest {
            [0, 0, 0, 0] => rest,
            _ if header.version == 4 => packet.read_fields(rest)?,
            _ => rest,
        };
        if let Some((id, digest)) = mac.split_first_chunk::<4>() {
            packet.mac = bytes.len() - mac.len();
            packet.auth = mac_kind(header.version, u32::from_be_bytes(*id), digest);
        }
        Ok(packet)
    }

    /// Goes through the fields of a version 4 packet; returns the MAC, which may be empty.
    fn read_fields(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], ParseError> {
        while rest.len() > 24 {
            let (field, after) = Field::split(rest).ok_or(ParseError::Field)?;
            match field.kind() {
                FieldKind::Nts => self.auth = Auth::Nts,
                FieldKind::MonoRoot => self.mono_root = MonoRoot::read(field.body).or(self.mono_root),
                FieldKind::NetCorrection => {
                    self.net_correction = read_correction(field.body).or(self.net_correction);
                }
                FieldKind::Unknown => {}
            }
            rest = after;
        }
        if rest.is_empty() || rest.len() >= 20 {
            Ok(rest)
        } else {
            Err(ParseError::Field)
        }
    }

    /// The whole datagram.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What a MAC is computed over: everything before it.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.bytes.get(..self.mac).unwrap_or_default()
    }

    /// The digest of the MAC, without the key ID; empty if there is none.
    #[must_use]
    pub fn digest(&self) -> &'a [u8] {
        self.bytes.get(self.mac + 4..).unwrap_or_default()
    }

    /// The extension fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut rest = match self.header.version {
            4 => self.bytes.get(HEADER_LEN..self.mac).unwrap_or_default(),
            _ => &[],
        };
        core::iter::from_fn(move || {
            let (field, after) = Field::split(rest)?;
            rest = after;
            Some(field)
        })
    }
}

/// What a MAC of a packet is. MS-SNTP exists in version 3 only and has zeros where a digest would be.
fn mac_kind(version: u8, key: u32, digest: &[u8]) -> Auth {
    let zero = |octets: &[u8]| octets.iter().all(|&b| b == 0);
    match digest.len() {
        16 if version == 3 && key != 0 && zero(digest) => Auth::MsSntp(key),
        68 if version == 3 && key != 0 && zero(&digest[4..]) => Auth::MsSntpExtended(key),
        _ => Auth::Symmetric(key),
    }
}
