//! One NTP source: when to ask, what to send, what a reply is worth (`spec/ntp.md` sections 2 to 4).

mod params;
mod process;
mod report;
mod request;
mod response;
mod schedule;

pub use report::{LastReply, NtpData, Totals};

use super::io::Io;
use super::timers::TimerId;
use super::{Settings, SourceAddress};
use crate::config::SourceConfig;
use crate::event::Event;
use crate::event::source::{NewValue, SourceEvent};
use crate::io::{Origin, SocketId};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::sync::filter::{FilterConfig, SampleFilter};
use crate::sync::kernel::{Change, ChangeKind};
use crate::sync::poll::PollControl;
use crate::sync::quantile::DelayQuantile;
use crate::sync::served::Served;
use crate::time::{Cooked, NtpTimestamp, pow2};
use params::{POLLS, Params, poll_control};
use std::net::{IpAddr, SocketAddr};

/// What a handler of an association works with.
pub(super) struct Env<'a, 'c> {
    pub(super) cx: &'a mut Cx<'c>,
    pub(super) discipline: &'a mut Discipline,
    pub(super) io: &'a mut Io,
    pub(super) settings: &'a Settings,
}

impl Env<'_, '_> {
    pub(super) fn log(&mut self, event: SourceEvent) {
        self.cx.out.events.push(Event::Source(event));
    }

    /// What we tell others about our time now.
    fn served(&mut self) -> Served {
        let cx = &mut *self.cx;
        self.discipline.served(cx.cooked, cx.now.mono)
    }
}

/// A local timestamp of a packet; the zero time is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LocalTime {
    pub(super) time: Cooked,
    /// Uncertainty, s.
    pub(super) error: f64,
    pub(super) origin: Origin,
    /// As in [`crate::io::Stamp`].
    pub(super) duration: f64,
    /// Known delay in the network, s: of a packet that came in from [`crate::io::Stamp`], of one that was sent
    /// from the response.
    pub(super) correction: f64,
}

impl LocalTime {
    fn is_none(&self) -> bool {
        self.time.is_zero()
    }

    /// What a network correction field of the answer to this packet says, s (`spec/ntp.md` 1.4).
    fn net_correction(&self) -> f64 {
        if self.correction > self.duration {
            self.correction
        } else {
            0.0
        }
    }

    fn announce(&mut self, change: &Change) {
        if !self.is_none() {
            self.time = self.time.adjusted(change.cooked, change.dfreq, change.by.0).0;
        }
    }
}

/// Whether a source is asked, and how often.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operating {
    /// Not at all.
    Offline,
    /// At the polling interval.
    Online,
    /// In a burst; offline afterwards.
    BurstWasOffline,
    /// In a burst; online afterwards.
    BurstWasOnline,
}

/// Difference between the remote monotonic scale and remote time (`spec/ntp.md` 2.9).
#[derive(Clone, Copy, Debug, Default)]
struct MonoState {
    receive: NtpTimestamp,
    epoch: u32,
    /// Change not yet given to the statistics, s.
    pending: f64,
}

/// What was exchanged with the source; a reset forgets it all.
#[derive(Clone, Debug, Default)]
struct Exchange {
    /// Of the last valid response, log2 s.
    remote_poll: i8,
    /// Of the last valid response, 1 to 16.
    remote_stratum: u8,
    /// Of the last valid response, s.
    root_delay: f64,
    root_dispersion: f64,
    /// Packets sent since the last valid response.
    tx_count: u32,
    /// `tx_count` when that response came.
    prev_tx_count: u32,
    /// The current request has had its valid response.
    valid_rx: bool,
    /// The stored timestamps are of a synchronised response.
    valid_timestamps: bool,
    /// Receive and transmit timestamps of the last valid response, and when it came.
    remote_rx: NtpTimestamp,
    remote_tx: NtpTimestamp,
    local_rx: LocalTime,
    /// Receive and transmit fields of the last packet sent.
    sent_rx: NtpTimestamp,
    sent_tx: NtpTimestamp,
    /// When the packet before the last one was sent, if its timestamps have not been used yet.
    prev_local_tx: LocalTime,
    /// Our poll at the last valid response, log2 s.
    prev_local_poll: i32,
    /// Symmetric start: transmit timestamp of the last packet that was not valid, and when it came.
    init_remote_tx: NtpTimestamp,
    init_local_rx: LocalTime,
    init_updated: bool,
    mono: MonoState,
    /// Warm-up requests still to be followed by another.
    presend: u32,
}

