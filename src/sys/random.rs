//! Random numbers of the kernel.

use std::fmt;
use truechimer_engine::random::Random;

const SIZE: usize = 1024;

/// `getrandom()`, many bytes at a time: a server needs some for every packet. Nobody may fork and go on using
/// the copy.
pub struct KernelRandom {
    buffer: [u8; SIZE],
    used: usize,
}

impl KernelRandom {
    /// Nothing is asked of the kernel yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: [0; SIZE],
            used: SIZE,
        }
    }
}

impl Default for KernelRandom {
    fn default() -> Self {
        Self::new()
    }
}

/// What is in the buffer stays secret.
impl fmt::Debug for KernelRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KernelRandom")
    }
}

impl Random for KernelRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(SIZE) {
            if SIZE - self.used < part.len() {
                from_kernel(&mut self.buffer);
                self.used = 0;
            }
            let end = self.used + part.len();
            if let Some(next) = self.buffer.get_mut(self.used..end) {
                part.copy_from_slice(next);
                // Nothing that was given out stays behind.
                next.fill(0);
            }
            self.used = end;
        }
    }

    fn bits32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn bits16(&mut self) -> u16 {
        let mut bytes = [0; 2];
        self.fill(&mut bytes);
        u16::from_le_bytes(bytes)
    }
}

fn from_kernel(bytes: &mut [u8]) {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the pointer and the length are those of one slice of ours.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // Interrupted is the only failure with a valid pointer and no flags, on any kernel since 3.17.
        done += usize::try_from(count).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_all_of_it_differently_each_time() {
        let mut bytes = [0; 5 * SIZE / 2];
        let mut random = KernelRandom::new();
        random.fill(&mut bytes);
        assert!(bytes[2 * SIZE..].iter().any(|&byte| byte != 0));
        assert_ne!(&bytes[..SIZE], &bytes[SIZE..2 * SIZE]);
        assert_ne!(random.bits32(), random.bits32());
        assert_ne!(random.bits64(), random.bits64());
        random.fill(&mut []);
        let used = random.used;
        assert!(random.buffer[..used].iter().all(|&byte| byte == 0));
    }
}
