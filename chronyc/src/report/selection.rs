//! `selectdata` and `authdata`.

use super::{NAME, WIDE_NAME, leap};
use crate::output::{Age, Choice, Line, Name, Padded, Same, SignedSeconds, Style};
use truechimer_engine::text::Fixed;
use truechimer_engine::wire::command::{AuthMode, AuthReport, SelectBits, SelectReport};

const SELECT: &str = r"  . State: N - noselect, s - unsynchronised, M - missing samples, r - stratum
 /         d/D - large distance, ~ - jittery, w/W - waits for others,
|          S - stale, O - orphan, T - not trusted, P - not preferred,
|          U - waits for update, x - falseticker, + - combined, * - best.
|@   Effective options   ---------.  (N - noselect, P - prefer
|@   Configured options  ----.     \  T - trust, R - require)
|@   Auth. enabled (Y/N) -.   \     \     Offset interval --.
|@                        |    |     |                       |
";

const AUTH: &str = r"@                             .- Auth. mechanism (NTS, SK - symmetric key)
@                            |   Key length -.  Cookie length (bytes) -.
@                            |       (bits)  |  Num. of cookies --.    |
@                            |               |  Key est. attempts  |   |
@                            |               |           |         |   |
";

/// What stands before the rows of `selectdata`.
pub(crate) fn select_header(verbose: bool, style: Style) -> String {
    let captions = if verbose {
        style.captions(SELECT)
    } else {
        String::new()
    };
    captions + &style.header("S Name/IP Address        @Auth COpts EOpts Last Score     Interval  Leap")
}

/// The letters of select options, the last of which has no meaning any more.
fn options(line: Line, options: u16) -> Line {
    let options = SelectBits(options);
    let line = SelectBits::ALL
        .into_iter()
        .zip("NPTR".chars())
        .fold(line, |line, (bit, letter)| {
            line.put(Same(if options.contains(bit) { letter } else { '-' }))
        });
    line.put(Same('-'))
}

/// A row of `selectdata`.
pub(crate) fn select(s: &SelectReport, name: &str, style: Style) -> String {
    let short_leap = match s.leap {
        0 => 'N',
        1 => '+',
        2 => '-',
        _ => '?',
    };
    let line = style
        .line()
        .put(Same(char::from(s.state)))
        .text(" ")
        .put(Name(name, style.name_width(NAME)))
        .text(" ")
        .put(Same(if s.authenticated { 'Y' } else { 'N' }))
        .text(" ");
    let line = options(line, s.configured).text(" ");
    options(line, s.effective)
        .text(" ")
        .put(Age(s.last_sample))
        .text(" ")
        .put(Padded(Fixed(s.score, 1), 5))
        .text(" ")
        .put(SignedSeconds(s.low))
        .text(" ")
        .put(SignedSeconds(s.high))
        .text("  ")
        .put(Choice(short_leap, leap(u16::from(s.leap))))
        .end()
}

/// What stands before the rows of `authdata`.
pub(crate) fn auth_header(verbose: bool, style: Style) -> String {
    let captions = if verbose {
        style.captions(AUTH)
    } else {
        String::new()
    };
    captions + &style.header("Name/IP address            @ Mode KeyID Type KLen Last Atmp  NAK Cook CLen")
}

