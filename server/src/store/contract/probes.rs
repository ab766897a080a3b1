//! Probes: registration, lists, changes, deletion.

use probe_protocol::ProbeId;

use super::fixture::{
    Hub, RUN_PRICE, agent, at, exactly, new_probe, nine_runs, noon, once, states,
};
use crate::{
    domain::{AssignmentState, Location, probe::ProbeCard},
    store::{Created, Span, Verdict},
};

pub(super) async fn register_and_are_found(hub: Hub) {
    let owner = hub.somebody(0).await;
    let made = hub.create_probe(new_probe(owner), None).await.unwrap();
    let Created::New(probe) = made else {
        panic!("was made before")
    };
    assert_eq!(
        (probe.owner, probe.token_generation, probe.load),
        (owner, 1, 0)
    );
    assert_eq!((&probe.agent, probe.last_seen), (&None, None));
    assert_eq!((probe.refused_results, probe.sessions), (0, 0));
    assert_eq!(hub.probe(probe.id).await.unwrap(), Some(probe));
    assert_eq!(hub.probe(ProbeId::new()).await.unwrap(), None);
}

pub(super) async fn are_found_together(hub: Hub) {
    let owner = hub.somebody(0).await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(hub.host(owner).await);
    }
    let asked = vec![all[2], ProbeId::new(), all[0]];
    let found = hub.probes_by_id(asked).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|probe| probe.id).collect();
    found.sort();
    let mut expected = [all[0], all[2]];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(hub.probes_by_id(vec![]).await.unwrap(), []);
}

pub(super) async fn change_what_is_given(hub: Hub) {
    let id = hub.host(hub.somebody(0).await).await;
    let before = hub.probe(id).await.unwrap().unwrap();
    let card = ProbeCard {
        name: Some("attic".to_owned()),
        location: None,
    };
    let changed = hub.change_probe(id, card).await.unwrap().unwrap();
    assert_eq!(changed.name.as_deref(), Some("attic"));
    assert_eq!(changed.location, before.location);
    let moved = Location {
        longitude: 1.5,
        latitude: 2.5,
    };
    let card = ProbeCard {
        name: None,
        location: Some(moved),
    };
    let changed = hub.change_probe(id, card.clone()).await.unwrap().unwrap();
    assert_eq!(changed.name.as_deref(), Some("attic"));
    assert_eq!(changed.location, moved);
    assert_eq!(hub.probe(id).await.unwrap(), Some(changed));
    let nobody = hub.change_probe(ProbeId::new(), card).await.unwrap();
    assert_eq!(nobody, None);
}

pub(super) async fn rotate_their_token(hub: Hub) {
    let id = hub.host(hub.somebody(0).await).await;
    let rotated = hub.rotate_token(id).await.unwrap().unwrap();
    assert_eq!(rotated.token_generation, 2);
    assert_eq!(hub.probe(id).await.unwrap(), Some(rotated));
    assert_eq!(hub.rotate_token(ProbeId::new()).await.unwrap(), None);
}

pub(super) async fn disappear_when_deleted(hub: Hub) {
    let (payer, probe) = hub.pair().await;
    let owner = hub.probe(probe).await.unwrap().unwrap().owner;
    let operation = hub.opened(nine_runs(payer), &[probe]).await;
    hub.accept(operation, probe, noon()).await;
    hub.send(operation, probe, at(1), "a").await;
    let changes = hub.delete_probe(probe, at(2)).await.unwrap().unwrap();
    assert_eq!(states(&changes), [AssignmentState::Cancelled]);
    assert!(changes[0].operation_ended);
    assert_eq!(hub.probe(probe).await.unwrap(), None);
    assert_eq!(hub.probes(None, Span::Before(None), 9).await.unwrap(), []);
    assert_eq!(
        hub.probes(Some(owner), Span::Before(None), 9)
            .await
            .unwrap(),
        []
    );
    assert_eq!(hub.probes_by_id(vec![probe]).await.unwrap(), []);
    assert_eq!(hub.pending(vec![probe], 9).await.unwrap(), []);
    assert_eq!(hub.rotate_token(probe).await.unwrap(), None);
    assert_eq!(hub.delete_probe(probe, at(3)).await.unwrap(), None);
    let card = ProbeCard {
        name: None,
        location: None,
    };
    assert_eq!(hub.change_probe(probe, card).await.unwrap(), None);
    let refused = hub.try_open(once(payer), &[probe]).await.unwrap();
    assert!(refused.is_err());
    // Results stay, and what was measured before the deletion still counts.
    let rows = hub.results(operation, 0, 9, 9999).await.unwrap();
    assert_eq!((rows.len(), rows[0].probe), (1, probe));
    let late = hub.send(operation, probe, at(2), "b").await;
    assert_eq!(late.verdict, Verdict::New { seq: 2 });
    assert_eq!(hub.balance(owner).await, 20);
}

pub(super) async fn give_back_what_was_open_when_deleted(hub: Hub) {
    let (payer, probe) = hub.pair().await;
    let other = hub.somebody(100).await;
    let running = hub.opened(nine_runs(payer), &[probe]).await;
    let waiting = hub.opened(nine_runs(other), &[probe]).await;
    hub.accept(running, probe, noon()).await;
    hub.settle(probe, agent(1000), exactly(&[running]), at(1), 9)
        .await
        .unwrap();
    let changes = hub.delete_probe(probe, at(4)).await.unwrap().unwrap();
    assert_eq!(states(&changes), [AssignmentState::Cancelled; 2]);
    // Minutes 5 to 9 of the running one lie ahead; nothing of the waiting one ran.
    assert_eq!(hub.refunds(payer).await, [5 * RUN_PRICE]);
    assert_eq!(hub.refunds(other).await, [9 * RUN_PRICE]);
    hub.check(&[payer, other], &[], &[running, waiting]).await;
}
