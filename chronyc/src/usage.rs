//! Texts about the program itself (`spec/chronyc.md` sections 1 and 1.5).

use crate::paths;

/// The version line of chrony that programs look for, and who we are.
pub(crate) const VERSION: &str = concat!(
    "chronyc (chrony) version 4.9 (+READLINE +SECHASH +IPV6 -DEBUG)\n",
    "truechimer ",
    env!("CARGO_PKG_VERSION"),
    ", a time daemon compatible with chrony\n"
);

/// What an interactive session begins with.
pub(crate) const BANNER: &str = concat!(
    "chrony version 4.9\n",
    "truechimer ",
    env!("CARGO_PKG_VERSION"),
    ", a time daemon compatible with chrony.\n",
    "Licensed under MIT or Apache-2.0, at your choice.\n",
    "There is no warranty.\n",
    "`help` lists the commands.\n",
);

/// `--help`
pub(crate) fn usage(program: &str) -> String {
    let (servers, port, user) = (paths::SERVERS, paths::PORT, paths::USER);
    format!(
        "Usage: {program} [OPTION]... [COMMAND]...

Options:
  -4\t\tUse IPv4 addresses only
  -6\t\tUse IPv6 addresses only
  -n\t\tDon't look up names of addresses
  -N\t\tPrint names of sources as configured
  -c\t\tPrint comma-separated values
  -j\t\tPrint JSON
  -e\t\tEnd each response with a line of one dot
  -m\t\tTake each argument as a command
  -h HOST\tAsk this server ({servers})
  -p PORT\tUse this UDP port ({port})
  -u USER\tBecome this user when started by root ({user})
  -w\t\tEnable wide output
  -v, --version\tPrint version and exit
      --help\tPrint this text and exit
"
    )
}

/// Column where descriptions start.
const COLUMN: usize = 28;

