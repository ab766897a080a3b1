//! The page on the parameters of operations: one table for each kind.

use std::fmt::Write as _;

use serde_json::Value;

use super::{resolved, without_null};

/// Kinds, and what their parameters are called in the description.
const KINDS: &[(&str, &str)] = &[
    ("ping", "PingParams"),
    ("traceroute", "TracerouteParams"),
    ("dns", "DnsParams"),
];

const HEAD: &str = "\
# Parameters of operations

What may stand in `params` of `POST /api/v1/operations` ([api.md](api.md)), for each `kind`. All may be left out, and so
may `params`. What is not here is refused, as is a value out of its limits: what reaches a tool passed this table.

`pladmed parameters` wrote this page from the hub's own table; a test compares them.
";

/// The page, in Markdown.
pub(crate) fn page(api: &Value) -> String {
    let mut page = HEAD.to_owned();
    for (kind, name) in KINDS {
        let schema = &api["components"]["schemas"][*name];
        let about = words(&schema["description"]);
        // To write into a text always works.
        let _ = write!(
            page,
            "\n## {kind}\n\n{about}\n\n| parameter | values | what it is |\n| --- | --- | --- |\n"
        );
        for (parameter, schema) in schema["properties"].as_object().into_iter().flatten() {
            let (values, what) = (values(api, schema), words(about_of(api, schema)));
            let _ = writeln!(page, "| `{parameter}` | {values} | {what} |");
        }
    }
    page
}

/// On one line.
fn words(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What describes a parameter: its own words before those of its type.
fn about_of<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let beside = schema["oneOf"].as_array().into_iter().flatten();
    std::iter::once(schema)
        .chain(beside)
        .map(|schema| &schema["description"])
        .find(|description| description.is_string())
        .unwrap_or(&resolved(api, schema)["description"])
}

/// What a parameter may be.
fn values(api: &Value, schema: &Value) -> String {
    let schema = without_null(api, schema);
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" ");
    }
    let kind = match &schema["type"] {
        // Of several types, `null` is the other one.
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    let (least, most) = (&schema["minimum"], &schema["maximum"]);
    match kind {
        "integer" => format!("{least} to {most}"),
        "number" => format!("{least} to {most}, may be a fraction"),
        _ => "a text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_words_are_shown() {
        let api = serde_json::to_value(crate::http::openapi()).unwrap();
        let page = page(&api);
        for row in [
            "| `probecount` | 1 to 100 | Probes to send to each target. |",
            "| `method` | `udp-paris` `icmp-paris` `tcp` | How to probe. |",
            "| `confidence` | 0 to 0.99, may be a fraction | ",
            "| `ip_version` | `4` `6` | ",
            "| `server` | a text | Address of the name server",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
        assert!(!page.contains("null") && !page.contains("|  |"), "{page}");
    }
}
