//! What a response leads to (`spec/ntp.md` sections 2.11 and 2.12, `spec/sync.md` 3.4 and 3.6).

use super::response::{Measured, Response, Tests, UNSYNCHRONISED};
use super::{Association, Env, LastReply, LocalTime, MonoState, Operating, Saved};
use crate::event::record::{Measurement, Record};
use crate::event::source::SourceEvent;
use crate::io::Origin;
use crate::source::timers::Alarm;
use crate::sync::sample::{Leap, Sample};
use crate::time::{NtpTimestamp, SlowBy, pow2};
use crate::wire::ntp::{Auth, Packet, refid};
use std::net::IpAddr;

/// Poll score for a response that is not good, without and with a synchronisation loop or an unsynchronised
/// server.
const NOT_GOOD: f64 = 0.02;
const NOT_GOOD_AT_ALL: f64 = 0.1;
/// A server that asks for fewer requests is left alone for this many intervals more.
const KOD_INTERVALS: f64 = 4.0;
/// Largest change of the remote monotonic scale that is taken over, s.
const MAX_MONO_OFFSET: f64 = 16.0;

impl Association {
    /// Counts a packet that came from this source's address and port, whatever it is.
    pub(in crate::source) fn count_rx(&mut self, origin: Origin) {
        self.totals.rx = self.totals.rx.wrapping_add(1);
        match origin {
            Origin::Kernel => self.totals.kernel_rx = self.totals.kernel_rx.wrapping_add(1),
            Origin::Hardware => self.totals.hardware_rx = self.totals.hardware_rx.wrapping_add(1),
            Origin::Daemon => {}
        }
    }

    /// Responses are waited for.
    pub(in crate::source) fn is_listening(&self) -> bool {
        self.started && self.mode != Operating::Offline
    }

    /// The socket that a response has to come to.
    pub(in crate::source) fn socket(&self) -> Option<crate::io::SocketId> {
        self.socket
    }

    /// Takes a packet that can be a response. True if it was good.
    pub(in crate::source) fn on_response(
        &mut self,
        env: &mut Env<'_, '_>,
        packet: &Packet<'_>,
        rx: LocalTime,
        to: Option<IpAddr>,
        saved: bool,
    ) -> bool {
        let (mut tests, r) = self.basic_tests(packet, rx, to, env);
        // Keys may have changed since it came in.
        tests.t5 |= saved;
        if !saved && tests.synced() && self.save(env, &r) {
            return false;
        }
        let h = &packet.header;
        let kod_rate =
            tests.t1 && tests.t2 && tests.t5 && h.leap == 3 && h.stratum == 0 && h.refid == refid::RATE;
        let mono_change = self.mono_change(&r, env);
        let mut measured = None;
        if tests.synced() && (!r.interleaved || self.exchange.valid_timestamps) {
            let m = self.measure(&r, mono_change, env);
            self.sample_tests(&mut tests, &r, &m, env);
            measured = Some(m);
        }
        let good = |tests: &Tests| tests.a && tests.b && tests.c && tests.d;

        self.store_timestamps(&r, &tests, good(&tests), mono_change);
        if self.exchange.valid_rx {
            // A duplicate, or one of several: only the first response to a request counts.
            (tests.t2, tests.t3) = (false, false);
            (tests.a, tests.b, tests.c, tests.d) = (false, false, false, false);
        } else if tests.valid() {
            self.exchange.valid_rx = true;
        }
        let good = tests.valid() && good(&tests);
        if tests.valid() {
            let sample = measured.as_ref().map(|m| m.sample);
            self.on_valid(env, &r, &tests, sample, kod_rate);
            self.update_report(&r, &tests, measured.as_ref(), env);
        }
        self.log(env, &r, &tests, measured.as_ref());
        good
    }

    /// Puts a response aside if the transmit timestamp of its request may still come from the network card
    /// (`spec/ntp.md` 6.5).
    fn save(&mut self, env: &mut Env<'_, '_>, r: &Response<'_>) -> bool {
        let Some(timeout) = env.settings.hardware_timeout else {
            return false;
        };
        if self.exchange.valid_rx || self.local_tx.origin == Origin::Hardware || self.totals.good_rx == 0 {
            return false;
        }
        let timers = &mut env.io.timers;
        self.saved = Some(Saved {
            bytes: r.packet.bytes().to_vec(),
            rx: r.rx,
            to: r.to,
            timer: Some(timers.arm(env.cx.now.mono, timeout, Alarm::Saved(self.id))),
        });
        true
    }

