//! `truechimer-sim`: what a configuration would do on a network (docs/simulation.md).

mod build;
mod configuration;
mod description;
mod plot;
mod problem;
mod report;
mod run;
mod values;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use problem::{SimError, reason};
use run::Wanted;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn command() -> Command {
    let file =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("FILE").help(help);
    let time = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("TIME")
            .value_parser(values::span)
            .help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("truechimer-sim")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Simulates what a chrony.conf does in a world of imperfect clocks and networks.")
        .arg(Arg::new("conf").required(true).value_name("CHRONY.CONF").help("Configuration of the client"))
        .arg(Arg::new("world").required(true).value_name("WORLD").help("Description of the world (TOML)"))
        .arg(time("duration", "How long, for example 3600, 36h, 30d").short('d').default_value("1d"))
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .default_value("1")
                .help("The same seed gives the same result, bit for bit"),
        )
        .arg(time("threshold", "The clock has converged when its error stays below this").default_value("1ms"))
        .arg(time("from", "The steady state begins here instead of at convergence"))
        .arg(flag("csv", "Print the report as CSV: kind,time,name,value"))
        .arg(flag("log", "Print the messages of the client's chronyd first"))
        .arg(file("svg", "Draw the error of the clock"))
        .arg(file("series", "Write the error of the clock at every second, as CSV"))
        .after_help("Times are seconds or have a unit: ns, us, ms, s, m, h, d, w.\ndocs/simulation.md describes the worlds, examples/ has some.")
}

fn main() -> ExitCode {
    match simulate(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(matches: &ArgMatches) -> Result<(), SimError> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let time = |name: &str| matches.get_one::<f64>(name).copied();
    let (conf, world) = (text("conf"), text("world"));
    let seed = matches.get_one::<u64>("seed").copied().unwrap_or(1);
    let wanted = Wanted {
        duration: time("duration").unwrap_or(86_400.0),
        threshold: time("threshold").unwrap_or(1e-3),
        from: time("from"),
    };
    if wanted.duration < 1.0 {
        return Err(option("duration", "less than a second"));
    }
    if wanted.from.is_some_and(|from| from >= wanted.duration) {
        return Err(option("from", "not before the end; see --duration"));
    }
    let description = fs::read_to_string(world).map_err(|error| SimError::file(world, &error))?;
    let mut scene = build::build(conf, world, &description, seed)?;
    for note in &scene.notes {
        eprintln!("note: {note}");
    }
    let series = text("series");
    let mut sink: Box<dyn Write> = if series.is_empty() {
        Box::new(io::sink())
    } else {
        let file = File::create(series).map_err(|error| SimError::file(series, &error))?;
        Box::new(BufWriter::new(file))
    };
    let outcome = run::run(&mut scene, &wanted, &mut sink)
        .and_then(|outcome| sink.flush().map(|()| outcome))
        .map_err(|error| SimError::file(series, &error))?;
    let svg = text("svg");
    if !svg.is_empty() {
        let title = format!("{conf} in {world}, seed {seed}");
        let marks = plot::Marks {
            title: &title,
            outages: &scene.outages,
        };
        fs::write(svg, plot::svg(&outcome, &marks)).map_err(|error| SimError::file(svg, &error))?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = if matches.get_flag("log") {
        report::messages(&mut out, &outcome).and_then(|()| writeln!(out))
    } else {
        Ok(())
    };
    let written = written.and_then(|()| {
        let write = if matches.get_flag("csv") {
            report::csv
        } else {
            report::text
        };
        write(&mut out, &outcome, &wanted, seed)?;
        out.flush()
    });
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| SimError::File {
            path: "standard output".to_owned(),
            reason: reason(&error),
        }),
    }
}

fn option(name: &str, what: &str) -> SimError {
    SimError::Text {
        place: format!("--{name}"),
        what: what.to_owned(),
        fix: String::new(),
    }
}
