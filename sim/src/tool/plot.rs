//! The error of the clock over time as an SVG picture: above its size on a logarithmic scale, so that start and
//! steady state are both to be seen; below the error itself, as it is in the steady state.

use crate::report::clock;
use crate::run::{Column, Curve, Outcome};
use crate::values::human;
use std::fmt::Write;
use truechimer_sim::measure::quantile;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 620.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 30.0;
/// Top and height of the two parts.
const UPPER: (f64, f64) = (60.0, 250.0);
const LOWER: (f64, f64) = (350.0, 210.0);

/// What is drawn beside the error.
pub(crate) struct Marks<'a> {
    pub(crate) title: &'a str,
    /// Begin and end of outages, s.
    pub(crate) outages: &'a [[f64; 2]],
}

/// Draws the picture.
pub(crate) fn svg(outcome: &Outcome, marks: &Marks<'_>) -> String {
    let mut picture = Picture {
        text: String::new(),
        duration: outcome.curve.duration,
    };
    picture.begin(marks.title);
    for part in [UPPER, LOWER] {
        picture.marks(part, outcome, marks);
    }
    picture.upper(&outcome.curve);
    picture.lower(&outcome.curve, outcome.steady_from);
    picture.legend(outcome, marks);
    picture.text.push_str("</svg>\n");
    picture.text
}

struct Picture {
    text: String,
    /// s
    duration: f64,
}

