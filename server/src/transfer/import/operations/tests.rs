//! Operations as the old system left them, and the promises that what is made of them keeps.

use super::*;
use crate::transfer::import::notes::tests::Lines;
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};

mod anything;

/// 2026-03-10 12:00:30 UTC.
const CREATED: u32 = 1_773_144_030;

fn id(number: u8) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&CREATED.to_be_bytes());
    bytes[11] = number;
    ObjectId::from_bytes(bytes)
}

fn seconds_later(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::from(CREATED) + seconds, 0).unwrap()
}

/// Imported two minutes after it was created.
fn rules() -> Rules {
    Rules {
        policy: TargetPolicy::Any,
        grace: TimeDelta::minutes(5),
        now: seconds_later(120),
    }
}

/// What was made of one.
struct Made {
    operation: Option<(Operation, u32)>,
    assignments: Vec<Assignment>,
    ends: Vec<Option<DateTime<Utc>>>,
    rows: usize,
    results: Count,
    notes: Vec<String>,
}

fn made_by(document: &Document, rules: Rules) -> Made {
    let raw = RawDocumentBuf::from_bytes(bson::serialize_to_vec(document).unwrap()).unwrap();
    let known = Known {
        users: HashSet::from([id(1).into()]),
        probes: HashSet::from([id(2).into(), id(3).into()]),
    };
    let mut lines = Lines::default();
    let (records, results) = convert(&raw, &known, rules, &mut Notes::to(&mut lines));
    let mut made = Made {
        operation: None,
        assignments: Vec::new(),
        ends: Vec::new(),
        rows: 0,
        results,
        notes: lines.0,
    };
    for record in records {
        match record {
            Record::Operation {
                operation,
                open_assignments,
            } => made.operation = Some((*operation, open_assignments)),
            Record::Assignment {
                assignment,
                created_at,
                ends_at,
            } => {
                assert_eq!(created_at, seconds_later(0));
                made.assignments.push(assignment);
                made.ends.push(ends_at);
            }
            Record::Result { .. } => made.rows += 1,
            _ => panic!("another record"),
        }
    }
    made.check();
    made
}

fn made(document: &Document) -> Made {
    made_by(document, rules())
}

impl Made {
    fn kept(&self) -> &Operation {
        &self.operation.as_ref().expect("it is taken").0
    }

    fn states(&self) -> Vec<AssignmentState> {
        self.assignments.iter().map(|it| it.state).collect()
    }

    /// What a store promises.
    fn check(&self) {
        let Some((operation, open)) = &self.operation else {
            assert_eq!((self.assignments.len(), self.rows), (0, 0));
            return;
        };
        let plan = &operation.plan;
        let runs: i64 = self
            .assignments
            .iter()
            .map(|it| i64::from(it.planned_runs))
            .sum();
        assert_eq!(operation.charged, i64::from(plan.run_price) * runs);
        let stored: u64 = self
            .assignments
            .iter()
            .map(|it| u64::from(it.results))
            .sum();
        assert_eq!((operation.last_seq, self.rows as u64), (stored, stored));
        assert!(plan.planned_runs >= 1 && plan.closes_at >= plan.expires_at);
        let is_open = |it: &&Assignment| !it.state.is_ended();
        assert_eq!(
            *open as usize,
            self.assignments.iter().filter(is_open).count()
        );
        assert_eq!(*open == 0, operation.ended_at.is_some());
        for (assignment, ends_at) in self.assignments.iter().zip(&self.ends) {
            assert!(assignment.results <= assignment.planned_runs);
            assert_eq!(assignment.ended_at.is_some(), assignment.state.is_ended());
            let ends = is_open(&assignment).then_some(plan.closes_at);
            assert_eq!(*ends_at, ends);
        }
    }
}

/// Runs every minute until 12:10, that is nine times, on two probes.
fn ping(params: Document) -> Document {
    let mut all = doc! {
        "fqdns": ["example.org"], "cron": "* * * * *", "times_per_minute": 1, "stop_time": "10/03/2026 12:10",
    };
    all.extend(params);
    doc! {
        "_id": id(9), "operation": "ping", "params": all, "probes": [id(3), id(2)], "owner": id(1), "credits": 18.0,
        "result_format": "json",
    }
}

fn result(probe: u8, code: &str) -> Bson {
    let record = doc! { "type": "ping", "start": { "sec": i64::from(CREATED) + 45 } };
    doc! { "probe": id(probe), "unique_code": code, "results": [record] }.into()
}

fn with(mut document: Document, change: Document) -> Document {
    document.extend(change);
    document
}

