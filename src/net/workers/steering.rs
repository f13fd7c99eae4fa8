//! The socket filter that leads each client to its worker: [`Steering::worker`], computed by the kernel.

use crate::sys::reuseport::Instruction;
use truechimer_engine::server::Steering;

/// Where the source address is in the headers.
const SOURCE_V4: [i32; 1] = [12];
const SOURCE_V6: [i32; 4] = [8, 12, 16, 20];

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const COPY_TO_X: u32 = libc::BPF_MISC | libc::BPF_TAX;
const XOR_X: u32 = libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X;
const ADD_X: u32 = libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X;
const ADD: u32 = libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K;
const SHIFT: u32 = libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K;
const MULTIPLY: u32 = libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K;
const REMAINDER: u32 = libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_A;

fn instruction(code: u32, k: u32) -> Instruction {
    Instruction {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// The number of a client's worker, from the source address of an IPv4 or IPv6 packet.
pub(super) fn program(v6: bool, steering: &Steering) -> Vec<Instruction> {
    let words = if v6 { &SOURCE_V6[..] } else { &SOURCE_V4[..] };
    // The sum is kept in the index register, which is 0 at first.
    let mut all = Vec::new();
    for (place, factor) in words.iter().zip(steering.factors) {
        // What is read at a negative place is read from a header; the offset is meant to wrap.
        let load = instruction(LOAD, (libc::SKF_NET_OFF + place) as u32);
        all.extend([
            load,
            instruction(MULTIPLY, factor),
            instruction(ADD_X, 0),
            instruction(COPY_TO_X, 0),
        ]);
    }
    all.push(instruction(ADD, steering.offset));
    for (shift, factor) in [16, 15].into_iter().zip(steering.rounds) {
        all.extend([
            instruction(COPY_TO_X, 0),
            instruction(SHIFT, shift),
            instruction(XOR_X, 0),
            instruction(MULTIPLY, factor),
        ]);
    }
    all.extend([
        instruction(SHIFT, 16),
        instruction(REMAINDER, steering.count() as u32),
        instruction(RETURN, 0),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::super::steer_group;
    use crate::net::options;
    use crate::sys::random::KernelRandom;
    use socket2::{SockAddr, Socket};
    use std::io::ErrorKind;
    use std::net::{IpAddr, SocketAddr, UdpSocket};
    use std::time::Duration;
    use truechimer_engine::server::Steering;

    /// Sockets of a group on a free port of the loopback interface.
    fn group(any: SocketAddr, count: usize) -> Vec<Socket> {
        let mut at = any;
        let mut sockets = Vec::new();
        while sockets.len() < count {
            let socket = options::new(&at, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&SockAddr::from(at)).unwrap();
            at = socket.local_addr().unwrap().as_socket().unwrap();
            sockets.push(socket);
        }
        sockets
    }

    /// Every client's requests go to its worker, and none to the socket behind those of the workers.
    fn check(any: &str, clients: &[IpAddr], count: usize) {
        let steering = Steering::new(count, &mut KernelRandom::new());
        let sockets = group(any.parse().unwrap(), count + 1);
        let v6 = sockets[0].local_addr().unwrap().is_ipv6();
        steer_group(&sockets[..count], v6, &steering).unwrap();
        let to = sockets[0].local_addr().unwrap().as_socket().unwrap();
        let mut used = vec![0; count];
        for client in clients {
            // From two ports, as it is the address that counts.
            for _ in 0..2 {
                let socket = UdpSocket::bind((*client, 0)).unwrap();
                socket.send_to(b"request", to).unwrap();
                let own = UdpSocket::from(sockets[steering.worker(*client)].try_clone().unwrap());
                own.set_nonblocking(false).unwrap();
                own.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut buffer = [0; 16];
                let received = loop {
                    match own.recv_from(&mut buffer) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        received => break received,
                    }
                };
                let (length, from) = received.unwrap();
                assert_eq!((length, from), (7, socket.local_addr().unwrap()));
                own.set_nonblocking(true).unwrap();
            }
            used[steering.worker(*client)] += 1;
        }
        assert!(
            clients.len() < 8 * count || used.iter().all(|&used| used > 0),
            "{used:?}"
        );
    }

    #[test]
    fn the_kernel_knows_each_clients_worker() {
        let v4: Vec<IpAddr> = (0..64_u8)
            .map(|i| IpAddr::from([127, i.wrapping_mul(37), i / 3, i + 1]))
            .collect();
        for count in [2, 3, 8] {
            check("127.0.0.1:0", &v4, count);
        }
        // Other addresses of this family need a network of one's own: `compat-tests/tests/threads.rs`.
        let v6 = [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        for count in 2..10 {
            check("[::1]:0", &v6, count);
        }
    }
}
