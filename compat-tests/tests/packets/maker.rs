//! Packets of every kind, good, bad and damaged. The same ones for the same seed.

use truechimer_engine::auth::Keys;
use truechimer_engine::random::{Random, Seeded};

use crate::rules::HEADER;

/// Every type of key; some whose numbers look like extension fields, or are the first and the last.
pub(crate) const KEYS: &str = "\
1 MD5 ASCII:md5-secret-key
2 SHA1 HEX:000102030405060708090A0B0C0D0E0F10111213
3 SHA256 HEX:202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F
4 AES128 HEX:2B7E151628AED2A6ABF7158809CF4F3C
5 AES256 HEX:603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4
6 SHA512 HEX:404142434445464748494A4B4C4D4E4F
7 SHA384 ASCII:another-secret-key
8 SHA3-256 HEX:00112233445566778899AABBCCDDEEFF
9 SHA3-224 HEX:01
10 SHA3-384 HEX:FEDCBA98765432100123456789ABCDEF
11 SHA3-512 HEX:00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF
65572 SHA1 ASCII:looks-like-a-field-of-36
2004287512 SHA1 ASCII:looks-like-a-field-of-24
2004287508 MD5 ASCII:looks-like-a-field-of-20
4294967295 MD5 ASCII:the-last-one
";
/// Numbers of these keys.
const IDS: &[u32] = &[
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    65572,
    2_004_287_512,
    2_004_287_508,
    u32::MAX,
];
/// Types of extension fields: known ones, those of NTS, the old network correction, unknown ones.
const FIELDS: &[u16] = &[
    0xf323, 0xf323, 0x010a, 0x010a, 0xf324, 0x0104, 0x0204, 0x0304, 0x0404, 0x2005, 0x7777, 0,
];
const MAGIC: [u8; 4] = [0xf5, 0xbe, 0xdd, 0x9a];
/// The document with the captured packets.
const CAPTURES: &str = include_str!("../../../docs/spec/ntp.md");

/// Makes one packet after the other.
pub(crate) struct Maker {
    random: Seeded,
    keys: Keys,
    captured: Vec<Vec<u8>>,
    /// Receive timestamps of recent replies, for interleaved requests.
    receives: Vec<u64>,
    last: Vec<u8>,
}

