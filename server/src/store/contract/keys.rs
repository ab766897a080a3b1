//! Idempotency keys.

use chrono::TimeDelta;
use probe_protocol::ProbeId;

use super::fixture::{Hub, at, key, new_probe, noon, once, online};
use crate::{
    domain::{LeftOut, Refusal},
    store::{Created, Span, StoreError},
};

pub(super) async fn make_a_probe_once(hub: Hub) {
    let user = hub.somebody(0).await;
    let make = || hub.create_probe(new_probe(user), key(user, "k", "f"));
    let Created::New(first) = make().await.unwrap() else {
        panic!("was made before")
    };
    hub.rotate_token(first.id).await.unwrap();
    let Created::Before(again) = make().await.unwrap() else {
        panic!("was made twice")
    };
    // What there is now, not what there was then.
    assert_eq!((again.id, again.token_generation), (first.id, 2));
    hub.delete_probe(first.id, at(1)).await.unwrap();
    assert_eq!(make().await.unwrap().into_inner().id, first.id);
    assert_eq!(hub.probes(None, Span::Before(None), 9).await.unwrap(), []);
}

pub(super) async fn open_an_operation_once(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let unknown = ProbeId::new();
    let open = || {
        let candidates = vec![online(probe), online(unknown)];
        hub.open(once(user), candidates, key(user, "k", "f"))
    };
    let Ok(Created::New(first)) = open().await.unwrap() else {
        panic!("was not opened")
    };
    let Ok(Created::Before(again)) = open().await.unwrap() else {
        panic!("was opened twice")
    };
    assert_eq!(again, first);
    assert_eq!(again.left_out, [(unknown, LeftOut::Unknown)]);
    hub.send(first.operation.plan.id, probe, at(1), "a").await;
    let again = open().await.unwrap().unwrap().into_inner();
    assert_eq!(again.operation.last_seq, 1);
    assert_eq!(hub.balance(user).await, 998);
}

pub(super) async fn grant_once(hub: Hub) {
    let (admin, user) = (hub.somebody(0).await, hub.somebody(0).await);
    for _ in 0..2 {
        let granted = hub.grant(user, 5, noon(), key(admin, "k", "f")).await;
        assert_eq!(granted.unwrap().unwrap().credits, 5);
    }
    hub.check(&[user], &[], &[]).await;
}

pub(super) async fn belong_to_one_request(hub: Hub) {
    let (user, other) = (hub.somebody(0).await, hub.somebody(0).await);
    hub.create_probe(new_probe(user), key(user, "k", "f"))
        .await
        .unwrap();
    let reused = hub.create_probe(new_probe(user), key(user, "k", "g")).await;
    assert!(matches!(reused, Err(StoreError::KeyReused)));
    let reused = hub.grant(user, 5, noon(), key(user, "k", "g")).await;
    assert!(matches!(reused, Err(StoreError::KeyReused)));
    let reused = hub.open(once(user), vec![], key(user, "k", "g")).await;
    assert!(matches!(reused, Err(StoreError::KeyReused)));
    assert_eq!(
        hub.probes(Some(user), Span::Before(None), 9)
            .await
            .unwrap()
            .len(),
        1
    );
    // Another user's key of that name is another key.
    let theirs = hub
        .create_probe(new_probe(other), key(other, "k", "g"))
        .await;
    assert!(matches!(theirs, Ok(Created::New(_))));
}

pub(super) async fn leave_refusals_alone(hub: Hub) {
    let user = hub.somebody(0).await;
    let probe = hub.host(user).await;
    let open = || hub.open(once(user), vec![online(probe)], key(user, "k", "f"));
    let refused = open().await.unwrap();
    assert!(matches!(refused, Err(Refusal::NotEnoughCredits { .. })));
    hub.grant(user, 100, noon(), None).await.unwrap();
    assert!(matches!(open().await.unwrap(), Ok(Created::New(_))));
}

pub(super) async fn are_forgotten(hub: Hub) {
    let user = hub.somebody(0).await;
    let make = || hub.create_probe(new_probe(user), key(user, "k", "f"));
    make().await.unwrap();
    hub.forget_keys(noon()).await.unwrap();
    assert!(matches!(make().await.unwrap(), Created::Before(_)));
    hub.forget_keys(noon() + TimeDelta::milliseconds(1))
        .await
        .unwrap();
    assert!(matches!(make().await.unwrap(), Created::New(_)));
}
