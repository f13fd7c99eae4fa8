//! `ratelimit`, `ntsratelimit`, `cmdratelimit` (`spec/ntp.md` section 5.4): a token bucket for every client.

use crate::config::RateLimit;

/// Parameters of one service, in terms of the client log: its clock has 16 ticks a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limiter {
    /// log2 of the ticks for one token; negative: log2 of the tokens of a tick.
    shift: i32,
    /// Tokens that one request costs.
    pub(super) per_hit: u16,
    /// Most tokens that a client can have.
    pub(super) max: u16,
    /// log2 of the inverse probability of a reply in spite of the limit.
    pub(super) leak: u32,
    /// log2 of the inverse probability of a KoD; 0: never.
    pub(super) kod: u32,
    /// log2 s, as limited.
    interval: i8,
}

/// What a limit says about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Answer it.
    Pass,
    /// Don't.
    Drop,
    /// Answer it with KoD RATE.
    Kod,
}

impl Limiter {
    /// From the directive; values out of range are corrected.
    #[must_use]
    pub fn new(config: &RateLimit) -> Self {
        let interval = config.interval.clamp(-19, 12);
        let burst = config.burst.clamp(1, 255) as u32;
        let (shift, per_hit, burst) = if interval >= -4 {
            let ticks = interval + 4;
            // Tokens are numbers of 16 bits.
            let fits = |shift: &i32| burst << (ticks - shift) < 0x1_0000;
            let shift = (0..ticks).find(fits).unwrap_or(ticks);
            (shift, 1 << (ticks - shift), burst)
        } else {
            let shift = interval + 4;
            (shift, 1, burst.max(1 << -shift))
        };
        Self {
            shift,
            per_hit,
            max: (u32::from(per_hit) * burst) as u16,
            leak: config.leak.clamp(1, 4) as u32,
            kod: config.kod.clamp(0, 4) as u32,
            interval: interval as i8,
        }
    }

    /// Interval, log2 s.
    #[must_use]
    pub const fn interval(&self) -> i8 {
        self.interval
    }

    /// Tokens of a client that had `tokens` when it was last seen, in ticks; `now` is not before `last`.
    pub(super) fn refill(&self, tokens: u16, last: u32, now: u32) -> u16 {
        let added = if self.shift >= 0 {
            (now >> self.shift).wrapping_sub(last >> self.shift)
        } else {
            now.wrapping_sub(last).min(u32::from(self.max)) << -self.shift
        };
        u32::from(tokens).saturating_add(added).min(u32::from(self.max)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(interval: i32, burst: i32) -> Limiter {
        Limiter::new(&RateLimit {
            interval,
            burst,
            leak: 2,
            kod: 0,
        })
    }

    #[test]
    fn parameters_fit_into_16_bits() {
        for interval in -32..=32 {
            for burst in [-1, 1, 8, 255, 1000] {
                let l = limiter(interval, burst);
                assert!(u32::from(l.per_hit) <= u32::from(l.max), "{interval} {burst}");
                let ticks = f64::from(l.per_hit) * libm::scalbn(1.0, l.shift);
                let expected = libm::scalbn(16.0, interval.clamp(-19, 12));
                assert_eq!(ticks, expected, "{interval} {burst}");
            }
        }
        assert_eq!(
            (limiter(3, 8).shift, limiter(3, 8).per_hit, limiter(3, 8).max),
            (0, 128, 1024)
        );
        // 255 << 16 does not fit, 255 << 8 does.
        assert_eq!((limiter(12, 255).shift, limiter(12, 255).per_hit), (8, 256));
        assert_eq!((limiter(-19, 8).shift, limiter(-19, 8).max), (-15, 32768));
    }

    #[test]
    fn refilling_takes_the_interval() {
        let l = limiter(3, 8);
        assert_eq!(l.refill(0, 100, 100 + 128), l.per_hit);
        assert_eq!(l.refill(1000, 100, 200), l.max);
        assert_eq!(l.refill(5, 0xffff_fff0, 0x10), 5 + 0x20);
        let fast = limiter(-6, 8);
        assert_eq!((fast.refill(0, 5, 5), fast.refill(0, 5, 6)), (0, 4));
        assert_eq!(fast.refill(0, 0, u32::MAX), 8);
    }
}
