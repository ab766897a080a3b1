//! The real tools with the command lines that an agent makes of what it gets: they understand them, and what they print
//! is understood in turn.

use std::path::Path;

use serde_json::{Value, json};
use tests::{
    Case, DnsServer, OldResult, Trial, process,
    wait::{SOON, within},
};
use tokio::process::Command;

use super::{Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    let missing = |tool: &str| {
        let is_missing = process::on_path(tool).is_none();
        is_missing.then(|| format!("{tool} is not installed"))
    };
    let rights = (!rustix::process::geteuid().is_root()).then(|| "scamper needs root".to_owned());
    let case = |name: &str| Case::new(&format!("it::old_probes::tools::{name}"));
    vec![
        case("scamper_measures")
            .unless(missing("scamper"))
            .unless(rights)
            .run(scamper_measures),
        case("dig_asks").unless(missing("dig")).run(dig_asks),
    ]
}

/// Options of scamper by an agent's parameters.
const PING: &[(&str, &str)] = &[
    ("probecount", "-c"),
    ("icmp-sum", "-C"),
    ("dport", "-d"),
    ("sport", "-F"),
    ("wait", "-i"),
    ("method", "-P"),
    ("size", "-s"),
    ("timeout", "-W"),
];
const TRACEROUTE: &[(&str, &str)] = &[
    ("method", "-P"),
    ("dport", "-d"),
    ("firsthop", "-f"),
    ("maxttl", "-m"),
    ("attempts", "-q"),
    ("sport", "-s"),
    ("wait", "-w"),
    ("wait-probe", "-W"),
];

/// Runs a command as an agent does it, by a shell; what it prints.
async fn shell(command: &str) -> Vec<u8> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).kill_on_drop(true);
    let output = within(SOON * 3, command, shell.output()).await;
    let output = output.expect("it runs");
    assert!(output.status.success(), "{command}: {output:?}");
    output.stdout
}

/// Text, or a number as text.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

async fn scamper(verb: &str, options: &[(&str, &str)], params: &Value) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("result.warts");
    let mut command = verb.to_owned();
    for (name, option) in options {
        if let Some(value) = params.get(name) {
            command += &format!(" {option} {}", plain(value));
        }
    }
    let addresses: Vec<String> = params["ips"]
        .as_array()
        .expect("addresses")
        .iter()
        .map(plain)
        .collect();
    assert!(
        addresses.iter().all(|it| it == "127.0.0.1" || it == "::1"),
        "{addresses:?}"
    );
    let (path, addresses) = (Path::display(&file), addresses.join(" "));
    shell(&format!(
        "scamper -O warts -o {path} -c \"{command}\" -i {addresses}"
    ))
    .await;
    std::fs::read(&file).expect("what scamper wrote")
}

async fn scamper_measures() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let ping = json!({"probecount": 2, "wait": 1, "timeout": 1, "size": 100, "icmp_sum": 7, "sport": 1234});
    let tcp = json!({"probecount": 1, "timeout": 1, "method": "tcp-ack", "dport": 80});
    let trace = json!({"method": "icmp-paris", "wait": 1, "wait_probe": 1, "firsthop": 1, "maxttl": 5, "attempts": 1,
        "sport": 1234, "dport": 5});
    for (kind, params, targets) in [
        ("ping", ping, json!(["127.0.0.1", "::1"])),
        ("ping", tcp, json!(["127.0.0.1"])),
        ("ping", json!({"probecount": 1}), json!(["127.0.0.1"])),
        ("traceroute", trace, json!(["127.0.0.1"])),
        ("traceroute", json!({}), json!(["127.0.0.1"])),
    ] {
        let order =
            json!({"kind": kind, "params": params, "targets": targets, "probes": [site.probe.id]});
        let operation = site.ana.launch(&order).await;
        let handed = accept(&mut probe, operation).await;
        let told = &handed.argument["params"];
        let content = match kind {
            "ping" => scamper("ping", PING, told).await,
            _ => scamper("trace", TRACEROUTE, told).await,
        };
        let result = OldResult::new(operation, "1", "warts", &content);
        assert_eq!(probe.deliver(&result).await, json!([operation]));
        let stored = &site.ana.results(operation).await[0];
        assert_eq!(
            (&stored["undecoded"], &stored["rewarded"]),
            (&json!(0), &json!(true)),
            "{stored}"
        );
        let measured = stored["summary"]["targets"].as_array().map(Vec::len);
        assert_eq!(measured, targets.as_array().map(Vec::len), "{stored}");
    }
    site.close().await;
}

