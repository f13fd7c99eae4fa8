//! The exchanges of section 8, and properties.

mod exchanges;
mod rules;
mod writes;

use super::*;
use std::net::IpAddr;

/// Bytes from the notation of the specification: hex digits, `00*12` for repetition.
fn hex(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        let (digits, times) = word
            .split_once('*')
            .map_or((word, 1), |(d, n)| (d, n.parse().unwrap()));
        for _ in 0..times {
            for pair in digits.as_bytes().chunks(2) {
                out.push(u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
            }
        }
    }
    out
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn address(text: &str) -> Address {
    Address::Ip(ip(text))
}

/// Both directions of a request: `bytes` without the padding up to `length`.
fn request(request: &Request, sequence: u32, bytes: &str, length: usize) {
    let mut bytes = hex(bytes);
    bytes.resize(length, 0);
    assert_eq!(request.encode(VERSION, 0, sequence), bytes);
    let header = RequestHeader::decode(&bytes).unwrap();
    assert_eq!(header.sequence, sequence);
    let code = header.code(bytes.len()).unwrap();
    assert_eq!(code.request_length(), length);
    assert_eq!(&Request::decode(code, &bytes).unwrap(), request);
    assert_eq!(header.code(length - 1), Err(Refusal::Status(Status::BadLength)));
}

/// Decodes a captured reply, and encodes it again to the same bytes.
fn reply(bytes: &[u8]) -> Reply {
    let header = ReplyHeader::decode(bytes).unwrap();
    assert_eq!(bytes.len(), reply_length(header.reply));
    let decoded = Reply::decode(ReplyCode::from_number(header.reply).unwrap(), bytes).unwrap();
    let request = RequestHeader {
        version: VERSION,
        command: header.command,
        attempt: 0,
        sequence: header.sequence,
    };
    assert_eq!(encode_reply(&request, header.status, &decoded), bytes);
    assert_eq!(Code::from_number(header.command).unwrap().reply(), decoded.code());
    decoded
}

/// The same with header and data given apart.
fn reply_data(command: u16, code: ReplyCode, data: &str) -> Reply {
    let mut bytes = hex("06 02 00 00");
    bytes.extend_from_slice(&command.to_be_bytes());
    bytes.extend_from_slice(&code.number().to_be_bytes());
    bytes.extend_from_slice(&hex("00*8 11223303 00*8"));
    bytes.extend_from_slice(&hex(data));
    bytes.resize(code.length(), 0);
    reply(&bytes)
}

#[track_caller]
fn near(value: f64, expected: f64) {
    assert!(
        (value - expected).abs() <= 1e-5 * expected.abs(),
        "{value} instead of {expected}"
    );
}
