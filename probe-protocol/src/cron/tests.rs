use super::*;

mod fuzz;
mod oracle;

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn reads_the_grammar_that_every_end_reads_alike() {
    for text in [
        "* * * * *",
        "0-59 0-23 1-31 1-12 0-7",
        "*/2,*/3 * * * *",
        "*/59 */23 */31 */12 */6",
        "00 09 01 02 03",
        "5,5,1-3,1-9/4 * * * *",
        "0 0 * JAN,feb-Apr Mon-fri",
        "0 0 * * 5-7",
        "0 0 * * 7-7",
        "0 0 * * sun",
        "0 0 31 1 *",
        "0 0 29 2 *",
        "0 0 30 2 mon",
        "9-9/3 * * * *",
    ] {
        assert_eq!(cron(text).as_str(), text);
        assert_eq!(cron(text).to_string().parse(), Ok(cron(text)));
    }
}

#[test]
fn blanks_between_fields_become_one() {
    assert_eq!(
        cron(" \t0  9\t10,20\n1 * ").as_str(),
        "0 9 10,20 1 *",
        "some cron readers stumble over other blanks"
    );
}

#[test]
fn refuses_what_some_end_reads_otherwise() {
    let fields = |text: &str| text.parse::<Cron>().unwrap_err();
    for text in [
        "",
        "* * * *",
        "* * * * * *",
        "0 0 12 * * *",
        "@hourly",
        "@reboot",
        "0 0 , * * *",
    ] {
        assert_eq!(fields(text), CronError::FieldCount, "{text}");
    }
    let all_fields = [&MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY];
    for (index, items) in [
        (
            0,
            "60 */60 */0 */ */-1 */1.5 5/15 0/10 5-1 59-60 5- -5 1-2-3 1-9/ , 1, ,1 1,,2 ? L l H 00000 +5 1.0 0x1 * /5 ** *-5 *,60 *,5 5,* *,* jan mon ٣ １ 99999999999",
        ),
        (1, "24 */24 5-1 22-2 0-24 ? 1/2 @"),
        (2, "0 00 0-5 32 */32 L l LW 15W L-3 ? 5/15 5-1 31-1 -1"),
        (3, "0 13 */13 jan/2 dec-jan 5-1 janu january ja mon 1-13 ?"),
        (
            4,
            "8 */7 */8 mon#1 1#1 5L L fri-mon 6-0 7-1 sat-sun 0-sun sun-Sun ? monday mo jan +MON mon/2 0-8",
        ),
    ] {
        for item in items.split(' ') {
            let mut text = ["*"; 5];
            text[index] = item;
            if item == "*" {
                continue;
            }
            assert_eq!(
                fields(&text.join(" ")),
                all_fields[index].error(),
                "{text:?}"
            );
        }
    }
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * 30-31 feb *"] {
        assert_eq!(fields(never), CronError::Never, "{never}");
    }
    let long = format!("{} * * * *", vec!["1"; 300].join(","));
    assert_eq!(fields(&long), CronError::TooLong);
    assert!(
        fields("0 0 0 * *")
            .to_string()
            .contains("day of month field must be")
    );
}

#[test]
fn every_value_listed_by_number_is_short_enough() {
    let list = |field: &Field| {
        let values: Vec<String> = (field.min..=field.max).map(|n| format!("{n:02}")).collect();
        values.join(",")
    };
    let text = [&MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY].map(list).join(" ");
    let every = cron("* * * * *");
    let now = time("2026-03-10T12:00:30Z");
    assert_eq!(cron(&text).next_after(now), every.next_after(now));
}

