//! What the old frontend asks for, as a body of version 1, which [`Order::read`] judges. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{Cron, Kind, Name, Target, TargetPolicy};
use serde_json::{Map, Value, json};

use super::stop_time;
use crate::domain::{Invalid, Order};

/// What is wrong with it. The old words do not say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Anything else.
    Data,
    /// An identifier of a probe: malformed, or there twice.
    Probes,
}

/// Longest parameters, bytes of JSON: they are kept as they were sent, unknown ones too, and shown in lists. A hundred
/// targets in each of their lists take less.
pub(crate) const MOST_SENT: usize = 64 * 1024;
/// What is asked for when its time is over runs once, in a full minute that begins so much later at the earliest: it
/// has to reach the probes first.
const STARTS_LATER: TimeDelta = TimeDelta::seconds(30);

/// Reads the body of `POST /traceroute`, `/ping` or `/dns`.
pub(crate) fn read(
    kind: Kind,
    body: &Value,
    policy: TargetPolicy,
    now: DateTime<Utc>,
) -> Result<Order, Wrong> {
    let params = body.get("params").and_then(Value::as_object);
    let params = params.ok_or(Wrong::Data)?;
    let sent = Value::Object(params.clone());
    if sent.to_string().len() > MOST_SENT {
        return Err(Wrong::Data);
    }
    let stops = text(params, "stop_time").and_then(stop_time::parse);
    let stops = stops.ok_or(Wrong::Data)?;
    let mut asked = translated(kind, body, params, stops).ok_or(Wrong::Data)?;
    let order = match Order::read(&asked, policy, now) {
        Err(invalid) if is_over(&invalid, params, stops, now) => {
            let schedule = &mut asked["schedule"];
            (schedule["cron"], schedule["stop_time"]) = one_minute(now);
            Order::read(&asked, policy, now)
        }
        read => read,
    };
    let mut order = order.map_err(|Invalid(errors)| {
        let is_probe = |pointer: &str| pointer.starts_with("/probes/");
        if errors.iter().all(|error| is_probe(&error.pointer)) {
            Wrong::Probes
        } else {
            Wrong::Data
        }
    })?;
    order.as_sent = Some(sent);
    Ok(order)
}

/// The body of version 1.
fn translated(
    kind: Kind,
    body: &Value,
    params: &Map<String, Value>,
    stops: DateTime<Utc>,
) -> Option<Value> {
    let times = params.get("times_per_minute")?;
    if kind == Kind::Dns {
        check_questions(params)?;
    }
    let result_format = match kind {
        Kind::Traceroute => body.get("result_format")?.as_str()?,
        // Whatever is asked for.
        Kind::Ping | Kind::Dns => "json",
    };
    Some(json!({
        "kind": kind,
        "params": super::known(kind, params)?,
        "targets": targets(kind, params)?,
        "schedule": {
            "cron": text(params, "cron")?,
            // For version 1 null is left out, and left out is 1.
            "times_per_minute": Some(super::whole(times)).filter(Value::is_number)?,
            "stop_time": stops,
        },
        "probes": body.get("probes")?,
        "offline": "skip",
        "result_format": result_format,
    }))
}

pub(super) fn text<'a>(params: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    params.get(name)?.as_str()
}

/// A list of texts; one that is left out is empty, and so is an empty text.
fn list<'a>(params: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    match params.get(name) {
        None => Some(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(Value::as_str).collect(),
    }
}

/// Names first, then addresses. Dns takes no addresses.
fn targets(kind: Kind, params: &Map<String, Value>) -> Option<Vec<&str>> {
    let mut targets = list(params, "fqdns")?;
    let ips = list(params, "ips")?;
    let fits = ips.iter().all(|text| is_address(text)) && (kind != Kind::Dns || ips.is_empty());
    targets.extend(ips);
    fits.then_some(targets)
}

fn is_address(text: &str) -> bool {
    matches!(text.parse(), Ok(Target::Address(_)))
}

/// What dns was told beside its targets: kept, never sent, and yet held to its grammar.
fn check_questions(params: &Map<String, Value>) -> Option<()> {
    let all = |name: &str, fits: fn(&str) -> bool| match params.get(name) {
        None => true,
        Some(Value::String(text)) => fits(text),
        Some(Value::Array(items)) => items.iter().all(|item| item.as_str().is_some_and(fits)),
        Some(_) => false,
    };
    let is_name = |text: &str| text.parse::<Name>().is_ok();
    (all("name", is_name) && all("x", is_address)).then_some(())
}

/// Whether the schedule is good, but has no instant left.
fn is_over(
    Invalid(errors): &Invalid,
    params: &Map<String, Value>,
    stops: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    let named = |pointer: &str| errors.iter().any(|error| error.pointer == pointer);
    let is_cron = || text(params, "cron").is_some_and(|cron| cron.parse::<Cron>().is_ok());
    named("/schedule/stop_time") && stops <= now || named("/schedule/cron") && is_cron()
}

/// Cron and stop time of a schedule with one instant.
fn one_minute(now: DateTime<Utc>) -> (Value, Value) {
    let minute = stop_time::full_minute(now + STARTS_LATER);
    let cron = stop_time::cron_of(minute);
    (json!(cron), json!(minute + TimeDelta::minutes(1)))
}

#[cfg(test)]
mod tests;
