//! Points in time as warts stores them, and their calendar form.

use super::fault::Fault;
use super::reader::Reader;

const MICROS: u32 = 1_000_000;

/// A point in time: seconds and microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01 00:00:00 UTC.
    pub sec: u32,
    /// Microseconds within the second; a damaged file may have a million or more.
    pub usec: u32,
}

impl Timestamp {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            sec: reader.u32()?,
            usec: reader.u32()?,
        })
    }

    /// The time `micros` later, as seconds and microseconds. At most one second is
    /// carried, which is what the tool does with microseconds above a million.
    pub(super) fn later(self, micros: u32) -> (u64, u64) {
        let sec = u64::from(self.sec) + u64::from(micros / MICROS);
        let usec = u64::from(self.usec) + u64::from(micros % MICROS);
        if usec >= u64::from(MICROS) {
            (sec + 1, usec - u64::from(MICROS))
        } else {
            (sec, usec)
        }
    }

    /// `YYYY-MM-DD hh:mm:ss` in UTC. The tool prints local time here; a hub that
    /// collects from everywhere has none.
    pub(super) fn calendar(self) -> String {
        let (days, of_day) = (self.sec / 86_400, self.sec % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Days since 1970-01-01 to year, month, day. Years are counted from March, so that
/// the leap day is the last of its year and every month has a fixed offset.
fn civil(days: u32) -> (u32, u32, u32) {
    const DAYS_TO_1970_FROM_MARCH_OF_YEAR_ZERO: u32 = 719_468;
    let days = days + DAYS_TO_1970_FROM_MARCH_OF_YEAR_ZERO;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_of_known_seconds() {
        let calendar = |sec| Timestamp { sec, usec: 0 }.calendar();
        assert_eq!(calendar(0), "1970-01-01 00:00:00");
        assert_eq!(calendar(951_827_696), "2000-02-29 12:34:56");
        assert_eq!(calendar(1_700_000_000), "2023-11-14 22:13:20");
        assert_eq!(calendar(u32::MAX), "2106-02-07 06:28:15");
    }

    #[test]
    fn later_carries_one_second() {
        let at = |sec, usec| Timestamp { sec, usec };
        assert_eq!(at(1, 999_999).later(1_000), (2, 999));
        assert_eq!(at(1, 1_999_999).later(1_000), (2, 1_000_999));
        assert_eq!(at(u32::MAX, 0).later(u32::MAX), (4_294_971_589, 967_295));
    }
}