#[test]
fn what_runs_goes_on() {
    let ping = ping(doc! { "ips": ["192.0.2.1"], "size": "64", "colour": [1] });
    let made = made(&with(
        ping,
        doc! { "credits": 36, "results": [result(2, "a")] },
    ));
    assert_eq!(made.notes, Vec::<String>::new());
    assert_eq!(made.states(), [AssignmentState::Accepted; 2]);
    let operation = made.kept();
    assert_eq!((operation.charged, operation.ended_at), (36, None));
    let plan = &operation.plan;
    assert_eq!((plan.run_price, plan.planned_runs), (2, 9));
    assert_eq!(plan.params, json!({ "size": 64 }));
    assert_eq!(plan.targets.len(), 2);
    assert_eq!(plan.expires_at, seconds_later(570));
    assert_eq!(plan.closes_at, seconds_later(870));
    let sent = plan.as_sent.as_ref().unwrap();
    assert_eq!(
        (&sent["size"], &sent["colour"]),
        (&json!("64"), &json!([1]))
    );
    let first = &made.assignments[0];
    assert_eq!((first.probe, first.results), (id(2).into(), 1));
    assert_eq!(first.accepted_at, Some(seconds_later(0)));
}

#[test]
fn what_is_over_is_finished() {
    let over = doc! { "stop_time": "10/03/2026 12:02" };
    let made = made(&with(
        ping(over),
        doc! { "credits": 2, "results": [result(2, "a")] },
    ));
    assert_eq!(made.notes, Vec::<String>::new());
    assert_eq!(made.states(), [AssignmentState::Finished; 2]);
    let operation = made.kept();
    assert_eq!(operation.ended_at, Some(seconds_later(90)));
    assert_eq!(operation.plan.closes_at, seconds_later(390));
    assert_eq!(operation.charged, 2);
    // It was over before it was created, and is all the same.
    let past = made_by(
        &with(
            ping(doc! { "stop_time": "10/03/2020 12:00" }),
            doc! { "credits": 2 },
        ),
        Rules {
            now: seconds_later(86_400),
            ..rules()
        },
    );
    assert_eq!(past.states(), [AssignmentState::Finished; 2]);
}

#[test]
fn what_no_probe_would_be_sent_is_kept_and_ends() {
    for params in [
        doc! { "dport": "1'; touch F; echo '" },
        doc! { "ips": ["127.0.0.1; touch F"] },
        doc! { "ips": "1.1.1.1" },
        doc! { "times_per_minute": 0 },
        doc! { "cron": "*/60 * * * *" },
        doc! { "fqdns": ["example.org", "example.org"] },
    ] {
        let made = made(&ping(params.clone()));
        assert!(
            made.notes[0].contains("not over"),
            "{params}: {:?}",
            made.notes
        );
        let operation = made.kept();
        assert_eq!(operation.ended_at, Some(rules().now), "{params}");
        assert_eq!(operation.plan.params, json!({}), "{params}");
        // Nothing that comes later counts.
        for assignment in &made.assignments {
            let closes_at = operation
                .plan
                .schedule
                .as_ref()
                .map(|_| operation.plan.closes_at);
            let later = crate::domain::admission::admit(assignment, closes_at, seconds_later(121));
            assert!(later.is_err(), "{params}");
        }
        let sent = operation.plan.as_sent.as_ref().unwrap();
        for (name, value) in &params {
            let document = bson::serialize_to_vec(&doc! { "v": value }).unwrap();
            let raw = RawDocumentBuf::from_bytes(document).unwrap();
            let value = raw::json(raw.get("v").unwrap().unwrap()).unwrap();
            assert_eq!(sent[name], value, "{params}");
        }
    }
    let public = Rules {
        policy: TargetPolicy::Public,
        ..rules()
    };
    let inside = ping(doc! { "ips": ["10.0.0.1"] });
    assert!(made(&inside).kept().ended_at.is_none());
    assert_eq!(
        made_by(&inside, public).states(),
        [AssignmentState::Finished; 2]
    );
}

