//! Random frames through both encodings, whole and damaged.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{Limits, TargetPolicy, Whole};

fn id() -> impl Strategy<Value = OperationId> {
    any::<[u8; 12]>().prop_map(|bytes| bson::oid::ObjectId::from_bytes(bytes).into())
}

fn codes() -> impl Strategy<Value = ResultCode> {
    "[-A-Za-z0-9_.:]{1,64}".prop_map(|text| code(&text))
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // The years that RFC 3339 can write.
    let nanos = 0u32..1_000_000_000;
    (-62_135_596_800i64..253_402_300_800, nanos)
        .prop_map(|(second, nano)| DateTime::from_timestamp(second, nano).unwrap())
}

fn kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL)
}

fn hello() -> impl Strategy<Value = Hello> {
    (
        any::<String>(),
        any::<String>(),
        vec(kind(), 0..4),
        any::<u32>(),
        any::<u32>(),
        vec(id(), 0..4),
    )
        .prop_map(
            |(agent, version, capabilities, total_credits, in_use_credits, assignments)| Hello {
                agent,
                version,
                capabilities,
                total_credits,
                in_use_credits,
                assignments,
            },
        )
}

fn run_result() -> impl Strategy<Value = RunResult> {
    let format = prop_oneof![
        Just(ContentFormat::Warts),
        Just(ContentFormat::Gzip),
        Just(ContentFormat::Json)
    ];
    (
        id(),
        codes(),
        format,
        vec(any::<u8>(), 0..100),
        instant(),
        instant(),
    )
        .prop_map(
            |(operation, code, format, content, started_at, finished_at)| RunResult {
                operation,
                code,
                format,
                content: ByteBuf::from(content),
                started_at,
                finished_at,
            },
        )
}

fn probe_frame() -> impl Strategy<Value = ProbeFrame> {
    // BSON has no integer above i64::MAX.
    let dropped = 0..=i64::MAX.unsigned_abs();
    prop_oneof![
        hello().prop_map(ProbeFrame::Hello),
        id().prop_map(|operation| ProbeFrame::Accepted { operation }),
        (id(), any::<String>())
            .prop_map(|(operation, reason)| ProbeFrame::Refused { operation, reason }),
        run_result().prop_map(ProbeFrame::Result),
        id().prop_map(|operation| ProbeFrame::Finished { operation }),
        (any::<[u32; 3]>(), dropped).prop_map(|([in_use_credits, running, spooled], dropped)| {
            ProbeFrame::Status {
                in_use_credits,
                running,
                spooled,
                dropped,
            }
        }),
        any::<[i64; 3]>().prop_map(|[hub_sent, received, sent]| ProbeFrame::Time {
            hub_sent,
            received,
            sent
        }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let cron = proptest::sample::select(&["* * * * *", "*/7 9-17 * jan,feb mon", "0 0 29 2 *"][..]);
    (cron, 1u32..=60, instant()).prop_map(|(cron, times, stop_time)| Schedule {
        cron: cron.parse().unwrap(),
        times_per_minute: Whole::new(times).unwrap(),
        stop_time,
    })
}

fn params() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..=i64::MAX.unsigned_abs()).prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 2.0)),
        any::<String>().prop_map(Value::from),
    ];
    let object = |value: Value| json!({"probecount": 3, "other": value, "list": [value]});
    leaf.prop_map(object)
}

fn assign() -> impl Strategy<Value = Assign> {
    let target = proptest::sample::select(&["192.0.2.1", "2001:db8::1", "example.org", "."][..]);
    let format = prop_oneof![Just(ResultFormat::Json), Just(ResultFormat::Dump)];
    let when = proptest::option::of(schedule());
    (
        id(),
        kind(),
        params(),
        vec(target, 1..4),
        when,
        format,
        any::<u32>(),
    )
        .prop_map(
            |(operation, kind, params, targets, schedule, result_format, credits)| Assign {
                operation,
                kind,
                params,
                targets: targets
                    .iter()
                    .map(|target| target.parse().unwrap())
                    .collect(),
                schedule,
                result_format,
                credits,
            },
        )
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let policy = prop_oneof![Just(TargetPolicy::Any), Just(TargetPolicy::Public)];
    let session = 0..=i64::MAX.unsigned_abs();
    (
        id(),
        session,
        any::<String>(),
        instant(),
        any::<[u32; 3]>(),
        policy,
    )
        .prop_map(
            |(
                probe,
                session,
                instance,
                hub_time,
                [max_frame, max_unanswered, heartbeat_s],
                target_policy,
            )| Welcome {
                probe: probe.object_id().into(),
                session,
                instance,
                hub_time,
                limits: Limits {
                    max_frame,
                    max_unanswered,
                    heartbeat_s,
                    target_policy,
                },
            },
        )
}

