//! NTP client and server, commands, timestamps, NTS (`spec/config.md` sections 5.5 to 5.8, 5.11).

use super::access::{AccessRule, RateLimit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `local`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalMode {
    /// `stratum`, 1 to 15.
    pub stratum: u8,
    /// `orphan`
    pub orphan: bool,
    /// `distance`, s.
    pub distance: f64,
    /// `activate`, s.
    pub activate: f64,
    /// `waitsynced`, s.
    pub wait_synced: f64,
    /// `waitunsynced`, s.
    pub wait_unsynced: f64,
}

/// `broadcast`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broadcast {
    /// Interval, s, as given.
    pub interval: i32,
    /// Destination.
    pub address: IpAddr,
    /// Destination port, as given.
    pub port: i32,
}

/// `rxfilter` of `hwtimestamp`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RxFilter {
    /// Automatic.
    #[default]
    Any,
    /// `none`
    None,
    /// `ntp`
    Ntp,
    /// `ptp`
    Ptp,
    /// `all`
    All,
}

/// `hwtimestamp`
#[derive(Clone, Debug, PartialEq)]
pub struct HwTimestamp {
    /// Interface or `*`.
    pub interface: String,
    /// log2 s.
    pub minpoll: i32,
    /// log2 s; `None` is `minpoll + 1`.
    pub maxpoll: Option<i32>,
    /// Samples.
    pub min_samples: i32,
    /// Samples.
    pub max_samples: i32,
    /// s.
    pub precision: f64,
    /// s.
    pub tx_comp: f64,
    /// s.
    pub rx_comp: f64,
    /// `nocrossts`
    pub no_cross_timestamp: bool,
    /// `rxfilter`
    pub rx_filter: RxFilter,
}

/// `bindcmdaddress /...`
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CommandSocket {
    /// The compiled-in path.
    #[default]
    Default,
    /// No Unix socket.
    Disabled,
    /// This path.
    Path(String),
}

/// `opencommands`: what may be asked over UDP (`spec/command-protocol.md` 6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenCommands {
    /// `activity`
    pub activity: bool,
    /// `authdata`
    pub authdata: bool,
    /// `clients`
    pub clients: bool,
    /// `manual`
    pub manual: bool,
    /// `ntpdata`
    pub ntpdata: bool,
    /// `rtcdata`
    pub rtcdata: bool,
    /// `selectdata`
    pub selectdata: bool,
    /// `serverstats`
    pub serverstats: bool,
    /// `smoothing`
    pub smoothing: bool,
    /// `sourcename`
    pub sourcename: bool,
    /// `sources`
    pub sources: bool,
    /// `sourcestats`
    pub sourcestats: bool,
    /// `tracking`
    pub tracking: bool,
}

impl OpenCommands {
    /// Nothing is open.
    pub const NONE: Self = Self {
        activity: false,
        authdata: false,
        clients: false,
        manual: false,
        ntpdata: false,
        rtcdata: false,
        selectdata: false,
        serverstats: false,
        smoothing: false,
        sourcename: false,
        sources: false,
        sourcestats: false,
        tracking: false,
    };
}

impl Default for OpenCommands {
    fn default() -> Self {
        Self {
            activity: true,
            manual: true,
            rtcdata: true,
            smoothing: true,
            sourcename: true,
            sources: true,
            sourcestats: true,
            tracking: true,
            ..Self::NONE
        }
    }
}

/// NTS (`spec/config.md` section 5.7).
#[derive(Clone, Debug, PartialEq)]
pub struct NtsConfig {
    /// `ntsaeads`
    pub aeads: Vec<i32>,
    /// `ntsservercert`
    pub server_certs: Vec<String>,
    /// `ntsserverkey`
    pub server_keys: Vec<String>,
    /// `ntstrustedcerts`: set and path.
    pub trusted_certs: Vec<(u32, String)>,
    /// `ntsdumpdir`
    pub dump_dir: Option<String>,
    /// `ntsntpserver`
    pub ntp_server: Option<String>,
    /// `ntsport`
    pub port: u16,
    /// `ntsprocesses`
    pub processes: u32,
    /// `maxntsconnections`
    pub max_connections: u32,
    /// `ntsrefresh`, s.
    pub refresh: u32,
    /// `ntsrotate`, s.
    pub rotate: u32,
    /// `nosystemcert`
    pub no_system_cert: bool,
    /// `nocerttimecheck`
    pub no_cert_time_check: u32,
}

impl Default for NtsConfig {
    fn default() -> Self {
        Self {
            aeads: vec![30, 15],
            server_certs: Vec::new(),
            server_keys: Vec::new(),
            trusted_certs: Vec::new(),
            dump_dir: None,
            ntp_server: None,
            port: 4460,
            processes: 1,
            max_connections: 100,
            refresh: 2_419_200,
            rotate: 604_800,
            no_system_cert: false,
            no_cert_time_check: 0,
        }
    }
}

/// Most threads that `serverthreads` can ask for.
pub const MAX_SERVER_THREADS: u8 = 64;

