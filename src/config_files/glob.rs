//! File names by pattern, as POSIX `glob` finds them (`spec/config.md` 4.1): `*`, `?`, `[...]`, `\`; names
//! that start with a dot only if the pattern says so; sorted by octets.

use std::fs;
use std::io::{self, ErrorKind};

/// The paths that match. A pattern without special characters is its own result.
///
/// # Errors
///
/// A directory does not exist or cannot be read.
pub(super) fn glob(pattern: &str) -> io::Result<Vec<String>> {
    if !pattern.contains(['*', '?', '[', '\\']) {
        let trimmed = pattern.trim_end_matches('/');
        return Ok(vec![
            if trimmed.is_empty() { pattern } else { trimmed }.to_owned(),
        ]);
    }
    let mut paths = vec![String::new()];
    let mut searched = false;
    // An escaped slash is still a slash.
    for (index, part) in pattern.replace("\\/", "/").split('/').enumerate() {
        if index > 0 {
            for path in &mut paths {
                path.push('/');
            }
        }
        let tokens = tokens(part.as_bytes());
        if let Some(name) = literal(&tokens) {
            for path in &mut paths {
                path.push_str(&name);
            }
            continue;
        }
        let mut found = Vec::new();
        for directory in &paths {
            // What a wildcard before this one has found need not have such a directory.
            if searched && !exists(directory) {
                continue;
            }
            found.extend(names(directory, &tokens)?);
        }
        paths = found;
        searched = true;
    }
    paths.retain(|path| exists(path));
    paths.sort();
    Ok(paths)
}

/// Is there such a name, even of a broken link?
fn exists(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The paths in a directory whose names match.
fn names(directory: &str, pattern: &[Token]) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(if directory.is_empty() { "." } else { directory }) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        // A name that is no UTF-8 stays in the list and fails to open: better than to leave it out silently.
        let name = entry?.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !matches!(pattern.first(), Some(Token::Octet(b'.')));
        if !hidden && matches(pattern, name.as_bytes()) {
            found.push(format!("{directory}{name}"));
        }
    }
    Ok(found)
}

/// A piece of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    /// This octet.
    Octet(u8),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `[...]`: the octets that match.
    Set(Vec<u8>),
}

fn tokens(mut pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let [first, rest @ ..] = pattern {
        let (token, rest) = match (first, rest) {
            (b'*', _) => (Token::Many, rest),
            (b'?', _) => (Token::Any, rest),
            (b'\\', [escaped, rest @ ..]) => (Token::Octet(*escaped), rest),
            (b'[', _) => set(rest).unwrap_or((Token::Octet(b'['), rest)),
            (other, _) => (Token::Octet(*other), rest),
        };
        tokens.push(token);
        pattern = rest;
    }
    tokens
}

/// The text, if there is no wildcard.
fn literal(tokens: &[Token]) -> Option<String> {
    let octet = |token: &Token| match token {
        Token::Octet(octet) => Some(*octet),
        Token::Any | Token::Many | Token::Set(_) => None,
    };
    let octets: Vec<u8> = tokens.iter().map(octet).collect::<Option<_>>()?;
    Some(String::from_utf8_lossy(&octets).into_owned())
}

/// The set behind `[`; `None` if it is not closed.
fn set(pattern: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut members = [false; 256];
    let mut first = true;
    loop {
        match rest {
            [b']', after @ ..] if !first => {
                let octets = (0..=u8::MAX)
                    .zip(members)
                    .filter(|(_, member)| *member != negated);
                return Some((Token::Set(octets.map(|(octet, _)| octet).collect()), after));
            }
            [b'[', b':', after @ ..] => {
                let length = after.windows(2).position(|two| two == b":]")?;
                let (name, after) = after.split_at_checked(length)?;
                for (octet, member) in (0..=u8::MAX).zip(&mut members) {
                    *member |= in_class(name, octet);
                }
                rest = after.get(2..)?;
            }
            _ => {
                let (from, after) = octet(rest)?;
                let (to, after) = match after {
                    [b'-', next, ..] if *next != b']' => octet(after.get(1..)?)?,
                    _ => (from, after),
                };
                for (octet, member) in (0..=u8::MAX).zip(&mut members) {
                    *member |= (from..=to).contains(&octet);
                }
                rest = after;
            }
        }
        first = false;
    }
}

fn octet(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [b'\\', octet, rest @ ..] | [octet, rest @ ..] => Some((*octet, rest)),
        [] => None,
    }
}