fn hub_frame() -> impl Strategy<Value = HubFrame> {
    let reasons: Vec<Rejection> = REJECTIONS.iter().map(|&(reason, _)| reason).collect();
    let reason = proptest::sample::select(reasons);
    prop_oneof![
        welcome().prop_map(HubFrame::Welcome),
        assign().prop_map(HubFrame::Assign),
        id().prop_map(|operation| HubFrame::Cancel { operation }),
        id().prop_map(|operation| HubFrame::Closed { operation }),
        (id(), vec(codes(), 0..4))
            .prop_map(|(operation, codes)| HubFrame::Stored { operation, codes }),
        (id(), codes(), reason).prop_map(|(operation, code, reason)| HubFrame::Rejected {
            operation,
            code,
            reason
        }),
        any::<i64>().prop_map(|sent| HubFrame::Time { sent }),
        any::<String>().prop_map(|message| HubFrame::Error { message }),
    ]
}

fn damage(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)]) {
    for (index, byte) in changes {
        bytes[index.index(bytes.len())] = *byte;
    }
}

proptest! {
    #[test]
    fn probe_frames_survive_both_encodings(frame in probe_frame()) {
        let json = serde_json::to_string(&frame).unwrap();
        prop_assert_eq!(&ProbeFrame::from_text(&json).unwrap(), &frame);
        let bytes = bson::serialize_to_vec(&frame).unwrap();
        prop_assert_eq!(&ProbeFrame::from_binary(&bytes).unwrap(), &frame);
        let read = match frame.encode().unwrap() {
            Payload::Text(json) => ProbeFrame::from_text(&json),
            Payload::Binary(bytes) => ProbeFrame::from_binary(&bytes),
        };
        prop_assert_eq!(read.unwrap(), frame);
    }

    #[test]
    fn hub_frames_survive_both_encodings(frame in hub_frame()) {
        prop_assert_eq!(&HubFrame::from_text(&frame.to_text().unwrap()).unwrap(), &frame);
        let bytes = bson::serialize_to_vec(&frame).unwrap();
        prop_assert_eq!(&HubFrame::from_binary(&bytes).unwrap(), &frame);
    }

    #[test]
    fn damaged_frames_do_not_panic(
        probe in probe_frame(),
        hub in hub_frame(),
        cut in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let json = serde_json::to_string(&probe).unwrap();
        let short = cut.index(json.len());
        prop_assert!(json.get(..short).is_none_or(|part| ProbeFrame::from_text(part).is_err()));
        let bytes = bson::serialize_to_vec(&hub).unwrap();
        prop_assert!(HubFrame::from_binary(&bytes[..cut.index(bytes.len())]).is_err());
        let mut bytes = bson::serialize_to_vec(&probe).unwrap();
        damage(&mut bytes, &changes);
        let _ = ProbeFrame::from_binary(&bytes);
        let mut json = json.into_bytes();
        damage(&mut json, &changes);
        let _ = ProbeFrame::from_text(&String::from_utf8_lossy(&json));
    }

    #[test]
    fn noise_does_not_panic(noise in vec(any::<u8>(), 0..300), text in ".{0,100}") {
        let _ = ProbeFrame::from_binary(&noise);
        let _ = HubFrame::from_binary(&noise);
        let _ = ProbeFrame::from_text(&text);
        let _ = HubFrame::from_text(&text);
    }
}