#[test]
fn prices_are_those_that_were_paid_as_far_as_they_can_be() {
    for (params, credits, charged) in [
        (doc! {}, Bson::Int32(18), 18),
        // Priced by the first gap: less than what runs.
        (doc! {}, Bson::Double(2.8), 18),
        // And more: the rest is not given back.
        (doc! {}, Bson::Int32(400), 400),
        (doc! { "times_per_minute": -100 }, Bson::Double(-900.0), 2),
        (doc! { "times_per_minute": 0 }, Bson::Int32(0), 2),
        (doc! { "ips": "1.1.1.1" }, Bson::Int32(144), 144),
        (doc! { "fqdns": Bson::Null }, Bson::Int32(7), 0),
        (
            doc! { "stop_time": "10/03/2026 12:01" },
            Bson::Double(2.8),
            2,
        ),
        (
            doc! { "stop_time": "10/03/2026 12:01" },
            Bson::Double(3.2),
            4,
        ),
        (doc! {}, Bson::String("18".into()), 18),
    ] {
        let made = made(&with(
            ping(params.clone()),
            doc! { "credits": credits.clone() },
        ));
        assert_eq!(made.kept().charged, charged, "{params} {credits}");
        let is_same = match credits {
            Bson::Int32(credits) => i64::from(credits) == charged,
            Bson::Double(credits) => credits == charged as f64,
            _ => false,
        };
        let is_noted = made.notes.iter().any(|note| note.contains("cost"));
        assert_eq!(is_noted, !is_same, "{params} {credits}: {:?}", made.notes);
    }
    let results: Vec<Bson> = (0..5).map(|code| result(2, &code.to_string())).collect();
    let over = ping(doc! { "stop_time": "10/03/2026 12:02" });
    let made = made(&with(over, doc! { "credits": 2, "results": results }));
    assert_eq!(made.kept().charged, 6);
    let beyond = "x".repeat(1_000_000);
    let beyond = with(
        ping(doc! { "ips": beyond }),
        doc! { "credits": 1e300, "operation": "traceroute" },
    );
    assert!(made_by(&beyond, rules()).kept().charged > 0);
}

#[test]
fn probes_that_are_gone_are_left_out() {
    let made = made(&with(
        ping(doc! {}),
        doc! { "probes": [id(2), id(7), id(2), "x"], "credits": 36 },
    ));
    assert_eq!(made.assignments.len(), 1);
    assert!(
        made.notes[0].contains("3 of its 4 probes"),
        "{:?}",
        made.notes
    );
    assert_eq!(made.kept().charged, 9);
    for probes in [
        Bson::Array(vec![]),
        Bson::Null,
        Bson::Array(vec![id(7).into()]),
    ] {
        let made = super::tests::made(&with(
            ping(doc! {}),
            doc! { "probes": probes, "results": [result(2, "a")] },
        ));
        assert_eq!((made.assignments.len(), made.results.left), (0, 1));
        assert!(made.kept().ended_at.is_some());
    }
}

#[test]
fn formats_and_kinds_are_known_ones() {
    let trace = |format| {
        with(
            ping(doc! {}),
            doc! { "operation": "traceroute", "result_format": format },
        )
    };
    for (document, format, word) in [
        (trace("json"), ResultFormat::Json, "json"),
        (trace("dump"), ResultFormat::Dump, "dump"),
        (trace("xml"), ResultFormat::Json, "json"),
        (
            with(
                ping(doc! {}),
                doc! { "operation": "dns", "result_format": "text" },
            ),
            ResultFormat::Json,
            "text",
        ),
    ] {
        let made = made(&document);
        let plan = &made.kept().plan;
        assert_eq!(plan.result_format, format);
        assert_eq!(crate::old_words::result_format(plan.kind, format), word);
    }
    for change in [
        doc! { "operation": "curl" },
        doc! { "operation": Bson::Null },
        doc! { "owner": id(7) },
        doc! { "_id": 5 },
    ] {
        let made = made(&with(
            ping(doc! {}),
            with(change, doc! { "results": [1, 2] }),
        ));
        assert!(made.operation.is_none());
        assert_eq!((made.results.found, made.results.left), (2, 2));
        assert!(made.notes[0].contains("not taken"), "{:?}", made.notes);
    }
}

#[test]
fn parameters_may_be_anything() {
    let mut deep = Bson::Null;
    for _ in 0..80 {
        deep = Bson::Array(vec![deep]);
    }
    for (params, is_shown) in [
        (Bson::Null, true),
        (Bson::String("x".into()), true),
        (doc! { "a.b": id(1), "$c": f64::NAN }.into(), true),
        (
            doc! { "fqdns": ["example.org"], "x": "x".repeat(70_000) }.into(),
            false,
        ),
        (doc! { "fqdns": ["example.org"], "x": deep }.into(), false),
    ] {
        let made = made(&with(ping(doc! {}), doc! { "params": params.clone() }));
        let plan = &made.kept().plan;
        assert_eq!(plan.as_sent.is_some(), is_shown);
        assert_eq!(
            made.notes.iter().any(|note| note.contains("parameters")),
            !is_shown
        );
        assert!(crate::old_words::params(plan).is_object());
    }
}