/// What a transmission that turns out not to have happened takes back.
#[derive(Clone, Copy, Debug)]
struct Undo {
    poll: PollControl,
    burst_total: i32,
}

/// A response that waits for the transmit timestamp of its request.
#[derive(Debug)]
struct Saved {
    bytes: Vec<u8>,
    rx: LocalTime,
    to: Option<IpAddr>,
    timer: Option<TimerId>,
}

/// How the next packet is to be made.
#[derive(Clone, Copy, Debug)]
struct Plan {
    interleaved: bool,
    initial: bool,
}

/// One NTP source.
#[derive(Debug)]
pub struct Association {
    id: SourceId,
    params: Params,
    version: u8,
    address: SourceAddress,
    port: u16,
    mode: Operating,
    started: bool,
    poll: PollControl,
    exchange: Exchange,
    /// When the last packet was sent. A reset keeps it.
    local_tx: LocalTime,
    burst_good: i32,
    burst_total: i32,
    filter: Option<SampleFilter>,
    /// Samples and missing samples since the last output of the filter.
    filter_count: usize,
    quantile: Option<DelayQuantile>,
    /// Socket of the last request, while a reply may come.
    socket: Option<SocketId>,
    plan: Option<Plan>,
    token: Option<u64>,
    undo: Option<Undo>,
    transmit_timer: Option<TimerId>,
    close_timer: Option<TimerId>,
    saved: Option<Saved>,
    last_reply: Option<LastReply>,
    totals: Totals,
}

impl Association {
    /// A source that is not yet started. `precision` is that of the local clock, s.
    pub(super) fn new(
        id: SourceId,
        config: &SourceConfig,
        address: SourceAddress,
        digest: Option<usize>,
        precision: f64,
    ) -> Self {
        let params = Params::new(config);
        Self {
            id,
            version: params.request_version(digest),
            address,
            port: config.port,
            mode: Operating::Offline,
            started: false,
            poll: poll_control(config),
            exchange: Exchange::default(),
            local_tx: LocalTime::default(),
            burst_good: 0,
            burst_total: 0,
            filter: (params.filter > 0)
                .then(|| SampleFilter::new(FilterConfig::ntp(params.filter, precision))),
            filter_count: 0,
            quantile: params.max_delay_quant.map(|p| DelayQuantile::new(p, precision)),
            socket: None,
            plan: None,
            token: None,
            undo: None,
            transmit_timer: None,
            close_timer: None,
            saved: None,
            last_reply: None,
            totals: Totals::default(),
            params,
        }
    }

    /// Number of the source.
    #[must_use]
    pub fn id(&self) -> SourceId {
        self.id
    }

    /// Address, or number while it is not resolved.
    #[must_use]
    pub fn address(&self) -> SourceAddress {
        self.address
    }