/// Classes of the C locale.
fn in_class(name: &[u8], octet: u8) -> bool {
    match name {
        b"alnum" => octet.is_ascii_alphanumeric(),
        b"alpha" => octet.is_ascii_alphabetic(),
        b"blank" => matches!(octet, b' ' | b'\t'),
        b"cntrl" => octet.is_ascii_control(),
        b"digit" => octet.is_ascii_digit(),
        b"graph" => octet.is_ascii_graphic(),
        b"lower" => octet.is_ascii_lowercase(),
        b"print" => octet.is_ascii_graphic() || octet == b' ',
        b"punct" => octet.is_ascii_punctuation(),
        b"space" => octet.is_ascii_whitespace() || octet == 0x0b,
        b"upper" => octet.is_ascii_uppercase(),
        b"xdigit" => octet.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Does the whole name match? Takes time proportional to the product of the lengths at most.
fn matches(pattern: &[Token], name: &[u8]) -> bool {
    let (mut tokens, mut left) = (pattern, name);
    // Behind the last `*`, and the first octet that it does not cover yet.
    let mut retry: Option<(&[Token], &[u8])> = None;
    loop {
        match (tokens, left) {
            ([], []) => return true,
            ([Token::Many, rest @ ..], _) => {
                retry = Some((rest, left));
                tokens = rest;
                continue;
            }
            ([token, rest @ ..], [octet, after @ ..]) => {
                let fits = match token {
                    Token::Octet(wanted) => wanted == octet,
                    Token::Set(octets) => octets.contains(octet),
                    Token::Any | Token::Many => true,
                };
                if fits {
                    (tokens, left) = (rest, after);
                    continue;
                }
            }
            _ => (),
        }
        match retry {
            Some((behind, [_, after @ ..])) => {
                retry = Some((behind, after));
                (tokens, left) = (behind, after);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, name: &str) -> bool {
        matches(&tokens(pattern.as_bytes()), name.as_bytes())
    }

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("*.conf", "a.conf.conf"),
            ("a*b*c", "axxbbc"),
            ("?[12]", "a1"),
            ("[!1]", "2"),
            ("[^1-3]", "4"),
            ("[]1]", "]"),
            ("[[:digit:]x]", "7"),
            ("[a\\]]", "]"),
            ("\\*", "*"),
            ("[x", "[x"),
            ("[", "["),
            ("[a-]", "-"),
            ("**", ""),
        ] {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.CONF"),
            ("a*b", "abc"),
            ("?", ""),
            ("[!1]", "1"),
            ("\\*", "a"),
            ("[z-a]", "b"),
        ] {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_hard_pattern_is_quick() {
        let name = "a".repeat(2000);
        assert!(!is_match(&format!("{}b", "a*".repeat(500)), &name));
    }

    #[test]
    fn directories() -> io::Result<()> {
        let root = std::env::temp_dir().join(format!("truechimer-glob-{}", std::process::id()));
        for directory in ["a1/sub", "a2", "c"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for file in [
            "a1/1.conf",
            "a1/.h.conf",
            "a1/sub/2.conf",
            "a2/3.conf",
            "file",
            "b\\c",
        ] {
            fs::write(root.join(file), "")?;
        }
        std::os::unix::fs::symlink("/none", root.join("c/0.conf"))?;
        let base = format!("{}/", root.display());
        let find = |pattern: &str| {
            let found = glob(&format!("{base}{pattern}")).ok()?;
            Some(
                found
                    .iter()
                    .map(|path| path.replace(&base, ""))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        let found = [
            ("a*/*.conf", "a1/1.conf a2/3.conf"),
            ("a*/sub/*.conf", "a1/sub/2.conf"),
            ("a*/sub", "a1/sub"),
            ("a1//*.conf", "a1//1.conf"),
            ("a1/.*", "a1/.h.conf"),
            ("c/*", "c/0.conf"),
            ("*/none/*.conf", ""),
            ("n*/*.conf", ""),
            ("file/*.conf", ""),
            ("[", ""),
            ("none", "none"),
            ("a1\\/1.conf", "a1/1.conf"),
            ("a1/1.conf/", "a1/1.conf"),
            ("b\\\\c", "b\\c"),
            ("b\\c", ""),
        ];
        for (pattern, expected) in found {
            assert_eq!(find(pattern).as_deref(), Some(expected), "{pattern}");
        }
        assert_eq!(find("none/*.conf"), None);
        assert_eq!(find("{a1,a2}/*.conf"), None);
        fs::remove_dir_all(root)
    }
}
