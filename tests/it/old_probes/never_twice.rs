//! No agent gets an operation twice that it may have, whatever happened in between, and none is forgotten: what it
//! counts as in use when it comes back tells what it holds.

use rand::RngExt as _;
use serde_json::json;
use tests::{
    Case, Hub, Knock, OldProbe, OldResult, OldSocket, TestProbe, TestUser, Trial, database,
    eventually, orders, random, trials, wait::SOON,
};

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials![
        who_holds_nothing_gets_it_again,
        who_holds_as_much_has_it,
        who_holds_something_else_may_have_it,
        the_hub_is_killed_before_the_answer,
        accepted_operations_live_through_a_reconnect,
        a_superseded_connection_stays_open_and_counts_no_more,
        the_newer_connection_settles_what_the_older_one_got,
        what_an_older_connection_claims_too_late_goes_to_the_newer_one,
    ];
    trials.push(
        Case::new("it::old_probes::never_twice::an_honest_agent_gets_nothing_twice")
            .run(an_honest_agent_gets_nothing_twice),
    );
    trials
}

/// Credits of an agent with room for everything.
const ROOMY: i64 = 100_000;

async fn come_back(hub: &Hub, probe: &TestProbe, in_use: i64) -> OldProbe {
    OldProbe::connect_as(hub, &Knock::new(&probe.token, ROOMY, in_use)).await
}

impl Site {
    /// An agent that was handed an operation and went away without an answer.
    async fn unanswered(&self) -> probe_protocol::OperationId {
        let mut probe = come_back(&self.hub, &self.probe, 0).await;
        let operation = self
            .ana
            .launch(&orders::endless(orders::ping(&[self.probe.id])))
            .await;
        assert_eq!(probe.handed().await.id(), operation.to_string());
        self.reaches(operation, "delivered").await;
        operation
    }
}

async fn who_holds_nothing_gets_it_again() {
    let site = Site::open().await;
    let operation = site.unanswered().await;
    let mut probe = come_back(&site.hub, &site.probe, 0).await;
    accept(&mut probe, operation).await;
    site.reaches(operation, "accepted").await;
    site.close().await;
}

async fn who_holds_as_much_has_it() {
    let site = Site::open().await;
    let operation = site.unanswered().await;
    let mut probe = come_back(&site.hub, &site.probe, 1).await;
    site.reaches(operation, "accepted").await;
    let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, next).await;
    assert_eq!(probe.handed_so_far().len(), 1, "{:?}", probe.journal);
    site.close().await;
}

async fn who_holds_something_else_may_have_it() {
    let site = Site::open().await;
    let operation = site.unanswered().await;
    let mut probe = come_back(&site.hub, &site.probe, 5).await;
    let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, next).await;
    assert_eq!(
        site.ana.states(operation).await,
        ["delivered"],
        "nobody knows"
    );
    // Now it is known.
    let result = OldResult::new(operation, "1", "warts", orders::PING_WARTS);
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    site.reaches(operation, "accepted").await;
    assert_eq!(probe.handed_so_far().len(), 1, "{:?}", probe.journal);
    site.close().await;
}

async fn the_hub_is_killed_before_the_answer() {
    for in_use in [0, 1] {
        let mut site = Site::open().await;
        let mut probe = come_back(&site.hub, &site.probe, 0).await;
        let operation = site.ping().await;
        let handed = probe.handed().await;
        // What left was claimed before: no need to wait for that.
        site.hub.kill9().await;
        assert_eq!(handed.id(), operation.to_string());
        probe.closed().await;
        site.hub.restart().await;
        assert_eq!(site.ana.states(operation).await, ["delivered"]);
        let mut probe = come_back(&site.hub, &site.probe, in_use).await;
        if in_use == 0 {
            accept(&mut probe, operation).await;
        }
        site.reaches(operation, "accepted").await;
        let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
        accept(&mut probe, next).await;
        assert_eq!(probe.handed_so_far().len(), if in_use == 0 { 2 } else { 1 });
        site.close().await;
    }
}

