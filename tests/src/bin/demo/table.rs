//! Results as lines of a table, from the summary that the hub makes of every result.

use probe_protocol::Kind;
use serde_json::Value;

/// Hops, or answers, that fit into a line.
const MOST_SHOWN: usize = 4;

/// What stands above the columns.
pub(crate) fn header() -> String {
    let columns = [
        "time UTC",
        "kind",
        "probe",
        "target",
        "min/avg/max ms",
        "loss",
        "hops, answers",
    ];
    let line = line(columns);
    let rule = "-".repeat(line.len());
    format!("{line}\n{rule}")
}

fn line([time, kind, probe, target, times, loss, more]: [&str; 7]) -> String {
    format!("{time:<8}  {kind:<10}  {probe:<5}  {target:<12}  {times:<17}  {loss:<5}  {more}")
        .trim_end()
        .to_owned()
}

/// Whether something was measured.
pub(crate) fn is_measured(view: &Value) -> bool {
    let list = |name| {
        view["summary"][name]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    };
    list("targets") || list("queries")
}

/// The lines of a result: one a target.
pub(crate) fn rows(kind: Kind, probe: &str, view: &Value) -> Vec<String> {
    let time = view["started_at"]
        .as_str()
        .and_then(|text| text.get(11..19))
        .unwrap_or("?");
    let summary = &view["summary"];
    let row = |target: &str, times: &str, loss: &str, more: &str| {
        line([time, kind.as_str(), probe, target, times, loss, more])
    };
    if !is_measured(view) {
        let why = summary["failed"]
            .as_str()
            .unwrap_or("it could not be decoded");
        return vec![row("", "", "", &format!("nothing was measured: {why}"))];
    }
    let items = match kind {
        Kind::Ping | Kind::Traceroute => &summary["targets"],
        Kind::Dns => &summary["queries"],
    };
    let items = items.as_array().into_iter().flatten();
    let one = |item: &Value| match kind {
        Kind::Ping => row(
            word(&item["target"]),
            &times(&item["rtt_ms"]),
            &percent(&item["loss"]),
            "",
        ),
        Kind::Traceroute => row(word(&item["target"]), "", "", &hops(item)),
        Kind::Dns => row(word(&item["question"]["name"]), "", "", &answers(item)),
    };
    items.map(one).collect()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn ms(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "*".to_owned(), |ms| format!("{ms:.3}"))
}

fn times(rtt: &Value) -> String {
    if rtt.is_null() {
        return "no answer".to_owned();
    }
    format!(
        "{}/{}/{}",
        ms(&rtt["min"]),
        ms(&rtt["avg"]),
        ms(&rtt["max"])
    )
}

fn percent(share: &Value) -> String {
    share
        .as_f64()
        .map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn hops(target: &Value) -> String {
    let hops = target["hops"].as_array().map_or(&[][..], Vec::as_slice);
    let hop = |hop: &Value| match &hop["replies"][0] {
        Value::Null => format!("{} *", hop["ttl"]),
        reply => format!(
            "{} {} {} ms",
            hop["ttl"],
            word(&reply["address"]),
            ms(&reply["rtt_ms"])
        ),
    };
    let end = if target["reached"] == true {
        "reached"
    } else {
        "not reached"
    };
    format!("{end}: {}", shortened(hops, hop))
}

fn answers(query: &Value) -> String {
    let Some(status) = query["status"].as_str() else {
        return format!("no response: {}", word(&query["error"]));
    };
    let answers = query["answers"].as_array().map_or(&[][..], Vec::as_slice);
    let answer = |answer: &Value| format!("{} {}", word(&answer["type"]), word(&answer["data"]));
    let shown = shortened(answers, answer);
    match query["time_ms"].as_u64() {
        Some(time) => format!("{status}: {shown} in {time} ms"),
        None => format!("{status}: {shown}"),
    }
}

fn shortened(items: &[Value], show: impl Fn(&Value) -> String) -> String {
    let mut shown: Vec<String> = items.iter().take(MOST_SHOWN).map(show).collect();
    if items.len() > MOST_SHOWN {
        shown.push(format!("and {} more", items.len() - MOST_SHOWN));
    }
    if shown.is_empty() {
        "nothing".to_owned()
    } else {
        shown.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(kind: Kind, summary: Value) -> String {
        let view = json!({"started_at": "2026-03-10T12:00:10.25Z", "summary": summary});
        rows(kind, "demo", &view).join("\n")
    }

    #[test]
    fn a_line_says_what_was_measured() {
        let rtt = json!({"min": 0.041, "avg": 0.05, "max": 0.0621, "stddev": 0.01});
        let ping = json!({"targets": [{"target": "127.0.0.1", "sent": 4, "received": 3, "loss": 0.25, "rtt_ms": rtt}]});
        assert_eq!(
            row(Kind::Ping, ping),
            "12:00:10  ping        demo   127.0.0.1     0.041/0.050/0.062  25 %"
        );
        let hops = json!([{"ttl": 1, "replies": []}, {"ttl": 2, "replies": [{"address": "127.0.0.1", "rtt_ms": 0.05}]}]);
        let trace = json!({"targets": [{"target": "127.0.0.1", "reached": true, "hops": hops}]});
        assert!(row(Kind::Traceroute, trace).ends_with("reached: 1 *, 2 127.0.0.1 0.050 ms"));
        let answers = json!([{"type": "A", "data": "192.0.2.10"}]);
        let query = json!({"question": {"name": "host.example"}, "status": "NOERROR", "answers": answers, "time_ms": 1});
        assert!(
            row(Kind::Dns, json!({"queries": [query]})).ends_with("NOERROR: A 192.0.2.10 in 1 ms")
        );
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let failed = row(Kind::Ping, json!({"kind": "ping", "failed": "no rights"}));
        assert!(
            failed.ends_with("nothing was measured: no rights"),
            "{failed}"
        );
        let silent =
            json!({"question": {"name": "x"}, "status": null, "answers": [], "error": "timed out"});
        assert!(row(Kind::Dns, json!({"queries": [silent]})).ends_with("no response: timed out"));
        assert!(!is_measured(&json!({"summary": null})));
    }
}
