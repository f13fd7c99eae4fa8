//! Files, logs, process (`spec/config.md` sections 5.10, 5.12, 5.13).

/// `log`: which files are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Logs {
    /// `measurements`
    pub measurements: bool,
    /// `rawmeasurements`
    pub raw_measurements: bool,
    /// `statistics`
    pub statistics: bool,
    /// `selection`
    pub selection: bool,
    /// `tracking`
    pub tracking: bool,
    /// `rtc`
    pub rtc: bool,
    /// `refclocks`
    pub refclocks: bool,
    /// `tempcomp`
    pub tempcomp: bool,
}

/// Files and the process.
#[derive(Clone, Debug, PartialEq)]
pub struct FileConfig {
    /// `driftfile`
    pub drift_file: Option<String>,
    /// `interval` of `driftfile`, s.
    pub drift_interval: i32,
    /// `dumpdir`
    pub dump_dir: Option<String>,
    /// `keyfile`
    pub key_file: Option<String>,
    /// `logdir`
    pub log_dir: Option<String>,
    /// `log`
    pub logs: Logs,
    /// `logbanner`; 0: never.
    pub log_banner: u32,
    /// `pidfile`; `None`: not given (compiled in, or none with `-Q`); `/` is none.
    pub pid_file: Option<String>,
    /// `user`
    pub user: Option<String>,
    /// `lock_all`
    pub lock_all: bool,
    /// `sched_priority`
    pub sched_priority: i32,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            drift_file: None,
            drift_interval: 3600,
            dump_dir: None,
            key_file: None,
            log_dir: None,
            logs: Logs::default(),
            log_banner: 32,
            pid_file: None,
            user: None,
            lock_all: false,
            sched_priority: 0,
        }
    }
}
