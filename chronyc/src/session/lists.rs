//! Reports that take several requests: one for each source, or for a part of the clients.

use super::{Failed, Named, Session};
use crate::command::{ClientsOptions, Listing};
use crate::report;
use truechimer_engine::wire::command::{
    Address, MAX_CLIENTS, Reply, Request, SourceMode, SourceReport, ref_id_text,
};

/// True if a source is left out because it has no address yet.
fn hidden(address: Address, listing: Listing) -> bool {
    matches!(address, Address::Id(_)) && !listing.all
}

/// True for sources that are asked over the network.
pub(super) const fn polled(mode: SourceMode) -> bool {
    matches!(mode, SourceMode::Client | SourceMode::Peer)
}

impl Session {
    pub(super) fn sources(&mut self, listing: Listing) -> Result<(), Failed> {
        let count = self.count()?;
        self.print(&report::sources_header(listing.verbose, self.style));
        for index in 0..count {
            let s = self.source(index)?;
            if hidden(s.address, listing) {
                continue;
            }
            let name = match s.mode {
                SourceMode::RefClock => ref_id_text(s.address.ref_id()),
                _ => self.name(Named::Source(s.address), self.name_limit()),
            };
            self.print(&report::source(&s, &name, self.style));
        }
        Ok(())
    }

    pub(super) fn source_stats(&mut self, listing: Listing) -> Result<(), Failed> {
        let count = self.count()?;
        self.print(&report::source_stats_header(listing.verbose, self.style));
        for index in 0..count {
            let Reply::SourceStats(s) = self.ask(&Request::SourceStats(index))? else {
                return Err(Failed);
            };
            if hidden(s.address, listing) {
                continue;
            }
            let name = self.source_name(s.address, s.ref_id, self.name_limit());
            self.print(&report::source_stats(&s, &name, self.style));
        }
        Ok(())
    }

    pub(super) fn select_data(&mut self, listing: Listing) -> Result<(), Failed> {
        let count = self.count()?;
        self.print(&report::select_header(listing.verbose, self.style));
        for index in 0..count {
            let Reply::Select(s) = self.ask(&Request::SelectData(index))? else {
                return Err(Failed);
            };
            if hidden(s.address, listing) {
                continue;
            }
            let name = self.source_name(s.address, s.ref_id, self.name_limit());
            self.print(&report::select(&s, &name, self.style));
        }
        Ok(())
    }

    pub(super) fn auth_data(&mut self, listing: Listing) -> Result<(), Failed> {
        let count = self.count()?;
        self.print(&report::auth_header(listing.verbose, self.style));
        for index in 0..count {
            let SourceReport { address, mode, .. } = self.source(index)?;
            if !polled(mode) || hidden(address, listing) {
                continue;
            }
            let Reply::Auth(a) = self.ask(&Request::AuthData(address))? else {
                return Err(Failed);
            };
            let name = self.name(Named::Source(address), self.name_limit());
            self.print(&report::auth(&a, &name, self.style));
        }
        Ok(())
    }

    pub(super) fn ntp_data(&mut self, address: Address) -> Result<(), Failed> {
        let Reply::NtpData(d) = self.ask(&Request::NtpData(address))? else {
            return Err(Failed);
        };
        self.print(&report::ntpdata(&d, self.style));
        Ok(())
    }

    pub(super) fn all_ntp_data(&mut self) -> Result<(), Failed> {
        let count = self.count()?;
        for index in 0..count {
            let s = self.source(index)?;
            if !polled(s.mode) || !matches!(s.address, Address::Ip(_)) {
                continue;
            }
            let Reply::NtpData(d) = self.ask(&Request::NtpData(s.address))? else {
                return Err(Failed);
            };
            let gap = self.style.captions("\n");
            self.print(&(gap + &report::ntpdata(&d, self.style)));
        }
        Ok(())
    }

    pub(super) fn clients(&mut self, options: ClientsOptions) -> Result<(), Failed> {
        let ClientsOptions { min_hits, nke, reset } = options;
        self.print(&report::clients_header(nke, self.style));
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
            for client in &page.clients {
                if client.address == Address::Unspecified {
                    continue;
                }
                let name = self.name(Named::Client(client.address), self.name_limit());
                self.print(&report::client(client, &name, nke, self.style));
            }
            // A table that does not move on would keep us here for ever.
            if page.next >= page.indices || page.clients.len() < MAX_CLIENTS || page.next <= first {
                return Ok(());
            }
            first = page.next;
        }
    }
}
