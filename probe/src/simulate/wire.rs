//! The two wires of probes in one set of words: what is said becomes messages, what is heard becomes [`Heard`].
//!
//! Pure. Version 1 is spoken by `probe_protocol::frame`, the wire of the replaced system's agents by
//! `probe_protocol::old`.

use chrono::{NaiveDateTime, TimeDelta};
use probe_protocol::{
    Assign, Hello, HubFrame, Kind, OperationId, Payload, ProbeFrame, Rejection, ResultCode,
    ResultFormat, RunResult, Schedule, Whole,
    old::{self, Handed, OldHeard},
};
use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

/// Such an agent is told to stop so much later than the operation ends; what it measures then is over the plan.
const STOPS_LATER: TimeDelta = TimeDelta::minutes(1);

/// Which wire a probe speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Version 1.
    V1,
    /// That of the agents of the replaced system.
    Old,
}

/// What a probe hears.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The connection may be joined; how long the hub may be silent, s.
    Open(u64),
    /// The session is ready; version 1 says with which limits.
    Ready(Option<probe_protocol::Limits>),
    /// An operation, with the number to acknowledge it with.
    Assign(Box<Assign>, u64),
    /// An operation was cancelled.
    Cancel(OperationId),
    /// The hub knows that an operation is over.
    Closed(OperationId),
    /// Results are durable.
    Stored(OperationId, Vec<ResultCode>),
    /// A result will never be taken.
    Refused(OperationId, ResultCode, Rejection),
    /// The result with this number is durable or will never be taken; false where nobody listened.
    Acked(u64, bool),
    /// The hub asks for the time.
    Time(i64),
    /// A sign of life that must be answered.
    Ping,
    /// The hub could not use a frame.
    Complaint(String),
    /// It cannot be read.
    Unreadable(String),
    /// Nothing that matters.
    Other,
}

impl Wire {
    /// Reads a message; `None` where it is of the websocket alone.
    pub(super) fn read(self, message: &Message) -> Option<Heard> {
        match (self, message) {
            (Self::V1, Message::Text(text)) => Some(read_v1(HubFrame::from_text(text))),
            (Self::V1, Message::Binary(bytes)) => Some(read_v1(HubFrame::from_binary(bytes))),
            (Self::Old, Message::Text(text)) => Some(read_old(text)),
            (Self::Old, Message::Binary(_)) => Some(Heard::Other),
            _ => None,
        }
    }

    /// The first thing that a probe says by itself.
    pub(super) fn hello(self, hello: Hello) -> Vec<Message> {
        match self {
            Self::V1 => frame(&ProbeFrame::Hello(hello)),
            Self::Old => Vec::new(),
        }
    }

    /// Takes an operation on.
    pub(super) fn accept(self, assign: &Assign, ack: u64) -> Vec<Message> {
        let operation = assign.operation;
        match self {
            Self::V1 => frame(&ProbeFrame::Accepted { operation }),
            Self::Old => texts([
                old::tell(old::NEW_OPERATION, i64::from(assign.credits)),
                old::ack(ack),
            ]),
        }
    }

    /// Does not take an operation on.
    pub(super) fn refuse(self, operation: OperationId, reason: String, ack: u64) -> Vec<Message> {
        match self {
            Self::V1 => frame(&ProbeFrame::Refused { operation, reason }),
            Self::Old => texts([old::ack(ack)]),
        }
    }

    /// Sends a result, by a number where the wire knows any.
    pub(super) fn result(self, result: RunResult, number: u64) -> Vec<Message> {
        match self {
            Self::V1 => frame(&ProbeFrame::Result(result)),
            Self::Old => {
                let event = old::result(
                    &result.operation.to_string(),
                    result.code.as_str(),
                    result.format.as_str(),
                    number,
                );
                vec![
                    Message::text(event),
                    Message::binary(result.content.into_vec()),
                ]
            }
        }
    }

    /// Says that an operation is over.
    pub(super) fn finish(self, operation: OperationId, credits: u32) -> Vec<Message> {
        match self {
            Self::V1 => frame(&ProbeFrame::Finished { operation }),
            Self::Old => texts([old::tell(old::FINISH_OPERATION, i64::from(credits))]),
        }
    }

    /// Tells the time by the probe's clock, µs.
    pub(super) fn time(self, hub_sent: i64, now: i64) -> Vec<Message> {
        match self {
            Self::V1 => frame(&ProbeFrame::Time {
                hub_sent,
                received: now,
                sent: now,
            }),
            Self::Old => Vec::new(),
        }
    }
}

/// Joins the session of an old agent.
pub(super) fn join() -> Vec<Message> {
    texts([old::JOIN.to_owned()])
}

/// Answers the hub's sign of life.
pub(super) fn pong() -> Vec<Message> {
    texts([old::PONG.to_owned()])
}

fn texts<const N: usize>(all: [String; N]) -> Vec<Message> {
    all.into_iter().map(Message::text).collect()
}

