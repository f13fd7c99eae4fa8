//! What directives mean: repetition, defaults, values (`spec/config.md` sections 1.4, 5).

use super::{config, load_text};
use crate::config::{
    AddressFamily, CommandSocket, Config, LeapMode, LocalMode, MakeStep, OpenCommands, Options, RateLimit,
    RefclockConfig, RxFilter, ServerThreads, SourceConfig, SourceKind, Subnet, TempComp, unsupported,
};
use std::net::IpAddr;

#[test]
fn defaults() {
    assert_eq!(config("# nothing\n"), Config::default());
}

#[test]
fn sources() {
    let read = config(
        "server a minpoll -3 maxpoll +5 iburst key 7 version 3 port 4294967296 extfield F324 ipv4 ipv6 offline\n\
         pool b maxsources 9 prefer NOSELECT minpoll 4maxpoll 6 offset .5trust key -1\n",
    );
    let a = SourceConfig {
        minpoll: -3,
        maxpoll: 5,
        iburst: true,
        key: 7,
        version: 3,
        port: 0,
        net_correction: true,
        family: AddressFamily::V6,
        online: false,
        ..SourceConfig::new(SourceKind::Server, "a")
    };
    let mut b = SourceConfig {
        max_sources: 9,
        minpoll: 4,
        maxpoll: 6,
        offset: 0.5,
        key: u32::MAX,
        ..SourceConfig::new(SourceKind::Pool, "b")
    };
    (b.select.prefer, b.select.noselect, b.select.trust) = (true, true, true);
    assert_eq!(read.sources, [a, b]);
}

#[test]
fn reference_clocks() {
    let read =
        config("refclock SHM 0:perm=0644 refid GPS poll 2dpoll -3 lock NMEA rate 5 stratum 3 tai OPTIONAL\n");
    let clock = RefclockConfig {
        refid: 0x4750_5300,
        lock: 0x4e4d_4541,
        poll: 2,
        driver_poll: -3,
        rate: 5,
        stratum: 3,
        tai: true,
        optional: true,
        ..RefclockConfig::new("SHM", "0:perm=0644")
    };
    assert_eq!(read.refclocks, [clock]);
}

#[test]
fn the_last_of_a_single_value_counts() {
    let read = config(
        "port 1\nport 2\nmaxdistance 0x10\nleapsecmode SLEW\nmakestep 1 3x\nmakestep 0.5 -1\nuser a\n",
    );
    assert_eq!(read.network.port, Some(2));
    assert_eq!(read.selection.max_distance, 16.0);
    assert_eq!(read.clock.leap_mode, LeapMode::Slew);
    assert_eq!(
        read.clock.make_step,
        Some(MakeStep {
            threshold: 0.5,
            limit: -1
        })
    );
    assert_eq!(read.files.user.as_deref(), Some("a"));
}

#[test]
fn sticky_values() {
    let read = config("ratelimit interval 1 kod 2\nratelimit burst 16\ncmdratelimit\n");
    assert_eq!(
        read.network.rate_limit,
        Some(RateLimit {
            interval: 1,
            burst: 16,
            leak: 2,
            kod: 2
        })
    );
    assert_eq!(
        read.network.cmd_rate_limit,
        Some(RateLimit {
            interval: -4,
            burst: 8,
            leak: 2,
            kod: 0
        })
    );
    let read = config("driftfile /a interval 10\ndriftfile /b\n");
    assert_eq!(
        (read.files.drift_file.as_deref(), read.files.drift_interval),
        (Some("/b"), 10)
    );
}

#[test]
fn local_starts_anew() {
    let local = config("local stratum 5 orphan\n").network.local;
    let orphan = LocalMode {
        stratum: 5,
        orphan: true,
        distance: 1.0,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 300.0,
    };
    assert_eq!(local, Some(orphan));
    let local = config("local stratum 5 orphan\nlocal waitunsynced -2\n")
        .network
        .local;
    assert_eq!(
        local,
        Some(LocalMode {
            stratum: 10,
            orphan: false,
            wait_unsynced: 0.0,
            ..orphan
        })
    );
}

#[test]
fn lists() {
    let read = config(
        "ntsaeads 15\nntsaeads\nopencommands Tracking\nopencommands sources\nlog tracking rtc\nlog selection\n\
         sourcedir a b\nsourcedir c\nntstrustedcerts 1x /a\nntstrustedcerts /b\nntsservercert c\n",
    );
    assert!(read.network.nts.aeads.is_empty());
    assert_eq!(
        read.network.open_commands,
        OpenCommands {
            sources: true,
            ..OpenCommands::NONE
        }
    );
    let logs = read.files.logs;
    assert!(logs.tracking && logs.rtc && logs.selection && !logs.measurements);
    assert_eq!(
        read.source_dirs,
        [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]]
    );
    assert_eq!(
        read.network.nts.trusted_certs,
        [(1, "/a".to_owned()), (0, "/b".to_owned())]
    );
}

#[test]
fn access_rules_stay_in_order() {
    let rules = config("allow\ndeny all 10/8\nallow localhost\ncmdallow ::1/64\n").network;
    let ten = Subnet::Net(IpAddr::from([10, 0, 0, 0]), 8);
    let local = Subnet::Net(IpAddr::from([127, 0, 0, 1]), 32);
    let seen: Vec<_> = rules
        .access
        .iter()
        .map(|rule| (rule.allow, rule.all, rule.subnet))
        .collect();
    assert_eq!(
        seen,
        [
            (true, false, Subnet::Any),
            (false, true, ten),
            (true, false, local)
        ]
    );
    assert_eq!(rules.cmd_access.len(), 1);
}

