//! One key and the codes that it makes.

use super::KeyKind;
use crate::wire::ntp::MAX_V4_DIGEST;
use aes::{Aes128, Aes256};
use cmac::{Cmac, KeyInit, Mac as _};
use md5::{Digest, Md5};
use std::fmt;

/// Shorter keys than this get a warning when a source uses them, octets.
const SHORT_KEY: usize = 10;

/// What a digest is computed with.
enum Secret {
    /// Digest = hash(secret, message).
    Hash(Vec<u8>),
    /// AES-CMAC (RFC 4493).
    Aes128(Box<Cmac<Aes128>>),
    /// AES-CMAC.
    Aes256(Box<Cmac<Aes256>>),
}

/// A symmetric key.
pub struct Key {
    id: u32,
    kind: KeyKind,
    bytes: usize,
    secret: Secret,
}

/// Keys don't show up in logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A digest of at most 64 octets.
#[derive(Clone, Copy, Debug)]
pub struct Mac {
    octets: [u8; 64],
    length: usize,
}

impl Mac {
    fn new(digest: &[u8]) -> Self {
        let mut octets = [0; 64];
        let length = digest.len().min(octets.len());
        octets[..length].copy_from_slice(&digest[..length]);
        Self { octets, length }
    }
}

impl AsRef<[u8]> for Mac {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl Key {
    /// A key; `None` if a cipher's key has the wrong length.
    pub(super) fn new(id: u32, kind: KeyKind, bytes: &[u8]) -> Option<Self> {
        let secret = match kind {
            KeyKind::Aes128 => Secret::Aes128(Box::new(Cmac::new_from_slice(bytes).ok()?)),
            KeyKind::Aes256 => Secret::Aes256(Box::new(Cmac::new_from_slice(bytes).ok()?)),
            _ => Secret::Hash(bytes.to_vec()),
        };
        Some(Self {
            id,
            kind,
            bytes: bytes.len(),
            secret,
        })
    }

    /// Key ID.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Type.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Length of the key in bits, for reports.
    #[must_use]
    pub const fn bits(&self) -> usize {
        8 * self.bytes
    }

    /// True if a source that uses the key gets a warning.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.bytes < SHORT_KEY
    }

    /// The digest for a packet of this version: whole, but cut to 20 octets in version 4.
    #[must_use]
    pub fn mac(&self, version: u8, message: &[u8]) -> Mac {
        let mut mac = self.digest(message);
        if version == 4 {
            mac.length = mac.length.min(MAX_V4_DIGEST);
        }
        mac
    }

    /// True if this is the digest that belongs to the message. It must have exactly the length that
    /// [`Key::mac`] gives. Takes the same time for every digest of that length.
    #[must_use]
    pub fn verify(&self, version: u8, message: &[u8], digest: &[u8]) -> bool {
        let expected = match version {
            4 => self.kind.digest_len().min(MAX_V4_DIGEST),
            _ => self.kind.digest_len(),
        };
        digest.len() == expected && same(self.mac(version, message).as_ref(), digest)
    }

    fn digest(&self, message: &[u8]) -> Mac {
        match (&self.secret, self.kind) {
            (Secret::Aes128(cmac), _) => Mac::new(
                &cmac
                    .as_ref()
                    .clone()
                    .chain_update(message)
                    .finalize()
                    .into_bytes(),
            ),
            (Secret::Aes256(cmac), _) => Mac::new(
                &cmac
                    .as_ref()
                    .clone()
                    .chain_update(message)
                    .finalize()
                    .into_bytes(),
            ),
            (Secret::Hash(key), KeyKind::Sha1) => hash::<sha1::Sha1>(key, message),
            (Secret::Hash(key), KeyKind::Sha256) => hash::<sha2::Sha256>(key, message),
            (Secret::Hash(key), KeyKind::Sha384) => hash::<sha2::Sha384>(key, message),
            (Secret::Hash(key), KeyKind::Sha512) => hash::<sha2::Sha512>(key, message),
            (Secret::Hash(key), KeyKind::Sha3_224) => hash::<sha3::Sha3_224>(key, message),
            (Secret::Hash(key), KeyKind::Sha3_256) => hash::<sha3::Sha3_256>(key, message),
            (Secret::Hash(key), KeyKind::Sha3_384) => hash::<sha3::Sha3_384>(key, message),
            (Secret::Hash(key), KeyKind::Sha3_512) => hash::<sha3::Sha3_512>(key, message),
            (Secret::Hash(key), KeyKind::Md5 | KeyKind::Aes128 | KeyKind::Aes256) => {
                hash::<Md5>(key, message)
            }
        }
    }
}

fn hash<D: Digest>(key: &[u8], message: &[u8]) -> Mac {
    Mac::new(&D::new().chain_update(key).chain_update(message).finalize())
}

/// Compares two slices of the same length without ending at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y));
    core::hint::black_box(difference) == 0
}
