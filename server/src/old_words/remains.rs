//! What can be read of an operation that is not an order any more, because it never was one that this system takes: it
//! is kept for its results. Pure.

use std::collections::HashSet;

use probe_protocol::{Kind, Schedule, Target};
use serde_json::{Map, Value};

use super::{asking::text, stop_time};
use crate::domain::order::MOST_TARGETS;

/// What can be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remains {
    /// Targets that could be measured, each once.
    pub(crate) targets: Vec<Target>,
    /// The schedule, where all of it can be read.
    pub(crate) schedule: Option<Schedule>,
}

/// Where destinations stand.
const LISTS: [&str; 2] = ["fqdns", "ips"];

impl Remains {
    /// Reads parameters as they were sent.
    pub(crate) fn of(kind: Kind, params: &Map<String, Value>) -> Self {
        let mut seen = HashSet::new();
        let lists = LISTS
            .iter()
            .filter_map(|name| params.get(*name)?.as_array());
        let targets = lists.flatten().filter_map(|item| target(kind, item));
        Self {
            targets: targets
                .filter(|target| seen.insert(target.clone()))
                .take(MOST_TARGETS)
                .collect(),
            schedule: schedule(params),
        }
    }
}

fn target(kind: Kind, item: &Value) -> Option<Target> {
    let target: Target = item.as_str()?.parse().ok()?;
    let fits = match &target {
        Target::Name(name) => kind == Kind::Dns || name.is_host(),
        Target::Address(_) => true,
    };
    fits.then_some(target)
}

fn schedule(params: &Map<String, Value>) -> Option<Schedule> {
    let times_per_minute = super::whole(params.get("times_per_minute")?);
    Some(Schedule {
        cron: text(params, "cron")?.parse().ok()?,
        times_per_minute: serde_json::from_value(times_per_minute).ok()?,
        stop_time: stop_time::parse(text(params, "stop_time")?)?,
    })
}

/// How many destinations were paid for. Nobody checked what the lists are: of a text each character counted.
pub(crate) fn destinations(params: &Map<String, Value>) -> usize {
    let count = |name: &&str| match params.get(*name) {
        Some(Value::Array(items)) => items.len(),
        Some(Value::String(text)) => text.chars().count(),
        Some(Value::Object(members)) => members.len(),
        _ => 0,
    };
    LISTS.iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(params: Value) -> (Vec<String>, Option<String>, usize) {
        let params = params.as_object().unwrap();
        let Remains { targets, schedule } = Remains::of(Kind::Ping, params);
        let targets = targets.iter().map(ToString::to_string).collect();
        let schedule = schedule.map(|it| format!("{} {}", it.times_per_minute, it.stop_time));
        (targets, schedule, destinations(params))
    }

    #[test]
    fn what_can_be_read_is_read() {
        let (targets, schedule, paid) = of(json!({
            "fqdns": ["example.org", "Example.org", "; reboot", "a_b.example", 5],
            "ips": ["192.0.2.1", "$(reboot)", "2001:db8::1"],
            "dport": "1'; touch /tmp/x; '",
            "cron": " */5  * * * *", "times_per_minute": 2.0, "stop_time": "15/01/2027 09:00",
        }));
        assert_eq!(targets, ["example.org", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(schedule.as_deref(), Some("2 2027-01-15 09:00:00 UTC"));
        assert_eq!(paid, 8);
    }

    #[test]
    fn a_schedule_is_read_whole_or_not() {
        let good =
            json!({ "cron": "* * * * *", "times_per_minute": 1, "stop_time": "15/01/2027 09:00" });
        assert!(of(good.clone()).1.is_some());
        for (name, value) in [
            ("cron", json!("*/60 * * * *")),
            ("cron", json!(5)),
            ("times_per_minute", json!(-1)),
            ("times_per_minute", json!(1.5)),
            ("stop_time", json!("2027-01-15")),
            ("stop_time", json!(null)),
        ] {
            let mut params = good.clone();
            params[name] = value;
            assert_eq!(of(params.clone()).1, None, "{params}");
        }
    }

    #[test]
    fn destinations_are_counted_as_they_were_paid_for() {
        assert_eq!(of(json!({ "ips": "1.1.1.1" })), (Vec::new(), None, 7));
        assert_eq!(
            of(json!({ "fqdns": "", "ips": null })),
            (Vec::new(), None, 0)
        );
    }
}
