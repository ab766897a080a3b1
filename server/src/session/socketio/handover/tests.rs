//! Handing operations over, step by step, without a socket: what is sent and reported, in order.

use axum::extract::ws::Message;
use probe_protocol::{Assign, Kind, ProbeId, ResultFormat, TargetPolicy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    registry::{Registry, SessionEnds},
    session::Out,
};

/// A handover with everything around it.
struct Desk {
    handover: Handover,
    handle: SessionHandle,
    _ends: SessionEnds,
    out: Outgoing,
}

/// What a step led to. Operations by the number of their offer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Claimed(u32),
    Sent(u32, i64),
    Accepted(u32),
    Refused(u32, String),
}
use Did::{Accepted, Claimed, Refused, Sent};

/// An offer; its price is its number, by which it is known again.
fn offer_of(number: u32, kind: Kind, params: Value, targets: &[&str]) -> Arc<Offer> {
    let assign = Assign {
        operation: operation(number),
        kind,
        params,
        targets: targets
            .iter()
            .map(|target| target.parse().unwrap())
            .collect(),
        schedule: None,
        result_format: ResultFormat::Json,
        credits: number,
    };
    Arc::new(Offer {
        assign,
        frame: String::new().into(),
        created_at: Utc::now(),
    })
}

fn offer(number: u32) -> Arc<Offer> {
    offer_of(number, Kind::Ping, json!({}), &["127.0.0.1"])
}

fn operation(number: u32) -> OperationId {
    format!("{number:024x}").parse().unwrap()
}

fn number(operation: OperationId) -> u32 {
    u32::from_str_radix(&operation.to_string(), 16).unwrap()
}

fn read(out: Out) -> Option<Did> {
    Some(match out {
        Out::Left(_) => return None,
        Out::Send(Message::Text(text)) => {
            let (ack, event) = text.strip_prefix("42").unwrap().split_once('[').unwrap();
            let event: Value = serde_json::from_str(&format!("[{event}")).unwrap();
            let id: OperationId = serde_json::from_value(event[1]["_id"].clone()).unwrap();
            Sent(number(id), ack.parse().unwrap())
        }
        Out::Report(_, Said::Claimed(operation)) => Claimed(number(operation)),
        Out::Report(_, Said::Accepted(operation)) => Accepted(number(operation)),
        Out::Report(_, Said::Refused(operation, reason)) => Refused(number(operation), reason),
        other => panic!("{other:?}"),
    })
}

impl Desk {
    fn new(names: Option<Names>) -> Self {
        let (handle, ends) = Registry::default().session(ProbeId::new(), 1, 0);
        Self {
            handover: Handover::new(handle.clone(), names),
            handle,
            _ends: ends,
            out: Outgoing::default(),
        }
    }

    fn did(&mut self) -> Vec<Did> {
        self.out.0.drain(..).filter_map(read).collect()
    }

    fn offer(&mut self, offer: Arc<Offer>) -> Vec<Did> {
        self.handover.offer(offer, &mut self.out);
        self.did()
    }

    fn claimed(&mut self, number: u32, granted: bool) -> Vec<Did> {
        self.handover
            .claimed(operation(number), granted, &mut self.out);
        self.did()
    }

    fn acknowledged(&mut self, ack: i64) -> Vec<Did> {
        self.handover.acknowledged(ack, &mut self.out);
        self.did()
    }

    fn forget(&mut self, number: u32) -> Vec<Did> {
        self.handover.forget(operation(number), &mut self.out);
        self.did()
    }

    fn resolved(&mut self, number: u32, targets: Result<Vec<Target>, String>) -> Vec<Did> {
        self.handover
            .resolved(operation(number), targets, &mut self.out);
        self.did()
    }

    fn is_sick(&self) -> bool {
        self.handle.presence().sick
    }
}

fn without_credits(number: u32) -> Did {
    Refused(number, NO_CREDITS.to_owned())
}

#[test]
fn nothing_leaves_before_it_is_claimed() {
    let mut desk = Desk::new(None);
    desk.handover.overdue();
    assert_eq!(desk.offer(offer(1)), [Claimed(1)]);
    desk.handover.overdue();
    assert!(!desk.is_sick(), "it cannot answer what was not sent");
    // Neither an answer nor another claim makes it leave.
    desk.handover.taken();
    assert_eq!(desk.acknowledged(1), []);
    assert_eq!(desk.claimed(2, true), []);
    assert_eq!(desk.claimed(1, true), [Sent(1, 1)]);
    assert_eq!(desk.claimed(1, true), [], "an answer that comes twice");
    desk.handover.taken();
    assert_eq!(desk.acknowledged(1), [Accepted(1)]);
    assert_eq!(desk.acknowledged(1), []);
}

