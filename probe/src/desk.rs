//! What the hub's words do here: the same whoever says them and however often. Knows the shelf and the scheduler, no
//! socket.

use probe_protocol::{Assign, Hello, Measurement, OperationId, ProbeFrame};
use tracing::info;

use crate::{
    assignments::{Ended, Record},
    runner::MAX_TARGETS,
    scheduler::Scheduler,
    shelf::{Shelf, ShelfGone, ShelfHandle},
    spool::ResultKey,
};

/// Most assignments a probe holds, those that ended and wait for the hub's `closed` included: their names fit a
/// `hello` frame and their tasks the memory of a small machine.
const MAX_ASSIGNMENTS: usize = 4096;

/// The agent's name in `hello`.
const AGENT: &str = "pladmed-probe";

/// Acts on what the hub says.
#[derive(Debug, Clone)]
pub struct Desk {
    shelf: ShelfHandle,
    scheduler: Scheduler,
    total_credits: u32,
}

/// What became of an `assign`.
enum Taken {
    New(Box<Record>),
    Held,
    Refused(String),
}

impl Desk {
    /// A desk before this shelf and scheduler.
    #[must_use]
    pub fn new(shelf: ShelfHandle, scheduler: Scheduler, total_credits: u32) -> Self {
        Self {
            shelf,
            scheduler,
            total_credits,
        }
    }

    /// The shelf behind the desk.
    #[must_use]
    pub fn shelf(&self) -> &ShelfHandle {
        &self.shelf
    }

    /// The first frame of a session.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn hello(&self) -> Result<ProbeFrame, ShelfGone> {
        let held = |shelf: &mut Shelf| -> (u32, Vec<OperationId>) {
            let all = shelf.assignments.iter().map(Record::operation).collect();
            (shelf.assignments.in_use_credits(), all)
        };
        let (in_use_credits, assignments) = self.shelf.call(held).await?;
        Ok(ProbeFrame::Hello(Hello {
            agent: AGENT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: self.scheduler.runner().kinds(),
            total_credits: self.total_credits,
            in_use_credits,
            assignments,
        }))
    }

    /// Takes an assignment or refuses it. `answer` gets the frame once it may be said, before anything runs.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn assign(
        &self,
        assign: Assign,
        answer: impl FnOnce(ProbeFrame),
    ) -> Result<(), ShelfGone> {
        let operation = assign.operation;
        let unfit = self.unfit(&assign);
        let (now, total) = (self.scheduler.now(), self.total_credits);
        let taken = self
            .shelf
            .call(move |shelf| take(shelf, assign, unfit, now, total));
        match taken.await? {
            Taken::New(record) => {
                let kind = record.assign.kind;
                info!(%operation, %kind, "accepted {operation} ({kind})");
                answer(ProbeFrame::Accepted { operation });
                self.scheduler.follow(*record);
            }
            Taken::Held => answer(ProbeFrame::Accepted { operation }),
            Taken::Refused(reason) => {
                info!(%operation, reason, "refused {operation}: {reason}");
                answer(ProbeFrame::Refused { operation, reason });
            }
        }
        Ok(())
    }

    /// Stops an assignment; its running measurement is killed. Says whether it was held.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn cancel(&self, operation: OperationId) -> Result<bool, ShelfGone> {
        self.scheduler.cancel(operation).await;
        let held = self.shelf.call(move |shelf| {
            shelf.end(operation, Ended::Cancelled);
            shelf.assignments.get(operation).is_some()
        });
        let held = held.await?;
        info!(%operation, "cancelled {operation}");
        Ok(held)
    }

    /// Forgets an assignment that the hub has closed, and stops it should it still run.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn closed(&self, operation: OperationId) -> Result<(), ShelfGone> {
        self.scheduler.cancel(operation).await;
        self.shelf.call(move |shelf| shelf.close(operation)).await
    }

    /// Deletes results that the hub has answered.
    ///
    /// # Errors
    /// [`ShelfGone`]
    pub async fn answered(&self, keys: Vec<ResultKey>) -> Result<(), ShelfGone> {
        self.shelf.call(move |shelf| shelf.answered(&keys)).await
    }

    /// How busy this probe is, as a `status` frame.
    #[must_use]
    pub fn status(&self) -> ProbeFrame {
        let now = self.shelf.now();
        ProbeFrame::Status {
            in_use_credits: now.in_use_credits,
            running: self.scheduler.running(),
            spooled: now.spooled,
            dropped: now.counters.dropped,
        }
    }

    /// Why this assignment can never run here, if so.
    fn unfit(&self, assign: &Assign) -> Option<String> {
        let targets = assign.targets.len();
        if targets == 0 || targets > MAX_TARGETS {
            return Some(format!("targets: must be 1 to {MAX_TARGETS}"));
        }
        match Measurement::parse(assign.kind, &assign.params) {
            Err(error) => Some(format!("params: {error}")),
            Ok(measurement) => {
                let suits = self.scheduler.runner().suits(&measurement, targets);
                suits.err().map(|failure| failure.to_string())
            }
        }
    }
}

fn take(
    shelf: &mut Shelf,
    assign: Assign,
    unfit: Option<String>,
    now: chrono::DateTime<chrono::Utc>,
    total: u32,
) -> Taken {
    if shelf.assignments.get(assign.operation).is_some() {
        return Taken::Held;
    }
    if let Some(reason) = unfit {
        return Taken::Refused(reason);
    }
    let in_use = shelf.assignments.in_use_credits();
    if in_use.saturating_add(assign.credits) > total {
        let needed = assign.credits;
        return Taken::Refused(format!(
            "no room: {in_use} of {total} credits are in use, {needed} are needed"
        ));
    }
    if shelf.assignments.len() >= MAX_ASSIGNMENTS {
        return Taken::Refused(format!(
            "no room: this probe holds {MAX_ASSIGNMENTS} assignments"
        ));
    }
    match shelf.accept(assign, now) {
        Ok(record) => Taken::New(Box::new(record)),
        Err(cause) => Taken::Refused(format!("the probe cannot write it down: {cause}")),
    }
}
