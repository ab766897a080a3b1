//! Holds `docs/protocol.md` to the types: whoever writes a probe in another language has only that page.

#![expect(
    clippy::unwrap_used,
    reason = "a test; clippy's setting for tests does not reach helper functions"
)]

use std::collections::BTreeSet;

use probe_protocol::{
    Close, HubFrame, MAX_FRAME, PATH, ProbeFrame, Rejection, Return, SUBPROTOCOL,
};
use serde_json::{Value, json};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

fn section(title: &str) -> String {
    let page = page();
    let (_, after) = page.split_once(&format!("\n## {title}\n")).unwrap();
    after.split("\n## ").next().unwrap_or_default().to_owned()
}

fn examples(title: &str) -> Vec<String> {
    let section = section(title);
    let blocks = section.split("```json\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap_or_default().to_owned())
        .collect()
}

fn types(examples: &[String]) -> BTreeSet<String> {
    let kind = |json: &String| {
        serde_json::from_str::<Value>(json).unwrap()["type"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    examples.iter().map(kind).collect()
}

fn words(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

/// Fails to compile when a frame is added, to say that the page needs an example of it.
fn word_of_probe(frame: &ProbeFrame) -> &'static str {
    match frame {
        ProbeFrame::Hello(_) => "hello",
        ProbeFrame::Accepted { .. } => "accepted",
        ProbeFrame::Refused { .. } => "refused",
        ProbeFrame::Result(_) => "result",
        ProbeFrame::Finished { .. } => "finished",
        ProbeFrame::Status { .. } => "status",
        ProbeFrame::Time { .. } => "time",
        ProbeFrame::Unknown => "unknown",
    }
}

/// The same for the other direction.
fn word_of_hub(frame: &HubFrame) -> &'static str {
    match frame {
        HubFrame::Welcome(_) => "welcome",
        HubFrame::Assign(_) => "assign",
        HubFrame::Cancel { .. } => "cancel",
        HubFrame::Closed { .. } => "closed",
        HubFrame::Stored { .. } => "stored",
        HubFrame::Rejected { .. } => "rejected",
        HubFrame::Time { .. } => "time",
        HubFrame::Error { .. } => "error",
        HubFrame::Unknown => "unknown",
    }
}

#[test]
fn examples_of_the_probe_are_frames() {
    let examples = examples("Probe to hub");
    let all = [
        "hello", "accepted", "refused", "result", "finished", "status", "time",
    ];
    assert_eq!(types(&examples), words(&all));
    for json in &examples {
        let frame = ProbeFrame::from_text(json).unwrap();
        assert!(
            json.contains(&format!(r#""type":"{}""#, word_of_probe(&frame))),
            "{json}"
        );
    }
}

#[test]
fn examples_of_the_hub_are_what_it_writes() {
    let examples = examples("Hub to probe");
    let all = [
        "welcome", "assign", "cancel", "closed", "stored", "rejected", "time", "error",
    ];
    assert_eq!(types(&examples), words(&all));
    for json in &examples {
        let frame = HubFrame::from_text(json).unwrap();
        assert!(
            json.contains(&format!(r#""type":"{}""#, word_of_hub(&frame))),
            "{json}"
        );
        assert_eq!(&frame.to_text().unwrap(), json);
    }
}

#[test]
fn the_table_of_close_codes_is_complete() {
    let row = |close: &Close| {
        let back = match close.comes_back() {
            Return::Now => "now",
            Return::Later => "later",
            Return::Never => "never",
        };
        format!(
            "| {} | `{}` | {back} | {} |\n",
            close.code(),
            close.word(),
            close.meaning()
        )
    };
    let rows: String = Close::ALL.iter().map(row).collect();
    let table =
        format!("| code | word | come back | meaning |\n| --- | --- | --- | --- |\n{rows}\n");
    assert!(
        section("Close codes").contains(&table),
        "write this table:\n\n{table}"
    );
}

#[test]
fn the_table_of_rejections_is_complete() {
    // Fails to compile when a reason is added.
    let next = |reason| match reason {
        Rejection::UnknownOperation => Some(Rejection::NotAssigned),
        Rejection::NotAssigned => Some(Rejection::Cancelled),
        Rejection::Cancelled => Some(Rejection::OverPlan),
        Rejection::OverPlan => Some(Rejection::AfterStop),
        Rejection::AfterStop | Rejection::Other => None,
    };
    let reasons = std::iter::successors(Some(Rejection::UnknownOperation), |&reason| next(reason));
    let reasons: Vec<Value> = reasons.map(|reason| json!(reason)).collect();
    let section = section("Rejections");
    let rows: Vec<Value> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(Value::from)
        .collect();
    assert_eq!(rows, reasons);
}

#[test]
fn names_and_numbers_are_the_ones_of_the_code() {
    assert!(section("Connecting").contains(&format!("`{PATH}` with subprotocol `{SUBPROTOCOL}`")));
    assert!(section("Limits").contains(&format!("| {MAX_FRAME} bytes")));
    assert_eq!(
        Return::Now.pause().map(|pause| pause.as_millis()),
        Some(500),
        "half a second"
    );
    assert_eq!(
        Return::Later.pause().map(|pause| pause.as_secs()),
        Some(60),
        "a minute"
    );
}
