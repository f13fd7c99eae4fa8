//! What came of a load.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::client::Wrong;

/// Most values kept for a [`Spread`]; of more, every second, fourth... is.
const MAX_VALUES: usize = 1 << 18;

/// Measured times, ns.
#[derive(Clone, Debug)]
pub struct Spread {
    values: Vec<i32>,
    /// Every how many-th value is kept.
    step: u32,
    passed: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            step: 1,
            passed: 0,
        }
    }
}

impl Spread {
    pub(crate) fn add(&mut self, value: i32) {
        self.passed += 1;
        if self.passed < self.step {
            return;
        }
        self.passed = 0;
        if self.values.len() == MAX_VALUES {
            let mut nth = 0;
            self.values.retain(|_| {
                nth += 1;
                nth % 2 == 0
            });
            self.step *= 2;
        }
        self.values.push(value);
    }

    /// The value that this share (0 to 1) of all is not above, ns; 0 if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> i32 {
        let mut sorted = self.values.clone();
        sorted.sort_unstable();
        let index = (share * sorted.len() as f64) as usize;
        sorted
            .get(index.min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    }
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that left.
    pub sent: u64,
    /// Right replies.
    pub answered: u64,
    /// Wrong ones, by what is wrong with them.
    pub wrong: BTreeMap<&'static str, u64>,
    /// The first wrong one.
    pub example: Option<String>,
    /// Requests without a reply in the end.
    pub lost: u64,
    /// How long requests were sent.
    pub time: Duration,
    /// Transmit minus receive timestamp of the replies: what the server took.
    pub processing: Spread,
    /// Arrival here by the kernel's timestamp minus transmit timestamp, of replies whose transmit timestamp is that of
    /// themselves. On loopback that is the error of the transmit timestamp and the way through the kernel.
    pub leaving: Spread,
    pub(crate) last_reply: Instant,
    pub(crate) given_up: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            sent: 0,
            answered: 0,
            wrong: BTreeMap::new(),
            example: None,
            lost: 0,
            time: Duration::ZERO,
            processing: Spread::default(),
            leaving: Spread::default(),
            last_reply: Instant::now(),
            given_up: 0,
        }
    }
}

impl Report {
    pub(crate) fn good(&mut self, processing: i32, leaving: Option<i32>) {
        self.answered += 1;
        self.processing.add(processing);
        if let Some(leaving) = leaving {
            self.leaving.add(leaving);
        }
    }

    pub(crate) fn wrong(&mut self, wrong: &Wrong, bytes: &[u8]) {
        *self.wrong.entry(wrong.what).or_default() += 1;
        self.example
            .get_or_insert_with(|| format!("{}: {bytes:02x?}, {}", wrong.what, wrong.more));
    }

    /// Replies, right and wrong.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.answered + self.wrong.values().sum::<u64>()
    }

    /// Share of the requests that were not answered.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.lost as f64 / self.sent.max(1) as f64
    }

    /// # Panics
    /// If a reply was wrong.
    pub fn assert_right(&self) {
        assert!(
            self.wrong.is_empty(),
            "wrong replies: {:?}, {:?}",
            self.wrong,
            self.example
        );
    }
}
