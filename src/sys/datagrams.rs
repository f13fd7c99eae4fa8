//! Many datagrams a call, both ways, without allocation: for the server, where each of them counts.

use super::address::{self, Address};
use super::control::{Builder, Info, decode};
use super::error::check;
use super::socket::{Queue, Received, Room, Stamping, receive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most datagrams of a call.
pub const MANY: usize = 64;
/// Room for a datagram: more than the longest NTP packet (1140 octets), or a looped-back reply with all its headers.
const DATA: usize = 1280;
/// Room for control messages: timestamps of three kinds, packet information and an extended error.
const CONTROL: usize = 256;
/// Room for an address: `sockaddr_in6` has 28 octets.
const NAME: usize = 32;

/// A datagram with all that belongs to it. An odd number of cache lines long, so that the first lines of all of them
/// do not share a few places of the cache.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Slot {
    name: [u8; NAME],
    name_length: u32,
    length: u32,
    control_length: u32,
    flags: i32,
    /// Begins with a line of its own, as the data do.
    control: Aligned<CONTROL>,
    data: Aligned<DATA>,
}

/// Begins with a cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Aligned<const N: usize>([u8; N]);

impl Slot {
    fn sender(&self) -> Option<SocketAddr> {
        match address::decode(self.name.get(..self.name_length as usize)?) {
            Some(Address::Ip(from)) => Some(from),
            _ => None,
        }
    }
}

impl<'a> From<Datagram<'a>> for Received<'a> {
    fn from(datagram: Datagram<'a>) -> Self {
        Self {
            from: datagram.from.map(Address::Ip),
            info: datagram.info,
            bytes: datagram.bytes,
        }
    }
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Sender; `None` on the error queue.
    pub from: Option<SocketAddr>,
    /// What the kernel says about it.
    pub info: Info,
    /// Payload.
    pub bytes: &'a [u8],
}

/// Buffers for [`MANY`] datagrams, used again and again. A reply is written over its request.
pub struct Datagrams {
    slots: Box<[Slot]>,
    filled: usize,
    /// Slots to be sent, in order.
    outgoing: Vec<usize>,
    /// What the kernel is given. Filled in anew for every call, so no pointer in there is used twice.
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
}

// SAFETY: the pointers in `headers` and `parts` are only used by the call that they were made for, within the method
// that made them; all else is owned.
unsafe impl Send for Datagrams {}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams")
            .field("filled", &self.filled)
            .field("outgoing", &self.outgoing)
            .finish_non_exhaustive()
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Self::new()
    }
}

