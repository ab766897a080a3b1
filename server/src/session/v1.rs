//! Protocol version 1: what frames of `probe-protocol` mean to a session.

use axum::extract::ws::Message;
use bytes::Bytes;
use chrono::Utc;
use probe_protocol::{Close, FrameError, HubFrame, ProbeFrame};
use tokio::time::Instant;

use super::{Ended, Heard, Outgoing, Wire, clock::ClockFilter};
use crate::{
    domain::lifecycle::short_reason,
    ingest::Said,
    metrics,
    registry::{Down, SessionHandle},
};

/// Frames that cannot be read before a session ends: a bug of one frame is forgiven, a flood is not.
const BAD_FRAMES: u32 = 20;

/// A probe that speaks version 1.
#[derive(Debug)]
pub(crate) struct V1 {
    handle: SessionHandle,
    clock: ClockFilter,
    bad_frames: u32,
}

impl V1 {
    /// The wire of this session.
    pub(crate) fn new(handle: SessionHandle) -> Self {
        Self {
            handle,
            clock: ClockFilter::default(),
            bad_frames: 0,
        }
    }

    fn take(&mut self, frame: ProbeFrame, out: &mut Outgoing) {
        let said = match frame {
            ProbeFrame::Accepted { operation } => Said::Accepted(operation),
            ProbeFrame::Refused { operation, reason } => {
                Said::Refused(operation, short_reason(&reason).to_owned())
            }
            ProbeFrame::Finished { operation } => Said::Finished(operation),
            ProbeFrame::Result(result) => Said::Result(Box::new(result), self.clock.best()),
            ProbeFrame::Status {
                in_use_credits,
                running,
                spooled,
                dropped,
            } => {
                self.handle.set_in_use(in_use_credits);
                let probe = self.handle.probe;
                tracing::debug!(probe.id = %probe, in_use_credits, running, spooled, dropped, "probe status");
                return;
            }
            ProbeFrame::Time {
                hub_sent,
                received,
                sent,
            } => {
                self.clock
                    .exchange(hub_sent, received, sent, Utc::now().timestamp_micros());
                return;
            }
            ProbeFrame::Hello(_) => return answer("hello was said before", out),
            ProbeFrame::Unknown => {
                return answer("this type of frame is not known here", out);
            }
        };
        out.report(said);
    }

    fn refuse_frame(&mut self, error: &FrameError, out: &mut Outgoing) -> Result<(), Ended> {
        self.bad_frames += 1;
        if self.bad_frames > BAD_FRAMES {
            return Err(Ended::ByHub(Close::ProtocolError));
        }
        answer(&error.to_string(), out);
        Ok(())
    }
}

fn answer(message: &str, out: &mut Outgoing) {
    let message = message.to_owned();
    say(&HubFrame::Error { message }, out);
}

fn say(frame: &HubFrame, out: &mut Outgoing) {
    match frame.to_text() {
        Ok(text) => out.send(Message::Text(text.into())),
        Err(error) => tracing::error!(%error, "cannot write a frame"),
    }
}

impl Wire for V1 {
    const NAME: &str = "v1";
    const KIND: &'static str = metrics::V1;
    /// Its close code says that it must not come back.
    const OUTLIVES_ITS_SEAT: bool = false;

    fn tell(&mut self, down: Down, out: &mut Outgoing) {
        match down {
            Down::Assign(offer) => {
                out.send(Message::Text(offer.frame.clone()));
                out.operation_left(offer.created_at);
                out.report(Said::Delivered(offer.assign.operation));
            }
            Down::Say(frame) => say(&frame, out),
            Down::Claimed { .. } | Down::Resolved(_) => {}
        }
    }

    fn hear(&mut self, heard: Heard, out: &mut Outgoing) -> Result<(), Ended> {
        let frame = match &heard {
            Heard::Text(text) => ProbeFrame::from_text(text),
            Heard::Binary(bytes) => ProbeFrame::from_binary(bytes),
        };
        match frame {
            Ok(frame) => {
                self.take(frame, out);
                Ok(())
            }
            Err(error) => self.refuse_frame(&error, out),
        }
    }

    fn beat(&mut self, out: &mut Outgoing) {
        let sent = Utc::now().timestamp_micros();
        say(&HubFrame::Time { sent }, out);
        out.send(Message::Ping(Bytes::new()));
    }

    fn wakes_at(&self) -> Option<Instant> {
        None
    }

    fn wake(&mut self, _out: &mut Outgoing) {}

    fn lose_seat(&mut self) {}

    fn goodbye(close: Close) -> (u16, &'static str) {
        (close.code(), close.word())
    }
}
