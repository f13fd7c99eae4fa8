//! Sending and receiving datagrams with their control messages.

use super::address::{self, Address, Name};
use super::control::{Builder, Control, Info, decode};
use super::error::check;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most datagrams taken by one call (`spec/ntp.md` 8.3).
pub const BATCH: usize = 16;

/// Room for a datagram: more than the longest NTP packet (1140 octets) with all its headers, and more than any
/// command.
pub const MAX_DATAGRAM: usize = 2048;

/// `SO_MEMINFO` of asm-generic/socket.h.
const SO_MEMINFO: i32 = 55;

/// Flags of `SO_TIMESTAMPING` (linux/net_tstamp.h).
pub mod timestamping {
    /// Transmit timestamps by the network card.
    pub const TX_HARDWARE: u32 = 1 << 0;
    /// Receive timestamps by the network card.
    pub const RX_HARDWARE: u32 = 1 << 2;
    /// Report the network card's timestamps as they are.
    pub const RAW_HARDWARE: u32 = 1 << 6;
    /// Number the looped-back datagrams.
    pub const OPT_ID: u32 = 1 << 7;
    /// Tell the interface and length of received packets.
    pub const OPT_PKTINFO: u32 = 1 << 13;
    /// Transmit timestamps by both kernel and network card.
    pub const OPT_TX_SWHW: u32 = 1 << 14;
    /// Transmit timestamps by the kernel.
    pub const TX_SOFTWARE: u32 = 1 << 1;
    /// Receive timestamps by the kernel.
    pub const RX_SOFTWARE: u32 = 1 << 3;
    /// Report software timestamps.
    pub const SOFTWARE: u32 = 1 << 4;
    /// Control messages with looped-back datagrams.
    pub const OPT_CMSG: u32 = 1 << 10;
}

/// Which queue of a socket to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Queue {
    /// What others sent.
    Data,
    /// What we sent, with transmit timestamps.
    Error,
}

#[derive(Debug)]
struct Slot {
    data: [u8; MAX_DATAGRAM],
    control: Control,
    name: Name,
    length: usize,
    control_length: usize,
    name_length: usize,
    flags: i32,
}

/// Where parts of a datagram are to be written.
pub(super) struct Room<'a> {
    pub(super) name: &'a mut [u8],
    pub(super) control: &'a mut [u8],
    pub(super) data: &'a mut [u8],
}

/// Takes up to as many datagrams from a queue as there are rooms, headers and parts, without waiting; their lengths are
/// in the headers then.
///
/// # Errors
/// `WouldBlock` when there is none.
pub(super) fn receive<'a>(
    socket: BorrowedFd<'_>,
    queue: Queue,
    headers: &mut [libc::mmsghdr],
    parts: &mut [libc::iovec],
    rooms: impl Iterator<Item = Room<'a>>,
) -> io::Result<usize> {
    let mut room_for = 0;
    for ((room, header), part) in rooms.zip(&mut *headers).zip(parts) {
        part.iov_base = room.data.as_mut_ptr().cast();
        part.iov_len = room.data.len();
        // On the error queue are datagrams of our own.
        (header.msg_hdr.msg_name, header.msg_hdr.msg_namelen) = match queue {
            Queue::Data => (room.name.as_mut_ptr().cast(), room.name.len() as libc::socklen_t),
            Queue::Error => (std::ptr::null_mut(), 0),
        };
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = room.control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = room.control.len() as _;
        room_for += 1;
    }
    let flags = match queue {
        Queue::Data => libc::MSG_DONTWAIT,
        Queue::Error => libc::MSG_DONTWAIT | libc::MSG_ERRQUEUE,
    };
    // SAFETY: every pointer in the first `room_for` headers leads to a buffer with the length beside it. The buffers are
    // borrowed for longer than this call, so nothing else refers to them during it.
    let count = check(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            room_for,
            flags,
            std::ptr::null_mut(),
        )
    })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Buffers for a batch of datagrams, used again and again.
