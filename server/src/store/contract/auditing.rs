//! Reading everything to judge it. What a store would say of damage is seen in `tests/it/diagnostics`, for the port has no
//! way to do any.

use std::collections::HashSet;

use probe_protocol::{OperationId, ProbeId, UserId};

use super::fixture::{Hub, RUN_PRICE, at, new_probe, nine_runs, noon, once};
use crate::{
    domain::{
        AssignmentState,
        audit::{Ledger, Repair, Sums, Tally, Thing, account, load, operation, sums},
        credits::LedgerReason,
    },
    store::{Edge, Facts, StoreError, Work},
};

/// A page that holds everything.
const ALL: usize = 1000;

/// People, probes and operations in several states.
struct World {
    ana: UserId,
    host: UserId,
    probes: [ProbeId; 2],
    running: OperationId,
    over: OperationId,
    cancelled: OperationId,
}

async fn world(hub: &Hub) -> World {
    let (host, ana) = (hub.somebody(0).await, hub.somebody(1000).await);
    let probes = [hub.host(host).await, hub.host(host).await];
    let running = hub.opened(nine_runs(ana), &probes).await;
    hub.accept(running, probes[0], noon()).await;
    hub.send(running, probes[0], at(2), "a").await;
    hub.send(running, probes[0], at(3), "b").await;
    let over = hub.opened(once(ana), &[probes[1]]).await;
    hub.send(over, probes[1], at(4), "c").await;
    let cancelled = hub.opened(nine_runs(ana), &[probes[1]]).await;
    hub.cancel(cancelled, at(5)).await.unwrap();
    World {
        ana,
        host,
        probes,
        running,
        over,
        cancelled,
    }
}

fn all<T>(facts: Facts<T>) -> Vec<T> {
    assert_eq!(facts.unreadable, []);
    facts.read
}

/// Reads everything and holds it to the rules.
async fn is_sound(hub: &Hub) {
    for user in all(hub.user_facts(None, ALL).await.unwrap()) {
        assert_eq!(account(&user), []);
    }
    for probe in all(hub.probe_facts(None, ALL).await.unwrap()) {
        assert_eq!(load(&probe), None);
    }
    let (mut ledger, entries) = (
        Ledger::default(),
        all(hub.entry_facts(None, ALL).await.unwrap()),
    );
    for entry in &entries {
        assert_eq!(ledger.next(entry), []);
    }
    let results = all(hub.result_facts(None, None, ALL).await.unwrap());
    let (operations, assignments) = hub.operation_facts(None, ALL).await.unwrap();
    let assignments = all(assignments);
    for it in all(operations) {
        let mut tally = Tally::default();
        let of_it = results.iter().filter(|result| result.operation == it.id);
        of_it.for_each(|result| tally.add(&it, result));
        let of_it = assignments.iter().filter(|one| one.operation == it.id);
        let of_it: Vec<_> = of_it.copied().collect();
        assert_eq!(operation(&it, &of_it, &tally, false), []);
        let mut said = Sums::default();
        let of_it = entries
            .iter()
            .filter(|entry| entry.operation == Some(it.id));
        of_it.for_each(|entry| said.add(entry));
        assert_eq!(sums(&it, &tally, &said, false, false), []);
    }
}

