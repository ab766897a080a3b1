//! Carrying everything that a store holds into another one.

use probe_protocol::OperationId;

use super::fixture::{Hub, at, fresh_email, key, new_probe, new_user, noon, once, online};
use crate::{
    domain::{AssignmentState, Probe, User, lifecycle},
    store::{Created, Part, Record, StoreError, Verdict::*},
};
use busy::Busy;

mod busy;

/// Records of a page: so few that every part of a busy store takes several pages.
const PAGE: usize = 2;

/// All records of a part, a page at a time.
async fn pages(hub: &Hub, part: Part) -> Vec<Vec<Record>> {
    let mut pages: Vec<Vec<Record>> = Vec::new();
    loop {
        let after = pages.last().and_then(|page| page.last());
        let page = hub.records(part, after, PAGE, usize::MAX).await.unwrap();
        assert!(page.len() <= PAGE && pages.len() < 100, "no end");
        assert!(page.iter().all(|record| record.part() == part));
        if page.is_empty() {
            return pages;
        }
        pages.push(page);
    }
}

/// Carries everything; how many records were new.
async fn carry(from: &Hub, to: &Hub) -> usize {
    let mut new = 0;
    for part in Part::ALL {
        for page in pages(from, part).await {
            new += to.fill(page).await.unwrap();
        }
    }
    to.count_loads().await.unwrap();
    new
}

async fn count(hub: &Hub) -> Vec<u64> {
    let mut counts = Vec::new();
    for part in Part::ALL {
        counts.push(hub.count(part).await.unwrap());
    }
    counts
}

/// Records do not print themselves, because they hold hashed passwords.
async fn hold_the_same(one: &Hub, two: &Hub) {
    for part in Part::ALL {
        let same = pages(one, part).await == pages(two, part).await;
        assert!(same, "{} differ", part.as_str());
    }
}

pub(super) async fn carries_everything(from: Hub, to: Hub) {
    let busy = Busy::fill(&from).await;
    let counts = count(&from).await;
    assert!(
        counts.iter().all(|&count| count > PAGE as u64),
        "{counts:?}"
    );
    assert_eq!(count(&to).await, [0; Part::ALL.len()]);
    let before = busy.reads(&from).await;
    let new = carry(&from, &to).await;
    assert_eq!(new as u64, counts.iter().sum::<u64>());
    assert_eq!(count(&to).await, counts);
    assert_eq!(busy.reads(&to).await, before);
    hold_the_same(&from, &to).await;
    busy.check(&to).await;
    // Nothing was taken away.
    assert_eq!(busy.reads(&from).await, before);
}

pub(super) async fn goes_on_where_it_was(from: Hub, to: Hub) {
    let busy = Busy::fill(&from).await;
    carry(&from, &to).await;
    let (running, attic) = (busy.running, busy.attic);
    // Results are known again, and numbered on.
    let last = from.kept(running).await.last_seq;
    let again = to.send(running, attic, at(1), "a").await.verdict;
    assert_eq!(again, Duplicate);
    let next = to.send(running, attic, at(3), "next").await.verdict;
    assert_eq!(next, New { seq: last + 1 });
    // So are the entries of each ledger: the reward above, and a charge.
    let mut operations = busy.operations.clone();
    for user in [busy.host, busy.payer] {
        let entries = from.ledger(user, None, usize::MAX).await.unwrap();
        if user == busy.payer {
            operations.push(to.opened(once(user), &[attic]).await);
        }
        let newest = to.ledger(user, None, usize::MAX).await.unwrap();
        let numbers: Vec<i64> = newest.iter().rev().map(|entry| entry.id).collect();
        let expected = 1..=i64::try_from(entries.len()).unwrap() + 1;
        assert_eq!(numbers, expected.collect::<Vec<_>>());
    }
    // Keys stand for what they stood for.
    let (host, payer) = (busy.host, busy.payer);
    let known = to.create_probe(new_probe(host), key(host, "probe", "f"));
    assert!(matches!(known.await.unwrap(), Created::Before(probe) if probe.id == busy.cellar));
    let other = to.create_probe(new_probe(host), key(host, "probe", "g"));
    assert!(matches!(other.await, Err(StoreError::KeyReused)));
    let opened = |hub: Hub| async move {
        let candidates = vec![online(attic)];
        let open = hub.open(once(payer), candidates, key(payer, "operation", "f"));
        open.await.unwrap().unwrap()
    };
    let Created::Before(opened_before) = opened(to.clone()).await else {
        panic!("was opened anew")
    };
    assert_eq!(Created::Before(opened_before), opened(from.clone()).await);
    // Time ends what it would have ended.
    let ended = to.end_overdue(at(15), 100).await.unwrap();
    assert!(ended.iter().any(|change| change.operation == running));
    assert_eq!(to.state(running, attic).await, AssignmentState::Finished);
    to.check(&busy.users, &busy.probes, &operations).await;
}

