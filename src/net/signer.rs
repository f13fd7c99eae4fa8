//! The signing daemon of MS-SNTP: Samba's, which knows the keys of accounts (`ntpsigndsocket`, `spec/ntp.md` 5.7).

use super::watch::{Key, Wakes, Watch};
use crate::logs;
use crate::sys::error::reason;
use bytes::Bytes;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use truechimer_engine::io::SocketId;

/// Requests are numbered from 0 and again from 0 after this many.
const NUMBERS: u16 = 16;
/// Requests that wait, the one that was sent included; what comes on top is dropped.
const MAX_WAITING: usize = 15;
/// Octets of a reply that can be signed: a header and nothing else.
const PACKET: usize = 48;
/// A response without its packet: length, version, operation, number.
const RESPONSE_HEADER: usize = 16;
/// Longest packet that a response may have.
const MAX_SIGNED: usize = 1140;
/// Operations.
const SIGN: u32 = 0;
const SIGNED: u32 = 3;

/// A reply that is to be signed, or is.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    /// The socket of the request.
    pub on: SocketId,
    /// The client.
    pub to: SocketAddr,
    /// Our address that it asked.
    pub from: Option<IpAddr>,
    /// The packet.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Waiting {
    number: u16,
    key: u32,
    reply: Signed,
}

/// The connection to the signing daemon, made when it is needed.
#[derive(Debug)]
pub struct Signer {
    path: String,
    connection: Option<Watch>,
    /// The first one has been sent, the others wait for its response.
    waiting: VecDeque<Waiting>,
    next: u16,
    received: Vec<u8>,
    /// The failure to connect has been logged.
    told: bool,
}

impl Signer {
    /// No connection yet. The socket is `socket` in this directory.
    #[must_use]
    pub fn new(directory: &str) -> Self {
        Self {
            path: format!("{directory}/socket"),
            connection: None,
            waiting: VecDeque::new(),
            next: 0,
            received: Vec::new(),
            told: false,
        }
    }

    /// Asks for a signature. To be called within the runtime.
    pub fn sign(&mut self, reply: Signed, key: u32, wakes: &Wakes) {
        if reply.bytes.len() != PACKET || self.waiting.len() == MAX_WAITING || !self.connect(wakes) {
            return;
        }
        let number = self.next;
        self.next = (number + 1) % NUMBERS;
        self.waiting.push_back(Waiting { number, key, reply });
        if self.waiting.len() == 1 {
            self.send_first();
        }
    }

    /// The next signed reply, when there is something to read; until there is nothing more.
    pub fn receive(&mut self) -> Option<Signed> {
        let mut buffer = [0; RESPONSE_HEADER + MAX_SIGNED];
        loop {
            match self.take_response() {
                Response::Signed(signed) => return Some(signed),
                Response::Incomplete => {}
                Response::Refused => continue,
                Response::Senseless => {
                    self.close();
                    return None;
                }
            }
            let connection = self.connection.as_ref()?;
            match recv(connection.fd().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) if length > 0 => self.received.extend(buffer.iter().take(length)),
                Err(nix::errno::Errno::EAGAIN) => return None,
                Err(nix::errno::Errno::EINTR) => {}
                Ok(_) | Err(_) => {
                    self.close();
                    return None;
                }
            }
        }
    }

    fn connect(&mut self, wakes: &Wakes) -> bool {
        if self.connection.is_some() {
            return true;
        }
        match connect(&self.path).and_then(|fd| Watch::new(fd, Key::Signer, wakes.clone())) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.told = false;
                true
            }
            Err(error) => {
                if !self.told {
                    let (path, reason) = (&self.path, reason(&error));
                    logs::error(format_args!(
                        "Could not connect to signd socket {path} : {reason}"
                    ));
                }
                self.told = true;
                false
            }
        }
    }

    /// Drops the connection and all that waits.
    fn close(&mut self) {
        self.connection = None;
        self.waiting.clear();
        self.received.clear();
        self.next = 0;
    }

    fn send_first(&mut self) {
        let (Some(first), Some(connection)) = (self.waiting.front(), &self.connection) else {
            return;
        };
        let request = request(first);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        // There is one request at a time, so it always fits into the socket's buffer.
        if send(connection.fd().as_raw_fd(), &request, flags) != Ok(request.len()) {
            self.close();
        }
    }

    /// Looks at what was received. Only one request is on its way, so what follows a response means nothing.
    fn take_response(&mut self) -> Response {
        if self.received.is_empty() {
            return Response::Incomplete;
        }
        if self.waiting.is_empty() {
            return Response::Senseless;
        }
        let Some(length) = word(&self.received, 0) else {
            return Response::Incomplete;
        };
        let length = (length as usize).saturating_add(4);
        if !(RESPONSE_HEADER..=RESPONSE_HEADER + MAX_SIGNED).contains(&length) {
            return Response::Senseless;
        }
        let mut response = std::mem::take(&mut self.received);
        if response.len() < length {
            self.received = response;
            return Response::Incomplete;
        }
        response.truncate(length);
        let first = self.waiting.pop_front();
        self.send_first();
        let (operation, number) = (word(&response, 8), word(&response, 12));
        match first {
            Some(first) if operation == Some(SIGNED) && number == Some(u32::from(first.number)) => {
                Response::Signed(Signed {
                    bytes: Bytes::from(response).slice(RESPONSE_HEADER..),
                    ..first.reply
                })
            }
            _ => Response::Refused,
        }
    }
}

/// What came from the signing daemon.
enum Response {
    Incomplete,
    Signed(Signed),
    /// No signature, or the answer to something else.
    Refused,
    /// Nobody asked, or it has an impossible length.
    Senseless,
}

fn connect(path: &str) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(word))
}

/// Length of the rest, version, operation, number, padding, key, packet.
fn request(waiting: &Waiting) -> Vec<u8> {
    let packet = &waiting.reply.bytes;
    let mut request = Vec::with_capacity(20 + packet.len());
    request.extend((16 + packet.len() as u32).to_be_bytes());
    request.extend(0_u32.to_be_bytes());
    request.extend(SIGN.to_be_bytes());
    request.extend(waiting.number.to_be_bytes());
    request.extend([0; 2]);
    request.extend(waiting.key.to_be_bytes());
    request.extend(packet);
    request
}
