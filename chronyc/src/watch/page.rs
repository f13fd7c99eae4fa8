//! A page that fits the screen: the clock, its sources, and a plot of the offset if there is room.

use super::plot::plot;
use crate::output::{Offset, Signed, Stamp, Value};
use crate::report::leap;
use truechimer_engine::text::Fixed;
use truechimer_engine::wire::command::TrackingReport;

/// More rows make a plot no clearer.
const MAX_PLOT: usize = 15;
/// Rows that the plot gets at least, its title and an empty row before it.
const MIN_PLOT: usize = 7;

/// What is shown.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// First line.
    pub(crate) title: &'a str,
    /// The clock and the name of its source, if the daemon answered.
    pub(crate) clock: Option<(&'a TrackingReport, &'a str)>,
    /// The report `sources`, or words about what went wrong.
    pub(crate) rest: &'a str,
    /// How far the clock was ahead, s, oldest first.
    pub(crate) offsets: &'a [Option<f64>],
    /// Between them, s.
    pub(crate) interval: f64,
}

/// The clock in a few lines.
fn clock(t: &TrackingReport, name: &str) -> [String; 5] {
    let number = |x: f64, decimals| Fixed(x, decimals).to_string();
    let signed = |x: f64, decimals| Signed(x, decimals).human();
    [
        format!(
            "Reference   {:08X} ({name})   stratum {}   {}",
            t.ref_id,
            t.stratum,
            leap(t.leap)
        ),
        format!(
            "Offset      {}   last {} s   RMS {} s",
            Offset(t.correction).human(),
            signed(t.last_offset, 9),
            number(t.rms_offset, 9)
        ),
        format!(
            "Frequency   {} ppm   residual {} ppm   skew {} ppm",
            signed(t.frequency, 3),
            signed(t.residual_frequency, 3),
            number(t.skew, 3)
        ),
        format!(
            "Root        delay {} s   dispersion {} s",
            number(t.root_delay, 9),
            number(t.root_dispersion, 9)
        ),
        format!(
            "Updated     {} UTC   every {} s",
            Stamp(t.ref_time).human(),
            number(t.update_interval, 1)
        ),
    ]
}

/// At most `rows` lines of at most `columns` characters, none of which a terminal takes for anything but text.
pub(crate) fn lines(page: &Page<'_>, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![page.title.to_owned(), String::new()];
    if let Some((t, name)) = page.clock {
        lines.extend(clock(t, name));
        lines.push(String::new());
    }
    lines.extend(page.rest.lines().map(str::to_owned));
    let left = rows.saturating_sub(lines.len());
    if left >= MIN_PLOT {
        lines.push(String::new());
        lines.push(format!(
            "System clock ahead of NTP time, one column is {} s",
            page.interval
        ));
        lines.extend(plot(page.offsets, columns, (left - 2).min(MAX_PLOT)));
    }
    lines.truncate(rows);
    for line in &mut lines {
        *line = line
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .take(columns)
            .collect();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::tracking;

    #[test]
    fn a_page_fits_any_screen() {
        let rest = "header\n======\n^* a\u{1b}[2Jb\n";
        let offsets = vec![Some(1e-6); 300];
        let page = Page {
            title: "title",
            clock: Some((&tracking(), "name")),
            rest,
            offsets: &offsets,
            interval: 1.0,
        };
        for columns in [0, 1, 9, 10, 80, 200] {
            for rows in [0, 1, 5, 11, 17, 18, 19, 24, 100] {
                let lines = lines(&page, columns, rows);
                assert!(lines.len() <= rows);
                assert!(lines.iter().all(|line| line.chars().count() <= columns));
            }
        }
        let all = lines(&page, 80, 24);
        assert_eq!(all.len(), 24);
        assert!(all.contains(&"^* a?[2Jb".to_owned()), "{all:?}");
        assert!(all.iter().any(|line| line.contains("one column is 1 s")));
        assert!(
            !lines(&page, 80, 17)
                .iter()
                .any(|line| line.contains("one column"))
        );
    }
}
