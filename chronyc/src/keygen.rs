//! `keygen` (`spec/chronyc.md` section 4).

use crate::command::scan;
use crate::transport::Link;

/// Shortest and longest key of a hash function, octets.
const LENGTHS: (u32, u32) = (10, 512);

const HASHES: [&str; 9] = [
    "MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512",
];

/// What is to be generated.
#[derive(Debug, Eq, PartialEq)]
struct Wanted {
    id: u32,
    kind: String,
    /// Octets.
    length: usize,
}

fn parse(words: &[String]) -> Result<Wanted, String> {
    const SYNTAX: &str = "Invalid syntax for keygen command";
    if words.len() > 3 {
        return Err(SYNTAX.to_owned());
    }
    let number = |index: usize, default| match words.get(index) {
        Some(word) => scan::unsigned(word).ok_or(SYNTAX),
        None => Ok(default),
    };
    let id = number(0, 1)?;
    let kind = words.get(1).map_or("SHA1", String::as_str);
    let bits = number(2, 160)?;
    let length = match kind {
        "AES128" => 16,
        "AES256" => 32,
        _ if HASHES.contains(&kind) => bits.div_ceil(8).clamp(LENGTHS.0, LENGTHS.1),
        _ => return Err(format!("Unknown hash function or cipher {kind}")),
    };
    Ok(Wanted {
        id,
        kind: kind.to_owned(),
        length: length as usize,
    })
}

/// The line for the key file, or words for standard error.
pub(crate) fn keygen(words: &[String], link: &mut Link) -> Result<String, String> {
    let wanted = parse(words)?;
    let key = link
        .secret(wanted.length)
        .map_err(|error| format!("Could not read random bytes : {error}"))?;
    Ok(line(&wanted, &key))
}

fn line(wanted: &Wanted, key: &[u8]) -> String {
    let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{} {} HEX:{hex}\n", wanted.id, wanted.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        parse(
            &line
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    fn wanted(id: u32, kind: &str, length: usize) -> Result<Wanted, String> {
        Ok(Wanted {
            id,
            kind: kind.to_owned(),
            length,
        })
    }

    #[test]
    fn lengths() {
        assert_eq!(read(""), wanted(1, "SHA1", 20));
        assert_eq!(read("5 AES128"), wanted(5, "AES128", 16));
        assert_eq!(read("5 AES256 8"), wanted(5, "AES256", 32));
        assert_eq!(read("1 MD5 8"), wanted(1, "MD5", 10));
        assert_eq!(read("1 MD5 129"), wanted(1, "MD5", 17));
        assert_eq!(read("1 SHA3-512 99999"), wanted(1, "SHA3-512", 512));
        assert_eq!(read("-5"), wanted(4_294_967_291, "SHA1", 20));
    }

    #[test]
    fn line_as_in_4() {
        let key = 0x8dc4_c1c5_98f7_1376_c3ee_52d7_92a2_20b0_u128.to_be_bytes();
        assert_eq!(
            line(&read("5 AES128").unwrap(), &key),
            "5 AES128 HEX:8DC4C1C598F71376C3EE52D792A220B0\n"
        );
    }

    #[test]
    fn errors() {
        assert_eq!(read("x").unwrap_err(), "Invalid syntax for keygen command");
        assert_eq!(read("1 SHA1 x").unwrap_err(), "Invalid syntax for keygen command");
        assert_eq!(
            read("1 SHA1 160 x").unwrap_err(),
            "Invalid syntax for keygen command"
        );
        assert_eq!(
            read("1 sha1").unwrap_err(),
            "Unknown hash function or cipher sha1"
        );
    }
}
