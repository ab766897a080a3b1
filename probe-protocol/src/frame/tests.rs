use bson::{Bson, doc};

use super::*;
use crate::Kind;

mod bytes;
mod fuzz;
mod roundtrip;

const OPERATION: &str = "0123456789abcdef01234567";

fn operation() -> OperationId {
    OPERATION.parse().unwrap()
}

fn code(text: &str) -> ResultCode {
    text.to_owned().try_into().unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn result() -> RunResult {
    RunResult {
        operation: operation(),
        code: code("r-1"),
        format: ContentFormat::Gzip,
        content: ByteBuf::from(vec![0x1f, 0x8b, 0, 0xff]),
        started_at: time("2026-03-10T12:00:00Z"),
        finished_at: time("2026-03-10T12:00:01.500Z"),
    }
}

/// Every reason but `Other`, with its word.
const REJECTIONS: &[(Rejection, &str)] = &[
    (Rejection::UnknownOperation, "unknown_operation"),
    (Rejection::NotAssigned, "not_assigned"),
    (Rejection::Cancelled, "cancelled"),
    (Rejection::OverPlan, "over_plan"),
    (Rejection::AfterStop, "after_stop"),
];

fn rejected(reason: Rejection) -> HubFrame {
    HubFrame::Rejected {
        operation: operation(),
        code: code("r-1"),
        reason,
    }
}

#[test]
fn the_words_of_rejections() {
    for &(reason, word) in REJECTIONS {
        let json = format!(
            r#"{{"type":"rejected","operation":"{OPERATION}","code":"r-1","reason":"{word}"}}"#
        );
        bytes::hub_text(&rejected(reason), &json);
    }
    let newer =
        format!(r#"{{"type":"rejected","operation":"{OPERATION}","code":"r-1","reason":"newer"}}"#);
    assert_eq!(
        HubFrame::from_text(&newer).unwrap(),
        rejected(Rejection::Other)
    );
}

#[test]
fn what_stands_for_the_unknown_is_never_sent() {
    assert!(rejected(Rejection::Other).to_text().is_err());
    assert!(HubFrame::Unknown.to_text().is_err());
    assert!(ProbeFrame::Unknown.encode().is_err());
}

#[test]
fn an_unknown_type_is_no_error() {
    let json = r#"{"a":[1,{"b":null}],"type":"newer","operation":5}"#;
    assert_eq!(ProbeFrame::from_text(json).unwrap(), ProbeFrame::Unknown);
    assert_eq!(HubFrame::from_text(json).unwrap(), HubFrame::Unknown);
    let every_type = doc! {
        "a": [1, 2_i64, 2.5, Bson::Null, true, "x", doc! {}, [[]]],
        "b": bson::oid::ObjectId::new(),
        "c": bson::DateTime::now(),
        "d": bson::Timestamp { time: 1, increment: 2 },
        "e": bson::Decimal128::from_bytes([0; 16]),
        "f": Bson::JavaScriptCode("f()".into()),
        "g": Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code: "f()".into(), scope: doc! {"x": 1} }),
        "h": Bson::MinKey,
        "i": Bson::Undefined,
        "j": Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![0; 16] }),
        "type": "newer",
    };
    let bytes = every_type.to_vec().unwrap();
    assert_eq!(
        ProbeFrame::from_binary(&bytes).unwrap(),
        ProbeFrame::Unknown
    );
    assert_eq!(HubFrame::from_binary(&bytes).unwrap(), HubFrame::Unknown);
}

#[test]
fn unknown_fields_and_kinds_are_passed_over() {
    let json = r#"{"new":{"x":[1]},"type":"hello","agent":"a","version":"9","capabilities":["dns","http","ping"],"total_credits":5}"#;
    let hello = Hello {
        agent: "a".into(),
        version: "9".into(),
        capabilities: vec![Kind::Dns, Kind::Ping],
        total_credits: 5,
        in_use_credits: 0,
        assignments: Vec::new(),
    };
    assert_eq!(
        ProbeFrame::from_text(json).unwrap(),
        ProbeFrame::Hello(hello.clone())
    );
    let document = doc! {
        "total_credits": 5_i64, "new": 1, "capabilities": ["dns", "http", "ping"], "version": "9", "agent": "a",
        "type": "hello",
    };
    let bytes = document.to_vec().unwrap();
    assert_eq!(
        ProbeFrame::from_binary(&bytes).unwrap(),
        ProbeFrame::Hello(hello)
    );
}