impl Datagrams {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        let slot = Slot {
            name: [0; NAME],
            name_length: 0,
            length: 0,
            control_length: 0,
            flags: 0,
            control: Aligned([0; CONTROL]),
            data: Aligned([0; DATA]),
        };
        // SAFETY: integers and pointers, for which zero bytes are valid.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let part: libc::iovec = unsafe { std::mem::zeroed() };
        Self {
            slots: vec![slot; MANY].into_boxed_slice(),
            filled: 0,
            outgoing: Vec::with_capacity(MANY),
            headers: vec![header; MANY].into_boxed_slice(),
            parts: vec![part; MANY].into_boxed_slice(),
        }
    }

    /// Takes up to `limit` (at most [`MANY`]) datagrams from a queue without waiting. What was in the buffers is gone.
    /// Fewer than `limit` mean that the queue was empty then.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, queue: Queue, limit: usize) -> io::Result<usize> {
        self.filled = 0;
        self.outgoing.clear();
        let slots = self.slots.iter_mut().take(limit.clamp(1, MANY));
        let rooms = slots.map(|slot| Room {
            name: &mut slot.name,
            control: &mut slot.control.0,
            data: &mut slot.data.0,
        });
        self.filled = receive(socket, queue, &mut self.headers, &mut self.parts, rooms)?;
        for (slot, header) in self.slots.iter_mut().zip(&self.headers).take(self.filled) {
            slot.length = header.msg_len;
            slot.control_length = header.msg_hdr.msg_controllen as u32;
            slot.name_length = header.msg_hdr.msg_namelen;
            slot.flags = header.msg_hdr.msg_flags;
        }
        Ok(self.filled)
    }

    /// Number of datagrams received last.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.filled
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// One of the datagrams received last; `None` if it did not fit, and for other numbers.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Datagram<'_>> {
        let slot = self.slots.get(index).filter(|_| index < self.filled)?;
        if slot.flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return None;
        }
        Some(Datagram {
            from: slot.sender(),
            info: decode(slot.control.0.get(..slot.control_length as usize)?),
            bytes: slot.data.0.get(..slot.length as usize)?,
        })
    }

    /// Who sent one of the datagrams received last.
    #[must_use]
    pub fn sender(&self, index: usize) -> Option<SocketAddr> {
        self.slots.get(index).filter(|_| index < self.filled)?.sender()
    }

    /// The buffer of a datagram, to write what is to be sent into.
    pub fn buffer(&mut self, index: usize) -> &mut [u8] {
        self.slots
            .get_mut(index)
            .map_or(&mut [], |slot| slot.data.0.as_mut_slice())
    }

    /// Makes somebody the receiver of what is to be sent from this buffer, in place of the sender of what was
    /// received there.
    pub fn address(&mut self, index: usize, to: SocketAddr) {
        if let (Some(slot), Some((name, length))) =
            (self.slots.get_mut(index), address::encode(&Address::Ip(to)))
        {
            slot.name.copy_from_slice(&name.0[..NAME]);
            slot.name_length = length as u32;
        }
    }

    /// Marks a buffer to be sent by the next [`Self::send`]: from this address of ours and interface (0: any), with a
    /// transmit timestamp if it is asked for.
    pub fn queue(
        &mut self,
        index: usize,
        length: usize,
        from: Option<(IpAddr, u32)>,
        stamping: Option<Stamping>,
    ) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let mut control = Builder::new(&mut slot.control.0);
        if let Some(stamping) = &stamping {
            control.stamping(stamping);
        }
        if let Some((local, interface)) = from {
            control.from(local, interface);
        }
        slot.control_length = control.bytes().len() as u32;
        if self.outgoing.len() < MANY {
            self.outgoing.push(index);
        }
        self.set_length(index, length);
    }

    /// How many octets of a buffer are to be sent; 0: the buffer is not sent after all.
    pub fn set_length(&mut self, index: usize, length: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.length = length.min(DATA) as u32;
        }
    }

    /// Takes all marks back.
    pub fn forget(&mut self) {
        self.outgoing.clear();
    }

    /// Sends all that is marked, without waiting. What the kernel refuses is lost, as it would be on its way.
    /// Returns the number of datagrams that were sent.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> usize {
        let mut count = 0;
        let mut places = self.headers.iter_mut().zip(&mut self.parts);
        for &index in &self.outgoing {
            let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.length > 0) else {
                continue;
            };
            let Some((header, part)) = places.next() else {
                break;
            };
            part.iov_base = slot.data.0.as_mut_ptr().cast();
            part.iov_len = slot.length as usize;
            header.msg_hdr.msg_name = slot.name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = slot.name_length;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = match slot.control_length {
                0 => std::ptr::null_mut(),
                _ => slot.control.0.as_mut_ptr().cast(),
            };
            header.msg_hdr.msg_controllen = slot.control_length as _;
            count += 1;
        }
        self.outgoing.clear();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let (mut next, mut sent) = (0, 0);
        while let Some(rest) = self.headers.get_mut(next..count).filter(|rest| !rest.is_empty()) {
            let length = rest.len() as libc::c_uint;
            // SAFETY: every pointer in these headers leads to a buffer of ours with the length beside it; all of them
            // outlive the call, which only reads from them.
            let done = check(unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), length, flags) });
            // An error is that of the first one.
            let done = done.map_or(0, |done| usize::try_from(done).unwrap_or(0));
            sent += done;
            next += done.max(1);
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket::{set_option, timestamping};
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// A socket on a loopback address with timestamps and packet information, and its address.
    fn server(address: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(address).unwrap();
        let rx = timestamping::SOFTWARE | timestamping::RX_SOFTWARE | timestamping::OPT_CMSG;
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, rx as i32).unwrap();
        set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1).unwrap();
        let local = socket.local_addr().unwrap();
        (socket, local)
    }

    fn client() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    #[test]
    fn replies_go_back_from_where_their_requests_went_to() {
        let (socket, local) = server("0.0.0.0:0");
        let clients: Vec<_> = (0..5).map(|_| client()).collect();
        for (i, client) in clients.iter().enumerate() {
            let to = SocketAddr::from(([127, 0, 0, 10 + i as u8], local.port()));
            client.send_to(&[i as u8; 48], to).unwrap();
        }
        clients[4]
            .send_to(&[0; DATA + 1], ("127.0.0.1", local.port()))
            .unwrap();
        let mut all = Datagrams::new();
        assert_eq!(all.receive(socket.as_fd(), Queue::Data, 3).unwrap(), 3);
        assert!(all.get(3).is_none());
        let mut handled = 0;
        while handled < 5 {
            for i in 0..all.len() {
                let Some(datagram) = all.get(i) else { continue };
                assert_eq!(datagram.bytes.len(), 48);
                let (to, which) = (datagram.info.to.unwrap(), datagram.bytes[0]);
                assert_eq!(to, IpAddr::from([127, 0, 0, 10 + which]));
                all.buffer(i)[0] = 100 + which;
                let flags = Some(timestamping::TX_SOFTWARE);
                all.queue(i, 40, Some((to, 0)), Some(Stamping { flags, id: None }));
                handled += 1;
            }
            let queued = all.outgoing.len();
            assert_eq!(all.send(socket.as_fd()), queued);
            if handled < 5 {
                all.receive(socket.as_fd(), Queue::Data, MANY).unwrap();
            }
        }
        for (i, client) in clients.iter().enumerate() {
            let mut reply = [0; 100];
            let (length, from) = client.recv_from(&mut reply).unwrap();
            assert_eq!((length, reply[0]), (40, 100 + i as u8));
            assert_eq!(from.ip(), IpAddr::from([127, 0, 0, 10 + i as u8]));
        }
        // All of them come back with their transmit timestamps.
        let mut stamped = 0;
        while let Ok(count) = all.receive(socket.as_fd(), Queue::Error, MANY) {
            for i in 0..count {
                let looped = all.get(i).unwrap();
                assert!(looped.info.sent && looped.info.stamp.is_some() && looped.bytes.len() == 40 + 42);
                stamped += 1;
            }
        }
        assert_eq!(stamped, 5);
        let error = all.receive(socket.as_fd(), Queue::Data, MANY).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_cannot_be_sent_stops_nothing_else() {
        let (socket, local) = server("127.0.0.1:0");
        let client = client();
        let to = client.local_addr().unwrap();
        let mut all = Datagrams::new();
        for i in 0..4 {
            // No interface has this address.
            let from = if i % 2 == 0 {
                [192, 0, 2, 1]
            } else {
                [127, 0, 0, 1]
            };
            all.address(i, to);
            all.buffer(i)[0] = i as u8;
            all.queue(i, 1, Some((from.into(), 0)), None);
        }
        assert_eq!(all.send(socket.as_fd()), 2);
        for expected in [1, 3] {
            let mut reply = [0; 2];
            assert_eq!(client.recv_from(&mut reply).unwrap(), (1, local));
            assert_eq!(reply[0], expected);
        }
    }
}