async fn dig(params: &Value) -> Vec<u8> {
    let mut command = "dig".to_owned();
    if let Some(address) = params["address"].as_str() {
        command += &format!(" -b {address}");
    }
    for (name, option) in [("ipv4", "-4"), ("ipv6", "-6")] {
        if params.get(name).is_some() {
            command += &format!(" {option}");
        }
    }
    let words: Vec<String> = params["name"]
        .as_array()
        .expect("words")
        .iter()
        .map(plain)
        .collect();
    command += &format!(" -q {} | gzip", words.join(" "));
    assert!(command.contains("@127.0.0.1"), "{command}");
    shell(&command).await
}

/// Parameters, targets, and the status and answers of each question.
type Question = (Value, Value, Vec<(&'static str, Vec<&'static str>)>);

fn questions() -> Vec<Question> {
    let reverse = json!(["host.example", "127.0.0.1", "::1"]);
    vec![
        (
            json!({}),
            json!(["pair.example"]),
            vec![("NOERROR", vec!["192.0.2.21", "192.0.2.22"])],
        ),
        (
            json!({"type": "mx", "source_address": "127.0.0.1", "ip_version": "4"}),
            json!(["mail.example", "nobody.example", "host.example"]),
            vec![
                ("NOERROR", vec!["10 host.example."]),
                ("NXDOMAIN", vec![]),
                ("NOERROR", vec![]),
            ],
        ),
        (
            json!({"type": "aaaa"}),
            json!(["host.example"]),
            vec![("NOERROR", vec!["2001:db8::10"])],
        ),
        (
            json!({}),
            reverse,
            vec![
                ("NOERROR", vec!["192.0.2.10"]),
                ("NXDOMAIN", vec![]),
                ("NXDOMAIN", vec![]),
            ],
        ),
    ]
}

async fn dig_asks() {
    let server = DnsServer::start().await;
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let mut asked = 0;
    for (mut params, targets, wanted) in questions() {
        params["server"] = json!("127.0.0.1");
        params["port"] = json!(server.address().port());
        let order =
            json!({"kind": "dns", "params": params, "targets": targets, "probes": [site.probe.id]});
        let operation = site.ana.launch(&order).await;
        let handed = accept(&mut probe, operation).await;
        let content = dig(&handed.argument["params"]).await;
        asked += wanted.len();
        assert_eq!(server.asked(), asked, "all questions went to this server");
        let result = OldResult::new(operation, "1", "gzip", &content);
        assert_eq!(probe.deliver(&result).await, json!([operation]));
        let stored = &site.ana.results(operation).await[0];
        assert_eq!(
            (&stored["undecoded"], &stored["rewarded"]),
            (&json!(0), &json!(true)),
            "{stored}"
        );
        let queries = stored["summary"]["queries"].as_array().expect("queries");
        let found: Vec<(&str, Vec<&str>)> = queries.iter().map(answers).collect();
        assert_eq!(found, wanted, "{targets} {stored}");
    }
    site.close().await;
}

fn answers(query: &Value) -> (&str, Vec<&str>) {
    let answers = query["answers"].as_array().into_iter().flatten();
    let mut data: Vec<&str> = answers
        .map(|answer| answer["data"].as_str().expect("data"))
        .collect();
    data.sort_unstable();
    (query["status"].as_str().expect("a status"), data)
}
