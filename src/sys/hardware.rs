//! Timestamps of network cards: what they can do, switching them on, reading their clocks (linux/ethtool.h,
//! linux/net_tstamp.h, linux/ptp_clock.h).

use super::error::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use truechimer_engine::time::{PhcReading, PhcTime, Raw};

const SIOCGIFINDEX: u64 = 0x8933;
const SIOCETHTOOL: u64 = 0x8946;
const SIOCSHWTSTAMP: u64 = 0x89b0;
const SIOCGHWTSTAMP: u64 = 0x89b1;
const ETHTOOL_GSET: u32 = 1;
const ETHTOOL_GET_TS_INFO: u32 = 0x41;
const PTP_SYS_OFFSET: u64 = 0x4340_3d05;
const PTP_SYS_OFFSET_PRECISE: u64 = 0xc040_3d08;
const PTP_SYS_OFFSET_EXTENDED: u64 = 0xc4c0_3d09;

/// Requests that are made while the daemon runs.
pub(super) const RUNNING: [u64; 4] = [
    SIOCETHTOOL,
    PTP_SYS_OFFSET,
    PTP_SYS_OFFSET_PRECISE,
    PTP_SYS_OFFSET_EXTENDED,
];

/// Readings of a batch; the kernel gives no more.
pub const READINGS: usize = 25;

/// `HWTSTAMP_FILTER_*`: which received packets get a timestamp.
pub mod filter {
    /// None.
    pub const NONE: i32 = 0;
    /// All.
    pub const ALL: i32 = 1;
    /// PTP version 2 over UDP.
    pub const PTP_V2_L4_EVENT: i32 = 6;
    /// PTP version 2.
    pub const PTP_V2_EVENT: i32 = 12;
    /// NTP.
    pub const NTP_ALL: i32 = 15;
}

/// `HWTSTAMP_TX_ON`
const TX_ON: i32 = 1;

/// `struct ethtool_ts_info`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TimestampInfo {
    command: u32,
    /// Flags of `SO_TIMESTAMPING` that the card can do.
    pub flags: u32,
    /// Number of its clock; negative: none.
    pub phc: i32,
    tx_types: u32,
    reserved: [u32; 3],
    /// Bits of [`filter`].
    pub rx_filters: u32,
    reserved2: [u32; 3],
}

/// `struct hwtstamp_config`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Config {
    flags: i32,
    tx_type: i32,
    rx_filter: i32,
}

/// `struct ethtool_cmd`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct LinkInfo {
    command: u32,
    supported: u32,
    advertising: u32,
    speed_low: u16,
    various: [u8; 6],
    packets: [u32; 2],
    speed_high: u16,
    mdix: [u8; 2],
    partner: u32,
    reserved: [u32; 2],
}

/// `struct ptp_clock_time`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    sec: i64,
    nsec: u32,
    reserved: u32,
}

#[repr(C)]
struct Precise {
    device: Time,
    realtime: Time,
    monotonic: Time,
    reserved: [u32; 4],
}

#[repr(C)]
struct Extended {
    count: u32,
    reserved: [u32; 3],
    times: [[Time; 3]; READINGS],
}

#[repr(C)]
struct Basic {
    count: u32,
    reserved: [u32; 3],
    times: [Time; 2 * READINGS + 1],
}

impl Time {
    const fn raw(self) -> Raw {
        Raw::new(self.sec, self.nsec)
    }

    const fn phc(self) -> PhcTime {
        PhcTime::new(self.sec, self.nsec)
    }
}

/// A request about an interface.
fn named(interface: &str) -> io::Result<libc::ifreq> {
    // SAFETY: integers and pointers, for which zero bytes are valid.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= ifreq.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in ifreq.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = byte as libc::c_char;
    }
    Ok(ifreq)
}

/// Makes a request about an interface, with data that belongs to the request.
///
/// # Safety
/// `T` is the structure that the request is made with.
unsafe fn request<T>(socket: BorrowedFd<'_>, interface: &str, number: u64, data: &mut T) -> io::Result<()> {
    let mut ifreq = named(interface)?;
    ifreq.ifr_ifru.ifru_data = (&raw mut *data).cast();
    // SAFETY: the request reads and writes the structure behind the pointer, which is the right one by the promise
    // of the caller; name and structure outlive the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw mut ifreq) })?;
    Ok(())
}