/// All packets of section 10: lines that begin with many hexadecimal digits, and the indented ones behind them.
pub(crate) fn captured() -> Vec<Vec<u8>> {
    let section = CAPTURES.split("\n## ").find(|part| part.starts_with("10. "));
    let is_hex = |word: &&str| {
        word.len() >= 8 && word.len().is_multiple_of(2) && word.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let octets = |word: &str| -> Vec<u8> {
        (0..word.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&word[at..at + 2], 16).expect("digits"))
            .collect()
    };
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for line in section.expect("a section of captures").lines() {
        let mut words = line.split(' ').filter(is_hex);
        if !line.starts_with(' ') {
            let Some(first) = words.find(|word| word.len() >= 2 * HEADER) else {
                continue;
            };
            packets.push(octets(first));
        }
        let packet = packets.last_mut().expect("a first line");
        packet.extend(words.flat_map(octets));
    }
    packets
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        let (keys, events) = Keys::parse(KEYS.as_bytes(), "keys");
        assert_eq!(keys.len(), IDS.len(), "{events:?}");
        let captured = captured();
        assert!(captured.len() > 80, "{} captured packets", captured.len());
        Self {
            random: Seeded::new(seed),
            keys,
            captured,
            receives: Vec::new(),
            last: Vec::new(),
        }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The receive timestamp of a reply.
    pub(crate) fn replied(&mut self, receive: u64) {
        if self.receives.len() < 64 {
            self.receives.push(receive);
        } else {
            let at = self.below(64);
            self.receives[at] = receive;
        }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.random.bits64() % limit.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn octet(&mut self) -> u8 {
        self.random.bits32().to_le_bytes()[0]
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = vec![0; length];
        self.random.fill(&mut noise);
        noise
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A packet for a server.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut packet = match self.below(16) {
            0 => {
                let length = self.below(1300);
                self.noise(length)
            }
            1 | 2 => {
                let at = self.below(self.captured.len());
                self.captured[at].clone()
            }
            _ => self.request(),
        };
        if self.one_in(4) {
            for _ in 0..=self.below(3) {
                self.damage(&mut packet);
            }
        }
        self.last.clone_from(&packet);
        packet
    }

    fn request(&mut self) -> Vec<u8> {
        let mut packet = self.header();
        let version = packet[0] >> 3 & 7;
        if self.one_in(3) {
            for _ in 0..=self.below(3) {
                let field = self.field(0);
                packet.extend(field);
            }
        }
        self.add_mac(version, &mut packet);
        packet
    }

    fn header(&mut self) -> Vec<u8> {
        let mut header = self.noise(HEADER);
        if self.one_in(2) {
            // As real clients have it.
            header[..HEADER - 8].fill(0);
            header[2] = 6;
            header[3] = 32;
        }
        let (any_version, any_mode) = (self.octet() & 7, self.octet() & 7);
        let version = self.pick(&[4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 2, 1, 1, any_version]);
        let mode = self.pick(&[3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 0, any_mode]);
        let leap = self.octet() & 0xc0;
        header[0] = leap | version << 3 | mode;
        if self.one_in(3) && !self.receives.is_empty() {
            // Interleaved, with its random receive timestamp.
            let at = self.below(self.receives.len());
            header[24..32].copy_from_slice(&self.receives[at].to_be_bytes());
            let random = self.noise(8);
            header[32..40].copy_from_slice(&random);
        }
        match self.below(16) {
            0 => header[40..].fill(0),
            1 => header.copy_within(32..40, 40),
            _ => {}
        }
        header
    }

    /// An extension field, perhaps with others in it.
    fn field(&mut self, depth: u32) -> Vec<u8> {
        let kind = self.pick(FIELDS);
        let mut body = match self.below(10) {
            0..6 => self.noise(24),
            6 if depth < 3 => {
                let mut body = self.field(depth + 1);
                body.extend(self.field(depth + 1));
                body
            }
            7 => {
                let length = self.below(600);
                self.noise(length)
            }
            _ => {
                let length = 12 + 4 * self.below(24);
                self.noise(length)
            }
        };
        if kind == 0xf323 && body.len() >= 4 && !self.one_in(8) {
            body[..4].copy_from_slice(&MAGIC);
        }
        let right = 4 + body.len();
        let length = match self.below(40) {
            0 => self.below(32),
            1 => right + 1 + self.below(8),
            2 => right.saturating_sub(1 + self.below(8)),
            3 => usize::from(u16::MAX) - self.below(8),
            4 => 0,
            _ => right,
        };
        let mut field = kind.to_be_bytes().to_vec();
        field.extend((length as u16).to_be_bytes());
        field.extend(body);
        field
    }

    fn add_mac(&mut self, version: u8, packet: &mut Vec<u8>) {
        let id = self.pick(IDS);
        let Some(key) = self.keys.get(id) else {
            unreachable!()
        };
        // Of a version that may not be the packet's: cut or whole.
        let (right, whole) = (key.mac(version, packet), key.mac(3, packet));
        let add = |packet: &mut Vec<u8>, id: u32, digest: &[u8]| {
            packet.extend(id.to_be_bytes());
            packet.extend(digest);
        };
        match self.below(20) {
            0..8 => add(packet, id, right.as_ref()),
            8 => add(packet, id, whole.as_ref()),
            9 => {
                let cut = self.below(right.as_ref().len());
                add(packet, id, &right.as_ref()[..cut]);
            }
            10 => {
                let at = self.below(right.as_ref().len());
                let mut wrong = right.as_ref().to_vec();
                wrong[at] ^= 1 << self.below(8);
                add(packet, id, &wrong);
            }
            11 => {
                let any = self.random.bits32();
                let other = self.pick(&[0, 12, id.wrapping_add(1), any]);
                add(packet, other, right.as_ref());
            }
            12 => add(packet, id, &[0; 16]),
            13 => {
                let length = 4 * self.below(20);
                let noise = self.noise(length);
                packet.extend(noise);
            }
            // A crypto-NAK; MS-SNTP, with and without its extension.
            14 => packet.extend([0; 4]),
            15 => add(packet, id, &[0; 68]),
            _ => {}
        }
    }

    /// Changes anything.
    pub(crate) fn damage(&mut self, packet: &mut Vec<u8>) {
        let length = packet.len();
        let at = self.below(length);
        match self.below(10) {
            0..3 if length > 0 => {
                for _ in 0..=self.below(8) {
                    let at = self.below(length);
                    packet[at] ^= 1 << self.below(8);
                }
            }
            // The lengths of extension fields are here.
            3 if length > HEADER => {
                let at = HEADER + self.below((length - HEADER).min(8));
                packet[at] = self.octet();
            }
            4 => packet.truncate(at),
            5 => packet.truncate(at / 4 * 4),
            6 => {
                let more = 4 * self.below(300);
                let more = self.noise(more);
                packet.extend(more);
            }
            7 => packet.resize(length + self.below(64), 0),
            8 => {
                // The end of another one.
                let from = self.below(self.last.len() + 1);
                packet.truncate(at);
                packet.extend_from_slice(&self.last[from..]);
            }
            _ => {
                // A part of it twice.
                let part = packet[at..].to_vec();
                packet.extend(part);
            }
        }
        packet.truncate(1400);
    }
}
