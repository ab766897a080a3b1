//! Users, grants, the ledger.

use super::fixture::{Hub, at, fresh_email, new_user, noon};
use crate::{
    domain::credits::LedgerReason,
    store::{NewUser, StoreError},
};
use chrono::TimeDelta;
use probe_protocol::UserId;

pub(super) async fn register_and_are_found(hub: Hub) {
    let email = fresh_email();
    let new = NewUser {
        is_superuser: true,
        created_at: noon() + TimeDelta::microseconds(1_500),
        ..new_user(&email)
    };
    let user = hub.create_user(new).await.unwrap();
    assert_eq!((user.credits, user.is_superuser), (0, true));
    // Times are kept to the millisecond, and told as they are kept.
    assert_eq!(user.created_at, noon() + TimeDelta::milliseconds(1));
    assert_eq!(hub.user(user.id).await.unwrap().as_ref(), Some(&user));
    let found = hub.credentials(email).await.unwrap();
    assert_eq!(found, Some((user, "$argon2id$".to_owned())));
    assert_eq!(hub.user(UserId::new()).await.unwrap(), None);
    assert_eq!(hub.credentials("nobody".to_owned()).await.unwrap(), None);
}

pub(super) async fn keep_their_address_to_themselves(hub: Hub) {
    hub.create_user(new_user("one@example.org")).await.unwrap();
    let again = hub.create_user(new_user("one@example.org")).await;
    assert!(matches!(again, Err(StoreError::EmailTaken)));
    hub.create_user(new_user("ONE@example.org")).await.unwrap();
}

pub(super) async fn change_their_password(hub: Hub) {
    let email = fresh_email();
    let user = hub.create_user(new_user(&email)).await.unwrap();
    let changed = hub.set_password_hash(user.id, "new".to_owned()).await;
    changed.unwrap();
    let (_, hash) = hub.credentials(email).await.unwrap().unwrap();
    assert_eq!(hash, "new");
}

pub(super) async fn get_grants_with_an_entry(hub: Hub) {
    let user = hub.somebody(0).await;
    let granted = hub.grant(user, 70, at(1), None).await.unwrap().unwrap();
    assert_eq!(granted.credits, 70);
    hub.grant(user, 30, at(2), None).await.unwrap();
    let ledger = hub.ledger(user, None, 10).await.unwrap();
    let entries: Vec<_> = ledger
        .iter()
        .map(|it| (it.amount, it.balance, it.at))
        .collect();
    assert_eq!(entries, [(30, 100, at(2)), (70, 70, at(1))]);
    assert!(ledger.iter().all(|it| it.reason == LedgerReason::Grant));
    assert_eq!(
        hub.grant(UserId::new(), 1, at(1), None).await.unwrap(),
        None
    );
}

pub(super) async fn cannot_get_more_than_a_balance_holds(hub: Hub) {
    let user = hub.somebody(i64::MAX).await;
    let more = hub.grant(user, 1, noon(), None).await;
    assert!(matches!(more, Err(StoreError::BalanceTooLarge)));
    assert_eq!(hub.balance(user).await, i64::MAX);
    hub.check(&[user], &[], &[]).await;
    // Rewards of such a user are not a reason to lose results.
    let (payer, probe) = (hub.somebody(10).await, hub.host(user).await);
    let operation = hub.opened(super::fixture::once(payer), &[probe]).await;
    hub.send(operation, probe, at(1), "a").await;
    assert_eq!(hub.kept(operation).await.last_seq, 1);
    hub.check(&[user, payer], &[probe], &[operation]).await;
}

pub(super) async fn read_their_ledger_in_pages(hub: Hub) {
    let (user, other) = (hub.somebody(0).await, hub.somebody(0).await);
    for amount in 1..=5 {
        hub.grant(user, amount, noon(), None).await.unwrap();
        hub.grant(other, 100, noon(), None).await.unwrap();
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = hub.ledger(user, before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|it| it.amount));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}
