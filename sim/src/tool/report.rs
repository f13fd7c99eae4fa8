//! What came out, as a text and as CSV.

use crate::run::{Figures, Outcome, Wanted};
use crate::values::human;
use std::io::{self, Write};
use truechimer_engine::event::Severity;
use truechimer_engine::wire::command::SourceState;

/// Longest lists in the text.
const MANY: usize = 20;

/// Writes the report for people.
pub(crate) fn text(out: &mut dyn Write, outcome: &Outcome, wanted: &Wanted, seed: u64) -> io::Result<()> {
    let beginning = match (&outcome.steady, wanted.from) {
        (None, None) => "steady state".to_owned(),
        _ => format!("from {}", clock(outcome.steady_from)),
    };
    writeln!(out, "simulated {}, seed {seed}\n", clock(wanted.duration))?;
    writeln!(
        out,
        "{:<24}{:>14}{beginning:>18}",
        "error of the clock", "whole run"
    )?;
    let rows: [Row; 4] = [
        ("time, RMS", |f| human(f.rms_time)),
        ("time, largest", |f| human(f.max_time)),
        ("frequency, RMS", |f| ppm(f.rms_frequency)),
        ("frequency, largest", |f| ppm(f.max_frequency)),
    ];
    for (name, figure) in rows {
        let of = |figures: &Option<Figures>| figures.as_ref().map_or("-".to_owned(), figure);
        writeln!(
            out,
            "  {name:<22}{:>14}{:>18}",
            of(&outcome.whole),
            of(&outcome.steady)
        )?;
    }
    let threshold = human(wanted.threshold);
    match outcome.converged {
        Some(at) => writeln!(
            out,
            "converged               after {}: below {threshold} from then on",
            clock(at)
        )?,
        None => writeln!(
            out,
            "converged               no: not below {threshold} at the end"
        )?,
    }
    let sent: Vec<String> = outcome
        .sent
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let more = sent.len().saturating_sub(MANY);
    let sent = sent.into_iter().take(MANY).collect::<Vec<_>>().join(", ");
    let rest = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    writeln!(out, "packets sent            {sent}{rest}")?;
    let steps = outcome.steps.iter().map(|(at, by)| {
        let forward = if *by < 0.0 { "back" } else { "forward" };
        format!("{forward} by {} at {}", human(by.abs()), clock(*at))
    });
    list(out, "steps of the clock", "none", steps)?;
    let selected = outcome
        .selected
        .iter()
        .map(|(at, name)| format!("{name} at {}", clock(*at)));
    list(out, "selected sources", "none", selected)?;
    let serious = |(_, severity, _): &&(f64, Severity, String)| *severity != Severity::Info;
    let messages = outcome.messages.iter().filter(serious);
    list(
        out,
        "warnings",
        "none",
        messages.map(|(at, _, text)| format!("{text} at {}", clock(*at))),
    )?;
    if let Some(status) = outcome.ended {
        return writeln!(out, "\nchronyd has ended with status {status}");
    }
    writeln!(out, "\nat the end it follows {}", outcome.reference)?;
    if let Some(report) = &outcome.tracking
        && report.stratum != 0
    {
        writeln!(
            out,
            "  stratum {}, frequency {:.3} ppm, skew {:.3} ppm, root distance {}",
            report.stratum,
            report.frequency,
            report.skew,
            human(0.5 * report.root_delay + report.root_dispersion)
        )?;
    }
    writeln!(
        out,
        "\n   {:<32} stratum poll reach samples     offset  std. dev.",
        "source"
    )?;
    for source in &outcome.sources {
        let report = &source.report;
        let (samples, offset, deviation) =
            source.stats.map_or((0, "-".to_owned(), "-".to_owned()), |stats| {
                (stats.samples, human(stats.offset), human(stats.std_dev))
            });
        writeln!(
            out,
            " {} {:<32} {:>7} {:>4} {:>5o} {samples:>7} {offset:>10} {deviation:>10}",
            letter(report.state),
            source.name,
            report.stratum,
            report.poll,
            report.reach
        )?;
    }
    Ok(())
}

