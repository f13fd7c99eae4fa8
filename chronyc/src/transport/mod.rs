//! Requests on their way to a daemon and back (`spec/command-protocol.md` sections 1.2 and 7, `spec/chronyc.md`
//! sections 1.1 and 1.2).

mod server;
mod unix;

pub(crate) use server::{Server, servers};

use crate::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use server::Socket;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};
use truechimer_engine::wire::command::{
    MAX_REPLY, OLDEST_ANSWERED, ReplyHeader, Request, Status, VERSION, reply_length,
};

/// Oldest version whose complaint about ours is heard.
const OLDEST_HEARD: u8 = 4;

/// The connection to the first server that answers.
#[derive(Debug)]
pub(crate) struct Link {
    servers: Vec<Server>,
    /// Which server, and how to reach it.
    open: Option<(usize, Socket)>,
    version: u8,
    /// Of the first transmission, ms.
    pub(crate) timeout: u32,
    /// Transmissions after the first.
    pub(crate) retries: u32,
    random: File,
}

/// What waiting ended with.
enum Waited {
    Reply(ReplyHeader, Vec<u8>),
    /// To be sent again.
    Lost,
    /// The server wants an older version.
    Older,
    Interrupted,
}

impl Link {
    /// A link to the first server that can be opened; `None` if there is none.
    pub(crate) fn new(servers: Vec<Server>) -> std::io::Result<Option<Self>> {
        let mut link = Self {
            servers,
            open: None,
            version: VERSION,
            timeout: 1000,
            retries: 2,
            random: File::open("/dev/urandom")?,
        };
        Ok(link.open_from(0).then_some(link))
    }

    /// Random bytes, of which those of the kernel's generator never run out.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        // A failure would cost uniqueness of a number that the socket's own address backs up.
        let _ = self.random.read_exact(&mut bytes);
        bytes
    }

    /// Random bytes, or none at all.
    pub(crate) fn secret(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.random.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn open_from(&mut self, first: usize) -> bool {
        // The old socket goes first, its files with it.
        self.open = None;
        let letters = self.random();
        self.open = self
            .servers
            .iter()
            .enumerate()
            .skip(first)
            .find_map(|(index, server)| server.open(letters).map(|socket| (index, socket)));
        self.open.is_some()
    }

    /// The server that is asked, for people.
    pub(crate) fn server(&self) -> String {
        let server = self.open.as_ref().and_then(|(index, _)| self.servers.get(*index));
        server.map(Server::to_string).unwrap_or_default()
    }

    /// The answer to a request; `None` if no server gives one.
    pub(crate) fn exchange(&mut self, request: &Request) -> Option<(ReplyHeader, Vec<u8>)> {
        if self.open.is_none() && !self.open_from(0) {
            return None;
        }
        while let Some((index, _)) = self.open {
            match self.ask(request) {
                Some(reply) => return Some(reply),
                None if sys::interrupted() => return None,
                None => self.open_from(index + 1),
            };
        }
        None
    }

    /// Asks the server that is open.
    fn ask(&mut self, request: &Request) -> Option<(ReplyHeader, Vec<u8>)> {
        let mut attempt = 0;
        while attempt <= self.retries && !sys::interrupted() {
            let sequence = u32::from_ne_bytes(self.random());
            let bytes = request.encode(self.version, attempt as u16, sequence);
            let (_, socket) = self.open.as_ref()?;
            socket.send(&bytes).ok()?;
            let wait = f64::from(self.timeout) * 2_f64.powi(attempt as i32);
            let deadline = Instant::now() + Duration::from_secs_f64(wait / 1000.0);
            match self.wait(request, sequence, deadline) {
                Waited::Reply(header, bytes) => return Some((header, bytes)),
                Waited::Lost => attempt += 1,
                Waited::Older => self.version = OLDEST_ANSWERED,
                Waited::Interrupted => return None,
            }
        }
        None
    }

    fn wait(&self, request: &Request, sequence: u32, deadline: Instant) -> Waited {
        let Some((_, socket)) = &self.open else {
            return Waited::Lost;
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.as_micros().div_ceil(1000);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut ready = [PollFd::new(socket.fd(), PollFlags::POLLIN)];
            match poll(&mut ready, timeout) {
                // A very long time comes in pieces.
                Ok(0) if Instant::now() < deadline && !sys::interrupted() => continue,
                Ok(0) => return Waited::Lost,
                Ok(_) => {}
                Err(nix::Error::EINTR) if !sys::interrupted() => continue,
                Err(nix::Error::EINTR) => return Waited::Interrupted,
                Err(_) => return Waited::Lost,
            }
            let mut buffer = [0; MAX_REPLY];
            let Some(bytes) = socket.receive(&mut buffer).ok().and_then(|n| buffer.get(..n)) else {
                return Waited::Lost;
            };
            let Some(header) = ReplyHeader::decode(bytes) else {
                continue;
            };
            let complains = header.status == Status::BadVersion && header.version >= OLDEST_HEARD;
            let ours = header.command == request.code().number() && header.sequence == sequence;
            if !ours || (header.version != self.version && !complains) {
                continue;
            }
            if complains && header.version == OLDEST_ANSWERED && self.version == VERSION {
                return Waited::Older;
            }
            if bytes.len() < reply_length(header.reply) {
                return Waited::Lost;
            }
            return Waited::Reply(header, bytes.to_vec());
        }
    }
}
