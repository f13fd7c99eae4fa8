//! `add`: a source with all its options (section 4.1, ADD_SOURCE2 and the older ADD_SOURCE).

use super::field::{Field, Reader};
use super::{Address, Status};
use std::net::IpAddr;

const NAME: usize = 256;
const RESERVED: usize = 32;

/// What is added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the directives of the same names")]
pub enum SourceKind {
    Server,
    Peer,
    Pool,
}

/// Options without a value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SourceFlags(pub u32);

#[expect(missing_docs, reason = "the options of the same names")]
impl SourceFlags {
    pub const ONLINE: Self = Self(0x1);
    pub const AUTO_OFFLINE: Self = Self(0x2);
    pub const IBURST: Self = Self(0x4);
    pub const PREFER: Self = Self(0x8);
    pub const NOSELECT: Self = Self(0x10);
    pub const TRUST: Self = Self(0x20);
    pub const REQUIRE: Self = Self(0x40);
    pub const XLEAVE: Self = Self(0x80);
    pub const BURST: Self = Self(0x100);
    pub const NTS: Self = Self(0x200);
    pub const COPY: Self = Self(0x400);
    pub const IPV4: Self = Self(0x800);
    pub const IPV6: Self = Self(0x1000);
    /// `extfield 10A`
    pub const NET_CORRECTION: Self = Self(0x1_0000);
    /// `extfield F323`
    pub const MONO_ROOT: Self = Self(0x8000_0000);

    /// The last four as clients up to 4.8 number them.
    const OLD: [(u32, Self); 4] = [
        (0x800, Self::MONO_ROOT),
        (0x1000, Self::NET_CORRECTION),
        (0x2000, Self::IPV4),
        (0x4000, Self::IPV6),
    ];

    /// Flags of a client up to 4.8.
    fn from_old(bits: u32) -> Self {
        let mut flags = Self(bits & 0x7ff);
        for (bit, flag) in Self::OLD {
            flags.set(flag, bits & bit != 0);
        }
        flags
    }

