//! How an operation gets to an agent: in the words it knows, one at a time, and what its answer or silence means.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use serde_json::{Value, json};
use tests::{Case, OldProbe, OldResult, Trial, eventually, orders, trials, wait::SOON};

use super::{SICK_AFTER, Site, accept};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials![
        an_operation_comes_in_the_words_of_the_agent,
        what_runs_once_is_one_minute_of_a_crontab,
        one_is_handed_over_after_the_other,
        an_acknowledgement_alone_is_a_refusal,
        what_the_agent_cannot_run_is_refused_for_it,
        what_is_cancelled_before_it_leaves_never_leaves,
        what_is_cancelled_after_it_left_counts_no_more,
    ];
    trials.push(
        Case::new("it::old_probes::delivery::an_agent_that_does_not_answer_is_sick")
            .run(an_agent_that_does_not_answer_is_sick),
    );
    trials
}

const STOP_TIME: &str = "%d/%m/%Y %H:%M";

fn scheduled(mut order: Value, stop: DateTime<Utc>) -> Value {
    order["schedule"] =
        json!({"cron": "*/5 3 * * mon-fri", "times_per_minute": 3, "stop_time": stop});
    order
}

/// Orders, and the parameters, format and credits that an agent is told.
fn translations() -> Vec<(Value, Value, &'static str, i64)> {
    let order = |kind: &str, targets: Value, params: Value| json!({"kind": kind, "targets": targets, "params": params});
    let dumped = |mut order: Value| {
        order["result_format"] = json!("dump");
        order
    };
    let ping = json!({"probecount": 4, "icmp_sum": 7, "dport": 80, "sport": 1234, "wait": 2,
        "method": "tcp-ack-sport", "size": 100, "timeout": 3});
    let told_ping = json!({"probecount": 4, "icmp-sum": 7, "dport": 80, "sport": 1234, "wait": 2,
        "method": "tcp-ack-sport", "size": 100, "timeout": 3, "ips": ["127.0.0.1", "::1"], "fqdns": ["host.example"]});
    let trace = json!({"method": "icmp-paris", "dport": 80, "sport": 1234, "firsthop": 2, "maxttl": 9,
        "attempts": 3, "wait": 4, "wait_probe": 50});
    let told_trace = json!({"method": "icmp-paris", "dport": 80, "sport": 1234, "firsthop": 2, "maxttl": 9,
        "attempts": 3, "wait": 4, "wait-probe": 50, "ips": ["127.0.0.1"]});
    let dns = json!({"type": "mx", "source_address": "127.0.0.1", "ip_version": "4"});
    let told_dns = json!({"name": ["a.example", "-t", "mx", "-q", "1.0.0.127.in-addr.arpa", "-t", "mx"],
        "address": "127.0.0.1", "ipv4": ""});
    let told_reverse =
        json!({"name": ["1.0.0.127.in-addr.arpa", "-t", "ptr", "-q", "b.example", "-t", "a"]});
    let ping = order("ping", json!(["127.0.0.1", "host.example", "::1"]), ping);
    let trace = dumped(order("traceroute", json!(["127.0.0.1"]), trace));
    let dns = order("dns", json!(["a.example", "127.0.0.1"]), dns);
    let reverse = order("dns", json!(["127.0.0.1", "b.example"]), json!({}));
    vec![
        (ping, told_ping, "json", 3),
        (trace, told_trace, "dump", 15),
        (dns, told_dns, "text", 2),
        (reverse, told_reverse, "text", 2),
    ]
}

