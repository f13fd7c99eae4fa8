//! What each command of the control protocol does, who may ask, and the reports
//! (`spec/command-protocol.md` section 6).

mod by_hand;
mod change;
mod clients;
mod monitor;
mod source_options;

pub(crate) use change::dumps;

use crate::auth::Keys;
use crate::config::{NetworkConfig, OpenCommands};
use crate::io::{Output, Peer};
use crate::server::ratelimit::Limit;
use crate::server::{AccessList, BadSubnet, Service, Shard, Worker, Workers};
use crate::source::Manager;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::wire::command::{
    Access, Code, Refusal, Reply, Request, RequestHeader, Status, Topic, encode_reply,
};
use bytes::Bytes;
use clients::{Known, Wanted};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Everything that commands read and change, beside their own state.
pub struct Target<'a> {
    /// Clock, sources, reference.
    pub discipline: &'a mut Discipline,
    /// NTP sources.
    pub manager: &'a mut Manager,
    /// Who may ask for the time.
    pub access: &'a mut AccessList,
    /// Client log and counters of the server.
    pub shard: &'a mut Shard,
    /// Threads with shards of their own.
    pub workers: Option<&'a mut (dyn Workers + 'static)>,
    /// Symmetric keys.
    pub keys: &'a Keys,
    /// What the driver is to do.
    pub outputs: &'a mut VecDeque<Output>,
}

/// Outcome of one command: a reply with data, or why there is none.
type Answer = Result<Reply, Status>;

/// The command listener without its sockets.
#[derive(Debug)]
pub struct Commands {
    open: OpenCommands,
    access: AccessList,
    /// `dumpdir` is set.
    dumps: bool,
    /// Most records of each worker's client log.
    worker_records: usize,
    known: Known,
}

impl Commands {
    /// A listener as configured. `dumps`: there is a `dumpdir`.
    ///
    /// # Errors
    /// A subnet of `cmdallow` or `cmddeny` with too many bits.
    pub fn new(config: &NetworkConfig, dumps: bool) -> Result<Self, BadSubnet> {
        Ok(Self {
            open: config.open_commands,
            access: AccessList::new(&config.cmd_access)?,
            dumps,
            worker_records: Worker::capacity(config, config.server_threads.workers()),
            known: Known::default(),
        })
    }

    /// Takes a datagram; the reply is never longer than it.
    pub fn handle(
        &mut self,
        cx: &mut Cx<'_>,
        target: &mut Target<'_>,
        from: &Peer,
        bytes: &[u8],
    ) -> Option<Bytes> {
        let local = match from {
            Peer::Unix(path) => {
                // Without an address there is nobody to reply to.
                if path.is_empty() {
                    return None;
                }
                true
            }
            Peer::Udp { remote, .. } => {
                if !is_localhost(remote.ip()) && !self.access.verdicts().allows(remote.ip()) {
                    return None;
                }
                false
            }
        };
        let header = RequestHeader::decode(bytes)?;
        let client = match from {
            Peer::Udp { remote, .. } => Some(remote.ip()),
            Peer::Unix(_) => None,
        };
        let log = &mut target.shard.log;
        let record = log.hit(Service::Command, client, cx.cooked);
        let limited = client.is_some_and(|client| !is_localhost(client));
        if limited && log.limit(Service::Command, record, cx.random) != Limit::Pass {
            return None;
        }
        let (status, reply) = match header.code(bytes.len()) {
            Err(Refusal::Silent) => return None,
            Err(Refusal::Status(status)) => (status, Reply::Null),
            Ok(code) if !local && !self.is_open(code) => (Status::Unauthorised, Reply::Null),
            Ok(code) => match Request::decode(code, bytes).and_then(|request| self.run(cx, target, &request))
            {
                Ok(reply) => (Status::Success, reply),
                Err(status) => (status, Reply::Null),
            },
        };
        let reply = encode_reply(&header, status, &reply);
        (reply.len() <= bytes.len()).then(|| Bytes::from(reply))
    }

    /// Whether a request may come over UDP.
    fn is_open(&self, code: Code) -> bool {
        let Access::Read(topics) = code.access() else {
            return false;
        };
        topics.iter().any(|topic| match topic {
            Topic::Activity => self.open.activity,
            Topic::Authdata => self.open.authdata,
            Topic::Clients => self.open.clients,
            Topic::Manual => self.open.manual,
            Topic::Ntpdata => self.open.ntpdata,
            Topic::Rtcdata => self.open.rtcdata,
            Topic::Selectdata => self.open.selectdata,
            Topic::Serverstats => self.open.serverstats,
            Topic::Smoothing => self.open.smoothing,
            Topic::Sourcename => self.open.sourcename,
            Topic::Sources => self.open.sources,
            Topic::Sourcestats => self.open.sourcestats,
            Topic::Tracking => self.open.tracking,
        })
    }

    /// Answers a request about clients of the server; `None`: it is not one of them.
    fn clients(&mut self, cx: &Cx<'_>, target: &mut Target<'_>, request: &Request) -> Option<Answer> {
        Some(match *request {
            Request::ServerStats => Ok(Reply::ServerStats(clients::server_stats(target))),
            Request::Clients {
                first,
                count,
                min_hits,
                reset,
            } => {
                let wanted = Wanted {
                    first,
                    count,
                    min_hits,
                    reset,
                };
                clients::clients(cx, target, &mut self.known, self.worker_records, wanted).map(Reply::Clients)
            }
            _ => return None,
        })
    }

    fn run(&mut self, cx: &mut Cx<'_>, target: &mut Target<'_>, request: &Request) -> Answer {
        self.clients(cx, target, request)
            .or_else(|| monitor::report(cx, target, request))
            .or_else(|| by_hand::answer(cx, target, request))
            .unwrap_or_else(|| self.change(cx, target, request).map(|()| Reply::Null))
    }
}

/// Exactly these two addresses need no `cmdallow`.
fn is_localhost(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}