#[test]
fn one_waits_for_the_answer_to_the_other() {
    let mut desk = Desk::new(None);
    assert_eq!(desk.offer(offer(1)), [Claimed(1)]);
    for number in [2, 3, 4] {
        assert_eq!(desk.offer(offer(number)), []);
    }
    assert_eq!(desk.claimed(1, true), [Sent(1, 1)]);
    assert_eq!(desk.acknowledged(2), [], "of another event");
    desk.handover.taken();
    assert_eq!(desk.acknowledged(1), [Accepted(1), Claimed(2)]);
    // That it took the first says nothing of the second.
    assert_eq!(desk.claimed(2, true), [Sent(2, 2)]);
    assert_eq!(desk.acknowledged(2), [without_credits(2), Claimed(3)]);
    // Cancelled, or on its way by another session.
    assert_eq!(desk.claimed(3, false), [Claimed(4)]);
    assert_eq!(
        desk.claimed(4, true),
        [Sent(4, 3)],
        "numbers are used in turn"
    );
}

#[test]
fn an_operation_waits_once() {
    let mut desk = Desk::new(None);
    assert_eq!(desk.offer(offer(1)), [Claimed(1)]);
    assert_eq!(desk.offer(offer(1)), []);
    desk.offer(offer(2));
    desk.offer(offer(2));
    assert_eq!(desk.claimed(1, false), [Claimed(2)]);
    assert_eq!(desk.claimed(2, true), [Sent(2, 1)]);
    assert_eq!(
        desk.offer(offer(2)),
        [],
        "the sweep offers what it finds pending"
    );
    assert_eq!(desk.acknowledged(1), [without_credits(2)]);
    // The store alone knows whether it may leave again.
    assert_eq!(desk.offer(offer(2)), [Claimed(2)]);
}

#[test]
fn only_so_many_wait() {
    let mut desk = Desk::new(None);
    let most = u32::try_from(MOST_WAITING).unwrap();
    for number in 0..most + 10 {
        desk.offer(offer(number));
    }
    assert_eq!(desk.handover.waiting.len(), MOST_WAITING);
    for number in 0..=most {
        let next = desk.claimed(number, false);
        assert_eq!(
            next,
            if number < most {
                vec![Claimed(number + 1)]
            } else {
                vec![]
            }
        );
    }
}

#[test]
fn what_is_cancelled_is_forgotten_unless_it_left() {
    let mut desk = Desk::new(None);
    for number in [1, 2, 3] {
        desk.offer(offer(number));
    }
    assert_eq!(desk.forget(2), []);
    // Its claim is under way; the store will say no.
    assert_eq!(desk.forget(1), []);
    assert_eq!(desk.claimed(1, false), [Claimed(3)]);
    assert_eq!(desk.claimed(3, true), [Sent(3, 1)]);
    assert_eq!(desk.forget(3), []);
    assert_eq!(desk.offer(offer(4)), [], "the agent still owes an answer");
    assert_eq!(desk.acknowledged(1), [without_credits(3), Claimed(4)]);
}

#[test]
fn what_the_agent_cannot_run_is_refused_and_the_next_goes_on() {
    let mut desk = Desk::new(None);
    let tcp = |number| offer_of(number, Kind::Traceroute, json!({"method": "tcp"}), &["::1"]);
    let did = desk.offer(tcp(1));
    assert!(
        matches!(did.as_slice(), [Refused(1, why)] if why.contains("tcp")),
        "{did:?}"
    );
    desk.offer(offer(2));
    desk.offer(tcp(3));
    desk.offer(offer(4));
    let did = desk.claimed(2, false);
    assert!(
        matches!(did.as_slice(), [Refused(3, _), Claimed(4)]),
        "{did:?}"
    );
}

/// Whether the answer to what was sent since then is due in time.
fn is_due_since(desk: &Desk, sent: Instant) -> bool {
    let due = desk.handover.overdue_at();
    due.is_some_and(|due| (sent + ANSWER_WITHIN..=Instant::now() + ANSWER_WITHIN).contains(&due))
}

#[test]
fn who_does_not_answer_is_sick_until_it_does() {
    let mut desk = Desk::new(None);
    desk.offer(offer(1));
    desk.offer(offer(2));
    assert_eq!(
        desk.handover.overdue_at(),
        None,
        "the store may take its time"
    );
    let sent = Instant::now();
    desk.claimed(1, true);
    assert!(is_due_since(&desk, sent) && !desk.is_sick());
    desk.handover.overdue();
    assert!(desk.is_sick());
    assert_eq!(desk.handover.overdue_at(), None, "told once");
    assert_eq!(desk.did(), []);
    assert_eq!(desk.acknowledged(7), []);
    assert!(desk.is_sick());
    desk.handover.taken();
    assert_eq!(desk.acknowledged(1), [Accepted(1), Claimed(2)]);
    assert!(!desk.is_sick());
    // The next one has its own time.
    let sent = Instant::now();
    desk.claimed(2, true);
    assert!(is_due_since(&desk, sent));
}

