//! Records as the JSON objects `sc_warts2json` prints, keys in its order.
//!
//! Numbers the tool writes with decimals are floats here, so equal as JSON values;
//! its texts are escaped here, which the tool forgets.

mod ping;
mod trace;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::list::{CycleStart, CycleStop};
use super::record::{Record, Undecoded};
use super::time::Timestamp;

/// Builds one object, keys in the order of the calls.
struct Object(Map<String, Value>);

impl Object {
    fn new() -> Self {
        Self(Map::new())
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Nothing at all for `None`: the tool leaves such keys out.
    fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl Record {
    /// The object `sc_warts2json` prints for this record, `None` where it prints
    /// nothing, and an object of type `undecoded` for bytes kept raw.
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        match self {
            Self::List(_) | Self::CycleDefinition(_) => None,
            Self::CycleStart(cycle) => Some(cycle_start(cycle)),
            Self::CycleStop(stop) => Some(cycle_stop(stop)),
            Self::Ping(ping) => Some(ping::ping(ping)),
            Self::Trace(trace) => Some(trace::trace(trace)),
            Self::Undecoded(raw) => Some(undecoded(raw)),
        }
    }
}

fn cycle_head(kind: &str, cycle: &CycleStart) -> Object {
    let mut object = Object::new();
    object.put("type", kind);
    object.put("list_name", &*cycle.list_name);
    object.put("id", cycle.cycle_id);
    object.put_some("hostname", cycle.hostname.as_deref());
    object
}

fn cycle_start(cycle: &CycleStart) -> Value {
    let mut object = cycle_head("cycle-start", cycle);
    object.put("start_time", cycle.start);
    object.into()
}

fn cycle_stop(stop: &CycleStop) -> Value {
    let mut object = cycle_head("cycle-stop", &stop.cycle);
    object.put("stop_time", stop.stop);
    object.into()
}

fn undecoded(raw: &Undecoded) -> Value {
    let mut object = Object::new();
    object.put("type", "undecoded");
    object.put("warts_type", raw.warts_type);
    object.put("offset", raw.offset);
    object.put("length", raw.bytes.len());
    object.put("reason", raw.reason.to_string());
    object.put("base64", STANDARD.encode(&raw.bytes));
    object.into()
}

/// Microseconds as the milliseconds the tool prints with three decimals.
fn milliseconds(micros: u32) -> Value {
    Value::from(f64::from(micros) / 1_000.0)
}

fn seconds(sec: impl Into<Value>, usec: impl Into<Value>) -> Object {
    let mut object = Object::new();
    object.put("sec", sec);
    object.put("usec", usec);
    object
}

fn time(at: Timestamp) -> Object {
    seconds(at.sec, at.usec)
}