async fn accepted_operations_live_through_a_reconnect() {
    let mut site = Site::open().await;
    let mut probe = come_back(&site.hub, &site.probe, 0).await;
    let mut launched = Vec::new();
    for _ in 0..3 {
        let order = orders::endless(orders::traceroute(&[site.probe.id]));
        launched.push(site.ana.launch(&order).await);
        accept(&mut probe, launched[launched.len() - 1]).await;
    }
    for operation in &launched {
        site.reaches(*operation, "accepted").await;
    }
    // It holds all of them, some of them and more from former times.
    for (in_use, restarts) in [(45, false), (45, true), (60, false), (15, true)] {
        if restarts {
            assert_eq!(site.hub.terminate().await, 0);
            site.hub.restart().await;
        }
        let mut probe = come_back(&site.hub, &site.probe, in_use).await;
        let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
        accept(&mut probe, next).await;
        assert_eq!(
            probe.handed_so_far().len(),
            1,
            "{in_use}: {:?}",
            probe.journal
        );
        let result = OldResult::new(next, "1", "warts", orders::PING_WARTS);
        assert_eq!(probe.deliver(&result).await, json!([next]));
    }
    // It lost everything.
    let mut probe = come_back(&site.hub, &site.probe, 0).await;
    for operation in launched {
        accept(&mut probe, operation).await;
    }
    site.close().await;
}

async fn a_superseded_connection_stays_open_and_counts_no_more() {
    let site = Site::open().await;
    let mut older = OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 100, 0)).await;
    let operation = site.ping().await;
    accept(&mut older, operation).await;
    site.reaches(operation, "accepted").await;
    let mut newer = OldProbe::connect_as(&site.hub, &Knock::new(&site.probe.token, 100, 20)).await;
    site.shows("availability", 0.8).await;
    // A close would make it come back and take the place from the newer one.
    older.count("new_operation", 30).await;
    older.count("finish_operation", 5).await;
    let result = OldResult::new(operation, "1", "warts", orders::PING_WARTS);
    assert_eq!(older.deliver(&result).await, json!([]));
    assert_eq!(older.deliver(&result).await, json!([]));
    assert!(site.ana.results(operation).await.is_empty());
    assert_eq!(site.shown().await["availability"], 0.8);
    // The same result by the newer one counts.
    assert_eq!(newer.deliver(&result).await, json!([operation]));
    let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut newer, next).await;
    assert_eq!(
        older.deliver(&result).await,
        json!([]),
        "it heard no operation before"
    );
    assert_eq!(older.handed_so_far().len(), 1);
    // Its end is not the probe's.
    older.say("41").await;
    older.closed().await;
    assert_eq!(site.shown().await["connected"], true);
    let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut newer, next).await;
    drop(newer);
    site.shows("connected", false).await;
    site.close().await;
}

async fn the_newer_connection_settles_what_the_older_one_got() {
    let site = Site::open().await;
    let mut older = come_back(&site.hub, &site.probe, 0).await;
    let [handed, waiting] = [site.ping().await, site.ping().await];
    let first = older.handed().await;
    site.reaches(handed, "delivered").await;
    let mut newer = come_back(&site.hub, &site.probe, 1).await;
    accept(&mut newer, waiting).await;
    site.reaches(handed, "accepted").await;
    // An answer on the older connection is none, not even a refusal.
    older.ack(first.ack).await;
    let fence = OldResult::new(handed, "fence", "warts", orders::PING_WARTS);
    assert_eq!(older.deliver(&fence).await, json!([]));
    assert_eq!(site.ana.states(handed).await, ["accepted"]);
    assert_eq!(
        (older.handed_so_far().len(), newer.handed_so_far().len()),
        (1, 1)
    );
    site.close().await;
}