pub(super) async fn tells_what_is_there(hub: Hub) {
    let world = world(&hub).await;
    is_sound(&hub).await;
    let users = all(hub.user_facts(None, ALL).await.unwrap());
    let ana = users.iter().find(|user| user.id == world.ana).unwrap();
    // Granted 1,000; charged for 18, 1 and 9 runs; 9 runs given back.
    let left = 1000 - 19 * RUN_PRICE;
    assert_eq!((ana.credits, ana.newest), (left, Some((5, left))));
    assert!(ana.entries.is_none_or(|entries| entries == 5));
    let host = users.iter().find(|user| user.id == world.host).unwrap();
    assert_eq!(host.newest, Some((3, 30)));
    let probes = all(hub.probe_facts(None, ALL).await.unwrap());
    let owners: Vec<UserId> = probes.iter().map(|probe| probe.owner).collect();
    assert_eq!(owners, [world.host; 2]);
    let loads: HashSet<_> = probes.iter().filter_map(|probe| probe.load).collect();
    assert!(loads.is_empty() || loads == HashSet::from([(RUN_PRICE, RUN_PRICE)]));
    let (operations, assignments) = hub.operation_facts(None, ALL).await.unwrap();
    let operations = all(operations);
    let told: Vec<_> = operations
        .iter()
        .map(|it| (it.id, it.last_seq, it.open_assignments, it.is_repeated))
        .collect();
    let expected = [
        (world.running, 2, 2, true),
        (world.over, 1, 0, false),
        (world.cancelled, 0, 0, true),
    ];
    for one in &expected {
        assert!(told.contains(one), "{told:?}");
    }
    assert_eq!(told.len(), 3);
    let states = all(assignments).into_iter().map(|one| one.state);
    let states: HashSet<_> = states.collect();
    assert_eq!(
        states,
        HashSet::from([
            AssignmentState::Accepted,
            AssignmentState::Pending,
            AssignmentState::Finished,
            AssignmentState::Cancelled,
        ])
    );
    let results = all(hub.result_facts(None, None, ALL).await.unwrap());
    let running = results.iter().filter(|one| one.operation == world.running);
    let running: Vec<_> = running.map(|one| (one.seq, one.probe)).collect();
    assert_eq!(running, [(1, world.probes[0]), (2, world.probes[0])]);
    assert!(results.iter().all(|one| one.rewarded));
    let entries = all(hub.entry_facts(None, ALL).await.unwrap());
    let rewards = entries
        .iter()
        .filter(|entry| entry.reason == LedgerReason::Reward);
    assert_eq!(rewards.count(), 3);
    assert_eq!(hub.first_entry(world.ana).await.unwrap(), Some(noon()));
    assert_eq!(hub.first_entry(UserId::new()).await.unwrap(), None);
    assert_eq!(hub.inspect().await.unwrap(), Vec::<String>::new());
}

