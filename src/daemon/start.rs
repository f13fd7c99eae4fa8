//! From the configuration to the event loop, in the order of `spec/config.md` 7.1 (steps 8 to 32).

use super::event_loop::{Daemon, Ending};
use super::fork::Parent;
use super::leap_files::LeapFiles;
use super::notify::Notifier;
use super::pid_file::PidFile;
use super::reach::reach;
use super::rounds::Rounds;
use super::settings::Settings;
use super::{Fatal, dumps, keys};
use crate::args::{self, Args};
use crate::clock::{KernelClock, NullClock, SystemClock, measure_precision, read_drift};
use crate::config_files::ConfigFiles;
use crate::files;
use crate::logs::{self, LogFiles, MessageLog};
use crate::net::{self, CommandSockets, Hardware, Inherited, NtpSockets, Pool, Resolver, Signer};
use crate::privilege::{self, RunUser, create_directories};
use crate::sys::error::reason;
use crate::sys::filter::{Filter, Level};
use crate::sys::process::{allow_open_files, lock_memory, set_priority, unlimit_locked_memory};
use crate::sys::random::KernelRandom;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use truechimer_engine::config::{HwTimestamp, TempComp, source_files};
use truechimer_engine::engine::{Engine, EngineOptions, Mode};
use truechimer_engine::event::clock::ClockEvent;
use truechimer_engine::server::Steering;
use truechimer_engine::sync::reference::{DriftFile, Start};
use truechimer_engine::time::Mono;

/// Descriptors that the runtime opens until it takes signals, and one to spare.
const RUNTIME_DESCRIPTORS: usize = 8;

/// Longest file of points, bytes.
const MAX_POINTS: u64 = 1 << 20;
/// For all but worker threads: sockets of our own requests, commands, logs.
const OTHER_DESCRIPTORS: u64 = 64;

