//! `ntpdata`.

use super::{leap, yes};
use crate::output::{Same, Signed, Stamp, Style};
use truechimer_engine::text::Fixed;
use truechimer_engine::time::pow2;
use truechimer_engine::wire::command::{Address, NtpDataReport, ref_id_text};

const fn origin(letter: u8) -> &'static str {
    match letter {
        b'D' => "Daemon",
        b'K' => "Kernel",
        b'H' => "Hardware",
        _ => "Invalid",
    }
}

fn hex(address: Address) -> String {
    format!("{:08X}", address.ref_id())
}

/// One record.
pub(crate) fn ntpdata(d: &NtpDataReport, style: Style) -> String {
    let mode = match d.mode {
        1 => "Symmetric active",
        2 => "Symmetric passive",
        4 => "Server",
        _ => "Invalid",
    };
    // Above stratum 1 it is an address.
    let ref_text = if d.stratum <= 1 {
        ref_id_text(d.ref_id)
    } else {
        String::new()
    };
    let flags = d.flags;
    style
        .line()
        .text("Remote address  : ")
        .put(Same(d.remote))
        .text(" (")
        .put(Same(hex(d.remote)))
        .text(")\n")
        .row("Remote port     : ", Same(d.remote_port))
        .text("Local address   : ")
        .put(Same(d.local))
        .text(" (")
        .put(Same(hex(d.local)))
        .text(")\n")
        .row("Leap status     : ", Same(leap(u16::from(d.leap))))
        .row("Version         : ", Same(d.version))
        .row("Mode            : ", Same(mode))
        .row("Stratum         : ", Same(d.stratum))
        .text("Poll interval   : ")
        .put(Same(d.poll))
        .text(" (")
        .put(Same(Fixed(pow2(d.poll.into()), 0)))
        .text(" seconds)\nPrecision       : ")
        .put(Same(d.precision))
        .text(" (")
        .put(Same(Fixed(pow2(d.precision.into()), 9)))
        .text(" seconds)\nRoot delay      : ")
        .put(Same(Fixed(d.root_delay, 6)))
        .text(" seconds\nRoot dispersion : ")
        .put(Same(Fixed(d.root_dispersion, 6)))
        .text(" seconds\nReference ID    : ")
        .put(Same(format_args!("{:08X}", d.ref_id)))
        .text(" (")
        .put(Same(ref_text))
        .text(")\n")
        .row("Reference time  : ", Stamp(d.ref_time))
        .text("Offset          : ")
        .put(Signed(d.offset, 9))
        .text(" seconds\nPeer delay      : ")
        .put(Same(Fixed(d.peer_delay, 9)))
        .text(" seconds\nPeer dispersion : ")
        .put(Same(Fixed(d.peer_dispersion, 9)))
        .text(" seconds\nResponse time   : ")
        .put(Same(Fixed(d.response_time, 9)))
        .text(" seconds\n")
        .row("Jitter asymmetry: ", Signed(d.jitter_asymmetry, 2))
        .text("NTP tests       : ")
        .put(Same(format_args!("{:03b}", flags >> 7 & 7)))
        .text(" ")
        .put(Same(format_args!("{:03b}", flags >> 4 & 7)))
        .text(" ")
        .put(Same(format_args!("{:04b}", flags & 15)))
        .text("\n")
        .row(
            "Interleaved     : ",
            Same(yes(flags & NtpDataReport::INTERLEAVED != 0)),
        )
        .row(
            "Authenticated   : ",
            Same(yes(flags & NtpDataReport::AUTHENTICATED != 0)),
        )
        .row("TX timestamping : ", Same(origin(d.tx_origin)))
        .row("RX timestamping : ", Same(origin(d.rx_origin)))
        .row("Total TX        : ", Same(d.total_tx))
        .row("Total RX        : ", Same(d.total_rx))
        .row("Total valid RX  : ", Same(d.total_valid))
        .row("Total good RX   : ", Same(d.total_good))
        .row("Total kernel TX : ", Same(d.kernel_tx))
        .row("Total kernel RX : ", Same(d.kernel_rx))
        .row("Total HW TX     : ", Same(d.hardware_tx))
        .row("Total HW RX     : ", Same(d.hardware_rx))
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use truechimer_engine::time::Cooked;

    #[test]
    fn as_in_6_6() {
        let d = NtpDataReport {
            remote: Address::of_refclock(0x7f00_000e),
            local: Address::of_refclock(0x7f00_0001),
            remote_port: 11123,
            leap: 0,
            version: 4,
            mode: 4,
            stratum: 1,
            poll: 0,
            precision: -29,
            root_delay: 0.0,
            root_dispersion: 0.0,
            ref_id: 0x7f7f_0101,
            ref_time: Cooked::new(1_795_188_758, 559_847_748),
            offset: -0.000009719,
            peer_delay: 0.000024416,
            peer_dispersion: 0.000000004,
            response_time: 0.000095151,
            jitter_asymmetry: 0.5,
            flags: NtpDataReport::AUTHENTICATED | 0x3fd,
            tx_origin: b'K',
            rx_origin: b'K',
            total_tx: 19,
            total_rx: 19,
            total_valid: 19,
            total_good: 18,
            kernel_tx: 19,
            kernel_rx: 19,
            hardware_tx: 0,
            hardware_rx: 0,
        };
        assert_eq!(
            ntpdata(
                &d,
                Style {
                    csv: true,
                    wide: false
                }
            ),
            "127.0.0.14,7F00000E,11123,127.0.0.1,7F000001,Normal,4,Server,1,0,1,-29,0.000000002,0.000000,0.000000,\
             7F7F0101,,1795188758.559847748,-0.000009719,0.000024416,0.000000004,0.000095151,0.50,111,111,1101,\
             No,Yes,Kernel,Kernel,19,19,19,18,19,19,0,0\n"
        );
        let d = NtpDataReport {
            ref_time: Cooked::new(1_795_188_758, 0),
            ..d
        };
        assert_eq!(
            ntpdata(&d, Style::default()),
            "Remote address  : 127.0.0.14 (7F00000E)
Remote port     : 11123
Local address   : 127.0.0.1 (7F000001)
Leap status     : Normal
Version         : 4
Mode            : Server
Stratum         : 1
Poll interval   : 0 (1 seconds)
Precision       : -29 (0.000000002 seconds)
Root delay      : 0.000000 seconds
Root dispersion : 0.000000 seconds
Reference ID    : 7F7F0101 ()
Reference time  : Fri Nov 20 15:32:38 2026
Offset          : -0.000009719 seconds
Peer delay      : 0.000024416 seconds
Peer dispersion : 0.000000004 seconds
Response time   : 0.000095151 seconds
Jitter asymmetry: +0.50
NTP tests       : 111 111 1101
Interleaved     : No
Authenticated   : Yes
TX timestamping : Kernel
RX timestamping : Kernel
Total TX        : 19
Total RX        : 19
Total valid RX  : 19
Total good RX   : 18
Total kernel TX : 19
Total kernel RX : 19
Total HW TX     : 0
Total HW RX     : 0
"
        );
        let none = NtpDataReport {
            local: Address::Unspecified,
            mode: 0,
            tx_origin: 0,
            poll: -2,
            ..d
        };
        let text = ntpdata(&none, Style::default());
        assert!(text.contains("Local address   : [UNSPEC] (00000000)\n"));
        assert!(text.contains("Mode            : Invalid\n"));
        assert!(text.contains("Poll interval   : -2 (0 seconds)\n"));
        assert!(text.contains("TX timestamping : Invalid\n"));
    }
}
