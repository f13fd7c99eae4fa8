//! The system clock, leap seconds, temperature, real-time clock (sections 5.3, 5.9).

use super::{Action, Table};
use crate::config::error::Fault;
use crate::config::line::Line;
use crate::config::{
    Config, FallbackDrift, LeapMode, MailOnChange, MakeStep, MaxChange, SmoothTime, TempComp,
};

pub(super) const TABLE: &Table = &[
    (
        "clockprecision",
        Action::Set(|line, config| line.double().map(|x| config.clock.precision = x)),
    ),
    (
        "corrtimeratio",
        Action::Set(|line, config| line.double().map(|x| config.clock.corr_time_ratio = x)),
    ),
    (
        "maxclockerror",
        Action::Set(|line, config| line.double().map(|x| config.clock.max_clock_error = x)),
    ),
    (
        "maxdrift",
        Action::Set(|line, config| line.double().map(|x| config.clock.max_drift = x)),
    ),
    (
        "maxslewrate",
        Action::Set(|line, config| line.double().map(|x| config.clock.max_slew_rate = x)),
    ),
    (
        "maxupdateskew",
        Action::Set(|line, config| line.double().map(|x| config.clock.max_update_skew = x)),
    ),
    ("makestep", Action::Set(makestep)),
    ("maxchange", Action::Set(maxchange)),
    ("fallbackdrift", Action::Set(fallbackdrift)),
    (
        "leapsecmode",
        Action::Set(|line, config| line.keyword(LEAP_MODES).map(|mode| config.clock.leap_mode = mode)),
    ),
    (
        "leapsectz",
        Action::Set(|line, config| line.string().map(|x| config.clock.leap_tz = Some(x))),
    ),
    (
        "leapseclist",
        Action::Set(|line, config| line.string().map(|x| config.clock.leap_list = Some(x))),
    ),
    (
        "logchange",
        Action::Set(|line, config| line.double().map(|x| config.clock.log_change = x)),
    ),
    ("mailonchange", Action::Set(mailonchange)),
    (
        "manual",
        Action::Set(|line, config| line.nothing().map(|()| config.clock.manual = true)),
    ),
    ("smoothtime", Action::Set(smoothtime)),
    ("tempcomp", Action::Set(tempcomp)),
    (
        "rtcsync",
        Action::Set(|line, config| line.nothing().map(|()| config.clock.rtc_sync = true)),
    ),
    (
        "rtcfile",
        Action::Set(|line, config| line.string().map(|x| config.clock.rtc_file = Some(x))),
    ),
    (
        "rtcdevice",
        Action::Set(|line, config| line.string().map(|x| config.clock.rtc_device = x)),
    ),
    (
        "rtcautotrim",
        Action::Set(|line, config| line.double().map(|x| config.clock.rtc_auto_trim = x)),
    ),
    (
        "rtconutc",
        Action::Set(|line, config| line.nothing().map(|()| config.clock.rtc_on_utc = true)),
    ),
    (
        "hwclockfile",
        Action::Set(|line, config| line.string().map(|x| config.clock.hwclock_file = Some(x))),
    ),
];

const LEAP_MODES: &[(&str, LeapMode)] = &[
    ("system", LeapMode::System),
    ("step", LeapMode::Step),
    ("slew", LeapMode::Slew),
    ("ignore", LeapMode::Ignore),
];

fn makestep(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(2..=2)?;
    let (threshold, limit) = (line.next_double()?, line.next_c_int()?);
    config.clock.make_step = Some(MakeStep { threshold, limit });
    Ok(())
}

fn maxchange(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(3..=3)?;
    let (offset, start, ignore) = (line.next_double()?, line.next_c_int()?, line.next_c_int()?);
    config.clock.max_change = Some(MaxChange {
        offset,
        start,
        ignore,
    });
    Ok(())
}

fn fallbackdrift(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(2..=2)?;
    let (min, max) = (line.next_c_int()?, line.next_c_int()?);
    config.clock.fallback_drift = Some(FallbackDrift { min, max });
    Ok(())
}

fn mailonchange(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(2..=2)?;
    let user = line.word().unwrap_or("").to_owned();
    let threshold = line.next_double()?;
    config.clock.mail_on_change = Some(MailOnChange { user, threshold });
    Ok(())
}

fn smoothtime(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(2..=3)?;
    let with_word = line.arguments(3..=3).is_ok();
    let (max_freq, max_wander) = (line.next_double()?, line.next_double()?);
    if with_word {
        line.skip_word();
        if !line
            .word()
            .is_some_and(|word| word.eq_ignore_ascii_case("leaponly"))
        {
            return Err(line.misspelt(vec!["leaponly"]));
        }
    }
    config.clock.smooth_time = Some(SmoothTime {
        max_freq,
        max_wander,
        leap_only: with_word,
    });
    Ok(())
}

fn tempcomp(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let points = line.arguments(3..=3).is_ok();
    if !points {
        line.arguments(6..=6)?;
    }
    let file = line.word().unwrap_or("").to_owned();
    let interval = line.next_double()?;
    config.clock.temp_comp = Some(if points {
        line.skip_word();
        TempComp::Points {
            file,
            interval,
            points: line.word().unwrap_or("").to_owned(),
        }
    } else {
        let t0 = line.next_double()?;
        let k = [line.next_double()?, line.next_double()?, line.next_double()?];
        TempComp::Polynomial {
            file,
            interval,
            t0,
            k,
        }
    });
    Ok(())
}