    /// Where packets go, once resolved.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address.ip()?, self.port))
    }

    /// It is a `peer`.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        self.params.peer
    }

    /// Whether it is asked.
    #[must_use]
    pub fn operating(&self) -> Operating {
        self.mode
    }

    /// Key ID; 0 is none.
    #[must_use]
    pub fn key(&self) -> u32 {
        self.params.key
    }

    /// The source must be authenticated.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.params.key != 0 || self.params.nts
    }

    /// Polling interval as reported, log2 s: that of a reachable peer if it is shorter than ours.
    #[must_use]
    pub fn report_poll(&self, discipline: &Discipline) -> i32 {
        self.effective_poll(discipline)
    }

    /// Polling interval, log2 s, and score.
    #[must_use]
    pub fn poll_and_score(&self) -> (i32, f64) {
        (self.poll.poll(), self.poll.score())
    }

    /// A packet is still to be made.
    pub(super) fn is_waiting(&self) -> bool {
        self.plan.is_some()
    }

    fn is_reachable(&self, discipline: &Discipline) -> bool {
        discipline.sources.reach(self.id) != 0
    }

    /// Intervals below one second are allowed: the source is reachable and near (`spec/sync.md` 7.2).
    fn sub_second(&self, discipline: &Discipline) -> bool {
        let near = |delay: f64| delay <= PollControl::MAX_SUB_SECOND_DELAY;
        self.is_reachable(discipline)
            && (discipline
                .sources
                .stats(self.id)
                .is_some_and(|s| near(s.min_delay()))
                || self
                    .filter
                    .as_ref()
                    .and_then(SampleFilter::last)
                    .is_some_and(|s| near(s.peer_delay)))
    }

    fn adjust_poll(&mut self, amount: f64, discipline: &Discipline) {
        let sub_second = self.sub_second(discipline);
        self.poll.adjust(amount, sub_second);
    }

    /// Forgets what was exchanged; keeps operating mode, poll and report.
    fn reset(&mut self) {
        self.exchange = Exchange::default();
        self.plan = None;
        self.token = None;
        self.undo = None;
        if let Some(filter) = &mut self.filter {
            filter.clear();
        }
        if let Some(quantile) = &mut self.quantile {
            quantile.reset();
        }
    }

    /// Back to the shortest interval.
    fn reset_poll(&mut self, env: &mut Env<'_, '_>) {
        if self.poll.reset() && self.transmit_timer.is_some() {
            let delay = self.delay(env, false);
            self.arm_transmit(env, delay);
        }
    }

    /// Gives the source another address. Its poll is reset if it was reachable.
    pub(super) fn change_address(&mut self, env: &mut Env<'_, '_>, ip: IpAddr, was_reachable: bool) {
        env.io.close(&mut self.socket);
        env.io.timers.cancel(&mut self.close_timer);
        self.address = SourceAddress::Ip(ip);
        self.reset();
        self.last_reply = None;
        self.totals = Totals::default();
        if was_reachable {
            self.reset_poll(env);
        }
    }

    /// A change of the clock: moves all stored times, or forgets them if they are not comparable any more.
    pub(super) fn announce(&mut self, change: &Change, env: &mut Env<'_, '_>) {
        if let ChangeKind::UnknownStep = change.kind {
            self.reset();
            self.reset_poll(env);
            return;
        }
        for time in [
            &mut self.local_tx,
            &mut self.exchange.local_rx,
            &mut self.exchange.prev_local_tx,
            &mut self.exchange.init_local_rx,
        ] {
            time.announce(change);
        }
        if let Some(saved) = &mut self.saved {
            saved.rx.announce(change);
        }
        if let Some(filter) = &mut self.filter {
            filter.announce(change);
        }
    }

    /// Changes an option by command. `None`: the value is out of range and ignored.
    pub(super) fn modify(&mut self, env: &mut Env<'_, '_>, value: NewValue) {
        let source = self.address.to_string();
        let mut dragged = None;
        match value {
            NewValue::MinPoll(poll) if POLLS.contains(&poll) => {
                dragged = (poll > self.poll.max()).then_some(NewValue::MaxPoll(poll));
                self.poll.set_min(poll);
            }
            NewValue::MaxPoll(poll) if POLLS.contains(&poll) => {
                dragged = (poll < self.poll.min()).then_some(NewValue::MinPoll(poll));
                self.poll.set_max(poll);
            }
            NewValue::MinPoll(_) | NewValue::MaxPoll(_) => return,
            NewValue::MaxDelay(x) => self.params.set_max_delay(x),
            NewValue::MaxDelayRatio(x) => self.params.set_max_delay_ratio(x),
            NewValue::MaxDelayDevRatio(x) => self.params.set_max_delay_dev_ratio(x),
            NewValue::MinStratum(x) => self.params.min_stratum = x,
            NewValue::PollTarget(x) => self.poll.set_target(x),
            NewValue::Offset(x) => self.params.offset = x,
        }
        env.log(SourceEvent::New(source.clone(), self.effective(value)));
        if let Some(value) = dragged {
            env.log(SourceEvent::New(source, value));
        }
    }

    /// The value as it is in force.
    fn effective(&self, value: NewValue) -> NewValue {
        match value {
            NewValue::MaxDelay(_) => NewValue::MaxDelay(self.params.max_delay),
            NewValue::MaxDelayRatio(_) => NewValue::MaxDelayRatio(self.params.max_delay_ratio),
            NewValue::MaxDelayDevRatio(_) => NewValue::MaxDelayDevRatio(self.params.max_delay_dev_ratio),
            NewValue::PollTarget(_) => NewValue::PollTarget(self.poll.target()),
            other => other,
        }
    }

    /// Shortest of our and a reachable peer's interval, log2 s.
    fn effective_poll(&self, discipline: &Discipline) -> i32 {
        let (ours, remote) = (self.poll.poll(), i32::from(self.exchange.remote_poll));
        if self.params.peer && ours > remote && self.is_reachable(discipline) {
            remote.max(self.poll.min())
        } else {
            ours
        }
    }

    /// Separation of this source's timer from others, s.
    fn separation(&self) -> f64 {
        pow2(self.poll.poll() - 3).clamp(0.002, 0.2)
    }
}
