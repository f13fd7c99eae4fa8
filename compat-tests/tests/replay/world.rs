//! Replies made up from a seed.

use std::net::{Ipv4Addr, Ipv6Addr};
use truechimer_engine::random::{Random, Seeded};
use truechimer_engine::time::Cooked;
use truechimer_engine::wire::command::{
    ActivityReport, Address, AuthMode, AuthReport, ClientRecord, ClientsReport, ManualSample, NtpDataReport,
    Reply, Request, RtcReport, SelectReport, ServerStatsReport, SetTimeReport, SmoothingReport, SourceMode,
    SourceName, SourceReport, SourceState, SourceStatsReport, Status, TrackingReport,
};

/// A daemon that never was.
pub(crate) struct World {
    sources: u32,
    seed: u64,
}

/// What one reply is made of: the same for the same request.
struct Dice(Seeded);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0.bits64() % n
    }

    fn bits(&mut self) -> u32 {
        self.0.bits32()
    }

    fn bool(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Of any size between a picosecond and ages, of both signs, and zero.
    fn float(&mut self) -> f64 {
        if self.below(10) == 0 {
            return 0.0;
        }
        let size = 10_f64.powf(self.0.uniform() * 24.0 - 12.0);
        if self.bool() { -size } else { size }
    }

    fn age(&mut self) -> Option<u32> {
        let limit = [1200, 36_000, 400_000, 100_000_000, u32::MAX][self.below(5) as usize];
        (self.below(6) > 0).then(|| self.bits() % limit)
    }

    fn log(&mut self) -> Option<i8> {
        (self.below(4) > 0).then(|| self.below(20) as i8 - 8)
    }

    fn time(&mut self) -> Cooked {
        let sec = match self.below(6) {
            0 => 0,
            1 => -(i64::from(self.bits())),
            2 => 1 << 40,
            3 => i64::MAX / 4,
            _ => i64::from(self.bits()),
        };
        Cooked::new(sec, self.bits() % 1_000_000_000)
    }

    fn address(&mut self) -> Address {
        match self.below(8) {
            0..4 => Address::Ip(Ipv4Addr::from_bits(self.bits()).into()),
            4 => Address::Id(self.bits()),
            5 => Address::Id(self.bits() % 20),
            6 => Address::Ip(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(self.bits())).into()),
            _ => Address::Ip(
                Ipv6Addr::from_bits(
                    0x2001_0db8 << 96 | u128::from(self.0.bits64()) << 32 | u128::from(self.bits()),
                )
                .into(),
            ),
        }
    }

    fn ref_id(&mut self) -> u32 {
        [0x4750_5330, 0x5050_5300, 0, 0x7f7f_0101, self.bits()][self.below(5) as usize]
    }
}

impl World {
    pub(crate) fn new(sources: u32, seed: u64) -> Self {
        Self { sources, seed }
    }

    fn dice(&self, salt: u32) -> Dice {
        let mut dice = Dice(Seeded::new(self.seed << 32 | u64::from(salt)));
        // The first numbers of neighbouring seeds are alike.
        for _ in 0..8 {
            dice.bits();
        }
        dice
    }

    /// Address and kind of a source, the same in all reports.
    fn source(&self, index: u32) -> (Address, SourceMode) {
        let mut dice = self.dice(1000 + index);
        match dice.below(4) {
            0 => (Address::of_refclock(dice.ref_id()), SourceMode::RefClock),
            1 => (dice.address(), SourceMode::Peer),
            _ => (dice.address(), SourceMode::Client),
        }
    }

    /// The same with reference ID and no address for a reference clock.
    fn identity(&self, index: u32) -> (u32, Address) {
        match self.source(index) {
            (address, SourceMode::RefClock) => (address.ref_id(), Address::Unspecified),
            (address, _) => (address.ref_id(), address),
        }
    }

    /// What is replied.
    pub(crate) fn answer(&mut self, request: &Request) -> Option<(Status, Reply)> {
        Some((Status::Success, self.reply(request)?))
    }

