//! Messages of the server (`spec/ntp.md` section 5.2).

use super::Severity;
use std::fmt;
use std::net::IpAddr;

/// Messages about who may do what, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerEvent {
    /// A command changed an access list.
    Access {
        /// It is the list of the command port, not that of the NTP server.
        command: bool,
        /// Allow or deny.
        allow: bool,
        /// Rules inside of the subnet were removed.
        all: bool,
        /// Address and leading bits; none: every address.
        subnet: Option<(IpAddr, u32)>,
    },
    /// `ntpsigndsocket` is set.
    SigndEnabled,
    /// `noclientlog` with a rate limit.
    RateLimitWithoutLog,
}

impl ServerEvent {
    /// How serious it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Access { .. } | Self::SigndEnabled => Severity::Info,
            Self::RateLimitWithoutLog => Severity::Fatal,
        }
    }
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (command, allow, all, subnet) = match self {
            Self::Access {
                command,
                allow,
                all,
                subnet,
            } => (command, allow, all, subnet),
            Self::SigndEnabled => return f.write_str("MS-SNTP authentication enabled"),
            Self::RateLimitWithoutLog => {
                return f.write_str("Rate limiting cannot be enabled with noclientlog");
            }
        };
        let verb = if *allow { "Allowed" } else { "Denied" };
        let all = if *all { " all" } else { "" };
        let what = if *command { "command" } else { "NTP" };
        write!(f, "{verb}{all} {what} access from ")?;
        match subnet {
            None => f.write_str("any address"),
            Some((address, bits)) if *bits == if address.is_ipv4() { 32 } else { 128 } => {
                write!(f, "{address}")
            }
            Some((address, bits)) => write!(f, "{address}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_named() {
        let net = |bits| Some((IpAddr::from([10, 0, 0, 1]), bits));
        for (command, allow, all, subnet, text) in [
            (false, true, false, None, "Allowed NTP access from any address"),
            (
                false,
                false,
                true,
                net(8),
                "Denied all NTP access from 10.0.0.1/8",
            ),
            (true, true, false, net(32), "Allowed command access from 10.0.0.1"),
        ] {
            assert_eq!(
                ServerEvent::Access {
                    command,
                    allow,
                    all,
                    subnet
                }
                .to_string(),
                text
            );
        }
    }
}
