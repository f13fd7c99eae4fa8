//! The calendar: dates as messages, log files and reports have them, always UTC.

use std::fmt;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A date and time of day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Utc {
    /// Of the proleptic Gregorian calendar; there is a year 0.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0: Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// The date of a time in s since 1970, of either sign (proleptic Gregorian calendar).
#[must_use]
pub fn utc(seconds: i64) -> Utc {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // 1 January 1970 was a Thursday.
    let weekday = (days + 4).rem_euclid(7);
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
        weekday: weekday as u8,
        hour: (rest / 3600) as u8,
        minute: (rest / 60 % 60) as u8,
        second: (rest % 60) as u8,
    }
}

/// Days since 1970 of a date; `month` is 1 to 12. A day beyond the end of its month is one of the next.
#[must_use]
pub fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Utc {
    /// `2026-11-20T15:24:02Z`, as in the message log.
    #[must_use]
    pub fn message(&self) -> String {
        format!("{self:#}")
    }

    /// `Fri Nov 20 15:24:02 2026`, as in reports: like C's `asctime`, but with two digits for the day.
    #[must_use]
    pub fn report(&self) -> String {
        let weekday = DAYS.get(usize::from(self.weekday)).copied().unwrap_or_default();
        let month = usize::from(self.month).checked_sub(1);
        let month = month
            .and_then(|month| MONTHS.get(month))
            .copied()
            .unwrap_or_default();
        let Self {
            year,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} {year}")
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
            ..
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
        for (seconds, log, report) in [
            (0, "1970-01-01 00:00:00", "Thu Jan 01 00:00:00 1970"),
            (-1, "1969-12-31 23:59:59", "Wed Dec 31 23:59:59 1969"),
            (951_782_400, "2000-02-29 00:00:00", "Tue Feb 29 00:00:00 2000"),
            (1_341_100_799, "2012-06-30 23:59:59", "Sat Jun 30 23:59:59 2012"),
            (4_107_542_400, "2100-03-01 00:00:00", "Mon Mar 01 00:00:00 2100"),
            (-3_786_825_600, "1850-01-01 00:00:00", "Tue Jan 01 00:00:00 1850"),
        ] {
            let date = utc(seconds);
            assert_eq!((date.to_string().as_str(), date.report().as_str()), (log, report));
            assert_eq!(
                days_since_1970(date.year, date.month.into(), date.day.into()),
                seconds.div_euclid(86_400)
            );
        }
        assert_eq!(utc(1_795_188_242).message(), "2026-11-20T15:24:02Z");
        // No time is beyond it.
        assert!(utc(i64::MAX).year > 292_000_000_000 && utc(i64::MIN).year < -292_000_000_000);
    }
}
