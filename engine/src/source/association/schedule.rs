//! When a source is asked (`spec/ntp.md` sections 2.3 to 2.5 and 2.14, `spec/sync.md` 7.3 and 7.4).

use super::{Association, Env, Operating, Plan, Undo};
use crate::event::source::SourceEvent;
use crate::source::timers::{Alarm, Class};
use crate::time::pow2;

/// Shortest delay of the first transmission, s.
const INITIAL_DELAY: f64 = 0.2;
/// Longest interval of a burst, s, and its share of the polling interval.
const BURST_INTERVAL: f64 = 2.0;
const BURST_SHARE: f64 = 0.25;
/// From a warm-up request to the one that is measured, s.
const PRESEND_DELAY: f64 = 2.0;
/// Delays are stretched by up to this share.
const RANDOMNESS: f64 = 0.02;
/// `iburst`: good samples and packets.
const IBURST: (i32, i32) = (4, 8);
/// Option `burst`: most packets for one poll.
const MAX_BURST: i32 = 4;
/// A reply may come this much later than `maxdelay` allows, s.
const REPLY_GRACE: f64 = 4.0;
/// Stretch of a peer's interval, so that the two sides do not send at the same time.
const PEER_STRETCH: f64 = 1.1;
/// From this share of the interval on a packet of an equal peer makes us wait longer.
const PEER_LATE: f64 = 0.6;
/// Poll score for a missing response; the selected source is not given up so fast.
const MISSING: f64 = 0.25;
const MISSING_SELECTED: f64 = 0.1;

impl Association {
    /// In a burst.
    pub(super) fn in_burst(&self) -> bool {
        matches!(self.mode, Operating::BurstWasOffline | Operating::BurstWasOnline)
    }

    /// Delay to the next transmission, s. `transmitted`: a packet was sent just now.
    pub(super) fn delay(&self, env: &mut Env<'_, '_>, transmitted: bool) -> f64 {
        let elapsed = if transmitted || self.local_tx.is_none() {
            0.0
        } else {
            env.cx.cooked - self.local_tx.time
        };
        let base = pow2(self.effective_poll(env.discipline));
        let delay = match self.mode {
            Operating::BurstWasOffline | Operating::BurstWasOnline => BURST_INTERVAL.min(BURST_SHARE * base),
            Operating::Offline | Operating::Online if self.params.peer => {
                let ours = env.served().stratum;
                let difference = i32::from(self.exchange.remote_stratum) - i32::from(ours);
                let stretched = (difference > 0 && elapsed * PEER_STRETCH < base)
                    || (!transmitted && difference == 0 && elapsed / base > PEER_LATE);
                if stretched { base * PEER_STRETCH } else { base }
            }
            Operating::Offline | Operating::Online => {
                if self.exchange.presend > 0 {
                    PRESEND_DELAY
                } else {
                    base
                }
            }
        };
        (delay - elapsed.max(0.0)).max(0.0)
    }

    /// Arms the timer of the next transmission, `delay` s from now or a little later.
    pub(super) fn arm_transmit(&mut self, env: &mut Env<'_, '_>, delay: f64) {
        env.io.timers.cancel(&mut self.transmit_timer);
        let class = if self.params.peer {
            Class::Peer
        } else {
            Class::Client
        };
        self.transmit_timer = Some(env.io.timers.arm_in_class(
            env.cx.now.mono,
            class,
            (delay, self.separation(), RANDOMNESS),
            Alarm::Transmit(self.id),
            env.cx.random,
        ));
    }

    fn arm_first(&mut self, env: &mut Env<'_, '_>) {
        if !self.started || self.address.ip().is_none() {
            return;
        }
        let delay = if self.local_tx.is_none() {
            0.0
        } else {
            self.delay(env, false)
        };
        self.arm_transmit(env, delay.max(INITIAL_DELAY));
    }

    /// Begins polling, if online. Called when names have been resolved.
    pub(in crate::source) fn start(&mut self, env: &mut Env<'_, '_>) {
        if !self.started {
            self.started = true;
            if self.mode != Operating::Offline {
                self.arm_first(env);
            }
        }
    }

    /// An unresolved source got its address.
    pub(in crate::source) fn resume(&mut self, env: &mut Env<'_, '_>) {
        if self.transmit_timer.is_none() && self.mode != Operating::Offline {
            self.arm_first(env);
        }
    }