    /// True if all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets or clears the bits of `other`.
    pub const fn set(&mut self, other: Self, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

/// A new source. Numbers are as given: the server corrects what is out of range.
#[derive(Clone, Debug, PartialEq)]
pub struct AddSource {
    /// Directive.
    pub kind: SourceKind,
    /// Name or address, at most 255 bytes. Of a decoded request: an address, or printable ASCII (may be empty).
    pub name: String,
    /// UDP port.
    pub port: u32,
    /// log2 s.
    pub minpoll: i32,
    /// log2 s.
    pub maxpoll: i32,
    /// log2 s; 100 is off.
    pub presend: i32,
    /// `minstratum`
    pub min_stratum: u32,
    /// `polltarget`
    pub poll_target: u32,
    /// NTP version; 0 is automatic.
    pub version: u32,
    /// `maxsources`
    pub max_sources: u32,
    /// -1: as configured for all.
    pub min_samples: i32,
    /// -1: as configured for all.
    pub max_samples: i32,
    /// `maxunreach`
    pub max_unreach: i32,
    /// `filter`
    pub filter: i32,
    /// Key ID; 0 is none.
    pub key: u32,
    /// NTS-KE port.
    pub nts_port: u32,
    /// Set of trusted certificates.
    pub cert_set: u32,
    /// `maxntsretry`, log2 s.
    pub max_nts_retry: i32,
    /// s.
    pub max_delay: f64,
    /// `maxdelayratio`
    pub max_delay_ratio: f64,
    /// `maxdelaydevratio`
    pub max_delay_dev_ratio: f64,
    /// `maxdelayquant`
    pub max_delay_quant: f64,
    /// s.
    pub min_delay: f64,
    /// -0.5 to 0.5; 1 is "estimate".
    pub asymmetry: f64,
    /// s, added to measured offsets.
    pub offset: f64,
    /// Options without a value.
    pub flags: SourceFlags,
}

impl AddSource {
    /// A source with the default options.
    #[must_use]
    pub fn new(kind: SourceKind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            port: 123,
            minpoll: 6,
            maxpoll: 10,
            presend: 100,
            min_stratum: 0,
            poll_target: 8,
            version: 0,
            max_sources: 4,
            min_samples: -1,
            max_samples: -1,
            max_unreach: 100_000,
            filter: 0,
            key: 0,
            nts_port: 4460,
            cert_set: 0,
            max_nts_retry: 19,
            max_delay: 3.0,
            max_delay_ratio: 0.0,
            max_delay_dev_ratio: 10.0,
            max_delay_quant: 0.0,
            min_delay: 0.0,
            asymmetry: 1.0,
            offset: 0.0,
            flags: SourceFlags::ONLINE,
        }
    }

    /// The one family that the source may have; IPv4 if both are asked for.
    #[must_use]
    pub const fn only_ipv4(&self) -> bool {
        self.flags.contains(SourceFlags::IPV4)
    }

    /// See [`Self::only_ipv4`].
    #[must_use]
    pub const fn only_ipv6(&self) -> bool {
        self.flags.contains(SourceFlags::IPV6) && !self.only_ipv4()
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let kind: u32 = match self.kind {
            SourceKind::Server => 1,
            SourceKind::Peer => 2,
            SourceKind::Pool => 3,
        };
        kind.put(out);
        let end = out.len() + NAME;
        out.extend(self.name.bytes().take(NAME - 1));
        out.resize(end, 0);
        self.port.put(out);
        self.minpoll.put(out);
        self.maxpoll.put(out);
        self.presend.put(out);
        self.min_stratum.put(out);
        self.poll_target.put(out);
        self.version.put(out);
        self.max_sources.put(out);
        self.min_samples.put(out);
        self.max_samples.put(out);
        self.max_unreach.put(out);
        self.filter.put(out);
        self.key.put(out);
        self.nts_port.put(out);
        self.cert_set.put(out);
        self.max_nts_retry.put(out);
        self.max_delay.put(out);
        self.max_delay_ratio.put(out);
        self.max_delay_dev_ratio.put(out);
        self.max_delay_quant.put(out);
        self.min_delay.put(out);
        self.asymmetry.put(out);
        self.offset.put(out);
        self.flags.0.put(out);
        out.extend_from_slice(&[0; RESERVED]);
    }

    /// `old`: the form of clients up to 4.8.
    pub(super) fn get(r: &mut Reader<'_>, old: bool) -> Result<Self, Status> {
        let kind = match r.get::<u32>() {
            1 => SourceKind::Server,
            2 => SourceKind::Peer,
            3 => SourceKind::Pool,
            _ => return Err(Status::Invalid),
        };
        let mut new = Self::new(kind, &name(&r.array())?);
        new.port = r.get();
        new.minpoll = r.get();
        new.maxpoll = r.get();
        new.presend = r.get();
        new.min_stratum = r.get();
        new.poll_target = r.get();
        new.version = r.get();
        new.max_sources = r.get();
        new.min_samples = r.get();
        new.max_samples = r.get();
        if !old {
            new.max_unreach = r.get();
            new.filter = r.get();
        }
        new.key = r.get();
        new.nts_port = r.get();
        if !old {
            new.cert_set = r.get();
            new.max_nts_retry = r.get();
        }
        new.max_delay = r.get();
        new.max_delay_ratio = r.get();
        new.max_delay_dev_ratio = r.get();
        if !old {
            new.max_delay_quant = r.get();
        }
        new.min_delay = r.get();
        new.asymmetry = r.get();
        new.offset = r.get();
        new.flags = if old {
            SourceFlags::from_old(r.get())
        } else {
            SourceFlags(r.get())
        };
        if old {
            new.filter = r.get();
            new.cert_set = r.get();
            new.max_delay_quant = r.get();
            new.max_unreach = r.get();
        }
        match Address::parse(&new.name).and_then(Address::ip) {
            Some(IpAddr::V4(_)) if new.only_ipv6() => Err(Status::InvalidFamily),
            Some(IpAddr::V6(_)) if new.only_ipv4() => Err(Status::InvalidFamily),
            _ => Ok(new),
        }
    }
}

/// Anything printable: who resolves the name finds out whether it is one.
fn name(field: &[u8; NAME]) -> Result<String, Status> {
    let (text, [0]) = field.split_at(NAME - 1) else {
        return Err(Status::InvalidName);
    };
    text.iter()
        .take_while(|c| **c != 0)
        .map(|c| {
            if c.is_ascii_graphic() {
                Ok(char::from(*c))
            } else {
                Err(Status::InvalidName)
            }
        })
        .collect()
}
