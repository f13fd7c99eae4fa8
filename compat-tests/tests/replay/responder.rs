//! A small daemon that answers what it is told to.

use compat_tests::{TempDir, uninterrupted};
use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use truechimer_engine::wire::command::{Reply, Request, RequestHeader, Status, encode_reply};

/// How often a thread looks whether it should end.
const TICK: Duration = Duration::from_millis(50);
/// Longest datagram of the protocol and some more.
const BUFFER: usize = 2048;

/// Requests in the order of their coming.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Request>>>);

impl Recorder {
    pub(crate) fn push(&self, request: &Request) {
        self.0.lock().expect("no thread panicked").push(request.clone());
    }

    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.lock().expect("no thread panicked"))
    }
}

/// Answers in a thread of its own until dropped.
pub(crate) struct Responder {
    path: PathBuf,
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl Responder {
    /// On a Unix socket; `answer` gives what is replied to a request, if anything.
    pub(crate) fn unix(answer: impl FnMut(&Request) -> Option<(Status, Reply)> + Send + 'static) -> Self {
        Self::on_unix(by_request(answer))
    }

    /// On UDP of this address.
    pub(crate) fn udp(
        address: IpAddr,
        answer: impl FnMut(&Request) -> Option<(Status, Reply)> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a free port");
        socket.set_read_timeout(Some(TICK)).expect("time-out of a socket");
        let port = socket.local_addr().expect("address of a bound socket").port();
        let mut answer = by_request(answer);
        Self::run(TempDir::new(), PathBuf::new(), port, move || {
            let mut buffer = [0; BUFFER];
            if let Ok((n, from)) = socket.recv_from(&mut buffer)
                && let Some(reply) = answer(&buffer[..n])
            {
                // A client that is gone needs no reply.
                let _ = socket.send_to(&reply, from);
            }
        })
    }

    /// Hands the first request of each kind on to a daemon, and repeats its replies ever after.
    pub(crate) fn recording(daemon: &Path) -> Self {
        let dir = TempDir::new();
        let upstream = UnixDatagram::bind(dir.join("upstream")).expect("a socket in a new directory");
        upstream.connect(daemon).expect("a daemon that runs");
        upstream
            .set_read_timeout(Some(compat_tests::LIMIT))
            .expect("time-out of a socket");
        let mut known: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        Self::on_unix(move |request| {
            // Dropped with this closure.
            let _ = &dir;
            let key = [request.get(4..6)?, request.get(20..)?].concat();
            let reply = known.entry(key).or_insert_with(|| {
                upstream.send(request).expect("a daemon that runs");
                let mut buffer = [0; BUFFER];
                let n = uninterrupted(|| upstream.recv(&mut buffer)).expect("a reply of the daemon");
                buffer[..n].to_vec()
            });
            let mut reply = reply.clone();
            reply[16..20].copy_from_slice(&request[8..12]);
            Some(reply)
        })
    }

    fn on_unix(mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let dir = TempDir::new();
        let path = dir.join("sock");
        let socket = UnixDatagram::bind(&path).expect("a socket in a new directory");
        socket.set_read_timeout(Some(TICK)).expect("time-out of a socket");
        Self::run(dir, path, 0, move || {
            let mut buffer = [0; BUFFER];
            if let Ok((n, from)) = socket.recv_from(&mut buffer)
                && let Some(reply) = answer(&buffer[..n])
            {
                let from = from.as_pathname().expect("clients have names");
                let _ = socket.send_to(&reply, from);
            }
        })
    }

    fn run(dir: TempDir, path: PathBuf, port: u16, mut step: impl FnMut() + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                step();
            }
        });
        Self {
            path,
            port,
            over,
            thread: Some(thread),
            _dir: dir,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Both clients' requests must be what our own server side accepts.
fn by_request(
    mut answer: impl FnMut(&Request) -> Option<(Status, Reply)>,
) -> impl FnMut(&[u8]) -> Option<Vec<u8>> {
    move |bytes| {
        let header = RequestHeader::decode(bytes).expect("a request");
        let code = header.code(bytes.len()).expect("a request of version 6");
        match Request::decode(code, bytes) {
            Ok(request) => answer(&request).map(|(status, reply)| encode_reply(&header, status, &reply)),
            Err(status) => Some(encode_reply(&header, status, &Reply::Null)),
        }
    }
}
