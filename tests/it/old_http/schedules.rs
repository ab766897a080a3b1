//! When an operation at the old paths runs: the dialects of cron, of the stop time, and how often a minute; and in
//! which format its results are wanted.

use chrono::{DateTime, Datelike as _, TimeDelta, Timelike as _, Utc};
use serde_json::{Value, json};
use tests::{Trial, trials};

use super::bench::{Bench, stop_in};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        crons_that_all_ends_read_alike_are_taken,
        other_crons_are_400,
        stop_times_are_a_day_and_a_minute,
        other_stop_times_are_400,
        stop_times_may_lie_behind_but_not_beyond_a_year,
        times_per_minute_are_a_whole_number,
        formats_are_those_of_the_kind,
    ]
}

const INVALID: &str = "Invalid data provided";

/// As it is sent, and as the probe is told.
const CRONS: &[(&str, &str)] = &[
    ("* * * * *", "* * * * *"),
    ("*/5 * * * *", "*/5 * * * *"),
    ("0,30 8-18 * * *", "0,30 8-18 * * *"),
    ("0 0 1,15 * *", "0 0 1,15 * *"),
    ("*/2,*/3 * * * *", "*/2,*/3 * * * *"),
    ("10-50/10 * * * *", "10-50/10 * * * *"),
    ("0 0 * jan-mar *", "0 0 * jan-mar *"),
    ("0 0 * JAN,Dec *", "0 0 * JAN,Dec *"),
    ("0 0 * * mon", "0 0 * * mon"),
    ("0 0 * * MON-Fri", "0 0 * * MON-Fri"),
    ("0 0 * * 0", "0 0 * * 0"),
    ("0 0 * * 7", "0 0 * * 7"),
    ("0 0 * * 5-7", "0 0 * * 5-7"),
    ("05 08 * * *", "05 08 * * *"),
    ("0 0 28 2 *", "0 0 28 2 *"),
    ("0 0 13 * 5", "0 0 13 * 5"),
    // White space is collapsed: more of it is fatal to the old agents.
    (" * * * * *", "* * * * *"),
    ("* * * * * ", "* * * * *"),
    ("*  *   * * *", "* * * * *"),
    ("*\t* * *\t*", "* * * * *"),
];

async fn crons_that_all_ends_read_alike_are_taken() {
    let mut bench = Bench::new().await;
    let stop = stop_in(TimeDelta::days(366));
    for (cron, told) in CRONS {
        let change = json!({"cron": cron, "stop_time": stop});
        let answer = bench.ask("ping", &change).await;
        assert_eq!(answer.status, 201, "{cron:?}: {}", answer.text());
        let (made, assign) = bench.launch("ping", &change).await;
        assert_eq!(made["params"]["cron"], *cron);
        let schedule = assign.schedule.expect("a schedule");
        assert_eq!(schedule.cron.as_str(), *told);
    }
}

/// What one end or the other does not read, reads otherwise, or breaks at.
const OTHER_CRONS: &[&str] = &[
    "",
    " ",
    "*",
    "* * * *",
    "0 * * * * *",
    "* * * * * *",
    "@hourly",
    "@reboot",
    "0 0 L * *",
    "0 0 l * *",
    "0 0 * * L",
    "0 0 * * 5L",
    "0 0 * * mon#1",
    "0 0 15W * *",
    "0 0 ? * *",
    "*/60 * * * *",
    "* */24 * * *",
    "*/0 * * * *",
    "0 0 0 * *",
    "0 0 * 0 *",
    "5/15 * * * *",
    "5-1 * * * *",
    "60 * * * *",
    "0 24 * * *",
    "0 0 32 * *",
    "0 0 * 13 *",
    "0 0 * * 8",
    "-1 * * * *",
    "1.5 * * * *",
    "x * * * *",
    "0 0 * january *",
    "1, * * * *",
    ",1 * * * *",
    "1- * * * *",
    "H * * * *",
    "0 0 30 2 *",
    "0 0 31 4,6,9,11 *",
    "* * * * *\n* * * * * root id",
    "* * * * * root id",
    "* * * * *; touch F",
    "* * * * %",
];

