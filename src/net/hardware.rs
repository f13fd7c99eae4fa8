//! Interfaces whose network cards take timestamps (`hwtimestamp`, `spec/ntp.md` section 6.4).

use super::options;
use crate::logs;
use crate::sys::control::Info;
use crate::sys::error::reason;
use crate::sys::hardware::{self, Method, TimestampInfo, filter};
use crate::sys::socket::timestamping;
use nix::ifaddrs::getifaddrs;
use socket2::Socket;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use truechimer_engine::config::{HwTimestamp, RxFilter};
use truechimer_engine::io::HardwareStamp;
use truechimer_engine::time::PhcReading;

/// What a card must be able to do.
const NEEDED: u32 = timestamping::TX_HARDWARE | timestamping::RX_HARDWARE | timestamping::RAW_HARDWARE;
/// Octets of Ethernet, IP and UDP headers, until a sent packet has told.
const HEADERS: [u32; 2] = [42, 62];

/// Timestamps of this interface could not be switched on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("Could not enable HW timestamping on {0}")]
pub struct NotEnabled(pub String);

#[derive(Debug)]
struct Interface {
    index: u32,
    name: String,
    phc: File,
    /// Methods to be tried; the first one works once the clock has been read.
    methods: Vec<Method>,
}

/// Interfaces whose cards take timestamps, and how long the headers of their packets are: what is needed to know a
/// timestamp of a card. A thread that serves has its own.
#[derive(Clone, Debug, Default)]
pub struct Frames(Vec<Headers>);

#[derive(Clone, Copy, Debug)]
struct Headers {
    interface: u32,
    /// Octets, IPv4 and IPv6.
    length: [u32; 2],
}

impl Frames {
    /// Of these interfaces.
    #[must_use]
    pub fn new(interfaces: &[u32]) -> Self {
        let headers = |&interface: &u32| Headers {
            interface,
            length: HEADERS,
        };
        Self(interfaces.iter().map(headers).collect())
    }

    /// True if no card takes timestamps.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The interfaces whose cards take timestamps.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|headers| headers.interface)
    }

    /// True if the card of this interface takes timestamps.
    #[must_use]
    pub fn has(&self, interface: u32) -> bool {
        self.0.iter().any(|headers| headers.interface == interface)
    }

    /// Learns from a looped-back frame how long the headers of packets of a family are.
    pub(super) fn learn(&mut self, interface: u32, v6: bool, length: usize) {
        if let Some(headers) = self.0.iter_mut().find(|headers| headers.interface == interface) {
            headers.length[usize::from(v6)] = length as u32;
        }
    }

    /// The timestamp that the card took of a received datagram with a payload of so many octets.
    #[must_use]
    pub fn received(&self, info: &Info, v6: bool, payload: usize) -> Option<HardwareStamp> {
        let (interface, at) = (info.taken_by(), info.hardware?);
        let headers = self.0.iter().find(|headers| headers.interface == interface)?;
        let length = match info.frame {
            Some((_, length)) if length > 0 => length,
            _ => headers.length[usize::from(v6)] + payload as u32,
        };
        Some(HardwareStamp {
            interface,
            at,
            length,
        })
    }
}

/// All interfaces with timestamps of their own.
#[derive(Debug, Default)]
pub struct Hardware {
    interfaces: Vec<Interface>,
    /// For requests.
    socket: Option<Socket>,
}

impl Hardware {
    /// Switches timestamps on where the configuration says so. `enabled` learns the index of each interface.
    ///
    /// # Errors
    /// An interface that is named can't do it.
    pub fn start(
        configs: &[HwTimestamp],
        mut enabled: impl FnMut(u32, &HwTimestamp),
    ) -> Result<Self, NotEnabled> {
        let mut all = Self::default();
        if configs.is_empty() {
            return Ok(all);
        }
        all.socket = [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ]
        .iter()
        .find_map(|any| options::new(any, None).ok());
        for config in configs.iter().filter(|config| config.interface != "*") {
            let name = &config.interface;
            let index = all.add(name, config).ok_or_else(|| NotEnabled(name.clone()))?;
            enabled(index, config);
        }
        if let Some(config) = configs.iter().find(|config| config.interface == "*") {
            let names = getifaddrs()
                .into_iter()
                .flatten()
                .map(|address| address.interface_name);
            for name in names.collect::<BTreeSet<_>>() {
                if let Some(index) = all.add(&name, config) {
                    enabled(index, config);
                }
            }
        }
        Ok(all)
    }

