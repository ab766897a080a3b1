//! Deleting everything.

use super::fixture::{
    Hub, at, exactly, fresh_email, key, new_probe, new_user, nine_runs, noon, once, online,
};
use crate::{
    domain::{AssignmentState::Finished, FIRST_GENERATION, Refusal},
    store::{Span, StoreError, Verdict::New, What},
};

pub(super) async fn leaves_nothing(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let kept_by_key = hub.create_probe(new_probe(user), key(user, "k", "f")).await;
    let second = kept_by_key.unwrap().into_inner().id;
    let running = hub.opened(nine_runs(user), &[probe, second]).await;
    hub.accept(running, probe, noon()).await;
    hub.send(running, probe, at(1), "a").await;
    let waiting = hub.opened(once(user), &[second]).await;
    let mut gone = hub.delete_all().await.unwrap();
    gone.sort();
    let mut probes = vec![probe, second];
    probes.sort();
    assert_eq!(gone, probes);
    assert_eq!(hub.user(user).await.unwrap(), None);
    assert_eq!(hub.ledger(user, None, 9).await.unwrap(), []);
    assert_eq!(hub.probes(None, Span::After(None), 9).await.unwrap(), []);
    assert_eq!(hub.probes_by_id(probes.clone()).await.unwrap(), []);
    assert_eq!(
        hub.operations(None, Span::After(None), 9).await.unwrap(),
        []
    );
    assert_eq!(hub.pending(probes.clone(), 9).await.unwrap(), []);
    assert_eq!(hub.end_overdue(at(1_000_000), 9).await.unwrap(), []);
    for probe in probes {
        assert_eq!(hub.probe(probe).await.unwrap(), None);
        let held = exactly(&[running]);
        let settled = hub.settle_as(FIRST_GENERATION, probe, held, at(2));
        assert_eq!(settled.await, None);
        let late = hub.report(running, probe, at(2), What::Unusable).await;
        assert_eq!(late.changed, None);
    }
    for operation in [running, waiting] {
        assert_eq!(hub.operation(operation).await.unwrap(), None);
        assert_eq!(hub.assignments(operation).await.unwrap(), []);
        assert_eq!(hub.results(operation, 0, 9, 9).await.unwrap(), []);
        assert_eq!(hub.raw(operation, 1).await.unwrap(), None);
    }
    assert_eq!(hub.delete_all().await.unwrap(), []);
}

pub(super) async fn leaves_the_rules(hub: Hub) {
    let email = fresh_email();
    let before = hub.create_user(new_user(&email)).await.unwrap().id;
    hub.create_probe(new_probe(before), key(before, "k", "f"))
        .await
        .unwrap();
    hub.delete_all().await.unwrap();
    // The key is free: with another request it would be refused as reused.
    let open = hub.open(once(before), vec![], key(before, "k", "g")).await;
    assert_eq!(open.unwrap(), Err(Refusal::NoAvailableProbe(vec![])));
    assert_eq!(hub.credentials(email.clone()).await.unwrap(), None);
    let user = hub.create_user(new_user(&email)).await.unwrap();
    let twice = hub.create_user(new_user(&email)).await;
    assert!(matches!(twice, Err(StoreError::EmailTaken)));
    assert_eq!(user.credits, 0);
    // All goes on as in a new store.
    hub.grant(user.id, 100, noon(), None).await.unwrap();
    let probe = hub.host(user.id).await;
    let plan = once(user.id);
    let opened = hub.open(plan.clone(), vec![online(probe)], key(user.id, "k", "h"));
    assert!(opened.await.unwrap().is_ok());
    let sent = hub.send(plan.id, probe, at(1), "a").await;
    assert_eq!(sent.verdict, New { seq: 1 });
    assert_eq!(hub.state(plan.id, probe).await, Finished);
    hub.check(&[user.id], &[probe], &[plan.id]).await;
}
