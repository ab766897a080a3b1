//! Whatever an old operation holds, what is made of it keeps the promises.

use proptest::prelude::*;

use super::*;

fn any_bson() -> impl Strategy<Value = Bson> {
    prop_oneof![
        Just(Bson::Null),
        any::<f64>().prop_map(Bson::Double),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        "[0-9a-z*/ .-]{0,12}".prop_map(Bson::String),
        prop::collection::vec("[a-z.]{1,9}".prop_map(Bson::String), 0..4).prop_map(Bson::Array),
        prop::collection::vec((0_u8..5).prop_map(|it| Bson::from(id(it))), 0..4)
            .prop_map(Bson::Array),
        prop::collection::vec(
            (0_u8..5, 0_u8..3).prop_map(|(probe, code)| result(probe, &code.to_string())),
            0..9
        )
        .prop_map(Bson::Array),
    ]
}

proptest! {
    #[test]
    fn promises_hold_whatever_it_was(
        members in prop::collection::vec(
            (prop::sample::select(&["params", "probes", "credits", "result_format", "results"][..]), any_bson()), 0..4),
        params in prop::collection::vec(
            (prop::sample::select(&["fqdns", "ips", "cron", "times_per_minute", "stop_time", "size"][..]), any_bson()), 0..4),
        later in -100_000_i64..100_000,
    ) {
        let params: Document = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut document = ping(params);
        for (name, value) in members {
            document.insert(name, value);
        }
        let now = seconds_later(later);
        let _ = made_by(&document, Rules { now, ..rules() });
    }
}
