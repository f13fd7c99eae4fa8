//! The calendar, UTC.

use std::fmt;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Days since 1970 of a date; `month` is 1 to 12.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Date and time of day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
    /// 0: Sunday.
    pub(crate) weekday: u8,
    /// Second of the day.
    second: u32,
}

impl Civil {
    /// Of seconds since 1970; `None` where C's `struct tm` has no room for the year.
    pub(crate) fn of(seconds: i64) -> Option<Self> {
        let days = seconds.div_euclid(86_400);
        // Count from 1 March of the year 0 in eras of 400 years (146097 days).
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        i32::try_from(year - 1900).ok()?;
        Some(Self {
            year,
            month: month as u8,
            day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
            second: seconds.rem_euclid(86_400) as u32,
        })
    }

    /// `HH:MM:SS`
    pub(crate) fn time_of_day(&self) -> String {
        format!(
            "{:02}:{:02}:{:02}",
            self.second / 3600,
            self.second / 60 % 60,
            self.second % 60
        )
    }
}

/// As C's `asctime` without end of line, but with two digits for the day.
impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS.get(usize::from(self.weekday)).copied().unwrap_or_default();
        let month = MONTHS
            .get(usize::from(self.month) - 1)
            .copied()
            .unwrap_or_default();
        write!(
            f,
            "{day} {month} {:02} {} {}",
            self.day,
            self.time_of_day(),
            self.year
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu Jan 01 00:00:00 1970"),
            (-1, "Wed Dec 31 23:59:59 1969"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (4_107_542_400, "Mon Mar 01 00:00:00 2100"),
            (1_432_970_756, "Sat May 30 07:25:56 2015"),
        ] {
            let civil = Civil::of(seconds).unwrap();
            assert_eq!(civil.to_string(), text);
            assert_eq!(
                days(civil.year, civil.month.into(), civil.day.into()),
                seconds.div_euclid(86_400)
            );
        }
        assert_eq!(Civil::of(i64::MAX), None);
        assert_eq!(Civil::of(i64::MIN), None);
    }
}