async fn other_crons_are_400() {
    let bench = Bench::new().await;
    let wrong = OTHER_CRONS.iter().map(|text| json!(text));
    let other = [
        json!(5),
        json!(["* * * * *"]),
        json!({}),
        json!(true),
        Value::Null,
    ];
    for cron in wrong.chain(other) {
        let answer = bench.ask("ping", &json!({"cron": cron})).await;
        assert_eq!(answer.status, 400, "{cron}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
    let operations = bench.hub.number("select count(*) from operations").await;
    assert_eq!(operations, 0);
}

/// The parts of a time a month from now: day, month, year, hour and minute.
fn next_month() -> DateTime<Utc> {
    let time = Utc::now() + TimeDelta::days(30);
    time.with_second(0)
        .and_then(|time| time.with_nanosecond(0))
        .expect("a minute")
}

async fn stop_times_are_a_day_and_a_minute() {
    let mut bench = Bench::new().await;
    // A day and an hour of one digit, so that there is something to leave out.
    let time = next_month().with_day(7).and_then(|time| time.with_hour(3));
    let time = time.and_then(|time| time.with_minute(4)).expect("a time");
    let (day, month, year) = (time.day(), time.month(), time.year());
    for text in [
        format!("{day:02}/{month:02}/{year} 03:04"),
        format!("{day}/{month}/{year} 3:4"),
        format!("{day:02}/{month}/{year} 3:04"),
        format!("{day}/{month:02}/{year}   03:4"),
    ] {
        let answer = bench.ask("ping", &json!({"stop_time": text})).await;
        assert_eq!(answer.status, 201, "{text}: {}", answer.text());
        let (made, assign) = bench.launch("ping", &json!({"stop_time": text})).await;
        assert_eq!(made["params"]["stop_time"], text);
        let schedule = assign.schedule.expect("a schedule");
        assert_eq!(schedule.stop_time, time, "{text}");
    }
}

async fn other_stop_times_are_400() {
    let bench = Bench::new().await;
    let time = next_month();
    let (month, year) = (time.month(), time.year());
    let texts = [
        String::new(),
        " ".to_owned(),
        format!(" 07/{month:02}/{year} 10:00"),
        format!("07/{month:02}/{year} 10:00 "),
        format!("07/{month:02}/{year} 10:00\n"),
        format!("07/{month:02}/{year}"),
        format!("07/{month:02}/{year}10:00"),
        format!("07/{month:02}/{year}T10:00"),
        format!("07/{month:02}/{} 10:00", year % 100),
        format!("07/{month:02}/0{year} 10:00"),
        format!("07-{month:02}-{year} 10:00"),
        format!("{year}/{month:02}/07 10:00"),
        format!("{year}-{month:02}-07T10:00:00Z"),
        format!("07/{month:02}/{year} 10:00:00"),
        format!("07/{month:02}/{year} 10"),
        format!("07/{month:02}/{year} 24:00"),
        format!("07/{month:02}/{year} 10:60"),
        format!("07/{month:02}/{year} -1:00"),
        format!("07/{month:02}/{year} +1:00"),
        format!("007/{month:02}/{year} 10:00"),
        format!("0/{month:02}/{year} 10:00"),
        format!("32/{month:02}/{year} 10:00"),
        format!("07/0/{year} 10:00"),
        format!("07/13/{year} 10:00"),
        format!("30/02/{year} 10:00"),
        "29/02/2027 10:00".to_owned(),
        format!("31/04/{year} 10:00"),
        format!("07/jan/{year} 10:00"),
        format!("07/{month:02}/{year} 10:00'; touch F; '"),
        format!("07 /{month:02}/{year} 10:00"),
        "tomorrow".to_owned(),
    ];
    let wrong = texts.iter().map(|text| json!(text));
    let other = [
        json!(5),
        json!(1.8e9),
        json!([]),
        json!({}),
        json!(true),
        Value::Null,
    ];
    for stop in wrong.chain(other) {
        let answer = bench.ask("ping", &json!({"stop_time": stop})).await;
        assert_eq!(answer.status, 400, "{stop}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
}

async fn stop_times_may_lie_behind_but_not_beyond_a_year() {
    let mut bench = Bench::new().await;
    for (days, status) in [
        (-3650, 201),
        (-1, 201),
        (0, 201),
        (365, 201),
        (368, 400),
        (36_500, 400),
    ] {
        let stop = stop_in(TimeDelta::days(days));
        let answer = bench
            .ask("ping", &json!({"cron": "0 0 * * *", "stop_time": stop}))
            .await;
        assert_eq!(answer.status, status, "{stop}: {}", answer.text());
    }
    for text in ["01/01/1970 00:00", "01/01/1000 00:00"] {
        let change = json!({"stop_time": text, "times_per_minute": 3});
        let (made, assign) = bench.launch("ping", &change).await;
        assert_eq!(
            (made["credits"].as_i64(), assign.credits),
            (Some(3), 1),
            "{text}"
        );
        // What the probe is told has one instant ahead.
        let schedule = assign.schedule.expect("a schedule");
        let ahead = schedule.cron.count_between(Utc::now(), schedule.stop_time);
        assert_eq!(ahead, 1, "{schedule:?}");
        assert!(schedule.stop_time < Utc::now() + TimeDelta::minutes(3));
    }
    // A schedule without an instant before its stop has one too.
    let later = Utc::now() + TimeDelta::days(2);
    let cron = format!("0 0 {} {} *", later.day(), later.month());
    let never = json!({"cron": cron, "stop_time": stop_in(TimeDelta::minutes(5))});
    let (made, assign) = bench.launch("ping", &never).await;
    assert_eq!((&made["credits"], assign.credits), (&json!(1), 1));
    let answer = bench
        .ask("ping", &json!({"stop_time": "31/12/9999 23:59"}))
        .await;
    answer.expect_error(400, INVALID);
}

async fn times_per_minute_are_a_whole_number() {
    let mut bench = Bench::new().await;
    for (value, times) in [
        (json!(1), 1),
        (json!(1.0), 1),
        (json!(60), 60),
        (json!(60.0), 60),
        (json!(7), 7),
    ] {
        let (made, assign) = bench
            .launch("ping", &json!({"times_per_minute": value}))
            .await;
        assert_eq!(made["params"]["times_per_minute"], value);
        let schedule = assign.schedule.expect("a schedule");
        assert_eq!(schedule.times_per_minute.get(), times);
    }
    for value in [
        json!(0),
        json!(-1),
        json!(-100),
        json!(61),
        json!(0.5),
        json!(1.5),
        json!(60.1),
        json!(1e300),
        json!("5"),
        json!("1"),
        json!(""),
        json!(true),
        json!(false),
        json!([1]),
        json!({}),
        Value::Null,
    ] {
        let answer = bench.ask("ping", &json!({"times_per_minute": value})).await;
        assert_eq!(answer.status, 400, "{value}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
}

async fn formats_are_those_of_the_kind() {
    let bench = Bench::new().await;
    let ask = async |kind: &str, format: Option<Value>| {
        let mut order = bench.order(kind);
        match format {
            Some(format) => order["result_format"] = format,
            None => drop(
                order
                    .as_object_mut()
                    .expect("an order")
                    .remove("result_format"),
            ),
        }
        bench.post(kind, &order).await
    };
    for format in ["json", "dump"] {
        let made = ask("traceroute", Some(json!(format))).await.expect_old(201);
        assert_eq!(made["result_format"], format);
    }
    ask("traceroute", None).await.expect_error(400, INVALID);
    for wrong in [
        json!("xml"),
        json!("text"),
        json!(""),
        json!("JSON"),
        json!(5),
        json!(["json"]),
        Value::Null,
    ] {
        let answer = ask("traceroute", Some(wrong.clone())).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        answer.expect_error(400, INVALID);
    }
    // The frontend sends along what was chosen for traceroutes.
    for (kind, forced) in [("ping", "json"), ("dns", "text")] {
        for format in [
            None,
            Some(json!("json")),
            Some(json!("dump")),
            Some(json!("xml")),
        ] {
            let made = ask(kind, format).await.expect_old(201);
            assert_eq!(made["result_format"], forced);
        }
    }
}