    fn reply(&self, request: &Request) -> Option<Reply> {
        let mut d = self.dice(u32::from(request.code().number()));
        Some(match *request {
            Request::NSources => Reply::NSources(self.sources),
            Request::SourceData(index) => Reply::Source(self.source_data(index)),
            Request::SourceStats(index) => Reply::SourceStats(self.source_stats(index)),
            Request::SelectData(index) => Reply::Select(self.select_data(index)),
            Request::AuthData(address) => Reply::Auth(self.auth(address)),
            Request::NtpData(address) => Reply::NtpData(self.ntp_data(address)),
            Request::SourceName(address) => {
                let name = format!("{}.example", address.to_string().replace(':', "-"));
                let mut d = self.dice(address.ref_id());
                Reply::SourceName(SourceName::new(&match d.below(5) {
                    0 => "x".repeat(300),
                    1 => "a b".to_owned(),
                    _ => name,
                }))
            }
            Request::Tracking => Reply::Tracking(TrackingReport {
                ref_id: d.ref_id(),
                address: if d.bool() {
                    d.address()
                } else {
                    Address::Unspecified
                },
                stratum: d.below(20) as u16,
                leap: d.below(6) as u16,
                ref_time: d.time(),
                correction: d.float(),
                last_offset: d.float(),
                rms_offset: d.float(),
                frequency: d.float(),
                residual_frequency: d.float(),
                skew: d.float(),
                root_delay: d.float(),
                root_dispersion: d.float(),
                update_interval: d.float(),
            }),
            Request::Activity => Reply::Activity(ActivityReport {
                online: d.bits(),
                offline: d.bits() % 10,
                burst_online: 0,
                burst_offline: d.bits() % 10,
                unresolved: d.bits() % 10,
            }),
            Request::Clients { first, .. } => Reply::Clients(self.clients(first)),
            Request::ServerStats => {
                let mut n = || d.0.bits64() >> (d.0.bits64() % 64);
                Reply::ServerStats(ServerStatsReport {
                    ntp_hits: n(),
                    nke_hits: n(),
                    cmd_hits: n(),
                    ntp_drops: n(),
                    nke_drops: n(),
                    cmd_drops: n(),
                    log_drops: n(),
                    ntp_auth_hits: n(),
                    ntp_interleaved_hits: n(),
                    ntp_timestamps: n(),
                    ntp_span: n(),
                    daemon_rx: n(),
                    daemon_tx: n(),
                    kernel_rx: n(),
                    kernel_tx: n(),
                    hardware_rx: n(),
                    hardware_tx: n(),
                })
            }
            Request::RtcReport => Reply::Rtc(RtcReport {
                ref_time: d.time(),
                samples: d.bits() as u16,
                runs: d.bits() as u16,
                span: d.bits(),
                offset: d.float(),
                frequency: d.float(),
            }),
            Request::Smoothing => Reply::Smoothing(SmoothingReport {
                active: d.bool(),
                leap_only: d.bool(),
                offset: d.float(),
                frequency: d.float(),
                wander: d.float(),
                last_update: d.float(),
                remaining: d.float(),
            }),
            Request::ManualList => {
                let n = d.below(17);
                Reply::ManualList(
                    (0..n)
                        .map(|_| ManualSample {
                            when: d.time(),
                            slewed: d.float(),
                            original: d.float(),
                            residual: d.float(),
                        })
                        .collect(),
                )
            }
            Request::SetTime(_) => Reply::SetTime(SetTimeReport {
                offset: d.float(),
                frequency_change: d.float(),
                frequency: d.float(),
            }),
            _ => Reply::Null,
        })
    }

    fn source_data(&self, index: u32) -> SourceReport {
        let (address, mode) = self.source(index);
        let mut d = self.dice(2000 + index);
        let states = [
            SourceState::Selected,
            SourceState::Nonselectable,
            SourceState::Falseticker,
            SourceState::Jittery,
            SourceState::Combined,
            SourceState::Selectable,
            SourceState::Unknown,
        ];
        SourceReport {
            address,
            poll: d.below(40) as i16 - 10,
            stratum: d.below(20) as u16,
            state: states[d.below(7) as usize],
            mode: if mode != SourceMode::RefClock && d.below(10) == 0 {
                SourceMode::Unknown
            } else {
                mode
            },
            flags: 0,
            reach: d.below(256) as u16,
            last_sample: d.age(),
            measured_offset: d.float(),
            adjusted_offset: d.float(),
            error: d.float(),
        }
    }