/// Titles, and commands with what they do.
const HELP: &[(&str, &[(&str, &str)])] = &[
    (
        "System clock:",
        &[
            ("tracking", "Show state of the system clock"),
            ("makestep", "Step the clock now by what is left to correct"),
            (
                "makestep <threshold> <updates>",
                "Configure stepping of the clock",
            ),
            ("maxupdateskew <skew>", "Limit skew of frequency updates"),
            (
                "waitsync [<tries> [<correction> [<skew> [<interval>]]]]",
                "Wait until the clock is synchronised",
            ),
        ],
    ),
    (
        "Time sources:",
        &[
            ("sources [-a] [-v]", "Show sources"),
            ("sourcestats [-a] [-v]", "Show statistics of measurements"),
            ("selectdata [-a] [-v]", "Show how sources were selected"),
            (
                "selectopts <address|refid> <+|-options>",
                "Change selection options",
            ),
            ("reselect", "Select the source anew"),
            ("reselectdist <dist>", "Set distance for reselection"),
            (
                "offset <address|refid> <offset>",
                "Set correction of a source's offset",
            ),
        ],
    ),
    (
        "NTP sources:",
        &[
            ("activity", "Count NTP sources online and offline"),
            ("authdata [-a] [-v]", "Show authentication"),
            ("ntpdata [<address>]", "Show last valid measurement"),
            ("add server <name> [options]", "Add server"),
            ("add pool <name> [options]", "Add pool of servers"),
            ("add peer <name> [options]", "Add peer"),
            ("delete <address>", "Remove source"),
            (
                "burst <good>/<max> [[<mask>/]<address>]",
                "Start rapid measurements",
            ),
            ("maxdelay <address> <delay>", "Set maximum delay"),
            (
                "maxdelayratio <address> <ratio>",
                "Set maximum ratio of delay to minimum",
            ),
            (
                "maxdelaydevratio <address> <ratio>",
                "Set maximum ratio of delay to deviation",
            ),
            ("minpoll <address> <poll>", "Set minimum polling interval"),
            ("maxpoll <address> <poll>", "Set maximum polling interval"),
            ("minstratum <address> <stratum>", "Set minimum stratum"),
            ("offline [[<mask>/]<address>]", "Stop polling sources"),
            ("online [[<mask>/]<address>]", "Start polling sources"),
            ("onoffline", "Start or stop polling, as the network is"),
            ("polltarget <address> <target>", "Set wanted number of samples"),
            ("refresh", "Look up names of sources again"),
            ("reload sources", "Read *.sources files again"),
            ("sourcename <address>", "Show name as configured"),
        ],
    ),
    (
        "Manual time input:",
        &[
            ("manual off|on|reset", "Disable, enable or reset settime"),
            ("manual list", "Show times entered"),
            ("manual delete <index>", "Remove time entered"),
            ("settime <time>", "Enter time, such as 16:30:05 or"),
            ("", "Sep 25, 2015 16:30:05"),
        ],
    ),
    (
        "NTP access:",
        &[
            ("accheck <address>", "Check whether address is allowed"),
            ("clients [-p <packets>] [-k] [-r]", "Show clients of the server"),
            ("serverstats", "Show statistics of the server"),
            ("allow [<subnet>]", "Allow subnet"),
            ("allow all [<subnet>]", "Allow subnet and all its parts"),
            ("deny [<subnet>]", "Deny subnet"),
            ("deny all [<subnet>]", "Deny subnet and all its parts"),
            ("local [options]", "Serve time without synchronisation"),
            ("local off", "Serve time with synchronisation only"),
            ("smoothtime reset|activate", "Reset or activate time smoothing"),
            ("smoothing", "Show time smoothing"),
        ],
    ),
    (
        "Monitoring access:",
        &[
            ("cmdaccheck <address>", "Check whether address is allowed"),
            ("cmdallow [<subnet>]", "Allow subnet"),
            ("cmdallow all [<subnet>]", "Allow subnet and all its parts"),
            ("cmddeny [<subnet>]", "Deny subnet"),
            ("cmddeny all [<subnet>]", "Deny subnet and all its parts"),
        ],
    ),
    (
        "Real-time clock:",
        &[
            ("rtcdata", "Show real-time clock"),
            ("trimrtc", "Set real-time clock to system time"),
            ("writertc", "Save parameters of real-time clock"),
        ],
    ),
    (
        "Other daemon commands:",
        &[
            ("cyclelogs", "Close log files and open them again"),
            ("dump", "Save measurements, NTS keys and cookies"),
            ("rekey", "Read keys again"),
            ("reset sources", "Drop all measurements"),
            ("shutdown", "End the daemon"),
        ],
    ),
    (
        "Client commands:",
        &[
            (
                "health [--max-offset <time>] [--max-stratum <n>] [--min-sources <n>]",
                "Fail unless the clock is well",
            ),
            (
                "watch [--interval <time>] [--count <n>]",
                "Show tracking and sources again and again",
            ),
            ("dns -n|+n", "Show addresses or names of hosts"),
            ("dns -4|-6|-46", "Look up IPv4, IPv6 or both addresses"),
            (
                "timeout <milliseconds>",
                "Set time to wait for the first response",
            ),
            ("retries <retries>", "Set number of repeated requests"),
            ("keygen [<id> [<type> [<bits>]]]", "Make key for the key file"),
            ("exit|quit", "End the program"),
            ("help", "Show this text"),
        ],
    ),
];

/// `help`
pub(crate) fn help() -> String {
    let mut out = String::new();
    for (title, commands) in HELP {
        out.push_str(&format!("{title:COLUMN$}\n"));
        for (form, text) in *commands {
            if form.len() >= COLUMN {
                out.push_str(&format!("{form}\n{:COLUMN$}{text}\n", ""));
            } else {
                out.push_str(&format!("{form:COLUMN$}{text}\n"));
            }
        }
        out.push_str(&format!("{:COLUMN$}\n", ""));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_two_columns() {
        let text = help();
        assert!(text.starts_with("System clock:               \ntracking                    Show"));
        assert!(text.contains("\nmakestep <threshold> <updates>\n                            Configure"));
        assert!(text.lines().all(|line| line.len() < 80));
    }

    #[test]
    fn the_first_line_of_the_version_is_chronys() {
        assert!(VERSION.starts_with("chronyc (chrony) version 4.9 (+READLINE +SECHASH +IPV6 -DEBUG)\n"));
    }
}
