//! The files below `logdir`: opened at the first line, closed by `cyclelogs`.

use super::record;
use crate::files;
use std::fs::File;
use std::io::Write;
use truechimer_engine::config::Logs;
use truechimer_engine::event::record::Record;

/// One log file.
#[derive(Debug)]
struct Log {
    name: &'static str,
    header: &'static str,
    enabled: bool,
    file: Option<File>,
    /// Lines since it was opened.
    lines: u64,
}

/// All log files.
#[derive(Debug)]
pub struct LogFiles {
    directory: Option<String>,
    banner: u64,
    raw_measurements: bool,
    measurements: Log,
    statistics: Log,
    selection: Log,
    tracking: Log,
    tempcomp: Log,
    refclocks: Log,
    rtc: Log,
}

impl LogFiles {
    /// `banner` is `logbanner`: a banner before every so many lines, 0: none.
    #[must_use]
    pub fn new(directory: Option<String>, logs: Logs, banner: u32) -> Self {
        let log = |name, header, enabled| Log {
            name,
            header,
            enabled,
            file: None,
            lines: 0,
        };
        Self {
            directory,
            banner: u64::from(banner),
            raw_measurements: logs.raw_measurements,
            measurements: log(
                "measurements",
                record::MEASUREMENTS,
                logs.measurements || logs.raw_measurements,
            ),
            statistics: log("statistics", record::STATISTICS, logs.statistics),
            selection: log("selection", record::SELECTION, logs.selection),
            tracking: log("tracking", record::TRACKING, logs.tracking),
            tempcomp: log("tempcomp", record::TEMPCOMP, logs.tempcomp),
            refclocks: log("refclocks", record::REFCLOCKS, logs.refclocks),
            rtc: log("rtc", record::RTC, logs.rtc),
        }
    }

    /// Writes a line if its log is enabled. A log that can't be opened is disabled, with a message.
    pub fn write(&mut self, record: &Record) {
        let log = match record {
            Record::Measurement(measurement) if !measurement.synced && !self.raw_measurements => return,
            Record::Measurement(_) => &mut self.measurements,
            Record::Statistics(_) => &mut self.statistics,
            Record::Selection(_) => &mut self.selection,
            Record::Tracking(_) => &mut self.tracking,
            Record::TempComp(_) => &mut self.tempcomp,
            Record::Refclock(_) => &mut self.refclocks,
            Record::Rtc(_) => &mut self.rtc,
        };
        log.write(self.directory.as_deref(), self.banner, record);
    }

    /// Closes the files; the next line opens each again.
    pub fn cycle(&mut self) {
        for log in [
            &mut self.measurements,
            &mut self.statistics,
            &mut self.selection,
            &mut self.tracking,
            &mut self.tempcomp,
            &mut self.refclocks,
            &mut self.rtc,
        ] {
            log.file = None;
            log.lines = 0;
        }
    }
}

impl Log {
    fn write(&mut self, directory: Option<&str>, banner: u64, record: &Record) {
        if !self.enabled {
            return;
        }
        if self.file.is_none() {
            let Some(directory) = directory else {
                super::warning("logdir not specified");
                self.enabled = false;
                return;
            };
            match files::append(&format!("{directory}/{}.log", self.name), 0o644) {
                Ok(file) => self.file = Some(file),
                Err(error) => {
                    super::error(error);
                    self.enabled = false;
                    return;
                }
            }
        }
        let Some(file) = &mut self.file else { return };
        let mut text = String::new();
        if banner > 0 && self.lines.is_multiple_of(banner) {
            let rule = "=".repeat(self.header.len());
            text = format!("{rule}\n{}\n{rule}\n", self.header);
        }
        text.push_str(&record::line(record));
        text.push('\n');
        self.lines += 1;
        // A full disk loses lines, as it does with chrony; the next one may fit again.
        let _ = file.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truechimer_engine::event::record::{Subject, Tracking};
    use truechimer_engine::time::{Cooked, FastBy, Ppm};

    fn tracking() -> Record {
        Record::Tracking(Box::new(Tracking {
            time: Cooked::new(0, 0),
            source: Subject::RefId(0),
            stratum: 0,
            frequency: Ppm(0.0),
            skew: Ppm(0.0),
            offset: FastBy(0.0),
            leap: 3,
            combined: 0,
            offset_sd: 0.0,
            uncorrected: 0.0,
            root_delay: 1.0,
            root_dispersion: 1.0,
            max_error: 1.5,
        }))
    }

    #[test]
    fn banner_before_every_second_line_and_after_cycling() {
        let dir = std::env::temp_dir().join(format!("truechimer-logs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let logs = Logs {
            tracking: true,
            ..Logs::default()
        };
        let mut files = LogFiles::new(Some(dir.to_str().unwrap().to_owned()), logs, 2);
        for _ in 0..3 {
            files.write(&tracking());
        }
        let text = std::fs::read_to_string(dir.join("tracking.log")).unwrap();
        let rules: Vec<usize> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.starts_with("==="))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(rules, [0, 2, 5, 7]);
        assert_eq!(text.lines().nth(1), Some(record::TRACKING));
        assert_eq!(text.lines().next().unwrap().len(), record::TRACKING.len());
        std::fs::rename(dir.join("tracking.log"), dir.join("tracking.log.1")).unwrap();
        files.cycle();
        files.write(&tracking());
        assert_eq!(
            std::fs::read_to_string(dir.join("tracking.log"))
                .unwrap()
                .lines()
                .count(),
            4
        );
        assert_eq!(
            std::fs::read_dir(&dir).unwrap().count(),
            2,
            "no file of a log that is off"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn headers_are_as_long_as_chronys() {
        assert_eq!(record::MEASUREMENTS.find("Refid"), Some(121));
        assert_eq!(record::TRACKING.len(), 131);
    }

    #[test]
    fn a_log_without_directory_is_disabled() {
        let mut files = LogFiles::new(
            None,
            Logs {
                tracking: true,
                ..Logs::default()
            },
            0,
        );
        files.write(&tracking());
        assert!(!files.tracking.enabled);
    }
}
