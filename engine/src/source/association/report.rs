//! The `ntpdata` report (`spec/command-protocol.md` section 5).

use super::Association;
use crate::time::{Cooked, SlowBy};
use crate::wire::ntp::Header;
use std::net::{IpAddr, SocketAddr};

/// Numbers of packets. They wrap around.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Sent.
    pub tx: u32,
    /// Received, good or not.
    pub rx: u32,
    /// Valid ones.
    pub valid_rx: u32,
    /// Those that gave a sample.
    pub good_rx: u32,
    /// With a transmit timestamp of the kernel.
    pub kernel_tx: u32,
    /// With a receive timestamp of the kernel.
    pub kernel_rx: u32,
    /// With a transmit timestamp of the network card.
    pub hardware_tx: u32,
    /// With a receive timestamp of the network card.
    pub hardware_rx: u32,
}

/// The last valid response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastReply {
    /// Our address that it was sent to.
    pub local: Option<IpAddr>,
    /// Its header.
    pub header: Header,
    /// Its reference timestamp.
    pub reference: Cooked,
    /// Root delay, s.
    pub root_delay: f64,
    /// Root dispersion, s.
    pub root_dispersion: f64,
    /// Offset of the sample.
    pub offset: SlowBy,
    /// Peer delay, s.
    pub peer_delay: f64,
    /// Peer dispersion, s.
    pub peer_dispersion: f64,
    /// Time the server took to respond, s.
    pub response_time: f64,
    /// Asymmetry of the jitter, -0.5 to 0.5.
    pub asymmetry: f64,
    /// Results of tests 1 2 3 5 6 7 A B C D, most significant first (test 1 = 0x200).
    pub tests: u16,
    /// Interleaved mode.
    pub interleaved: bool,
    /// Authenticated.
    pub authenticated: bool,
    /// Where the transmit timestamp came from: `D`, `K` or `H`.
    pub tx_origin: char,
    /// Where the receive timestamp came from.
    pub rx_origin: char,
}

/// The report `ntpdata`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NtpData {
    /// Address and port; `None` while unresolved.
    pub remote: Option<SocketAddr>,
    /// The last valid response.
    pub last: Option<LastReply>,
    /// Numbers of packets.
    pub totals: Totals,
}

impl Association {
    /// The report `ntpdata`.
    #[must_use]
    pub fn ntp_data(&self) -> NtpData {
        NtpData {
            remote: self.remote(),
            last: self.last_reply,
            totals: self.totals,
        }
    }

    /// Our address towards the source, known after the first valid response.
    #[must_use]
    pub fn local_address(&self) -> Option<IpAddr> {
        self.last_reply.and_then(|reply| reply.local)
    }
}
