//! Making packets (`spec/ntp.md` sections 1.4, 1.5, 1.7).

use super::field::{FIELD_HEADER, MIN_FIELD, MONO_ROOT, NET_CORRECTION, write_correction};
use super::{HEADER_LEN, Header, MAX_LEN, MonoRoot};
use crate::time::NtpTimestamp;

/// Place of the transmit timestamp in the header, whose last field it is.
const TRANSMIT: usize = 40;

/// Why something cannot be put into a packet. The packet is then not to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// Extension fields exist in version 4 only.
    #[error("extension field in a packet of an older version")]
    Version,
    /// A field shorter than 16 octets or not of a multiple of four.
    #[error("invalid length of extension field")]
    FieldLength,
    /// Longer than [`MAX_LEN`].
    #[error("packet too long")]
    TooLong,
}

/// A packet in the making, in a buffer of its own or somebody else's.
#[derive(Clone, Debug)]
pub struct Builder<B = [u8; MAX_LEN]> {
    buffer: B,
    length: usize,
    version: u8,
}

impl Builder {
    /// A packet that has only a header.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut buffer = [0; MAX_LEN];
        buffer[..HEADER_LEN].copy_from_slice(&header.write());
        Self {
            buffer,
            length: HEADER_LEN,
            version: header.version,
        }
    }
}

impl<'a> Builder<&'a mut [u8]> {
    /// The same in this buffer; none if that is too short for a header.
    #[must_use]
    pub fn within(buffer: &'a mut [u8], header: &Header) -> Option<Self> {
        let room = buffer.len().min(MAX_LEN);
        let buffer = &mut buffer[..room];
        *buffer.first_chunk_mut()? = header.write();
        Some(Self {
            buffer,
            length: HEADER_LEN,
            version: header.version,
        })
    }
}

impl<'a> Builder<&'a mut [u8]> {
    /// Goes on with the first `length` octets of a buffer that [`Self::within`] has written to; none if there are no
    /// so many.
    #[must_use]
    pub fn resume(buffer: &'a mut [u8], length: usize) -> Option<Self> {
        let room = buffer.len().min(MAX_LEN);
        let buffer = &mut buffer[..room];
        let first = *buffer.first()?;
        (HEADER_LEN..=room).contains(&length).then_some(Self {
            buffer,
            length,
            version: first >> 3 & 7,
        })
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Builder<B> {
    /// Replaces the transmit timestamp.
    pub fn set_transmit(&mut self, transmit: NtpTimestamp) {
        if let Some(place) = self.buffer.as_mut().get_mut(TRANSMIT..HEADER_LEN) {
            place.copy_from_slice(&transmit.0.to_be_bytes());
        }
    }

    /// What is there so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.length).unwrap_or_default()
    }

    /// Version of the packet.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Appends an extension field.
    ///
    /// # Errors
    /// The field is not appended.
    pub fn field(&mut self, code: u16, body: &[u8]) -> Result<(), BuildError> {
        let length = FIELD_HEADER + body.len();
        if self.version != 4 {
            return Err(BuildError::Version);
        }
        if length < MIN_FIELD || !length.is_multiple_of(4) {
            return Err(BuildError::FieldLength);
        }
        let (room, length16) = (self.room(length)?, length as u16);
        room[..2].copy_from_slice(&code.to_be_bytes());
        room[2..4].copy_from_slice(&length16.to_be_bytes());
        room[4..].copy_from_slice(body);
        self.length += length;
        Ok(())
    }

    /// Appends a monotonic root field; the default value in requests.
    ///
    /// # Errors
    /// The field is not appended.
    pub fn mono_root(&mut self, value: &MonoRoot) -> Result<(), BuildError> {
        self.field(MONO_ROOT, &value.write())
    }

    /// Appends a network correction field (s; zero in requests). It goes before the monotonic root.
    ///
    /// # Errors
    /// The field is not appended.
    pub fn net_correction(&mut self, seconds: f64) -> Result<(), BuildError> {
        self.field(NET_CORRECTION, &write_correction(seconds))
    }

    /// Appends a MAC; nothing may follow.
    ///
    /// # Errors
    /// The MAC is not appended.
    pub fn mac(&mut self, key: u32, digest: &[u8]) -> Result<(), BuildError> {
        let length = 4 + digest.len();
        let room = self.room(length)?;
        room[..4].copy_from_slice(&key.to_be_bytes());
        room[4..].copy_from_slice(digest);
        self.length += length;
        Ok(())
    }

    fn room(&mut self, length: usize) -> Result<&mut [u8], BuildError> {
        self.buffer
            .as_mut()
            .get_mut(self.length..self.length + length)
            .ok_or(BuildError::TooLong)
    }
}