pub(super) async fn adds_what_is_missing(from: Hub, to: Hub) {
    let busy = Busy::fill(&from).await;
    let all: u64 = count(&from).await.iter().sum();
    // As after a crash: some parts are whole, one is not, of the rest there is nothing.
    let mut new = 0;
    for part in [Part::Users, Part::Probes, Part::Operations] {
        for page in pages(&from, part).await {
            new += to.fill(page).await.unwrap();
        }
    }
    let first = pages(&from, Part::Assignments).await.swap_remove(0);
    new += to.fill(first).await.unwrap();
    assert!(new > 0 && (new as u64) < all);
    assert_eq!(carry(&from, &to).await as u64, all - new as u64);
    hold_the_same(&from, &to).await;
    assert_eq!(carry(&from, &to).await, 0);
    hold_the_same(&from, &to).await;
    assert_eq!(busy.reads(&to).await, busy.reads(&from).await);
    busy.check(&to).await;
}

/// What came before is kept, also where the source has changed since.
pub(super) async fn leaves_alone_what_is_there(from: Hub, to: Hub) {
    let (user, probe) = from.pair().await;
    let operation = from.opened(once(user), &[probe]).await;
    carry(&from, &to).await;
    let before = to.kept(operation).await;
    from.send(operation, probe, at(1), "a").await;
    from.set_password_hash(user, "changed".to_owned())
        .await
        .unwrap();
    // The result, and its reward in the ledger.
    assert_eq!(carry(&from, &to).await, 2);
    assert_eq!(to.kept(operation).await, before);
    let (known, hash) = credentials(&to, user).await;
    assert_eq!((known.credits, hash.as_str()), (998, "$argon2id$"));
    // The same result under another number is still the same.
    let mut results = pages(&from, Part::Results).await.remove(0);
    let Record::Result { row, .. } = &mut results[0] else {
        panic!("no result")
    };
    row.seq = 7;
    assert_eq!(to.fill(results).await.unwrap(), 0);
    let rows = to.results(operation, 0, 9, usize::MAX).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1]);
}

/// A store may not know what weighs on a probe where it is read, and a probe comes before its assignments.
pub(super) async fn counts_loads_anew(from: Hub, to: Hub) {
    let busy = Busy::fill(&from).await;
    for page in pages(&from, Part::Users).await {
        to.fill(page).await.unwrap();
    }
    for mut page in pages(&from, Part::Probes).await {
        for record in &mut page {
            if let Record::Probe { probe, .. } = record {
                probe.load = 99;
            }
        }
        to.fill(page).await.unwrap();
    }
    carry(&from, &to).await;
    let loads = busy.probes.iter().map(async |&probe| to.load(probe).await);
    let loads = futures::future::join_all(loads).await;
    assert!(
        loads.contains(&0) && loads.iter().any(|&load| load > 0),
        "{loads:?}"
    );
    busy.check(&to).await;
    assert_eq!(busy.reads(&to).await, busy.reads(&from).await);
}

/// Records say what the port's other methods say.
pub(super) async fn reads_what_is_there(hub: Hub) {
    let busy = Busy::fill(&hub).await;
    let mut found = 0;
    for record in pages(&hub, Part::Users).await.concat() {
        if let Record::User {
            user,
            password_hash,
        } = record
        {
            let known = credentials(&hub, user.id).await;
            assert_eq!((user, password_hash), known);
            found += 1;
        }
    }
    for record in pages(&hub, Part::Probes).await.concat() {
        if let Record::Probe { probe, deleted_at } = record {
            let load = probe.load;
            let known = hub.probe(probe.id).await.unwrap();
            let known = known.map(|known| Probe { load, ..known });
            assert_eq!(known, deleted_at.is_none().then_some(probe));
            found += 1;
        }
    }
    for record in pages(&hub, Part::Operations).await.concat() {
        if let Record::Operation {
            operation,
            open_assignments,
        } = record
        {
            let id = operation.plan.id;
            assert_eq!(*operation, hub.kept(id).await);
            let all = hub.assignments(id).await.unwrap();
            let open = all.iter().filter(|it| !it.state.is_ended()).count();
            assert_eq!(open_assignments as usize, open);
            found += 1;
        }
    }
    for record in pages(&hub, Part::Assignments).await.concat() {
        if let Record::Assignment {
            assignment: it,
            created_at,
            ends_at,
        } = record
        {
            assert_eq!(it, hub.assignment(it.operation, it.probe).await);
            let plan = hub.kept(it.operation).await.plan;
            assert_eq!(created_at, plan.created_at);
            let open_until = lifecycle::open_until(it.state, plan.expires_at, plan.closes_at);
            assert_eq!(ends_at, (!it.state.is_ended()).then_some(open_until));
            found += 1;
        }
    }
    let all = count(&hub).await[..4].iter().sum::<u64>();
    assert_eq!(found, all);
    busy.check(&hub).await;
}

async fn credentials(hub: &Hub, id: probe_protocol::UserId) -> (User, String) {
    let user = hub.user(id).await.unwrap().unwrap();
    hub.credentials(user.email).await.unwrap().unwrap()
}