/// Starts and runs the daemon; gives its exit status.
pub(super) fn start(
    args: &Args,
    settings: &Settings,
    log: &MessageLog,
    inherited: Inherited,
    mut notifier: Notifier,
    parent: &mut Parent,
) -> Result<u8, Fatal> {
    let config = &settings.config;
    if args.set_from_rtc {
        return Err(Fatal::new("option -s is not supported by this build"));
    }
    let pid_path = settings.pid_file.as_deref();
    pid_path.map_or(Ok(()), PidFile::check)?;
    let explicit = args.user.as_deref().or(config.files.user.as_deref());
    let user = RunUser::find(explicit).map_err(Fatal::new)?;
    let unix = make_directories(settings, &user);
    let pid_file = pid_path.map(PidFile::write).transpose()?;
    let priority = if args.priority == 0 {
        config.files.sched_priority
    } else {
        args.priority
    };
    let mut clock = take_clock(args, config.clock.precision, config.clock.rtc_sync)?;
    let key_file = config.files.key_file.clone();
    let loaded_keys = key_file.as_deref().and_then(keys::load);
    let net_settings = net::Settings::new(&config.network, args.family, inherited);
    let commands = CommandSockets::open_udp(&settings.commands, &net_settings);
    let mut engine = new_engine(args, settings, &user, &mut clock)?;

    let enabled = |interface, config: &HwTimestamp| engine.add_hardware(interface, config);
    let hardware = Hardware::start(&config.network.hw_timestamps, enabled).map_err(Fatal::new)?;
    let log_files = LogFiles::new(
        config.files.log_dir.clone(),
        config.files.logs,
        config.files.log_banner,
    );
    let clock_time = clock.as_clock().now().mono;
    let mut daemon = Daemon {
        engine,
        clock,
        sockets: NtpSockets::new(net_settings, hardware, config.network.max_tx_buffers),
        commands,
        resolver: Resolver::default(),
        signer: config.network.signd_dir.as_deref().map(Signer::new),
        log_files,
        log: log.clone(),
        config: settings.config.clone(),
        family: args.family,
        publication: None,
        wakes: None,
        ending: None,
        leaps_read: clock_time,
        rounds: Rounds::default(),
        again: Vec::new(),
    };
    if let Some(keys) = loaded_keys {
        daemon.engine.set_keys(keys);
    }
    let workers = config.network.server_threads.workers();
    if workers > 0 && has_descriptors(workers) {
        let steering = Steering::new(workers, &mut KernelRandom::new());
        let pool = Pool::new(steering);
        let pool =
            pool.map_err(|error| Fatal(format!("Could not start server thread : {}", reason(&error))))?;
        daemon.sockets.share_with(pool);
    }
    let deferred = daemon.open_sockets()?;

    make_urgent(priority, args.lock_memory || config.files.lock_all)?;
    let network = &config.network;
    let device = network.bind_device.is_some() || network.bind_acq_device.is_some();
    let port = settings.port_of_later(unix.is_some());
    let keep = privilege::needed(args.control_clock, port, device);
    user.become_it(&keep).map_err(Fatal::new)?;
    if let Some(path) = &key_file {
        keys::check_access(path);
    }
    if nix::unistd::geteuid().is_root() {
        logs::warning("Running with root privileges");
    }
    let level = args.filter_level.unwrap_or(0);
    let filter = Filter::from_option(level);
    // A program that sends mail needs files that nobody can list. Without mail only `-F 0` takes the limit off.
    let limited = args.filter_level != Some(0) && config.clock.mail_on_change.is_none();
    if let Ok(Some(Filter {
        level: Level::Strict, ..
    })) = filter
    {
        daemon.resolver = Resolver::with_helper(limited).map_err(Fatal)?;
    }
    if limited {
        limit_files(args, settings);
    }
    for output in deferred {
        daemon.perform(output)?;
    }
    let filter = filter.map_err(Fatal::new)?;
    if filter.is_some() && config.clock.mail_on_change.is_some() {
        return Err(Fatal::new(
            "mailonchange directive cannot be used with -F enabled",
        ));
    }

    check_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal(format!("Could not start runtime : {error}")))?;
    let status = runtime.block_on(async {
        let mut events = daemon.enter_runtime()?;
        if let Some(path) = unix {
            daemon.commands.open_unix(&path);
            daemon.watch_commands()?;
        }
        if let Some(filter) = filter {
            filter.load().map_err(Fatal::new)?;
            logs::info(format_args!(
                "Loaded seccomp filter (level {})",
                level.unsigned_abs()
            ));
        }
        daemon.start_workers(priority)?;
        let deadline = args
            .timeout
            .map(|seconds| daemon.now().mono.plus(f64::from(seconds)));
        let deadline = deadline.unwrap_or(Mono(i64::MAX));
        let at_once = daemon.engine.is_ready();
        if !at_once {
            add_sources(args, &mut daemon)?;
            daemon.run(&mut events, deadline, true).await?;
        }
        if daemon.ending.is_none() {
            notifier.ready()?;
            if parent.ready().is_err() {
                daemon.ending = Some(Ending::Wanted);
            }
        }
        if at_once {
            add_sources(args, &mut daemon)?;
        }
        if at_once || daemon.ending.is_none() {
            daemon.run(&mut events, deadline, false).await?;
        }
        logs::info("chronyd exiting");
        // Whoever does not listen any more must not keep us from writing our files.
        let told = notifier.stopping();
        let status = daemon.shut_down()?;
        told.map(|()| status)
    });
    drop(runtime);
    let status = status?;
    if let Some(file) = pid_file {
        file.remove();
    }
    Ok(status)
}

/// The runtime panics if there are too few for it to take signals.
fn check_descriptors() -> Result<(), Fatal> {
    let first = UnixDatagram::unbound();
    let all = first.and_then(|first| {
        let others = (1..RUNTIME_DESCRIPTORS).map(|_| first.try_clone());
        others.collect::<io::Result<Vec<_>>>()
    });
    all.map(drop).map_err(|error| {
        let reason = reason(&error);
        Fatal(format!(
            "Could not start runtime : {reason} (ulimit -n is too low)"
        ))
    })
}

/// Makes the directories; gives the path of the Unix command socket if its directory is safe.
fn make_directories(settings: &Settings, user: &RunUser) -> Option<String> {
    let unix = settings.commands.unix.clone();
    let run = unix
        .as_deref()
        .and_then(|path| Path::new(path).parent())
        .and_then(Path::to_str);
    let files = &settings.config.files;
    let state = [
        &files.log_dir,
        &files.dump_dir,
        &settings.config.network.nts.dump_dir,
    ];
    let mut wanted: Vec<(&str, u32)> = run.into_iter().map(|path| (path, 0o770)).collect();
    wanted.extend(state.into_iter().flatten().map(|path| (path.as_str(), 0o750)));
    create_directories(&wanted, user);
    unix.filter(|path| CommandSockets::is_directory_safe(path, user))
}

