//! Reports as text and as comma-separated values (`spec/chronyc.md` section 6): pure functions of what the
//! daemon said, the names and the style.

mod clients;
mod clock;
pub(crate) mod json;
mod ntpdata;
#[cfg(test)]
pub(crate) mod samples;
mod selection;
mod server;
mod sources;

pub(crate) use clients::{client, clients_header};
pub(crate) use clock::{activity, manual_header, manual_sample, rtc, settime, smoothing, tracking, waitsync};
pub(crate) use ntpdata::ntpdata;
pub(crate) use selection::{auth, auth_header, select, select_header};
pub(crate) use server::server_stats;
pub(crate) use sources::{source, source_stats, source_stats_header, sources_header};

/// Width of names in `sources` and `authdata`.
pub(crate) const WIDE_NAME: usize = 27;
/// Width of names elsewhere, and longest name from DNS.
pub(crate) const NAME: usize = 25;

/// Leap status in words.
pub(crate) const fn leap(leap: u16) -> &'static str {
    match leap {
        0 => "Normal",
        1 => "Insert second",
        2 => "Delete second",
        3 => "Not synchronised",
        _ => "Invalid",
    }
}

const fn yes(x: bool) -> &'static str {
    if x { "Yes" } else { "No" }
}