#[test]
fn travels_as_a_string() {
    let schedule: Cron = serde_json::from_str(r#""0  9 * * mon""#).unwrap();
    assert_eq!(
        serde_json::to_string(&schedule).unwrap(),
        r#""0 9 * * mon""#
    );
    for wrong in [r#""@daily""#, "5", "null", r#"["*"]"#] {
        assert!(serde_json::from_str::<Cron>(wrong).is_err(), "{wrong}");
    }
}

/// (now, cron, stop, instants between).
const COUNTS: &[(&str, &str, &str, u64)] = &[
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2026-03-10T12:01:00Z",
        0,
    ),
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2026-03-10T12:01:01Z",
        1,
    ),
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2026-03-10T12:10:00Z",
        9,
    ),
    (
        "2026-03-10T12:00:00Z",
        "* * * * *",
        "2026-03-10T12:10:00Z",
        9,
    ),
    (
        "2026-03-10T12:00:30Z",
        "*/5 * * * *",
        "2026-03-10T12:12:00Z",
        2,
    ),
    (
        "2026-03-10T12:00:30Z",
        "*/7 * * * *",
        "2026-03-10T14:00:00Z",
        17,
    ),
    (
        "2026-03-10T12:55:00Z",
        "*/7 * * * *",
        "2026-03-10T14:00:00Z",
        10,
    ),
    (
        "2026-03-10T08:00:00Z",
        "0 9,10 * * *",
        "2026-03-12T12:00:00Z",
        6,
    ),
    (
        "2026-03-10T09:30:00Z",
        "0 9,10 * * *",
        "2026-03-12T12:00:00Z",
        5,
    ),
    (
        "2026-03-10T12:00:00Z",
        "0 0 13 * 5",
        "2026-04-13T00:00:00Z",
        5,
    ),
    (
        "2026-01-31T12:00:00Z",
        "0 0 * * 1-5",
        "2026-02-09T00:00:00Z",
        5,
    ),
    (
        "2026-03-10T12:00:30Z",
        "0 12 29 2 *",
        "2032-03-01T00:00:00Z",
        2,
    ),
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2027-03-10T12:00:00Z",
        525_599,
    ),
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2026-03-10T12:00:30Z",
        0,
    ),
    (
        "2026-03-10T12:00:30Z",
        "* * * * *",
        "2020-01-01T00:00:00Z",
        0,
    ),
    (
        "2026-12-31T23:58:59.9Z",
        "* * * * *",
        "2027-01-01T00:00:00.000000001Z",
        2,
    ),
    (
        "2016-12-31T23:59:60.5Z",
        "* * * * *",
        "2017-01-01T00:01:00Z",
        1,
    ),
    (
        "1969-12-31T23:57:30Z",
        "* * * * *",
        "1970-01-01T00:01:00Z",
        3,
    ),
];

#[test]
fn counts_what_lies_strictly_between() {
    for &(now, text, stop, count) in COUNTS {
        let counted = cron(text).count_between(time(now), time(stop));
        assert_eq!(counted, count, "{text} from {now} to {stop}");
    }
}

#[test]
fn finds_the_next_instant() {
    for (now, text, next) in [
        ("2026-03-10T12:00:00Z", "* * * * *", "2026-03-10T12:01:00Z"),
        (
            "2026-03-10T11:59:59.999Z",
            "0 12 * * *",
            "2026-03-10T12:00:00Z",
        ),
        ("2026-12-31T23:59:00Z", "0 0 * * *", "2027-01-01T00:00:00Z"),
        (
            "2016-12-31T23:59:60.5Z",
            "0 0 * * *",
            "2017-01-01T00:00:00Z",
        ),
        ("2026-03-10T12:00:00Z", "0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("2096-02-29T00:00:00Z", "0 0 29 2 *", "2104-02-29T00:00:00Z"),
        (
            "2100-02-28T12:00:00Z",
            "0 0 */1 2,3 *",
            "2100-03-01T00:00:00Z",
        ),
        (
            "2026-03-10T12:00:00Z",
            "59 23 31 12 *",
            "2026-12-31T23:59:00Z",
        ),
        // Both day fields restricted: either will do; one that covers everything counts as '*'.
        ("2026-03-10T12:00:00Z", "0 0 13 * 1", "2026-03-13T00:00:00Z"),
        ("2026-03-14T00:00:00Z", "0 0 13 * 1", "2026-03-16T00:00:00Z"),
        (
            "2026-03-10T12:00:00Z",
            "0 0 1-31 * 1",
            "2026-03-16T00:00:00Z",
        ),
        (
            "2026-03-10T12:00:00Z",
            "0 0 20 * 0-7",
            "2026-03-20T00:00:00Z",
        ),
        (
            "2026-03-10T12:00:00Z",
            "0 0 30 2 mon",
            "2027-02-01T00:00:00Z",
        ),
    ] {
        assert_eq!(
            cron(text).next_after(time(now)),
            Some(time(next)),
            "{text} after {now}"
        );
    }
}

/// Counting to the calendar's end would not come back if it cost a step an instant, or a step a day per century.
#[test]
fn the_calendar_has_an_end_and_a_price() {
    let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    let every = cron("* * * * *");
    let minutes = (last - first).num_minutes().unsigned_abs();
    assert_eq!(every.count_between(first, last), minutes);
    assert_eq!(every.count_between(last, first), 0);
    assert_eq!(every.count_between(first, first), 0);
    assert_eq!(every.count_between(last, last), 0);
    assert_eq!(every.next_after(last), None);
    assert!(every.next_after(first).is_some());
    let leap = cron("0 0 29 2 *");
    assert_eq!(leap.next_after(last - Duration::days(1)), None);
    assert!(leap.next_after(first).is_some());
    let centuries = (time("2001-01-01T00:00:00Z"), time("9999-12-31T23:59:00Z"));
    let leap_years = (2001..9999).filter(|y| NaiveDate::from_ymd_opt(*y, 2, 29).is_some());
    assert_eq!(
        leap.count_between(centuries.0, centuries.1),
        leap_years.count() as u64
    );
}
