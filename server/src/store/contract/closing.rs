//! Plans with a grace of their own, and with what was sent.

use chrono::TimeDelta;
use probe_protocol::{Rejection, UserId};
use serde_json::json;

use super::fixture::{Hub, agent, at, brief, exactly, measured, nine_runs, noon, once, states};
use crate::{
    domain::{
        AssignmentState::{Accepted, Expired, Finished},
        Plan,
    },
    store::{
        Span,
        Verdict::{New, Rejected},
    },
};

/// The shortest step of time that is kept.
const JUST: TimeDelta = TimeDelta::milliseconds(1);

/// Long after anything closes.
const LONG_AFTER: TimeDelta = TimeDelta::days(2);

/// Graces from none to longer than the operation.
fn graces() -> [TimeDelta; 4] {
    [
        TimeDelta::zero(),
        JUST,
        TimeDelta::seconds(90),
        TimeDelta::hours(3),
    ]
}

fn closing(owner: UserId, grace: TimeDelta) -> Plan {
    Plan {
        closes_at: at(10) + grace,
        ..nine_runs(owner)
    }
}

pub(super) async fn keeps_when_a_plan_closes_and_what_was_sent(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let as_sent = json!({
        "fqdns": ["example.org", "ñandú.example"], "ips": [], "cron": "* * * * *", "times_per_minute": 1.0,
        "confidence": 0.95, "large": 18_446_744_073_709_551_615_u64, "x": { "": null, "$a.b": [true, "\u{0}\"\\"] },
    });
    let mut plans = Vec::new();
    for grace in graces() {
        plans.push(Plan {
            created_at: noon() + grace,
            as_sent: Some(as_sent.clone()),
            ..closing(user, grace)
        });
    }
    for plan in &plans {
        hub.opened(plan.clone(), &[probe]).await;
        assert_eq!(hub.kept(plan.id).await.plan, *plan);
    }
    let listed = hub.operations(Some(user), Span::After(None), 9).await;
    let mut listed: Vec<_> = listed.unwrap().into_iter().map(|it| it.plan).collect();
    listed.sort_by_key(|plan| plan.created_at);
    assert_eq!(listed, plans);
    let pending = hub.pending(vec![probe], 9).await.unwrap();
    let pending: Vec<_> = pending.into_iter().map(|(_, plan)| plan).collect();
    assert_eq!(pending, plans);
    let settled = hub.settle(probe, agent(70), exactly(&[]), at(1), 9).await;
    assert_eq!(settled.unwrap().offers, plans);
    let without = hub.opened(once(user), &[probe]).await;
    assert_eq!(hub.kept(without).await.plan.as_sent, None);
}

pub(super) async fn counts_runs_until_it_closes(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let mut ids = Vec::new();
    for grace in graces() {
        let plan = closing(user, grace);
        let (id, last) = (plan.id, plan.closes_at);
        hub.opened(plan, &[probe]).await;
        hub.accept(id, probe, noon()).await;
        let late = hub.send(id, probe, last + JUST, "a").await;
        assert_eq!(late.verdict, Rejected(Rejection::AfterStop), "{grace}");
        let in_time = hub.send(id, probe, last, "b").await;
        assert_eq!(in_time.verdict, New { seq: 1 }, "{grace}");
        // When it arrives does not matter, nor that it has ended.
        hub.end_overdue(last, 9).await.unwrap();
        assert_eq!(hub.state(id, probe).await, Finished);
        let spooled = hub.report(id, probe, at(9999), measured("c", last));
        assert_eq!(brief(&spooled.await), (New { seq: 2 }, None), "{grace}");
        ids.push(id);
    }
    hub.check(&[user], &[probe], &ids).await;
}

pub(super) async fn ends_what_runs_when_it_closes(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let mut ids = Vec::new();
    for grace in graces() {
        let plan = closing(user, grace);
        let (id, closes_at) = (plan.id, plan.closes_at);
        hub.opened(plan, &[probe]).await;
        hub.accept(id, probe, noon()).await;
        assert_eq!(hub.end_overdue(closes_at - JUST, 9).await.unwrap(), []);
        assert_eq!(hub.state(id, probe).await, Accepted);
        let ended = hub.end_overdue(closes_at, 9).await.unwrap();
        assert_eq!(states(&ended), [Finished], "{grace}");
        assert!(ended[0].operation_ended);
        ids.push(id);
    }
    // Nobody who took it gets anything back.
    assert_eq!(hub.refunds(user).await, [0; 0]);
    hub.check(&[user], &[probe], &ids).await;
}

/// The grace is for those that run: what was never delivered expires at its stop time.
pub(super) async fn gives_no_grace_to_what_never_left(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub
        .opened(closing(user, TimeDelta::hours(3)), &[probe])
        .await;
    assert_eq!(hub.end_overdue(at(10) - JUST, 9).await.unwrap(), []);
    let ended = hub.end_overdue(at(10), 9).await.unwrap();
    assert_eq!(states(&ended), [Expired]);
    assert_eq!(hub.balance(user).await, 1000);
    hub.check(&[user], &[probe], &[id]).await;
}

/// What runs once has no stop time: its run counts whenever it began.
pub(super) async fn counts_a_single_run_at_any_time(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let plan = once(user);
    let (id, closes_at) = (plan.id, plan.closes_at);
    hub.opened(plan, &[probe]).await;
    hub.accept(id, probe, noon()).await;
    assert_eq!(hub.end_overdue(closes_at - JUST, 9).await.unwrap(), []);
    let ended = hub.end_overdue(closes_at, 9).await.unwrap();
    assert_eq!(states(&ended), [Finished]);
    let late = hub.send(id, probe, closes_at + LONG_AFTER, "a").await;
    assert_eq!(brief(&late), (New { seq: 1 }, None));
    hub.check(&[user], &[probe], &[id]).await;
}
