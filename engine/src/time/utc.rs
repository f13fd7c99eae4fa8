//! Dates as messages and log files have them, always UTC.

use std::fmt;

/// A date and time of day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Utc {
    year: i64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

/// The date of a time in s since 1970, of either sign (proleptic Gregorian calendar).
#[must_use]
pub fn utc(seconds: i64) -> Utc {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that start on 1 March put the leap day at their end; 400 of them have 146 097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Utc {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: month as u8,
        day: day as u8,
        hour: (rest / 3600) as u8,
        minute: (rest / 60 % 60) as u8,
        second: (rest % 60) as u8,
    }
}

impl Utc {
    /// `2026-11-20T15:24:02Z`, as in the message log.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{self:#}")
    }
}

/// `2026-11-20 15:24:02` as in log files; the alternate form is that of the message log.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        let (between, end) = if f.alternate() { ('T', "Z") } else { (' ', "") };
        write!(
            f,
            "{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{end}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_341_100_799, "2012-06-30 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-3_786_825_600, "1850-01-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds).to_string(), text);
        }
        assert_eq!(utc(1_795_188_242).message(), "2026-11-20T15:24:02Z");
    }
}
