//! NTP sources: associations (when to ask, what to send, what a reply is worth) and their manager (the table of
//! sources, pools, names). `spec/ntp.md` sections 2 to 4, 8 and 9.

mod address;
mod association;
mod io;
mod manager;
mod timers;

#[cfg(test)]
mod tests;

pub use crate::sync::address::SourceAddress;
pub use address::Matching;
pub use association::{Association, LastReply, NtpData, Operating, Totals};
pub use io::FIRST_SOCKET;
pub use manager::{Activity, AddError, ConfigId, Handled, Manager};

use crate::auth::Keys;
use crate::config::Logs;

use std::sync::Arc;

/// What associations know about the rest of the configuration.
#[derive(Debug)]
struct Settings {
    keys: Arc<Keys>,
    logs: Logs,
    /// `ptpport` is set.
    ptp: bool,
    /// How long a response waits for the transmit timestamp of the network card, s.
    hardware_timeout: Option<f64>,
}
