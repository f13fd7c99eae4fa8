//! The files that a running daemon may need: those of the configuration, and what the C library reads on its own
//! (`spec/files-and-security.md` section 14).

use super::settings::Settings;
use crate::args::Args;
use crate::config_files::ConfigFiles;
use crate::privilege::Reach;
use std::path::{Path, PathBuf};
use truechimer_engine::config::{TempComp, source_paths};

/// Names of hosts and time zones, libraries that look names up, certificates, sensors; and where some systems
/// have these.
const SYSTEM: &[&str] = &[
    "/etc",
    "/gnu/store",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/proc",
    "/run",
    "/sys",
    "/usr",
    "/var/db",
    "/var/lib/ca-certificates",
    "/var/lib/libvirt/dnsmasq",
    "/var/lib/sss",
];

/// Often links to somewhere else.
const LINKS: &[&str] = &[
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
];

/// Variables that name files or directories of the C library and of TLS.
const VARIABLES: &[&str] = &["SSL_CERT_DIR", "SSL_CERT_FILE", "TZDIR"];

/// Kinds of devices that are clocks, and what everybody needs.
const DEVICES: &[&str] = &["null", "pps", "ptp", "rtc", "urandom"];

/// What this daemon may need from now on.
#[must_use]
pub(super) fn reach(args: &Args, settings: &Settings) -> Reach {
    let (files, clock, nts) = (
        &settings.config.files,
        &settings.config.clock,
        &settings.config.network.nts,
    );
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    let variables = VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    read.extend(variables.filter(|path| path.is_absolute()));
    let sensor = clock.temp_comp.as_ref().map(|compensation| match compensation {
        TempComp::Polynomial { file, .. } | TempComp::Points { file, .. } => file,
    });
    let single = [
        &files.key_file,
        &clock.leap_list,
        &clock.leap_tz,
        &clock.hwclock_file,
    ];
    let mut wanted: Vec<String> = single.into_iter().flatten().chain(sensor).cloned().collect();
    wanted.extend(LINKS.iter().map(ToString::to_string));
    wanted.extend(nts.server_certs.iter().chain(&nts.server_keys).cloned());
    wanted.extend(nts.trusted_certs.iter().map(|(_, path)| path.clone()));
    // Files that are there now may be links, those that will be are in the directory.
    let directories = settings.config.source_dirs.iter().flatten();
    wanted.extend(directories.map(|directory| format!("{directory}/*")));
    let mut search = ConfigFiles::new(args.family);
    wanted.extend(source_paths(&mut search, &settings.config.source_dirs));
    for path in &wanted {
        let path = Path::new(path);
        read.extend(around(path));
        read.extend(path.canonicalize().ok().and_then(|target| around(&target)));
    }

    let within = [&files.log_dir, &files.dump_dir, &nts.dump_dir];
    let mut write: Vec<PathBuf> = within.into_iter().flatten().map(PathBuf::from).collect();
    let beside = [
        files.drift_file.as_deref(),
        clock.rtc_file.as_deref(),
        args.log_file.as_deref(),
        settings.pid_file.as_deref(),
        settings.commands.unix.as_deref(),
    ];
    // Sockets are removed in the end; devices are open already.
    let refclocks = settings.config.refclocks.iter();
    let sockets = refclocks.filter(|refclock| refclock.driver == "SOCK");
    let sockets = sockets.filter_map(|refclock| refclock.parameter.split(':').next());
    write.extend(beside.into_iter().flatten().chain(sockets).filter_map(directory));
    Reach {
        read,
        write,
        devices: devices(),
    }
}

/// The directory that a file is in, if there is one.
fn directory(path: &str) -> Option<PathBuf> {
    let parent = Path::new(path).parent()?;
    let here = parent.as_os_str().is_empty();
    Some(if here { ".".into() } else { parent.to_owned() }).filter(|parent| parent.is_dir())
}

/// What has to be readable for `path` to be, also when it is made or replaced later: the directory that it is
/// in, or that its directory will be in. A file of the root directory has to stay as it is.
fn around(path: &Path) -> Option<PathBuf> {
    if path.parent() == Some(Path::new("/")) && path.is_file() {
        return Some(path.to_owned());
    }
    let parents = path.ancestors().skip(1);
    let here = |parent: &Path| match parent.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => parent.to_owned(),
    };
    parents.map(here).find(|parent| parent.is_dir())
}

fn devices() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/dev") else {
        return Vec::new();
    };
    let is_ours = |name: &str| {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        DEVICES.contains(&kind)
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_ours)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_there_later_is_within_its_parent() {
        let around = |path: &str| around(Path::new(path));
        assert_eq!(around("/nonexistent/sources.d/*"), Some("/".into()));
        assert_eq!(around("/usr/nonexistent/sources.d/*"), Some("/usr".into()));
        assert_eq!(around("/etc/passwd"), Some("/etc".into()));
        assert_eq!(around("keys"), Some(".".into()));
        assert_eq!(directory("/etc/drift"), Some("/etc".into()));
        assert_eq!(directory("drift"), Some(".".into()));
        assert_eq!(directory("/nonexistent/drift"), None);
    }

    #[test]
    fn devices_are_clocks() {
        let devices = devices();
        assert!(devices.contains(&PathBuf::from("/dev/null")), "{devices:?}");
        assert!(!devices.contains(&PathBuf::from("/dev/zero")), "{devices:?}");
    }
}
