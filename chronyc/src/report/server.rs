//! `serverstats`.

use crate::output::{Same, Style};
use truechimer_engine::wire::command::ServerStatsReport;

/// The record.
pub(crate) fn server_stats(s: &ServerStatsReport, style: Style) -> String {
    style
        .line()
        .row("NTP packets received       : ", Same(s.ntp_hits))
        .row("NTP packets dropped        : ", Same(s.ntp_drops))
        .row("Command packets received   : ", Same(s.cmd_hits))
        .row("Command packets dropped    : ", Same(s.cmd_drops))
        .row("Client log records dropped : ", Same(s.log_drops))
        .row("NTS-KE connections accepted: ", Same(s.nke_hits))
        .row("NTS-KE connections dropped : ", Same(s.nke_drops))
        .row("Authenticated NTP packets  : ", Same(s.ntp_auth_hits))
        .row("Interleaved NTP packets    : ", Same(s.ntp_interleaved_hits))
        .row("NTP timestamps held        : ", Same(s.ntp_timestamps))
        .row("NTP timestamp span         : ", Same(s.ntp_span))
        .row("NTP daemon RX timestamps   : ", Same(s.daemon_rx))
        .row("NTP daemon TX timestamps   : ", Same(s.daemon_tx))
        .row("NTP kernel RX timestamps   : ", Same(s.kernel_rx))
        .row("NTP kernel TX timestamps   : ", Same(s.kernel_tx))
        .row("NTP hardware RX timestamps : ", Same(s.hardware_rx))
        .row("NTP hardware TX timestamps : ", Same(s.hardware_tx))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_6_9() {
        let s = ServerStatsReport {
            ntp_hits: 1,
            nke_hits: 6,
            cmd_hits: 3,
            ntp_drops: 2,
            nke_drops: 7,
            cmd_drops: 4,
            log_drops: 5,
            ntp_auth_hits: 8,
            ntp_interleaved_hits: 9,
            ntp_timestamps: 10,
            ntp_span: 11,
            daemon_rx: 12,
            daemon_tx: 13,
            kernel_rx: 14,
            kernel_tx: 15,
            hardware_rx: 16,
            hardware_tx: u64::MAX,
        };
        assert_eq!(
            server_stats(
                &s,
                Style {
                    csv: true,
                    wide: false
                }
            ),
            "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,18446744073709551615\n"
        );
        assert_eq!(
            server_stats(&s, Style::default()),
            "NTP packets received       : 1
NTP packets dropped        : 2
Command packets received   : 3
Command packets dropped    : 4
Client log records dropped : 5
NTS-KE connections accepted: 6
NTS-KE connections dropped : 7
Authenticated NTP packets  : 8
Interleaved NTP packets    : 9
NTP timestamps held        : 10
NTP timestamp span         : 11
NTP daemon RX timestamps   : 12
NTP daemon TX timestamps   : 13
NTP kernel RX timestamps   : 14
NTP kernel TX timestamps   : 15
NTP hardware RX timestamps : 16
NTP hardware TX timestamps : 18446744073709551615
"
        );
    }

    #[test]
    fn example_of_6_9() {
        let s = ServerStatsReport {
            ntp_hits: 8,
            nke_hits: 0,
            cmd_hits: 127,
            ntp_drops: 0,
            nke_drops: 0,
            cmd_drops: 0,
            log_drops: 0,
            ntp_auth_hits: 0,
            ntp_interleaved_hits: 4,
            ntp_timestamps: 6,
            ntp_span: 0,
            daemon_rx: 0,
            daemon_tx: 4,
            kernel_rx: 8,
            kernel_tx: 4,
            hardware_rx: 0,
            hardware_tx: 0,
        };
        assert_eq!(
            server_stats(&s, Style::default()),
            "NTP packets received       : 8
NTP packets dropped        : 0
Command packets received   : 127
Command packets dropped    : 0
Client log records dropped : 0
NTS-KE connections accepted: 0
NTS-KE connections dropped : 0
Authenticated NTP packets  : 0
Interleaved NTP packets    : 4
NTP timestamps held        : 6
NTP timestamp span         : 0
NTP daemon RX timestamps   : 0
NTP daemon TX timestamps   : 4
NTP kernel RX timestamps   : 8
NTP kernel TX timestamps   : 4
NTP hardware RX timestamps : 0
NTP hardware TX timestamps : 0
"
        );
        // The report of the request after.
        let s = ServerStatsReport { cmd_hits: 128, ..s };
        let csv = Style {
            csv: true,
            wide: false,
        };
        assert_eq!(server_stats(&s, csv), "8,0,128,0,0,0,0,0,4,6,0,0,4,8,4,0,0\n");
    }
}
