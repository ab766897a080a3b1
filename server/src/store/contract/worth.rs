//! What a probe finds that says only what its operations are worth together.

use chrono::TimeDelta;
use probe_protocol::{OperationId, ProbeId, UserId};

use super::fixture::{Hub, RUN_PRICE, agent, at, brief, nine_runs, noon, nothing, states};
use crate::{
    domain::{
        AssignmentState::{Accepted, Delivered, Expired, Finished, Pending},
        FIRST_GENERATION, Holdings, Plan,
    },
    store::{Settled, Verdict::Noted, What},
};

/// [`RUN_PRICE`] as a probe counts it.
const PRICE: u32 = RUN_PRICE as u32;
/// Price of a run that is dearer than the others, credits.
const DEAR: u32 = 5 * PRICE;

async fn settle(hub: &Hub, probe: ProbeId, worth: u32, minute: i64) -> Settled {
    let holdings = Holdings::Worth {
        credits: worth,
        said_at: at(minute),
    };
    let settled = hub.settle(probe, agent(70), holdings, at(minute), 9).await;
    let settled = settled.unwrap();
    // It names nothing that it could be told to stop.
    assert_eq!(settled.cancel, []);
    settled
}

fn offered(settled: &Settled) -> Vec<OperationId> {
    settled.offers.iter().map(|plan| plan.id).collect()
}

/// One that left at noon and was not answered.
async fn delivered(hub: &Hub, user: UserId, probe: ProbeId) -> OperationId {
    let id = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(id, probe, noon(), What::Claimed).await;
    id
}

/// One that was taken at noon.
async fn accepted(hub: &Hub, user: UserId, probe: ProbeId) -> OperationId {
    let id = delivered(hub, user, probe).await;
    hub.report(id, probe, noon(), What::Accepted).await;
    id
}

pub(super) async fn of_nothing_offers_all_again(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let ids = [
        delivered(&hub, user, probe).await,
        accepted(&hub, user, probe).await,
        hub.opened(nine_runs(user), &[probe]).await,
    ];
    let settled = settle(&hub, probe, 0, 1).await;
    assert_eq!(states(&settled.changed), [Pending, Pending]);
    assert!(settled.changed.iter().all(|it| !it.operation_ended));
    let (mut found, mut expected) = (offered(&settled), ids.to_vec());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(hub.pending(vec![probe], 9).await.unwrap().len(), 3);
    for id in ids {
        let it = hub.assignment(id, probe).await;
        assert_eq!((it.state, it.delivered_at), (Pending, None));
    }
    let kept = hub.probe(probe).await.unwrap().unwrap();
    assert_eq!(kept.last_seen, Some(at(1)));
    assert_eq!(kept.agent, Some(agent(70)));
    hub.check(&[user], &[probe], &ids).await;
}

pub(super) async fn of_all_accepts_all(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let under_way = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(under_way, probe, at(4), What::Claimed).await;
    let taken = accepted(&hub, user, probe).await;
    let waiting = hub.opened(nine_runs(user), &[probe]).await;
    let settled = settle(&hub, probe, 2 * PRICE, 5).await;
    assert_eq!(states(&settled.changed), [Accepted]);
    assert_eq!(settled.changed[0].operation, under_way);
    assert_eq!(offered(&settled), [waiting]);
    // As if it had said so itself: what had passed before it left is given back.
    let it = hub.assignment(under_way, probe).await;
    assert_eq!((it.state, it.planned_runs), (Accepted, 5));
    assert_eq!(it.accepted_at, Some(at(5)));
    assert_eq!(hub.refunds(user).await, [4 * RUN_PRICE]);
    assert_eq!(hub.state(taken, probe).await, Accepted);
    let again = settle(&hub, probe, 2 * PRICE, 6).await;
    assert_eq!(again.changed, []);
    hub.check(&[user], &[probe], &[under_way, taken, waiting])
        .await;
}

/// Whatever an agent counts that it could have: nothing is offered again.
pub(super) async fn of_something_leaves_all_as_it_is(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let ids = [
        delivered(&hub, user, probe).await,
        delivered(&hub, user, probe).await,
        accepted(&hub, user, probe).await,
    ];
    let before = [
        hub.assignment(ids[0], probe).await,
        hub.assignment(ids[1], probe).await,
        hub.assignment(ids[2], probe).await,
    ];
    // Two of them; all of them and what ended long ago. Near the end, when the accepted one may be over there, one too.
    for (worth, minute) in [(2 * PRICE, 1), (3 * PRICE + 1, 1), (1000, 1), (PRICE, 9)] {
        let settled = settle(&hub, probe, worth, minute).await;
        assert_eq!(settled, nothing(settled.session), "{worth}");
        for (id, before) in ids.iter().zip(&before) {
            assert_eq!(hub.assignment(*id, probe).await, *before, "{worth}");
            let claim = hub.report(*id, probe, at(1), What::Claimed).await;
            assert_eq!(brief(&claim), (Noted, None), "{worth}");
        }
    }
    assert_eq!(hub.pending(vec![probe], 9).await.unwrap(), []);
    // What stays open this way ends by time, and is given back.
    let week = at(10) + TimeDelta::days(7);
    let mut ended = states(&hub.end_overdue(week, 9).await.unwrap());
    ended.sort_by_key(|state| state.as_str());
    assert_eq!(ended, [Expired, Expired, Finished]);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE; 2]);
    hub.check(&[user], &[probe], &ids).await;
}

