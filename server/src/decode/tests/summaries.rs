//! What the summaries say.

use super::*;

fn ping_of(raw: &[u8]) -> Value {
    parsed(&warts(Kind::Ping, ResultFormat::Json, raw).summary)
}

fn record(method: &str, responses: &Value) -> Value {
    json!({"type": "ping", "method": method, "dst": "192.0.2.1", "ping_sent": 4, "responses": responses})
}

fn target(record: Value) -> Value {
    let readout = of_json(Kind::Ping, &json!([record]));
    assert!(readout.measured);
    parsed(&readout.summary)["targets"][0].take()
}

#[test]
fn a_ping_agrees_with_the_tool() {
    // The numbers are those that the tool printed for this file.
    assert_eq!(
        ping_of(PING),
        json!({"kind": "ping", "targets": [{"target": "192.0.2.1", "sent": 3, "received": 3, "loss": 0.0,
            "rtt_ms": {"min": 0.033, "avg": 0.035, "max": 0.039, "stddev": 0.002}}]})
    );
}

#[test]
fn silence_is_a_measurement() {
    let readout = warts(Kind::Ping, ResultFormat::Json, PING_SILENT);
    assert!(readout.measured);
    assert_eq!(
        readout.summary,
        r#"{"kind":"ping","targets":[{"target":"192.0.2.1","sent":2,"received":0,"loss":1.0,"rtt_ms":null}]}"#
    );
    let readout = warts(Kind::Traceroute, ResultFormat::Json, TRACE_SILENT);
    assert!(readout.measured);
    assert_eq!(
        readout.summary,
        r#"{"kind":"traceroute","targets":[{"target":"192.0.2.1","reached":false,"stop_reason":"GAPLIMIT","hops":[]}]}"#
    );
}

#[test]
fn a_duplicate_answers_no_second_probe() {
    let responses = json!([{"from": "192.0.2.1", "seq": 0, "rtt": 1.0}, {"from": "192.0.2.1", "seq": 0, "rtt": 2.0},
        {"from": "192.0.2.1", "seq": 1, "rtt": 3.0}]);
    let target = target(record("icmp-echo", &responses));
    assert_eq!(
        (&target["received"], &target["loss"]),
        (&json!(2), &json!(0.5))
    );
    // Times of all replies, as the tool has them.
    assert_eq!(target["rtt_ms"]["avg"], 2.0);
}

#[test]
fn an_icmp_error_is_no_answer_unless_it_is_what_the_probe_asks_for() {
    let reply = |seq: u8, from: &str, icmp_type: u8, code: u8| json!({"from": from, "seq": seq, "rtt": 1.0, "icmp_type": icmp_type, "icmp_code": code});
    let responses = json!([
        reply(0, "192.0.2.1", 3, 3),
        reply(1, "192.0.2.9", 3, 1),
        reply(2, "192.0.2.9", 11, 0),
        reply(3, "192.0.2.1", 0, 0)
    ]);
    assert_eq!(target(record("icmp-echo", &responses))["received"], 1);
    assert_eq!(target(record("udp-dport", &responses))["received"], 2);
    let v6 = json!([
        reply(0, "2001:db8::1", 129, 0),
        reply(1, "2001:db8::1", 1, 4),
        reply(2, "2001:db8::9", 1, 0)
    ]);
    assert_eq!(target(record("icmp-echo", &v6))["received"], 1);
    assert_eq!(target(record("tcp-syn", &v6))["received"], 2);
}

#[test]
fn a_time_that_cannot_be_is_none() {
    let responses =
        json!([{"seq": 0, "rtt": 4_294_967.280}, {"seq": 1, "rtt": 0.5}, {"seq": 2, "rtt": -1.0}]);
    let target = target(record("icmp-echo", &responses));
    assert_eq!(target["received"], 3);
    assert_eq!(
        target["rtt_ms"],
        json!({"min": 0.5, "avg": 0.5, "max": 0.5, "stddev": 0.0})
    );
}

#[test]
fn a_record_without_responses_is_read_by_its_statistics() {
    let mut record = json!({"type": "ping", "dst": "192.0.2.1", "ping_sent": 4,
        "statistics": {"replies": 3, "loss": 0.25, "min": 1, "max": 3, "avg": 2, "stddev": 0.5}});
    let target = target(record.clone());
    assert_eq!(
        (&target["received"], &target["loss"]),
        (&json!(3), &json!(0.25))
    );
    assert_eq!(
        target["rtt_ms"],
        json!({"min": 1.0, "avg": 2.0, "max": 3.0, "stddev": 0.5})
    );
    // More replies than probes cannot be.
    record["statistics"]["replies"] = json!(9);
    assert_eq!(super::summaries::target(record)["received"], 4);
}

#[test]
fn nothing_sent_is_nothing_measured() {
    let record = json!({"type": "ping", "dst": "192.0.2.1", "ping_sent": 0, "responses": []});
    let readout = of_json(Kind::Ping, &record);
    assert!(!readout.measured);
    assert_eq!(parsed(&readout.summary)["targets"][0]["loss"], Value::Null);
}

#[test]
fn a_trace_lists_its_hops_in_order() {
    let readout = warts(Kind::Traceroute, ResultFormat::Json, TRACE);
    assert_eq!(
        parsed(&readout.summary),
        json!({"kind": "traceroute", "targets": [{"target": "192.0.2.1", "reached": true, "stop_reason": "COMPLETED",
            "hops": [{"ttl": 1, "replies": [{"address": "192.0.2.1", "rtt_ms": 0.018}]}]}]})
    );
}

