//! An operation's way to its probes: states, refunds, who is left out.

use chrono::{TimeDelta, Utc};
use probe_protocol::{HubFrame, ProbeFrame, Rejection};
use serde_json::json;
use tests::{
    Ack, FakeProbe, Hub, Trial, database, eventually, orders, probe::hello, trials, wait::SOON,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        an_operation_passes_all_states,
        skip_leaves_probes_that_are_away_out,
        queue_waits_for_the_probe,
        a_refusal_is_given_back,
        what_no_probe_took_expires,
    ]
}

async fn an_operation_passes_all_states() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = ana.probe("p").await;
    let operation = ana
        .launch(&orders::queued(orders::ping(&[registered.id])))
        .await;
    assert_eq!(ana.states(operation).await, ["pending"]);
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let assign = probe.assigned().await;
    assert_eq!(
        (assign.operation, assign.credits, &assign.schedule),
        (operation, 1, &None)
    );
    let reaches = async |state: &'static str| {
        eventually(SOON, state, async || {
            (ana.states(operation).await == [state]).then_some(())
        })
        .await;
    };
    reaches("delivered").await;
    probe.say(&ProbeFrame::Accepted { operation }).await;
    reaches("accepted").await;
    assert_eq!(probe.deliver(operation, "1").await, Ack::Stored);
    reaches("finished").await;
    probe.finish(operation).await;
    let shown = ana.operation(operation).await;
    assert_eq!(
        (
            &shown["state"],
            &shown["results"],
            &shown["charged"],
            &shown["refunded"]
        ),
        (&json!("finished"), &json!(1), &json!(1), &json!(0))
    );
    // One credit spent, ten earned by the probe's owner.
    assert_eq!(ana.credits().await, 100 - 1 + 10);
    hub.check().await;
}

async fn skip_leaves_probes_that_are_away_out() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let (away, here) = (ana.probe("away").await, ana.probe("here").await);
    let refused = ana
        .order(&orders::ping(&[away.id]))
        .await
        .expect_problem(422, "no_available_probe");
    assert_eq!(
        refused["left_out"],
        json!([{"probe": away.id, "reason": "offline"}])
    );
    let mut probe = FakeProbe::connect(&hub, &here.token).await;
    let made = ana
        .order(&orders::ping(&[away.id, here.id]))
        .await
        .expect(201);
    assert_eq!(
        (&made["probes"], &made["charged"]),
        (&json!([here.id]), &json!(1))
    );
    assert_eq!(
        made["left_out"],
        json!([{"probe": away.id, "reason": "offline"}])
    );
    assert_eq!(json!(probe.accept().await), made["id"]);
    assert_eq!(ana.credits().await, 99);
}

async fn queue_waits_for_the_probe() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let operations = [
        ana.launch(&orders::queued(orders::ping(&[registered.id])))
            .await,
        ana.launch(&orders::endless(orders::queued(orders::ping(&[
            registered.id,
        ]))))
        .await,
    ];
    // It is in the store, not in the process.
    hub.kill9().await;
    hub.restart().await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let offered = [probe.accept().await, probe.accept().await];
    assert_eq!(offered, operations, "oldest first");
    // A probe that comes back and holds both is offered nothing.
    drop(probe);
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(offered.to_vec())).await;
    let third = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(probe.assigned().await.operation, third);
    // One that lost them is offered both again.
    drop(probe);
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let mut again = [
        probe.accept().await,
        probe.accept().await,
        probe.accept().await,
    ];
    again.sort_unstable();
    let mut all = [offered[0], offered[1], third];
    all.sort_unstable();
    assert_eq!(again, all);
    hub.check().await;
}

async fn a_refusal_is_given_back() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", 100).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(&hub, &registered.token).await;
    let operation = ana.launch(&orders::ping(&[registered.id])).await;
    assert_eq!(ana.credits().await, 99);
    assert_eq!(probe.assigned().await.operation, operation);
    probe
        .say(&ProbeFrame::Refused {
            operation,
            reason: "no IPv4 here".into(),
        })
        .await;
    eventually(SOON, "refused", async || {
        (ana.states(operation).await == ["refused"]).then_some(())
    })
    .await;
    let shown = ana.operation(operation).await;
    assert_eq!(
        (&shown["refunded"], &shown["assignments"][0]["reason"]),
        (&json!(1), &json!("no IPv4 here"))
    );
    assert_eq!(ana.credits().await, 100);
    let late = probe.deliver(operation, "1").await;
    assert_eq!(late, Ack::Rejected(Rejection::NotAssigned));
    hub.check().await;
}

async fn what_no_probe_took_expires() {
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 1000).await;
    let registered = ana.probe("p").await;
    let stop = Utc::now() + TimeDelta::hours(1);
    let order = orders::every_minute(orders::queued(orders::ping(&[registered.id])), 2, stop);
    let operation = ana.launch(&order).await;
    let price = 1000 - ana.credits().await;
    assert!((118..=120).contains(&price), "{price}");
    // An hour passes.
    assert_eq!(hub.terminate().await, 0);
    let earlier = "update assignments set ends_at_ms = ends_at_ms - 3600000";
    database::change(&hub.data_dir(), earlier, []);
    hub.restart().await;
    eventually(SOON, "expired", async || {
        (ana.states(operation).await == ["expired"]).then_some(())
    })
    .await;
    assert_eq!(ana.credits().await, 1000);
    let mut probe = FakeProbe::connect_as(&hub, &registered.token, hello(vec![operation])).await;
    probe
        .until("cancel", |frame| {
            (*frame == HubFrame::Cancel { operation }).then_some(())
        })
        .await;
    hub.check().await;
}
