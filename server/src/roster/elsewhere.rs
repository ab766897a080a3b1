//! What other instances told of their seats. Pure: hears letters and the time, says what to ask; waits for nothing.
//!
//! An instance is *known* while nothing of what it told was missed; else it is asked for everything, and only the answer
//! to the newest question makes it known again. So what arrives late, however late, gives no place to anybody: of an
//! instance that was forgotten it only leads to a question, which a dead one does not answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use probe_protocol::ProbeId;
use tokio::time::Instant;

use crate::{
    bus::{Gossip, InstanceId, SeatNote},
    domain::Presence,
};

/// An instance that was not heard for so long is gone: four beats, so that one that is busy is not taken for dead, and
/// with [`super::gossip`]'s looks at it under the five seconds that are promised.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(4);
/// Who is not heard by itself for so long is cut off, and cannot tell whether the others are gone.
const CUT_OFF_AFTER: Duration = Duration::from_millis(2500);
/// An unanswered question is asked again after so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Seats of other instances.
#[derive(Debug)]
pub(super) struct Elsewhere {
    others: HashMap<InstanceId, Other>,
    places: HashMap<ProbeId, Place>,
    last_round: u64,
    /// The last question to everyone, and when it was asked.
    everyone: Option<(u64, Instant)>,
    /// When this instance last heard its own words.
    heard_myself: Option<Instant>,
    /// Since when it does without a break.
    hearing_since: Option<Instant>,
}

/// Where a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The instance.
    pub(super) instance: InstanceId,
    /// Number of its session.
    pub(super) session: u64,
    /// What is known of it.
    pub(super) presence: Presence,
}

#[derive(Debug)]
struct Other {
    heard: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Everything is known up to this change.
    Known(u64),
    /// It was asked, or is to be.
    Asked {
        round: u64,
        at: Instant,
        parts: Vec<SeatNote>,
        /// Parts that are missing, once the first one told.
        missing: Option<u32>,
    },
}

/// What is to be done after something was heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Todo {
    /// Instances to ask, with the round.
    pub(super) ask: Vec<(InstanceId, u64)>,
    /// Sessions that other instances have.
    pub(super) taken: Vec<SeatNote>,
}

impl Elsewhere {
    /// Nothing is known. Numbers of questions begin above `round`, which should differ from process to process.
    pub(super) fn new(round: u64) -> Self {
        Self {
            others: HashMap::new(),
            places: HashMap::new(),
            last_round: round,
            everyone: None,
            heard_myself: None,
            hearing_since: None,
        }
    }

    /// Where a probe is, if at another instance.
    pub(super) fn place(&self, probe: ProbeId) -> Option<Place> {
        self.places.get(&probe).copied()
    }

    /// All probes at other instances.
    pub(super) fn probes(&self) -> impl Iterator<Item = ProbeId> {
        self.places.keys().copied()
    }

    /// How many other instances there are, and whether all that they have is known.
    pub(super) fn others(&self) -> (usize, bool) {
        let mut states = self.others.values().map(|other| &other.state);
        let is_known = states.all(|state| matches!(state, State::Known(_)));
        (self.others.len(), is_known)
    }

    /// A number for a question to everyone: all of them are taken as asked.
    pub(super) fn ask_everyone(&mut self, now: Instant) -> u64 {
        self.last_round += 1;
        let round = self.last_round;
        self.everyone = Some((round, now));
        for other in self.others.values_mut() {
            other.state = asked(round, now);
        }
        round
    }

    /// Since when this instance hears its own words.
    pub(super) fn hearing_since(&self) -> Option<Instant> {
        self.hearing_since
    }

    /// This instance heard its own words.
    pub(super) fn hear_myself(&mut self, now: Instant) {
        if self.is_cut_off(now) {
            self.hearing_since = Some(now);
        }
        self.heard_myself = Some(now);
    }

    /// Whether this instance has not heard its own words for too long.
    pub(super) fn is_cut_off(&self, now: Instant) -> bool {
        let heard = self.heard_myself;
        heard.is_none_or(|heard| now.duration_since(heard) > CUT_OFF_AFTER)
    }

    /// Another instance said something.
    pub(super) fn hear(&mut self, now: Instant, from: InstanceId, gossip: Gossip) -> Todo {
        match gossip {
            Gossip::Goodbye => {
                self.forget(from);
                Todo::default()
            }
            Gossip::Ask { .. } => {
                self.other(now, from);
                self.ask_what_is_unknown(now)
            }
            Gossip::Beat { number } => {
                self.miss_what_follows(now, from, number);
                self.ask_what_is_unknown(now)
            }
            Gossip::Seats {
                number,
                taken,
                left,
            } => self.change(now, from, number, &taken, &left),
            Gossip::All {
                round,
                number,
                more,
                taken,
            } => self.answer(now, from, round, (number, more), taken),
        }
    }

