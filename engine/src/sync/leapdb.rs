//! The database of leap seconds: a list of NIST or IERS, or the leap second records of a time zone such as
//! right/UTC (`spec/sync.md` 5.10).

use super::sample::Leap;

/// Seconds from 1900 to 1970.
const LIST_EPOCH: i64 = 2_208_988_800;
const DAY: i64 = 86_400;
/// TAI - UTC before the first leap second.
const FIRST_TAI: i32 = 10;

/// Why a list was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LeapListError {
    /// A line is neither a comment nor two numbers.
    #[error("malformed line")]
    Line,
    /// The date of the update or of the expiry is missing.
    #[error("missing date of update or expiry")]
    Header,
}

/// Leap seconds of the past and of the near future.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeapDb {
    /// Midnight after the leap second (Unix seconds) and TAI - UTC (s) from then on.
    entries: Vec<(i64, i32)>,
    /// Unix seconds.
    expiry: Option<i64>,
}

impl LeapDb {
    /// Reads a list: `#$` update time and `#@` expiry must be there, entries are seconds since 1900 and
    /// TAI - UTC.
    ///
    /// # Errors
    /// A line that makes no sense, or a missing date.
    pub fn from_list(text: &str) -> Result<Self, LeapListError> {
        let (mut entries, mut updated, mut expiry) = (Vec::new(), None, None);
        for line in text.lines() {
            let line = line.trim();
            if let Some(date) = line.strip_prefix("#$") {
                updated = Some(list_time(date)?);
            } else if let Some(date) = line.strip_prefix("#@") {
                expiry = Some(list_time(date)?);
            } else if !line.is_empty() && !line.starts_with('#') {
                let tai = line
                    .split_ascii_whitespace()
                    .nth(1)
                    .and_then(|tai| tai.parse().ok());
                entries.push((list_time(line)?, tai.ok_or(LeapListError::Line)?));
            }
        }
        if updated.is_none() || expiry.is_none() {
            return Err(LeapListError::Header);
        }
        Ok(Self { entries, expiry })
    }

    /// Reads the leap second records of a compiled time zone (RFC 9636). `None` if this isn't one, or if its
    /// local time is not UTC.
    #[must_use]
    pub fn from_tzif(bytes: &[u8]) -> Option<Self> {
        let (header, body) = Header::parse(bytes)?;
        if header.version == 0 {
            return header.leaps(body, 4);
        }
        let second = body.get(header.body_len(4)?..)?;
        let (header, body) = Header::parse(second)?;
        header.leaps(body, 8)
    }

    /// Leap second at the end of the UTC day of `when` (Unix seconds), and TAI - UTC (s, 0: unknown) at
    /// `when`.
    #[must_use]
    pub fn query(&self, when: i64) -> (Leap, i32) {
        let midnight = next_midnight(when);
        let (mut leap, mut tai, mut previous) = (Leap::Normal, 0, FIRST_TAI);
        for &(at, offset) in &self.entries {
            if at > midnight {
                break;
            }
            if at == midnight {
                tai = previous;
                leap = match offset.cmp(&previous) {
                    std::cmp::Ordering::Greater => Leap::Insert,
                    std::cmp::Ordering::Less => Leap::Delete,
                    std::cmp::Ordering::Equal => Leap::Normal,
                };
            } else {
                tai = offset;
            }
            previous = offset;
        }
        (leap, tai)
    }

    /// True if the list says nothing any more about the end of the day of `when` (Unix seconds).
    #[must_use]
    pub fn is_expired(&self, when: i64) -> bool {
        self.expiry.is_some_and(|expiry| next_midnight(when) >= expiry)
    }

    /// The check at start: the leap second of June 2012 is there, and none in December 2012.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.query(1_341_014_400) == (Leap::Insert, 34) && self.query(1_356_912_000) == (Leap::Normal, 35)
    }
}

/// Midnight UTC after `when`, both Unix seconds.
pub(super) fn next_midnight(when: i64) -> i64 {
    when.div_euclid(DAY).saturating_add(1).saturating_mul(DAY)
}

/// The first number of `text`, seconds since 1900, as Unix seconds.
fn list_time(text: &str) -> Result<i64, LeapListError> {
    text.split_ascii_whitespace()
        .next()
        .and_then(|number| number.parse::<i64>().ok())
        .and_then(|seconds| seconds.checked_sub(LIST_EPOCH))
        .ok_or(LeapListError::Line)
}