    /// Takes the response that was put aside. True if it was good; none if there is none.
    pub(in crate::source) fn process_saved(&mut self, env: &mut Env<'_, '_>) -> Option<bool> {
        let mut saved = self.saved.take()?;
        env.io.timers.cancel(&mut saved.timer);
        let packet = Packet::parse(&saved.bytes).ok()?;
        if !self.is_listening() {
            return None;
        }
        Some(self.on_response(env, &packet, saved.rx, saved.to, true))
    }

    /// `spec/ntp.md` 2.11 step 1.
    fn store_timestamps(&mut self, r: &Response<'_>, tests: &Tests, good: bool, mono_change: f64) {
        let (h, e) = (&r.packet.header, &mut self.exchange);
        let newer = self.params.peer && h.transmit.is_after(e.remote_tx);
        if tests.valid() && (!e.valid_rx || newer) {
            e.remote_rx = h.receive;
            e.remote_tx = h.transmit;
            e.local_rx = r.rx;
            e.valid_timestamps = tests.synced();
            e.init_remote_tx = NtpTimestamp::ZERO;
            e.init_local_rx = LocalTime::default();
            let field = r.packet.mono_root.filter(|_| self.params.mono_root);
            e.mono = match field.filter(|field| !field.receive.is_zero()) {
                Some(field) => MonoState {
                    receive: field.receive,
                    epoch: field.epoch,
                    pending: e.mono.pending + mono_change,
                },
                None => MonoState::default(),
            };
            self.local_tx.correction = self.params.net_correction(r.packet);
            // The same timestamps must not be used twice.
            e.prev_local_tx = if r.interleaved || !good {
                self.local_tx
            } else {
                LocalTime::default()
            };
        } else if self.params.peer
            && tests.t1
            && tests.t5
            && !h.transmit.is_zero()
            && (!e.init_updated || h.transmit.is_after(e.init_remote_tx))
        {
            e.init_remote_tx = h.transmit;
            e.init_local_rx = r.rx;
            e.init_updated = true;
        }
    }

    /// `spec/ntp.md` 2.11 step 3.
    fn on_valid(
        &mut self,
        env: &mut Env<'_, '_>,
        r: &Response<'_>,
        tests: &Tests,
        sample: Option<Sample>,
        kod_rate: bool,
    ) {
        let h = &r.packet.header;
        let synced = tests.synced();
        let stratum = match h.stratum {
            0 => UNSYNCHRONISED,
            stratum => stratum.min(UNSYNCHRONISED),
        };
        let e = &mut self.exchange;
        e.remote_poll = h.poll;
        e.remote_stratum = stratum;
        e.root_delay = r.root_delay;
        e.root_dispersion = r.root_dispersion;
        e.prev_local_poll = self.poll.poll();
        e.prev_tx_count = e.tx_count;
        e.tx_count = 0;
        self.undo = None;
        if let Some(to) = r.to {
            env.discipline
                .sources
                .set_local_refid(self.id, refid::of_address(to));
        }
        env.discipline.reachability(env.cx, self.id, synced);
        if self.params.copy {
            if synced && self.exchange.remote_stratum > 0 {
                self.exchange.remote_stratum -= 1;
                env.discipline.sources.set_refid(self.id, h.refid);
            } else {
                env.discipline.reset_source(env.cx, self.id);
            }
        }
        if synced {
            let minimum = u8::try_from(self.params.min_stratum).unwrap_or_default();
            let stratum = self.exchange.remote_stratum.max(minimum);
            env.discipline
                .status(env.cx, self.id, stratum, Leap::from_bits(h.leap));
            if let (Some(quantile), Some(sample)) = (&mut self.quantile, &sample) {
                quantile.accumulate(sample.peer_delay, env.cx.random);
            }
        }
        match sample {
            Some(sample) if tests.a && tests.b && tests.c && tests.d => {
                self.process_sample(env, Some(sample));
                self.burst_good -= 1;
                if self.in_burst() && self.burst_good <= 0 {
                    self.end_burst(env);
                }
            }
            _ => {
                let amount = if tests.d { NOT_GOOD } else { NOT_GOOD_AT_ALL };
                self.adjust_poll(amount, env.discipline);
                self.process_sample(env, None);
            }
        }
        if kod_rate && self.in_burst() {
            self.end_burst(env);
        }
        self.schedule_next(env, kod_rate);
    }

    fn schedule_next(&mut self, env: &mut Env<'_, '_>, kod_rate: bool) {
        if !self.params.peer {
            env.io.close(&mut self.socket);
            env.io.timers.cancel(&mut self.close_timer);
        }
        if self.mode != Operating::Offline {
            let mut delay = self.delay(env, false);
            if kod_rate {
                env.log(SourceEvent::KodRate(self.address.to_string()));
                delay += KOD_INTERVALS * pow2(self.poll.poll());
            }
            self.arm_transmit(env, delay);
        }
    }

