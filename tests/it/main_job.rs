//! The main job end to end: a user asks, the real agent measures with the real tools, the result comes back stored,
//! decoded and live.

use std::time::Duration;

use probe_protocol::OperationId;
use serde_json::{Value, json};
use tests::{
    Agent, Case, DnsServer, EventStream, Hub, TestProbe, TestUser, Trial, eventually, process,
    wait::SOON,
};

/// Longest a measurement on loopback may take, on a machine that is busy.
const MEASURED_WITHIN: Duration = Duration::from_secs(40);
/// What every warts file begins with.
const WARTS_MAGIC: [u8; 2] = [0x12, 0x05];

pub(crate) fn trials() -> Vec<Trial> {
    let tool = |name: &str| {
        process::on_path(name)
            .is_none()
            .then(|| format!("{name} is not installed"))
    };
    let rights = (!rustix::process::geteuid().is_root()).then(|| "scamper needs root".to_owned());
    let scamper = || tool("scamper").or_else(|| rights.clone());
    vec![
        Case::new("it::main_job::ping_by_scamper")
            .unless(Agent::missing())
            .unless(scamper())
            .run(ping_by_scamper),
        Case::new("it::main_job::traceroute_by_scamper")
            .unless(Agent::missing())
            .unless(scamper())
            .run(traceroute_by_scamper),
        Case::new("it::main_job::dns_by_dig")
            .unless(Agent::missing())
            .unless(tool("dig"))
            .run(dns_by_dig),
        Case::new("it::main_job::without_tools")
            .unless(Agent::missing())
            .unless(rights.clone())
            .run(without_tools),
        Case::new("it::main_job::a_queued_operation_waits_for_the_agent")
            .unless(Agent::missing())
            .run(a_queued_operation_waits_for_the_agent),
        Case::new("it::main_job::a_revoked_agent_stops")
            .unless(Agent::missing())
            .run(a_revoked_agent_stops),
    ]
}

/// A hub, a user and a connected agent.
struct Site {
    hub: Hub,
    user: TestUser,
    probe: TestProbe,
    agent: Agent,
}

impl Site {
    async fn open(variables: &[(&str, &str)]) -> Self {
        let hub = Hub::start().await;
        let user = hub.user("ana", 100_000).await;
        let probe = user.probe("p").await;
        let agent = Agent::start_with(&hub.url(), &probe.token, variables);
        let site = Self {
            hub,
            user,
            probe,
            agent,
        };
        site.connected().await;
        site
    }

    async fn connected(&self) -> Value {
        let path = format!("/api/v1/probes/{}", self.probe.id);
        eventually(SOON * 2, "a connected agent", async || {
            let probe = self.user.api.get(&path).await.expect(200);
            // A session takes its seat before it notes what its agent is.
            (probe["connected"] == true && !probe["agent"].is_null()).then_some(probe)
        })
        .await
    }

    async fn launch(&self, mut order: Value) -> (OperationId, EventStream) {
        order["probes"] = json!([self.probe.id]);
        let operation = self.user.launch(&order).await;
        (operation, self.user.events(operation).await)
    }

    /// The only result of an operation, as the stream tells it, after its end.
    async fn measure(&self, order: Value) -> (OperationId, Value) {
        let (operation, mut stream) = self.launch(order).await;
        let result = stream.until_within(MEASURED_WITHIN, "result").await.json();
        stream.until_within(MEASURED_WITHIN, "end").await;
        assert_eq!(self.user.states(operation).await, ["finished"]);
        assert_eq!(
            self.user.results(operation).await,
            [result.clone()].to_vec()
        );
        assert_eq!(
            (&result["undecoded"], &result["rewarded"]),
            (&json!(0), &json!(true)),
            "{result}"
        );
        (operation, result)
    }

    async fn raw(&self, operation: OperationId) -> bytes::Bytes {
        self.user
            .api
            .get(&format!("/api/v1/operations/{operation}/results/1/raw"))
            .await
            .body
    }

    async fn close(mut self) {
        assert_eq!(self.agent.terminate().await, 0, "the agent's exit code");
        assert_eq!(self.hub.terminate().await, 0, "the hub's exit code");
        self.hub.check().await;
    }
}

