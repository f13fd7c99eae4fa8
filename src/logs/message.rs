//! The message log (`spec/config.md` 3.4 and 10.3, `spec/files-and-security.md` section 5).

use super::{FATAL, TARGET, utc};
use crate::files;
use crate::sys::{clock, syslog};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use truechimer_engine::event::Severity;

/// Number of the syslog facility `daemon`.
const DAEMON: &str = "3";

/// Where messages go.
#[derive(Debug)]
pub enum Destination {
    /// stderr, with the time.
    Stderr,
    /// The file of `-l`, with the time.
    File {
        /// Its path, for opening it again.
        path: String,
        /// Opened for appending.
        file: File,
    },
    /// The system log, ident `chronyd` with PID.
    Syslog,
    /// The journal, when it is what stderr leads to.
    Journal(Box<Journal>),
}

/// The journal's two writers: `tracing` has no level for fatal errors, so they have one of their own.
pub struct Journal {
    normal: tracing_journald::Layer,
    fatal: tracing_journald::Layer,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// `None` if stderr is not the journal, or it can't be reached.
    fn find() -> Option<Self> {
        use tracing_journald::{Priority, PriorityMappings};
        let stream = std::env::var("JOURNAL_STREAM").ok()?;
        let stat = nix::sys::stat::fstat(std::io::stderr()).ok()?;
        if stream != format!("{}:{}", stat.st_dev, stat.st_ino) {
            return None;
        }
        let pid = std::process::id().to_string();
        let layer = |error| {
            let mappings = PriorityMappings {
                error,
                warn: Priority::Warning,
                info: Priority::Informational,
                debug: Priority::Debug,
                trace: Priority::Debug,
            };
            tracing_journald::layer().ok().map(|layer| {
                layer
                    .with_field_prefix(None)
                    .with_syslog_identifier("chronyd".to_owned())
                    .with_custom_fields([("SYSLOG_FACILITY", DAEMON), ("SYSLOG_PID", pid.as_str())])
                    .with_priority_mappings(mappings)
            })
        };
        Some(Self {
            normal: layer(Priority::Error)?,
            fatal: layer(Priority::Critical)?,
        })
    }
}

#[derive(Debug)]
struct State {
    destination: Destination,
    threshold: Severity,
}

/// The message log of this process. Until it is told otherwise it writes to stderr.
#[derive(Clone, Debug)]
pub struct MessageLog(Arc<Mutex<State>>);

impl MessageLog {
    /// Makes this the log of the process. To be called once, before anything is logged.
    #[must_use]
    pub fn install() -> Self {
        let log = Self::new();
        // Fails only if there is one already; then this one stays silent.
        let _ =
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Sink(log.clone())));
        log
    }

    fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            destination: Destination::Stderr,
            threshold: Severity::Info,
        })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Messages below `threshold` are not logged.
    pub fn set_threshold(&self, threshold: Severity) {
        self.with(|state| state.threshold = threshold);
    }

    /// Logs to a file from now on (`-l`).
    ///
    /// # Errors
    /// The file can't be opened; the destination is then unchanged.
    pub fn to_file(&self, path: &str) -> Result<(), files::FileError> {
        let file = files::append(path, 0o640)?;
        self.with(|state| {
            state.destination = Destination::File {
                path: path.to_owned(),
                file,
            }
        });
        Ok(())
    }

    /// Logs to the system log from now on; to the journal if stderr leads there.
    pub fn to_system_log(&self) {
        let destination = Journal::find().map_or_else(
            || {
                syslog::open();
                Destination::Syslog
            },
            |journal| Destination::Journal(Box::new(journal)),
        );
        self.with(|state| state.destination = destination);
    }

    /// `cyclelogs`: opens the file of `-l` again if nothing exists at its path; if that fails, the old one
    /// stays in use.
    pub fn cycle(&self) {
        let gone = self.with(|state| match &state.destination {
            Destination::File { path, .. } if std::fs::symlink_metadata(path).is_err() => Some(path.clone()),
            _ => None,
        });
        if let Some(error) = gone.and_then(|path| self.to_file(&path).err()) {
            super::error(error);
        }
    }
}

impl State {
    fn line(text: &str) -> String {
        let date = utc(clock::realtime().sec()).message();
        format!("{date} {text}\n")
    }

    fn write(&mut self, severity: Severity, text: &str) {
        match &mut self.destination {
            // There is nowhere to report a failure to.
            Destination::Stderr => drop(std::io::stderr().write_all(Self::line(text).as_bytes())),
            Destination::File { file, .. } => drop(file.write_all(Self::line(text).as_bytes())),
            Destination::Syslog => {
                let priority = match severity {
                    Severity::Info => syslog::Priority::Info,
                    Severity::Warning => syslog::Priority::Warning,
                    Severity::Error => syslog::Priority::Error,
                    Severity::Fatal => syslog::Priority::Critical,
                };
                syslog::write(priority, text);
                if severity == Severity::Fatal {
                    let _ = writeln!(std::io::stderr(), "{text}");
                }
            }
            Destination::Journal(_) => {}
        }
    }
}

/// Takes our messages out of `tracing`.
#[derive(Debug)]
struct Sink(MessageLog);

impl<S> Layer<S> for Sink
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let severity = match (event.metadata().target(), *event.metadata().level()) {
            (FATAL, _) => Severity::Fatal,
            (TARGET, Level::ERROR) => Severity::Error,
            (TARGET, Level::WARN) => Severity::Warning,
            (TARGET, Level::INFO) => Severity::Info,
            _ => return,
        };
        self.0.with(|state| {
            if severity < state.threshold {
                return;
            }
            if let Destination::Journal(journal) = &state.destination {
                let layer = if severity == Severity::Fatal {
                    &journal.fatal
                } else {
                    &journal.normal
                };
                layer.on_event(event, context);
            } else {
                let mut text = Text(String::new());
                event.record(&mut text);
                state.write(severity, &text.0);
            }
        });
    }
}

/// The text of an event.
struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_lines_with_time_and_threshold() {
        let path = std::env::temp_dir().join(format!("truechimer-message-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let log = MessageLog::new();
        log.to_file(path).unwrap();
        log.set_threshold(Severity::Warning);
        let subscriber = tracing_subscriber::registry().with(Sink(log.clone()));
        tracing::subscriber::with_default(subscriber, || {
            super::super::info("not this");
            super::super::warning("careful");
            super::super::log(Severity::Fatal, "the end");
            super::super::error("é".repeat(super::super::MAX_LENGTH));
            std::fs::rename(path, format!("{path}.1")).unwrap();
            log.cycle();
            super::super::error("after the rotation");
        });
        let old = std::fs::read_to_string(format!("{path}.1")).unwrap();
        let lines: Vec<&str> = old.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(&lines[0][20..], " careful");
        assert!(lines[0].as_bytes()[10] == b'T' && lines[0].as_bytes()[19] == b'Z');
        assert_eq!(&lines[1][20..], " Fatal error : the end");
        assert_eq!(lines[2].len(), 21 + super::super::MAX_LENGTH - 1);
        let new = std::fs::read_to_string(path).unwrap();
        assert!(new.ends_with("Z after the rotation\n") && new.lines().count() == 1);
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(format!("{path}.1")).unwrap();
    }
}