pub(super) async fn goes_on_behind_every_page(hub: Hub) {
    let world = world(&hub).await;
    macro_rules! in_pages {
        ($read:ident $(, $last:expr)?) => {{
            let whole = all(hub.$read(None $(, $last)?, ALL).await.unwrap());
            for limit in [1, 2, 3] {
                let (mut after, mut found): (Option<Edge>, Vec<_>) = (None, Vec::new());
                loop {
                    let page = hub.$read(after.as_ref() $(, $last)?, limit).await.unwrap();
                    assert!(page.read.len() <= limit);
                    after = page.end.clone();
                    found.extend(all(page));
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(found, whole, "in pages of {limit}");
            }
        }};
    }
    in_pages!(user_facts);
    in_pages!(probe_facts);
    in_pages!(entry_facts);
    in_pages!(result_facts, None);
    // Operations come with their assignments, and results between the same edges with their results.
    let (mut after, mut seen) = (None::<Edge>, Vec::new());
    loop {
        let (operations, assignments) = hub.operation_facts(after.as_ref(), 1).await.unwrap();
        let end = operations.end.clone();
        let results = hub.result_facts(after.as_ref(), end.as_ref(), ALL).await;
        let results = all(results.unwrap());
        let assignments = all(assignments);
        for it in all(operations) {
            assert!(assignments.iter().all(|one| one.operation == it.id));
            assert!(results.iter().all(|one| one.operation == it.id));
            seen.push((it.id, assignments.len(), results.len()));
        }
        after = end;
        if after.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    let mut expected = [
        (world.running, 2, 2),
        (world.over, 1, 1),
        (world.cancelled, 1, 0),
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

pub(super) async fn names_what_is_absent(hub: Hub) {
    let world = world(&hub).await;
    let deleted = hub.create_probe(new_probe(world.host), None).await;
    let deleted = deleted.unwrap().into_inner().id;
    hub.delete_probe(deleted, at(6)).await.unwrap();
    let there = [
        Thing::User(world.ana),
        Thing::Probe(world.probes[0]),
        Thing::Probe(deleted),
        Thing::Operation(world.over),
    ];
    let gone = [
        Thing::User(UserId::new()),
        Thing::Probe(ProbeId::new()),
        Thing::Operation(OperationId::new()),
    ];
    let asked = there.into_iter().chain(gone).collect();
    let mut absent = hub.absent(asked).await.unwrap();
    absent.sort_unstable();
    assert_eq!(absent, gone);
    assert_eq!(hub.absent(vec![]).await.unwrap(), []);
}

/// While somebody writes, each page is still of one moment.
pub(super) async fn sees_one_moment(hub: Hub) {
    let (ana, probe) = hub.pair().await;
    let running = hub.opened(nine_runs(ana), &[probe]).await;
    hub.accept(running, probe, at(0)).await;
    let writer = hub.clone();
    let writing = tokio::spawn(async move {
        for number in 0..9 {
            let code = format!("r{number}");
            writer.send(running, probe, at(1), &code).await;
            let other = writer.opened(once(ana), &[probe]).await;
            writer.cancel(other, at(1)).await.unwrap();
        }
    });
    let mut looks = 0;
    while !writing.is_finished() || looks == 0 {
        looks += 1;
        for user in all(hub.user_facts(None, ALL).await.unwrap()) {
            assert_eq!(account(&user), []);
        }
        for probe in all(hub.probe_facts(None, ALL).await.unwrap()) {
            assert_eq!(load(&probe), None);
        }
        let (operations, assignments) = hub.operation_facts(None, ALL).await.unwrap();
        let (operations, assignments) = (all(operations), all(assignments));
        let results = all(hub.result_facts(None, None, ALL).await.unwrap());
        for it in operations {
            let mut tally = Tally::default();
            let of_it = results.iter().filter(|result| result.operation == it.id);
            of_it.for_each(|result| tally.add(&it, result));
            tally.beyond = None;
            let of_it = assignments.iter().filter(|one| one.operation == it.id);
            let of_it: Vec<_> = of_it.copied().collect();
            assert_eq!(operation(&it, &of_it, &tally, false), []);
        }
    }
    writing.await.unwrap();
    is_sound(&hub).await;
}

pub(super) async fn repairs_nothing_that_is_right(hub: Hub) {
    let world = world(&hub).await;
    let [one, two] = world.probes;
    for repair in [
        Repair::Results(world.running, one),
        Repair::Results(world.over, two),
        Repair::Results(OperationId::new(), two),
        Repair::Ends(world.running, one),
        Repair::Ends(world.running, two),
        Repair::Ends(world.over, one),
        Repair::Open(world.running),
        Repair::Open(world.over),
        Repair::Open(OperationId::new()),
        Repair::Balance(world.ana),
        Repair::Balance(world.host),
        Repair::Balance(UserId::new()),
        Repair::Load(one),
        Repair::Load(ProbeId::new()),
    ] {
        assert_eq!(hub.repair(repair).await.unwrap(), None, "{repair:?}");
    }
    is_sound(&hub).await;
}

pub(super) async fn keeps_the_newest_report(hub: Hub) {
    assert_eq!(hub.port().report().await.unwrap(), None);
    let lease = hub.leased(Work::Diagnose).await;
    for text in ["$one", "{\"two\": [\"…\"]}"] {
        hub.keep_report(&lease, text.to_owned()).await.unwrap();
        assert_eq!(hub.port().report().await.unwrap().as_deref(), Some(text));
    }
    let other = hub.leased(Work::ForgetKeys).await;
    let refused = hub.keep_report(&other, String::new()).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    hub.delete_all().await.unwrap();
    assert_eq!(hub.port().report().await.unwrap(), None);
    let lease = hub.leased(Work::Diagnose).await;
    hub.keep_report(&lease, "three".to_owned()).await.unwrap();
}
