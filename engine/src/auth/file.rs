//! The key file (`spec/ntp.md` section 7.1).

use super::{Key, KeyKind, Keys};
use crate::event::keys::KeyEvent;

/// Longest line including its end; what follows is taken as another line.
const MAX_LINE: usize = 2047;

/// Hash functions that chrony knows but that no build with Nettle has.
const UNSUPPORTED: [&[u8]; 2] = [b"TIGER", b"WHIRLPOOL"];

impl Keys {
    /// Reads the text of a key file. Bad lines are skipped; what is wrong with them is in the events, which
    /// end with the number of keys and duplicates. `name` is for messages.
    #[must_use]
    pub fn parse(text: &[u8], name: &str) -> (Self, Vec<KeyEvent>) {
        let mut keys = Vec::new();
        let mut events = Vec::new();
        let lines = text
            .split_inclusive(|&c| c == b'\n')
            .flat_map(|line| line.chunks(MAX_LINE));
        for (number, line) in (1..).zip(lines) {
            match parse_line(line) {
                Ok(key) => keys.extend(key),
                Err(BadLine::Syntax) => events.push(KeyEvent::BadLine {
                    line: number,
                    file: name.to_owned(),
                }),
                Err(BadLine::Key(event)) => events.push(event),
            }
        }
        events.push(KeyEvent::Loaded(keys.len()));
        keys.sort_by_key(Key::id);
        let pairs = keys.iter().zip(keys.iter().skip(1));
        let duplicates = pairs.filter(|(a, b)| a.id() == b.id());
        events.extend(duplicates.map(|(key, _)| KeyEvent::Duplicate(key.id())));
        (Self { keys }, events)
    }
}

/// Why a line has no key.
enum BadLine {
    /// Not two or three words, or no ID.
    Syntax,
    /// Something about the key.
    Key(KeyEvent),
}

fn parse_line(line: &[u8]) -> Result<Option<Key>, BadLine> {
    // Like the C string that chrony reads.
    let line = line.split(|&c| c == 0).next().unwrap_or_default();
    let mut words = line
        .split(|&c| c == 0x0b || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let Some(id) = words.next() else { return Ok(None) };
    if id.first().is_some_and(|c| b"!;#%".contains(c)) {
        return Ok(None);
    }
    let (kind, key) = match (words.next(), words.next(), words.next()) {
        (Some(key), None, _) => (&b"MD5"[..], key),
        (Some(kind), Some(key), None) => (kind, key),
        _ => return Err(BadLine::Syntax),
    };
    let id = parse_id(id).ok_or(BadLine::Syntax)?;
    let key = decode(key).ok_or(BadLine::Key(KeyEvent::Undecodable(id)))?;
    let Some(kind) = KeyKind::from_name(kind) else {
        let known = UNSUPPORTED.contains(&kind);
        return Err(BadLine::Key(if known {
            KeyEvent::UnsupportedHash(id)
        } else {
            KeyEvent::UnknownType(id)
        }));
    };
    let bits = kind.key_len().map_or(0, |octets| 8 * octets as u32);
    let bad_length = BadLine::Key(KeyEvent::BadLength {
        id,
        kind: kind.name(),
        bits,
    });
    Key::new(id, kind, &key).map(Some).ok_or(bad_length)
}

/// A number as `scanf("%u")` of a 64-bit system reads it: optional sign, digits, anything; the lowest 32 bits of
/// what fits into 64.
fn parse_id(word: &[u8]) -> Option<u32> {
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, word),
    };
    let digits = digits.iter().take_while(|c| c.is_ascii_digit());
    let mut value = None;
    for digit in digits {
        let so_far = value.unwrap_or(Some(0_u64));
        value = Some(so_far.and_then(|v| v.checked_mul(10)?.checked_add(u64::from(digit - b'0'))));
    }
    let value = match value? {
        Some(value) if negative => value.wrapping_neg(),
        Some(value) => value,
        None => u64::MAX,
    };
    Some(value as u32)
}

/// The octets of a key's text; `None` if there are none, or not an even number of hexadecimal digits.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let key = if let Some(hex) = text.strip_prefix(b"HEX:") {
        let (pairs, rest) = hex.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
        pairs
            .iter()
            .map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?))
            .collect::<Option<Vec<u8>>>()?
    } else {
        text.strip_prefix(b"ASCII:").unwrap_or(text).to_vec()
    };
    (!key.is_empty()).then_some(key)
}