fn trace(record: &Value) -> Value {
    let readout = of_json(Kind::Traceroute, record);
    assert!(readout.measured);
    parsed(&readout.summary)["targets"][0].take()
}

#[test]
fn a_silent_hop_is_empty_and_a_wrong_one_is_left_out() {
    let record = json!({"type": "trace", "dst": "203.0.113.9", "firsthop": 2, "stop_reason": "GAPLIMIT", "hops": [
        {"addr": "198.51.100.5", "probe_ttl": 5, "rtt": 9.25}, {"addr": "198.51.100.3", "probe_ttl": 3, "rtt": 1.5},
        {"addr": "198.51.100.4", "probe_ttl": 3, "rtt": 4_294_967.280}, {"addr": "198.51.100.6", "probe_ttl": 0},
        {"addr": "198.51.100.6", "probe_ttl": 256}, {"addr": "198.51.100.6", "probe_ttl": -1}, {"probe_ttl": 7}, 7]});
    assert_eq!(
        trace(&record),
        json!({"target": "203.0.113.9", "reached": false, "stop_reason": "GAPLIMIT", "hops": [
            {"ttl": 2, "replies": []},
            {"ttl": 3, "replies": [{"address": "198.51.100.3", "rtt_ms": 1.5},
                {"address": "198.51.100.4", "rtt_ms": null}]},
            {"ttl": 4, "replies": []},
            {"ttl": 5, "replies": [{"address": "198.51.100.5", "rtt_ms": 9.25}]}]})
    );
}

#[test]
fn a_target_that_prohibits_was_reached() {
    let record = json!({"type": "trace", "dst": "203.0.113.9", "stop_reason": "UNREACH",
        "hops": [{"addr": "203.0.113.9", "probe_ttl": 1, "rtt": 1.0}]});
    assert_eq!(trace(&record)["reached"], true);
}

#[test]
fn what_is_too_much_is_counted() {
    let hop = json!({"addr": "x".repeat(500), "probe_ttl": 255, "rtt": 1.0});
    let record = json!({"type": "trace", "dst": "203.0.113.9", "hops": vec![hop; 100]});
    let hops = trace(&record)["hops"].take();
    assert_eq!(hops.as_array().unwrap().len(), 255);
    assert_eq!(hops[254]["replies"].as_array().unwrap().len(), 64);
    assert_eq!(
        hops[254]["replies"][0]["address"].as_str().unwrap().len(),
        64
    );
    assert_eq!(hops[254]["omitted"], 36);

    let readout = of_json(
        Kind::Ping,
        &Value::from(vec![super::summaries::record("udp", &json!([])); 1_500]),
    );
    let summary = parsed(&readout.summary);
    assert_eq!(summary["targets"].as_array().unwrap().len(), 1_000);
    assert_eq!(summary["omitted"], 500);
}

fn dns_document() -> Value {
    json!({"type": "dns", "queries": [
        {"question": {"name": "a.example.", "type": "A"}, "server": "192.0.2.53:53", "status": "NOERROR", "time_ms": 3,
            "answers": [{"name": "a.example.", "ttl": 60, "class": "IN", "type": "A", "data": "192.0.2.1"}]},
        {"question": {"name": ".", "type": "ns"}, "server": "[2001:db8::53]:5353", "status": "TIMEOUT", "answers": [],
            "time_ms": 15000, "error": "request timed out"}]})
}

#[test]
fn a_probes_own_dns_document_says_the_same_as_dig() {
    let readout = of_json(Kind::Dns, &dns_document());
    assert!(readout.measured);
    assert_eq!(
        parsed(&readout.summary),
        json!({"kind": "dns", "queries": [
            {"question": {"name": "a.example", "type": "A"}, "status": "NOERROR", "answers": [
                {"name": "a.example", "ttl": 60, "class": "IN", "type": "A", "data": "192.0.2.1"}],
                "time_ms": 3, "server": "192.0.2.53#53"},
            {"question": {"name": ".", "type": "NS"}, "status": null, "answers": [], "time_ms": 15000,
                "server": "2001:db8::53#5353", "error": "request timed out"}]})
    );
}

#[test]
fn dns_without_a_network_measures_nothing() {
    let query = json!({"question": {"name": "a.example.", "type": "A"}, "status": "ERROR",
        "error": "io error: Network is unreachable (os error 101)"});
    let readout = of_json(Kind::Dns, &json!({"type": "dns", "queries": [query]}));
    assert!(!readout.measured);
    assert_eq!(
        parsed(&readout.summary)["queries"][0]["status"],
        Value::Null
    );
    assert!(!of_json(Kind::Dns, &json!({"type": "dns", "queries": []})).measured);
}

#[test]
fn many_answers_are_counted_and_long_ones_cut() {
    let answer = json!({"name": "a.example.", "ttl": 60, "type": "TXT", "data": "x".repeat(5_000)});
    let mut document = dns_document();
    document["queries"][0]["answers"] = Value::from(vec![answer; 300]);
    let readout = of_json(Kind::Dns, &document);
    assert!(readout.summary.len() < MAX_SUMMARY);
    let query = &parsed(&readout.summary)["queries"][0];
    let kept = query["answers"].as_array().unwrap();
    assert_eq!(kept[0]["data"].as_str().unwrap().len(), 1_024);
    assert_eq!(query["omitted"], 300 - kept.len());
    assert_eq!(
        parsed(&readout.summary)["queries"][1]["status"],
        Value::Null
    );
}
