//! Random numbers, supplied by whoever runs the engine: the kernel's in the daemon, a seeded generator in
//! a simulation.

/// A source of random numbers good enough for nonces.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);

    /// 64 random bits.
    fn bits64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// 32 random bits.
    fn bits32(&mut self) -> u32 {
        self.bits64() as u32
    }

    /// 16 random bits.
    fn bits16(&mut self) -> u16 {
        self.bits32() as u16
    }

    /// A uniform number in [0, 1].
    fn uniform(&mut self) -> f64 {
        (self.bits64() >> 11) as f64 / ((1_u64 << 53) - 1) as f64
    }
}

/// A small seeded generator (xorshift128+) for simulations and tests. Not for a daemon: it is predictable.
#[derive(Clone, Debug)]
pub struct Seeded(u64, u64);

impl Seeded {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // splitmix64 spreads small seeds over both words.
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        };
        Self(next(), next() | 1)
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let bits = self.bits64().to_le_bytes();
            chunk.copy_from_slice(&bits[..chunk.len()]);
        }
    }

    fn bits64(&mut self) -> u64 {
        let (mut a, b) = (self.0, self.1);
        self.0 = b;
        a ^= a << 23;
        self.1 = a ^ b ^ (a >> 18) ^ (b >> 5);
        self.1.wrapping_add(b)
    }
}
