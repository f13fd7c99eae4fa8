//! A clock that a daemon controls, and that is not the machine's: a library that is preloaded into the unmodified
//! program (`clock/clock.c`).

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::dir::TempDir;
use crate::harmless::{HARMLESS, library};
use crate::process::finish;
use crate::wait::LIMIT;

/// Octets of the counters, of one piece of the history, and pieces.
const HEAD: u64 = 8;
const PIECE: u64 = 24;
const MAX_PIECES: u64 = 65_536;

/// The simulated clock of one daemon. It starts with the machine's time.
#[derive(Debug)]
pub struct SimClock {
    dir: TempDir,
    library: PathBuf,
    file: File,
    /// Interface that has a card with a clock of its own.
    card: Option<&'static str>,
}

/// The machine's clock, ns.
fn machine() -> i64 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock that is set");
    i64::try_from(time.as_nanos()).expect("before 2262")
}

impl SimClock {
    /// Builds the library, which takes a moment, and makes the clock.
    ///
    /// # Panics
    /// When there is no C compiler.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new();
        let library = library("clock/clock.c", &dir);
        let path = dir.join("history");
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.expect("a new file");
        file.set_len(HEAD + MAX_PIECES * PIECE)
            .expect("room for the history");
        // One piece: no offset, no drift.
        file.write_all_at(&1_u32.to_ne_bytes(), 0)
            .expect("a file that can be written");
        Self {
            dir,
            library,
            file,
            card: None,
        }
    }

    /// Gives an interface a network card whose timestamps are by a clock that nobody sets.
    #[must_use]
    pub fn with_card(self, interface: &'static str) -> Self {
        Self {
            card: Some(interface),
            ..self
        }
    }

    /// The words of a command line before the program that is to have this clock. It could not change the machine's
    /// clock if it wanted to.
    #[must_use]
    pub fn before(&self) -> Vec<OsString> {
        let variable = |name: &str, path: &Path| {
            let mut text = OsString::from(name);
            text.push(path);
            text
        };
        let mut words: Vec<OsString> = HARMLESS.map(OsString::from).to_vec();
        words.extend([
            "env".into(),
            variable("CLOCK_FILE=", &self.dir.join("history")),
            variable("LD_PRELOAD=", &self.library),
        ]);
        words.extend(self.card.map(|card| variable("CARD=", Path::new(card))));
        words
    }

    fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut octets = [0; N];
        self.file.read_exact_at(&mut octets, at).expect("a whole file");
        octets
    }

    /// By how much it is ahead of the machine's, ns.
    #[must_use]
    pub fn offset(&self) -> i64 {
        let count = u32::from_ne_bytes(self.read(0));
        let at = HEAD + PIECE * u64::from(count - 1);
        let (from, offset) = (
            i64::from_ne_bytes(self.read(at)),
            i64::from_ne_bytes(self.read(at + 8)),
        );
        let rate = f64::from_ne_bytes(self.read(at + 16));
        let since = if from == 0 { 0 } else { machine() - from };
        offset + (rate * since as f64) as i64
    }

    /// What it shows, ns.
    #[must_use]
    pub fn now(&self) -> i64 {
        machine() + self.offset()
    }

    /// Steps it forward (s), as another program beside the daemon would.
    pub fn step(&self, by: f64) {
        let before = self.before();
        let to = self.now() + (by * 1e9) as i64;
        let mut command = Command::new(&before[0]);
        command.args(&before[1..]).args(["date", "-u", "-s"]);
        command.arg(format!("@{}.{:09}", to / 1_000_000_000, to % 1_000_000_000));
        finish(&mut command, LIMIT).ok();
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}