/// Name of a figure and how it is written.
type Row = (&'static str, fn(&Figures) -> String);

/// Writes all messages of the client's daemon.
pub(crate) fn messages(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    for (at, _, text) in &outcome.messages {
        writeln!(out, "{at:>12.3} {text}")?;
    }
    Ok(())
}

/// Writes the report for programs: columns kind, time (s), name, value (s, or without a unit).
pub(crate) fn csv(out: &mut dyn Write, outcome: &Outcome, wanted: &Wanted, seed: u64) -> io::Result<()> {
    writeln!(out, "kind,time,name,value")?;
    writeln!(out, "run,,duration,{}\nrun,,seed,{seed}", wanted.duration)?;
    for (kind, from, figures) in [
        ("whole", 0.0, &outcome.whole),
        ("steady", outcome.steady_from, &outcome.steady),
    ] {
        if let Some(f) = figures {
            for (name, value) in [
                ("rms_time", f.rms_time),
                ("max_time", f.max_time),
                ("rms_frequency", f.rms_frequency),
                ("max_frequency", f.max_frequency),
            ] {
                writeln!(out, "{kind},{from},{name},{value:e}")?;
            }
        }
    }
    if let Some(at) = outcome.converged {
        writeln!(out, "converged,{at},threshold,{:e}", wanted.threshold)?;
    }
    for (name, count) in &outcome.sent {
        writeln!(out, "sent,,{},{count}", quoted(name))?;
    }
    for (at, by) in &outcome.steps {
        writeln!(out, "step,{at},forward,{by:e}")?;
    }
    for (at, name) in &outcome.selected {
        writeln!(out, "selected,{at},{},", quoted(name))?;
    }
    for (at, severity, text) in &outcome.messages {
        if *severity != Severity::Info {
            writeln!(out, "warning,{at},{},", quoted(text))?;
        }
    }
    for source in &outcome.sources {
        let offset = source
            .stats
            .map_or(String::new(), |stats| format!("{:e}", stats.offset));
        let kind = format!("source {}", letter(source.report.state));
        writeln!(
            out,
            "{kind},{},{},{offset}",
            wanted.duration,
            quoted(&source.name)
        )?;
    }
    if let Some(status) = outcome.ended {
        writeln!(out, "ended,,status,{status}")?;
    }
    Ok(())
}

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn list(out: &mut dyn Write, name: &str, none: &str, lines: impl Iterator<Item = String>) -> io::Result<()> {
    let lines: Vec<String> = lines.collect();
    let first = lines.first().map_or(none, String::as_str);
    writeln!(out, "{name:<24}{first}")?;
    for line in lines.iter().skip(1).take(MANY - 1) {
        writeln!(out, "{:<24}{line}", "")?;
    }
    if lines.len() > MANY {
        writeln!(
            out,
            "{:<24}and {} more (all with --csv or --log)",
            "",
            lines.len() - MANY
        )?;
    }
    Ok(())
}

fn letter(state: SourceState) -> char {
    match state {
        SourceState::Selected => '*',
        SourceState::Nonselectable | SourceState::Unknown => '?',
        SourceState::Falseticker => 'x',
        SourceState::Jittery => '~',
        SourceState::Combined => '+',
        SourceState::Selectable => '-',
    }
}

fn ppm(frequency: f64) -> String {
    let ppm = 1e6 * frequency;
    if ppm.abs() < 0.001 {
        format!("{:.2} ppb", 1e3 * ppm)
    } else {
        format!("{ppm:.3} ppm")
    }
}

/// A time since the start: `131 s`, `2d 03:04:05`.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    if seconds < 1000.0 && seconds.fract() != 0.0 {
        format!("{seconds:.1} s")
    } else if whole < 1000 {
        format!("{whole} s")
    } else if days == 0 {
        format!("{hours:02}:{minutes:02}:{:02}", whole % 60)
    } else {
        format!("{days}d {hours:02}:{minutes:02}:{:02}", whole % 60)
    }
}
