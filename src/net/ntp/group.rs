//! The server's sockets of worker threads (`serverthreads`).

use super::NtpSockets;
use crate::logs;
use crate::net::options;
use crate::net::workers::{Pool, ServerSocket, steer_group};
use crate::sys::error::reason;
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use truechimer_engine::io::SocketId;
use truechimer_engine::server::Steering;

impl NtpSockets {
    /// Lets workers serve on what will be opened for the server.
    pub fn share_with(&mut self, pool: Pool) {
        self.pool = Some(pool);
    }

    /// The workers; none: the main thread serves alone.
    pub const fn pool(&mut self) -> Option<&mut Pool> {
        self.pool.as_mut()
    }

    /// True for a socket of the server whose datagrams workers get.
    #[must_use]
    pub fn is_shared(&self, id: SocketId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.shared)
    }

    /// Sockets for the workers, which share the address with the one of the main thread that is bound next. None where
    /// that is not possible: it serves alone then.
    pub(super) fn group(&mut self, id: SocketId, local: &SocketAddr) -> Vec<ServerSocket> {
        let Some(steering) = self.pool.as_ref().map(|pool| *pool.steering()) else {
            return Vec::new();
        };
        let group = if self.settings.inherited.has(local) {
            Err("it was inherited".to_owned())
        } else {
            self.worker_sockets(local, &steering)
                .map_err(|error| reason(&error))
        };
        match group {
            Ok(sockets) => {
                let shared = |socket| ServerSocket {
                    id,
                    fd: OwnedFd::from(socket),
                    departures: self.departures(false),
                };
                sockets.into_iter().map(shared).collect()
            }
            Err(reason) => {
                logs::warning(format_args!(
                    "Could not share NTP socket on {local} among server threads, the main thread serves alone : {reason}"
                ));
                Vec::new()
            }
        }
    }

    fn worker_sockets(&mut self, local: &SocketAddr, steering: &Steering) -> io::Result<Vec<Socket>> {
        let mut sockets = Vec::with_capacity(steering.count());
        for _ in 0..steering.count() {
            let socket = options::new(local, self.settings.device.as_deref())?;
            self.bind(&socket, local, true)?;
            sockets.push(socket);
        }
        steer_group(&sockets, local.is_ipv6(), steering)?;
        Ok(sockets)
    }

    /// Lets workers serve on their sockets, if there are any.
    pub(super) fn hand_to_workers(&mut self, group: Vec<ServerSocket>) {
        if let Some(pool) = self.pool.as_mut().filter(|_| !group.is_empty()) {
            pool.open(group);
        }
    }
}
