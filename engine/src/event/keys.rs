//! Messages about the key file (`spec/ntp.md` section 7.1).

use super::Severity;
use std::fmt;

/// Messages about symmetric keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyEvent {
    /// The file cannot be opened.
    CannotOpen {
        /// Its name.
        file: String,
    },
    /// Its mode lets others read it.
    WorldReadable {
        /// Its name.
        file: String,
    },
    /// Its mode lets others write it.
    WorldWritable {
        /// Its name.
        file: String,
    },
    /// A line that is not an ID, a type and a key.
    BadLine {
        /// Number of the line.
        line: u32,
        /// Name of the file.
        file: String,
    },
    /// The key's text is empty or bad hexadecimal.
    Undecodable(u32),
    /// The hash function is known but not built in.
    UnsupportedHash(u32),
    /// A cipher's key of the wrong length.
    BadLength {
        /// Key ID.
        id: u32,
        /// Name of the type.
        kind: &'static str,
        /// Length that it should have, bits.
        bits: u32,
    },
    /// The name of the type is unknown.
    UnknownType(u32),
    /// How many keys there are now.
    Loaded(usize),
    /// More than one key has this ID.
    Duplicate(u32),
    /// A source wants a key that does not exist.
    Missing(u32),
    /// A source wants a key shorter than 10 octets.
    TooShort(u32),
}

impl KeyEvent {
    /// How serious it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Loaded(_) => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for KeyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotOpen { file } => write!(f, "Could not open keyfile {file}"),
            Self::WorldReadable { file } => write!(f, "World-readable permissions on {file}"),
            Self::WorldWritable { file } => write!(f, "World-writable permissions on {file}"),
            Self::BadLine { line, file } => write!(f, "Could not parse key at line {line} in file {file}"),
            Self::Undecodable(id) => write!(f, "Could not decode key {id}"),
            Self::UnsupportedHash(id) => write!(f, "Unsupported hash function in key {id}"),
            Self::BadLength { id, kind, bits } => {
                write!(f, "Invalid length of {kind} key {id} (expected {bits} bits)")
            }
            Self::UnknownType(id) => write!(f, "Invalid type in key {id}"),
            Self::Loaded(count) => write!(f, "Loaded {count} symmetric keys"),
            Self::Duplicate(id) => write!(f, "Detected duplicate key {id}"),
            Self::Missing(id) => write!(f, "Key {id} is missing"),
            Self::TooShort(id) => write!(f, "Key {id} is too short"),
        }
    }
}
