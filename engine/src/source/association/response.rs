//! Tests of a response and the sample that it gives (`spec/ntp.md` sections 2.8 to 2.10, `spec/sync.md` 1.1
//! and 3.1).

use super::{Association, Env, LocalTime};
use crate::sync::sample::Sample;
use crate::time::{Cooked, NtpTimestamp, SlowBy, pow2};
use crate::wire::ntp::{Auth, NtpShort, Packet, refid};
use std::net::IpAddr;

/// Root delay / 2 + root dispersion must be below this, s (test 7).
const MAX_ROOT_DISTANCE: f64 = 16.0;
/// Stratum of an unsynchronised server.
pub(super) const UNSYNCHRONISED: u8 = 16;
/// A server must not take longer, s (test A).
const MAX_RESPONSE_TIME: f64 = 4.0;
/// The remote monotonic scale may drift from remote time by this between two packets, s.
const MAX_MONO_CHANGE: f64 = 16.0;
/// Interleaved mode: the older exchange is used if its interval is shorter than this part of the idle time.
const OLDER_EXCHANGE: f64 = 0.1;

/// Results of the tests; true is passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tests {
    pub(super) t1: bool,
    pub(super) t2: bool,
    pub(super) t3: bool,
    pub(super) t5: bool,
    pub(super) t6: bool,
    pub(super) t7: bool,
    pub(super) a: bool,
    pub(super) b: bool,
    pub(super) c: bool,
    pub(super) d: bool,
}

impl Tests {
    pub(super) fn valid(self) -> bool {
        self.t1 && self.t2 && self.t3 && self.t5
    }

    pub(super) fn synced(self) -> bool {
        self.valid() && self.t6 && self.t7
    }

    /// As in reports: test 1 = 0x200, test D = 1.
    pub(super) fn bits(self) -> u16 {
        [
            self.t1, self.t2, self.t3, self.t5, self.t6, self.t7, self.a, self.b, self.c, self.d,
        ]
        .into_iter()
        .fold(0, |bits, passed| bits << 1 | u16::from(passed))
    }
}

/// A response under test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    pub(super) packet: &'a Packet<'a>,
    pub(super) rx: LocalTime,
    /// Our address that it was sent to.
    pub(super) to: Option<IpAddr>,
    /// It answers an interleaved request.
    pub(super) interleaved: bool,
    /// s, of the monotonic root field if that is in use.
    pub(super) root_delay: f64,
    pub(super) root_dispersion: f64,
}

/// What a response measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) sample: Sample,
    /// Time the server took, s.
    pub(super) response_time: f64,
    /// Local and remote precision, s.
    precision: f64,
    t1: LocalTime,
    remote_tx: Cooked,
    /// Timestamps used.
    pub(super) tx: LocalTime,
    pub(super) rx: LocalTime,
}

/// Clocks in network devices differ from ours by this at most.
const NETWORK_CLOCKS: f64 = 1e-4;

/// Offset to be added (s) and the peer delay that remains when the network has told how long it held request and
/// response back (`spec/ntp.md` 2.9).
fn corrected(tx: &LocalTime, rx: &LocalTime, peer_delay: f64, precision: f64) -> (f64, f64) {
    if rx.correction <= rx.duration || tx.correction <= 0.0 {
        return (0.0, peer_delay);
    }
    let (response, request) = (rx.correction - rx.duration, tx.correction - rx.duration);
    let known = (response + request) * (1.0 - NETWORK_CLOCKS);
    if known < 0.0 || known > peer_delay {
        return (0.0, peer_delay);
    }
    ((response - request) / 2.0, (peer_delay - known).max(precision))
}

