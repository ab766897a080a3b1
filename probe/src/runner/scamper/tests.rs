use futures::future::join_all;
use probe_protocol::Kind;
use serde_json::{Value, json};

use super::*;

mod fuzz;

fn parse(kind: Kind, params: Value) -> Measurement {
    Measurement::parse(kind, &params).unwrap()
}

fn command(kind: Kind, params: Value) -> String {
    match parse(kind, params) {
        Measurement::Ping(params) => ping(&params),
        Measurement::Traceroute(params) => trace(&params),
        Measurement::Dns(_) => unreachable!("scamper does no dns"),
    }
}

#[test]
fn the_command_line_is_exactly_this() {
    let all = json!({"probecount": 100, "icmp_sum": 0, "dport": 80, "sport": 65535, "wait": 20,
        "method": "tcp-ack-sport", "size": 255, "timeout": 100});
    assert_eq!(
        command(Kind::Ping, all),
        "ping -c 100 -C 0 -d 80 -F 65535 -i 20 -P tcp-ack-sport -s 255 -W 100"
    );
    assert_eq!(command(Kind::Ping, json!({})), "ping");
    let all = json!({"confidence": 0.95, "method": "icmp-paris", "dport": 1, "sport": 2,
        "firsthop": 3, "maxttl": 4, "attempts": 10, "wait": 6, "wait_probe": 0});
    assert_eq!(
        command(Kind::Traceroute, all),
        "trace -c 95 -P icmp-paris -d 1 -f 3 -m 4 -q 10 -s 2 -w 6 -W 0"
    );
    let addresses = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(
        args(Path::new("/d/f"), "ping -c 1", &addresses),
        [
            "-O",
            "warts",
            "-o",
            "/d/f",
            "-c",
            "ping -c 1",
            "-i",
            "192.0.2.1",
            "2001:db8::1"
        ]
    );
}

#[test]
fn confidence_is_rounded_up_to_what_scamper_knows() {
    let levels = [
        (0, None),
        (1, Some(95)),
        (95, Some(95)),
        (96, Some(99)),
        (99, Some(99)),
    ];
    for (percent, level) in levels {
        assert_eq!(scamper_confidence(percent), level);
    }
}

#[test]
fn what_cannot_work_is_refused_with_the_parameter_named() {
    for (kind, params, name) in [
        (Kind::Ping, json!({"timeout": 0}), "timeout"),
        (
            Kind::Ping,
            json!({"probecount": 100, "wait": 20}),
            "probecount",
        ),
        (Kind::Traceroute, json!({"wait": 11}), "wait"),
        (
            Kind::Traceroute,
            json!({"firsthop": 5, "maxttl": 4}),
            "firsthop",
        ),
    ] {
        let refusal = suits(&parse(kind, params), 1).unwrap_err().to_string();
        assert!(refusal.starts_with(name), "{refusal}");
    }
    suits(&parse(Kind::Ping, json!({"probecount": 100, "wait": 5})), 1).unwrap();
}

mod with_scamper {
    use super::*;
    use crate::check;

    const SOON: Duration = Duration::from_secs(20);

    async fn measured(kind: Kind, params: Value, targets: &[&str]) -> Result<Output, Failure> {
        let work = tempfile::tempdir().unwrap();
        let addresses: Vec<IpAddr> = targets.iter().map(|t| t.parse().unwrap()).collect();
        let measurement = parse(kind, params);
        run(Path::new("scamper"), &measurement, &addresses, work.path()).await
    }

    /// The tests below need scamper and its rights.
    async fn usable() -> bool {
        let findings = check::look(Path::new("scamper"), Path::new("dig")).await;
        findings
            .scamper
            .inspect_err(|why| eprintln!("skipped: {why}"))
            .is_ok()
    }

    #[tokio::test]
    async fn several_targets_make_one_file() {
        if !usable().await {
            return;
        }
        let params = json!({"probecount": 1});
        let output = measured(Kind::Ping, params, &["127.0.0.1", "127.0.0.2"])
            .await
            .unwrap();
        assert_eq!(output.format, ContentFormat::Warts);
        assert_eq!(glance(&output.content), [Glance::Measured; 2]);
    }

    #[tokio::test]
    async fn every_method_runs_or_says_why_not() {
        if !usable().await {
            return;
        }
        let methods = [
            "icmp-echo",
            "icmp-time",
            "tcp-syn",
            "tcp-ack",
            "tcp-ack-sport",
            "udp",
            "udp-dport",
        ];
        let pings = methods.map(|method| {
            let params = json!({"probecount": 1, "method": method, "dport": 33435});
            measured(Kind::Ping, params, &["127.0.0.1"])
        });
        let traces = ["udp-paris", "icmp-paris", "tcp"].map(|method| {
            let params = json!({"method": method, "maxttl": 2, "attempts": 1, "wait": 1});
            measured(Kind::Traceroute, params, &["127.0.0.1"])
        });
        let (pings, traces) = futures::join!(join_all(pings), join_all(traces));
        for output in pings.into_iter().chain(traces) {
            assert_eq!(glance(&output.unwrap().content), [Glance::Measured]);
        }
    }

    #[tokio::test]
    async fn what_scamper_refuses_is_a_failure_that_shows_the_command() {
        if !usable().await {
            return;
        }
        let refused = [
            (Kind::Ping, json!({"size": 1}), "ping -s 1"),
            (
                Kind::Ping,
                json!({"icmp_sum": 5, "method": "tcp-syn"}),
                "ping -C 5 -P tcp-syn",
            ),
        ];
        for (kind, params, shown) in refused {
            let failure = measured(kind, params, &["127.0.0.1"]).await.unwrap_err();
            assert!(failure.to_string().contains(shown), "{failure}");
        }
        // scamper ends well here, with a record that says it could not probe.
        let low_port = json!({"sport": 1, "dport": 1, "method": "udp-paris"});
        if let Err(failure) = measured(Kind::Traceroute, low_port, &["127.0.0.1"]).await {
            assert!(failure.to_string().contains("bind"), "{failure}");
        }
    }

    #[tokio::test]
    async fn its_file_is_gone_afterwards() {
        if !usable().await {
            return;
        }
        let work = tempfile::tempdir().unwrap();
        let addresses = ["127.0.0.1".parse().unwrap()];
        let slow = measure(
            Path::new("scamper"),
            "ping -c 1 -W 60",
            &addresses,
            work.path(),
            Duration::from_millis(200),
        );
        let failure = slow.await.unwrap_err();
        assert!(
            failure.to_string().contains("was stopped after"),
            "{failure}"
        );
        measure(
            Path::new("scamper"),
            "ping -c 1",
            &addresses,
            work.path(),
            SOON,
        )
        .await
        .unwrap();
        assert_eq!(crate::data_dir::files(work.path()).unwrap().len(), 0);
    }
}