impl Picture {
    fn add(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.duration).clamp(0.0, 1.0)
    }

    fn begin(&mut self, title: &str) {
        self.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"
        ));
        self.add(format_args!(
            "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>"
        ));
        self.label(LEFT, 24.0, "start", 15, &escaped(title));
    }

    fn label(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#222\">{text}</text>"
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// Outages, steps and selections.
    fn marks(&mut self, (top, height): (f64, f64), outcome: &Outcome, marks: &Marks<'_>) {
        for [begin, end] in marks.outages {
            let (x, end) = (self.x(*begin), self.x(*end));
            if end > x {
                self.add(format_args!(
                    "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{height}\" fill=\"#f3dede\"/>",
                    end - x
                ));
            }
        }
        let columns = outcome.curve.columns.len() as f64;
        // More marks than columns would only be seen as a surface.
        let duration = self.duration;
        let column = |at: &f64| (at / duration * columns) as i64;
        let mut steps: Vec<f64> = outcome.steps.iter().map(|(at, _)| *at).collect();
        let mut selected: Vec<f64> = outcome.selected.iter().map(|(at, _)| *at).collect();
        for (times, style) in [
            (&mut selected, "stroke=\"#9a9a9a\" stroke-dasharray=\"2 3\""),
            (&mut steps, "stroke=\"#d03030\" stroke-dasharray=\"6 3\""),
        ] {
            times.dedup_by_key(|at| column(at));
            for at in times.iter() {
                let x = self.x(*at);
                self.line((x, top), (x, top + height), style);
            }
        }
    }

    /// Frame, ticks of time, and ticks of the error at `(y, text)`.
    fn frame(&mut self, (top, height): (f64, f64), name: &str, ticks: &[(f64, String)]) {
        for (y, text) in ticks {
            self.line((LEFT, *y), (WIDTH - RIGHT, *y), "stroke=\"#ddd\"");
            self.label(LEFT - 8.0, y + 4.0, "end", 12, text);
        }
        let (step, unit, name_of_unit) = time_ticks(self.duration);
        let mut at = 0.0;
        while at <= self.duration * 1.000_001 {
            let x = self.x(at);
            self.line((x, top + height), (x, top + height + 5.0), "stroke=\"#222\"");
            self.label(x, top + height + 18.0, "middle", 12, &short(at / unit));
            at += step;
        }
        self.label(
            WIDTH - RIGHT,
            top + height + 32.0,
            "end",
            12,
            &format!("time ({name_of_unit})"),
        );
        self.add(format_args!(
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{height}\" fill=\"none\" stroke=\"#222\"/>",
            WIDTH - LEFT - RIGHT
        ));
        self.label(LEFT, top - 8.0, "start", 12, name);
    }

    fn upper(&mut self, curve: &Curve) {
        let size = |column: &Column| {
            let max = column.min.abs().max(column.max.abs());
            let crosses = column.min <= 0.0 && column.max >= 0.0;
            let min = if crosses {
                0.0
            } else {
                column.min.abs().min(column.max.abs())
            };
            (min, max)
        };
        let sizes = || curve.columns.iter().flatten().map(size);
        let largest = sizes().map(|(_, max)| max).fold(1e-9, f64::max);
        let smallest = sizes()
            .map(|(_, max)| max)
            .filter(|max| *max > 0.0)
            .fold(largest, f64::min);
        let (low, high) = (smallest.max(1e-10).log10().floor(), largest.log10().ceil());
        let high = if high > low { high } else { low + 1.0 };
        let (top, height) = UPPER;
        let y = |value: f64| {
            let part = (value.max(1e-30).log10() - low) / (high - low);
            top + height * (1.0 - part.clamp(0.0, 1.0))
        };
        let decades = (high - low) as i32;
        let ticks: Vec<(f64, String)> = (0..=decades)
            .filter(|i| decades <= 10 || i % 2 == 0)
            .map(|i| 10f64.powf(low + f64::from(i)))
            .map(|value| (y(value), decade(value)))
            .collect();
        let bands = curve.columns.iter().map(|column| column.as_ref().map(size));
        self.frame(UPPER, "size of the error of the clock", &ticks);
        self.band(bands, y);
    }

    fn lower(&mut self, curve: &Curve, from: f64) {
        let begin = (from / self.duration * curve.columns.len() as f64) as usize;
        let sizes = |columns: &[Option<Column>]| -> Vec<f64> {
            let size = |column: &Column| column.min.abs().max(column.max.abs());
            columns.iter().flatten().map(size).collect()
        };
        let steady = sizes(curve.columns.get(begin..).unwrap_or_default());
        // Without a steady state, what is rare is not shown.
        let largest = if steady.is_empty() {
            quantile(&sizes(&curve.columns), 0.9)
        } else {
            quantile(&steady, 1.0)
        };
        let largest = largest.max(1e-9);
        let step = nice(largest / 2.0);
        let limit = (largest / step).ceil() * step;
        let (top, height) = LOWER;
        let y = |value: f64| top + height * (0.5 - 0.5 * (value / limit).clamp(-1.0, 1.0));
        let count = (limit / step).round() as i32;
        let ticks: Vec<(f64, String)> = (-count..=count)
            .map(|i| step * f64::from(i))
            .map(|value| (y(value), decade(value)))
            .collect();
        let outside = |column: &Column| column.max < -limit || column.min > limit;
        let bands = curve.columns.iter().map(|column| {
            let column = column.as_ref().filter(|column| !outside(column))?;
            Some((column.min, column.max))
        });
        self.frame(LOWER, "error of the clock, positive: fast", &ticks);
        self.band(bands, y);
    }

    /// A surface between smallest and largest values, one path for each part without gaps.
    fn band(&mut self, bands: impl Iterator<Item = Option<(f64, f64)>>, y: impl Fn(f64) -> f64) {
        let bands: Vec<_> = bands.collect();
        let width = (WIDTH - LEFT - RIGHT) / bands.len().max(1) as f64;
        let at = |index: usize| LEFT + width * (index as f64 + 0.5);
        let known: Vec<(usize, (f64, f64))> = bands
            .iter()
            .enumerate()
            .filter_map(|(i, band)| Some((i, (*band)?)))
            .collect();
        // Short runs leave columns empty; only where the curve leaves the picture is there a real gap.
        let usual = known
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .fold(1, usize::max);
        let gap = if known.len() * 3 < bands.len() { usual } else { 3 };
        for part in known.chunk_by(|a, b| b.0 - a.0 <= gap) {
            let mut path = String::new();
            for (letter, (index, (_, high))) in std::iter::once('M').chain(std::iter::repeat('L')).zip(part) {
                let _ = write!(path, "{letter}{:.1} {:.1}", at(*index), y(*high));
            }
            for (index, (low, _)) in part.iter().rev() {
                let _ = write!(path, "L{:.1} {:.1}", at(*index), y(*low));
            }
            self.add(format_args!(
                "<path d=\"{path}Z\" fill=\"#9ec5ee\" stroke=\"#1f5fa8\" stroke-width=\"1\" stroke-linejoin=\"round\"/>"
            ));
        }
    }

    fn legend(&mut self, outcome: &Outcome, marks: &Marks<'_>) {
        let mut words = Vec::new();
        match outcome.converged {
            Some(at) => words.push(format!("converged after {}", clock(at))),
            None => words.push("not converged".to_owned()),
        }
        if let Some(figures) = &outcome.steady {
            words.push(format!(
                "then RMS {}, largest {}",
                human(figures.rms_time),
                human(figures.max_time)
            ));
        }
        let words = escaped(&words.join("; "));
        self.label(LEFT, HEIGHT - 12.0, "start", 12, &words);
        let mut x = WIDTH - RIGHT;
        for (shown, text, style) in [
            (
                !outcome.steps.is_empty(),
                "step",
                "stroke=\"#d03030\" stroke-dasharray=\"6 3\"",
            ),
            (
                !outcome.selected.is_empty(),
                "source selected",
                "stroke=\"#9a9a9a\" stroke-dasharray=\"2 3\"",
            ),
            (
                !marks.outages.is_empty(),
                "outage",
                "stroke=\"#f3dede\" stroke-width=\"10\"",
            ),
        ] {
            if shown {
                self.label(x, HEIGHT - 12.0, "end", 12, text);
                x -= 6.5 * text.len() as f64 + 8.0;
                self.line((x - 22.0, HEIGHT - 16.0), (x, HEIGHT - 16.0), style);
                x -= 40.0;
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, not above the value.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factor = [5.0, 2.0, 1.0].into_iter().find(|factor| factor * power <= value);
    power * factor.unwrap_or(1.0)
}

/// Distance of ticks (s), their unit (s) and its name.
fn time_ticks(duration: f64) -> (f64, f64, &'static str) {
    const STEPS: [f64; 30] = [
        0.1,
        0.2,
        0.5,
        1.0,
        2.0,
        5.0,
        10.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        1800.0,
        3600.0,
        7200.0,
        14_400.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        1_728_000.0,
        4_320_000.0,
        8_640_000.0,
        17_280_000.0,
        43_200_000.0,
        86_400_000.0,
        172_800_000.0,
        432_000_000.0,
    ];
    let step = STEPS
        .into_iter()
        .find(|step| duration / step <= 12.0)
        .unwrap_or(duration / 10.0);
    let (unit, name) = match duration {
        _ if duration <= 600.0 => (1.0, "s"),
        _ if duration <= 7200.0 => (60.0, "min"),
        _ if duration <= 172_800.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    (step, unit, name)
}

/// A number without digits that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A round time: `10 us`.
fn decade(seconds: f64) -> String {
    for (scale, unit) in [(1.0, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns"), (1e12, "ps")] {
        let value = seconds * scale;
        if value.abs() >= 0.999 {
            return format!("{} {unit}", short(value));
        }
    }
    "0".to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (value, round) in [(1.0, 1.0), (0.0034, 0.002), (7.9, 5.0), (2.1e-6, 2e-6)] {
            assert!((nice(value) - round).abs() < 1e-12 * round, "{value}");
        }
        assert_eq!(time_ticks(86_400.0), (7200.0, 3600.0, "h"));
        assert_eq!(time_ticks(60.0).2, "s");
        assert_eq!(
            [decade(1e-5), decade(-2e-3), decade(0.0)],
            ["10 us", "-2 ms", "0"]
        );
        for days in 1..40_000 {
            let duration = 86_400.0 * f64::from(days);
            let (step, ..) = time_ticks(duration);
            assert!((2.0..=12.0).contains(&(duration / step)), "{days} days");
        }
    }
}