    /// True if no card takes timestamps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// Switches timestamps of an interface on; gives its index. None if that fails or was done before.
    fn add(&mut self, name: &str, config: &HwTimestamp) -> Option<u32> {
        let socket = self.socket.as_ref()?.as_fd();
        let index = hardware::interface_index(socket, name).ok()?;
        if self.interfaces.iter().any(|interface| interface.index == index) {
            return None;
        }
        let info = hardware::timestamp_info(socket, name).ok()?;
        if info.flags & NEEDED != NEEDED || info.phc < 0 {
            return None;
        }
        let wanted = rx_filter(config.rx_filter, &info);
        let in_force = match hardware::enable(socket, name, wanted) {
            Ok(in_force) => in_force,
            Err(error) => {
                if error.raw_os_error() == Some(libc::EPERM) {
                    logs::error(format_args!("ioctl(SIOCSHWTSTAMP) failed : {}", reason(&error)));
                }
                // Somebody else may have done it, for us.
                if !hardware::is_enabled(socket, name, wanted) {
                    return None;
                }
                wanted
            }
        };
        let phc = File::open(format!("/dev/ptp{}", info.phc)).ok()?;
        let only = if in_force == filter::NONE {
            "(TX only) "
        } else {
            ""
        };
        logs::info(format_args!("Enabled HW timestamping {only}on {name}"));
        let mut methods = vec![Method::Precise, Method::Extended, Method::Basic];
        if config.no_cross_timestamp {
            methods.remove(0);
        }
        self.interfaces.push(Interface {
            index,
            name: name.to_owned(),
            phc,
            methods,
        });
        Some(index)
    }

    /// What is known of their packets.
    #[must_use]
    pub fn frames(&self) -> Frames {
        let interfaces: Vec<u32> = self.interfaces.iter().map(|i| i.index).collect();
        Frames::new(&interfaces)
    }

    /// Reads the clock of an interface, and the speed of its link (Mbit/s). Empty if that is not possible.
    pub fn read(&mut self, index: u32) -> (Vec<PhcReading>, Option<u32>) {
        let Some(interface) = self.interfaces.iter_mut().find(|i| i.index == index) else {
            return (Vec::new(), None);
        };
        let device = interface.phc.as_fd();
        let mut readings = Vec::new();
        for (i, method) in interface.methods.iter().enumerate() {
            if let Ok(read) = hardware::read_phc(device, *method) {
                readings = read;
                interface.methods.drain(..i);
                interface.methods.truncate(1);
                break;
            }
        }
        let socket = self.socket.as_ref();
        let speed = socket.and_then(|socket| hardware::link_speed(socket.as_fd(), &interface.name));
        (readings, speed)
    }
}

/// The filter of the configuration, as far as the card has it.
fn rx_filter(wanted: RxFilter, info: &TimestampInfo) -> i32 {
    let first = |filters: &[i32]| {
        let offered = filters.iter().find(|filter| info.rx_filters & 1 << **filter != 0);
        offered.copied().unwrap_or(filter::NONE)
    };
    match wanted {
        RxFilter::Any => first(&[filter::NTP_ALL, filter::ALL]),
        RxFilter::None => filter::NONE,
        RxFilter::Ntp => filter::NTP_ALL,
        RxFilter::Ptp => first(&[filter::PTP_V2_L4_EVENT, filter::PTP_V2_EVENT]),
        RxFilter::All => filter::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_the_card() {
        let info = |filters: &[i32]| {
            let mut info = TimestampInfo::default();
            info.rx_filters = filters.iter().fold(0, |bits, filter| bits | 1 << filter);
            info
        };
        let all = info(&[
            filter::ALL,
            filter::NTP_ALL,
            filter::PTP_V2_L4_EVENT,
            filter::PTP_V2_EVENT,
        ]);
        let old = info(&[filter::ALL, filter::PTP_V2_EVENT]);
        let none = info(&[]);
        for (wanted, expected) in [
            (RxFilter::Any, [filter::NTP_ALL, filter::ALL, filter::NONE]),
            (RxFilter::None, [filter::NONE; 3]),
            (RxFilter::Ntp, [filter::NTP_ALL; 3]),
            (
                RxFilter::Ptp,
                [filter::PTP_V2_L4_EVENT, filter::PTP_V2_EVENT, filter::NONE],
            ),
            (RxFilter::All, [filter::ALL; 3]),
        ] {
            let chosen = [&all, &old, &none].map(|info| rx_filter(wanted, info));
            assert_eq!(chosen, expected, "{wanted:?}");
        }
    }
}
