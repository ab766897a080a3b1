//! The description of the HTTP API as a collection that Postman, and what reads its files, can import (format v2.1.0).
//!
//! Two variables stand for what differs: `hub` is the base URL, `token` a user's token. To log in fills the latter.

use serde_json::{Map, Value, json};

use super::{resolved, without_null};

/// The format, by the name that programs know it by.
const FORMAT: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// Where a hub is that was started without any settings.
const USUAL_HUB: &str = "http://127.0.0.1:5000";
/// The request whose answer has a user's token.
const LOG_IN: &str = "log_in";
/// What keeps it.
const KEEP_TOKEN: &str = "if (pm.response.code === 201) pm.collectionVariables.set(\"token\", pm.response.json().token);";
/// Deepest example: schemas that contain themselves end somewhere.
const DEEPEST: usize = 8;

/// The collection.
pub(crate) fn collection(api: &Value) -> Value {
    let mut folders: Vec<(String, Vec<Value>)> = Vec::new();
    let paths = api["paths"].as_object().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let folder = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            let request = request(api, path, method, operation);
            match folders.iter_mut().find(|(name, _)| *name == folder) {
                Some((_, requests)) => requests.push(request),
                None => folders.push((folder, vec![request])),
            }
        }
    }
    let folders = folders.into_iter();
    let folders = folders.map(|(name, item)| json!({"name": name, "item": item}));
    json!({
        "info": {
            "name": api["info"]["title"],
            "description": api["info"]["description"],
            "schema": FORMAT,
        },
        "variable": [
            {"key": "hub", "value": USUAL_HUB},
            {"key": "token", "value": ""},
        ],
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "item": folders.collect::<Vec<_>>(),
    })
}

fn request(api: &Value, path: &str, method: &str, operation: &Value) -> Value {
    let mut request = Map::new();
    let mut add = |name: &str, value| drop(request.insert(name.to_owned(), value));
    add("method", json!(method.to_uppercase()));
    if operation["security"].is_null() {
        add("auth", json!({"type": "noauth"}));
    }
    let mut headers = parameters(api, operation, "header");
    if let Some(body) = body(api, operation) {
        headers.insert(
            0,
            json!({"key": "Content-Type", "value": "application/json"}),
        );
        add("body", body);
    }
    add("header", headers.into());
    add("url", url(api, path, operation));
    let about = [&operation["summary"], &operation["description"]];
    let about: Vec<&str> = about.iter().filter_map(|text| text.as_str()).collect();
    add("description", about.join("\n\n").into());
    let mut item = Map::new();
    let name = operation["operationId"].as_str().unwrap_or(path);
    item.insert("name".to_owned(), name.replace('_', " ").into());
    item.insert("request".to_owned(), request.into());
    if name == LOG_IN {
        let script = json!({"type": "text/javascript", "exec": [KEEP_TOKEN]});
        let event = json!([{"listen": "test", "script": script}]);
        item.insert("event".to_owned(), event);
    }
    item.into()
}

/// `/a/{id}` as `/a/:id`, with what may follow it.
fn url(api: &Value, path: &str, operation: &Value) -> Value {
    let parts: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| match part.strip_prefix('{') {
            Some(name) => format!(":{}", name.trim_end_matches('}')),
            None => part.to_owned(),
        })
        .collect();
    json!({
        "raw": format!("{{{{hub}}}}/{}", parts.join("/")),
        "host": ["{{hub}}"],
        "path": parts,
        "query": parameters(api, operation, "query"),
        "variable": parameters(api, operation, "path"),
    })
}

/// Parameters that stand in one place; those that may be left out are switched off.
fn parameters(api: &Value, operation: &Value, place: &str) -> Vec<Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let here = all.filter(|parameter| parameter["in"] == place);
    here.map(|parameter| {
        let value = match example(api, &parameter["schema"], 0) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut shown = Map::new();
        shown.insert("key".to_owned(), parameter["name"].clone());
        shown.insert("value".to_owned(), value.into());
        if parameter["description"].is_string() {
            shown.insert("description".to_owned(), parameter["description"].clone());
        }
        if parameter["required"] != true {
            shown.insert("disabled".to_owned(), true.into());
        }
        shown.into()
    })
    .collect()
}

