//! What is believed of other instances, whatever is lost, late or repeated.

use proptest::prelude::*;

use super::*;

const A_BEAT: Duration = Duration::from_secs(1);

fn note(probe: ProbeId, session: u64) -> SeatNote {
    SeatNote {
        probe,
        session,
        presence: Presence::default(),
    }
}

fn seats(number: u64, taken: Vec<SeatNote>, left: Vec<ProbeId>) -> Gossip {
    Gossip::Seats {
        number,
        taken,
        left,
    }
}

fn all(round: u64, number: u64, taken: Vec<SeatNote>) -> Gossip {
    Gossip::All {
        round,
        number,
        more: 0,
        taken,
    }
}

/// The platform as one instance sees it, and the time.
struct Seen {
    elsewhere: Elsewhere,
    now: Instant,
}

impl Seen {
    fn new() -> Self {
        let mut seen = Self {
            elsewhere: Elsewhere::new(100),
            now: Instant::now(),
        };
        seen.elsewhere.hear_myself(seen.now);
        seen
    }

    fn hear(&mut self, from: InstanceId, gossip: Gossip) -> Todo {
        self.elsewhere.hear(self.now, from, gossip)
    }

    /// Meets an instance that has these seats.
    fn meet(&mut self, other: InstanceId, number: u64, taken: Vec<SeatNote>) {
        let todo = self.hear(other, Gossip::Beat { number });
        let [(asked, round)] = todo.ask[..] else {
            panic!("not asked: {todo:?}")
        };
        assert_eq!(asked, other);
        self.hear(other, all(round, number, taken));
    }

    /// A beat later, in which this instance heard itself.
    fn wait(&mut self) {
        for _ in 0..4 {
            self.now += A_BEAT / 4;
            self.elsewhere.look(self.now);
        }
        self.elsewhere.hear_myself(self.now);
    }

    fn at(&self, probe: ProbeId) -> Option<InstanceId> {
        self.elsewhere.place(probe).map(|place| place.instance)
    }
}

#[test]
fn who_is_met_is_asked_for_everything() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    seen.meet(other, 7, vec![note(probe, 1)]);
    assert_eq!(seen.at(probe), Some(other));
    assert_eq!(seen.elsewhere.others(), (1, true));
    seen.hear(other, seats(8, vec![], vec![probe]));
    assert_eq!(seen.at(probe), None);
}

#[test]
fn what_was_missed_is_asked_for() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    seen.meet(other, 7, vec![]);
    let todo = seen.hear(other, seats(9, vec![note(probe, 1)], vec![]));
    assert_eq!(todo.ask.len(), 1);
    assert_eq!(seen.at(probe), None, "a part was taken for the whole");
    seen.hear(other, all(todo.ask[0].1, 9, vec![note(probe, 1)]));
    assert_eq!(seen.at(probe), Some(other));
    // The last change may be the one that was missed: then the next beat tells.
    let todo = seen.hear(other, Gossip::Beat { number: 10 });
    assert_eq!(todo.ask.len(), 1);
}

#[test]
fn an_unanswered_question_is_asked_again_and_only_the_newest_answer_counts() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    let first = seen.hear(other, Gossip::Beat { number: 3 }).ask[0].1;
    seen.now += A_BEAT;
    let second = seen.elsewhere.look(seen.now).ask[0].1;
    assert!(second > first);
    seen.hear(other, all(first, 3, vec![note(probe, 1)]));
    assert_eq!(seen.at(probe), None);
    seen.hear(other, all(second, 3, vec![note(probe, 1)]));
    assert_eq!(seen.at(probe), Some(other));
}

#[test]
fn an_answer_that_lacks_a_part_is_none() {
    let (mut seen, other) = (Seen::new(), InstanceId::new());
    let probes: Vec<ProbeId> = (0..3).map(|_| ProbeId::new()).collect();
    let round = seen.hear(other, Gossip::Beat { number: 1 }).ask[0].1;
    let part = |round, more, probe| Gossip::All {
        round,
        number: 1,
        more,
        taken: vec![note(probe, 1)],
    };
    seen.hear(other, part(round, 2, probes[0]));
    seen.hear(other, part(round, 0, probes[2]));
    assert_eq!(seen.elsewhere.others(), (1, false));
    assert!(probes.iter().all(|probe| seen.at(*probe).is_none()));
    seen.now += A_BEAT;
    let round = seen.elsewhere.look(seen.now).ask[0].1;
    for (more, probe) in (0..3).rev().zip(&probes) {
        seen.hear(other, part(round, more, *probe));
    }
    assert!(probes.iter().all(|probe| seen.at(*probe) == Some(other)));
}

#[test]
fn a_silent_instance_is_gone_and_its_late_words_revive_nobody() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    let round = {
        let todo = seen.hear(other, Gossip::Beat { number: 1 });
        todo.ask[0].1
    };
    let answer = all(round, 1, vec![note(probe, 1)]);
    seen.hear(other, answer.clone());
    for _ in 0..3 {
        seen.wait();
        assert_eq!(seen.at(probe), Some(other));
    }
    seen.wait();
    seen.wait();
    assert_eq!(seen.at(probe), None);
    assert_eq!(seen.elsewhere.others(), (0, true));
    for late in [
        seats(2, vec![note(probe, 1)], vec![]),
        answer,
        Gossip::Beat { number: 2 },
    ] {
        seen.hear(other, late);
        assert_eq!(seen.at(probe), None, "a ghost");
    }
}

