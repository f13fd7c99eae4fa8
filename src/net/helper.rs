//! The process that looks names up, and the few bytes that go between it and the daemon: a question is the
//! family, the number of the query and the name; an answer is the number and the addresses.

use crate::privilege::Reach;
use crate::sys::error::text;
use crate::sys::filter::{Filter, Level};
use crate::sys::name;
use crate::sys::process::{close_from, fork, ignore, set_capabilities};
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily as Domain, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::ForkResult;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use truechimer_engine::config::AddressFamily;
use truechimer_engine::io::{QueryId, ResolveError};

/// Longest question or answer, bytes.
const MAX_LENGTH: usize = 2048;

/// What became of a query.
pub type Answer = (QueryId, Result<Vec<IpAddr>, ResolveError>);

/// Starts the helper; gives our end of the connection.
pub(super) fn start(limited: bool) -> Result<OwnedFd, String> {
    let pair = socketpair(Domain::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
    let (ours, theirs) = pair.map_err(|_| "Could not open socket pair".to_owned())?;
    match fork().map_err(|error| format!("fork() failed : {}", text(error as i32)))? {
        ForkResult::Parent { .. } => Ok(ours),
        ForkResult::Child => {
            be_helper(&theirs, limited);
            std::process::exit(0)
        }
    }
}

fn be_helper(socket: &OwnedFd, limited: bool) {
    // Whoever stops the daemon by a signal to all its processes still lets it look names up until its end.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        let _ = ignore(signal);
    }
    // Should a name keep us when the daemon ends, there is nobody to wait for us.
    let _ = set_pdeathsig(Signal::SIGKILL);
    // Names need no rights, and the daemon's sockets are none of our business.
    let _ = set_capabilities(&[]);
    close_from(3, &[socket.as_raw_fd()]);
    if limited {
        // Which files tell an address, only the modules of the C library know; but none has to be written.
        let reach = Reach {
            read: vec!["/".into()],
            devices: vec!["/dev/null".into()],
            ..Reach::default()
        };
        let _ = reach.enforce();
    }
    let filter = Filter {
        level: Level::Basic,
        trap: false,
    };
    let _ = filter.load();
    serve(socket);
}

/// Answers one question after the other until nobody asks any more.
fn serve(socket: &OwnedFd) {
    let mut buffer = [0; MAX_LENGTH];
    loop {
        let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(0) => return,
            Err(Errno::EINTR) => continue,
            Err(_) => return,
            Ok(length) => length,
        };
        let Some((query, family, name)) = buffer.get(..length).and_then(decode_question) else {
            return;
        };
        let answer = encode_answer(&(query, name::resolve(name, family)));
        if send(socket.as_raw_fd(), &answer, MsgFlags::MSG_NOSIGNAL).is_err() {
            return;
        }
    }
}

