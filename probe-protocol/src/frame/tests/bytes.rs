//! The bytes on the wire are the contract with agents that nobody can update: both ways, field by field.

use super::*;
use crate::{Kind, Limits, TargetPolicy};

fn probe_text(frame: &ProbeFrame, json: &str) {
    assert_eq!(frame.encode().unwrap(), Payload::Text(json.to_owned()));
    assert_eq!(&ProbeFrame::from_text(json).unwrap(), frame);
}

pub(super) fn hub_text(frame: &HubFrame, json: &str) {
    assert_eq!(frame.to_text().unwrap(), json);
    assert_eq!(&HubFrame::from_text(json).unwrap(), frame);
}

#[test]
fn the_bytes_of_the_probe() {
    probe_text(
        &ProbeFrame::Hello(Hello {
            agent: "pladmed-probe".into(),
            version: "0.1.0".into(),
            capabilities: vec![Kind::Ping, Kind::Traceroute, Kind::Dns],
            total_credits: 121,
            in_use_credits: 15,
            assignments: vec![operation()],
        }),
        r#"{"type":"hello","agent":"pladmed-probe","version":"0.1.0","capabilities":["ping","traceroute","dns"],"total_credits":121,"in_use_credits":15,"assignments":["0123456789abcdef01234567"]}"#,
    );
    probe_text(
        &ProbeFrame::Accepted {
            operation: operation(),
        },
        r#"{"type":"accepted","operation":"0123456789abcdef01234567"}"#,
    );
    probe_text(
        &ProbeFrame::Refused {
            operation: operation(),
            reason: "no room".into(),
        },
        r#"{"type":"refused","operation":"0123456789abcdef01234567","reason":"no room"}"#,
    );
    probe_text(
        &ProbeFrame::Finished {
            operation: operation(),
        },
        r#"{"type":"finished","operation":"0123456789abcdef01234567"}"#,
    );
    probe_text(
        &ProbeFrame::Status {
            in_use_credits: 15,
            running: 1,
            spooled: 2,
            dropped: u64::MAX,
        },
        r#"{"type":"status","in_use_credits":15,"running":1,"spooled":2,"dropped":18446744073709551615}"#,
    );
    probe_text(
        &ProbeFrame::Time {
            hub_sent: 1,
            received: -2,
            sent: i64::MAX,
        },
        r#"{"type":"time","hub_sent":1,"received":-2,"sent":9223372036854775807}"#,
    );
}

#[test]
fn a_result_travels_as_bson() {
    let frame = ProbeFrame::Result(result());
    let Payload::Binary(bytes) = frame.encode().unwrap() else {
        panic!("a result must be binary");
    };
    let content = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: vec![0x1f, 0x8b, 0, 0xff],
    };
    let expected = doc! {
        "type": "result",
        "operation": OPERATION,
        "code": "r-1",
        "format": "gzip",
        "content": content,
        "started_at": "2026-03-10T12:00:00Z",
        "finished_at": "2026-03-10T12:00:01.500Z",
    };
    assert_eq!(bson::Document::from_reader(&bytes[..]).unwrap(), expected);
    assert_eq!(ProbeFrame::from_binary(&bytes).unwrap(), frame);
    let text = r#"{"content":[31,139,0,255],"code":"r-1","operation":"0123456789ABCDEF01234567","format":"gzip","started_at":"2026-03-10T13:00:00+01:00","finished_at":"2026-03-10T12:00:01.5Z","type":"result"}"#;
    assert_eq!(ProbeFrame::from_text(text).unwrap(), frame);
}

#[test]
fn the_bytes_of_the_hub() {
    hub_text(
        &HubFrame::Welcome(Welcome {
            probe: OPERATION.parse().unwrap(),
            session: 7,
            instance: "hub-1".into(),
            hub_time: time("2026-03-10T12:00:00Z"),
            limits: Limits {
                max_frame: 4_194_304,
                max_unanswered: 64,
                heartbeat_s: 30,
                target_policy: TargetPolicy::Public,
            },
        }),
        r#"{"type":"welcome","probe":"0123456789abcdef01234567","session":7,"instance":"hub-1","hub_time":"2026-03-10T12:00:00Z","limits":{"max_frame":4194304,"max_unanswered":64,"heartbeat_s":30,"target_policy":"public"}}"#,
    );
    hub_text(
        &HubFrame::Cancel {
            operation: operation(),
        },
        r#"{"type":"cancel","operation":"0123456789abcdef01234567"}"#,
    );
    hub_text(
        &HubFrame::Closed {
            operation: operation(),
        },
        r#"{"type":"closed","operation":"0123456789abcdef01234567"}"#,
    );
    hub_text(
        &HubFrame::Stored {
            operation: operation(),
            codes: vec![code("r-1"), code("r-2")],
        },
        r#"{"type":"stored","operation":"0123456789abcdef01234567","codes":["r-1","r-2"]}"#,
    );
    hub_text(&HubFrame::Time { sent: 1 }, r#"{"type":"time","sent":1}"#);
    hub_text(
        &HubFrame::Error {
            message: "what?".into(),
        },
        r#"{"type":"error","message":"what?"}"#,
    );
}

#[test]
fn the_bytes_of_an_assignment() {
    let mut assign = Assign {
        operation: operation(),
        kind: Kind::Ping,
        params: serde_json::json!({"probecount": 3}),
        targets: vec!["192.0.2.1".parse().unwrap(), "example.org".parse().unwrap()],
        schedule: None,
        result_format: ResultFormat::Json,
        credits: 2,
    };
    hub_text(
        &HubFrame::Assign(assign.clone()),
        r#"{"type":"assign","operation":"0123456789abcdef01234567","kind":"ping","params":{"probecount":3},"targets":["192.0.2.1","example.org"],"result_format":"json","credits":2}"#,
    );
    assign.schedule = Some(Schedule {
        cron: "*/5 * * * *".parse().unwrap(),
        times_per_minute: crate::Whole::new(2).unwrap(),
        stop_time: time("2026-03-11T00:00:00Z"),
    });
    assign.result_format = ResultFormat::Dump;
    hub_text(
        &HubFrame::Assign(assign),
        r#"{"type":"assign","operation":"0123456789abcdef01234567","kind":"ping","params":{"probecount":3},"targets":["192.0.2.1","example.org"],"schedule":{"cron":"*/5 * * * *","times_per_minute":2,"stop_time":"2026-03-11T00:00:00Z"},"result_format":"dump","credits":2}"#,
    );
}
