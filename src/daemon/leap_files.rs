//! The files of the leap second database (`spec/files-and-security.md` 3.5).

use crate::files;
use truechimer_engine::config::ClockConfig;
use truechimer_engine::sync::leap::LeapFile;

/// Longest leap second list or time zone, bytes.
const MAX_SIZE: u64 = 1 << 20;

/// What is in the files of `leapseclist` and `leapsectz`, as far as they can be read.
#[derive(Debug)]
pub(super) struct LeapFiles {
    list: Option<Vec<u8>>,
    zone: Option<Vec<u8>>,
}

impl LeapFiles {
    /// Reads the files that are configured.
    pub(super) fn read(config: &ClockConfig) -> Self {
        let read = |path: &str| files::read_start(path, MAX_SIZE).ok();
        Self {
            list: config.leap_list.as_deref().and_then(read),
            zone: config.leap_tz.as_deref().and_then(|name| read(&zone_path(name))),
        }
    }

    /// `leapseclist`
    pub(super) fn list<'a>(&'a self, config: &'a ClockConfig) -> Option<LeapFile<'a>> {
        config.leap_list.as_deref().map(|name| LeapFile {
            name,
            contents: self.list.as_deref(),
        })
    }

    /// `leapsectz`
    pub(super) fn zone<'a>(&'a self, config: &'a ClockConfig) -> Option<LeapFile<'a>> {
        config.leap_tz.as_deref().map(|name| LeapFile {
            name,
            contents: self.zone.as_deref(),
        })
    }
}

/// Where the C library looks for a compiled time zone.
fn zone_path(name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    let directory = std::env::var("TZDIR").unwrap_or_else(|_| "/usr/share/zoneinfo".to_owned());
    format!("{directory}/{name}")
}
