//! What a session hears, and whether the hub should have said it.

use probe_protocol::{Assign, Limits};

use super::*;
use crate::simulate::load::Parcel;

impl Session<'_> {
    /// Takes a message, or the end of the connection.
    pub(super) async fn hear(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), End> {
        let at = Instant::now();
        let message = match message {
            Some(message) => message?,
            None => return Err(End::Broken("it ended without a goodbye".to_owned())),
        };
        self.heard = at;
        let bytes = &self.probe.fleet.tally.counters.bytes_heard;
        bytes.fetch_add(message.len() as u64, Relaxed);
        if self.probe.role.is_slow && self.ready {
            self.rests_until = Some(at + SLOW_PAUSE);
        }
        if let Message::Close(frame) = &message {
            let code = frame.as_ref().map_or(1005, |frame| frame.code.into());
            let reason = frame.as_ref().map_or("", |frame| frame.reason.as_str());
            self.judge_close(code, reason);
            return Err(End::Closed { code });
        }
        match self.wire().read(&message) {
            Some(heard) => self.take(heard, at).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, heard: Heard, at: Instant) -> Result<(), End> {
        let wire = self.wire();
        match heard {
            Heard::Open(silence_s) => {
                self.silence = Duration::from_secs(silence_s.max(1));
                self.say(wire::join()).await
            }
            Heard::Ready(limits) => {
                self.begin(limits);
                Ok(())
            }
            Heard::Assign(assign, ack) => self.assigned(&assign, ack, at).await,
            Heard::Cancel(operation) => {
                self.probe.fleet.tally.cancelled(operation);
                if self.probe.load.cancel(operation) {
                    return Ok(());
                }
                self.say(wire.finish(operation, 0)).await
            }
            Heard::Closed(operation) => {
                self.probe.load.forget(operation);
                Ok(())
            }
            Heard::Stored(operation, codes) => {
                for code in codes {
                    let is_it =
                        |parcel: &Parcel| parcel.operation == operation && parcel.code == code;
                    self.stored(is_it);
                }
                Ok(())
            }
            Heard::Refused(operation, code, reason) => {
                let is_it = |parcel: &Parcel| parcel.operation == operation && parcel.code == code;
                if let Some(parcel) = self.probe.load.answered(is_it) {
                    let tally = &self.probe.fleet.tally;
                    tally.refused(operation, reason, parcel.lie);
                }
                Ok(())
            }
            // Who holds this probe's place now gets the answers; nothing was stored.
            Heard::Acked(_, false) => Err(End::NoPlace),
            Heard::Acked(number, true) => {
                self.stored(|parcel| parcel.number == number);
                Ok(())
            }
            Heard::Time(sent) => self.say(wire.time(sent, now_micros())).await,
            Heard::Ping => self.say(wire::pong()).await,
            Heard::Complaint(text) => {
                self.trouble(Trouble::Complaint, &text);
                Ok(())
            }
            Heard::Unreadable(text) => {
                self.trouble(Trouble::Unreadable, &text);
                Ok(())
            }
            Heard::Other => Ok(()),
        }
    }

    fn trouble(&self, trouble: Trouble, text: &str) {
        self.probe.fleet.tally.trouble(trouble, text);
    }

    fn begin(&mut self, limits: Option<Limits>) {
        if let Some(limits) = limits {
            self.silence = Duration::from_secs(u64::from(limits.heartbeat_s.max(1)) * 2);
            self.window = self.window.min(limits.max_unanswered.max(1) as usize);
            self.probe.policy = limits.target_policy;
        }
        if !self.ready {
            self.ready = true;
            self.probe.got_in = true;
            let is_first = !std::mem::replace(&mut self.probe.was_ready, true);
            self.probe.fleet.tally.ready(self.dialled, is_first);
        }
    }

    async fn assigned(&mut self, assign: &Assign, ack: u64, at: Instant) -> Result<(), End> {
        let wire = self.wire();
        let held = self.probe.load.held(assign.operation).is_some();
        let tally = &self.probe.fleet.tally;
        tally.assigned(assign.operation, at, held);
        if held && wire == Wire::Old {
            // It would run twice.
            self.trouble(Trouble::HandedTwice, &assign.operation.to_string());
            return Ok(());
        }
        match self.probe.take(assign) {
            Ok(()) => self.say(wire.accept(assign, ack)).await,
            Err(reason) => self.say(wire.refuse(assign.operation, reason, ack)).await,
        }
    }

    fn stored(&mut self, is_it: impl Fn(&Parcel) -> bool) {
        let probe = &mut *self.probe;
        let Some(parcel) = probe.load.answered(is_it) else {
            return;
        };
        let tally = &probe.fleet.tally;
        tally.acked(parcel.sent.unwrap_or_else(Instant::now), parcel.lie);
        match parcel.lie {
            // On the old wire a refusal looks the same.
            Some(lie) if !lie.is_to_be_stored() && probe.role.wire == Wire::V1 => {
                tally.believed(lie, &format!("a result of {} was stored", parcel.operation));
            }
            Some(_) => {}
            None => probe.lie_late(&parcel),
        }
    }

    fn judge_close(&self, code: u16, reason: &str) {
        let lie = self.lied_until.map(|_| Lie::Oversized);
        let tally = &self.probe.fleet.tally;
        tally.closed(code, lie.filter(|_| code == TOO_BIG));
        if code == TOO_BIG && lie.is_some() {
            return;
        }
        const ANY_TIME: [u16; 7] = [
            1000,
            1001,
            1005,
            Close::Restart.code(),
            Close::HelloTimeout.code(),
            Close::Overloaded.code(),
            Close::Unavailable.code(),
        ];
        const WHEN_SLOW: [u16; 2] = [Close::Slow.code(), Close::Silent.code()];
        let may =
            ANY_TIME.contains(&code) || (self.probe.role.is_slow && WHEN_SLOW.contains(&code));
        if !may {
            self.trouble(Trouble::Closed, &format!("with code {code} ({reason})"));
        }
    }
}