/// Counts of one block of a TZif file.
struct Header {
    version: u8,
    is_ut: usize,
    is_std: usize,
    leaps: usize,
    times: usize,
    types: usize,
    chars: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, body) = bytes.split_at_checked(44)?;
        if !header.starts_with(b"TZif") {
            return None;
        }
        let (counts, _) = header[20..].as_chunks::<4>();
        let count = |i: usize| usize::try_from(u32::from_be_bytes(*counts.get(i)?)).ok();
        let header = Self {
            version: header[4],
            is_ut: count(0)?,
            is_std: count(1)?,
            leaps: count(2)?,
            times: count(3)?,
            types: count(4)?,
            chars: count(5)?,
        };
        Some((header, body))
    }

    /// Where the local time types start, in a block of `width` bytes a time.
    fn types_at(&self, width: usize) -> Option<usize> {
        self.times.checked_mul(width + 1)
    }

    /// Where the leap second records start.
    fn leaps_at(&self, width: usize) -> Option<usize> {
        self.types_at(width)?
            .checked_add(self.types.checked_mul(6)?)?
            .checked_add(self.chars)
    }

    fn body_len(&self, width: usize) -> Option<usize> {
        let records = self.leaps.checked_mul(width + 4)?;
        self.leaps_at(width)?
            .checked_add(records)?
            .checked_add(self.is_std)?
            .checked_add(self.is_ut)
    }

    fn leaps(&self, body: &[u8], width: usize) -> Option<LeapDb> {
        let types = body
            .get(self.types_at(width)?..)?
            .get(..self.types.checked_mul(6)?)?;
        if types.chunks_exact(6).any(|record| record[..4] != [0; 4]) {
            return None;
        }
        let records = body
            .get(self.leaps_at(width)?..)?
            .get(..self.leaps.checked_mul(width + 4)?)?;
        let mut entries = Vec::with_capacity(self.leaps);
        let mut before = 0;
        for record in records.chunks_exact(width + 4) {
            let (time, correction) = record.split_at(width);
            // Times count the leap seconds before them.
            let time = match *time {
                [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                _ => i64::from_be_bytes(time.try_into().ok()?),
            };
            let correction = i32::from_be_bytes(correction.try_into().ok()?);
            let utc = time.checked_sub(i64::from(before))?;
            // An inserted second starts at midnight, a deleted one would have started a second earlier.
            let midnight = next_midnight(utc.checked_sub(1)?);
            entries.push((midnight, FIRST_TAI.checked_add(correction)?));
            before = correction;
        }
        Some(LeapDb {
            entries,
            expiry: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "#\n#$\t 3676924800\n#@\t3707596800\n\
        2272060800\t10\t# 1 Jan 1972\n3439756800 34 # 1 Jan 2009\n\n3550089600 35 # 1 Jul 2012\n\
        3644697600 36\n3692217600 37\n#h\t62ca19f6\n";

    /// A TZif file of version 2 with an empty first block, one local time type of `offset` s and leap seconds.
    fn tzif(offset: i32, leaps: &[(i64, i32)]) -> Vec<u8> {
        let header = |leaps: usize| {
            let mut h = b"TZif2".to_vec();
            h.extend([0; 15]);
            for count in [0, 0, leaps as u32, 0, 1, 4] {
                h.extend(u32::to_be_bytes(count));
            }
            h.extend(offset.to_be_bytes());
            h.extend([0, 0]);
            h.extend(b"UTC\0");
            h
        };
        let mut bytes = header(0);
        bytes.extend(header(leaps.len()));
        for (time, correction) in leaps {
            bytes.extend(time.to_be_bytes());
            bytes.extend(correction.to_be_bytes());
        }
        bytes.extend(b"\nUTC0\n");
        bytes
    }

    #[test]
    fn list_passes_its_check() {
        let db = LeapDb::from_list(LIST).unwrap();
        assert!(db.is_plausible());
        assert_eq!(db.query(1_483_142_400), (Leap::Insert, 36));
        assert_eq!(db.query(1_483_228_800), (Leap::Normal, 37));
        assert!(!db.is_expired(1_498_000_000));
        assert!(db.is_expired(1_498_608_000 - 86_400));
    }

    #[test]
    fn incomplete_lists_are_refused() {
        assert_eq!(LeapDb::from_list("2272060800 10\n"), Err(LeapListError::Header));
        assert_eq!(
            LeapDb::from_list("#$ 1\n#@ 2\nfoo bar\n"),
            Err(LeapListError::Line)
        );
        assert_eq!(
            LeapDb::from_list("#$ 1\n#@ 2\n2272060800\n"),
            Err(LeapListError::Line)
        );
        assert!(
            !LeapDb::from_list("#$ 3676924800\n#@ 3707596800\n")
                .unwrap()
                .is_plausible()
        );
    }

    #[test]
    fn zone_gives_the_same_as_the_list() {
        // 34 s of leap seconds up to the one of 2012, in as few records as the check needs.
        let bytes = tzif(
            0,
            &[(1_230_768_023, 24), (1_341_100_824, 25), (1_435_708_825, 26)],
        );
        let db = LeapDb::from_tzif(&bytes).unwrap();
        assert!(db.is_plausible());
        assert_eq!(db.query(1_435_622_400), (Leap::Insert, 35));
        let list = LeapDb::from_list(LIST).unwrap();
        assert_eq!(db.query(1_435_622_400), list.query(1_435_622_400));
    }

    #[test]
    fn a_deleted_second_is_found_at_its_midnight() {
        let db = LeapDb::from_tzif(&tzif(0, &[(78_796_800, 1), (1_341_100_800, 0)])).unwrap();
        assert_eq!(db.query(1_341_014_400), (Leap::Delete, 11));
    }

    #[test]
    fn other_zones_and_broken_files_are_refused() {
        assert!(LeapDb::from_tzif(&tzif(3600, &[])).is_none());
        let bytes = tzif(0, &[(1_230_768_023, 24), (1_341_100_824, 25)]);
        for len in 0..bytes.len() - 6 {
            assert!(LeapDb::from_tzif(&bytes[..len]).is_none(), "{len}");
        }
    }
}
