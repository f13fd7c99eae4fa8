//! Reports as JSON: one value a command. What is no report is left to the common way.

use super::lists::polled;
use super::{Failed, Named, Session};
use crate::command::{Action, ClientsOptions, Listing};
use crate::output::json::{Object, array};
use crate::report::json;
use truechimer_engine::wire::command::{
    Address, MAX_CLIENTS, Reply, Request, SourceMode, SourceReport, ref_id_text,
};

impl Session {
    /// Carries out a report; gives back what is none, and everything without `-j`.
    pub(super) fn act_json(&mut self, action: Action) -> Result<Option<Action>, Failed> {
        if !self.json {
            return Ok(Some(action));
        }
        let value = match action {
            Action::Tracking => {
                let t = self.ask_tracking()?;
                let name = self.source_name(t.address, t.ref_id, usize::MAX);
                json::tracking(&t, &name)
            }
            Action::Sources(listing) => self.json_sources(listing)?,
            Action::SourceStats(listing) => self.each_source(listing, |session, index, _| {
                let Reply::SourceStats(s) = session.ask(&Request::SourceStats(index))? else {
                    return Err(Failed);
                };
                let name = session.source_name(s.address, s.ref_id, usize::MAX);
                Ok(Some(json::source_stats(&s, &name)))
            })?,
            Action::SelectData(listing) => self.each_source(listing, |session, index, _| {
                let Reply::Select(s) = session.ask(&Request::SelectData(index))? else {
                    return Err(Failed);
                };
                let name = session.source_name(s.address, s.ref_id, usize::MAX);
                Ok(Some(json::select(&s, &name)))
            })?,
            Action::AuthData(listing) => self.each_source(listing, |session, _, s| {
                if !polled(s.mode) {
                    return Ok(None);
                }
                let Reply::Auth(a) = session.ask(&Request::AuthData(s.address))? else {
                    return Err(Failed);
                };
                let name = session.name_of(s);
                Ok(Some(json::auth(&a, &name, s.address)))
            })?,
            Action::NtpData(Some(address)) => {
                let Reply::NtpData(d) = self.ask(&Request::NtpData(address))? else {
                    return Err(Failed);
                };
                json::ntpdata(&d)
            }
            Action::NtpData(None) => self.each_source(Listing::default(), |session, _, s| {
                if !polled(s.mode) || !matches!(s.address, Address::Ip(_)) {
                    return Ok(None);
                }
                let Reply::NtpData(d) = session.ask(&Request::NtpData(s.address))? else {
                    return Err(Failed);
                };
                Ok(Some(json::ntpdata(&d)))
            })?,
            Action::Activity => {
                let Reply::Activity(a) = self.ask(&Request::Activity)? else {
                    return Err(Failed);
                };
                json::activity(&a)
            }
            Action::Clients(options) => self.json_clients(options)?,
            Action::ServerStats => {
                let Reply::ServerStats(s) = self.ask(&Request::ServerStats)? else {
                    return Err(Failed);
                };
                json::server_stats(&s)
            }
            Action::RtcData => {
                let Reply::Rtc(r) = self.ask(&Request::RtcReport)? else {
                    return Err(Failed);
                };
                json::rtc(&r)
            }
            Action::Smoothing => {
                let Reply::Smoothing(s) = self.ask(&Request::Smoothing)? else {
                    return Err(Failed);
                };
                json::smoothing(&s)
            }
            Action::ManualList => {
                let Reply::ManualList(samples) = self.ask(&Request::ManualList)? else {
                    return Err(Failed);
                };
                array(&samples.iter().map(json::manual_sample).collect::<Vec<_>>())
            }
            Action::SourceName(address) => {
                let Reply::SourceName(name) = self.ask(&Request::SourceName(address))? else {
                    return Err(Failed);
                };
                Object::default().text("name", name.text().ok_or(Failed)?).end()
            }
            other => return Ok(Some(other)),
        };
        self.print(&(value + "\n"));
        Ok(None)
    }

    pub(super) fn json_sources(&mut self, listing: Listing) -> Result<String, Failed> {
        self.each_source(listing, |session, _, s| {
            let name = session.name_of(s);
            Ok(Some(json::source(s, &name)))
        })
    }

    /// An array with what `value` makes of each source.
    fn each_source(
        &mut self,
        listing: Listing,
        value: impl Fn(&mut Self, u32, &SourceReport) -> Result<Option<String>, Failed>,
    ) -> Result<String, Failed> {
        let mut values = Vec::new();
        for index in 0..self.count()? {
            let s = self.source(index)?;
            if listing.all || !matches!(s.address, Address::Id(_)) {
                values.extend(value(self, index, &s)?);
            }
        }
        Ok(array(&values))
    }

    fn name_of(&mut self, s: &SourceReport) -> String {
        match s.mode {
            SourceMode::RefClock => ref_id_text(s.address.ref_id()),
            _ => self.name(Named::Source(s.address), usize::MAX),
        }
    }

    fn json_clients(&mut self, options: ClientsOptions) -> Result<String, Failed> {
        let ClientsOptions { min_hits, reset, .. } = options;
        let mut values = Vec::new();
        let mut first = 0;
        loop {
            let request = Request::Clients {
                first,
                count: MAX_CLIENTS as u32,
                min_hits,
                reset,
            };
            let Reply::Clients(page) = self.ask(&request)? else {
                return Err(Failed);
            };
            for client in page.clients.iter().filter(|c| c.address != Address::Unspecified) {
                let name = self.name(Named::Client(client.address), usize::MAX);
                values.push(json::client(client, &name));
            }
            // A table that does not move on would keep us here for ever.
            if page.next >= page.indices || page.clients.len() < MAX_CLIENTS || page.next <= first {
                return Ok(array(&values));
            }
            first = page.next;
        }
    }
}
