//! Users, grants and reading the ledger.

use async_trait::async_trait;
use bson::{Bson, doc};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use probe_protocol::UserId;

use super::{
    MongoStore,
    balances::{self, Cause},
    documents::{UserDoc, as_kept},
    error::{Attempt, Failure, is_duplicate},
    keys,
    link::Tx,
    paging,
};
use crate::{
    domain::{User, credits::LedgerReason},
    store::{IdempotencyKey, LedgerEntry, NewUser, StoreError, Stored, UserStore},
};

#[async_trait]
impl UserStore for MongoStore {
    async fn create_user(&self, user: NewUser) -> Stored<User> {
        let created = User {
            id: UserId::new(),
            email: user.email,
            credits: 0,
            is_superuser: user.is_superuser,
            created_at: as_kept(user.created_at),
        };
        let document = UserDoc::of(&created, &user.password_hash);
        self.write(move |tx| {
            let document = document.clone();
            Box::pin(async move { insert(tx, document).await })
        })
        .await?;
        Ok(created)
    }

    async fn user(&self, id: UserId) -> Stored<Option<User>> {
        self.read(move |kept| async move {
            let found = kept.users.find_one(doc! { "_id": id.object_id() }).await?;
            Ok(found.as_ref().map(User::from))
        })
        .await
    }

    async fn credentials(&self, email: String) -> Stored<Option<(User, String)>> {
        self.read(move |kept| {
            let filter = doc! { "email": &email };
            async move {
                let found = kept.users.find_one(filter).await?;
                Ok(found.map(|user| (User::from(&user), user.password_hash)))
            }
        })
        .await
    }

    async fn set_password_hash(&self, id: UserId, password_hash: String) -> Stored<()> {
        self.write(move |tx| {
            let change = doc! { "$set": { "password_hash": &password_hash } };
            Box::pin(async move {
                let users = tx.kept.users.clone();
                tx.change(&users, doc! { "_id": id.object_id() }, change)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn grant(
        &self,
        id: UserId,
        credits: i64,
        at: DateTime<Utc>,
        key: Option<IdempotencyKey>,
    ) -> Stored<Option<User>> {
        self.write_in_turn(id, move |tx| {
            let key = key.clone();
            Box::pin(async move { grant(tx, id, credits, at, key.as_ref()).await })
        })
        .await
    }

    async fn ledger(
        &self,
        id: UserId,
        before: Option<i64>,
        limit: usize,
    ) -> Stored<Vec<LedgerEntry>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.read(move |kept| async move {
            // Names of entries sort by user and number.
            let before = before.unwrap_or(i64::MAX);
            let of_user = doc! {
                "$gt": { "user": id.object_id(), "number": Bson::MinKey },
                "$lt": { "user": id.object_id(), "number": before },
            };
            let find = kept
                .ledger
                .find(doc! { "_id": of_user })
                .sort(doc! { "_id": -1 })
                .limit(paging::limit(limit));
            let found: Vec<_> = find.await?.try_collect().await?;
            Ok(found.into_iter().map(LedgerEntry::from).collect())
        })
        .await
    }
}

async fn insert(tx: &mut Tx, document: UserDoc) -> Attempt<()> {
    let users = tx.kept.users.clone();
    match tx.insert(&users, [document]).await {
        // One that is being registered at the same time is a conflict; this one is there.
        Err(Failure::Driver(error)) if is_duplicate(&error) => {
            Err(Failure::Final(StoreError::EmailTaken))
        }
        done => done,
    }
}

async fn grant(
    tx: &mut Tx,
    id: UserId,
    credits: i64,
    at: DateTime<Utc>,
    key: Option<&IdempotencyKey>,
) -> Attempt<Option<User>> {
    let users = tx.kept.users.clone();
    let one = doc! { "_id": id.object_id() };
    tx.hold(id).await?;
    let known = keys::find(tx, key).await?.is_some();
    let Some(before) = tx.one(&users, one.clone()).await? else {
        return Ok(None);
    };
    if known {
        return Ok(Some(User::from(&before)));
    }
    let after = before.credits.checked_add(credits);
    if after.is_none_or(|after| after < 0) {
        return Err(Failure::Final(StoreError::BalanceTooLarge));
    }
    let cause = Cause {
        reason: LedgerReason::Grant,
        operation: None,
        probe: None,
        at,
    };
    balances::enter(tx, vec![(id, credits, cause)]).await?;
    keys::keep(tx, key, id.to_string(), None, at).await?;
    let after = tx.one(&users, one).await?;
    Ok(after.as_ref().map(User::from))
}