#[test]
fn addresses_by_family() {
    let network = config(
        "bindaddress 1.2.3.4\nbindaddress ::1\nbindaddress 1.2.3.5\nbindcmdaddress /run/x\nbindcmdaddress ::\n\
         broadcast 30s 192.168.1.255 124x\n",
    )
    .network;
    assert_eq!(network.bind_v4, Some([1, 2, 3, 5].into()));
    assert!(network.bind_v6.is_some_and(|address| address.is_loopback()));
    assert_eq!(network.command_socket, CommandSocket::Path("/run/x".to_owned()));
    assert!(network.bind_cmd_v6.is_some() && network.bind_cmd_v4.is_none());
    let sent = network
        .broadcasts
        .first()
        .map(|b| (b.interval, b.address, b.port));
    assert_eq!(sent, Some((30, IpAddr::from([192, 168, 1, 255]), 124)));
    assert_eq!(
        config("bindcmdaddress /\n").network.command_socket,
        CommandSocket::Disabled
    );
}

#[test]
fn clock_directives() {
    let clock =
        config("tempcomp /a 30x /b\nsmoothtime 400 0.01 LeapOnly\nfallbackdrift 16 19x\nmaxchange 1 2 3x\n")
            .clock;
    let points = TempComp::Points {
        file: "/a".to_owned(),
        interval: 30.0,
        points: "/b".to_owned(),
    };
    assert_eq!(clock.temp_comp, Some(points));
    assert_eq!(
        clock.smooth_time.map(|s| (s.max_freq, s.max_wander, s.leap_only)),
        Some((400.0, 0.01, true))
    );
    let smooth = config("smoothtime 400 0.01x\n").clock.smooth_time;
    assert_eq!(smooth.map(|s| (s.max_wander, s.leap_only)), Some((0.01, false)));
    assert_eq!(clock.fallback_drift.map(|f| (f.min, f.max)), Some((16, 19)));
    assert_eq!(
        clock.max_change.map(|m| (m.offset, m.start, m.ignore)),
        Some((1.0, 2, 3))
    );
    let clock = config("tempcomp /a 30 26.0 0.0 0.000183 0.0\n").clock;
    let polynomial = TempComp::Polynomial {
        file: "/a".to_owned(),
        interval: 30.0,
        t0: 26.0,
        k: [0.0, 0.000183, 0.0],
    };
    assert_eq!(clock.temp_comp, Some(polynomial));
}

#[test]
fn hardware_timestamps() {
    let stamps = config("hwtimestamp * rxfilter PTP minpoll 3maxpoll 4 nocrossts txcomp 1e-9\n")
        .network
        .hw_timestamps;
    let seen: Vec<_> = stamps
        .iter()
        .map(|t| (t.interface.as_str(), t.rx_filter, t.minpoll, t.maxpoll))
        .collect();
    assert_eq!(seen, [("*", RxFilter::Ptp, 3, Some(4))]);
    assert!(
        stamps
            .iter()
            .all(|t| t.no_cross_timestamp && t.tx_comp == 1e-9 && t.max_samples == 16)
    );
}

#[test]
fn initstepslew_and_restart() {
    let text = "initstepslew 10abc 127.0.0.1 localhost foo.invalid\nmakestep 1 3\n";
    let first = load_text(text, Options::default());
    let local = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(first.config.init_step_slew, Some((10.0, vec![local, local])));
    assert_eq!(first.warnings.len(), 1);
    let again = load_text(
        format!("{text}initstepslew\n"),
        Options {
            restarted: true,
            ..Options::default()
        },
    );
    assert_eq!(
        (again.error, again.warnings.len(), again.config.init_step_slew),
        (None, 0, None)
    );
    assert_eq!(
        again.config.clock.make_step,
        Some(MakeStep {
            threshold: 1.0,
            limit: 0
        })
    );
    let always = load_text(
        "makestep 1 -1",
        Options {
            restarted: true,
            ..Options::default()
        },
    );
    assert_eq!(
        always.config.clock.make_step,
        Some(MakeStep {
            threshold: 1.0,
            limit: -1
        })
    );
}

#[test]
fn threads_that_serve() {
    let threads = |text: &str| config(text).network.server_threads;
    assert_eq!(threads(""), ServerThreads::Count(1));
    assert_eq!(threads("serverthreads 8"), ServerThreads::Count(8));
    assert_eq!(threads("ServerThreads Auto"), ServerThreads::Auto);
    let workers = |threads: ServerThreads, cores| threads.resolved(cores).workers();
    assert_eq!(
        [0, 1, 2, 64, 1000].map(|cores| workers(ServerThreads::Auto, cores)),
        [0, 0, 2, 64, 64]
    );
    assert_eq!(
        [1, 2, 64].map(|n| workers(ServerThreads::Count(n), 4)),
        [0, 2, 64]
    );
    assert_eq!(ServerThreads::Auto.workers(), 0);
}

#[test]
fn missing_features_are_named() {
    let refused = |text: &str| {
        unsupported(&config(text))
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refused("refclock SHM 0\n"),
        ["refclock is not supported by this build"]
    );
    assert!(
        refused("server a iburst\nmakestep 1 3\nrtcsync\nntsdumpdir /a\nntsport 1\nrtcdevice /b\n")
            .is_empty()
    );
}
