//! Whether what other threads know about the clock is still true.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Even while all that was published about the clock is true, odd while the main thread changes the clock and has not
/// told yet what it did. One thread writes, others only read.
///
/// It has two cache lines (processors fetch them in pairs) for itself, as all threads read it for each few replies: a
/// neighbour that is written often would make each of these reads slow.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Sequence(AtomicU64);

impl Sequence {
    /// The clock will be changed now.
    pub fn begin(&self) {
        // Sequentially consistent: no other thread may see the changed clock with the old number.
        let number = self.0.load(Ordering::SeqCst);
        self.0.store(number | 1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// What is known about the clock has been published.
    pub fn end(&self) {
        let number = self.0.load(Ordering::SeqCst);
        if number & 1 == 1 {
            self.0.store(number.wrapping_add(1), Ordering::SeqCst);
        }
    }

    /// True between [`Self::begin`] and [`Self::end`].
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.0.load(Ordering::SeqCst) & 1 == 1
    }

    /// The number to come back with, to be taken before what is published; none while it changes.
    #[must_use]
    pub fn settled(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|number| number & 1 == 0)
    }

    /// True if the clock, as it was read before this call, is what was published after this number was taken.
    #[must_use]
    pub fn is_still(&self, number: u64) -> bool {
        // The reading comes first.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst) == number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_before_a_change_is_still_true() {
        let sequence = Sequence::default();
        let first = sequence.settled().unwrap();
        assert!(sequence.is_still(first) && !sequence.is_changing());
        sequence.end();
        assert!(sequence.is_still(first), "nothing was changed");
        sequence.begin();
        sequence.begin();
        assert!(sequence.settled().is_none() && sequence.is_changing() && !sequence.is_still(first));
        sequence.end();
        let second = sequence.settled().unwrap();
        assert!(!sequence.is_still(first) && sequence.is_still(second));
    }

    /// A clock that runs at another speed after each change: no reading may be taken with the speed of another time.
    #[test]
    fn no_reader_mixes_two_states() {
        let (sequence, clock, published) = (Sequence::default(), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut checked = 0;
                    while checked < 20_000 {
                        let Some(number) = sequence.settled() else {
                            std::thread::yield_now();
                            continue;
                        };
                        let known = published.load(Ordering::SeqCst);
                        let read = clock.load(Ordering::Relaxed);
                        if sequence.is_still(number) {
                            assert_eq!(read, known);
                            checked += 1;
                        }
                    }
                });
            }
            for state in 1..20_000 {
                sequence.begin();
                clock.store(state, Ordering::Relaxed);
                published.store(state, Ordering::SeqCst);
                sequence.end();
            }
        });
    }
}
