//! The old way to write a time: `day/month/year hour:minute` in UTC.

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Timelike as _, Utc};

/// Reads a time. All but the year may lack a leading zero; between date and time of day are one or more blanks, around
/// them none.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.split_once(char::is_whitespace)?;
    let (hour, minute) = time.trim_start().split_once(':')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    // There was no year 0.
    let year = number(year).filter(|year| *year > 0)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, short(month)?, short(day)?)?;
    let time = date.and_hms_opt(short(hour)?, short(minute)?, 0)?;
    Some(time.and_utc())
}

/// One digit or two.
fn short(text: &str) -> Option<u32> {
    (text.len() <= 2).then(|| number(text)).flatten()
}

fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

/// Writes a time; one within a minute becomes the end of that minute, so that nothing that lies before it is lost.
pub(crate) fn show(time: DateTime<Utc>) -> String {
    full_minute(time).format("%d/%m/%Y %H:%M").to_string()
}

/// The first full minute that does not lie before this time.
pub(crate) fn full_minute(time: DateTime<Utc>) -> DateTime<Utc> {
    let begun = time
        .with_second(0)
        .and_then(|time| time.with_nanosecond(0))
        .unwrap_or(time);
    if begun == time {
        return time;
    }
    begun
        .checked_add_signed(TimeDelta::minutes(1))
        .unwrap_or(time)
}

/// The cron expression whose only instant within a year is this full minute.
pub(crate) fn cron_of(minute: DateTime<Utc>) -> String {
    let (day, month) = (minute.day(), minute.month());
    format!("{} {} {day} {month} *", minute.minute(), minute.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_the_old_one() {
        let read = |text| parse(text).map(|time| time.to_rfc3339());
        for (text, expected) in [
            ("10/03/2026 12:01", "2026-03-10T12:01:00+00:00"),
            ("1/2/2026 3:4", "2026-02-01T03:04:00+00:00"),
            ("29/02/2028   23:59", "2028-02-29T23:59:00+00:00"),
            ("01/01/2026\t00:00", "2026-01-01T00:00:00+00:00"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            " 10/03/2026 12:01",
            "10/03/2026 12:01 ",
            "10/03/2026",
            "10/03/202612:01",
            "10/03/26 12:01",
            "10/03/02026 12:01",
            "29/02/2026 12:00",
            "31/04/2026 12:00",
            "00/01/2026 12:00",
            "10/13/2026 12:00",
            "10/03/0000 12:00",
            "10/03/2026 24:00",
            "10/03/2026 12:60",
            "10/03/2026 12:01:00",
            "010/03/2026 12:01",
            "10/03/2026 012:01",
            "+1/03/2026 12:01",
            "10/03/2026 :01",
            "10/03/2026/1 12:01",
            "2026-03-10T12:01:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let time = parse("10/03/2026 12:01").unwrap();
        assert_eq!(show(time), "10/03/2026 12:01");
        assert_eq!(show(time + TimeDelta::milliseconds(1)), "10/03/2026 12:02");
        assert_eq!(full_minute(time - TimeDelta::seconds(59)), time);
    }
}
