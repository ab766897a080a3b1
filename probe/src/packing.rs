//! From a run's output to the frame that travels, never longer than the hub takes.

use chrono::{DateTime, Utc};
use probe_protocol::{Kind, OperationId, Payload, ProbeFrame, ResultCode, RunResult, Target};
use serde_bytes::ByteBuf;

use crate::runner::{Job, Output};

/// Which run an output is of.
#[derive(Debug, Clone)]
pub struct Run {
    /// The operation.
    pub operation: OperationId,
    /// The run's name.
    pub code: ResultCode,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// The `result` frame of a run, or of a failure in its place when it would be longer than `max_frame` bytes; says
/// which.
#[must_use]
pub fn pack(run: Run, output: Output, max_frame: usize, job: &Job) -> (Vec<u8>, bool) {
    let size = output.content.len();
    let frame = frame(run.clone(), output);
    if let Some(frame) = frame.filter(|frame| frame.len() <= max_frame) {
        return (frame, false);
    }
    (
        too_long(run, size, Some(job.measurement.kind()), &job.targets),
        true,
    )
}

/// A kept frame that this hub does not take any more, as a failure of the same run; `None` when it cannot be read.
#[must_use]
pub fn replace(kept: &[u8]) -> Option<Vec<u8>> {
    let Ok(ProbeFrame::Result(result)) = ProbeFrame::from_binary(kept) else {
        return None;
    };
    let run = Run {
        operation: result.operation,
        code: result.code,
        started_at: result.started_at,
        finished_at: result.finished_at,
    };
    Some(too_long(run, result.content.len(), None, &[]))
}

fn too_long(run: Run, size: usize, kind: Option<Kind>, targets: &[Target]) -> Vec<u8> {
    let why = format!("the result of {size} bytes is longer than the hub takes");
    frame(run, Output::failed(kind, &why, targets)).unwrap_or_default()
}

/// `None` when it would be longer than any hub takes.
fn frame(run: Run, output: Output) -> Option<Vec<u8>> {
    let result = RunResult {
        operation: run.operation,
        code: run.code,
        format: output.format,
        content: ByteBuf::from(output.content),
        started_at: run.started_at,
        finished_at: run.finished_at,
    };
    match ProbeFrame::Result(result).encode() {
        Ok(Payload::Binary(bytes)) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use probe_protocol::{ContentFormat, MAX_FRAME, Measurement, TargetPolicy};

    use super::*;
    use crate::{assignments::new_code, fixture};

    fn packed(size: usize, max_frame: usize) -> (RunResult, bool) {
        let run = Run {
            operation: fixture::operation(1),
            code: new_code(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
        };
        let job = Job {
            measurement: Measurement::parse(Kind::Ping, &serde_json::Value::Null).unwrap(),
            targets: vec!["192.0.2.1".parse().unwrap()],
            policy: TargetPolicy::Any,
        };
        let output = Output::new(ContentFormat::Warts, vec![7; size]);
        let (frame, replaced) = pack(run, output, max_frame, &job);
        match ProbeFrame::from_binary(&frame).unwrap() {
            ProbeFrame::Result(result) => (result, replaced),
            other => panic!("not a result: {other:?}"),
        }
    }

    #[test]
    fn what_is_too_long_becomes_a_failure() {
        let (result, replaced) = packed(1000, MAX_FRAME);
        assert_eq!((result.content.len(), replaced), (1000, false));
        for (size, limit) in [(MAX_FRAME, MAX_FRAME), (1000, 1000)] {
            let (result, replaced) = packed(size, limit);
            assert!(replaced);
            assert_eq!(result.format, ContentFormat::Json);
            let text = String::from_utf8(result.content.into_vec()).unwrap();
            assert!(text.contains("longer than the hub takes"), "{text}");
            assert!(text.contains("192.0.2.1"), "{text}");
        }
    }

    #[test]
    fn a_kept_frame_keeps_its_run() {
        let key = crate::spool::ResultKey {
            operation: fixture::operation(3),
            code: new_code(),
        };
        let replaced = replace(&fixture::result_frame(&key)).unwrap();
        let Ok(ProbeFrame::Result(result)) = ProbeFrame::from_binary(&replaced) else {
            panic!("not a result")
        };
        assert_eq!((result.operation, result.code), (key.operation, key.code));
        assert_eq!(replace(b"junk"), None);
    }
}
