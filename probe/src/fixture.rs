//! What the unit tests share: small values, a clock that is set by hand, a scripted runner, a directory.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use probe_protocol::Measurement;
use probe_protocol::{
    Assign, ContentFormat, Kind, OperationId, Payload, ProbeFrame, ResultFormat, RunResult,
    Schedule, Whole,
};
use serde_bytes::ByteBuf;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::{
    clock::Clock,
    data_dir::DataDir,
    runner::{Failure, Job, Output, Runner},
    shelf::{Shelf, ShelfHandle},
    spool::ResultKey,
};

/// The operation with this number.
pub(crate) fn operation(number: u32) -> OperationId {
    format!("{number:024x}").parse().unwrap()
}

/// A ping of loopback, once.
pub(crate) fn once(number: u32) -> Assign {
    Assign {
        operation: operation(number),
        kind: Kind::Ping,
        params: serde_json::json!({"probecount": 1}),
        targets: vec!["127.0.0.1".parse().unwrap()],
        schedule: None,
        result_format: ResultFormat::Json,
        credits: 1,
    }
}

/// A ping of loopback, on a schedule until 2030.
pub(crate) fn scheduled(number: u32, cron: &str, times: u32) -> Assign {
    Assign {
        schedule: Some(Schedule {
            cron: cron.parse().unwrap(),
            times_per_minute: Whole::new(times).unwrap(),
            stop_time: "2030-01-01T00:00:00Z".parse().unwrap(),
        }),
        ..once(number)
    }
}

/// A small result as it travels.
pub(crate) fn result_frame(key: &ResultKey) -> Vec<u8> {
    let result = RunResult {
        operation: key.operation,
        code: key.code.clone(),
        format: ContentFormat::Json,
        content: ByteBuf::from("{}"),
        started_at: DateTime::UNIX_EPOCH,
        finished_at: DateTime::UNIX_EPOCH,
    };
    match ProbeFrame::Result(result).encode().unwrap() {
        Payload::Binary(bytes) => bytes,
        Payload::Text(_) => unreachable!("results travel as BSON"),
    }
}

/// A shelf on this directory; waits until the thread of an earlier one let go of it.
pub(crate) async fn shelf(root: &Path) -> ShelfHandle {
    loop {
        match DataDir::open(root) {
            Ok(dir) => return ShelfHandle::start(Shelf::load(dir, 1 << 30).unwrap()).unwrap(),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// A clock that stands still until it is set.
pub(crate) struct HandClock(watch::Sender<DateTime<Utc>>);

impl HandClock {
    pub(crate) fn new(time: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(time)))
    }

    pub(crate) fn set(&self, time: DateTime<Utc>) {
        self.0.send_replace(time);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        let mut changes = self.0.subscribe();
        let _ = changes.wait_for(|now| *now >= time).await;
    }
}

/// A runner that says what it runs and when, and ends runs only when it may.
pub(crate) struct Scripted {
    clock: Arc<dyn Clock>,
    started: mpsc::UnboundedSender<(Job, DateTime<Utc>)>,
    /// One permit lets one run end.
    pub(crate) may_end: Semaphore,
}

/// Plenty: runs end by themselves.
pub(crate) const FREELY: usize = 1_000_000;

impl Scripted {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        may_end: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<(Job, DateTime<Utc>)>) {
        let (started, starts) = mpsc::unbounded_channel();
        let may_end = Semaphore::new(may_end);
        (
            Arc::new(Self {
                clock,
                started,
                may_end,
            }),
            starts,
        )
    }
}

#[async_trait]
impl Runner for Scripted {
    fn kinds(&self) -> Vec<Kind> {
        vec![Kind::Ping]
    }

    fn suits(&self, measurement: &Measurement, _targets: usize) -> Result<(), Failure> {
        match measurement.kind() {
            Kind::Ping => Ok(()),
            kind => Err(Failure::Unfit(format!("this probe cannot run {kind}"))),
        }
    }

    async fn run(&self, job: &Job) -> Output {
        let _ = self.started.send((job.clone(), self.clock.now()));
        self.may_end.acquire().await.unwrap().forget();
        Output::json(&serde_json::json!([{"type": "ping"}]))
    }
}