/// An agent is done with an operation before the hub ends it: what it counts then is what came after.
pub(super) async fn of_the_newer_does_not_offer_it_again(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let done = accepted(&hub, user, probe).await;
    let newer = delivered(&hub, user, probe).await;
    let settled = settle(&hub, probe, PRICE, 9).await;
    assert_eq!(settled, nothing(1));
    assert_eq!(hub.state(done, probe).await, Accepted);
    assert_eq!(hub.state(newer, probe).await, Delivered);
}

/// What it accepted and still runs is what it counts; so what was on its way was lost.
pub(super) async fn of_what_it_runs_offers_the_newer_again(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let running = accepted(&hub, user, probe).await;
    let newer = delivered(&hub, user, probe).await;
    let settled = settle(&hub, probe, PRICE, 1).await;
    assert_eq!(states(&settled.changed), [Pending]);
    assert_eq!(settled.offers[0].id, newer);
    assert_eq!(hub.state(running, probe).await, Accepted);
    hub.check(&[user], &[probe], &[running, newer]).await;
}

pub(super) async fn of_less_offers_the_dearer_again(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let plan = Plan {
        run_price: DEAR,
        ..nine_runs(user)
    };
    let dear = hub.opened(plan, &[probe]).await;
    hub.report(dear, probe, noon(), What::Claimed).await;
    let cheap = delivered(&hub, user, probe).await;
    let settled = settle(&hub, probe, DEAR - 1, 1).await;
    assert_eq!(states(&settled.changed), [Pending]);
    assert_eq!(offered(&settled), [dear]);
    assert_eq!(hub.state(cheap, probe).await, Delivered);
    let load = i64::from(DEAR + PRICE);
    assert_eq!(hub.load(probe).await, load);
    hub.check(&[user], &[probe], &[dear, cheap]).await;
}

pub(super) async fn accepts_nothing_that_has_not_left(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let id = hub.opened(nine_runs(user), &[probe]).await;
    for worth in [0, PRICE, 1000] {
        let settled = settle(&hub, probe, worth, 1).await;
        assert_eq!(settled.changed, [], "{worth}");
        assert_eq!(offered(&settled), [id], "{worth}");
    }
}

pub(super) async fn ends_what_is_too_late(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let under_way = delivered(&hub, user, probe).await;
    let taken = accepted(&hub, user, probe).await;
    let settled = settle(&hub, probe, 0, 10).await;
    let mut changed = states(&settled.changed);
    changed.sort_by_key(|state| state.as_str());
    assert_eq!(changed, [Expired, Finished]);
    assert_eq!(settled.offers, []);
    assert_eq!(hub.state(under_way, probe).await, Expired);
    assert_eq!(hub.refunds(user).await, [9 * RUN_PRICE]);
    hub.check(&[user], &[probe], &[under_way, taken]).await;
}

/// Words that waited longer than the next session took to begin say nothing of what that one was given.
pub(super) async fn said_before_it_left_tells_nothing(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let under_way = hub.opened(nine_runs(user), &[probe]).await;
    hub.report(under_way, probe, at(3), What::Claimed).await;
    let taken = hub.opened(nine_runs(user), &[probe]).await;
    hub.accept(taken, probe, at(3)).await;
    for minute in [2, 3] {
        let settled = settle(&hub, probe, 0, minute).await;
        assert_eq!(settled, nothing(settled.session), "{minute}");
    }
    let settled = settle(&hub, probe, 0, 4).await;
    assert_eq!(states(&settled.changed), [Pending, Pending]);
}

pub(super) async fn of_a_deleted_probe_is_nothing(hub: Hub) {
    let (_, probe) = hub.pair().await;
    hub.delete_probe(probe, at(1)).await.unwrap();
    let holdings = Holdings::Worth {
        credits: 7,
        said_at: at(2),
    };
    let settled = hub.settle_as(FIRST_GENERATION, probe, holdings, at(2));
    assert_eq!(settled.await, None);
}