#[test]
fn numbers_of_bson_are_held_to_their_range() {
    let status = |credits: Bson, dropped: Bson| {
        let document = doc! {
            "type": "status", "in_use_credits": credits, "running": 0, "spooled": 0_i64, "dropped": dropped,
        };
        ProbeFrame::from_binary(&document.to_vec().unwrap())
    };
    let largest = u64::try_from(i64::MAX).unwrap();
    assert_eq!(
        status(Bson::Int64(5), Bson::Int64(i64::MAX)).unwrap(),
        ProbeFrame::Status {
            in_use_credits: 5,
            running: 0,
            spooled: 0,
            dropped: largest
        }
    );
    for (credits, dropped) in [
        (Bson::Int32(-1), Bson::Int32(0)),
        (Bson::Int64(1 << 32), Bson::Int32(0)),
        (Bson::Double(5.0), Bson::Int32(0)),
        (Bson::Double(f64::NAN), Bson::Int32(0)),
        (Bson::String("5".into()), Bson::Int32(0)),
        (Bson::Int32(0), Bson::Int64(-1)),
    ] {
        assert!(
            status(credits.clone(), dropped.clone()).is_err(),
            "{credits} {dropped}"
        );
    }
}

#[test]
fn what_is_no_frame_is_an_error() {
    for json in [
        "",
        "{}",
        "[]",
        "null",
        "5",
        "\"hello\"",
        "{\"type\":null}",
        "{\"type\":5}",
        "{\"type\":[]}",
        r#"{"type":"time"}"#,
        r#"{"type":"time","hub_sent":1.5,"received":1,"sent":1}"#,
        r#"{"type":"time","hub_sent":9223372036854775808,"received":1,"sent":1}"#,
        r#"{"type":"finished","operation":"0123"}"#,
        r#"{"type":"finished","type":"finished","operation":"0123456789abcdef01234567"}"#,
        r#"{"operation":"0123456789abcdef01234567"}"#,
        r#"{"type":"unknown","a":}"#,
        r#"{"type":"unknown"} {}"#,
    ] {
        assert!(ProbeFrame::from_text(json).is_err(), "{json}");
    }
    for document in [
        doc! {},
        doc! {"operation": OPERATION},
        doc! {"type": 1},
        doc! {"type": Bson::Null},
        doc! {"type": "finished", "operation": bson::oid::ObjectId::new()},
    ] {
        assert!(
            ProbeFrame::from_binary(&document.to_vec().unwrap()).is_err(),
            "{document}"
        );
    }
    let mut trailing = doc! {"type": "newer"}.to_vec().unwrap();
    trailing.push(0);
    assert!(ProbeFrame::from_binary(&trailing).is_err());
}

#[test]
fn a_frame_that_is_too_long_is_refused_both_ways() {
    let blanks = " ".repeat(MAX_FRAME + 1);
    assert!(matches!(
        ProbeFrame::from_text(&blanks),
        Err(FrameError::TooLong(_))
    ));
    assert!(matches!(
        HubFrame::from_binary(blanks.as_bytes()),
        Err(FrameError::TooLong(_))
    ));
    let reason = "x".repeat(MAX_FRAME);
    let refused = ProbeFrame::Refused {
        operation: operation(),
        reason: reason.clone(),
    };
    assert!(matches!(refused.encode(), Err(FrameError::TooLong(_))));
    let error = HubFrame::Error { message: reason };
    assert!(matches!(error.to_text(), Err(FrameError::TooLong(_))));
    let mut big = result();
    big.content = ByteBuf::from(vec![0; MAX_FRAME]);
    assert!(matches!(
        ProbeFrame::Result(big.clone()).encode(),
        Err(FrameError::TooLong(_))
    ));
    big.content = ByteBuf::from(vec![0; MAX_FRAME - 300]);
    assert!(ProbeFrame::Result(big).encode().is_ok());
}

/// Without a limit, 20,000 levels overflow the stack, which ends the process.
#[test]
fn deep_nesting_is_refused() {
    let nest = |levels: usize, kind: u8| {
        let innermost = vec![5, 0, 0, 0, 0];
        (1..levels).fold(innermost, |inner, _| {
            let length = u32::try_from(inner.len() + 8).unwrap();
            [&length.to_le_bytes()[..], &[kind, b'0', 0], &inner, &[0]].concat()
        })
    };
    for kind in [3, 4] {
        let error = ProbeFrame::from_binary(&nest(MAX_DEPTH, kind)).unwrap_err();
        assert!(matches!(error, FrameError::Bson(_)), "{error}");
        for levels in [MAX_DEPTH + 1, 20_000] {
            let error = ProbeFrame::from_binary(&nest(levels, kind)).unwrap_err();
            assert!(matches!(error, FrameError::TooDeep), "{error}");
        }
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let json = format!(
            "{{\"type\":\"x\",\"a\":{}0{}}}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        assert!(matches!(
            ProbeFrame::from_text(&json),
            Err(FrameError::Json(_))
        ));
    }
}

#[test]
fn an_error_quotes_little_of_what_was_sent() {
    let json = format!(
        r#"{{"type":"finished","operation":{{"{}":1}}}}"#,
        "x".repeat(100_000)
    );
    assert!(ProbeFrame::from_text(&json).unwrap_err().to_string().len() < 400);
    let json = format!(r#"{{"type":"time","hub_sent":"{}"}}"#, "é".repeat(100_000));
    let error = ProbeFrame::from_text(&json).unwrap_err().to_string();
    assert!((300..700).contains(&error.len()), "{error}");
}
