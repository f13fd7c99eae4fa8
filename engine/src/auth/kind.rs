//! Types of keys (`spec/ntp.md` section 7.2).

/// A hash function or cipher that this build has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum KeyKind {
    /// `MD5`
    Md5 = 1,
    /// `SHA1`
    Sha1 = 2,
    /// `SHA256`
    Sha256 = 3,
    /// `SHA384`
    Sha384 = 4,
    /// `SHA512`
    Sha512 = 5,
    /// `SHA3-224`
    Sha3_224 = 6,
    /// `SHA3-256`
    Sha3_256 = 7,
    /// `SHA3-384`
    Sha3_384 = 8,
    /// `SHA3-512`
    Sha3_512 = 9,
    /// `AES128`
    Aes128 = 13,
    /// `AES256`
    Aes256 = 14,
}

impl KeyKind {
    const ALL: [Self; 11] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Aes128,
        Self::Aes256,
    ];

    /// The type with this name, in capital letters as in key files.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }

    /// Name in key files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
            Self::Sha3_224 => "SHA3-224",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_384 => "SHA3-384",
            Self::Sha3_512 => "SHA3-512",
            Self::Aes128 => "AES128",
            Self::Aes256 => "AES256",
        }
    }

    /// Number in reports.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Octets of an uncut digest.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 | Self::Aes128 | Self::Aes256 => 16,
            Self::Sha1 => 20,
            Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    /// Octets that a key must have; none: any number.
    #[must_use]
    pub const fn key_len(self) -> Option<usize> {
        match self {
            Self::Aes128 => Some(16),
            Self::Aes256 => Some(32),
            _ => None,
        }
    }
}