    /// Forgets who is gone; asks again who did not answer. To be called several times a second.
    pub(super) fn look(&mut self, now: Instant) -> Todo {
        // Who is cut off hears nobody, and they need not be gone.
        if let Some(since) = self.hearing_since.filter(|_| !self.is_cut_off(now)) {
            let others = self.others.iter();
            let gone: Vec<InstanceId> = others
                .filter(|(_, other)| now.duration_since(other.heard.max(since)) > GONE_AFTER)
                .map(|(id, _)| *id)
                .collect();
            for instance in gone {
                tracing::info!(%instance, "another hub was not heard for {} s and is taken for gone", GONE_AFTER.as_secs());
                self.forget(instance);
            }
        }
        self.ask_what_is_unknown(now)
    }

    fn forget(&mut self, instance: InstanceId) {
        self.others.remove(&instance);
        self.places.retain(|_, place| place.instance != instance);
    }

    fn other(&mut self, now: Instant, from: InstanceId) -> &mut Other {
        let everyone = self.everyone;
        let other = self.others.entry(from).or_insert_with(|| {
            tracing::info!(instance = %from, "another hub is there");
            Other {
                heard: now,
                state: match everyone {
                    // Who is met first after a question to everyone was asked by it.
                    Some((round, at)) if now.duration_since(at) < ASK_AGAIN_AFTER => {
                        asked(round, at)
                    }
                    _ => unasked(now),
                },
            }
        });
        other.heard = now;
        other
    }

    /// Where an instance told more than is known, something was missed.
    fn miss_what_follows(&mut self, now: Instant, from: InstanceId, number: u64) {
        let other = self.other(now, from);
        if matches!(other.state, State::Known(known) if known < number) {
            other.state = unasked(now);
        }
    }

    fn change(
        &mut self,
        now: Instant,
        from: InstanceId,
        number: u64,
        taken: &[SeatNote],
        left: &[ProbeId],
    ) -> Todo {
        let other = self.other(now, from);
        match &mut other.state {
            State::Known(known) if *known + 1 == number => *known = number,
            // Told before; it came late.
            State::Known(known) if number <= *known => return Todo::default(),
            _ => {
                self.miss_what_follows(now, from, number);
                return self.ask_what_is_unknown(now);
            }
        }
        for probe in left {
            if let Entry::Occupied(place) = self.places.entry(*probe)
                && place.get().instance == from
            {
                place.remove();
            }
        }
        Todo {
            ask: Vec::new(),
            taken: self.take(from, taken),
        }
    }

    fn answer(
        &mut self,
        now: Instant,
        from: InstanceId,
        round: u64,
        (number, more): (u64, u32),
        mut taken: Vec<SeatNote>,
    ) -> Todo {
        let other = self.other(now, from);
        let State::Asked {
            round: asked,
            parts,
            missing,
            ..
        } = &mut other.state
        else {
            return Todo::default();
        };
        // Parts come in order, or one is missing and the question is asked again.
        if *asked != round || missing.is_some_and(|missing| missing != more + 1) {
            return Todo::default();
        }
        parts.append(&mut taken);
        *missing = Some(more);
        if more > 0 {
            return Todo::default();
        }
        let seats = std::mem::take(parts);
        other.state = State::Known(number);
        self.places.retain(|_, place| place.instance != from);
        Todo {
            ask: Vec::new(),
            taken: self.take(from, &seats),
        }
    }

    /// Gives places, but for those that a newer session has; what was given.
    fn take(&mut self, from: InstanceId, taken: &[SeatNote]) -> Vec<SeatNote> {
        let mut given = Vec::with_capacity(taken.len());
        for note in taken {
            let place = Place {
                instance: from,
                session: note.session,
                presence: note.presence,
            };
            match self.places.entry(note.probe) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                }
                Entry::Occupied(mut entry)
                    if entry.get().instance == from || entry.get().session < note.session =>
                {
                    entry.insert(place);
                }
                Entry::Occupied(_) => continue,
            }
            given.push(*note);
        }
        given
    }

    fn ask_what_is_unknown(&mut self, now: Instant) -> Todo {
        let mut todo = Todo::default();
        for (id, other) in &mut self.others {
            if let State::Asked { at, .. } = &other.state
                && now.duration_since(*at) >= ASK_AGAIN_AFTER
            {
                self.last_round += 1;
                other.state = asked(self.last_round, now);
                todo.ask.push((*id, self.last_round));
            }
        }
        todo
    }
}

/// To be asked at once.
fn unasked(now: Instant) -> State {
    // Of no round that ever was.
    asked(0, now.checked_sub(ASK_AGAIN_AFTER).unwrap_or(now))
}

fn asked(round: u64, at: Instant) -> State {
    State::Asked {
        round,
        at,
        parts: Vec::new(),
        missing: None,
    }
}

#[cfg(test)]
mod tests;
