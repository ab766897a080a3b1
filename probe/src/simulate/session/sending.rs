//! What a session says: results as the window allows, what is over, lies that are no frames.

use super::*;
use crate::simulate::load::Parcel;

/// Length that a frame too long is said to have, bytes: more than a hub takes on either wire.
const FAR_TOO_LONG: u64 = 64 * 1024 * 1024;

impl Session<'_> {
    /// Starts runs, sends what may leave, tells what is over.
    pub(super) async fn work(&mut self, stage: Stage) -> Result<(), End> {
        if !self.ready || self.lied_until.is_some() {
            return Ok(());
        }
        let runs = stage == Stage::Running;
        if runs && self.probe.fleet.pace == Pace::Schedule {
            self.probe.start_runs();
        }
        self.send_results(runs).await?;
        if self.probe.oversized > 0 {
            return self.say_too_much().await;
        }
        let (pace, now) = (self.probe.fleet.pace, Utc::now());
        for (operation, credits) in self.probe.load.settled(pace, now) {
            self.say(self.wire().finish(operation, credits)).await?;
            if self.wire() == Wire::Old {
                // Nobody answers that.
                self.probe.load.forget(operation);
            }
        }
        Ok(())
    }

    /// Sends results as far as the window allows. `runs` says whether new ones may be made.
    async fn send_results(&mut self, runs: bool) -> Result<(), End> {
        while self.probe.load.under_way() < self.window {
            let mut parcel = self.probe.load.next_parcel();
            if parcel.is_none() && runs && self.probe.oversized == 0 {
                self.probe.run_flat_out();
                parcel = self.probe.load.next_parcel();
            }
            let Some(parcel) = parcel else {
                return Ok(());
            };
            self.send_result(parcel).await?;
        }
        Ok(())
    }

    async fn send_result(&mut self, mut parcel: Parcel) -> Result<(), End> {
        let loss = self.probe.fleet.weather.loss.get();
        let lost = loss > 0.0 && !parcel.was_tried && self.probe.dice.random_bool(loss);
        parcel.was_tried = true;
        if lost && self.probe.dice.random_bool(0.5) {
            self.probe.load.put_back(parcel);
            // What was said before is on its way.
            self.flush().await?;
            return Err(End::Lost);
        }
        self.number += 1;
        let fleet = self.probe.fleet.clone();
        let (result, number) = (fleet.result(&parcel), self.number);
        // It counts from when it leaves here.
        let leaves = Instant::now() + fleet.weather.latency;
        let (content, again) = (result.content.len(), parcel.was_sent);
        fleet.tally.sent(leaves, content, parcel.lie, again);
        (parcel.was_sent, parcel.sent, parcel.number) = (true, Some(leaves), number);
        self.probe.load.sent(parcel);
        self.say(self.wire().result(result, number)).await?;
        if lost {
            // It arrives, and its answer does not.
            for (due, _) in &mut self.outbox {
                *due = leaves.min(*due) - fleet.weather.latency;
            }
            self.flush().await?;
            return Err(End::Lost);
        }
        Ok(())
    }

    /// Announces a frame that is longer than the hub takes. Nothing of it follows: the hub must not wait for it.
    async fn say_too_much(&mut self) -> Result<(), End> {
        self.outbox.clear();
        self.flush().await?;
        // A binary message, masked, with a length of eight bytes (RFC 6455 section 5.2).
        let mut header = vec![0x82, 0xff];
        header.extend(FAR_TOO_LONG.to_be_bytes());
        header.extend([0; 4]);
        let writing = async {
            let connection = self.socket.get_mut();
            connection.write_all(&header).await?;
            connection.flush().await
        };
        let written = timeout(WRITE_WITHIN, writing).await;
        written
            .map_err(|_| End::NotWritten)?
            .map_err(|error| End::Broken(error.to_string()))?;
        self.probe.oversized -= 1;
        self.probe.fleet.tally.lied(Lie::Oversized);
        self.lied_until = Some(Instant::now() + CLOSED_WITHIN);
        Ok(())
    }

    /// Says something, now or when its way out is done.
    pub(super) async fn say(&mut self, messages: Vec<Message>) -> Result<(), End> {
        let latency = self.probe.fleet.weather.latency;
        let due = Instant::now() + latency;
        self.outbox
            .extend(messages.into_iter().map(|message| (due, message)));
        if latency.is_zero() {
            self.write().await
        } else {
            Ok(())
        }
    }

    /// Writes what has done its way out.
    async fn write(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while let Some((due, message)) = self.outbox.pop_front() {
            if due > now {
                self.outbox.push_front((due, message));
                break;
            }
            let bytes = &self.probe.fleet.tally.counters.bytes_sent;
            bytes.fetch_add(message.len() as u64, Relaxed);
            let written = timeout(WRITE_WITHIN, self.socket.feed(message)).await;
            written.map_err(|_| End::NotWritten)??;
            self.unflushed = true;
        }
        Ok(())
    }

    /// Sees that all that was written leaves.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.write().await?;
        if std::mem::take(&mut self.unflushed) {
            let flushed = timeout(WRITE_WITHIN, self.socket.flush()).await;
            flushed.map_err(|_| End::NotWritten)??;
        }
        Ok(())
    }
}
