//! Frames that the kernel loops back with their transmit timestamps: an Ethernet header, whatever interface it was,
//! and the packet (`spec/ntp.md` 6.3).

/// What a frame is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Looped<'a> {
    /// It is of IPv6.
    pub(super) v6: bool,
    /// The UDP payload.
    pub(super) payload: &'a [u8],
}

/// Takes a frame apart; `None` if there is no whole UDP payload.
pub(super) fn payload(frame: &[u8]) -> Option<Looped<'_>> {
    let word =
        |at: usize| -> Option<u16> { Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?)) };
    let mut at = 12;
    while word(at)? == VLAN {
        at += 4;
    }
    let kind = word(at)?;
    at += 2;
    match kind {
        IPV4 => {
            let first = *frame.get(at)?;
            if *frame.get(at + 9)? != UDP {
                return None;
            }
            at += usize::from(first & 15) * 4;
        }
        IPV6 => {
            let mut next = *frame.get(at + 6)?;
            at += 40;
            while next != UDP {
                let length = usize::from(*frame.get(at + 1)?);
                let skipped = match next {
                    HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY => (length + 1) * 8,
                    AUTHENTICATION => (length + 2) * 4,
                    // Only the first fragment has the UDP header.
                    FRAGMENT if word(at + 2)? >> 3 == 0 => 8,
                    _ => return None,
                };
                next = *frame.get(at)?;
                at += skipped;
            }
        }
        _ => return None,
    }
    let length = usize::from(word(at + 4)?);
    Some(Looped {
        v6: kind == IPV6,
        payload: frame.get(at + UDP_HEADER..at.checked_add(length)?)?,
    })
}

const VLAN: u16 = 0x8100;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tags: usize, kind: u16, ip: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xee; 12];
        for _ in 0..tags {
            frame.extend([0x81, 0, 0, 5]);
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(ip);
        frame.extend([0, 123, 0, 200, 0, 13, 9, 9]);
        frame.extend(b"hello");
        frame
    }

    fn ipv4(words: u8) -> Vec<u8> {
        let mut ip = vec![0x77; usize::from(words) * 4];
        ip[0] = 0x40 | words;
        ip[9] = UDP;
        ip
    }

    fn ipv6(next: u8) -> Vec<u8> {
        let mut ip = vec![0x77; 40];
        ip[6] = next;
        ip
    }

    fn whole(frame: &[u8], v6: bool) {
        let payload = &b"hello"[..];
        assert_eq!(super::payload(frame), Some(Looped { v6, payload }));
    }

    #[test]
    fn all_headers_are_skipped() {
        for tags in 0..3 {
            for words in [5, 15] {
                whole(&frame(tags, IPV4, &ipv4(words)), false);
            }
            whole(&frame(tags, IPV6, &ipv6(UDP)), true);
        }
        let mut extended = ipv6(HOP_BY_HOP);
        for (next, length, octets) in [
            (ROUTING, 0, 8),
            (AUTHENTICATION, 2, 24),
            (FRAGMENT, 4, 24),
            (DESTINATION, 0, 8),
            (MOBILITY, 1, 16),
            (UDP, 0, 8),
        ] {
            let mut header = vec![0; octets];
            header[..2].copy_from_slice(&[next, length]);
            extended.extend(header);
        }
        whole(&frame(1, IPV6, &extended), true);
    }

    #[test]
    fn anything_else_has_none() {
        let whole = frame(1, IPV6, &ipv6(UDP));
        for length in 0..whole.len() {
            assert_eq!(payload(&whole[..length]), None, "{length}");
        }
        assert_eq!(payload(&frame(0, 0x0806, &ipv4(5))), None);
        assert_eq!(payload(&frame(0, IPV6, &ipv6(58))), None);
        let mut later = ipv6(FRAGMENT);
        later.extend([UDP, 0, 0, 8, 0, 0, 0, 0]);
        assert_eq!(payload(&frame(0, IPV6, &later)), None);
        // A UDP length that is too short.
        let mut frame = frame(0, IPV4, &ipv4(5));
        frame[39] = 7;
        assert_eq!(payload(&frame), None);
    }
}