/// Index of an interface. (`if_nametoindex` does the same within the C library, out of reach of a simulator.)
///
/// # Errors
/// There is no such interface.
pub fn interface_index(socket: BorrowedFd<'_>, interface: &str) -> io::Result<u32> {
    let mut ifreq = named(interface)?;
    // SAFETY: the request reads the name and writes the index; the structure outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGIFINDEX as _, &raw mut ifreq) })?;
    // SAFETY: the request has just written this member, an integer.
    let index = unsafe { ifreq.ifr_ifru.ifru_ifindex };
    u32::try_from(index).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// What the card of an interface can do. `socket` is any one of the internet families.
///
/// # Errors
/// The kernel's refusal.
pub fn timestamp_info(socket: BorrowedFd<'_>, interface: &str) -> io::Result<TimestampInfo> {
    let mut info = TimestampInfo {
        command: ETHTOOL_GET_TS_INFO,
        ..TimestampInfo::default()
    };
    // SAFETY: the command says which structure it is.
    unsafe { request(socket, interface, SIOCETHTOOL, &mut info) }?;
    Ok(info)
}

/// Speed of the link of an interface, Mbit/s; none if the card does not know.
pub fn link_speed(socket: BorrowedFd<'_>, interface: &str) -> Option<u32> {
    let mut info = LinkInfo {
        command: ETHTOOL_GSET,
        ..LinkInfo::default()
    };
    // SAFETY: the command says which structure it is.
    unsafe { request(socket, interface, SIOCETHTOOL, &mut info) }.ok()?;
    let speed = u32::from(info.speed_high) << 16 | u32::from(info.speed_low);
    (speed > 0 && speed != u32::MAX && speed != u32::from(u16::MAX)).then_some(speed)
}

/// Switches timestamps on, for all sent packets and received ones by [`filter`]. Returns the filter in force.
///
/// # Errors
/// The kernel's refusal.
pub fn enable(socket: BorrowedFd<'_>, interface: &str, rx_filter: i32) -> io::Result<i32> {
    let mut config = Config {
        flags: 0,
        tx_type: TX_ON,
        rx_filter,
    };
    // SAFETY: the structure of this request.
    unsafe { request(socket, interface, SIOCSHWTSTAMP, &mut config) }?;
    Ok(config.rx_filter)
}

/// True if timestamps are switched on in just this way.
pub fn is_enabled(socket: BorrowedFd<'_>, interface: &str, rx_filter: i32) -> bool {
    let mut config = Config::default();
    // SAFETY: the structure of this request.
    let done = unsafe { request(socket, interface, SIOCGHWTSTAMP, &mut config) };
    let wanted = Config {
        flags: 0,
        tx_type: TX_ON,
        rx_filter,
    };
    done.is_ok() && config == wanted
}

/// How to read the clock of a card, the best first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// The card takes both clocks at the same moment.
    Precise,
    /// The kernel takes its clock before and after each reading of the card's.
    Extended,
    /// The kernel takes both in turn.
    Basic,
}

/// Reads the clock of a card, open as a device.
///
/// # Errors
/// The kernel's refusal: the card or the kernel lacks this method.
pub fn read_phc(device: BorrowedFd<'_>, method: Method) -> io::Result<Vec<PhcReading>> {
    let device = device.as_raw_fd();
    match method {
        Method::Precise => {
            let mut data = Precise {
                device: Time::default(),
                realtime: Time::default(),
                monotonic: Time::default(),
                reserved: [0; 4],
            };
            // SAFETY: the structure of this request, which outlives the call.
            check(unsafe { libc::ioctl(device, PTP_SYS_OFFSET_PRECISE as _, &raw mut data) })?;
            Ok(vec![PhcReading {
                before: data.realtime.raw(),
                phc: data.device.phc(),
                after: data.realtime.raw(),
            }])
        }
        Method::Extended => {
            let mut data = Extended {
                count: READINGS as u32,
                reserved: [0; 3],
                times: [[Time::default(); 3]; READINGS],
            };
            // SAFETY: as above; the count is that of the array.
            check(unsafe { libc::ioctl(device, PTP_SYS_OFFSET_EXTENDED as _, &raw mut data) })?;
            Ok(data.times.iter().map(reading).collect())
        }
        Method::Basic => {
            let mut data = Basic {
                count: READINGS as u32,
                reserved: [0; 3],
                times: [Time::default(); 2 * READINGS + 1],
            };
            // SAFETY: as above; the array has a time more than twice the count.
            check(unsafe { libc::ioctl(device, PTP_SYS_OFFSET as _, &raw mut data) })?;
            let triples = data.times.windows(3).step_by(2);
            Ok(triples
                .filter_map(|triple| Some(reading(triple.try_into().ok()?)))
                .collect())
        }
    }
}

fn reading(&[before, phc, after]: &[Time; 3]) -> PhcReading {
    PhcReading {
        before: before.raw(),
        phc: phc.phc(),
        after: after.raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    /// `_IOC(direction, '=', number, size)`
    fn ioctl(direction: u64, number: u64, size: usize) -> u64 {
        direction << 30 | (size as u64) << 16 | 0x3d << 8 | number
    }

    #[test]
    fn structures_have_the_sizes_of_their_requests() {
        assert_eq!(size_of::<TimestampInfo>(), 44);
        assert_eq!(size_of::<LinkInfo>(), 44);
        assert_eq!(size_of::<Config>(), 12);
        assert_eq!(PTP_SYS_OFFSET, ioctl(1, 5, size_of::<Basic>()));
        assert_eq!(PTP_SYS_OFFSET_PRECISE, ioctl(3, 8, size_of::<Precise>()));
        assert_eq!(PTP_SYS_OFFSET_EXTENDED, ioctl(3, 9, size_of::<Extended>()));
    }

    #[test]
    fn loopback_has_no_hardware() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = socket.as_fd();
        assert!(interface_index(socket, "lo").unwrap() > 0);
        assert!(interface_index(socket, "nosuch0").is_err());
        // The kernel knows what loopback can do: software timestamps only.
        let info = timestamp_info(socket, "lo").unwrap();
        assert!(info.phc < 0, "{info:?}");
        assert!(enable(socket, "lo", filter::ALL).is_err() && !is_enabled(socket, "lo", filter::ALL));
        assert_eq!(link_speed(socket, "lo"), None);
        assert!(timestamp_info(socket, "no-such-interface-here").is_err());
        let null = std::fs::File::open("/dev/null").unwrap();
        for method in [Method::Precise, Method::Extended, Method::Basic] {
            assert!(read_phc(null.as_fd(), method).is_err());
        }
    }
}