/// What is too long for any hub is never made here, so nothing is lost.
fn frame(frame: &ProbeFrame) -> Vec<Message> {
    match frame.encode() {
        Ok(Payload::Text(text)) => vec![Message::text(text)],
        Ok(Payload::Binary(bytes)) => vec![Message::binary(bytes)],
        Err(_) => Vec::new(),
    }
}

fn read_v1(frame: Result<HubFrame, probe_protocol::FrameError>) -> Heard {
    match frame {
        Ok(HubFrame::Welcome(welcome)) => Heard::Ready(Some(welcome.limits)),
        Ok(HubFrame::Assign(assign)) => Heard::Assign(Box::new(assign), 0),
        Ok(HubFrame::Cancel { operation }) => Heard::Cancel(operation),
        Ok(HubFrame::Closed { operation }) => Heard::Closed(operation),
        Ok(HubFrame::Stored { operation, codes }) => Heard::Stored(operation, codes),
        Ok(HubFrame::Rejected {
            operation,
            code,
            reason,
        }) => Heard::Refused(operation, code, reason),
        Ok(HubFrame::Time { sent }) => Heard::Time(sent),
        Ok(HubFrame::Error { message }) => Heard::Complaint(message),
        Ok(HubFrame::Unknown) => Heard::Other,
        Err(error) => Heard::Unreadable(error.to_string()),
    }
}

fn read_old(text: &str) -> Heard {
    match OldHeard::read(text) {
        Some(OldHeard::Open(open)) => {
            let ms = |name: &str| open[name].as_u64().unwrap_or_default();
            Heard::Open((ms("pingInterval") + ms("pingTimeout")).div_ceil(1000))
        }
        Some(OldHeard::Joined) => Heard::Ready(None),
        Some(OldHeard::Ping) => Heard::Ping,
        Some(OldHeard::Handed(handed)) => match assigned(&handed) {
            Some(assign) => Heard::Assign(Box::new(assign), handed.ack),
            None => Heard::Unreadable(format!("an operation: {}", handed.argument)),
        },
        Some(OldHeard::Acked(number, arguments)) => {
            Heard::Acked(number, arguments.get(0).is_some())
        }
        Some(OldHeard::Other) => Heard::Other,
        None => Heard::Unreadable(text.to_owned()),
    }
}

/// As much of a handed over operation as the simulation needs.
#[derive(Deserialize)]
struct Order {
    _id: OperationId,
    params: When,
    credits: u32,
}

#[derive(Deserialize)]
struct When {
    cron: probe_protocol::Cron,
    times_per_minute: Whole<1, 60>,
    stop_time: String,
}

/// The operation as version 1 would assign it, without what nobody measures.
fn assigned(handed: &Handed) -> Option<Assign> {
    let kind: Kind = serde_json::from_value(Value::from(handed.kind.as_str())).ok()?;
    let order: Order = serde_json::from_value(handed.argument.clone()).ok()?;
    let told = NaiveDateTime::parse_from_str(&order.params.stop_time, "%d/%m/%Y %H:%M").ok()?;
    Some(Assign {
        operation: order._id,
        kind,
        params: Value::Null,
        targets: Vec::new(),
        schedule: Some(Schedule {
            cron: order.params.cron,
            times_per_minute: order.params.times_per_minute,
            stop_time: told.and_utc() - STOPS_LATER,
        }),
        result_format: ResultFormat::Json,
        credits: order.credits,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_the_same_on_both_wires() {
        let id = "66f0c2a1b4d5e6f708192a3b";
        let params = json!({"destinations": ["192.0.2.1"], "cron": "*/5 * * * *", "times_per_minute": 2,
            "stop_time": "11/03/2026 00:01"});
        let order = json!({"_id": id, "params": params, "credits": 2, "results": []});
        let event = format!("427{}", json!(["traceroute", order]));
        let heard = Wire::Old.read(&Message::text(event)).unwrap();
        let Heard::Assign(assign, 7) = heard else {
            panic!("{heard:?}");
        };
        assert_eq!(assign.operation.to_string(), id);
        assert_eq!((assign.kind, assign.credits), (Kind::Traceroute, 2));
        let schedule = assign.schedule.clone().unwrap();
        assert_eq!(schedule.stop_time.to_rfc3339(), "2026-03-11T00:00:00+00:00");
        let said = Wire::Old.accept(&assign, 7);
        let credits = Message::text("42[\"new_operation\",{\"credits\":2}]");
        assert_eq!(said, [credits, Message::text("437[]")]);

        let frame = HubFrame::Assign(*assign.clone()).to_text().unwrap();
        let heard = Wire::V1.read(&Message::text(frame));
        assert_eq!(heard, Some(Heard::Assign(assign, 0)));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (wire, text) in [
            (Wire::V1, "{"),
            (Wire::V1, r#"{"type":"closed"}"#),
            (Wire::Old, "0{"),
            (Wire::Old, r#"421["ping",{}]"#),
        ] {
            let heard = wire.read(&Message::text(text));
            assert!(
                matches!(heard, Some(Heard::Unreadable(_))),
                "{text} {heard:?}"
            );
            assert_eq!(wire.read(&Message::Ping(vec![].into())), None);
        }
    }
}
