//! Carries commands out.

mod health;
mod lists;
mod values;
mod waiting;
mod watch;

use crate::command::{self, Action, Line};
use crate::keygen::keygen;
use crate::names::Names;
use crate::output::Style;
use crate::report;
use crate::report::json;
use crate::transport::Link;
use crate::{sys, usage};
use std::io::{self, Write};
use truechimer_engine::wire::command::{
    Address, Reply, ReplyCode, Request, SourceReport, Status, TrackingReport, ref_id_text,
};

/// Longest name of a client before it is cut to its column.
const MAX_CLIENT_NAME: usize = 49;

/// A request that failed; the reason has been printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Failed;

const BAD_REPLY: &str = "508 Bad reply from daemon";

/// What the daemon said.
#[derive(Debug)]
struct Answer {
    status: Status,
    /// If the reply is of the kind that belongs to the request.
    data: Option<Reply>,
}

/// One run of the client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) names: Names,
    pub(crate) style: Style,
    /// Reports as JSON.
    pub(crate) json: bool,
    /// A line with a dot after each response.
    pub(crate) dots: bool,
    /// `exit` was said.
    pub(crate) over: bool,
    /// Standard output has failed.
    broken: bool,
    /// What would have been printed, while it is kept.
    kept: Option<String>,
}

/// Whose name is wanted.
#[derive(Clone, Copy, Debug)]
enum Named {
    Source(Address),
    Client(Address),
}

impl Session {
    pub(crate) fn new(link: Link, names: Names, style: Style) -> Self {
        Self {
            link,
            names,
            style,
            json: false,
            dots: false,
            over: false,
            broken: false,
            kept: None,
        }
    }

    /// Carries a line out. True: it succeeded.
    pub(crate) fn run(&mut self, line: &str) -> bool {
        let ok = match command::parse(line, &self.names) {
            Line::Empty => return true,
            Line::Do(action) => self.act(action).is_ok(),
            Line::Bad(text) => {
                eprintln!("{text}");
                false
            }
            Line::BadSilent => false,
        };
        if self.dots {
            self.print(".\n");
        }
        let ok = self.flush() && ok;
        ok && !sys::interrupted()
    }

    pub(crate) fn print(&mut self, text: &str) {
        if let Some(kept) = &mut self.kept {
            kept.push_str(text);
            return;
        }
        // Each line at once: who reads a pipe sees what there is.
        self.broken |= io::stdout().write_all(text.as_bytes()).is_err();
    }

    /// False, with a message, if something could not be printed.
    fn flush(&mut self) -> bool {
        self.broken |= io::stdout().flush().is_err();
        if std::mem::take(&mut self.broken) {
            eprintln!("Could not write to stdout");
            return false;
        }
        true
    }

    /// Tells that a command failed.
    pub(super) fn complain(&mut self, text: &str) -> Failed {
        let line = if self.json {
            json::error(text)
        } else {
            format!("{text}\n")
        };
        self.print(&line);
        Failed
    }