    /// Goes online. Returns true if that is a change.
    pub(in crate::source) fn go_online(&mut self, env: &mut Env<'_, '_>) -> bool {
        match self.mode {
            Operating::Online | Operating::BurstWasOnline => return false,
            Operating::BurstWasOffline => self.mode = Operating::BurstWasOnline,
            Operating::Offline => {
                self.mode = Operating::Online;
                self.reset();
                env.discipline.set_active(env.cx, self.id, true);
                self.arm_first(env);
                if self.params.iburst {
                    self.start_burst(env, IBURST.0, IBURST.1);
                }
            }
        }
        true
    }

    /// Goes offline, at the end of a burst if there is one. Returns true if that is a change.
    pub(in crate::source) fn go_offline(&mut self, env: &mut Env<'_, '_>) -> bool {
        match self.mode {
            Operating::Offline | Operating::BurstWasOffline => return false,
            Operating::BurstWasOnline => self.mode = Operating::BurstWasOffline,
            Operating::Online => self.take_offline(env),
        }
        true
    }

    pub(super) fn take_offline(&mut self, env: &mut Env<'_, '_>) {
        self.mode = Operating::Offline;
        self.stop(env);
        env.discipline.set_active(env.cx, self.id, false);
        self.reset();
    }

    /// Cancels timers and closes the socket.
    pub(in crate::source) fn stop(&mut self, env: &mut Env<'_, '_>) {
        env.io.timers.cancel(&mut self.transmit_timer);
        env.io.timers.cancel(&mut self.close_timer);
        if let Some(saved) = &mut self.saved {
            env.io.timers.cancel(&mut saved.timer);
        }
        self.saved = None;
        env.io.close(&mut self.socket);
        self.plan = None;
    }

    /// Begins a burst of `total` packets or `good` samples, if this is a client that is not in one.
    pub(in crate::source) fn start_burst(&mut self, env: &mut Env<'_, '_>, good: i32, total: i32) {
        if self.params.peer || self.in_burst() {
            return;
        }
        (self.burst_good, self.burst_total) = (good, total);
        if self.mode == Operating::Online {
            self.mode = Operating::BurstWasOnline;
        } else {
            self.mode = Operating::BurstWasOffline;
            env.discipline.set_active(env.cx, self.id, true);
        }
        self.arm_first(env);
    }

    /// Ends a burst that has had its good samples or its packets.
    pub(super) fn end_burst(&mut self, env: &mut Env<'_, '_>) {
        match self.mode {
            Operating::BurstWasOnline => self.mode = Operating::Online,
            Operating::BurstWasOffline => self.take_offline(env),
            Operating::Online | Operating::Offline => {}
        }
    }

    /// The transmit timer has fired.
    pub(in crate::source) fn begin_transmit(&mut self) {
        self.transmit_timer = None;
    }

    /// The next transmission is planned.
    pub(in crate::source) fn is_transmit_armed(&self) -> bool {
        self.transmit_timer.is_some()
    }

