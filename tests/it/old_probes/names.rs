//! Names of targets: where the hub resolves them, an agent gets addresses or nothing.

use serde_json::{Value, json};
use tests::{
    DnsServer, Trial, trials,
    wait::{SOON, within},
};
use tokio::net::UdpSocket;

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        an_agent_gets_addresses_instead_of_names,
        a_name_without_an_address_is_refused_for_it,
        a_name_that_leads_to_a_forbidden_address_is_refused_for_it,
        what_waits_for_a_name_can_be_cancelled,
    ]
}

async fn resolving(server: &DnsServer, policy: &str) -> Site {
    let server = server.address().to_string();
    Site::open_with(&[
        ("RESOLVE_TARGETS", "hub"),
        ("NAME_SERVER", &server),
        ("TARGET_POLICY", policy),
    ])
    .await
}

fn order(site: &Site, kind: &str, targets: Value) -> Value {
    json!({"kind": kind, "targets": targets, "probes": [site.probe.id]})
}

async fn an_agent_gets_addresses_instead_of_names() {
    let server = DnsServer::start().await;
    let site = resolving(&server, "any").await;
    let mut probe = site.connect().await;
    for kind in ["ping", "traceroute"] {
        let targets = json!(["127.0.0.1", "host.example", "::1"]);
        let operation = site.ana.launch(&order(&site, kind, targets.clone())).await;
        let handed = accept(&mut probe, operation).await;
        let params = &handed.argument["params"];
        assert_eq!(params["ips"], json!(["127.0.0.1", "192.0.2.10", "::1"]));
        assert_eq!(params.get("fqdns"), None);
        // The user sees what was asked for.
        assert_eq!(site.ana.operation(operation).await["targets"], targets);
    }
    let operation = site
        .ana
        .launch(&order(&site, "dns", json!(["host.example"])))
        .await;
    let handed = accept(&mut probe, operation).await;
    assert_eq!(
        handed.argument["params"]["name"],
        json!(["host.example", "-t", "a"])
    );
    site.close().await;
}

async fn a_name_without_an_address_is_refused_for_it() {
    let server = DnsServer::start().await;
    let site = resolving(&server, "any").await;
    let mut probe = site.connect().await;
    let before = site.ana.credits().await;
    for name in ["nobody.example", "mail.example", "empty.example"] {
        let targets = json!(["127.0.0.1", name]);
        let operation = site.ana.launch(&order(&site, "ping", targets)).await;
        site.reaches(operation, "refused").await;
        let shown = site.ana.operation(operation).await;
        let reason = shown["assignments"][0]["reason"]
            .as_str()
            .expect("a reason");
        assert!(reason.contains(name), "{reason}");
    }
    assert_eq!(site.ana.credits().await, before);
    let operation = site
        .ana
        .launch(&order(&site, "ping", json!(["pair.example"])))
        .await;
    accept(&mut probe, operation).await;
    assert_eq!(probe.handed_so_far().len(), 1, "{:?}", probe.journal);
    site.close().await;
}

async fn a_name_that_leads_to_a_forbidden_address_is_refused_for_it() {
    let server = DnsServer::start().await;
    let site = resolving(&server, "public").await;
    let _probe = site.connect().await;
    let operation = site
        .ana
        .launch(&order(&site, "ping", json!(["host.example"])))
        .await;
    site.reaches(operation, "refused").await;
    let shown = site.ana.operation(operation).await;
    let reason = shown["assignments"][0]["reason"]
        .as_str()
        .expect("a reason");
    assert!(reason.contains("host.example"), "{reason}");
    site.close().await;
}

async fn what_waits_for_a_name_can_be_cancelled() {
    // It never answers, and the hub is patient.
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let server = silent.local_addr().expect("its address").to_string();
    let site = Site::open_with(&[("RESOLVE_TARGETS", "hub"), ("NAME_SERVER", &server)]).await;
    let mut probe = site.connect().await;
    let before = site.ana.credits().await;
    let named = site
        .ana
        .launch(&order(&site, "ping", json!(["host.example"])))
        .await;
    let behind = site
        .ana
        .launch(&order(&site, "ping", json!(["127.0.0.1"])))
        .await;
    let mut question = [0; 512];
    within(SOON, "a question", silent.recv_from(&mut question))
        .await
        .expect("a question");
    assert_eq!(site.ana.states(behind).await, ["pending"]);
    site.ana.cancel(named).await;
    accept(&mut probe, behind).await;
    assert_eq!(site.ana.credits().await, before - 1);
    site.close().await;
}