/// Asks the helper, without waiting.
pub(super) fn ask(socket: &OwnedFd, query: QueryId, name: &str, family: AddressFamily) -> io::Result<()> {
    let question = encode_question(query, family, name);
    if question.len() > MAX_LENGTH {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    send(
        socket.as_raw_fd(),
        &question,
        MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
    )?;
    Ok(())
}

/// Takes an answer, if there is one.
pub(super) fn receive(socket: &OwnedFd) -> io::Result<Option<Answer>> {
    let mut buffer = [0; MAX_LENGTH];
    loop {
        return match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                let answer = buffer.get(..length).and_then(decode_answer);
                answer.map(Some).ok_or(io::ErrorKind::InvalidData.into())
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

fn encode_question(query: QueryId, family: AddressFamily, name: &str) -> Vec<u8> {
    let mut bytes = vec![match family {
        AddressFamily::Any => 0,
        AddressFamily::V4 => 4,
        AddressFamily::V6 => 6,
    }];
    bytes.extend(query.0.to_be_bytes());
    bytes.extend(name.as_bytes());
    bytes
}

fn decode_question(bytes: &[u8]) -> Option<(QueryId, AddressFamily, &str)> {
    let (&family, rest) = bytes.split_first()?;
    let (&query, name) = rest.split_first_chunk()?;
    let family = match family {
        0 => AddressFamily::Any,
        4 => AddressFamily::V4,
        6 => AddressFamily::V6,
        _ => return None,
    };
    let name = std::str::from_utf8(name).ok()?;
    Some((QueryId(u32::from_be_bytes(query)), family, name))
}

fn encode_answer((query, result): &Answer) -> Vec<u8> {
    let mut bytes = query.0.to_be_bytes().to_vec();
    bytes.push(match result {
        Ok(_) => 0,
        Err(ResolveError::Temporary) => 1,
        Err(ResolveError::NoAddress) => 2,
    });
    for address in result.iter().flatten() {
        match address {
            IpAddr::V4(v4) => {
                bytes.push(4);
                bytes.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                bytes.push(6);
                bytes.extend(v6.octets());
            }
        }
    }
    bytes
}

fn decode_answer(bytes: &[u8]) -> Option<Answer> {
    let (&query, rest) = bytes.split_first_chunk()?;
    let query = QueryId(u32::from_be_bytes(query));
    let (&status, mut rest) = rest.split_first()?;
    let mut addresses = Vec::new();
    while let Some((&family, octets)) = rest.split_first() {
        let (address, next) = match family {
            4 => {
                let (&octets, next) = octets.split_first_chunk::<4>()?;
                (IpAddr::from(Ipv4Addr::from(octets)), next)
            }
            6 => {
                let (&octets, next) = octets.split_first_chunk::<16>()?;
                (IpAddr::from(Ipv6Addr::from(octets)), next)
            }
            _ => return None,
        };
        addresses.push(address);
        rest = next;
    }
    let result = match status {
        0 => Ok(addresses),
        1 => Err(ResolveError::Temporary),
        2 => Err(ResolveError::NoAddress),
        _ => return None,
    };
    Some((query, result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    #[test]
    fn messages_survive_the_way() {
        let question = encode_question(QueryId(7), AddressFamily::V6, "ntp.example");
        let expected = (QueryId(7), AddressFamily::V6, "ntp.example");
        assert_eq!(decode_question(&question), Some(expected));
        assert_eq!(decode_question(&[9, 0, 0, 0, 1, 65]), None);
        for answer in [
            (
                QueryId(u32::MAX),
                Ok(vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]),
            ),
            (QueryId(0), Err(ResolveError::Temporary)),
            (QueryId(1), Err(ResolveError::NoAddress)),
        ] {
            let bytes = encode_answer(&answer);
            assert_eq!(decode_answer(&bytes), Some(answer));
        }
        assert_eq!(decode_answer(&[0, 0, 0, 1, 0, 4, 1]), None);
        assert_eq!(decode_answer(&[]), None);
    }

    #[test]
    fn the_helper_answers_in_order_and_ends_with_the_connection() {
        let socket = start(true).unwrap();
        assert!(receive(&socket).unwrap().is_none());
        ask(&socket, QueryId(1), "192.0.2.1", AddressFamily::Any).unwrap();
        ask(&socket, QueryId(2), "::1", AddressFamily::V4).unwrap();
        assert!(ask(&socket, QueryId(3), &"x".repeat(MAX_LENGTH), AddressFamily::Any).is_err());
        let next = || {
            poll(
                &mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)],
                PollTimeout::from(10_000_u16),
            )
            .unwrap();
            receive(&socket).unwrap().unwrap()
        };
        assert_eq!(next(), (QueryId(1), Ok(vec![IpAddr::from([192, 0, 2, 1])])));
        assert_eq!(next(), (QueryId(2), Err(ResolveError::Temporary)));
        drop(socket);
        // The only child that this test waits for; others of the harness wait for theirs by number.
    }
}
