//! Results are forgotten by age, where the settings say so; everything else stays and can be read. The embedded store has
//! to be told; MongoDB forgets by itself.

use probe_protocol::OperationId;
use serde_json::{Value, json};
use tests::{
    Ack, EventStream, FakeProbe, Hub, TestUser, Trial, at_work, database, eventually, probe::hello,
    trials, wait::SOON,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![old_results_are_forgotten, results_are_kept_for_ever]
}

/// One day and a minute.
const OVER_A_DAY: i64 = (24 * 60 + 1) * 60_000;

/// More than are forgotten in one turn of the sweep.
const MANY: i64 = 12_000;

/// Makes the results of these numbers older, in the file of a hub that is stopped.
fn age(hub: &Hub, up_to: u64) {
    let sql = "update results set received_at_ms = received_at_ms - ?1 where seq <= ?2";
    database::change(
        &hub.data_dir(),
        sql,
        (OVER_A_DAY, i64::try_from(up_to).expect("a number")),
    );
}

/// Adds many old results, in the file of a hub that is stopped.
fn add_old_ones(hub: &Hub) {
    let sql = "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?1)
        insert into results (operation, seq, probe, code, format, undecoded, measured, rewarded, received_at_ms,
            started_at_ms, finished_at_ms, summary, document, raw)
        select operation, 1000000 + n, probe, 'old-' || n, format, undecoded, measured, rewarded, received_at_ms - ?2,
            started_at_ms, finished_at_ms, summary, document, raw from results, numbers where seq = 1";
    database::change(&hub.data_dir(), sql, (MANY, OVER_A_DAY));
}

fn numbers(results: &[Value]) -> Vec<u64> {
    let seq = |one: &Value| one["seq"].as_u64().expect("a number");
    results.iter().map(seq).collect()
}

async fn read_raw(ana: &TestUser, operation: OperationId, seq: u64) -> u16 {
    let path = format!("/api/v1/operations/{operation}/results/{seq}/raw");
    ana.api.get(&path).await.status
}

async fn old_results_are_forgotten() {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite"), ("RESULT_TTL_DAYS", "1")]).await;
    let (ana, registered, mut probe, operation) = at_work(&hub).await;
    for name in ["1", "2", "3", "4", "5"] {
        assert_eq!(probe.deliver(operation, name).await, Ack::Stored);
    }
    let credits = ana.credits().await;
    assert_eq!(hub.terminate().await, 0);
    add_old_ones(&hub);
    age(&hub, 3);
    // The sweep forgets when a hub starts, and every ten minutes.
    hub.restart().await;
    let left = async || {
        let query = "select count(*) from results where seq not in (4, 5)";
        (database::snapshot(&hub.data_dir()).number(query) == 0).then_some(())
    };
    eventually(SOON, "old results are gone", left).await;
    assert_eq!(numbers(&ana.results(operation).await), [4, 5]);
    let path = format!("/api/v1/operations/{operation}/results?after=0&limit=2");
    let page = ana.api.get(&path).await.expect(200);
    assert_eq!(page["next"], Value::Null, "{page}");
    for (seq, status) in [(1, 404), (3, 404), (4, 200), (5, 200)] {
        assert_eq!(read_raw(&ana, operation, seq).await, status, "{seq}");
    }
    let shown = ana.api.get(&format!("/operation?id={operation}")).await;
    let results = &shown.expect(200)["results"];
    assert_eq!(results.as_array().map(Vec::len), Some(2), "{results}");
    // Streams pass over the hole, and go on behind it.
    let mut stream = ana.events(operation).await;
    let late = EventStream::open(&ana.api, operation, Some(4)).await;
    let mut late = late.expect("a stream");
    for number in [4, 5] {
        assert_eq!(stream.until("result").await.id, Some(number));
    }
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
    assert_eq!(probe.deliver(operation, "6").await, Ack::Stored);
    assert_eq!(stream.until("result").await.id, Some(6));
    for number in [5, 6] {
        assert_eq!(late.until("result").await.id, Some(number));
    }
    // What was earned with them stays.
    assert_eq!(ana.credits().await, credits + 10);
    let kept = ana.operation(operation).await;
    assert_eq!(kept["results"], json!(6), "{kept}");
}

async fn results_are_kept_for_ever() {
    let mut hub = Hub::start_with(&[("DATABASE", "sqlite")]).await;
    let (ana, _, mut probe, operation) = at_work(&hub).await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    assert_eq!(probe.deliver(operation, "2").await, Ack::Stored);
    assert_eq!(hub.terminate().await, 0);
    let sql = "update results set received_at_ms = 0 where seq = ?1";
    database::change(&hub.data_dir(), sql, [1]);
    // An old key shows that the sweep has passed.
    let sql = "insert into idempotency_keys (user, key, fingerprint, subject, created_at_ms) select id, 'k', 'f', id, 0
        from users limit ?1";
    database::change(&hub.data_dir(), sql, [1]);
    hub.restart().await;
    let passed = async || {
        let query = "select count(*) from idempotency_keys";
        (database::snapshot(&hub.data_dir()).number(query) == 0).then_some(())
    };
    eventually(SOON, "the sweep", passed).await;
    assert_eq!(numbers(&ana.results(operation).await), [1, 2]);
    database::snapshot(&hub.data_dir()).check();
}
