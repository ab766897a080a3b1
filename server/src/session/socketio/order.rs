//! An operation in the words of the agents that were there before: one object of parameters that holds targets and
//! schedule too. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use probe_protocol::{
    Assign, Kind, Measurement, Schedule, Target, reverse_name,
    spec::{DnsParams, IpVersion, TracerouteMethod, TracerouteParams},
};
use serde_json::{Map, Value, json};

use crate::old_words::{self, stop_time};

/// An agent throws away what it finishes measuring in the minute of its stop time, so it is told a later one. What it
/// measures too much is over the plan.
const STOPS_LATER: TimeDelta = TimeDelta::minutes(1);
/// What runs once runs in a minute that begins at least so much later: the agent has to write its crontab first.
const STARTS_LATER: TimeDelta = TimeDelta::seconds(20);
/// What runs once is stopped so long after its minute: a run and its result must be through by then.
const STOPS_AFTER: TimeDelta = TimeDelta::minutes(3);

/// Longest `trace -w` that scamper takes, seconds.
const LONGEST_TRACE_WAIT_S: u32 = 10;

/// Whether such an agent can run it. What its tools refuse it would try all the same, run for run.
///
/// # Errors
/// Why not, for people.
pub(super) fn fits(assign: &Assign) -> Result<(), &'static str> {
    match Measurement::parse(assign.kind, &assign.params) {
        Err(_) => Err("the agent does not know these parameters"),
        Ok(Measurement::Traceroute(params)) => fits_traceroute(&params),
        Ok(Measurement::Ping(params))
            if params.timeout.is_some_and(|timeout| timeout.get() == 0) =>
        {
            Err("timeout: the agent's ping waits at least 1 second")
        }
        Ok(Measurement::Ping(_) | Measurement::Dns(_)) => Ok(()),
    }
}

fn fits_traceroute(params: &TracerouteParams) -> Result<(), &'static str> {
    let (first, last) = (params.firsthop, params.maxttl);
    if params.method == Some(TracerouteMethod::Tcp) {
        return Err("method: the agent's traceroute knows no tcp");
    }
    if params.confidence.is_some() {
        return Err("confidence: the agent's traceroute takes none");
    }
    if params
        .wait
        .is_some_and(|wait| wait.get() > LONGEST_TRACE_WAIT_S)
    {
        return Err("wait: the agent's traceroute waits at most 10 seconds");
    }
    if first.zip(last).is_some_and(|(first, last)| first > last) {
        return Err("firsthop: must not be greater than maxttl");
    }
    Ok(())
}

/// Whether it has names that must be addresses where agents get no names. What dns asks for stays a name.
pub(super) fn needs_addresses(assign: &Assign) -> bool {
    let is_name = |target: &Target| matches!(target, Target::Name(_));
    assign.kind != Kind::Dns && assign.targets.iter().any(is_name)
}

/// The argument of the event that hands it over. `targets` take the place of its own.
pub(super) fn payload(assign: &Assign, targets: &[Target], now: DateTime<Utc>) -> Value {
    let mut params = match Measurement::parse(assign.kind, &assign.params) {
        Ok(Measurement::Dns(params)) => questions(&params, targets),
        _ => old_words::measurement(assign.kind, &assign.params, targets),
    };
    when(assign.schedule.as_ref(), now, &mut params);
    json!({
        "_id": assign.operation,
        "params": params,
        "credits": assign.credits,
        "results": [],
        "result_format": old_words::result_format(assign.kind, assign.result_format),
    })
}

/// Dns: the agent puts everything in `name` behind one `-q` on dig's command line, so that is where dig's other
/// arguments go too; what the agent has for the record type, dig does not understand.
fn questions(params: &DnsParams, targets: &[Target]) -> Map<String, Value> {
    let mut words: Vec<String> = Vec::new();
    for target in targets {
        if !words.is_empty() {
            words.push("-q".to_owned());
        }
        let (name, usual) = match target {
            Target::Name(name) => (name.to_string(), "a".to_owned()),
            Target::Address(address) => (reverse_name(*address), "ptr".to_owned()),
        };
        let asked = params.record_type.map(word);
        words.extend([name, "-t".to_owned(), asked.unwrap_or(usual)]);
        if let Some(server) = params.server {
            words.push(format!("@{server}"));
        }
        if let Some(port) = params.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
    }
    let mut map = Map::new();
    map.insert("name".to_owned(), json!(words));
    if let Some(address) = params.source_address {
        map.insert("address".to_owned(), json!(address));
    }
    let version = match params.ip_version {
        Some(IpVersion::V4) => Some("ipv4"),
        Some(IpVersion::V6) => Some("ipv6"),
        None => None,
    };
    if let Some(version) = version {
        map.insert(version.to_owned(), json!(""));
    }
    map
}

fn word(record_type: probe_protocol::spec::RecordType) -> String {
    let word = json!(record_type);
    word.as_str().unwrap_or_default().to_owned()
}

/// The schedule. An agent knows no other operations than repeated ones, so what runs once is one minute of a crontab.
fn when(schedule: Option<&Schedule>, now: DateTime<Utc>, params: &mut Map<String, Value>) {
    let (cron, times, stop) = match schedule {
        Some(schedule) => (
            schedule.cron.to_string(),
            schedule.times_per_minute.get(),
            schedule.stop_time + STOPS_LATER,
        ),
        None => {
            let minute = stop_time::full_minute(now + STARTS_LATER);
            (stop_time::cron_of(minute), 1, minute + STOPS_AFTER)
        }
    };
    params.insert("cron".to_owned(), json!(cron));
    params.insert("times_per_minute".to_owned(), json!(times));
    params.insert("stop_time".to_owned(), json!(stop_time::show(stop)));
}

#[cfg(test)]
mod tests;