#[derive(Debug)]
pub struct Batch {
    slots: Vec<Slot>,
    filled: usize,
}

/// One received datagram.
#[derive(Debug)]
pub struct Received<'a> {
    /// Sender; `None` if it has no address.
    pub from: Option<Address>,
    /// What the kernel says about it.
    pub info: Info,
    /// Payload.
    pub bytes: &'a [u8],
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        let slot = || Slot {
            data: [0; MAX_DATAGRAM],
            control: Control::EMPTY,
            name: Name::EMPTY,
            length: 0,
            control_length: 0,
            name_length: 0,
            flags: 0,
        };
        Self {
            slots: (0..BATCH).map(|_| slot()).collect(),
            filled: 0,
        }
    }

    /// Takes up to [`BATCH`] datagrams from a queue without waiting. What was in the buffers is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, queue: Queue) -> io::Result<usize> {
        self.filled = 0;
        // SAFETY: integers and pointers, for which zero bytes are valid.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        let rooms = self.slots.iter_mut().map(|slot| Room {
            name: &mut slot.name.0,
            control: &mut slot.control.0,
            data: &mut slot.data,
        });
        self.filled = receive(socket, queue, &mut headers, &mut parts, rooms)?;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(self.filled) {
            slot.length = header.msg_len as usize;
            slot.control_length = header.msg_hdr.msg_controllen;
            slot.name_length = header.msg_hdr.msg_namelen as usize;
            slot.flags = header.msg_hdr.msg_flags;
        }
        Ok(self.filled)
    }

    /// The datagrams received last, in order, without those that did not fit.
    pub fn datagrams(&self) -> impl Iterator<Item = Received<'_>> {
        self.slots.iter().take(self.filled).filter_map(|slot| {
            if slot.flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
                return None;
            }
            Some(Received {
                from: slot.name.0.get(..slot.name_length).and_then(address::decode),
                info: decode(slot.control.0.get(..slot.control_length)?),
                bytes: slot.data.get(..slot.length)?,
            })
        })
    }
}

/// How a transmit timestamp is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamping {
    /// Flags of a control message `SO_TIMESTAMPING`, 0 for no timestamp; none: as the socket has it.
    pub flags: Option<u32>,
    /// Number under which the datagram is looped back.
    pub id: Option<u32>,
}

/// How to send a datagram.
#[derive(Clone, Debug, Default)]
pub struct Sending<'a> {
    /// Receiver; `None` for a connected socket.
    pub to: Option<&'a Address>,
    /// Our address to send from, and the interface (0: any).
    pub from: Option<(IpAddr, u32)>,
    /// If a transmit timestamp is wanted.
    pub stamping: Option<Stamping>,
}