    /// The data of a successful reply, which must be of the request's kind.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Reply, Failed> {
        let answer = self.exchange(request)?;
        if !answer.status.is_success() {
            return Err(self.complain(&answer.status.to_string()));
        }
        if answer.status != Status::Success && !self.json {
            self.print(&format!("{}\n", answer.status));
        }
        answer.data.ok_or_else(|| self.complain(BAD_REPLY))
    }

    fn exchange(&mut self, request: &Request) -> Result<Answer, Failed> {
        let Some((header, bytes)) = self.link.exchange(request) else {
            return Err(self.complain("506 Cannot talk to daemon"));
        };
        let code = ReplyCode::from_number(header.reply).filter(|code| *code == request.code().reply());
        Ok(Answer {
            status: header.status,
            data: code.and_then(|code| Reply::decode(code, &bytes)),
        })
    }

    /// Sends a request and prints its status; the data, if it succeeded.
    fn send(&mut self, request: &Request) -> Result<Reply, Failed> {
        let answer = self.exchange(request)?;
        let text = answer.status.to_string();
        if !answer.status.is_success() {
            return Err(self.complain(&text));
        }
        let line = if self.json {
            json::status(&text)
        } else {
            format!("{text}\n")
        };
        // A reply of another kind spoils the success, but only after it has been told.
        if !self.json || answer.data.is_some() {
            self.print(&line);
        }
        answer.data.ok_or_else(|| self.complain(BAD_REPLY))
    }

    fn act(&mut self, action: Action) -> Result<(), Failed> {
        let Some(action) = self.act_json(action)? else {
            return Ok(());
        };
        match action {
            Action::Send(request) => {
                self.send(&request)?;
            }
            Action::Health(limits) => self.health(&limits)?,
            Action::Watch(watch) => self.watch(&watch)?,
            Action::Tracking => self.tracking()?,
            Action::Sources(listing) => self.sources(listing)?,
            Action::SourceStats(listing) => self.source_stats(listing)?,
            Action::SelectData(listing) => self.select_data(listing)?,
            Action::AuthData(listing) => self.auth_data(listing)?,
            Action::NtpData(Some(address)) => self.ntp_data(address)?,
            Action::NtpData(None) => self.all_ntp_data()?,
            Action::Activity => {
                let Reply::Activity(a) = self.ask(&Request::Activity)? else {
                    return Err(Failed);
                };
                self.print(&report::activity(&a, self.style));
            }
            Action::Clients(options) => self.clients(options)?,
            Action::ServerStats => {
                let Reply::ServerStats(s) = self.ask(&Request::ServerStats)? else {
                    return Err(Failed);
                };
                self.print(&report::server_stats(&s, self.style));
            }
            Action::RtcData => {
                let Reply::Rtc(r) = self.ask(&Request::RtcReport)? else {
                    return Err(Failed);
                };
                self.print(&report::rtc(&r, self.style));
            }
            Action::Smoothing => {
                let Reply::Smoothing(s) = self.ask(&Request::Smoothing)? else {
                    return Err(Failed);
                };
                self.print(&report::smoothing(&s, self.style));
            }
            Action::ManualList => {
                let Reply::ManualList(samples) = self.ask(&Request::ManualList)? else {
                    return Err(Failed);
                };
                self.print(&report::manual_header(samples.len(), self.style));
                for (index, sample) in samples.iter().enumerate() {
                    self.print(&report::manual_sample(index, sample, self.style));
                }
            }
            Action::SourceName(address) => {
                let Reply::SourceName(name) = self.ask(&Request::SourceName(address))? else {
                    return Err(Failed);
                };
                let name = name.text().ok_or(Failed)?;
                self.print(&format!("{name}\n"));
            }
            Action::WaitSync(wait) => self.wait_sync(&wait)?,
            Action::SetTime(text) => self.set_time(&text)?,
            Action::Numeric(numeric) => self.names.numeric = numeric,
            Action::Family(family) => self.names.family = family,
            Action::Timeout(timeout) => self.link.timeout = timeout,
            Action::Retries(retries) => self.link.retries = retries,
            Action::Keygen(words) => match keygen(&words, &mut self.link) {
                Ok(line) => self.print(&line),
                Err(text) => {
                    eprintln!("{text}");
                    return Err(Failed);
                }
            },
            Action::Help => self.print(&usage::help()),
            Action::Quit => self.over = true,
            Action::Obsolete(text) => eprintln!("{text}"),
        }
        Ok(())
    }

    /// What a name column shows (`spec/chronyc.md` 5.7). `limit`: longest name from DNS.
    fn name(&mut self, who: Named, limit: usize) -> String {
        let (Named::Source(address) | Named::Client(address)) = who;
        if self.names.original && matches!(who, Named::Source(_)) {
            let name = match self.ask(&Request::SourceName(address)) {
                Ok(Reply::SourceName(name)) => name.text().map(str::to_owned),
                _ => None,
            };
            return name.unwrap_or_else(|| "?".to_owned());
        }
        if self.names.numeric || self.style.csv {
            return address.to_string();
        }
        let mut name = address
            .ip()
            .and_then(|ip| self.names.of(ip))
            .unwrap_or_else(|| address.to_string());
        if matches!(who, Named::Client(_)) {
            truncate(&mut name, MAX_CLIENT_NAME);
        }
        shorten(&mut name, limit);
        name
    }

    /// The name of a source that is a reference clock if it has no address.
    fn source_name(&mut self, address: Address, ref_id: u32, limit: usize) -> String {
        match address {
            Address::Unspecified => ref_id_text(ref_id),
            _ => self.name(Named::Source(address), limit),
        }
    }

    fn name_limit(&self) -> usize {
        self.style.name_width(report::NAME)
    }

    fn tracking(&mut self) -> Result<(), Failed> {
        let t = self.ask_tracking()?;
        let name = self.source_name(t.address, t.ref_id, usize::MAX);
        self.print(&report::tracking(&t, &name, self.style));
        Ok(())
    }

    fn ask_tracking(&mut self) -> Result<TrackingReport, Failed> {
        match self.ask(&Request::Tracking)? {
            Reply::Tracking(t) => Ok(t),
            _ => Err(Failed),
        }
    }

    fn count(&mut self) -> Result<u32, Failed> {
        match self.ask(&Request::NSources)? {
            Reply::NSources(n) => Ok(n),
            _ => Err(Failed),
        }
    }

    fn source(&mut self, index: u32) -> Result<SourceReport, Failed> {
        match self.ask(&Request::SourceData(index))? {
            Reply::Source(s) => Ok(s),
            _ => Err(Failed),
        }
    }
}

/// Makes a name fit into its column, and shows that.
fn shorten(name: &mut String, limit: usize) {
    if name.len() > limit {
        truncate(name, limit - 1);
        name.push('>');
    }
}

/// Cuts a text to so many bytes, at the end of a character.
fn truncate(text: &mut String, length: usize) {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::WIDE;

    #[test]
    fn long_names_are_cut_as_in_5_7() {
        let cut = |name: &str, limit| {
            let mut name = name.to_owned();
            shorten(&mut name, limit);
            name
        };
        let address = "2001:db8:1234:5678:9abc:def0:1234:5678";
        assert_eq!(cut(address, report::NAME), "2001:db8:1234:5678:9abc:>");
        assert_eq!(cut(&address[..25], report::NAME), &address[..25]);
        assert_eq!(cut(address, WIDE.name_width(report::NAME)), address);
    }
}
