//! The wire of the agents that were there before: Socket.IO 5 in Engine.IO 4, by websocket only.
//!
//! Towards the rest of the hub such an agent is a probe like any other: what it says becomes the same reports, what it
//! is told comes from the same seat. What it cannot say is made up here: deliveries wait for each other and for its
//! acknowledgement ([`handover`]), an operation is written in the words that it knows ([`order`]), and a result counts
//! from the moment it arrives, since it does not say when it was measured.

use std::collections::HashMap;

use probe_protocol::{Close, HubFrame, OperationId, ResultCode};
use tokio::time::Instant;

use super::{Ended, Heard, Outgoing, Wire};
use crate::{
    ingest::Said,
    metrics,
    names::Names,
    registry::{Down, Resolved, SessionHandle},
};

mod handover;
mod order;
mod packet;

use handover::Handover;
use packet::{Event, Packet, Parser};
pub(crate) use packet::{is_connect, open};

/// What such an agent is called where others say their own name.
pub(crate) const AGENT: &str = "socket.io";
/// Longest frame, bytes. An agent sends each result in one, and loses it for good where it is too long for the hub.
pub(crate) const LONGEST_FRAME: usize = 12 * 1024 * 1024;
/// Packets that cannot be read before a session ends.
const BAD_PACKETS: u32 = 20;

/// An agent that speaks Socket.IO.
#[derive(Debug)]
pub(crate) struct SocketIo {
    handle: SessionHandle,
    parser: Parser,
    handover: Handover,
    /// Acknowledgements owed, for results that are on their way through ingest.
    owed: HashMap<(OperationId, ResultCode), Vec<i64>>,
    has_seat: bool,
    bad_packets: u32,
}

impl SocketIo {
    /// The wire of this session. With `names`, agents get addresses instead of names.
    pub(crate) fn new(handle: SessionHandle, names: Option<Names>) -> Self {
        Self {
            handover: Handover::new(handle.clone(), names),
            handle,
            parser: Parser::default(),
            owed: HashMap::new(),
            has_seat: true,
            bad_packets: 0,
        }
    }

    fn take(&mut self, packet: Packet, out: &mut Outgoing) -> Result<(), Ended> {
        match packet {
            Packet::Event(event) if !self.has_seat => acknowledge(event.ack, None, out),
            Packet::Event(event) => self.take_event(event, out),
            Packet::Ack(ack) if self.has_seat => self.handover.acknowledged(ack, out),
            Packet::OtherNamespace(namespace) => out.send(packet::refusal(&namespace)),
            Packet::Leave => return Err(Ended::ByProbe),
            Packet::Ack(_) | Packet::Nothing => {}
        }
        Ok(())
    }

    fn take_event(&mut self, mut event: Event, out: &mut Outgoing) {
        match event.name.as_str() {
            "results" => return self.take_result(event, out),
            "new_operation" => {
                self.handover.taken();
                let credits = event.credits();
                self.count_in_use(|in_use| in_use.saturating_add(credits));
            }
            "finish_operation" => {
                let credits = event.credits();
                self.count_in_use(|in_use| in_use.saturating_sub(credits));
            }
            _ => {}
        }
        acknowledge(event.ack, None, out);
    }

    fn count_in_use(&self, change: impl FnOnce(u32) -> u32) {
        let in_use = self.handle.presence().in_use;
        self.handle.set_in_use(change(in_use));
    }

    /// Passes a result on; it is acknowledged when it is answered. One that can never be used is acknowledged at once,
    /// for the agent keeps what is not.
    fn take_result(&mut self, mut event: Event, out: &mut Outgoing) {
        let Some(result) = event.result() else {
            let probe = self.handle.probe;
            tracing::warn!(probe.id = %probe, "a result cannot be used");
            out.report(Said::Unusable);
            return acknowledge(event.ack, event.operation_named(), out);
        };
        if let Some(ack) = event.ack {
            let key = (result.operation, result.code.clone());
            self.owed.entry(key).or_default().push(ack);
        }
        out.report(Said::Result(Box::new(result), None));
    }

    fn say(&mut self, frame: HubFrame, out: &mut Outgoing) {
        match frame {
            HubFrame::Welcome(_) => out.send(packet::connected()),
            HubFrame::Stored { operation, codes } => {
                for code in codes {
                    self.pay(operation, code, out);
                }
            }
            HubFrame::Rejected {
                operation, code, ..
            } => self.pay(operation, code, out),
            HubFrame::Cancel { operation } => self.handover.forget(operation, out),
            // It has no words for the rest.
            _ => {}
        }
    }

    fn pay(&mut self, operation: OperationId, code: ResultCode, out: &mut Outgoing) {
        for ack in self.owed.remove(&(operation, code)).unwrap_or_default() {
            acknowledge(Some(ack), Some(operation.to_string()), out);
        }
    }
}

/// Answers an event that asked for it. Only the operation's identifier makes an agent forget a result.
fn acknowledge(ack: Option<i64>, operation: Option<String>, out: &mut Outgoing) {
    if let Some(ack) = ack {
        out.send(packet::ack(ack, operation.as_deref()));
    }
}

impl Wire for SocketIo {
    const NAME: &str = "socket.io";
    const KIND: &'static str = metrics::OLD;
    /// It knows no close codes and comes back a second after any close.
    const OUTLIVES_ITS_SEAT: bool = true;

    fn tell(&mut self, down: Down, out: &mut Outgoing) {
        match down {
            Down::Assign(offer) => self.handover.offer(offer, out),
            Down::Claimed { operation, granted } => self.handover.claimed(operation, granted, out),
            Down::Resolved(resolved) => {
                let Resolved { operation, targets } = *resolved;
                self.handover.resolved(operation, targets, out);
            }
            Down::Say(frame) => self.say(*frame, out),
        }
    }

    fn hear(&mut self, heard: Heard, out: &mut Outgoing) -> Result<(), Ended> {
        let packet = match heard {
            Heard::Text(text) => self.parser.text(text),
            Heard::Binary(bytes) => self.parser.binary(bytes),
        };
        match packet {
            Ok(packet) => self.take(packet, out),
            Err(error) => {
                let probe = self.handle.probe;
                tracing::debug!(probe.id = %probe, %error, "a packet cannot be read");
                self.bad_packets += 1;
                if self.bad_packets > BAD_PACKETS {
                    return Err(Ended::ByHub(Close::ProtocolError));
                }
                Ok(())
            }
        }
    }

    fn beat(&mut self, out: &mut Outgoing) {
        out.send(packet::ping());
    }

    fn wakes_at(&self) -> Option<Instant> {
        self.handover.overdue_at()
    }

    fn wake(&mut self, _out: &mut Outgoing) {
        self.handover.overdue();
    }

    fn lose_seat(&mut self) {
        self.has_seat = false;
        self.owed.clear();
        self.handover = Handover::new(self.handle.clone(), None);
    }

    fn goodbye(close: Close) -> (u16, &'static str) {
        (GOING_AWAY, close.word())
    }
}

/// Websocket code for an end that says nothing about the other side (RFC 6455 section 7.4.1).
const GOING_AWAY: u16 = 1001;
