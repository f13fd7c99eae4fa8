//! NTP messages within PTP messages, whose timestamps more network cards can take (`spec/ntp.md` section 5.8).

use super::MAX_LEN;
use bytes::Bytes;

/// Octets before the NTP message: header and origin timestamp of a Delay_Req, then the TLV's own header.
pub const PTP_HEADER: usize = 56;
/// Where the TLV begins, and where its body does.
const TLV: usize = 44;
const TLV_BODY: usize = 48;
/// Organisation, its subtype, padding.
const ORGANISATION: [u8; 8] = [0, 0, 0x5e, 0, 0, 1, 0, 0];
/// ORGANIZATION_EXTENSION, and the form that is not propagated.
const TLV_TYPES: [[u8; 2]; 2] = [[0, 3], [0x80, 0]];
/// A correction is in 2^-16 ns.
const CORRECTIONS_PER_SECOND: f64 = 65_536.0 * 1e9;

/// A Delay_Req message that holds `message`.
#[must_use]
pub fn wrap(message: &[u8], domain: u8, sequence: u16) -> Bytes {
    let length = PTP_HEADER + message.len();
    let mut ptp = Vec::with_capacity(length);
    ptp.extend([1, 2]);
    ptp.extend((length as u16).to_be_bytes());
    // Domain; unicast.
    ptp.extend([domain, 0, 4, 0]);
    ptp.extend([0; 22]);
    ptp.extend(sequence.to_be_bytes());
    ptp.extend([0; 12]);
    ptp.extend(TLV_TYPES[0]);
    ptp.extend((ORGANISATION.len() as u16 + message.len() as u16).to_be_bytes());
    ptp.extend(ORGANISATION);
    ptp.extend(message);
    ptp.into()
}

/// The NTP message within a PTP message, and the correction that the network has added, s. `None`: it is
/// none of ours.
#[must_use]
pub fn unwrap(ptp: &[u8], domain: u8) -> Option<(&[u8], f64)> {
    let (header, message) = ptp.split_first_chunk::<PTP_HEADER>()?;
    let number = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let version = header[1] == 2 || (header[1] == 0x12 && header[5] == 0);
    let right = matches!(header[0], 0 | 1)
        && version
        && number(2) == ptp.len()
        && header[4] == domain
        && header[6..8] == [4, 0]
        && TLV_TYPES.iter().any(|kind| header[TLV..TLV + 2] == *kind)
        && number(TLV + 2) == ORGANISATION.len() + message.len()
        // The padding is not looked at.
        && header[TLV_BODY..TLV_BODY + 6] == ORGANISATION[..6]
        && message.len() <= MAX_LEN;
    let correction = header[8..16].try_into().map_or(0, u64::from_be_bytes);
    right.then_some((message, correction as f64 / CORRECTIONS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::super::captures::{PTP, octets};
    use super::*;
    use crate::wire::ntp::Packet;

    const DOMAIN: u8 = 123;

    #[test]
    fn captures_are_taken_apart_and_put_together() {
        for (sequence, (request, reply)) in PTP[..2].iter().enumerate() {
            let (request, reply) = (octets(request), octets(reply));
            let (asked, _) = unwrap(&request, DOMAIN).unwrap();
            let (answer, correction) = unwrap(&reply, DOMAIN).unwrap();
            let (asked, header) = (
                Packet::parse(asked).unwrap().header,
                Packet::parse(answer).unwrap().header,
            );
            assert_eq!((header.originate, correction), (asked.transmit, 0.0));
            assert_eq!(wrap(answer, DOMAIN, sequence as u16), reply);
        }
        // The first request has a correction of 1000 * 2^16 / 2^16 ns.
        let correction = unwrap(&octets(PTP[0].0), DOMAIN).unwrap().1;
        assert!((correction - 1e-6).abs() < 1e-15, "{correction}");
        // chrony 4.8 had another form.
        assert!(unwrap(&octets(PTP[2].0), DOMAIN).is_none());
    }

    #[test]
    fn every_octet_that_counts_is_looked_at() {
        let right = octets(PTP[0].0);
        // Correction, sequence number, identity of the port, timestamp, padding of the TLV and the message itself.
        let free = |at: usize| matches!(at, 5 | 8..=43 | 54 | 55 | 56..);
        for at in 0..right.len() {
            let mut other = right.clone();
            other[at] ^= 0x40;
            assert_eq!(unwrap(&other, DOMAIN).is_some(), free(at), "{at}");
        }
        let change = |at: usize, to: u8| {
            let mut other = right.clone();
            other[at] = to;
            unwrap(&other, DOMAIN).is_some()
        };
        assert!(change(0, 0) && !change(0, 8));
        assert!(change(1, 0x12));
        let mut minor = right.clone();
        (minor[1], minor[5]) = (0x12, 1);
        assert!(unwrap(&minor, DOMAIN).is_none());
        assert!(unwrap(&right, DOMAIN + 1).is_none());
        for length in 0..right.len() {
            assert!(unwrap(&right[..length], DOMAIN).is_none());
        }
        let longer = wrap(&[0; MAX_LEN + 4], DOMAIN, 0);
        assert!(unwrap(&longer, DOMAIN).is_none());
        assert!(unwrap(&wrap(&[0; MAX_LEN], DOMAIN, 0), DOMAIN).is_some());
    }
}
