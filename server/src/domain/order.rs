//! What a user asks for, read and checked: nothing inside looks at it again.

use chrono::{DateTime, Days, SubsecRound as _, Utc};
use probe_protocol::{
    Cron, Kind, Measurement, ProbeId, ResultFormat, Schedule, Target, TargetPolicy, Whole,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Invalid, fields};
use fields::Fields;

/// What to do with probes that are not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Offline {
    /// Leave them out.
    #[default]
    Skip,
    /// Assign them; they get the operation when they come back in time.
    Queue,
}

/// A checked request for an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// Kind and parameters.
    pub(crate) measurement: Measurement,
    /// What to measure, no two alike.
    pub(crate) targets: Vec<Target>,
    /// When; none is once, now.
    pub(crate) schedule: Option<Schedule>,
    /// On which probes, no two alike.
    pub(crate) probes: Vec<ProbeId>,
    /// What to do with those that are away.
    pub(crate) offline: Offline,
    /// How the user wants the documents.
    pub(crate) result_format: ResultFormat,
    /// The parameters as they were written at the old paths, which show them again.
    pub(crate) as_sent: Option<Value>,
}

/// Most targets of one operation: a run of all of them must stay a matter of minutes and one frame.
pub(crate) const MOST_TARGETS: usize = 100;
/// Most probes of one operation.
pub(crate) const MOST_PROBES: usize = 10_000;
/// Days an operation may plan ahead.
const MOST_DAYS: u64 = 366;

impl Order {
    /// Reads the body of a request.
    pub(crate) fn read(
        body: &Value,
        policy: TargetPolicy,
        now: DateTime<Utc>,
    ) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body);
        let kind: Option<Kind> = fields.required("kind");
        let measurement = read_params(&mut fields, kind);
        let targets = fields.list("targets", MOST_TARGETS);
        let schedule = fields.nested("schedule", |fields| read_schedule(fields, now));
        let probes: Option<Vec<ProbeId>> = fields.list("probes", MOST_PROBES);
        let offline = fields.optional("offline").unwrap_or_default();
        let result_format = fields
            .optional("result_format")
            .unwrap_or(ResultFormat::Json);
        if let Some(kind) = kind {
            check_targets(
                &mut fields,
                kind,
                targets.as_deref().unwrap_or_default(),
                policy,
            );
        }
        check_server(&mut fields, measurement.as_ref(), policy);
        check_distinct(&mut fields, "probes", probes.as_deref().unwrap_or_default());
        let order = (|| {
            Some(Self {
                measurement: measurement?,
                targets: targets?,
                schedule,
                probes: probes?,
                offline,
                result_format,
                as_sent: None,
            })
        })();
        fields.finish(order)
    }
}

/// Reads every parameter on its own, so that each wrong one is named.
fn read_params(fields: &mut Fields<'_>, kind: Option<Kind>) -> Option<Measurement> {
    let params = fields
        .raw("params")
        .cloned()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let kind = kind?;
    let Some(object) = params.as_object() else {
        fields.wrong("params", "must be an object");
        return None;
    };
    let mut clean = true;
    for (name, value) in object.iter().take(MOST_PARAMS) {
        let alone = serde_json::json!({ name: value });
        if let Err(error) = Measurement::parse(kind, &alone) {
            let name = name.replace('~', "~0").replace('/', "~1");
            fields.wrong(&format!("params/{name}"), fields::reason(&error));
            clean = false;
        }
    }
    if !clean {
        return None;
    }
    let read = Measurement::parse(kind, &params);
    read.map_err(|error| fields.wrong("params", fields::reason(&error)))
        .ok()
}

/// More than any kind has.
const MOST_PARAMS: usize = 32;

fn read_schedule(fields: &mut Fields<'_>, now: DateTime<Utc>) -> Option<Schedule> {
    let cron: Option<Cron> = fields.required("cron");
    let times_per_minute = fields.optional("times_per_minute");
    let stop_time: Option<DateTime<Utc>> = fields.required("stop_time");
    // What every store keeps: then nobody is answered anything else than what is kept.
    let (cron, stop_time) = (cron?, stop_time?.trunc_subsecs(3));
    if stop_time <= now {
        fields.wrong("stop_time", "must lie in the future");
        return None;
    }
    if now
        .checked_add_days(Days::new(MOST_DAYS))
        .is_none_or(|latest| stop_time > latest)
    {
        fields.wrong("stop_time", format!("must lie within {MOST_DAYS} days"));
        return None;
    }
    if cron.count_between(now, stop_time) == 0 {
        fields.wrong("cron", "has no instant before stop_time");
        return None;
    }
    let once: Option<Whole<1, 60>> = Whole::new(1);
    Some(Schedule {
        cron,
        times_per_minute: times_per_minute.or(once)?,
        stop_time,
    })
}

fn check_targets(fields: &mut Fields<'_>, kind: Kind, targets: &[Target], policy: TargetPolicy) {
    for (index, target) in targets.iter().enumerate() {
        let detail = match (kind, target) {
            // A name or address that is asked for is not contacted.
            (Kind::Dns, _) => None,
            (_, Target::Address(address)) if !policy.allows(*address) => Some(NOT_PUBLIC),
            (_, Target::Name(name)) if !name.is_host() => Some("is not a host name"),
            (_, Target::Name(name)) if !policy.allows_name(name) => Some(NOT_PUBLIC),
            _ => None,
        };
        if let Some(detail) = detail {
            fields.wrong(&format!("targets/{index}"), detail);
        }
    }
    check_distinct(fields, "targets", targets);
}

const NOT_PUBLIC: &str = "is not a public address; this hub measures public addresses only";

fn check_server(fields: &mut Fields<'_>, measurement: Option<&Measurement>, policy: TargetPolicy) {
    if let Some(Measurement::Dns(params)) = measurement
        && params.server.is_some_and(|server| !policy.allows(server))
    {
        fields.wrong("params/server", NOT_PUBLIC);
    }
}

fn check_distinct<T: Eq + std::hash::Hash>(fields: &mut Fields<'_>, name: &str, items: &[T]) {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if !seen.insert(item) {
            fields.wrong(&format!("{name}/{index}"), "stands twice in the list");
        }
    }
}
