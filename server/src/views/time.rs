//! Times in answers: RFC 3339 as `chrono` writes them, with as many digits of a second as there are, but without its
//! formatter, which goes from character to character and was a tenth of the work on a long list.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::{Serialize as _, Serializer};

/// The usual form: `2026-11-21T22:32:51.695Z`.
const LENGTH: usize = 24;

/// Writes a time.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn write<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    match usual(time).as_ref().map(|text| str::from_utf8(text)) {
        Some(Ok(text)) => serializer.serialize_str(text),
        _ => time.serialize(serializer),
    }
}

/// Writes a time, or null.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn write_some<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// A time of whole milliseconds that are no whole second, in a year of four digits; others are rare.
fn usual(time: &DateTime<Utc>) -> Option<[u8; LENGTH]> {
    let year = u32::try_from(time.year())
        .ok()
        .filter(|year| *year <= 9999)?;
    let (millis, rest) = (time.nanosecond() / 1_000_000, time.nanosecond() % 1_000_000);
    if rest != 0 || !(1..1000).contains(&millis) {
        return None;
    }
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0..4, year),
        (5..7, time.month()),
        (8..10, time.day()),
        (11..13, time.hour()),
        (14..16, time.minute()),
        (17..19, time.second()),
        (20..23, millis),
    ];
    for (place, mut number) in parts {
        for digit in text.get_mut(place)?.iter_mut().rev() {
            // Below ten.
            *digit += (number % 10) as u8;
            number /= 10;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(time: DateTime<Utc>) -> String {
        let mut text = Vec::new();
        write(&time, &mut serde_json::Serializer::new(&mut text)).unwrap();
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn times_are_written_as_chrono_writes_them(ms in -99_999_999_999_999_i64..999_999_999_999_999, ns in 0..2_000_000_000_u32) {
            let whole = DateTime::from_timestamp_millis(ms).unwrap();
            for time in [Some(whole), whole.with_nanosecond(ns), whole.with_nanosecond(0), whole.with_nanosecond(1_250_000_000)] {
                let Some(time) = time else { continue };
                prop_assert_eq!(written(time), serde_json::to_string(&time).unwrap());
            }
        }
    }

    #[test]
    fn the_usual_form_is_the_usual_one() {
        let time = DateTime::from_timestamp_millis(1_795_300_371_695).unwrap();
        assert_eq!(usual(&time).unwrap(), *b"2026-11-21T22:32:51.695Z");
        assert_eq!(usual(&DateTime::UNIX_EPOCH), None);
        let mut text = Vec::new();
        write_some(&None, &mut serde_json::Serializer::new(&mut text)).unwrap();
        assert_eq!(text, b"null");
    }
}