async fn an_operation_comes_in_the_words_of_the_agent() {
    let site = Site::open_with(&[("RESOLVE_TARGETS", "probe")]).await;
    let mut probe = site.connect().await;
    let stop = Utc::now() + TimeDelta::days(9);
    // The minute in which the stop time lies is over, and the agent stops one later.
    let told_stop = stop + TimeDelta::minutes(2);
    for (mut order, mut params, format, credits) in translations() {
        order["probes"] = json!([site.probe.id]);
        let operation = site.ana.launch(&scheduled(order.clone(), stop)).await;
        let handed = accept(&mut probe, operation).await;
        assert_eq!(json!(handed.kind), order["kind"]);
        params["cron"] = json!("*/5 3 * * mon-fri");
        params["times_per_minute"] = json!(3);
        params["stop_time"] = json!(told_stop.format(STOP_TIME).to_string());
        let told = json!({"_id": operation, "params": params, "credits": credits, "results": [],
            "result_format": format});
        assert_eq!(handed.argument, told);
        site.reaches(operation, "accepted").await;
    }
}

async fn what_runs_once_is_one_minute_of_a_crontab() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let operation = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    let handed = accept(&mut probe, operation).await;
    let now = Utc::now();
    let params = &handed.argument["params"];
    let stop = params["stop_time"].as_str().expect("a time");
    let stop =
        Utc.from_utc_datetime(&NaiveDateTime::parse_from_str(stop, STOP_TIME).expect("a time"));
    // It has time to write its crontab before, and to send its result after.
    let minute = stop - TimeDelta::minutes(3);
    assert!(
        minute > now && minute < now + TimeDelta::seconds(90),
        "{minute} at {now}"
    );
    let cron = minute.format("%-M %-H %-d %-m *").to_string();
    assert_eq!(
        params,
        &json!({"ips": ["127.0.0.1"], "cron": cron, "times_per_minute": 1, "stop_time": params["stop_time"]})
    );
    let result = OldResult::new(operation, "1", "warts", orders::PING_WARTS);
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    site.reaches(operation, "finished").await;
    site.close().await;
}

async fn one_is_handed_over_after_the_other() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let mut launched = Vec::new();
    for _ in 0..4 {
        launched.push(site.ana.launch(&orders::ping(&[site.probe.id])).await);
    }
    for (number, operation) in launched.iter().enumerate() {
        let handed = probe.handed().await;
        assert_eq!(handed.id(), operation.to_string());
        // What was sent by now would come before the answer to a result, which goes through the store.
        let fence = OldResult::new("nothing", &format!("fence-{number}"), "warts", b"");
        probe.deliver(&fence).await;
        assert_eq!(
            probe.handed_so_far().len(),
            number + 1,
            "{:?}",
            probe.journal
        );
        for waiting in &launched[number + 1..] {
            assert_eq!(site.ana.states(*waiting).await, ["pending"]);
        }
        site.reaches(*operation, "delivered").await;
        probe.take(&handed).await;
    }
    for operation in launched {
        site.reaches(operation, "accepted").await;
    }
    site.close().await;
}

async fn an_acknowledgement_alone_is_a_refusal() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let before = site.ana.credits().await;
    let refused = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    let handed = probe.handed().await;
    // Another number is not the answer to it.
    probe.ack(handed.ack + 1).await;
    probe.ack(handed.ack).await;
    site.reaches(refused, "refused").await;
    let shown = site.ana.operation(refused).await;
    assert_eq!(
        (&shown["refunded"], &shown["charged"]),
        (&json!(1), &json!(1))
    );
    let reason = shown["assignments"][0]["reason"]
        .as_str()
        .expect("a reason");
    assert!(reason.contains("credits"), "{reason}");
    assert_eq!(site.ana.credits().await, before);
    // It is none the sicker for that.
    let next = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, next).await;
    site.reaches(next, "accepted").await;
    site.close().await;
}

async fn what_the_agent_cannot_run_is_refused_for_it() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let order = |params: Value| {
        let mut order = orders::traceroute(&[site.probe.id]);
        order["params"] = params;
        order
    };
    let before = site.ana.credits().await;
    for (params, word) in [
        (json!({"method": "tcp"}), "tcp"),
        (json!({"confidence": 0.95}), "confidence"),
    ] {
        let operation = site.ana.launch(&order(params)).await;
        site.reaches(operation, "refused").await;
        let shown = site.ana.operation(operation).await;
        let reason = shown["assignments"][0]["reason"]
            .as_str()
            .expect("a reason");
        assert!(reason.contains(word), "{reason}");
    }
    assert_eq!(site.ana.credits().await, before);
    let operation = site
        .ana
        .launch(&order(json!({"method": "udp-paris"})))
        .await;
    accept(&mut probe, operation).await;
    site.close().await;
}