async fn what_an_older_connection_claims_too_late_goes_to_the_newer_one() {
    let mut site = Site::open().await;
    let mut older = come_back(&site.hub, &site.probe, 0).await;
    let [first, second] = [site.ping().await, site.ping().await];
    let handed = older.handed().await;
    assert_eq!(handed.id(), first.to_string());
    // The hub wants to hand over the second one, but the store takes no claims; the agent comes back meanwhile, and the
    // store is first asked what is pending, then for the claim once more.
    let lock = database::lock(&site.hub.data_dir());
    older.take(&handed).await;
    let fails = |site: &mut Site| {
        let log = site.hub.process().log();
        log.contains("the store does not take reports")
            .then_some(())
    };
    let knock = Knock::new(&site.probe.token, ROOMY, 1);
    let mut socket = OldSocket::open(&site.hub.url(), &knock)
        .await
        .expect("a session");
    let open = socket.opened().await;
    eventually(SOON, "a claim that fails", || {
        std::future::ready(fails(&mut site))
    })
    .await;
    assert!(socket.text("40").await);
    drop(lock);
    socket.joined().await;
    let mut newer = OldProbe::on(socket, open);
    accept(&mut newer, second).await;
    for operation in [first, second] {
        eventually(SOON, "both accepted", async || {
            (site.ana.states(operation).await == ["accepted"]).then_some(())
        })
        .await;
    }
    assert_eq!(
        (older.handed_so_far().len(), newer.handed_so_far().len()),
        (1, 1)
    );
    site.close().await;
}

/// An agent that counts what it holds as it should, and loses its connection again and again at any moment.
struct Honest {
    registered: TestProbe,
    holds: Vec<String>,
}

impl Honest {
    async fn connect(&self, hub: &Hub) -> OldProbe {
        let in_use = i64::try_from(self.holds.len()).expect("a number");
        come_back(hub, &self.registered, in_use).await
    }

    async fn take_one(&mut self, probe: &mut OldProbe) -> tests::Handed {
        let handed = probe.handed().await;
        let id = handed.id().to_owned();
        assert!(!self.holds.contains(&id), "{id} came twice");
        self.holds.push(id);
        handed
    }
}

async fn launch(ana: &TestUser, registered: &TestProbe) -> String {
    let order = orders::endless(orders::queued(orders::ping(&[registered.id])));
    ana.launch(&order).await.to_string()
}

async fn an_honest_agent_gets_nothing_twice() {
    const ROUNDS: usize = 40;
    let site = Site::open().await;
    let mut random = random::seeded("an_honest_agent_gets_nothing_twice");
    let mut agent = Honest {
        registered: site.probe.clone(),
        holds: Vec::new(),
    };
    let mut launched = Vec::new();
    let mut probe = agent.connect(&site.hub).await;
    for _ in 0..ROUNDS {
        match random.random_range(0..4) {
            // Cut off while it is on its way.
            0 => launched.push(launch(&site.ana, &agent.registered).await),
            1 => {
                let (operation, again) = tokio::join!(
                    launch(&site.ana, &agent.registered),
                    agent.connect(&site.hub)
                );
                launched.push(operation);
                probe = again;
            }
            // Cut off before or after its answer.
            turn => {
                launched.push(launch(&site.ana, &agent.registered).await);
                let handed = agent.take_one(&mut probe).await;
                if turn == 2 {
                    probe.take(&handed).await;
                }
            }
        }
        drop(probe);
        probe = agent.connect(&site.hub).await;
    }
    // What is pending comes before what is new.
    launched.push(launch(&site.ana, &agent.registered).await);
    while agent.holds.last() != launched.last() {
        let handed = agent.take_one(&mut probe).await;
        probe.take(&handed).await;
    }
    // What is missing was lost on its way, and the agent might have got it. When it holds nothing, that is over.
    drop(probe);
    agent.holds.clear();
    probe = agent.connect(&site.hub).await;
    for _ in &launched {
        let handed = agent.take_one(&mut probe).await;
        probe.take(&handed).await;
    }
    launched.sort();
    agent.holds.sort();
    assert_eq!(agent.holds, launched);
    let open = "select count(*) from assignments where state != 'accepted'";
    let all_accepted = || database::snapshot(&site.hub.data_dir()).number(open) == 0;
    eventually(SOON, "everything accepted", async || {
        all_accepted().then_some(())
    })
    .await;
    site.close().await;
}
