//! When a result was measured, as far as its document tells. The old database did not keep it.

use chrono::{DateTime, NaiveDateTime, SubsecRound as _, TimeDelta, Utc};
use serde_json::Value;

/// Clocks of probes may be behind by so much and are still believed.
const BEHIND: TimeDelta = TimeDelta::days(1);

/// When a run began and ended, to the millisecond, as stores keep times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// When it began.
    pub(super) started_at: DateTime<Utc>,
    /// When it ended, as far as is known; never before it began.
    pub(super) finished_at: DateTime<Utc>,
}

/// When nothing tells.
pub(super) const fn unknown(created_at: DateTime<Utc>) -> Run {
    Run {
        started_at: created_at,
        finished_at: created_at,
    }
}

/// When the run of a document was: what the document tells, where it lies between the operation and now; else the time of
/// the operation.
pub(super) fn of(document: &Value, created_at: DateTime<Utc>, now: DateTime<Utc>) -> Run {
    let earliest = created_at.checked_sub_signed(BEHIND).unwrap_or(created_at);
    let told: Vec<DateTime<Utc>> = match document {
        Value::String(text) => text.lines().filter_map(asked_at).collect(),
        Value::Array(records) => records.iter().flat_map(of_record).collect(),
        _ => Vec::new(),
    };
    let credible = || told.iter().filter(|at| (earliest..=now).contains(*at));
    let started_at = credible().min().copied().unwrap_or(created_at);
    Run {
        started_at,
        finished_at: credible().max().copied().unwrap_or(started_at),
    }
}

/// Times in a record of what `sc_warts2json` prints.
fn of_record(record: &Value) -> Vec<DateTime<Utc>> {
    let seconds = |name: &str| DateTime::from_timestamp(record.get(name)?.as_i64()?, 0);
    let start = || {
        let start = record.get("start")?;
        let micros = start.get("usec").and_then(Value::as_u64).unwrap_or(0);
        let nanos = u32::try_from(micros).ok()?.checked_mul(1000)?;
        let time = DateTime::from_timestamp(start.get("sec")?.as_i64()?, nanos)?;
        Some(time.trunc_subsecs(3))
    };
    [start(), seconds("start_time"), seconds("stop_time")]
        .into_iter()
        .flatten()
        .collect()
}

/// The time in a line of dig's: `;; WHEN: Tue Mar 10 12:00:30 UTC 2026`. Older ones leave the zone out. Agents run in UTC;
/// the time of another zone cannot be told.
fn asked_at(line: &str) -> Option<DateTime<Utc>> {
    let mut words: Vec<&str> = line.strip_prefix(";; WHEN: ")?.split_whitespace().collect();
    if words.len() == 6 && matches!(words.get(4), Some(&("UTC" | "GMT"))) {
        words.remove(4);
    }
    let words = words.get(1..5).filter(|_| words.len() == 5)?;
    let time = NaiveDateTime::parse_from_str(&words.join(" "), "%b %d %H:%M:%S %Y").ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CREATED: i64 = 1_773_144_000; // 2026-03-10 12:00:00 UTC

    fn found(document: Value) -> (i64, i64) {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let run = of(&document, at(CREATED), at(CREATED + 3600));
        let since = |time: DateTime<Utc>| time.timestamp_millis() - CREATED * 1000;
        (since(run.started_at), since(run.finished_at))
    }

    #[test]
    fn documents_tell_when_they_were_measured() {
        let document = json!([
            { "type": "cycle-start", "start_time": CREATED + 9 },
            { "type": "ping", "start": { "sec": CREATED + 10, "usec": 250_000 } },
            { "type": "trace", "start": { "sec": CREATED + 12 } },
            { "type": "cycle-stop", "stop_time": CREATED + 20 },
        ]);
        assert_eq!(found(document), (9_000, 20_000));
        let document =
            json!([{ "type": "ping", "start": { "sec": CREATED + 10, "usec": 250_000 } }]);
        assert_eq!(found(document), (10_250, 10_250));
        let text = "; <<>> DiG 9.11 <<>> a\n;; WHEN: Tue Mar 10 12:00:30 UTC 2026\n;; x\n;; WHEN: Tue Mar 10 12:00:31 2026\n";
        assert_eq!(found(json!(text)), (30_000, 31_000));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        for document in [
            json!([]),
            json!(""),
            json!(null),
            json!({ "start": { "sec": CREATED + 1 } }),
            json!([{ "start": { "sec": 0 } }, { "start": 5 }, { "start_time": "x" }, 7, { "start": { "sec": i64::MAX } }]),
            json!([{ "stop_time": CREATED + 3601 }, { "start_time": CREATED - 86_401 }]),
            json!(
                ";; WHEN: Tue Mar 10 12:00:30 -03 2026\n;; WHEN: \n;; WHEN: Tue Foo 10 12:00:30 UTC 2026"
            ),
        ] {
            assert_eq!(found(document.clone()), (0, 0), "{document}");
        }
    }
}