async fn an_agent_that_does_not_answer_is_sick() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let unanswered = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    let waiting = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    let handed = probe.handed().await;
    assert_eq!(handed.id(), unanswered.to_string());
    assert_eq!(site.shown().await["sick"], false);
    // It goes on answering pings.
    let reading = probe.until_within(SICK_AFTER * 2, "nothing", |_| None::<()>);
    let sick = eventually(SICK_AFTER + SOON, "a sick probe", async || {
        (site.shown().await["sick"] == true).then_some(())
    });
    tokio::select! {
        () = reading => panic!("nothing is read for ever"),
        () = sick => {}
    }
    let shown = site.shown().await;
    assert_eq!(
        (&shown["connected"], &shown["availability"]),
        (&json!(true), &json!(0.0))
    );
    for offline in ["skip", "queue"] {
        let mut order = orders::ping(&[site.probe.id]);
        order["offline"] = json!(offline);
        let refused = site
            .ana
            .order(&order)
            .await
            .expect_problem(422, "no_available_probe");
        assert_eq!(
            refused["left_out"],
            json!([{"probe": site.probe.id, "reason": "sick"}])
        );
    }
    assert_eq!(site.ana.states(unanswered).await, ["delivered"]);
    assert_eq!(site.ana.states(waiting).await, ["pending"]);
    assert_eq!(probe.handed_so_far().len(), 1);
    // Late is better than never.
    probe.take(&handed).await;
    site.shows("sick", false).await;
    site.reaches(unanswered, "accepted").await;
    accept(&mut probe, waiting).await;
    let new = site.ana.launch(&orders::ping(&[site.probe.id])).await;
    accept(&mut probe, new).await;
    site.close().await;
}

async fn what_is_cancelled_before_it_leaves_never_leaves() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let before = site.ana.credits().await;
    let mut launched = Vec::new();
    for _ in 0..3 {
        launched.push(site.ana.launch(&orders::ping(&[site.probe.id])).await);
    }
    let first = probe.handed().await;
    site.ana.cancel(launched[1]).await;
    probe.take(&first).await;
    accept(&mut probe, launched[2]).await;
    assert_eq!(site.ana.states(launched[1]).await, ["cancelled"]);
    assert_eq!(site.ana.credits().await, before - 2);
    site.close().await;
}

async fn what_is_cancelled_after_it_left_counts_no_more() {
    let site = Site::open().await;
    let mut probe = site.connect().await;
    let before = site.ana.credits().await;
    let [unanswered, accepted] = [site.ping().await, site.ping().await];
    let handed = probe.handed().await;
    site.reaches(unanswered, "delivered").await;
    site.ana.cancel(unanswered).await;
    // The agent knows nothing of that, and its answer changes nothing.
    probe.take(&handed).await;
    accept(&mut probe, accepted).await;
    site.reaches(accepted, "accepted").await;
    assert_eq!(site.ana.states(unanswered).await, ["cancelled"]);
    site.ana.cancel(accepted).await;
    let refunded = site.ana.operation(accepted).await["refunded"]
        .as_i64()
        .expect("a sum");
    assert!(refunded > 80_000, "{refunded}");
    for operation in [unanswered, accepted] {
        deliver_refused(&site, &mut probe, operation).await;
    }
    assert!(site.ana.credits().await >= before - 200);
    site.close().await;
}

/// A result that is not taken is acknowledged all the same, else the agent would keep it.
async fn deliver_refused(
    site: &Site,
    probe: &mut OldProbe,
    operation: probe_protocol::OperationId,
) {
    let result = OldResult::new(operation, "late", "warts", orders::PING_WARTS);
    assert_eq!(probe.deliver(&result).await, json!([operation]));
    assert!(site.ana.results(operation).await.is_empty());
}