async fn ping_by_scamper() {
    let site = Site::open(&[]).await;
    let order = json!({"kind": "ping", "params": {"probecount": 2, "wait": 1}, "targets": ["127.0.0.1", "::1"]});
    let (operation, result) = site.measure(order).await;
    assert_eq!(result["format"], "warts");
    let records = result["document"].as_array().expect("records");
    let pings: Vec<&Value> = records
        .iter()
        .filter(|record| record["type"] == "ping")
        .collect();
    assert_eq!(pings.len(), 2, "{result}");
    let targets = result["summary"]["targets"].as_array().expect("targets");
    for target in targets {
        assert_eq!(
            (&target["sent"], &target["received"], &target["loss"]),
            (&json!(2), &json!(2), &json!(0.0)),
            "{target}"
        );
        let rtt = |key: &str| target["rtt_ms"][key].as_f64().expect("a time");
        assert!(
            0.0 < rtt("min") && rtt("min") <= rtt("avg") && rtt("avg") <= rtt("max"),
            "{target}"
        );
    }
    let mut names: Vec<&str> = targets
        .iter()
        .map(|target| target["target"].as_str().expect("a target"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["127.0.0.1", "::1"]);
    assert!(site.raw(operation).await.starts_with(&WARTS_MAGIC));
    assert_eq!(site.user.credits().await, 100_000 - 2 + 10);
    site.close().await;
}

async fn traceroute_by_scamper() {
    let site = Site::open(&[]).await;
    let order = json!({"kind": "traceroute", "params": {"attempts": 1, "wait": 1}, "targets": ["127.0.0.1"]});
    let (operation, result) = site.measure(order).await;
    let target = &result["summary"]["targets"][0];
    assert_eq!(
        (&result["format"], &target["reached"]),
        (&json!("warts"), &json!(true)),
        "{result}"
    );
    assert!(
        target["hops"]
            .as_array()
            .is_some_and(|hops| !hops.is_empty()),
        "{target}"
    );
    assert!(
        result["document"]
            .as_array()
            .is_some_and(|records| records.iter().any(|record| record["type"] == "trace"))
    );
    assert!(site.raw(operation).await.starts_with(&WARTS_MAGIC));
    site.close().await;
}

fn dns(server: &DnsServer, name: &str) -> Value {
    let params = json!({"type": "a", "server": "127.0.0.1", "port": server.address().port()});
    json!({"kind": "dns", "params": params, "targets": [name]})
}

fn answers(result: &Value) -> Vec<&str> {
    let query = &result["summary"]["queries"][0];
    let list = query["answers"]
        .as_array()
        .unwrap_or_else(|| panic!("no answers in {result}"));
    let mut answers: Vec<&str> = list
        .iter()
        .map(|answer| answer["data"].as_str().expect("data"))
        .collect();
    answers.sort_unstable();
    answers
}

async fn dns_by_dig() {
    let site = Site::open(&[]).await;
    let server = DnsServer::start().await;
    let (operation, result) = site.measure(dns(&server, "pair.example")).await;
    assert_eq!(
        (&result["format"], answers(&result)),
        (&json!("gzip"), ["192.0.2.21", "192.0.2.22"].to_vec())
    );
    assert_eq!(result["summary"]["queries"][0]["status"], "NOERROR");
    assert!(
        result["document"]
            .as_str()
            .is_some_and(|text| text.contains("ANSWER SECTION")),
        "{result}"
    );
    assert_eq!(site.raw(operation).await[..2], [0x1f, 0x8b], "gzip");
    let (_, result) = site.measure(dns(&server, "nobody.example")).await;
    assert_eq!(result["summary"]["queries"][0]["status"], "NXDOMAIN");
    assert_eq!(server.asked(), 2);
    site.close().await;
}

async fn without_tools() {
    let site = Site::open(&[
        ("PLADMED_SCAMPER", "/nowhere/scamper"),
        ("PLADMED_DIG", "/nowhere/dig"),
    ])
    .await;
    assert_eq!(
        site.connected().await["agent"]["capabilities"],
        json!(["ping", "dns"])
    );
    let order =
        json!({"kind": "ping", "params": {"probecount": 2, "wait": 1}, "targets": ["127.0.0.1"]});
    let (_, result) = site.measure(order).await;
    assert_eq!(
        (
            &result["format"],
            &result["summary"]["targets"][0]["received"]
        ),
        (&json!("json"), &json!(2)),
        "{result}"
    );
    let server = DnsServer::start().await;
    let (_, result) = site.measure(dns(&server, "host.example")).await;
    assert_eq!(
        (&result["format"], answers(&result)),
        (&json!("json"), ["192.0.2.10"].to_vec())
    );
    let order = json!({"kind": "traceroute", "targets": ["127.0.0.1"], "probes": [site.probe.id]});
    let refused = site
        .user
        .order(&order)
        .await
        .expect_problem(422, "no_available_probe");
    assert_eq!(refused["left_out"][0]["reason"], "incapable");
    site.close().await;
}

async fn a_queued_operation_waits_for_the_agent() {
    let mut site = Site::open(&[]).await;
    let server = DnsServer::start().await;
    site.agent.kill9().await;
    let away = async || {
        let probe = site
            .user
            .api
            .get(&format!("/api/v1/probes/{}", site.probe.id))
            .await
            .expect(200);
        (probe["connected"] == false).then_some(())
    };
    eventually(SOON, "an agent that is gone", away).await;
    let mut order = dns(&server, "host.example");
    order["offline"] = "queue".into();
    let (operation, mut stream) = site.launch(order).await;
    assert_eq!(site.user.states(operation).await, ["pending"]);
    site.agent.restart();
    let result = stream.until_within(MEASURED_WITHIN, "result").await.json();
    assert_eq!(answers(&result), ["192.0.2.10"]);
    stream.until_within(MEASURED_WITHIN, "end").await;
    site.close().await;
}

async fn a_revoked_agent_stops() {
    /// "The hub said never to come back", in the agent's manual.
    const NEVER: i32 = 3;
    let mut site = Site::open(&[]).await;
    let path = format!("/api/v1/probes/{}/token", site.probe.id);
    let _ = site.user.api.post(&path, &json!({})).await.expect(201);
    assert_eq!(site.agent.process().wait(SOON).await, NEVER);
}
