//! Headers (sections 3.1, 3.2, 6.1 and 7).

use super::code::{Code, REQUEST_HEADER};
use super::field::{Field, Reader};
use super::{MAX_REQUEST, MIN_LENGTH, OLDEST_ANSWERED, Status, VERSION};

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// Why a request gets no data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not even an answer.
    Silent,
    /// An answer without data.
    Status(Status),
}

/// Head of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHeader {
    /// Version of the protocol, as sent.
    pub version: u8,
    /// Number of the command, as sent.
    pub command: u16,
    /// 0 for the first transmission, then one more each.
    pub attempt: u16,
    /// Random; the reply has the same.
    pub sequence: u32,
}

impl RequestHeader {
    /// `None`: no request, or of an impossible length; there is no answer to it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if !(MIN_LENGTH..=MAX_REQUEST).contains(&bytes.len()) {
            return None;
        }
        let mut r = Reader::at(bytes, 0);
        let version = r.get();
        let ok = (r.get::<u8>(), r.get::<u8>(), r.get::<u8>()) == (REQUEST, 0, 0);
        let header = Self {
            version,
            command: r.get(),
            attempt: r.get(),
            sequence: r.get(),
        };
        ok.then_some(header)
    }

    /// Which request it is: checks version, number and, against the length of the datagram, the length.
    pub fn code(&self, length: usize) -> Result<Code, Refusal> {
        if self.version < OLDEST_ANSWERED {
            return Err(Refusal::Silent);
        }
        if self.version != VERSION {
            return Err(Refusal::Status(Status::BadVersion));
        }
        let code = Code::from_number(self.command).ok_or(Refusal::Status(Status::Invalid))?;
        if length < code.request_length() {
            return Err(Refusal::Status(Status::BadLength));
        }
        Ok(code)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.version, REQUEST, 0, 0]);
        self.command.put(out);
        self.attempt.put(out);
        self.sequence.put(out);
        out.resize(REQUEST_HEADER, 0);
    }
}

/// Head of a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyHeader {
    /// The server's version.
    pub version: u8,
    /// The request's command.
    pub command: u16,
    /// Number of the reply's kind.
    pub reply: u16,
    /// Outcome.
    pub status: Status,
    /// The request's sequence.
    pub sequence: u32,
}

impl ReplyHeader {
    /// `None`: too short, or no reply.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < MIN_LENGTH {
            return None;
        }
        let mut r = Reader::at(bytes, 0);
        let version = r.get();
        let ok = (r.get::<u8>(), r.get::<u8>(), r.get::<u8>()) == (REPLY, 0, 0);
        let (command, reply, status) = (r.get(), r.get(), Status::from_number(r.get()));
        let _: [u8; 6] = r.array();
        ok.then_some(Self {
            version,
            command,
            reply,
            status,
            sequence: r.get(),
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.version, REPLY, 0, 0]);
        self.command.put(out);
        self.reply.put(out);
        self.status.number().put(out);
        out.extend_from_slice(&[0; 6]);
        self.sequence.put(out);
        out.resize(MIN_LENGTH, 0);
    }
}
