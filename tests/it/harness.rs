//! What the other tests rely on: the harness itself finds what it is there to find.

use tests::{Ack, FakeProbe, Hub, Trial, database, orders, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![every_broken_promise_is_found]
}

/// Changes to the hub's file, and the promise that each of them breaks.
const DAMAGES: &[(&str, &str)] = &[
    (
        "update users set credits = credits + 1",
        "a balance is not the sum of its ledger",
    ),
    (
        "update ledger set balance = balance + 1 where number = 1",
        "an entry's balance does not follow from the one before",
    ),
    (
        "update ledger set number = number + 1 where number = (select max(number) from ledger)",
        "the numbers of a ledger have a hole",
    ),
    (
        "update operations set last_seq = last_seq + 1",
        "the numbers of results have a hole",
    ),
    (
        "update results set seq = 9 where seq = 2",
        "the numbers of results have a hole",
    ),
    (
        "update assignments set results = 1",
        "an assignment does not count its results",
    ),
    (
        "update operations set refunded = 1",
        "what was charged and not given back is not what is still planned",
    ),
    (
        "update operations set charged = charged + 1",
        "a charge is not in the ledger once",
    ),
    (
        "update results set rewarded = 0",
        "rewards are not ten for each rewarded result",
    ),
    (
        "update operations set open_assignments = 0",
        "open assignments are miscounted",
    ),
    (
        "update probes set load = load + 1",
        "a probe's load is not that of its open assignments",
    ),
    (
        "update operations set last_seq = 3; delete from results",
        "an operation counts results that are not there",
    ),
    (
        "update operations set closes_at_ms = expires_at_ms - 1",
        "an operation closes before its time is over",
    ),
    (
        "update results set started_at_ms = 1 + (select closes_at_ms from operations) where seq = 2",
        "a result counts that began after its operation closed",
    ),
    (
        "update assignments set ends_at_ms = ends_at_ms + 1",
        "an open assignment ends at another time than its state tells",
    ),
    (
        "update operations set as_sent = 'fqdns'",
        "what was sent for an operation is not JSON",
    ),
];

async fn every_broken_promise_is_found() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana
        .launch(&orders::endless(orders::ping(&[registered.id])))
        .await;
    probe.accept().await;
    for number in 1..=3 {
        assert_eq!(
            probe.deliver(operation, &number.to_string()).await,
            Ack::Stored
        );
    }
    assert_eq!(hub.terminate().await, 0);
    hub.check().await;
    let whole = std::fs::read(hub.data_dir().join(database::FILE)).expect("the file");
    for (damage, promise) in DAMAGES {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(database::FILE), &whole).expect("a copy");
        for statement in damage.split(';') {
            database::change(folder.path(), statement, []);
        }
        let broken = database::snapshot(folder.path()).broken_promises();
        assert!(
            broken.iter().any(|found| found.starts_with(promise)),
            "{damage}: {broken:?}"
        );
    }
}
