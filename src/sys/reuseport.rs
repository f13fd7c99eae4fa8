//! Programs that choose the socket of a group (`SO_REUSEPORT`) which a datagram goes to.

use super::error::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An instruction of classic BPF.
pub use libc::sock_filter as Instruction;

/// Makes a program choose the socket by the number it returns, in the order in which the sockets of the group were
/// bound. It is for the whole group, also when the others join later; `socket` must have `SO_REUSEPORT` set. The
/// program reads the datagram's headers at [`libc::SKF_NET_OFF`].
///
/// # Errors
/// The kernel's refusal: it is too old, or the program is wrong.
pub fn attach(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which has as many instructions as it says and outlives the call, and
    // writes nothing; the size of the value is passed along.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::net::SocketAddr;
    use std::os::fd::AsFd;

    #[test]
    fn only_programs_that_end_are_taken() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&SockAddr::from(any)).unwrap();
        let instruction = |code: u32, k| Instruction {
            code: code as u16,
            jt: 0,
            jf: 0,
            k,
        };
        let load = instruction(libc::BPF_LD | libc::BPF_IMM, 7);
        let give = instruction(libc::BPF_RET | libc::BPF_K, 0);
        assert!(attach(socket.as_fd(), &[]).is_err());
        assert!(attach(socket.as_fd(), &[load]).is_err());
        attach(socket.as_fd(), &[load, give]).unwrap();
    }
}
