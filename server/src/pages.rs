//! Pages and files that are made from the description of the HTTP API, so that they cannot say anything else than it.
//!
//! They take the description as JSON and give text; who prints it is up to the command line.

use serde_json::Value;

pub(crate) mod parameters;
pub(crate) mod postman;

/// What a reference such as `#/components/schemas/Kind` stands for; anything else is itself.
fn resolved<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str();
    reference
        .and_then(|reference| api.pointer(reference.strip_prefix('#')?))
        .unwrap_or(schema)
}

/// What a schema allows beside `null`, which is the same as left out.
fn without_null<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolved(api, schema);
    let choices = ["oneOf", "anyOf", "allOf"]
        .iter()
        .find_map(|name| schema[*name].as_array());
    let first = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
    match first {
        Some(choice) => without_null(api, choice),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_left_out_is_what_it_may_be() {
        let api = json!({"components": {"schemas": {
            "Word": {"type": "string", "enum": ["a", "b"]},
            "Maybe": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Word"}]},
        }}});
        let maybe = json!({"$ref": "#/components/schemas/Maybe"});
        assert_eq!(without_null(&api, &maybe)["enum"], json!(["a", "b"]));
        let nowhere = json!({"$ref": "#/components/schemas/None"});
        assert_eq!(without_null(&api, &nowhere), &nowhere);
        let plain = json!({"type": "integer"});
        assert_eq!(without_null(&api, &plain), &plain);
    }
}