pub(super) async fn reads_in_bounds(hub: Hub) {
    let busy = Busy::fill(&hub).await;
    for part in Part::ALL {
        let all = hub.records(part, None, usize::MAX, usize::MAX);
        let all = all.await.unwrap();
        assert_eq!(all.len() as u64, hub.count(part).await.unwrap());
        let turned: Vec<Record> = pages(&hub, part).await.into_iter().flatten().collect();
        assert!(turned == all, "{} come in another order", part.as_str());
        let none = hub.records(part, None, 0, usize::MAX).await.unwrap();
        assert_eq!(none.len(), 0);
        let beyond = hub.records(part, all.last(), 9, usize::MAX).await.unwrap();
        assert_eq!(beyond.len(), 0);
        for found in &all {
            if let Record::Result { operation, row } = found {
                let raw = hub.raw(*operation, row.seq).await.unwrap().unwrap();
                assert_eq!(raw, (row.result.format, row.result.raw.clone()));
            }
        }
    }
    // A page ends with the record that exceeds the limit in bytes.
    let all = hub
        .records(Part::Results, None, 9, usize::MAX)
        .await
        .unwrap();
    let page = hub.records(Part::Results, None, 9, 0).await.unwrap();
    assert!(page == all[..1], "more than one");
    let most = weight(&all[0]) + weight(&all[1]) - 1;
    let page = hub.records(Part::Results, None, 9, most).await.unwrap();
    assert!((1..=2).contains(&page.len()), "{}", page.len());
    // A place need not be there any more.
    let deleted = hub.records(Part::Keys, None, 1, usize::MAX).await.unwrap();
    let rest = hub.records(Part::Keys, deleted.first(), 9, usize::MAX);
    let rest = rest.await.unwrap();
    hub.forget_keys(noon() + chrono::TimeDelta::milliseconds(1))
        .await
        .unwrap();
    let later = hub.records(Part::Keys, deleted.first(), 9, usize::MAX);
    let later = later.await.unwrap();
    assert!(later.len() < rest.len() && later.iter().all(|it| rest.contains(it)));
    busy.check(&hub).await;
}

fn weight(record: &Record) -> usize {
    match record {
        Record::Result { row, .. } => row.result.raw.len() + row.result.document.len(),
        _ => panic!("no result"),
    }
}

pub(super) async fn adds_all_or_nothing(hub: Hub) {
    let email = fresh_email();
    let known = hub.create_user(new_user(&email)).await.unwrap();
    let new = |email: &str| Record::User {
        user: User {
            id: probe_protocol::UserId::new(),
            email: email.to_owned(),
            credits: 5,
            is_superuser: false,
            created_at: noon(),
        },
        password_hash: "hash".to_owned(),
    };
    let (fresh, clash) = (new(&fresh_email()), new(&email));
    let refused = hub.fill(vec![fresh.clone(), clash]).await;
    assert!(matches!(refused, Err(StoreError::EmailTaken)));
    assert_eq!(hub.count(Part::Users).await.unwrap(), 1);
    // One that is there under its own id clashes with nobody.
    let twin = new(&fresh_email());
    assert_eq!(hub.fill(vec![fresh.clone(), twin]).await.unwrap(), 2);
    let Record::User {
        user,
        password_hash,
    } = fresh
    else {
        panic!("no user")
    };
    let renamed = User {
        email: email.clone(),
        ..user.clone()
    };
    let again = Record::User {
        user: renamed,
        password_hash,
    };
    assert_eq!(hub.fill(vec![again]).await.unwrap(), 0);
    assert_eq!(hub.user(user.id).await.unwrap(), Some(user));
    let (found, _) = hub.credentials(email).await.unwrap().unwrap();
    assert_eq!(found, known);
    assert_eq!(hub.fill(vec![]).await.unwrap(), 0);
}

pub(super) async fn marks_what_has_not_finished(hub: Hub) {
    assert_eq!(hub.unfinished_move().await.unwrap(), None);
    // Ending nothing is nothing.
    hub.end_move(at(1)).await.unwrap();
    assert_eq!(hub.begin_move("here", at(1)).await.unwrap(), None);
    assert_eq!(
        hub.unfinished_move().await.unwrap().as_deref(),
        Some("here")
    );
    assert_eq!(hub.begin_move("here", at(2)).await.unwrap(), None);
    let other = hub.begin_move("there", at(2)).await.unwrap();
    assert_eq!(other.as_deref(), Some("here"));
    assert_eq!(
        hub.unfinished_move().await.unwrap().as_deref(),
        Some("here")
    );
    hub.end_move(at(3)).await.unwrap();
    assert_eq!(hub.unfinished_move().await.unwrap(), None);
    hub.end_move(at(4)).await.unwrap();
    // What has finished is in nobody's way.
    for from in ["there", "there", "here"] {
        assert_eq!(hub.begin_move(from, at(5)).await.unwrap(), None);
        assert_eq!(hub.unfinished_move().await.unwrap().as_deref(), Some(from));
        hub.end_move(at(6)).await.unwrap();
    }
    // The marks are no part of what is carried.
    assert_eq!(count(&hub).await, [0; Part::ALL.len()]);
    assert_eq!(hub.operation(OperationId::new()).await.unwrap(), None);
}