    /// After [`Self::begin_transmit`]: decides what to send and asks for it to be sent.
    pub(in crate::source) fn on_transmit(&mut self, env: &mut Env<'_, '_>) {
        let was_burst = self.in_burst();
        match self.mode {
            // The last packet of a burst is a normal poll.
            Operating::BurstWasOnline if self.burst_total <= 1 => self.mode = Operating::Online,
            Operating::BurstWasOffline if self.burst_total <= 0 => self.take_offline(env),
            Operating::Online if self.params.burst && self.poll.poll() > self.poll.min() => {
                self.mode = Operating::BurstWasOnline;
                self.burst_good = 1;
                self.burst_total = (1 << (self.poll.poll() - self.poll.min()).min(8)).min(MAX_BURST);
            }
            _ => {}
        }
        if self.mode == Operating::Offline {
            return;
        }
        if self.params.nts {
            self.transmit_without_keys(env);
            return;
        }

        env.io.close(&mut self.socket);
        self.socket = self
            .remote()
            .and_then(|to| env.io.socket_for(to, self.params.peer));
        self.plan = Some(self.plan());
        self.exchange.valid_rx = false;
        self.exchange.init_updated = false;
        if self.plan.is_some_and(|plan| plan.initial) {
            self.exchange.valid_timestamps = false;
        }
        self.count_presend(was_burst);

        let sent = self.socket.is_some();
        self.exchange.tx_count = self.exchange.tx_count.saturating_add(1);
        self.undo = Some(Undo {
            poll: self.poll,
            burst_total: self.burst_total,
        });
        if sent {
            self.totals.tx = self.totals.tx.wrapping_add(1);
            env.io.transmit(self.id);
        }
        if self.exchange.tx_count >= 2 {
            if sent {
                self.missing_response(env);
            }
            env.discipline.reachability(env.cx, self.id, false);
            self.process_sample(env, None);
        }
        if self.mode == Operating::BurstWasOffline
            || (self.mode == Operating::BurstWasOnline && (sent || self.is_reachable(env.discipline)))
        {
            self.burst_total -= 1;
        }
        let delay = self.delay(env, true);
        self.arm_transmit(env, delay);
        if !self.params.peer {
            let delay = self.params.max_delay + REPLY_GRACE;
            env.io.timers.cancel(&mut self.close_timer);
            let timer = env
                .io
                .timers
                .arm(env.cx.now.mono, delay, Alarm::CloseSocket(self.id));
            self.close_timer = Some(timer);
        }
        if !sent {
            self.offline_if_wanted(env);
        }
    }

    /// Without NTS keys nothing is sent, but the time goes by.
    fn transmit_without_keys(&mut self, env: &mut Env<'_, '_>) {
        env.discipline.reachability(env.cx, self.id, false);
        let delay = self.delay(env, true);
        self.arm_transmit(env, delay);
        self.process_sample(env, None);
    }

    fn plan(&self) -> Plan {
        let e = &self.exchange;
        let interleaved = self.params.xleave
            && !self.local_tx.is_none()
            && if self.params.peer {
                e.prev_tx_count == 1 && e.tx_count == 0
            } else {
                e.tx_count < 4
            };
        let initial = self.params.peer && !e.valid_rx && !e.init_remote_tx.is_zero();
        Plan {
            interleaved: interleaved && !initial,
            initial,
        }
    }

    /// One or two warm-up requests before a measurement. Unlike chrony, a source that has had a burst while
    /// online keeps its `presend` (`spec/ntp.md` 2.5 step 8 calls that a quirk).
    fn count_presend(&mut self, was_burst: bool) {
        let presend = &mut self.exchange.presend;
        if *presend > 0 {
            *presend -= 1;
        } else if self.params.presend <= self.poll.poll() && !was_burst && self.mode == Operating::Online {
            *presend = if self.plan.is_some_and(|plan| plan.interleaved) {
                2
            } else {
                1
            };
        }
    }

    fn missing_response(&mut self, env: &Env<'_, '_>) {
        let selected = env.discipline.sources.selected() == Some(self.id);
        let amount = if selected { MISSING_SELECTED } else { MISSING };
        self.adjust_poll(amount, env.discipline);
    }

    /// The packet asked for by the last transmission could not be sent after all.
    pub(in crate::source) fn not_sent(&mut self, env: &mut Env<'_, '_>) {
        self.plan = None;
        self.token = None;
        let Some(undo) = self.undo.take() else { return };
        env.io.close(&mut self.socket);
        env.io.timers.cancel(&mut self.close_timer);
        self.totals.tx = self.totals.tx.wrapping_sub(1);
        if self.mode == Operating::BurstWasOnline && !self.is_reachable(env.discipline) {
            self.burst_total = undo.burst_total;
        }
        if self.exchange.tx_count >= 2 && self.poll.poll() != undo.poll.poll() {
            self.poll = undo.poll;
            if self.transmit_timer.is_some() {
                let delay = self.delay(env, true);
                self.arm_transmit(env, delay);
            }
        } else {
            self.poll = undo.poll;
        }
        self.offline_if_wanted(env);
    }

    fn offline_if_wanted(&mut self, env: &mut Env<'_, '_>) {
        if self.params.auto_offline && self.go_offline(env) {
            env.log(SourceEvent::Online(self.address.to_string(), false));
        }
    }

    /// No reply came in time.
    pub(in crate::source) fn on_close(&mut self, env: &mut Env<'_, '_>) {
        self.close_timer = None;
        env.io.close(&mut self.socket);
    }
}
