//! Hands operations to an agent, one after the other, none of them twice.
//!
//! Such an agent says of an operation only `new_operation` before its acknowledgement when it takes it, the
//! acknowledgement alone when it does not, and nothing when it cannot answer. It would run an operation that it gets
//! twice twice. So an operation is claimed in the store before it leaves, the next one waits for the answer to it, and
//! an agent that does not answer gets no more.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chrono::Utc;
use probe_protocol::{OperationId, Target};
use tokio::time::Instant;

use super::{super::Outgoing, order, packet};
use crate::{
    ingest::Said,
    names::Names,
    registry::{Down, Offer, Resolved, SessionHandle},
};

/// Longest a healthy agent takes to answer: it writes its crontab, and may look up names before.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Operations that may wait for their turn; more are still pending in the store and offered again.
const MOST_WAITING: usize = 256;
/// What is kept of a refusal that has no words.
const NO_CREDITS: &str = "the agent has no credits free for it";

/// The operations on their way to one agent.
#[derive(Debug)]
pub(super) struct Handover {
    handle: SessionHandle,
    names: Option<Names>,
    waiting: VecDeque<Arc<Offer>>,
    current: Option<Current>,
    last_ack: i64,
}

/// The operation whose turn it is.
#[derive(Debug)]
struct Current {
    offer: Arc<Offer>,
    targets: Vec<Target>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Its names are looked up.
    Resolving,
    /// The store is asked whether it may leave.
    Claiming,
    /// It left.
    Sent {
        /// The number it is acknowledged with.
        ack: i64,
        /// When the agent counts as sick; `None` when it does.
        overdue_at: Option<Instant>,
        /// Whether the agent said that it takes it.
        taken: bool,
    },
}

impl Handover {
    /// To the agent of this session. With `names`, it gets addresses instead of names.
    pub(super) fn new(handle: SessionHandle, names: Option<Names>) -> Self {
        Self {
            handle,
            names,
            waiting: VecDeque::new(),
            current: None,
            last_ack: 0,
        }
    }

    /// Lines an operation up, once.
    pub(super) fn offer(&mut self, offer: Arc<Offer>, out: &mut Outgoing) {
        let operation = offer.assign.operation;
        let is_known = self.is_current(operation)
            || self
                .waiting
                .iter()
                .any(|it| it.assign.operation == operation);
        if is_known || self.waiting.len() >= MOST_WAITING {
            return;
        }
        self.waiting.push_back(offer);
        self.go_on(out);
    }

    /// An operation was cancelled; what has left cannot be taken back.
    pub(super) fn forget(&mut self, operation: OperationId, out: &mut Outgoing) {
        self.waiting.retain(|it| it.assign.operation != operation);
        let resolving = self.at(operation, |step| matches!(step, Step::Resolving));
        if resolving.is_some() {
            self.current = None;
            self.go_on(out);
        }
    }

    /// The names of an operation are addresses now, or are not.
    pub(super) fn resolved(
        &mut self,
        operation: OperationId,
        targets: Result<Vec<Target>, String>,
        out: &mut Outgoing,
    ) {
        let Some(current) = self.at(operation, |step| matches!(step, Step::Resolving)) else {
            return;
        };
        match targets {
            Ok(targets) => {
                current.targets = targets;
                current.step = Step::Claiming;
                out.report(Said::Claimed(operation));
            }
            Err(reason) => {
                self.refuse(operation, reason, out);
                self.go_on(out);
            }
        }
    }

    /// The store said whether an operation may leave.
    pub(super) fn claimed(&mut self, operation: OperationId, granted: bool, out: &mut Outgoing) {
        let ack = self.last_ack + 1;
        let Some(current) = self.at(operation, |step| matches!(step, Step::Claiming)) else {
            return;
        };
        if granted {
            let assign = &current.offer.assign;
            let payload = order::payload(assign, &current.targets, Utc::now());
            out.send(packet::event(assign.kind.as_str(), &payload, ack));
            out.operation_left(current.offer.created_at);
            current.step = Step::Sent {
                ack,
                overdue_at: Some(Instant::now() + ANSWER_WITHIN),
                taken: false,
            };
            self.last_ack = ack;
        } else {
            // It was cancelled meanwhile, or is on its way already.
            self.current = None;
            self.go_on(out);
        }
    }

    /// The agent says that it takes an operation: the one that it got last.
    pub(super) fn taken(&mut self) {
        if let Some(Current {
            step: Step::Sent { taken, .. },
            ..
        }) = &mut self.current
        {
            *taken = true;
        }
    }

    /// The agent acknowledged an event.
    pub(super) fn acknowledged(&mut self, number: i64, out: &mut Outgoing) {
        let Some(Current {
            offer,
            step: Step::Sent { ack, taken, .. },
            ..
        }) = &self.current
        else {
            return;
        };
        if *ack != number {
            return;
        }
        let operation = offer.assign.operation;
        out.report(if *taken {
            Said::Accepted(operation)
        } else {
            Said::Refused(operation, NO_CREDITS.to_owned())
        });
        self.handle.set_sick(false);
        self.current = None;
        self.go_on(out);
    }

    /// When the agent counts as sick if it has not answered.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        match &self.current.as_ref()?.step {
            Step::Sent { overdue_at, .. } => *overdue_at,
            Step::Resolving | Step::Claiming => None,
        }
    }

    /// The agent did not answer in time. It may still do.
    pub(super) fn overdue(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        let (probe, operation) = (self.handle.probe, current.offer.assign.operation);
        if let Step::Sent { overdue_at, .. } = &mut current.step {
            *overdue_at = None;
            self.handle.set_sick(true);
            tracing::warn!(probe.id = %probe, operation.id = %operation, "an agent does not answer; it gets no more operations until it does");
        }
    }

    fn is_current(&self, operation: OperationId) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|it| it.offer.assign.operation == operation)
    }

    fn at(&mut self, operation: OperationId, step: fn(&Step) -> bool) -> Option<&mut Current> {
        let current = self.current.as_mut()?;
        (current.offer.assign.operation == operation && step(&current.step)).then_some(current)
    }

    fn refuse(&mut self, operation: OperationId, reason: String, out: &mut Outgoing) {
        self.current = None;
        out.report(Said::Refused(operation, reason));
    }

    /// Starts with the next operation, if there is one and none is under way.
    fn go_on(&mut self, out: &mut Outgoing) {
        while self.current.is_none() {
            let Some(offer) = self.waiting.pop_front() else {
                return;
            };
            let operation = offer.assign.operation;
            if let Err(reason) = order::fits(&offer.assign) {
                self.refuse(operation, reason.to_owned(), out);
                continue;
            }
            let targets = offer.assign.targets.clone();
            let step = match &self.names {
                Some(names) if order::needs_addresses(&offer.assign) => {
                    look_up(
                        names.clone(),
                        self.handle.clone(),
                        operation,
                        targets.clone(),
                    );
                    Step::Resolving
                }
                _ => {
                    out.report(Said::Claimed(operation));
                    Step::Claiming
                }
            };
            self.current = Some(Current {
                offer,
                targets,
                step,
            });
        }
    }
}

/// Looks names up in a task of its own; the answer comes the way everything comes to a session.
fn look_up(names: Names, handle: SessionHandle, operation: OperationId, targets: Vec<Target>) {
    tokio::spawn(async move {
        let targets = names.addresses(&targets).await;
        handle.offer(Down::Resolved(Box::new(Resolved { operation, targets })));
    });
}

#[cfg(test)]
mod tests;
