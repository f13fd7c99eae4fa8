//! What the main thread says to workers: rarely anything, between two batches.

use super::thread::ServerSocket;
use crate::logs;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;
use truechimer_engine::io::SocketId;
use truechimer_engine::server::{Answer, Question, Steering, Workers};

/// Longest wait for a worker. It does what it is asked between two batches, which take far less than a millisecond
/// each, so one that needs longer has no processor, or has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a worker is to do.
#[derive(Debug)]
pub(super) enum Message {
    /// Serve on this socket, too.
    Open(ServerSocket),
    /// Close this socket, then say so.
    Close(SocketId, SyncSender<()>),
    /// Answer a question.
    Ask(Question, SyncSender<Answer>),
    /// End.
    Stop,
}

/// The main thread's end.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    messages: Sender<Message>,
    bell: Arc<EventFd>,
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Letters {
    pub(super) messages: Receiver<Message>,
    /// Readable when there may be a message.
    pub(super) bell: Arc<EventFd>,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<(Self, Letters)> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = Arc::new(EventFd::from_flags(flags)?);
        let (sender, messages) = channel();
        let mailbox = Self {
            messages: sender,
            bell: Arc::clone(&bell),
        };
        Ok((mailbox, Letters { messages, bell }))
    }

    /// False if the worker has ended.
    pub(super) fn send(&self, message: Message) -> bool {
        let sent = self.messages.send(message).is_ok();
        // It only fails when it has been rung for 2^64 messages.
        let _ = self.bell.write(1);
        sent
    }

    /// Sends what asks for a reply, and waits for that.
    pub(super) fn request<T>(&self, message: impl FnOnce(SyncSender<T>) -> Message) -> Option<T> {
        let (sender, reply) = sync_channel(1);
        let reply = self
            .send(message(sender))
            .then(|| reply.recv_timeout(PATIENCE).ok())
            .flatten();
        if reply.is_none() {
            logs::error("A server thread does not answer");
        }
        reply
    }
}

/// Asks the workers for reports.
#[derive(Debug)]
pub struct Inquiry(pub(super) Vec<Mailbox>, pub(super) Steering);

impl Workers for Inquiry {
    fn steering(&self) -> &Steering {
        &self.1
    }

    fn ask(&mut self, worker: usize, question: Question) -> Option<Answer> {
        let mailbox = self.0.get(worker)?;
        mailbox.request(|reply| Message::Ask(question, reply))
    }
}
