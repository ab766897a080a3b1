use std::path::Path;

use probe_protocol::spec::DnsParams;
use serde_json::Value;
use tokio::{net::UdpSocket, task::JoinHandle};

use super::*;
use crate::check::Findings;

/// Parameters of dns, as the hub sends them.
pub(crate) fn dns_params(json: Value) -> DnsParams {
    serde_json::from_value(json).unwrap()
}

/// A name server on loopback: every A question is answered 192.0.2.99 with TTL 60, names that begin with `nx` do not
/// exist, other types have no records.
pub(crate) struct NameServer {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let _ = socket.send_to(&answer(&question[..length]), from).await;
            }
        });
        Self { port, task }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &[u8]) -> Vec<u8> {
    // Header of 12 bytes, the name up to its zero byte, type and class of 2 bytes each (RFC 1035, 4.1).
    let name_end = 12 + question[12..].iter().position(|&b| b == 0).unwrap() + 1;
    let is_a = question[name_end..name_end + 2] == [0, 1];
    let exists = !question[13..].starts_with(b"nx");
    let (code, answers) = (if exists { 0 } else { 3 }, u8::from(is_a && exists));
    let mut answer = question[..2].to_vec();
    answer.extend([0x84, code, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(&question[12..name_end + 4]);
    if answers == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 99]);
    }
    answer
}

fn nothing() -> Findings {
    Findings {
        scamper: Err("scamper is not installed".to_owned()),
        dig: Err("dig is not installed".to_owned()),
        icmp: Err("no ICMP socket".to_owned()),
    }
}

fn job(kind: Kind, params: Value, target: &str) -> Job {
    Job {
        measurement: Measurement::parse(kind, &params).unwrap(),
        targets: vec![target.parse().unwrap()],
        policy: TargetPolicy::Public,
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_made_is_a_document() {
    let tools = Tools::new(nothing(), std::env::temp_dir());
    assert_eq!(tools.kinds(), [Kind::Dns]);
    let output = tools.run(&job(Kind::Ping, Value::Null, "192.0.2.1")).await;
    assert_eq!(output.format, ContentFormat::Json);
    let document: Value = serde_json::from_slice(&output.content).unwrap();
    let expected = json!({"type": "failed", "kind": "ping", "error": "this probe cannot run ping",
        "targets": ["192.0.2.1"]});
    assert_eq!(document, expected);
}

#[tokio::test]
async fn a_target_that_may_not_be_measured_is_a_document() {
    let found = crate::check::look(Path::new("scamper"), Path::new("dig")).await;
    let tools = Tools::new(found, std::env::temp_dir());
    for kind in tools.kinds() {
        let params = match kind {
            Kind::Dns => json!({"server": "127.0.0.1"}),
            Kind::Ping | Kind::Traceroute => json!({}),
        };
        let output = tools.run(&job(kind, params, "127.0.0.1")).await;
        let document: Value = serde_json::from_slice(&output.content).unwrap();
        assert_eq!(document["type"], "failed");
        let why = document["error"].as_str().unwrap();
        assert!(why.contains("public address"), "{why}");
    }
}

#[test]
fn fallbacks_say_which_parameter_they_cannot_honour() {
    let findings = Findings {
        icmp: Ok(()),
        ..nothing()
    };
    let tools = Tools::new(findings, std::env::temp_dir());
    assert_eq!(tools.kinds(), [Kind::Ping, Kind::Dns]);
    let syn = Measurement::parse(Kind::Ping, &json!({"method": "tcp-syn"})).unwrap();
    assert!(
        tools
            .suits(&syn, 1)
            .unwrap_err()
            .to_string()
            .contains("method")
    );
    let axfr = Measurement::parse(Kind::Dns, &json!({"type": "axfr"})).unwrap();
    assert!(
        tools
            .suits(&axfr, 1)
            .unwrap_err()
            .to_string()
            .contains("type")
    );
}
