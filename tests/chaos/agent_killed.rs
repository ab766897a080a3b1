//! kill -9 of the real agent while it holds unsent results and runs schedules, with the hub away.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use chrono::{TimeDelta, Utc};
use probe_protocol::{OperationId, ProbeId};
use rand::RngExt as _;
use serde_json::{Value, json};
use tests::{Agent, DnsServer, Hub, TestUser, Trial, database, eventually, orders, random};
use tokio::time::sleep;

/// Kills of the agent while the hub is away.
const KILLS: usize = 3;
/// Schedules that ask the name server, once a second each; one more pings this machine.
const QUESTIONERS: usize = 4;
/// Questions to wait for before each kill: a few seconds of all schedules.
const QUESTIONS_BETWEEN: usize = QUESTIONERS * 3;
/// Schedules begin at a full minute.
const BEGUN_WITHIN: Duration = Duration::from_secs(80);
/// Longest anything else may take.
const SOON: Duration = Duration::from_secs(40);

pub(crate) fn trials() -> Vec<Trial> {
    tests::trials![
        |it| it.within(Duration::from_secs(300)).unless(Agent::missing());
        nothing_on_disk_is_lost_and_nothing_is_double
    ]
}

async fn nothing_on_disk_is_lost_and_nothing_is_double() {
    let mut random = random::seeded("agent_killed");
    let server = DnsServer::start().await;
    let mut hub = Hub::start().await;
    let ana = hub.user("ana", 1_000_000).await;
    let registered = ana.probe("p").await;
    let mut agent = Agent::start(&hub.url(), &registered.token);
    let operations = launch(&ana, registered.id, &server).await;
    let all_accepted = async || {
        for operation in &operations {
            if ana.states(*operation).await != ["accepted"] {
                return None;
            }
        }
        Some(())
    };
    eventually(SOON, "accepted schedules", all_accepted).await;
    eventually(BEGUN_WITHIN, "the first questions", async || {
        (server.asked() > 0).then_some(())
    })
    .await;
    hub.kill9().await;
    let mut on_disk: BTreeSet<String> = BTreeSet::new();
    for _ in 0..KILLS {
        // The schedules go on from the agent's disk: no hub is there to tell them.
        let asked = server.asked() + QUESTIONS_BETWEEN;
        eventually(SOON, "questions without a hub", async || {
            (server.asked() >= asked).then_some(())
        })
        .await;
        // Anywhere between two runs, or in one.
        sleep(Duration::from_millis(random.random_range(0..1000))).await;
        agent.kill9().await;
        on_disk.extend(spooled(&agent.data_dir(), registered.id));
        agent.restart();
    }
    assert!(
        on_disk.len() >= QUESTIONS_BETWEEN,
        "only {} results were on disk",
        on_disk.len()
    );
    hub.restart().await;
    let delivered = async || {
        let stored = hub.snapshot().await.result_codes();
        on_disk
            .is_subset(&stored.into_iter().collect())
            .then_some(())
    };
    eventually(SOON, "every result that was on disk", delivered).await;
    let live = server.asked() + QUESTIONS_BETWEEN;
    eventually(SOON, "questions with the hub", async || {
        (server.asked() >= live).then_some(())
    })
    .await;
    settle(&ana, &operations, &agent.data_dir()).await;
    check(&hub, &server, on_disk.len()).await;
    assert_eq!(agent.terminate().await, 0, "the agent's exit code");
    assert_eq!(hub.terminate().await, 0, "the hub's exit code");
}

async fn launch(user: &TestUser, probe: ProbeId, server: &DnsServer) -> Vec<OperationId> {
    let params = json!({"type": "a", "server": "127.0.0.1", "port": server.address().port()});
    let dns =
        json!({"kind": "dns", "params": params, "targets": ["host.example"], "probes": [probe]});
    let ping = json!({"kind": "ping", "params": {"probecount": 1}, "targets": ["127.0.0.1"], "probes": [probe]});
    let mut operations = Vec::new();
    for order in std::iter::repeat_n(dns, QUESTIONERS).chain([ping]) {
        let order: Value = orders::queued(orders::every_minute(
            order,
            60,
            Utc::now() + TimeDelta::minutes(30),
        ));
        operations.push(user.launch(&order).await);
    }
    operations
}

/// The results on an agent's disk, as the hub's store names them.
fn spooled(data_dir: &Path, probe: ProbeId) -> Vec<String> {
    let names = fs::read_dir(data_dir.join("results")).expect("the agent's results");
    let names = names.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    // <sequence>-<operation>-<code>.bson
    let parse = |name: String| {
        let mut parts = name.strip_suffix(".bson")?.splitn(3, '-').skip(1);
        Some(format!("{} {probe} {}", parts.next()?, parts.next()?))
    };
    names
        .map(|name| parse(name.clone()).unwrap_or_else(|| panic!("a file named {name}")))
        .collect()
}

/// Cancels everything and waits until the agent has nothing left to tell.
async fn settle(user: &TestUser, operations: &[OperationId], data_dir: &Path) {
    for operation in operations {
        assert_eq!(user.cancel(*operation).await["state"], "cancelled");
    }
    let empty = |folder: &str| {
        fs::read_dir(data_dir.join(folder))
            .expect("a folder")
            .next()
            .is_none()
    };
    eventually(SOON, "an agent without work", async || {
        (empty("results") && empty("assignments")).then_some(())
    })
    .await;
}

async fn check(hub: &Hub, server: &DnsServer, on_disk: usize) {
    let query = "select count(*) from results r join operations o on o.id = r.operation where o.kind = 'dns'";
    let stored =
        usize::try_from(database::snapshot(&hub.data_dir()).number(query)).expect("a count");
    let asked = server.asked();
    eprintln!(
        "agent_killed: {KILLS} kills with {on_disk} results on disk; {asked} questions, {stored} results of them"
    );
    // A run that a kill or the cancel met in its middle has no result; one more result than questions would be a double.
    let in_their_middle = (KILLS + 1) * QUESTIONERS;
    assert!(
        stored <= asked && asked - stored <= in_their_middle,
        "{asked} questions, {stored} results"
    );
    hub.check().await;
}