fn take_clock(args: &Args, precision: f64, rtc_sync: bool) -> Result<SystemClock, Fatal> {
    let precision = measure_precision(precision);
    if !args.control_clock {
        logs::info(ClockEvent::ControlDisabled);
        return Ok(SystemClock::read_only(NullClock::new(precision)));
    }
    if privilege::clock_out_of_bounds() {
        logs::warning("CAP_SYS_TIME not present");
    }
    KernelClock::start(precision, rtc_sync)
        .map(SystemClock::controlled)
        .map_err(|error| {
            if let Some(advice) = privilege::clock_advice() {
                logs::error(advice);
            }
            Fatal::new(error)
        })
}

fn new_engine(
    args: &Args,
    settings: &Settings,
    user: &RunUser,
    clock: &mut SystemClock,
) -> Result<Engine, Fatal> {
    let config = &settings.config;
    let drift_path = config.files.drift_file.as_deref();
    // Whoever can write there must not make root open something else.
    let points_path = config.clock.temp_comp.as_ref().and_then(TempComp::points);
    let read = || {
        let drift = drift_path.and_then(read_drift);
        (
            drift,
            LeapFiles::read(&config.clock),
            points_path.map(read_points).transpose(),
        )
    };
    let (drift, leaps, points) = user.lend(read).map_err(Fatal::new)?;
    let points = points.map_err(Fatal)?;
    let start = Start {
        drift: drift_path.map(|name| DriftFile {
            name,
            text: drift.as_deref(),
        }),
        leap_list: leaps.list(&config.clock),
        leap_zone: leaps.zone(&config.clock),
        temp_points: points.as_deref(),
        restarted: args.restart,
    };
    let options = EngineOptions {
        mode: match args.mode {
            args::Mode::Normal => Mode::Normal,
            args::Mode::Set => Mode::UpdateOnce,
            args::Mode::Query => Mode::PrintOnce,
        },
        family: args.family,
    };
    Engine::new(
        config.clone(),
        &options,
        &start,
        Box::new(KernelRandom::new()),
        clock.as_clock(),
    )
    .map_err(Fatal::new)
}

/// The file of points of `tempcomp`.
fn read_points(path: &str) -> Result<String, String> {
    let bytes = files::read_start(path, MAX_POINTS);
    let bytes = bytes.map_err(|error| format!("Could not open {path} : {}", reason(&error)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// True if threads may open what they need: a mailbox each, and a socket for each family. Otherwise the main thread, which
/// would have too few left, serves alone.
fn has_descriptors(workers: usize) -> bool {
    let wanted = OTHER_DESCRIPTORS + 3 * workers as u64;
    let limit = allow_open_files(wanted).unwrap_or(0);
    if limit < wanted {
        logs::warning(format_args!(
            "serverthreads needs a limit of {wanted} open files, not {limit} (ulimit -n, LimitNOFILE=) : the main thread serves alone"
        ));
    }
    limit >= wanted
}

/// Real-time priority and locked memory; without them the daemon is only less exact.
fn make_urgent(priority: i32, lock: bool) -> Result<(), Fatal> {
    if !(0..=99).contains(&priority) {
        return Err(Fatal(format!("Bad scheduler priority: {priority}")));
    }
    if priority > 0 && set_priority(priority).is_err() {
        logs::error("pthread_setschedparam() failed");
    }
    if lock {
        if unlimit_locked_memory().is_err() {
            logs::error("setrlimit() failed");
        } else if lock_memory().is_err() {
            logs::error("mlockall() failed");
        }
    }
    Ok(())
}

/// Leaves within reach only the files that the configuration needs, where the kernel can do that. A mail program
/// would inherit the limits, and nobody knows what it needs.
fn limit_files(args: &Args, settings: &Settings) {
    if settings.config.clock.mail_on_change.is_some() {
        return;
    }
    if let Err(error) = reach(args, settings).enforce() {
        logs::warning(error);
    }
}

/// Sources of the configuration and of `sourcedir` files, with what is known about them from dump files.
fn add_sources(args: &Args, daemon: &mut Daemon) -> Result<(), Fatal> {
    let dump_dir = daemon.config.files.dump_dir.clone();
    if let Some(directory) = dump_dir.as_deref().filter(|_| args.reload_dumps) {
        daemon.engine.set_dumps(dumps::read(directory));
    }
    let mut files = ConfigFiles::new(args.family);
    let sources = source_files(&mut files, &daemon.config.source_dirs);
    let now = daemon.now();
    daemon.engine.start(now, daemon.clock.as_clock(), sources);
    daemon.work_off()?;
    if let Some(directory) = &dump_dir {
        dumps::remove_all(directory);
    }
    Ok(())
}