fn body(api: &Value, operation: &Value) -> Option<Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() {
        return None;
    }
    let example = example(api, schema, 0);
    // An example is always JSON.
    let raw = serde_json::to_string_pretty(&example).unwrap_or_default();
    Some(json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}))
}

/// Something that fits a schema: what it gives as an example, else the least that is allowed.
fn example(api: &Value, schema: &Value, depth: usize) -> Value {
    let named = resolved(api, schema);
    let inner = without_null(api, schema);
    for schema in [schema, named, inner] {
        for given in [
            &schema["example"],
            &schema["examples"][0],
            &schema["default"],
        ] {
            if !given.is_null() {
                return given.clone();
            }
        }
    }
    if depth > DEEPEST {
        return Value::Null;
    }
    if !inner["enum"][0].is_null() {
        return inner["enum"][0].clone();
    }
    if inner["properties"].is_object() {
        return object(api, inner, depth);
    }
    let kind = match &inner["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str).unwrap_or_default() {
        "array" => json!([example(api, &inner["items"], depth + 1)]),
        "integer" | "number" if inner["minimum"].is_number() => inner["minimum"].clone(),
        "integer" | "number" => json!(0),
        "boolean" => json!(true),
        "object" => json!({}),
        _ if inner["format"] == "date-time" => json!("2030-01-01T00:00:00Z"),
        _ => json!(""),
    }
}

/// What must be there; where nothing must, all that may.
fn object(api: &Value, schema: &Value, depth: usize) -> Value {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let properties = schema["properties"].as_object().into_iter().flatten();
    let shown = properties
        .filter(|(name, _)| required.is_empty() || required.iter().any(|must| must == *name));
    let shown = shown.map(|(name, schema)| (name.clone(), example(api, schema, depth + 1)));
    Value::Object(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Value {
        collection(&serde_json::to_value(crate::http::openapi()).unwrap())
    }

    fn requests(collection: &Value) -> Vec<&Value> {
        let folders = collection["item"].as_array().unwrap().iter();
        folders
            .flat_map(|folder| folder["item"].as_array().unwrap())
            .collect()
    }

    #[test]
    fn every_endpoint_is_a_request() {
        let api = serde_json::to_value(crate::http::openapi()).unwrap();
        let paths = api["paths"].as_object().unwrap().values();
        let count: usize = paths.map(|item| item.as_object().unwrap().len()).sum();
        let made = made();
        assert_eq!(requests(&made).len(), count);
        assert_eq!(made["info"]["schema"], FORMAT);
    }

    #[test]
    fn a_request_can_be_sent_as_it_is() {
        let made = made();
        let requests = requests(&made);
        let named = |name: &str| *requests.iter().find(|item| item["name"] == name).unwrap();
        let create = &named("create operation")["request"];
        let body: Value = serde_json::from_str(create["body"]["raw"].as_str().unwrap()).unwrap();
        let order = json!({"kind": "ping", "targets": ["example.org"], "probes": ["66f0c2a1b4d5e6f708192a3b"]});
        assert_eq!(body, order);
        assert_eq!(create["url"]["raw"], "{{hub}}/api/v1/operations");
        assert_eq!(create["auth"], Value::Null);
        let show = &named("show operation")["request"]["url"];
        assert_eq!(show["path"], json!(["api", "v1", "operations", ":id"]));
        assert_eq!(show["variable"][0]["key"], "id");
        let log_in = named("log in");
        assert_eq!(log_in["request"]["auth"]["type"], "noauth");
        assert_eq!(log_in["event"][0]["script"]["exec"][0], KEEP_TOKEN);
        let list = &named("list operations")["request"]["url"]["query"];
        assert!(
            list.as_array()
                .unwrap()
                .iter()
                .all(|one| one["disabled"] == true)
        );
    }
}
