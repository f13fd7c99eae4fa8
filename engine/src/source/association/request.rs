//! Making the packets that are sent (`spec/ntp.md` sections 1.7, 3.1 and 4.1).

use super::{Association, Env, LocalTime, Plan};
use crate::io::{Origin, Output, Token};
use crate::random::Random;
use crate::sync::served::Served;
use crate::time::{Cooked, NtpTimestamp, fuzz};
use crate::wire::ntp::{Builder, CLIENT_PRECISION, Header, Mode, MonoRoot, NtpShort, Time32};

/// Draws of a fuzz before a repetition is accepted; more than enough for two random bits.
const DRAWS: usize = 1000;
/// Bits of a token that count packets; the source's number is above them.
const TOKEN_COUNT: u64 = (1 << 31) - 1;

/// Draws timestamps until one is not zero and differs from all of `others`.
fn distinct(others: &[NtpTimestamp], mut draw: impl FnMut() -> NtpTimestamp) -> NtpTimestamp {
    let mut drawn = draw();
    for _ in 0..DRAWS {
        if !drawn.is_zero() && !others.contains(&drawn) {
            break;
        }
        drawn = draw();
    }
    drawn
}

fn encode(time: Cooked, precision: i8, random: &mut dyn Random) -> NtpTimestamp {
    NtpTimestamp::from_cooked(time, fuzz(precision, random.bits64()))
}

/// The field as in replies of the server; the receive timestamp is zero while there is none.
fn mono_root(served: &Served, arrived: LocalTime, env: &mut Env<'_, '_>) -> MonoRoot {
    let mono = env.discipline.mono;
    let receive = if arrived.is_none() {
        NtpTimestamp::ZERO
    } else {
        let precision = env.discipline.clock.precision_log();
        encode(arrived.time.plus(mono.offset), precision, env.cx.random)
    };
    MonoRoot {
        root_delay: Time32::from_seconds(served.root_delay),
        root_dispersion: Time32::from_seconds(served.root_dispersion),
        receive,
        epoch: mono.epoch,
    }
}

impl Association {
    /// Makes the packet that the last transmission asked for, just before it is sent. `None`: there is nothing to
    /// be sent any more, or it cannot be authenticated.
    pub(in crate::source) fn build(&mut self, env: &mut Env<'_, '_>) -> Option<Output> {
        let plan = self.plan.take()?;
        let (on, to) = (self.socket?, self.remote()?);
        let plan = Plan {
            interleaved: plan.interleaved && !self.exchange.remote_rx.is_zero(),
            ..plan
        };
        let served = self.params.peer.then(|| env.served());
        let (header, arrived) = match &served {
            None => (self.client_header(plan, env.cx.random), LocalTime::default()),
            Some(served) => self.active_header(plan, served, env),
        };
        let mut builder = Builder::new(&header);
        if self.params.net_correction && env.settings.ptp {
            let correction = arrived.net_correction();
            builder.net_correction(correction).ok()?;
        }
        if self.params.mono_root {
            let field = served.map_or_else(MonoRoot::default, |served| mono_root(&served, arrived, env));
            builder.mono_root(&field).ok()?;
        }
        if self.params.key != 0 {
            env.settings.keys.sign(self.params.key, &mut builder).ok()?;
        }

        let now = env.cx.kernel.now();
        let (time, error) = env.discipline.clock.cook(now.raw);
        self.local_tx = LocalTime {
            time,
            error,
            ..LocalTime::default()
        };
        self.exchange.sent_rx = header.receive;
        self.exchange.sent_tx = header.transmit;
        let token = self.next_token();
        self.token = Some(token);
        let token = Token::Source(token);
        Some(Output::Send {
            on,
            to,
            from: None,
            bytes: bytes::Bytes::copy_from_slice(builder.bytes()),
            token: Some(token),
        })
    }

    fn next_token(&self) -> u64 {
        let count = self.token.map_or(0, |token| token & TOKEN_COUNT);
        let count = (count + 1) & TOKEN_COUNT;
        u64::from(self.id.0) << 31 | count
    }

    /// Nothing but random numbers, and in interleaved mode the server's receive timestamp.
    fn client_header(&self, plan: Plan, random: &mut dyn Random) -> Header {
        let e = &self.exchange;
        let mut draw = || NtpTimestamp(random.bits64());
        let (originate, receive) = if plan.interleaved {
            let originate = e.remote_rx;
            (originate, distinct(&[originate, e.sent_rx], &mut draw))
        } else {
            (NtpTimestamp::ZERO, NtpTimestamp::ZERO)
        };
        Header {
            version: self.version,
            mode: Mode::Client,
            poll: self.wire_poll(),
            precision: CLIENT_PRECISION,
            originate,
            receive,
            transmit: distinct(&[receive, originate, e.sent_tx], &mut draw),
            ..Header::default()
        }
    }

    /// With the time at which the packet that is answered came in.
    fn active_header(&self, plan: Plan, served: &Served, env: &mut Env<'_, '_>) -> (Header, LocalTime) {
        let e = &self.exchange;
        let precision = env.discipline.clock.precision_log();
        let (originate, arrived) = if plan.initial {
            (e.init_remote_tx, e.init_local_rx)
        } else if plan.interleaved {
            (e.remote_rx, e.local_rx)
        } else {
            (e.remote_tx, e.local_rx)
        };
        let receive = if arrived.is_none() {
            NtpTimestamp::ZERO
        } else {
            distinct(&[originate, e.sent_rx], || {
                encode(arrived.time, precision, env.cx.random)
            })
        };
        let (kernel, clock) = (&mut *env.cx.kernel, &env.discipline.clock);
        let transmit = distinct(&[receive, originate, e.sent_tx], || {
            let time = if plan.interleaved {
                self.local_tx.time
            } else {
                clock.cook(kernel.now().raw).0
            };
            encode(time, precision, env.cx.random)
        });
        let header = Header {
            leap: served.leap as u8,
            version: self.version,
            mode: Mode::Active,
            stratum: served.stratum,
            poll: self.wire_poll(),
            precision,
            root_delay: NtpShort::from_seconds(served.root_delay),
            root_dispersion: NtpShort::from_seconds(served.root_dispersion),
            refid: served.refid,
            // Without fuzz: whoever hears our packets as those of a source must be able to tell (test D).
            reference: NtpTimestamp::from_cooked(served.ref_time, 0),
            originate,
            receive,
            transmit,
        };
        (header, arrived)
    }

    fn wire_poll(&self) -> i8 {
        i8::try_from(self.poll.poll()).unwrap_or_default()
    }

    /// A better transmit timestamp of a packet of this source: of the last one, and later than the one so far by
    /// up to a second, or it is ignored (`spec/ntp.md` section 6.3).
    pub(in crate::source) fn sent(&mut self, token: u64, tx: LocalTime) {
        match tx.origin {
            Origin::Hardware => self.totals.hardware_tx = self.totals.hardware_tx.wrapping_add(1),
            Origin::Kernel => self.totals.kernel_tx = self.totals.kernel_tx.wrapping_add(1),
            Origin::Daemon => {}
        }
        let later = tx.time - self.local_tx.time;
        if self.token == Some(token) && !self.local_tx.is_none() && (0.0..=1.0).contains(&later) {
            // What the network added is known from the response, which may have come first.
            let correction = self.local_tx.correction;
            self.local_tx = LocalTime { correction, ..tx };
        }
    }
}