    /// A good sample, or that there is none this time, on its way through the filter to the statistics, the
    /// selection and the clock.
    pub(super) fn process_sample(&mut self, env: &mut Env<'_, '_>, sample: Option<Sample>) {
        let sample = match (&mut self.filter, sample) {
            (None, sample) => sample,
            (Some(filter), sample) => {
                if let Some(sample) = &sample {
                    filter.accumulate(sample);
                }
                self.filter_count = self.filter_count.saturating_add(1);
                if self.filter_count < self.params.filter {
                    return;
                }
                // Without a result the next good sample gives one at once.
                let filtered = filter.take();
                if filtered.is_some() {
                    self.filter_count = 0;
                }
                filtered
            }
        };
        let Some(sample) = sample else { return };
        let Some(stats) = env.discipline.sources.stats_mut(self.id) else {
            return;
        };
        let predicted = stats.predicted_offset(sample.time).0;
        let error = (-sample.offset.0 - predicted).abs();
        let pending = self.exchange.mono.pending;
        if pending != 0.0 && pending.abs() <= MAX_MONO_OFFSET {
            stats.shift_offsets(crate::time::FastBy(pending));
            self.exchange.mono.pending = 0.0;
        }
        env.discipline.sample(env.cx, self.id, &sample);
        let stats = env.discipline.sources.stats(self.id);
        let samples = stats.map_or(0, crate::sync::stats::SourceStats::samples);
        let distance = sample.peer_dispersion + 0.5 * sample.peer_delay;
        let sub_second = self.sub_second(env.discipline);
        self.poll.after_sample(error, distance, samples, sub_second);
    }

    fn update_report(
        &mut self,
        r: &Response<'_>,
        tests: &Tests,
        measured: Option<&Measured>,
        env: &Env<'_, '_>,
    ) {
        let sample = measured.map(|m| m.sample);
        let stats = env.discipline.sources.stats(self.id);
        self.last_reply = Some(LastReply {
            local: r.to,
            header: r.packet.header,
            reference: env.discipline.clock.era().cooked(r.packet.header.reference),
            root_delay: r.root_delay,
            root_dispersion: r.root_dispersion,
            offset: sample.map_or(SlowBy(0.0), |s| s.offset),
            peer_delay: sample.map_or(0.0, |s| s.peer_delay),
            peer_dispersion: sample.map_or(0.0, |s| s.peer_dispersion),
            response_time: measured.map_or(0.0, |m| m.response_time),
            asymmetry: stats.map_or(0.0, crate::sync::stats::SourceStats::asymmetry),
            tests: tests.bits(),
            interleaved: r.interleaved,
            authenticated: r.packet.auth != Auth::None,
            tx_origin: measured.map_or(self.local_tx, |m| m.tx).origin.letter(),
            rx_origin: measured.map_or(r.rx, |m| m.rx).origin.letter(),
        });
        self.totals.valid_rx = self.totals.valid_rx.wrapping_add(1);
        if tests.a && tests.b && tests.c && tests.d {
            self.totals.good_rx = self.totals.good_rx.wrapping_add(1);
        }
    }

    fn log(&self, env: &mut Env<'_, '_>, r: &Response<'_>, tests: &Tests, measured: Option<&Measured>) {
        let logs = env.settings.logs;
        let Some(source) = self.address.ip() else { return };
        if !(logs.raw_measurements || (logs.measurements && tests.synced())) {
            return;
        }
        let h = &r.packet.header;
        let sample = measured.map(|m| m.sample);
        env.cx.out.records.push(Record::Measurement(Box::new(Measurement {
            time: sample.map_or(r.rx.time, |s| s.time),
            source,
            leap: h.leap,
            stratum: h.stratum,
            tests: tests.bits(),
            synced: tests.synced(),
            local_poll: i8::try_from(self.poll.poll()).unwrap_or_default(),
            remote_poll: h.poll,
            score: self.poll.score(),
            offset: sample.map_or(SlowBy(0.0), |s| s.offset),
            peer_delay: sample.map_or(0.0, |s| s.peer_delay),
            peer_dispersion: sample.map_or(0.0, |s| s.peer_dispersion),
            root_delay: r.root_delay,
            root_dispersion: r.root_dispersion,
            refid: h.refid,
            mode: h.mode as u8,
            interleaved: r.interleaved,
            tx_origin: measured.map_or(self.local_tx, |m| m.tx).origin.letter(),
            rx_origin: measured.map_or(r.rx, |m| m.rx).origin.letter(),
        })));
    }
}
