//! The 48 octets of the header (`spec/ntp.md` section 1.1).

use super::{HEADER_LEN, NtpShort};
use crate::time::NtpTimestamp;

/// Mode of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// 0
    #[default]
    Undefined = 0,
    /// 1
    Active = 1,
    /// 2
    Passive = 2,
    /// 3
    Client = 3,
    /// 4
    Server = 4,
    /// 5
    Broadcast = 5,
    /// 6, never supported.
    Control = 6,
    /// 7, never supported.
    Private = 7,
}

impl Mode {
    /// From the three lowest bits; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Undefined,
            1 => Self::Active,
            2 => Self::Passive,
            3 => Self::Client,
            4 => Self::Server,
            5 => Self::Broadcast,
            6 => Self::Control,
            _ => Self::Private,
        }
    }
}

/// The values of the header as they are on the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// 0 normal, 1 insert, 2 delete, 3 unsynchronised.
    pub leap: u8,
    /// 1 to 4 in parsed packets.
    pub version: u8,
    /// Mode.
    pub mode: Mode,
    /// Stratum; 16 and more is written as 0.
    pub stratum: u8,
    /// log2 s.
    pub poll: i8,
    /// log2 s.
    pub precision: i8,
    /// Root delay.
    pub root_delay: NtpShort,
    /// Root dispersion.
    pub root_dispersion: NtpShort,
    /// Reference ID.
    pub refid: u32,
    /// Reference timestamp.
    pub reference: NtpTimestamp,
    /// Originate timestamp.
    pub originate: NtpTimestamp,
    /// Receive timestamp.
    pub receive: NtpTimestamp,
    /// Transmit timestamp.
    pub transmit: NtpTimestamp,
}

impl Header {
    /// Reads the fields; no value is refused.
    #[must_use]
    pub fn read(b: &[u8; HEADER_LEN]) -> Self {
        let word = |i: usize| u32::from_be_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        let timestamp = |i: usize| NtpTimestamp(u64::from(word(i)) << 32 | u64::from(word(i + 4)));
        Self {
            leap: b[0] >> 6,
            version: b[0] >> 3 & 7,
            mode: Mode::from_bits(b[0]),
            stratum: b[1],
            poll: b[2] as i8,
            precision: b[3] as i8,
            root_delay: NtpShort(word(4)),
            root_dispersion: NtpShort(word(8)),
            refid: word(12),
            reference: timestamp(16),
            originate: timestamp(24),
            receive: timestamp(32),
            transmit: timestamp(40),
        }
    }

    /// The octets.
    #[must_use]
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        b[0] = (self.leap & 3) << 6 | (self.version & 7) << 3 | self.mode as u8;
        b[1] = if self.stratum < 16 { self.stratum } else { 0 };
        b[2] = self.poll as u8;
        b[3] = self.precision as u8;
        b[4..8].copy_from_slice(&self.root_delay.0.to_be_bytes());
        b[8..12].copy_from_slice(&self.root_dispersion.0.to_be_bytes());
        b[12..16].copy_from_slice(&self.refid.to_be_bytes());
        b[16..24].copy_from_slice(&self.reference.0.to_be_bytes());
        b[24..32].copy_from_slice(&self.originate.0.to_be_bytes());
        b[32..40].copy_from_slice(&self.receive.0.to_be_bytes());
        b[40..48].copy_from_slice(&self.transmit.0.to_be_bytes());
        b
    }
}