/// `serverthreads`, a directive of our own: how many threads answer plain requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerThreads {
    /// This many; 1: the main thread does it, without workers.
    Count(u8),
    /// As many as there are cores.
    Auto,
}

impl ServerThreads {
    /// A number in place of `auto`, on a machine with so many cores.
    #[must_use]
    pub fn resolved(self, cores: usize) -> Self {
        match self {
            Self::Auto => {
                let cores = u8::try_from(cores).unwrap_or(u8::MAX);
                Self::Count(cores.clamp(1, MAX_SERVER_THREADS))
            }
            Self::Count(_) => self,
        }
    }

    /// Threads that serve beside the main thread: none with 1, as the main thread serves then; `auto` counts as 1
    /// until it is resolved.
    #[must_use]
    pub fn workers(self) -> usize {
        match self {
            Self::Auto | Self::Count(0 | 1) => 0,
            Self::Count(count) => usize::from(count),
        }
    }
}

impl Default for ServerThreads {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// Everything about sockets and packets.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// `port`; `None`: not given (123, or 0 with `-Q`).
    pub port: Option<u16>,
    /// `acquisitionport`
    pub acquisition_port: Option<u16>,
    /// `bindaddress`, IPv4.
    pub bind_v4: Option<Ipv4Addr>,
    /// `bindaddress`, IPv6.
    pub bind_v6: Option<Ipv6Addr>,
    /// `bindacqaddress`, IPv4.
    pub bind_acq_v4: Option<Ipv4Addr>,
    /// `bindacqaddress`, IPv6.
    pub bind_acq_v6: Option<Ipv6Addr>,
    /// `bindcmdaddress`, IPv4.
    pub bind_cmd_v4: Option<Ipv4Addr>,
    /// `bindcmdaddress`, IPv6.
    pub bind_cmd_v6: Option<Ipv6Addr>,
    /// `bindcmdaddress`, Unix socket.
    pub command_socket: CommandSocket,
    /// `binddevice`
    pub bind_device: Option<String>,
    /// `bindacqdevice`
    pub bind_acq_device: Option<String>,
    /// `bindcmddevice`
    pub bind_cmd_device: Option<String>,
    /// `cmdport`; `None`: not given (323, or 0 with `-Q`).
    pub cmd_port: Option<u16>,
    /// `dscp`
    pub dscp: u8,
    /// `allow`, `deny`, in order.
    pub access: Vec<AccessRule>,
    /// `cmdallow`, `cmddeny`, in order.
    pub cmd_access: Vec<AccessRule>,
    /// `broadcast`
    pub broadcasts: Vec<Broadcast>,
    /// `clientloglimit`, octets.
    pub client_log_limit: u64,
    /// `noclientlog`
    pub no_client_log: bool,
    /// `ratelimit`
    pub rate_limit: Option<RateLimit>,
    /// `ntsratelimit`
    pub nts_rate_limit: Option<RateLimit>,
    /// `cmdratelimit`
    pub cmd_rate_limit: Option<RateLimit>,
    /// `local`
    pub local: Option<LocalMode>,
    /// `ntpsigndsocket`
    pub signd_dir: Option<String>,
    /// `opencommands`
    pub open_commands: OpenCommands,
    /// `hwtimestamp`
    pub hw_timestamps: Vec<HwTimestamp>,
    /// `hwtstimeout`, s.
    pub hw_timeout: f64,
    /// `maxtxbuffers`
    pub max_tx_buffers: u32,
    /// `ptpport`
    pub ptp_port: u16,
    /// `ptpdomain`
    pub ptp_domain: u8,
    /// `refresh`, s.
    pub refresh: u32,
    /// `serverthreads`
    pub server_threads: ServerThreads,
    /// NTS.
    pub nts: NtsConfig,
}

impl NetworkConfig {
    /// Our address that requests to a family's sources leave from (`bindacqaddress`), if it is given.
    #[must_use]
    pub fn acquisition_address(&self, v6: bool) -> Option<IpAddr> {
        if v6 {
            self.bind_acq_v6.map(IpAddr::V6)
        } else {
            self.bind_acq_v4.map(IpAddr::V4)
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            port: None,
            acquisition_port: None,
            bind_v4: None,
            bind_v6: None,
            bind_acq_v4: None,
            bind_acq_v6: None,
            bind_cmd_v4: None,
            bind_cmd_v6: None,
            command_socket: CommandSocket::Default,
            bind_device: None,
            bind_acq_device: None,
            bind_cmd_device: None,
            cmd_port: None,
            dscp: 0,
            access: Vec::new(),
            cmd_access: Vec::new(),
            broadcasts: Vec::new(),
            client_log_limit: 524_288,
            no_client_log: false,
            rate_limit: None,
            nts_rate_limit: None,
            cmd_rate_limit: None,
            local: None,
            signd_dir: None,
            open_commands: OpenCommands::default(),
            hw_timestamps: Vec::new(),
            hw_timeout: 0.001,
            max_tx_buffers: 0,
            ptp_port: 0,
            ptp_domain: 123,
            refresh: 1_209_600,
            server_threads: ServerThreads::default(),
            nts: NtsConfig::default(),
        }
    }
}
