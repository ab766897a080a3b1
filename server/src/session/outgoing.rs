//! What the wires of sessions want done: the session does it, in order.

use std::collections::VecDeque;

use axum::extract::ws::Message;
use chrono::{DateTime, Utc};

use crate::ingest::Said;

/// What a wire wants done, in order.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(pub(super) VecDeque<Out>);

/// One thing that is to be done.
#[derive(Debug)]
pub(super) enum Out {
    /// A message is sent.
    Send(Message),
    /// Something that was so then is reported to ingest.
    Report(DateTime<Utc>, Said),
    /// An operation that was created then has left.
    Left(DateTime<Utc>),
}

impl Outgoing {
    /// Sends a message.
    pub(crate) fn send(&mut self, message: Message) {
        self.0.push_back(Out::Send(message));
    }

    /// Reports something, after all messages before it have left. Its time is now: a probe plans by when an operation
    /// reached it, so what leaves may not be dated later than that.
    pub(crate) fn report(&mut self, said: Said) {
        self.0.push_back(Out::Report(Utc::now(), said));
    }

    /// Notes that the message before is an operation that was created then.
    pub(crate) fn operation_left(&mut self, created_at: DateTime<Utc>) {
        self.0.push_back(Out::Left(created_at));
    }
}
