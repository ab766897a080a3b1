//! Tells other instances who sits here, and hears of them: the task that keeps the roster.
//!
//! Says that it is there once a second; tells changes of seats in small batches; answers who asks with all of them.
//! Everything is made from what the registry holds at that moment, so there is nothing to remember but a number.

use std::{sync::Arc, time::Duration};

use probe_protocol::{Close, ProbeId};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Roster, elsewhere::Todo};
use crate::{
    bus::{Bus, Gossip, InstanceId, SeatNote, To},
    metrics,
};

/// How often an instance says that it is there.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How often is looked for who is gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Changes wait so long for others to travel with them: a tenth of what a change may take to be seen everywhere.
const GATHER: Duration = Duration::from_millis(20);
/// Seats told at once: some 100 kB of JSON.
const SEATS_AT_ONCE: usize = 1000;
/// How often is looked whether the others have answered.
const COMPLETE_EVERY: Duration = Duration::from_millis(10);
/// How long others have to say that they are there, after one's own question has come back.
const HEARD_WITHIN: Duration = Duration::from_millis(300);

/// The task.
pub(crate) struct Talk {
    roster: Roster,
    bus: Arc<dyn Bus>,
    me: InstanceId,
    /// Number of the last change that was told.
    number: u64,
    /// When it said first that it is there without having heard it since.
    beat_at: Option<Instant>,
}

impl Talk {
    /// Talk of instance `me` over `bus`.
    pub(crate) fn new(roster: Roster, bus: Arc<dyn Bus>, me: InstanceId) -> Self {
        Self {
            roster,
            bus,
            me,
            number: 0,
            beat_at: None,
        }
    }

    /// Runs until `stop`, which is when the last session has ended; then says goodbye.
    pub(crate) async fn run(
        mut self,
        mut heard: mpsc::Receiver<(InstanceId, Gossip)>,
        stop: CancellationToken,
    ) {
        let mut beat = interval(BEAT_EVERY);
        let mut look = interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.ask_everyone();
        let registry = self.roster.registry().clone();
        // When changes are told that wait for others.
        let mut gathered_at: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = beat.tick() => self.beat(),
                _ = look.tick() => {
                    let todo = self.roster.elsewhere().look(Instant::now());
                    self.act(todo);
                }
                () = registry.changed(), if gathered_at.is_none() => {
                    gathered_at = Some(Instant::now() + GATHER);
                }
                () = sleep_until(gathered_at.unwrap_or_else(Instant::now)), if gathered_at.is_some() => {
                    gathered_at = None;
                    self.tell_changes(&registry.take_changed());
                }
                Some((from, gossip)) = heard.recv() => self.hear(from, gossip),
            }
        }
        self.bus.tell(To::Everyone, Gossip::Goodbye);
    }

    fn beat(&mut self) {
        let number = self.number;
        self.beat_at.get_or_insert_with(Instant::now);
        self.bus.tell(To::Everyone, Gossip::Beat { number });
    }

    fn ask_everyone(&self) {
        let round = self.roster.elsewhere().ask_everyone(Instant::now());
        self.bus.tell(To::Everyone, Gossip::Ask { round });
    }

    fn hear(&mut self, from: InstanceId, gossip: Gossip) {
        let now = Instant::now();
        if from == self.me {
            if let (Gossip::Beat { .. }, Some(said_at)) = (&gossip, self.beat_at.take()) {
                metrics::bus_came_round(said_at.elapsed());
            }
            return self.roster.elsewhere().hear_myself(now);
        }
        if let Gossip::Ask { round } = gossip {
            self.answer(from, round);
        }
        let todo = self.roster.elsewhere().hear(now, from, gossip);
        self.act(todo);
    }

    fn act(&self, todo: Todo) {
        for (instance, round) in todo.ask {
            self.bus.tell(To::One(instance), Gossip::Ask { round });
        }
        for note in todo.taken {
            let older = self.roster.registry().get(note.probe);
            // One that has no number yet learns when it gets it.
            if let Some(older) =
                older.filter(|older| (1..note.session).contains(&older.session_number()))
            {
                older.stop(Close::Replaced);
            }
        }
    }

    fn note(&self, probe: ProbeId) -> Option<SeatNote> {
        let handle = self.roster.registry().get(probe)?;
        handle.is_confirmed().then(|| SeatNote {
            probe,
            session: handle.session_number(),
            presence: handle.presence(),
        })
    }

    fn tell_changes(&mut self, changed: &[ProbeId]) {
        for probes in changed.chunks(SEATS_AT_ONCE) {
            let (mut taken, mut left) = (Vec::new(), Vec::new());
            for &probe in probes {
                match self.note(probe) {
                    Some(note) => taken.push(note),
                    None => left.push(probe),
                }
            }
            self.number += 1;
            let number = self.number;
            self.bus.tell(
                To::Everyone,
                Gossip::Seats {
                    number,
                    taken,
                    left,
                },
            );
        }
    }

    fn answer(&self, to: InstanceId, round: u64) {
        let connected = self.roster.registry().connected();
        let notes: Vec<SeatNote> = connected
            .into_iter()
            .filter_map(|probe| self.note(probe))
            .collect();
        let mut parts: Vec<&[SeatNote]> = notes.chunks(SEATS_AT_ONCE).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let number = self.number;
        for (part, more) in parts.iter().zip((0..parts.len()).rev()) {
            let all = Gossip::All {
                round,
                number,
                more: u32::try_from(more).unwrap_or(u32::MAX),
                taken: part.to_vec(),
            };
            self.bus.tell(To::One(to), all);
        }
    }
}

/// Waits until the others were heard and all that they have is known, or `limit` is over.
pub(crate) async fn complete(roster: &Roster, limit: Duration) {
    let complete = async {
        let heard = loop {
            if let Some(heard) = roster.elsewhere().hearing_since() {
                break heard;
            }
            sleep(COMPLETE_EVERY).await;
        };
        while heard.elapsed() < HEARD_WITHIN || !roster.elsewhere().others().1 {
            sleep(COMPLETE_EVERY).await;
        }
    };
    if tokio::time::timeout(limit, complete).await.is_err() {
        tracing::warn!("not all other hubs have told who is connected there");
    }
}
