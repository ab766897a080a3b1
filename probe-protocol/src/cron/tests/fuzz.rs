//! Texts that somebody may take for a schedule: what is read, another library reads alike.

use ::fuzz::{Target, sort_of};

use super::{oracle::oracle, *};

const WORDS: &[&str] = &[
    "*", "*/", "-", ",", " ", "0", "7", "59", "23", "31", "12", "jan", "DEC", "sun", "Sat", "L",
    "W", "#", "?", "@daily", "30 2", "29 2", "*/60", "5/15", "\u{a0}", "\u{2003}",
];

/// Where to look for what comes next: an ordinary day, before a leap day, before a year without one.
const STARTS: [&str; 3] = [
    "2026-03-10T12:34:56Z",
    "2028-02-28T23:59:59.999999999Z",
    "2099-12-31T23:59:00Z",
];

/// What is counted, minutes: a month of two, with a day left over.
const COUNTED: i64 = 60 * 24 * 62;

#[test]
fn cron() {
    Target::new("cron").words(WORDS).run(|input| {
        let text = str::from_utf8(input).ok()?;
        let cron: Cron = match text.parse() {
            Ok(cron) => cron,
            Err(error) => return Some(sort_of(&error)),
        };
        assert_eq!(cron.as_str().parse(), Ok(cron.clone()));
        let json = serde_json::to_string(&cron).unwrap();
        assert_eq!(serde_json::from_str::<Cron>(&json).unwrap(), cron);
        let oracle = oracle(&cron);
        for start in STARTS.map(time) {
            let mut now = start;
            for _ in 0..2 {
                let expected = oracle.find_next_occurrence(&now, false).unwrap();
                now = cron.next_after(now).unwrap();
                assert_eq!(now, expected, "{cron} after {start}");
            }
            // Whatever lies between, the last one counted is the one before the end.
            assert_eq!(cron.count_between(start, now), 1);
        }
        let start = time(STARTS[0]);
        let stop = start + Duration::minutes(COUNTED);
        let restricted = [cron.days == EVERY_DAY, cron.weekdays == EVERY_WEEKDAY];
        let size = cron.count_between(start, stop).checked_ilog2();
        Some(format!("{restricted:?} {size:?}"))
    });
}
