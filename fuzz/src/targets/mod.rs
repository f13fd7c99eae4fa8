//! Targets that need nothing but the engine.

mod command;
mod config;
mod files;
mod ntp;
mod world;

/// Takes any bytes, ends soon and must not panic.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("ntp", ntp::packets),
    ("command", command::requests),
    ("config", config::text),
    ("keys", files::keys),
    ("dump", files::dump),
    ("drift", files::drift),
    ("leap", files::leap),
];

/// Takes values off the front of the input; zeros when there is nothing left.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