#[test]
fn nobody_is_gone_while_one_hears_nothing_at_all() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    seen.meet(other, 1, vec![note(probe, 1)]);
    for _ in 0..40 {
        seen.now += A_BEAT;
        seen.elsewhere.look(seen.now);
    }
    assert_eq!(seen.at(probe), Some(other));
    // Once it hears itself again, the others have as much time as ever.
    seen.elsewhere.hear_myself(seen.now);
    for _ in 0..3 {
        seen.wait();
        assert_eq!(seen.at(probe), Some(other));
    }
    seen.wait();
    seen.wait();
    assert_eq!(seen.at(probe), None);
}

#[test]
fn the_newest_session_has_the_place_in_any_order() {
    let (one, two, probe) = (InstanceId::new(), InstanceId::new(), ProbeId::new());
    for newer_first in [true, false] {
        let mut seen = Seen::new();
        seen.meet(one, 0, vec![]);
        seen.meet(two, 0, vec![]);
        let mut words = [
            (one, seats(1, vec![note(probe, 4)], vec![])),
            (two, seats(1, vec![note(probe, 5)], vec![])),
        ];
        if newer_first {
            words.reverse();
        }
        for (from, gossip) in words {
            seen.hear(from, gossip);
        }
        assert_eq!(seen.at(probe), Some(two));
        seen.hear(one, seats(2, vec![], vec![probe]));
        assert_eq!(
            seen.at(probe),
            Some(two),
            "the older one's end took the place"
        );
        seen.hear(two, seats(2, vec![], vec![probe]));
        assert_eq!(seen.at(probe), None);
    }
}

#[test]
fn goodbye_frees_all_places_at_once() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    seen.meet(other, 1, vec![note(probe, 1)]);
    seen.hear(other, Gossip::Goodbye);
    assert_eq!(seen.at(probe), None);
}

#[test]
fn who_answers_a_question_to_everyone_is_known_at_once() {
    let (mut seen, other, probe) = (Seen::new(), InstanceId::new(), ProbeId::new());
    let round = seen.elsewhere.ask_everyone(seen.now);
    seen.hear(other, all(round, 5, vec![note(probe, 2)]));
    assert_eq!(seen.at(probe), Some(other));
    let late = InstanceId::new();
    seen.now += A_BEAT;
    seen.hear(late, all(round, 5, vec![note(ProbeId::new(), 2)]));
    assert_eq!(seen.elsewhere.probes().count(), 1);
}

/// What happens to one instance with seats, and to its words.
#[derive(Debug, Clone)]
enum Step {
    Take(usize),
    Leave(usize),
    Lose,
    Repeat(usize),
    Beat,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_usize).prop_map(Step::Take),
        4 => (0..5_usize).prop_map(Step::Leave),
        2 => Just(Step::Lose),
        2 => (0..20_usize).prop_map(Step::Repeat),
        1 => Just(Step::Beat),
    ]
}

proptest! {
    /// Whatever is lost or comes again late: one beat and one answer later, everything is as it is.
    #[test]
    fn it_comes_to_the_truth(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut seen, other) = (Seen::new(), InstanceId::new());
        let probes: Vec<ProbeId> = (0..5).map(|_| ProbeId::new()).collect();
        let mut taken: HashMap<ProbeId, u64> = HashMap::new();
        let (mut number, mut session, mut said, mut lose) = (0, 0, Vec::new(), false);
        for step in steps {
            let gossip = match step {
                Step::Take(place) => {
                    (number, session) = (number + 1, session + 1);
                    taken.insert(probes[place], session);
                    seats(number, vec![note(probes[place], session)], vec![])
                }
                Step::Leave(place) => {
                    number += 1;
                    taken.remove(&probes[place]);
                    seats(number, vec![], vec![probes[place]])
                }
                Step::Lose => {
                    lose = true;
                    continue;
                }
                Step::Repeat(place) => match said.get(place) {
                    Some(gossip) => Gossip::clone(gossip),
                    None => continue,
                },
                Step::Beat => Gossip::Beat { number },
            };
            said.push(gossip.clone());
            if std::mem::take(&mut lose) {
                continue;
            }
            for (_, round) in seen.hear(other, gossip).ask {
                let notes = taken.iter().map(|(probe, session)| note(*probe, *session));
                seen.hear(other, all(round, number, notes.collect()));
            }
        }
        let mut todo = seen.hear(other, Gossip::Beat { number });
        seen.now += A_BEAT;
        todo.ask.extend(seen.elsewhere.look(seen.now).ask);
        for (_, round) in todo.ask {
            let notes = taken.iter().map(|(probe, session)| note(*probe, *session));
            seen.hear(other, all(round, number, notes.collect()));
        }
        for probe in &probes {
            let place = seen.elsewhere.place(*probe);
            prop_assert_eq!(place.map(|place| place.session), taken.get(probe).copied());
        }
    }
}
