//! What becomes of a datagram, told by `spec/ntp.md` sections 1.3 to 1.7 and 5.1 as plainly as possible.

use truechimer_engine::auth::Keys;

/// Octets of a header.
pub(crate) const HEADER: usize = 48;
/// Octets of the extension fields that are known.
const FIELD: usize = 28;
/// Longest message.
const MAX: usize = 1140;

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is no request, or not of somebody who may ask.
    Ignored,
    /// A request with an authentication that does not hold.
    Refused,
    /// A request that is answered.
    Answered(Answer),
}

/// The reply to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) version: u8,
    pub(crate) mode: u8,
    /// Key of the reply's MAC.
    pub(crate) key: Option<u32>,
    pub(crate) mono_root: bool,
    pub(crate) correction: bool,
    /// Whole length.
    pub(crate) length: usize,
}

/// Where it comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sender {
    pub(crate) allowed: bool,
    /// From the port of servers.
    pub(crate) server_port: bool,
}

/// What is behind the header.
#[derive(Default)]
struct Behind {
    /// Where the MAC begins.
    mac: Option<usize>,
    nts: bool,
    mono_root: bool,
    correction: bool,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

pub(crate) const fn version_of(first: u8) -> u8 {
    first >> 3 & 7
}

pub(crate) const fn mode_of(first: u8) -> u8 {
    first & 7
}

/// Section 1.3; none: invalid.
fn behind(bytes: &[u8]) -> Option<Behind> {
    let mut found = Behind::default();
    let length = bytes.len();
    if !(HEADER..=MAX).contains(&length) || !length.is_multiple_of(4) {
        return None;
    }
    match version_of(bytes[0]) {
        1..=3 => {
            found.mac = (length > HEADER).then_some(HEADER);
            return Some(found);
        }
        4 => {}
        _ => return None,
    }
    if length == HEADER + 4 && u32_at(bytes, HEADER) == 0 {
        // A crypto-NAK.
        found.mac = Some(HEADER);
        return Some(found);
    }
    let mut at = HEADER;
    while at < length {
        let left = length - at;
        if (20..=24).contains(&left) {
            found.mac = Some(at);
            break;
        }
        if left <= 24 {
            return None;
        }
        let (kind, size) = (u16_at(bytes, at), usize::from(u16_at(bytes, at + 2)));
        if size < 16 || !size.is_multiple_of(4) || size > left {
            return None;
        }
        match kind {
            0x0104 | 0x0204 | 0x0304 | 0x0404 => found.nts = true,
            0xf323 if size == FIELD && u32_at(bytes, at + 4) == 0xf5be_dd9a => found.mono_root = true,
            0x010a if size == FIELD => found.correction = true,
            _ => {}
        }
        at += size;
    }
    Some(found)
}

/// A request that Samba's clients send, which wants a signature and has none.
pub(crate) fn wants_signature(bytes: &[u8]) -> bool {
    bytes.len() == HEADER + 20
        && version_of(bytes[0]) == 3
        && u32_at(bytes, HEADER) != 0
        && bytes[HEADER + 4..].iter().all(|&octet| octet == 0)
}

/// What a server with these keys and `ptpport`, but neither NTS nor a signing daemon, makes of it.
pub(crate) fn fate(bytes: &[u8], from: Sender, keys: &Keys) -> Fate {
    let Some(behind) = behind(bytes).filter(|_| from.allowed) else {
        return Fate::Ignored;
    };
    let version = version_of(bytes[0]);
    let mode = match mode_of(bytes[0]) {
        1 => 2,
        3 => 4,
        0 if version == 1 && !from.server_port => 4,
        _ => return Fate::Ignored,
    };
    let mut length = HEADER + FIELD * (usize::from(behind.mono_root) + usize::from(behind.correction));
    let mut key = None;
    if let Some(at) = behind.mac {
        let (id, digest) = (u32_at(bytes, at), &bytes[at + 4..]);
        let holds = |id| {
            keys.get(id)
                .is_some_and(|key| key.mac(version, &bytes[..at]).as_ref() == digest)
        };
        if !holds(id) {
            return Fate::Refused;
        }
        key = Some(id);
        length += bytes.len() - at;
    } else if behind.nts {
        return Fate::Refused;
    }
    Fate::Answered(Answer {
        version,
        mode,
        key,
        mono_root: behind.mono_root,
        correction: behind.correction,
        length,
    })
}