/// A row of `authdata`.
pub(crate) fn auth(a: &AuthReport, name: &str, style: Style) -> String {
    let mode = match a.mode {
        AuthMode::None => "-",
        AuthMode::Symmetric => "SK",
        AuthMode::Nts => "NTS",
        AuthMode::Unknown => "?",
    };
    style
        .line()
        .put(Name(name, style.name_width(WIDE_NAME)))
        .text(" ")
        .put(Padded(mode, 4))
        .text(" ")
        .put(Padded(a.key_id, 5))
        .text(" ")
        .put(Padded(a.key_type, 4))
        .text(" ")
        .put(Padded(a.key_length, 4))
        .text(" ")
        .put(Age(a.last_ke))
        .text(" ")
        .put(Padded(a.ke_attempts, 4))
        .text(" ")
        .put(Padded(a.nak, 4))
        .text(" ")
        .put(Padded(a.cookies, 4))
        .text(" ")
        .put(Padded(a.cookie_length, 4))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{CSV, HUMAN, WIDE};
    use truechimer_engine::wire::command::Address;

    #[test]
    fn selectdata_as_in_6_4() {
        assert_eq!(
            select_header(false, HUMAN),
            "S Name/IP Address        Auth COpts EOpts Last Score     Interval  Leap
=======================================================================
"
        );
        // State, authenticated, leap; configured and effective options; age; limits in nanoseconds.
        #[rustfmt::skip]
        let rows = [
            ("GPS0", (b'N', false, 0), (1, 1), 0, (0, 0),
             "N GPS0                      N N---- N----    0   1.0    +0ns    +0ns  N\n",
             Some("N,GPS0,N,N,-,-,-,-,N,-,-,-,-,0,1.0,0.000000000,0.000000000,Normal\n")),
            ("127.0.0.11", (b'T', false, 0), (0, 0), 0, (-1908, 2647),
             "T 127.0.0.11                N ----- -----    0   1.0 -1908ns +2647ns  N\n",
             None),
            ("127.0.0.12", (b'*', true, 0), (2, 0xe), 0, (-1947, 2726),
             "* 127.0.0.12                Y -P--- -PTR-    0   1.0 -1947ns +2726ns  N\n",
             Some("*,127.0.0.12,Y,-,P,-,-,-,-,P,T,R,-,0,1.0,-0.000001947,0.000002726,Normal\n")),
            ("127.0.0.13", (b'P', false, 0), (4, 4), 1, (-2913, -1144),
             "P 127.0.0.13                N --T-- --T--    1   1.0 -2913ns -1144ns  N\n",
             None),
            ("127.0.0.15", (b'x', true, 0), (0, 0xc), 0, (-500_000_000, -500_000_000),
             "x 127.0.0.15                Y ----- --TR-    0   1.0  -500ms  -500ms  N\n",
             None),
            ("127.0.0.16", (b'M', false, 3), (0, 0), 0, (0, 0),
             "M 127.0.0.16                N ----- -----    0   1.0    +0ns    +0ns  ?\n",
             Some("M,127.0.0.16,N,-,-,-,-,-,-,-,-,-,-,0,1.0,0.000000000,0.000000000,Not synchronised\n")),
            ("ID#0000000001", (b'N', false, 3), (1, 1), 0, (0, 0),
             "N ID#0000000001             N N---- N----    0   1.0    +0ns    +0ns  ?\n",
             None),
        ];
        let seconds = |nanoseconds: i32| f64::from(nanoseconds) / 1e9;
        for (name, (state, authenticated, leap), (configured, effective), age, (low, high), human, csv) in
            rows
        {
            let s = SelectReport {
                ref_id: 0,
                address: Address::Unspecified,
                state,
                authenticated,
                leap,
                configured,
                effective,
                last_sample: Some(age),
                score: 1.0,
                low: seconds(low),
                high: seconds(high),
            };
            assert_eq!(select(&s, name, HUMAN), human);
            if let Some(csv) = csv {
                assert_eq!(select(&s, name, CSV), csv);
            }
        }
    }

    #[test]
    fn authdata_as_in_6_5() {
        assert_eq!(
            auth_header(false, HUMAN),
            "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen
=========================================================================
"
        );
        let a = AuthReport {
            mode: AuthMode::None,
            key_type: 0,
            key_id: 0,
            key_length: 0,
            ke_attempts: 0,
            last_ke: None,
            cookies: 0,
            cookie_length: 0,
            nak: 0,
        };
        assert_eq!(
            auth(&a, "127.0.0.11", HUMAN),
            "127.0.0.11                     -     0    0    0    -    0    0    0    0\n"
        );
        assert_eq!(
            auth(&a, "127.0.0.11", CSV),
            "127.0.0.11,-,0,0,0,4294967295,0,0,0,0\n"
        );
        let a = AuthReport {
            mode: AuthMode::Nts,
            key_type: 15,
            key_id: 1,
            key_length: 256,
            last_ke: Some(17),
            cookies: 8,
            cookie_length: 100,
            ..a
        };
        assert_eq!(
            auth(&a, "127.0.0.14", HUMAN),
            "127.0.0.14                   NTS     1   15  256   17    0    0    8  100\n"
        );
        assert_eq!(
            auth(&a, "127.0.0.14", CSV),
            "127.0.0.14,NTS,1,15,256,17,0,0,8,100\n"
        );
        let a = AuthReport {
            mode: AuthMode::Symmetric,
            key_type: 13,
            key_id: 30,
            key_length: 128,
            last_ke: None,
            cookies: 0,
            cookie_length: 0,
            ..a
        };
        assert_eq!(
            auth(&a, "127.0.0.12", HUMAN),
            "127.0.0.12                    SK    30   13  128    -    0    0    0    0\n"
        );
        let a = AuthReport {
            key_type: 3,
            key_id: 1,
            key_length: 256,
            ..a
        };
        assert_eq!(
            auth(&a, "127.0.0.15", HUMAN),
            "127.0.0.15                    SK     1    3  256    -    0    0    0    0\n"
        );
    }

    #[test]
    fn captions_as_in_6_4_and_6_5() {
        assert_eq!(
            select_header(true, HUMAN).strip_suffix(&select_header(false, HUMAN)),
            Some(
                r"  . State: N - noselect, s - unsynchronised, M - missing samples, r - stratum
 /         d/D - large distance, ~ - jittery, w/W - waits for others,
|          S - stale, O - orphan, T - not trusted, P - not preferred,
|          U - waits for update, x - falseticker, + - combined, * - best.
|   Effective options   ---------.  (N - noselect, P - prefer
|   Configured options  ----.     \  T - trust, R - require)
|   Auth. enabled (Y/N) -.   \     \     Offset interval --.
|                        |    |     |                       |
"
            )
        );
        assert_eq!(
            auth_header(true, HUMAN).strip_suffix(&auth_header(false, HUMAN)),
            Some(
                r"                             .- Auth. mechanism (NTS, SK - symmetric key)
                            |   Key length -.  Cookie length (bytes) -.
                            |       (bits)  |  Num. of cookies --.    |
                            |               |  Key est. attempts  |   |
                            |               |           |         |   |
"
            )
        );
    }

    #[test]
    fn captions_move_with_wide_names() {
        let text = select_header(true, WIDE);
        assert!(
            text.contains("\n|                 Configured options  ----.     \\  T - trust, R - require)\n")
        );
        assert!(text.contains("\nS Name/IP Address                      Auth COpts"));
        assert!(auth_header(true, WIDE).starts_with("                                           .- Auth."));
    }
}
