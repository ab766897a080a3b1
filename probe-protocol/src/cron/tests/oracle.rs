//! Random schedules against other ways to find the same: another library, and counting by hand.

use chrono::TimeZone;
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;

use super::*;

/// One item of a list: `n`, `a-b`, with steps.
fn item(min: u32, max: u32) -> impl Strategy<Value = String> {
    let steps = if max == 7 { 6 } else { max };
    let pair = (min..=max, min..=max).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        (1..=steps).prop_map(|step| format!("*/{step}")),
        (min..=max).prop_map(|n| n.to_string()),
        pair.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        (pair, 1..=steps).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
    ]
}

fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let list = proptest::collection::vec(item(min, max), 1..4).prop_map(|items| items.join(","));
    prop_oneof![1 => Just("*".to_owned()), 3 => list]
}

fn any_cron() -> impl Strategy<Value = Cron> {
    let fields = (
        field(0, 59),
        field(0, 23),
        field(1, 31),
        field(1, 12),
        field(0, 7),
    );
    fields.prop_filter_map("never", |(a, b, c, d, e)| {
        format!("{a} {b} {c} {d} {e}").parse().ok()
    })
}

fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    // 1990 to 2110, past the missing leap day of 2100.
    (631_152_000i64..4_417_977_600, 0u32..1_000_000_000)
        .prop_map(|(second, nano)| Utc.timestamp_opt(second, nano).unwrap())
}

/// The oracle takes a day field that covers everything for a restriction; for us and crontab(5)'s readers it is `*`.
pub(super) fn oracle(cron: &Cron) -> croner::Cron {
    let mut fields: Vec<&str> = cron.as_str().split(' ').collect();
    if cron.days == EVERY_DAY {
        fields[2] = "*";
    }
    if cron.weekdays == EVERY_WEEKDAY {
        fields[4] = "*";
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
    parser.parse(&fields.join(" ")).unwrap()
}

fn matches(cron: &Cron, time: DateTime<Utc>) -> bool {
    cron.matches_day(time.date_naive()) && cron.matches_minute(time.hour() * 60 + time.minute())
}

proptest! {
    #[test]
    fn agrees_with_the_oracle_on_what_comes_next(cron in any_cron(), start in any_time()) {
        let oracle = oracle(&cron);
        let mut now = start;
        for _ in 0..5 {
            let expected = oracle.find_next_occurrence(&now, false).unwrap();
            let next = cron.next_after(now).unwrap();
            prop_assert_eq!(next, expected, "{} after {}", cron, now);
            now = next;
        }
    }

    #[test]
    fn agrees_with_the_oracle_on_how_many(cron in any_cron(), start in any_time(), seconds in 0i64..300_000) {
        let stop = start + Duration::seconds(seconds);
        let instants = oracle(&cron).iter_after(start).take_while(|&t| t < stop).count() as u64;
        prop_assert_eq!(cron.count_between(start, stop), instants);
    }

    #[test]
    fn agrees_with_counting_minutes(cron in any_cron(), start in any_time(), minutes in 0i64..6_000) {
        let first = minute_after(start).unwrap();
        let stop = start + Duration::minutes(minutes);
        let by_hand = (0..=minutes)
            .map(|n| first + Duration::minutes(n))
            .filter(|&t| t < stop && matches(&cron, t));
        prop_assert_eq!(cron.count_between(start, stop), by_hand.count() as u64);
    }

    #[test]
    fn counts_add_up(cron in any_cron(), mut times in [any_time(), any_time(), any_time()]) {
        times.sort();
        let [a, b, c] = times;
        let at_b = b == minute_after(b - Duration::nanoseconds(1)).unwrap() && matches(&cron, b);
        prop_assert_eq!(
            cron.count_between(a, b) + cron.count_between(b, c) + u64::from(at_b && a < b && b < c),
            cron.count_between(a, c)
        );
    }

    #[test]
    fn reads_anything_without_panic(text in "[-0-9*,/ a-z#@?LW\\PC]{0,40}") {
        if let Ok(cron) = text.parse::<Cron>() {
            prop_assert_eq!(cron.as_str().parse(), Ok(cron.clone()));
        }
    }
}
