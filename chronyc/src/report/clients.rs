//! `clients`.

use super::NAME;
use crate::output::{Age, LogInterval, Name, Padded, Style};
use truechimer_engine::wire::command::ClientRecord;

/// What stands before the rows; `nke`: with NTS-KE instead of commands.
pub(crate) fn clients_header(nke: bool, style: Style) -> String {
    let title = if nke { "NTS-KE" } else { "Cmd" };
    style.header(&format!(
        "Hostname                 @     NTP   Drop Int IntL Last  {title:>6}   Drop Int  Last"
    ))
}

/// A row.
pub(crate) fn client(c: &ClientRecord, name: &str, nke: bool, style: Style) -> String {
    let (hits, drops, interval, last) = if nke {
        (c.nke_hits, c.nke_drops, c.nke_interval, c.last_nke)
    } else {
        (c.cmd_hits, c.cmd_drops, c.cmd_interval, c.last_cmd)
    };
    style
        .line()
        .put(Name(name, style.name_width(NAME)))
        .text("  ")
        .put(Padded(c.ntp_hits, 6))
        .text("  ")
        .put(Padded(c.ntp_drops, 5))
        .text("  ")
        .put(LogInterval(c.ntp_interval))
        .text("  ")
        .put(LogInterval(c.ntp_timeout_interval))
        .text("  ")
        .put(Age(c.last_ntp))
        .text("  ")
        .put(Padded(hits, 6))
        .text("  ")
        .put(Padded(drops, 5))
        .text("  ")
        .put(LogInterval(interval))
        .text("  ")
        .put(Age(last))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use truechimer_engine::wire::command::Address;

    #[test]
    fn as_in_6_8() {
        assert_eq!(
            clients_header(false, Style::default()),
            "Hostname                      NTP   Drop Int IntL Last     Cmd   Drop Int  Last
===============================================================================
"
        );
        assert_eq!(
            clients_header(
                true,
                Style {
                    csv: false,
                    wide: true
                }
            )
            .lines()
            .next()
            .map(str::len),
            Some(93)
        );
        let c = ClientRecord {
            address: Address::of_refclock(0xc000_0201),
            ntp_hits: 123_456,
            nke_hits: 7,
            cmd_hits: 8,
            ntp_drops: 1,
            nke_drops: 2,
            cmd_drops: 3,
            ntp_interval: Some(6),
            nke_interval: None,
            cmd_interval: Some(-5),
            ntp_timeout_interval: Some(10),
            last_ntp: Some(5),
            last_nke: None,
            last_cmd: Some(400_000),
        };
        let human = Style::default();
        let csv = Style {
            csv: true,
            wide: false,
        };
        assert_eq!(
            client(&c, "192.0.2.1", false, human),
            "192.0.2.1                  123456      1   6  10     5       8      3  -5    4d\n"
        );
        assert_eq!(
            client(&c, "192.0.2.1", false, csv),
            "192.0.2.1,123456,1,6,10,5,8,3,-5,400000\n"
        );
        assert_eq!(
            client(&c, "192.0.2.1", true, human),
            "192.0.2.1                  123456      1   6  10     5       7      2   -     -\n"
        );
        let c = ClientRecord {
            ntp_hits: 4,
            cmd_hits: 0,
            ntp_drops: 0,
            cmd_drops: 0,
            ntp_interval: Some(-3),
            cmd_interval: None,
            ntp_timeout_interval: None,
            last_cmd: None,
            ..c
        };
        assert_eq!(
            client(&c, "127.0.0.21", false, csv),
            "127.0.0.21,4,0,-3,127,5,0,0,127,4294967295\n"
        );
        let c = ClientRecord {
            last_ntp: Some(3),
            ..c
        };
        assert_eq!(
            client(&c, "127.0.0.21", false, human),
            "127.0.0.21                      4      0  -3   -     3       0      0   -     -\n"
        );
        let c = ClientRecord {
            ntp_hits: 0,
            cmd_hits: 94,
            ntp_interval: None,
            cmd_interval: Some(-5),
            last_ntp: None,
            last_cmd: Some(1),
            ..c
        };
        assert_eq!(
            client(&c, "localhost", false, human),
            "localhost                       0      0   -   -     -      94      0  -5     1\n"
        );
    }
}
