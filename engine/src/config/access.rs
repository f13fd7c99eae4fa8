//! `allow`, `deny` and their kin; rate limits (`spec/config.md` sections 2.2, 5.6.4).

use std::net::IpAddr;

/// What an access rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subnet {
    /// Every address of both families.
    Any,
    /// An address and the number of leading bits that count (not limited by the parser; more than 32 or 128
    /// is an error at start).
    Net(IpAddr, u32),
}

/// One line `allow`, `deny`, `cmdallow` or `cmddeny`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessRule {
    /// Allow or deny.
    pub allow: bool,
    /// `all`: removes the rules inside of the subnet.
    pub all: bool,
    /// Where.
    pub subnet: Subnet,
}

/// `ratelimit`, `ntsratelimit`, `cmdratelimit`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// log2 s.
    pub interval: i32,
    /// Requests.
    pub burst: i32,
    /// log2 of the inverse probability of a reply over the limit.
    pub leak: i32,
    /// log2 of the inverse probability of a KoD instead of nothing; 0: none.
    pub kod: i32,
}
