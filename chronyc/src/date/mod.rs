//! Dates as `settime` takes them: the classic getdate grammar (`spec/chronyc.md` section 6.15), in local time.

mod words;

use crate::sys::LocalTime;
use words::{Token, Unit, tokens};

/// Seconds since 1970 of a date in words; `None` if it has no meaning. `now`: seconds since 1970.
pub(crate) fn parse(text: &str, now: i64) -> Option<i64> {
    let tokens = tokens(text)?;
    let (today, dst) = LocalTime::of(now)?;
    let mut found = Found::default();
    let mut rest = tokens.as_slice();
    while !rest.is_empty() {
        let used = found.item(rest)?;
        rest = rest.get(used..)?;
    }
    found.seconds(today, dst)
}

/// Half of the day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Half {
    Am,
    Pm,
}

/// Of each kind of item, what it said.
#[derive(Debug, Default)]
struct Found {
    time: Option<Time>,
    /// Minutes to be added to get UTC.
    zone: Option<i64>,
    date: Option<Date>,
    /// Which one of the coming days of this name, and its number (0: Sunday).
    day: Option<(i64, i64)>,
    relative: Relative,
    has_relative: bool,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    hour: i64,
    minute: i64,
    /// `None`: of the present time.
    second: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Date {
    /// `None`: this year.
    year: Option<i64>,
    month: i64,
    day: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Relative {
    years: i64,
    months: i64,
    days: i64,
    seconds: i64,
}

/// Sets what may be said once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}

/// `+hhmm` as minutes to be added to get UTC.
fn offset(hhmm: i64) -> i64 {
    -(hhmm % 100 + hhmm / 100 * 60)
}

fn hour(hour: i64, half: Option<Half>) -> Option<i64> {
    match half {
        None => (0..=23).contains(&hour).then_some(hour),
        Some(half) if (1..=12).contains(&hour) => Some(hour % 12 + if half == Half::Pm { 12 } else { 0 }),
        Some(_) => None,
    }
}

impl Found {
    fn time(&mut self, at: i64, half: Option<Half>, minute: i64, second: i64) -> Option<()> {
        once(
            &mut self.time,
            Time {
                hour: hour(at, half)?,
                minute,
                second: Some(second),
            },
        )
    }

    fn date(&mut self, year: Option<i64>, month: i64, day: i64) -> Option<()> {
        once(&mut self.date, Date { year, month, day })
    }

    fn relative(&mut self, number: i64, unit: Unit) -> Option<()> {
        self.has_relative = true;
        let r = &mut self.relative;
        let (place, size) = match unit {
            Unit::Year => (&mut r.years, 1),
            Unit::Month => (&mut r.months, 1),
            Unit::Days(n) => (&mut r.days, n),
            Unit::Seconds(n) => (&mut r.seconds, n),
        };
        *place = place.checked_add(number.checked_mul(size)?)?;
        Some(())
    }

    /// Takes one item from the start; how many tokens it has.
    fn item(&mut self, tokens: &[Token]) -> Option<usize> {
        use Token::{Ago, Colon, Comma, Day, Dst, Month, Number, Signed, Slash, SummerZone, Zone};
        let used = match *tokens {
            [Number(h), Colon, Number(m), Colon, Number(s), Signed(z), ..] => {
                self.time(h, None, m, s)?;
                once(&mut self.zone, offset(z))?;
                6
            }
            [
                Number(h),
                Colon,
                Number(m),
                Colon,
                Number(s),
                Token::Half(half),
                ..,
            ] => {
                self.time(h, Some(half), m, s)?;
                6
            }
            [Number(h), Colon, Number(m), Colon, Number(s), ..] => {
                self.time(h, None, m, s)?;
                5
            }
            [Number(h), Colon, Number(m), Signed(z), ..] => {
                // The one form that leaves the second as it is.
                once(
                    &mut self.time,
                    Time {
                        hour: hour(h, None)?,
                        minute: m,
                        second: None,
                    },
                )?;
                once(&mut self.zone, offset(z))?;
                4
            }
            [Number(h), Colon, Number(m), Token::Half(half), ..] => {
                self.time(h, Some(half), m, 0)?;
                4
            }
            [Number(h), Colon, Number(m), ..] => {
                self.time(h, None, m, 0)?;
                3
            }
            [Number(h), Token::Half(half), ..] => {
                self.time(h, Some(half), 0, 0)?;
                2
            }
            [Number(a), Slash, Number(b), Slash, Number(c), ..] => {
                if a >= 1000 {
                    self.date(Some(a), b, c)?;
                } else {
                    self.date(Some(c), a, b)?;
                }
                5
            }
            [Number(month), Slash, Number(day), ..] => {
                self.date(None, month, day)?;
                3
            }
            [Number(year), Signed(month), Signed(day), ..] => {
                self.date(Some(year), -month, -day)?;
                3
            }
            [Number(day), Month(month), Signed(year), ..] => {
                self.date(Some(-year), month, day)?;
                3
            }
            [Number(day), Month(month), Number(year), ..] => {
                self.date(Some(year), month, day)?;
                3
            }
            [Number(day), Month(month), ..] => {
                self.date(None, month, day)?;
                2
            }
            [Month(month), Number(day), Comma, Number(year), ..] => {
                self.date(Some(year), month, day)?;
                4
            }
            [Month(month), Number(day), ..] => {
                self.date(None, month, day)?;
                2
            }
            [Number(nth), Day(day), ..] => {
                once(&mut self.day, (nth, day))?;
                2
            }
            [Day(day), Comma, ..] => {
                once(&mut self.day, (1, day))?;
                2
            }
            [Day(day), ..] => {
                once(&mut self.day, (1, day))?;
                1
            }
            [Zone(west), Dst, ..] => {
                once(&mut self.zone, west - 60)?;
                2
            }
            [Zone(west), ..] => {
                once(&mut self.zone, west)?;
                1
            }
            [SummerZone(west), ..] => {
                once(&mut self.zone, west - 60)?;
                1
            }
            [Number(n) | Signed(n), Token::Unit(unit), ..] => {
                self.relative(n, unit)?;
                2
            }
            [Token::Unit(unit), ..] => {
                self.relative(1, unit)?;
                1
            }
            [Token::Fixed(days), ..] => {
                self.relative(days, Unit::Days(1))?;
                1
            }
            [Number(n), ..] => {
                self.number(n)?;
                1
            }
            _ => return None,
        };
        // "ago" turns round all that was relative so far.
        if let Some(Ago) = tokens.get(used)
            && let Some(Token::Unit(_) | Token::Fixed(_)) = tokens.get(used - 1)
        {
            let r = &mut self.relative;
            *r = Relative {
                years: -r.years,
                months: -r.months,
                days: -r.days,
                seconds: -r.seconds,
            };
            return Some(used + 1);
        }
        Some(used)
    }

    /// A number of its own.
    fn number(&mut self, n: i64) -> Option<()> {
        if let (Some(_), Some(date), false) = (self.time, &mut self.date, self.has_relative) {
            date.year = Some(n);
            return Some(());
        }
        if n > 10_000 {
            return self.date(Some(n / 10_000), n / 100 % 100, n % 100);
        }
        let (hour, minute) = if n < 100 { (n, 0) } else { (n / 100, n % 100) };
        self.time(hour, None, minute, 0)
    }

    fn seconds(self, today: LocalTime, dst: bool) -> Option<i64> {
        let small = |n: i64| i32::try_from(n).ok();
        let mut at = today;
        if let Some(date) = self.date {
            if let Some(year) = date.year {
                let century = match year.abs() {
                    0..69 => 2000,
                    69..100 => 1900,
                    _ => 0,
                };
                at.year = small(year.abs().checked_add(century)?)?;
            }
            at.month = small(date.month)?;
            at.day = small(date.day)?;
        }
        let only_relative = self.has_relative && self.date.is_none() && self.day.is_none();
        match self.time {
            Some(time) => {
                (at.hour, at.minute) = (small(time.hour)?, small(time.minute)?);
                if let Some(second) = time.second {
                    at.second = small(second)?;
                }
            }
            None if only_relative => {}
            None => (at.hour, at.minute, at.second) = (0, 0, 0),
        }
        let add = |a: i32, b: i64| small(i64::from(a).checked_add(b)?);
        at.year = add(at.year, self.relative.years)?;
        at.month = add(at.month, self.relative.months)?;
        at.day = add(at.day, self.relative.days)?;
        // Hours are hours, whatever the clock on the wall does.
        let untouched = only_relative && self.time.is_none();
        let dst = Some(dst).filter(|_| untouched && self.relative.days == 0 && self.relative.months == 0);
        let dst = dst.filter(|_| self.relative.years == 0);
        let mut seconds = at.seconds(dst)?;
        if let (Some((nth, day)), None) = (self.day, self.date) {
            let (civil, _) = LocalTime::of(seconds)?;
            let days = (day - civil.weekday()).rem_euclid(7) + 7 * (nth - i64::from(nth > 0));
            at.day = add(at.day, days)?;
            seconds = at.seconds(None)?;
        }
        if let Some(zone) = self.zone {
            // What the fields say, taken as UTC instead of local time.
            let (local, _) = LocalTime::of(seconds)?;
            seconds = local.as_utc().checked_add(zone.checked_mul(60)?)?;
        }
        seconds.checked_add(self.relative.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a date that has its zone, which no time zone of the machine changes.
    fn utc(text: &str) -> Option<i64> {
        parse(&format!("{text} utc"), 1_795_188_775)
    }

    #[test]
    fn dates_and_times() {
        let expected = Some(1_443_198_605);
        for text in [
            "Sep 25, 2015 16:30:05",
            "25 September 2015 4:30:05 pm",
            "9/25/2015 16:30:05",
            "2015/9/25 16:30:05",
            "2015-09-25 16:30:05",
            "25-sep-2015 16:30:05",
            "Fri, Sep. 25, 15 16:30:05",
            "16:30:05 20150925",
            "16:30:05 Sep 25 2015",
            "(it is) 16:30:05 (on) 9/25/15",
        ] {
            assert_eq!(utc(text), expected, "{text}");
        }
        assert_eq!(parse("9/25/2015 18:30:05 +0200", 0), expected);
        assert_eq!(parse("9/25/2015 12:30:05 edt", 0), expected);
        assert_eq!(parse("9/25/2015 11:30:05 est", 0), expected);
        assert_eq!(parse("9/25/2015 12:30:05 est dst", 0), expected);
        assert_eq!(parse("9/25/2015 18:30 +0200", 5), expected);
        assert_eq!(parse("1/1/70 z (never ending", 5), Some(0));
        assert_eq!(utc("1/1/70 12 am"), Some(0));
        assert_eq!(utc("1/1/70 12 pm"), Some(43_200));
        assert_eq!(utc("1/1/70 0130"), Some(5400));
        assert_eq!(utc("1/1/70 2 days"), Some(172_800));
        assert_eq!(utc("1/1/70 1 week ago 3 hours"), Some(-604_800 + 10_800));
        assert_eq!(utc("1/1/70 next month"), Some(31 * 86_400));
    }

    #[test]
    fn relative_to_now() {
        let now = 1_795_188_775;
        assert_eq!(parse("now", now), Some(now));
        assert_eq!(parse("1 hour ago", now), Some(now - 3600));
        assert_eq!(parse("+90 sec", now), Some(now + 90));
        assert_eq!(parse("last week", now), parse("7 days ago", now));
        let midnight = parse("", now).unwrap();
        assert!(midnight <= now && now - midnight < 90_000);
    }

    #[test]
    fn nonsense() {
        for text in [
            "foo",
            "25:00",
            "1:2:3:4",
            "13 pm",
            "16:30 17:30",
            "1/2 3/4",
            "mon tue",
            "gmt cet",
            ",",
            "5 -3",
        ] {
            assert_eq!(parse(text, 0), None, "{text}");
        }
    }
}