    fn source_stats(&self, index: u32) -> SourceStatsReport {
        let (ref_id, address) = self.identity(index);
        let mut d = self.dice(3000 + index);
        SourceStatsReport {
            ref_id,
            address,
            samples: d.bits() % 2000,
            runs: d.bits() % 65,
            span: d.age().unwrap_or(u32::MAX),
            std_dev: d.float(),
            frequency: d.float(),
            skew: d.float(),
            offset: d.float(),
            offset_error: d.float(),
        }
    }

    fn select_data(&self, index: u32) -> SelectReport {
        let (ref_id, address) = self.identity(index);
        let mut d = self.dice(4000 + index);
        SelectReport {
            ref_id,
            address,
            state: b"NMsd~wSOTxWPUDL+*?r"[d.below(19) as usize],
            authenticated: d.bool(),
            leap: d.below(5) as u8,
            configured: d.below(32) as u16,
            effective: d.below(32) as u16,
            last_sample: d.age(),
            score: d.float(),
            low: d.float(),
            high: d.float(),
        }
    }

    fn auth(&self, address: Address) -> AuthReport {
        let mut d = self.dice(address.ref_id() ^ 5000);
        AuthReport {
            mode: [
                AuthMode::None,
                AuthMode::Symmetric,
                AuthMode::Nts,
                AuthMode::Unknown,
            ][d.below(4) as usize],
            key_type: d.below(40) as u16,
            key_id: d.bits(),
            key_length: d.bits() as u16,
            ke_attempts: d.bits() as u16,
            last_ke: d.age(),
            cookies: d.below(9) as u16,
            cookie_length: d.bits() as u16,
            nak: d.below(3) as u16,
        }
    }

    fn ntp_data(&self, address: Address) -> NtpDataReport {
        let mut d = self.dice(address.ref_id() ^ 6000);
        NtpDataReport {
            remote: address,
            local: if d.below(4) == 0 {
                Address::Unspecified
            } else {
                d.address()
            },
            remote_port: d.bits() as u16,
            leap: d.below(5) as u8,
            version: d.below(5) as u8,
            mode: d.below(7) as u8,
            stratum: d.below(17) as u8,
            poll: d.bits() as i8,
            precision: d.bits() as i8,
            root_delay: d.float(),
            root_dispersion: d.float(),
            ref_id: d.ref_id(),
            ref_time: d.time(),
            offset: d.float(),
            peer_delay: d.float(),
            peer_dispersion: d.float(),
            response_time: d.float(),
            jitter_asymmetry: d.0.uniform() - 0.5,
            flags: d.bits() as u16,
            tx_origin: b"DKHX\0"[d.below(5) as usize],
            rx_origin: b"DKHX\0"[d.below(5) as usize],
            total_tx: d.bits(),
            total_rx: d.bits(),
            total_valid: d.bits(),
            total_good: d.bits(),
            kernel_tx: d.bits(),
            kernel_rx: d.bits(),
            hardware_tx: d.bits(),
            hardware_rx: d.bits(),
        }
    }

    /// As many clients as sources, in a table with a free slot after each.
    fn clients(&self, first: u32) -> ClientsReport {
        let end = (first + 16).min(2 * self.sources);
        let clients = (first / 2..end / 2).map(|index| self.client(index)).collect();
        ClientsReport {
            indices: 2 * self.sources,
            next: end,
            clients,
        }
    }

    fn client(&self, index: u32) -> ClientRecord {
        let mut d = self.dice(7000 + index);
        ClientRecord {
            address: if d.below(8) == 0 {
                Address::Unspecified
            } else {
                d.address()
            },
            ntp_hits: d.bits() >> (d.below(32)),
            nke_hits: d.bits() >> (d.below(32)),
            cmd_hits: d.bits() >> (d.below(32)),
            ntp_drops: d.bits() >> (d.below(32)),
            nke_drops: d.bits() >> (d.below(32)),
            cmd_drops: d.bits() >> (d.below(32)),
            ntp_interval: d.log(),
            nke_interval: d.log(),
            cmd_interval: d.log(),
            ntp_timeout_interval: d.log(),
            last_ntp: d.age(),
            last_nke: d.age(),
            last_cmd: d.age(),
        }
    }
}
