//! Schemas of the types that write themselves, for an OpenAPI document; the others derive theirs.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, ObjectBuilder, RefOr, Schema, Type},
};

use crate::{
    Cron, Name, OperationId, ProbeId, ResultCode, Target, UserId, Whole, spec::Confidence,
};

/// Fields of this type are marked `inline`, so that their limits stand where they are used.
impl<const MIN: u32, const MAX: u32> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}

impl<const MIN: u32, const MAX: u32> ToSchema for Whole<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}").into()
    }
}

impl PartialSchema for Confidence {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some("A share from 0 to 0.99."))
            .minimum(Some(0))
            .maximum(Some(0.99))
            .into()
    }
}

impl ToSchema for Confidence {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Confidence")
    }
}

fn text(description: &str, pattern: Option<&str>, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(pattern)
        .examples([example])
        .build()
}

macro_rules! texts {
    ($($name:ident: $description:literal, $pattern:expr, $example:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($description, $pattern, $example).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

const ID: Option<&str> = Some("^[0-9a-f]{24}$");

texts! {
    ProbeId: "Identifies a probe.", ID, "66f0c2a1b4d5e6f708192a3b";
    OperationId: "Identifies an operation.", ID, "66f0c2a1b4d5e6f708192a3c";
    UserId: "Identifies a user.", ID, "66f0c2a1b4d5e6f708192a3d";
    ResultCode: "A probe's name for one run's result.", Some("^[-A-Za-z0-9_.:]{1,64}$"), "1773144000-1";
    Cron: "Minute, hour, day of month, month and day of week, in UTC.", None, "*/5 * * * *";
    Target: "An IPv4 or IPv6 address or a domain name.", None, "example.org";
    Name: "A domain name.", None, "example.org";
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::OpenApi;

    use crate::{
        ContentFormat, Cron, Kind, Name, OperationId, ProbeId, ResultCode, ResultFormat, Schedule,
        Target, TargetPolicy, UserId,
        spec::{Confidence, DnsParams, PingParams, TracerouteParams},
    };

    #[derive(OpenApi)]
    #[openapi(components(schemas(
        Kind,
        ResultFormat,
        ContentFormat,
        Schedule,
        PingParams,
        TracerouteParams,
        DnsParams,
        TargetPolicy,
        ResultCode,
        ProbeId,
        OperationId,
        UserId,
        Name,
        Target,
        Cron,
        Confidence,
    )))]
    struct Api;

    fn schemas() -> Value {
        serde_json::to_value(Api::openapi()).unwrap()["components"]["schemas"].take()
    }

    #[test]
    fn numbers_show_their_limits() {
        let schemas = schemas();
        for (kind, name, min, max) in [
            ("PingParams", "probecount", 1, 100),
            ("PingParams", "icmp_sum", 0, 65_535),
            ("PingParams", "dport", 1, 65_535),
            ("TracerouteParams", "wait_probe", 0, 100),
            ("DnsParams", "port", 1, 65_535),
        ] {
            let field = &schemas[kind]["properties"][name];
            let integer = json!({"type": "integer", "minimum": min, "maximum": max});
            assert_eq!(
                field["oneOf"],
                json!([integer, {"type": "null"}]),
                "{kind}.{name}"
            );
            assert!(field["description"].is_string());
            assert_eq!(schemas[kind]["additionalProperties"], json!(false));
        }
        let times = &schemas["Schedule"]["properties"]["times_per_minute"];
        assert_eq!(times["type"], "integer");
        assert_eq!(
            (&times["minimum"], &times["maximum"]),
            (&json!(1), &json!(60))
        );
        let share = &schemas["Confidence"];
        assert_eq!(
            (&share["minimum"], &share["maximum"]),
            (&json!(0), &json!(0.99))
        );
    }

    #[test]
    fn types_that_travel_as_text_are_strings() {
        let schemas = schemas();
        for name in [
            "Cron",
            "Target",
            "Name",
            "ResultCode",
            "ProbeId",
            "OperationId",
            "UserId",
        ] {
            assert_eq!(schemas[name]["type"], "string", "{name}");
            assert!(schemas[name]["examples"][0].is_string());
        }
        for name in ["ProbeId", "OperationId", "UserId"] {
            assert_eq!(schemas[name]["pattern"], "^[0-9a-f]{24}$");
        }
        for name in ["server", "source_address"] {
            let field = &schemas["DnsParams"]["properties"][name];
            assert_eq!(field["type"], json!(["string", "null"]), "{name}");
        }
    }

    #[test]
    fn words_are_listed_as_they_travel() {
        let schemas = schemas();
        assert_eq!(schemas["Kind"]["enum"], json!(Kind::ALL));
        assert_eq!(schemas["ResultFormat"]["enum"], json!(["json", "dump"]));
        assert_eq!(
            schemas["TracerouteMethod"]["enum"],
            json!(["udp-paris", "icmp-paris", "tcp"])
        );
        assert_eq!(schemas["IpVersion"]["enum"], json!(["4", "6"]));
        assert_eq!(schemas["PingMethod"]["enum"][4], "tcp-ack-sport");
        assert_eq!(schemas["RecordType"]["enum"][1], "aaaa");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schemas = schemas();
        let text = schemas.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{name}");
        }
        assert!(!text.contains("Whole"), "limits stand inline");
    }

    #[test]
    fn examples_are_valid() {
        let schemas = schemas();
        let example = |name: &str| schemas[name]["examples"][0].as_str().unwrap().to_owned();
        assert!(example("Cron").parse::<Cron>().is_ok());
        assert!(example("Target").parse::<Target>().is_ok());
        assert!(example("Name").parse::<Name>().is_ok());
        assert!(example("ProbeId").parse::<ProbeId>().is_ok());
        assert!(ResultCode::try_from(example("ResultCode")).is_ok());
    }
}
