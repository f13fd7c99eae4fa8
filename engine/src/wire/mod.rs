//! Bytes and values: NTP packets and the command protocol. No state.

pub mod command;
pub mod ntp;