fn names() -> Names {
    // Nobody listens there; the answers come from the tests.
    let server = "127.0.0.1:1".parse().unwrap();
    Names::new(Some(server), TargetPolicy::Any).unwrap()
}

#[tokio::test]
async fn names_become_addresses_before_the_claim() {
    let mut desk = Desk::new(Some(names()));
    let named = |number| offer_of(number, Kind::Ping, json!({}), &["a.example", "::1"]);
    let targets = || {
        Ok(["192.0.2.1", "::1"]
            .map(|text| text.parse().unwrap())
            .to_vec())
    };
    assert_eq!(desk.offer(named(1)), []);
    assert_eq!(desk.offer(offer(2)), []);
    assert_eq!(desk.handover.overdue_at(), None);
    assert_eq!(desk.resolved(2, targets()), [], "not its turn");
    assert_eq!(desk.resolved(1, targets()), [Claimed(1)]);
    assert_eq!(desk.resolved(1, Err("late".to_owned())), []);
    desk.handover.claimed(operation(1), true, &mut desk.out);
    let Some(Out::Send(Message::Text(text))) = desk.out.0.pop_front() else {
        panic!("nothing was sent");
    };
    assert!(
        text.contains(r#""ips":["192.0.2.1","::1"]"#) && !text.contains("a.example"),
        "{text}"
    );
    assert_eq!(desk.acknowledged(1), [without_credits(1), Claimed(2)]);
    desk.claimed(2, false);
    // A name that has none ends it before it is claimed.
    assert_eq!(desk.offer(named(3)), []);
    desk.offer(named(4));
    desk.offer(offer(5));
    assert_eq!(
        desk.resolved(3, Err("no such name".to_owned())),
        [Refused(3, "no such name".to_owned())]
    );
    // A cancel does not wait for a name server.
    assert_eq!(desk.forget(4), [Claimed(5)]);
    assert_eq!(desk.resolved(4, targets()), []);
    // What dns asks for stays a name, and addresses are addresses.
    desk.claimed(5, false);
    assert_eq!(
        desk.offer(offer_of(6, Kind::Dns, json!({}), &["a.example"])),
        [Claimed(6)]
    );
}

/// Something that happens to a handover.
#[derive(Debug, Clone)]
enum Event {
    Offer(u32),
    Answer(bool),
    Taken,
    Ack(i64),
    Overdue,
    Forget(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..5_u32).prop_map(Event::Offer),
        4 => any::<bool>().prop_map(Event::Answer),
        1 => Just(Event::Taken),
        4 => (0..12_i64).prop_map(Event::Ack),
        1 => Just(Event::Overdue),
        1 => (0..5_u32).prop_map(Event::Forget),
    ]
}

proptest! {
    /// Whatever happens, what leaves was granted, and nothing leaves or is claimed before the one before is answered.
    #[test]
    fn at_most_one_is_under_way(events in prop::collection::vec(event(), 1..80)) {
        let mut desk = Desk::new(None);
        let (mut claimed, mut sent): (Option<u32>, Option<(u32, i64)>) = (None, None);
        let mut last_ack = 0;
        for event in events {
            let (answered, acknowledged) = match &event {
                Event::Answer(granted) => (claimed.take().map(|number| (number, *granted)), None),
                Event::Ack(ack) => (None, sent.filter(|(_, number)| number == ack)),
                _ => (None, None),
            };
            let did = match event {
                Event::Offer(number) => desk.offer(offer(number)),
                Event::Answer(_) => answered.map_or_else(Vec::new, |(number, granted)| desk.claimed(number, granted)),
                Event::Ack(ack) => desk.acknowledged(ack),
                Event::Forget(number) => desk.forget(number),
                Event::Taken => { desk.handover.taken(); desk.did() }
                Event::Overdue => { desk.handover.overdue(); desk.did() }
            };
            for step in did {
                match step {
                    Claimed(number) => {
                        prop_assert!(claimed.is_none() && sent.is_none());
                        claimed = Some(number);
                    }
                    Sent(number, ack) => {
                        prop_assert_eq!(answered, Some((number, true)));
                        prop_assert!(sent.is_none() && ack == last_ack + 1);
                        (sent, last_ack) = (Some((number, ack)), ack);
                    }
                    Accepted(number) | Refused(number, _) => {
                        prop_assert_eq!(acknowledged.map(|(it, _)| it), Some(number));
                        sent = None;
                    }
                }
            }
            prop_assert_eq!(sent.is_some(), matches!(&desk.handover.current, Some(Current { step: Step::Sent { .. }, .. })));
            prop_assert!(sent.is_some() || !desk.is_sick());
        }
    }
}