impl Association {
    /// Tests 1 to 7, and what of the packet they depend on.
    pub(super) fn basic_tests<'a>(
        &self,
        packet: &'a Packet<'a>,
        rx: LocalTime,
        to: Option<IpAddr>,
        env: &Env<'_, '_>,
    ) -> (Tests, Response<'a>) {
        let (h, e) = (&packet.header, &self.exchange);
        let mono_root = packet.mono_root.filter(|_| self.params.mono_root);
        let (root_delay, root_dispersion) = mono_root.map_or_else(
            || (h.root_delay.seconds(), h.root_dispersion.seconds()),
            |field| (field.root_delay.seconds(), field.root_dispersion.seconds()),
        );
        let basic = h.originate == e.sent_tx;
        let interleaved = self.params.xleave && h.originate == e.sent_rx;
        let tests = Tests {
            t1: h.receive != e.remote_rx || h.transmit != e.remote_tx,
            t2: basic || interleaved,
            t3: !(h.originate.is_zero() || h.receive.is_zero() || h.transmit.is_zero()),
            t5: self.is_authentic(packet, env),
            t6: h.leap != 3 && (1..UNSYNCHRONISED).contains(&h.stratum),
            t7: root_delay / 2.0 + root_dispersion < MAX_ROOT_DISTANCE,
            ..Tests::default()
        };
        let response = Response {
            packet,
            rx,
            to,
            interleaved: interleaved && !basic,
            root_delay,
            root_dispersion,
        };
        (tests, response)
    }

    /// The packet is authenticated in the way that was agreed on, and in no other.
    fn is_authentic(&self, packet: &Packet<'_>, env: &Env<'_, '_>) -> bool {
        match packet.auth {
            _ if self.params.nts => false,
            Auth::None => self.params.key == 0,
            Auth::Symmetric(id) => id != 0 && id == self.params.key && env.settings.keys.verify(packet),
            Auth::MsSntp(_) | Auth::MsSntpExtended(_) | Auth::Nts => false,
        }
    }

    /// How far the remote monotonic scale has moved against remote time since the last response, s.
    pub(super) fn mono_change(&self, response: &Response<'_>, env: &Env<'_, '_>) -> f64 {
        let Some(field) = response.packet.mono_root.filter(|_| self.params.mono_root) else {
            return 0.0;
        };
        let (e, era) = (&self.exchange, env.discipline.clock.era());
        if field.epoch != e.mono.epoch || field.receive.is_zero() || e.mono.receive.is_zero() {
            return 0.0;
        }
        let mono = era.cooked(field.receive) - era.cooked(e.mono.receive);
        let remote = era.cooked(response.packet.header.receive) - era.cooked(e.remote_rx);
        let change = mono - remote;
        if change.abs() <= MAX_MONO_CHANGE {
            change
        } else {
            0.0
        }
    }

    /// The sample of a synchronised response.
    pub(super) fn measure(&self, r: &Response<'_>, mono_change: f64, env: &Env<'_, '_>) -> Measured {
        let (h, e) = (&r.packet.header, &self.exchange);
        let era = env.discipline.clock.era();
        let receive = era.cooked(h.receive);
        let stored = era.cooked(e.remote_rx);
        let last_tx = LocalTime {
            correction: self.params.net_correction(r.packet),
            ..self.local_tx
        };
        let idle = self.local_tx.time - e.local_rx.time;
        let exchange = e.local_rx.time - e.prev_local_tx.time;
        let (t1, t2, requested, root_delay, root_dispersion) = if !r.interleaved {
            (last_tx, receive, receive, r.root_delay, r.root_dispersion)
        } else if !e.prev_local_tx.is_none() && OLDER_EXCHANGE * idle > exchange {
            let t2 = stored.plus(-mono_change);
            (e.prev_local_tx, t2, t2, e.root_delay, e.root_dispersion)
        } else {
            let delay = r.root_delay.max(e.root_delay);
            let dispersion = r.root_dispersion.max(e.root_dispersion);
            (last_tx, receive, stored, delay, dispersion)
        };
        let (t3, t4) = if r.interleaved {
            (era.cooked(h.transmit).plus(-mono_change), e.local_rx)
        } else {
            (era.cooked(h.transmit), r.rx)
        };

        let remote_interval = t3 - t2;
        let local_interval = t4.time - t1.time;
        let local_average = t1.time.plus(local_interval / 2.0);
        let remote_average = t2.plus(remote_interval / 2.0);
        let precision = env.discipline.clock.precision() + pow2(i32::from(h.precision));
        let skew = env
            .discipline
            .sources
            .stats(self.id)
            .map_or(0.0, crate::sync::stats::SourceStats::frequency_range_half_width);
        let measured_delay = (local_interval - remote_interval).abs().max(precision);
        let (network_offset, peer_delay) = corrected(&t1, &t4, measured_delay, precision);
        let peer_dispersion = precision.max(t1.error).max(t4.error) + skew * local_interval.abs();
        Measured {
            sample: Sample {
                time: local_average,
                offset: SlowBy(remote_average - local_average + self.params.offset + network_offset),
                peer_delay,
                peer_dispersion,
                root_delay: root_delay + measured_delay,
                root_dispersion: root_dispersion + peer_dispersion,
            },
            response_time: (t3 - requested).abs(),
            precision,
            t1,
            remote_tx: t3,
            tx: t1,
            rx: t4,
        }
    }

    /// Tests A to D, all of them.
    pub(super) fn sample_tests(
        &self,
        tests: &mut Tests,
        r: &Response<'_>,
        m: &Measured,
        env: &mut Env<'_, '_>,
    ) {
        tests.a = self.test_a(r, m, env);
        tests.b = self.test_b(m, env);
        tests.c = self.test_c(m, env);
        tests.d = Self::test_d(r, env);
    }

    fn test_a(&self, r: &Response<'_>, m: &Measured, env: &Env<'_, '_>) -> bool {
        let s = &m.sample;
        s.peer_delay - s.peer_dispersion <= self.params.max_delay
            && m.precision <= self.params.max_delay
            && self.exchange.presend == 0
            && env.discipline.clock.era().is_sane(s.time, s.offset.0)
            && if self.params.peer {
                !r.interleaved || self.peer_interleaved_ok(r, m, env)
            } else {
                m.response_time <= MAX_RESPONSE_TIME && !(r.interleaved && self.reuses_basic(m))
            }
    }

    /// The previous response was a basic one that was used already.
    fn reuses_basic(&self, m: &Measured) -> bool {
        self.exchange.prev_local_tx.is_none() && m.t1.time == self.local_tx.time
    }

    /// The packets of an interleaved peer are in order and none is missing between them.
    fn peer_interleaved_ok(&self, r: &Response<'_>, m: &Measured, env: &Env<'_, '_>) -> bool {
        let (h, e) = (&r.packet.header, &self.exchange);
        let (remote, local) = (i32::from(e.remote_poll), e.prev_local_poll);
        let interval = pow2(remote.min(local));
        let since = m.remote_tx - env.discipline.clock.era().cooked(e.remote_tx);
        m.sample.peer_delay <= 0.5 * interval
            && h.receive.is_after(h.transmit)
            && !(remote <= local && since > 1.5 * interval)
    }

    fn test_b(&self, m: &Measured, env: &Env<'_, '_>) -> bool {
        let ratio = self.params.max_delay_ratio;
        if ratio < 1.0 {
            return true;
        }
        let stats = env.discipline.sources.stats(self.id);
        let Some(test) = stats.and_then(|stats| stats.delay_test_data(m.sample.time)) else {
            return true;
        };
        let growth = test.ago * (test.skew + env.discipline.clock.max_clock_error());
        m.sample.peer_delay <= test.min_delay * ratio + growth
    }

    fn test_c(&self, m: &Measured, env: &Env<'_, '_>) -> bool {
        if let Some(quantile) = &self.quantile {
            return quantile.accepts(m.sample.peer_delay);
        }
        let stats = env.discipline.sources.stats(self.id);
        let Some(test) = stats.and_then(|stats| stats.delay_test_data(m.sample.time)) else {
            return true;
        };
        let growth = test.ago * (test.skew + env.discipline.clock.max_clock_error());
        let limit = test.std_dev * self.params.max_delay_dev_ratio + growth;
        let excess = (m.sample.peer_delay - test.min_delay) / 2.0;
        excess <= limit || (m.sample.offset.0 + test.predicted.0).abs() - excess > limit
    }

    /// The source is neither synchronised to us nor ourselves.
    fn test_d(r: &Response<'_>, env: &mut Env<'_, '_>) -> bool {
        if !env.io.serves() || !env.discipline.reference.mode().is_normal() {
            return true;
        }
        let h = &r.packet.header;
        if h.stratum > 1 && r.to.is_some_and(|to| refid::of_address(to) == h.refid) {
            return false;
        }
        let ours = env.served();
        let reference = NtpTimestamp::from_cooked(ours.ref_time, 0);
        !(ours.stratum == h.stratum
            && ours.refid == h.refid
            && NtpShort::from_seconds(ours.root_delay) == h.root_delay
            && !reference.is_zero()
            && reference == h.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(duration: f64, correction: f64) -> LocalTime {
        LocalTime {
            duration,
            correction,
            ..LocalTime::default()
        }
    }

    #[test]
    fn what_the_network_tells_is_taken_off_the_delay() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-15 && (b - d).abs() < 1e-15;
        // 60 us on the way back, 40 us on the way there, of 200 us; the packet itself took 1 us.
        let (tx, rx) = (time(0.0, 41e-6), time(1e-6, 61e-6));
        let known = 100e-6 * (1.0 - 1e-4);
        assert!(near(corrected(&tx, &rx, 200e-6, 1e-7), (10e-6, 200e-6 - known)));
        // No less than the precision is left; more than the delay cannot be.
        assert!(near(corrected(&tx, &rx, 100e-6, 1e-7), (10e-6, 1e-7)));
        assert!(near(corrected(&tx, &rx, 99e-6, 1e-7), (0.0, 99e-6)));
        // Only one side is known, or the sum is negative.
        assert!(near(corrected(&time(0.0, 0.0), &rx, 200e-6, 1e-7), (0.0, 200e-6)));
        assert!(near(
            corrected(&tx, &time(1e-6, 1e-6), 200e-6, 1e-7),
            (0.0, 200e-6)
        ));
        let odd = (time(0.0, 1e-6), time(10e-6, 11e-6));
        assert!(near(corrected(&odd.0, &odd.1, 200e-6, 1e-7), (0.0, 200e-6)));
    }
}
