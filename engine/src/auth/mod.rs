//! Symmetric keys: the key file, message authentication codes (`spec/ntp.md` sections 1.5 and 7).

mod file;
mod key;
mod kind;
#[cfg(test)]
mod tests;

pub use key::{Key, Mac};
pub use kind::KeyKind;

use crate::wire::ntp::{Auth, BuildError, Builder, Packet};

/// Why a packet cannot be authenticated; it is then not to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    /// There is no key with this ID.
    #[error("key {0} is missing")]
    NoKey(u32),
    /// There is no room for the MAC.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// All keys of the key file. A key has no trust flag: any of them authenticates a request.
#[derive(Debug, Default)]
pub struct Keys {
    /// By ascending ID.
    keys: Vec<Key>,
}

impl Keys {
    /// Looks a key up.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Key> {
        let first = self.keys.partition_point(|key| key.id() < id);
        self.keys.get(first).filter(|key| key.id() == id)
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// True if the packet has a MAC, made with one of these keys.
    #[must_use]
    pub fn verify(&self, packet: &Packet<'_>) -> bool {
        let Auth::Symmetric(id) = packet.auth else {
            return false;
        };
        self.get(id)
            .is_some_and(|key| key.verify(packet.header.version, packet.message(), packet.digest()))
    }

    /// Appends the MAC to a packet that is complete otherwise.
    ///
    /// # Errors
    /// The packet is not to be sent.
    pub fn sign<B: AsRef<[u8]> + AsMut<[u8]>>(
        &self,
        id: u32,
        packet: &mut Builder<B>,
    ) -> Result<(), SignError> {
        let key = self.get(id).ok_or(SignError::NoKey(id))?;
        let mac = key.mac(packet.version(), packet.bytes());
        Ok(packet.mac(id, mac.as_ref())?)
    }
}