/// Sends one datagram without waiting.
///
/// # Errors
/// The kernel's refusal; `InvalidInput` for an address that can't be one.
pub fn send(socket: BorrowedFd<'_>, how: &Sending<'_>, payload: &[u8]) -> io::Result<()> {
    let mut room = Control::EMPTY;
    let mut control = Builder::new(&mut room.0);
    if let Some(stamping) = &how.stamping {
        control.stamping(stamping);
    }
    if let Some((local, interface)) = how.from {
        control.from(local, interface);
    }
    let name = match how.to {
        None => None,
        Some(to) => Some(address::encode(to).ok_or(io::ErrorKind::InvalidInput)?),
    };
    let mut part = libc::iovec {
        iov_base: payload.as_ptr().cast_mut().cast(),
        iov_len: payload.len(),
    };
    // SAFETY: integers and pointers, for which zero bytes are valid.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    if let Some((name, length)) = &name {
        header.msg_name = name.0.as_ptr().cast_mut().cast();
        header.msg_namelen = *length as libc::socklen_t;
    }
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    let control = control.bytes();
    if !control.is_empty() {
        header.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_controllen = control.len();
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `sendmsg` only reads through these pointers; all lead to buffers that outlive the call, with
    // their lengths beside them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Sets an option whose value is an integer.
///
/// # Errors
/// The kernel's refusal.
pub fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value lives through the call and its size is passed along.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Octets of memory that received and looped-back datagrams take in a socket, and at most may take (`SO_MEMINFO`).
///
/// # Errors
/// The kernel's refusal.
pub fn received_memory(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    /// Values of linux/sock_diag.h: 9, of which 0 and 1 are these.
    const VALUES: usize = 9;
    let mut values = [0_u32; VALUES];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: values and length live through the call, which writes at most so many octets.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    Ok((values[0], values[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    fn wait() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    #[test]
    fn udp_with_timestamps_and_packet_info_in_batches() {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        let rx = timestamping::SOFTWARE | timestamping::RX_SOFTWARE | timestamping::OPT_CMSG;
        set_option(b.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, rx as i32).unwrap();
        set_option(b.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1).unwrap();
        set_option(a.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, rx as i32).unwrap();
        wait();
        let to = Address::Ip(b.local_addr().unwrap());
        let how = Sending {
            to: Some(&to),
            from: Some((IpAddr::from([127, 0, 0, 1]), 0)),
            stamping: Some(Stamping {
                flags: Some(timestamping::TX_SOFTWARE),
                id: None,
            }),
        };
        send(a.as_fd(), &how, b"first packet").unwrap();
        send(a.as_fd(), &how, b"second").unwrap();
        wait();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(b.as_fd(), Queue::Data).unwrap(), 2);
        let got: Vec<_> = batch.datagrams().collect();
        assert_eq!(got[0].bytes, b"first packet");
        assert_eq!(got[1].bytes, b"second");
        assert_eq!(got[0].from, Some(Address::Ip(a.local_addr().unwrap())));
        assert_eq!(got[0].info.to, Some(IpAddr::from([127, 0, 0, 1])));
        let age = clock::realtime() - got[0].info.stamp.unwrap();
        assert!((0.0..5.0).contains(&age));
        let error = batch.receive(b.as_fd(), Queue::Data).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.datagrams().count(), 0);

        assert_eq!(batch.receive(a.as_fd(), Queue::Error).unwrap(), 2);
        let sent: Vec<_> = batch.datagrams().collect();
        assert!(sent[0].info.sent && sent[0].info.stamp.is_some());
        assert!(sent[0].bytes.ends_with(b"first packet") && sent[0].bytes.len() > 12 + 28);
    }

    #[test]
    fn what_is_received_takes_memory() {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = received_memory(a.as_fd()).unwrap();
        assert!(before.0 == 0 && before.1 > 10_000, "{before:?}");
        a.send_to(b"to itself", a.local_addr().unwrap()).unwrap();
        a.peek(&mut [0]).unwrap();
        let after = received_memory(a.as_fd()).unwrap();
        assert!(after.0 > 100 && after.1 == before.1, "{after:?}");
    }

    #[test]
    fn unix_datagrams_and_what_is_too_long() {
        let dir = std::env::temp_dir().join(format!("truechimer-sys-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (x, y) = (dir.join("x"), dir.join("y"));
        let a = UnixDatagram::bind(&x).unwrap();
        let b = UnixDatagram::bind(&y).unwrap();
        a.send_to(b"hello", &y).unwrap();
        a.send_to(&[0; MAX_DATAGRAM + 1], &y).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(b.as_fd(), Queue::Data).unwrap(), 2);
        let got: Vec<_> = batch.datagrams().collect();
        assert_eq!(got.len(), 1, "the long one is dropped");
        let path = x.to_str().unwrap().as_bytes().to_vec();
        assert_eq!(got[0].from, Some(Address::Unix(path.clone())));
        let to = Address::Unix(path);
        send(
            b.as_fd(),
            &Sending {
                to: Some(&to),
                ..Sending::default()
            },
            b"reply",
        )
        .unwrap();
        let mut buffer = [0; 16];
        assert_eq!(a.recv(&mut buffer).unwrap(), 5);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
