//! Packets of agents: what a library sends, what none would, and what comes in pieces.

use proptest::prelude::*;

use super::*;

mod fuzz;

fn text(parser: &mut Parser, text: &str) -> Result<Packet, ParseError> {
    parser.text(text.into())
}

fn read(packet: &str) -> Packet {
    text(&mut Parser::default(), packet).unwrap()
}

fn event(packet: Result<Packet, ParseError>) -> Event {
    match packet {
        Ok(Packet::Event(event)) => event,
        other => panic!("no event but {other:?}"),
    }
}

fn nothing(packet: Result<Packet, ParseError>) {
    assert!(matches!(packet, Ok(Packet::Nothing)), "{packet:?}");
}

const ID: &str = "0123456789abcdef01234567";

fn header(number: u64, code: &str) -> String {
    format!(
        r#"451-{number}["results",{{"operation_id":"{ID}","content":{{"_placeholder":true,"num":0}},"unique_code":"{code}","format":"warts"}}]"#
    )
}

#[test]
fn packets_of_the_library_are_understood() {
    assert_eq!(
        event(Ok(read(r#"42["new_operation",{"credits":5}]"#))).credits(),
        5
    );
    let mut asked = event(Ok(read(r#"4217["finish_operation",{"credits":5}]"#)));
    assert_eq!(asked.credits(), 5);
    assert_eq!(
        (asked.name.as_str(), asked.ack),
        ("finish_operation", Some(17))
    );
    assert!(matches!(read("435[]"), Packet::Ack(5)));
    assert!(matches!(read(r#"435["x",{}]"#), Packet::Ack(5)));
    assert!(matches!(read("41"), Packet::Leave));
    assert!(matches!(read("1"), Packet::Leave));
    for pong in ["3", "", "5", "6", "2", "40", r#"40{"sid":"x"}"#, "é"] {
        assert!(matches!(read(pong), Packet::Nothing), "{pong}");
    }
    assert!(matches!(read("40/x,"), Packet::OtherNamespace(name) if name == "/x"));
    for elsewhere in [
        r#"42/x,["results",{}]"#,
        "41/x,",
        "43/x,1[]",
        &format!("40/{},", "x".repeat(200)),
    ] {
        assert!(matches!(read(elsewhere), Packet::Nothing), "{elsewhere}");
    }
}

#[test]
fn credits_are_never_below_zero() {
    for (argument, credits) in [
        (r#"{"credits":0}"#, 0),
        (r#"{"credits":-1}"#, 0),
        (r#"{"credits":4294967295}"#, u32::MAX),
        (r#"{"credits":9223372036854775807}"#, u32::MAX),
        (r#"{"credits":9223372036854775808}"#, 0),
        (r#"{"credits":1.5}"#, 0),
        (r#"{"credits":"1"}"#, 0),
        (r#"{"debits":1}"#, 0),
        ("[]", 0),
        ("null", 0),
    ] {
        let mut event = event(Ok(read(&format!(r#"42["new_operation",{argument}]"#))));
        assert_eq!(event.credits(), credits, "{argument}");
    }
}

#[test]
fn a_result_comes_with_its_bytes() {
    let mut parser = Parser::default();
    nothing(text(&mut parser, &header(3, "a")));
    let mut it = event(parser.binary(Bytes::from_static(b"bytes")));
    assert_eq!((it.name.as_str(), it.ack), ("results", Some(3)));
    let result = it.result().unwrap();
    assert_eq!(
        (
            result.operation.to_string().as_str(),
            result.code.as_str(),
            result.format
        ),
        (ID, "a", ContentFormat::Warts)
    );
    assert_eq!(result.content.as_slice(), b"bytes");
    assert_eq!(result.started_at, result.finished_at);
}

#[test]
fn other_packets_may_come_in_between() {
    let mut parser = Parser::default();
    nothing(text(&mut parser, &header(3, "a")));
    assert!(matches!(text(&mut parser, "437[]"), Ok(Packet::Ack(7))));
    nothing(text(&mut parser, "3"));
    assert_eq!(
        event(text(&mut parser, r#"42["new_operation",{"credits":5}]"#)).credits(),
        5
    );
    assert!(text(&mut parser, "42[").is_err());
    assert!(
        event(parser.binary(Bytes::from_static(b"bytes")))
            .result()
            .is_some()
    );
}

#[test]
fn of_two_that_wait_nobody_knows_whose_the_bytes_are() {
    let mut parser = Parser::default();
    nothing(text(&mut parser, &header(1, "a")));
    assert!(text(&mut parser, &header(2, "b")).is_err());
    for _ in 0..2 {
        assert!(parser.binary(Bytes::from_static(b"bytes")).is_err());
    }
    // The next one is fine.
    nothing(text(&mut parser, &header(3, "c")));
    assert_eq!(event(parser.binary(Bytes::new())).ack, Some(3));
}

#[test]
fn what_can_never_be_a_result_still_names_its_operation() {
    for argument in [
        r#"{"operation_id":"x","content":"text","unique_code":"1","format":"warts"}"#,
        r#"{"operation_id":"x"}"#,
        r#"{"operation_id":"x","operation":7}"#,
    ] {
        let mut it = event(Ok(read(&format!(r#"421["results",{argument}]"#))));
        assert!(it.result().is_none());
        assert_eq!(it.operation_named().as_deref(), Some("x"), "{argument}");
    }
    for argument in [
        "{}",
        "[]",
        "null",
        r#"{"operation_id":5}"#,
        &format!(r#"{{"operation_id":"{}"}}"#, "x".repeat(101)),
    ] {
        let mut it = event(Ok(read(&format!(r#"421["results",{argument}]"#))));
        assert!(it.result().is_none());
        assert_eq!(it.operation_named(), None, "{argument}");
    }
    let whole = |id: &str, code: &str, format: &str| {
        let mut parser = Parser::default();
        let header = header(1, code).replace(ID, id).replace("warts", format);
        nothing(text(&mut parser, &header));
        let mut it = event(parser.binary(Bytes::new()));
        (it.result().is_some(), it.operation_named())
    };
    for (id, code, format, is_one) in [
        (ID, "1", "warts", true),
        (ID, "1", "gzip", true),
        (ID, "1", "json", false),
        (ID, "1", "xml", false),
        (ID, "", "warts", false),
        (ID, "é", "warts", false),
        // Its acknowledgement would name another operation, for an agent compares letters.
        ("0123456789ABCDEF01234567", "1", "warts", false),
        ("x", "1", "warts", false),
    ] {
        assert_eq!(
            whole(id, code, format),
            (is_one, Some(id.to_owned())),
            "{id} {code} {format}"
        );
    }
}

#[test]
fn only_what_asks_for_the_namespace_connects() {
    for (said, connects) in [
        ("40", true),
        ("40{}", true),
        (r#"40{"token":"x"}"#, true),
        ("40/x,", false),
        ("40[]", false),
        ("4", false),
        ("41", false),
        ("", false),
        ("é", false),
    ] {
        assert_eq!(is_connect(&said.into()), connects, "{said}");
    }
}

fn words(message: Message) -> String {
    match message {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

#[test]
fn what_is_sent_is_what_the_library_reads() {
    assert_eq!(words(ack(7, None)), "437[]");
    assert_eq!(words(ack(7, Some("x\"y"))), r#"437["x\"y"]"#);
    assert_eq!(
        words(super::event("ping", &json!({"a": 1}), 3)),
        r#"423["ping",{"a":1}]"#
    );
    assert_eq!(words(refusal("/x")), r#"44/x,"Unable to connect""#);
    assert_eq!(words(ping()), "2");
    let sid = |text: &str| -> String {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        value["sid"].as_str().unwrap().to_owned()
    };
    let (open, joined) = (words(open()), words(connected()));
    assert_ne!(
        sid(open.strip_prefix('0').unwrap()),
        sid(joined.strip_prefix("40").unwrap())
    );
}

/// What a hostile or broken agent sends: bits of packets in any order.
fn message() -> impl Strategy<Value = Message> {
    let front = prop::sample::select(vec![
        "",
        "0",
        "1",
        "2",
        "3",
        "4",
        "40",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "451-",
        "461-1",
        "450-",
        "4599999999999999999999-",
    ]);
    let middle = prop::sample::select(vec![
        "",
        "/",
        "/x,",
        "/é,",
        "1",
        "99999999999999999999",
        "-",
        "{",
        "[",
    ]);
    let end = prop_oneof![
        Just("[]".to_owned()),
        Just(r#"["results",{"operation_id":"x","content":{"_placeholder":true,"num":0},"unique_code":"1","format":"warts"}]"#.to_owned()),
        Just(r#"["results",{"operation_id":"x","content":{"_placeholder":true,"num":9},"unique_code":"1","format":"gzip"}]"#.to_owned()),
        Just(r#"["new_operation",{"credits":1e400}]"#.to_owned()),
        (0..2000_usize).prop_map(|depth| format!(r#"["results",{}"#, "[".repeat(depth))),
        "\\PC{0,30}",
        r#"[\[\]{}",:a-z0-9é_]{0,40}"#,
    ];
    let texts = (front, middle, end)
        .prop_map(|(front, middle, end)| Message::Text(format!("{front}{middle}{end}").into()));
    let bytes =
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Message::Binary(bytes.into()));
    prop_oneof![3 => texts, 1 => "\\PC{0,20}".prop_map(|text| Message::Text(text.into())), 1 => bytes]
}

proptest! {
    #[test]
    fn rubbish_never_panics_and_never_stays(messages in prop::collection::vec(message(), 1..20)) {
        let mut parser = Parser::default();
        for message in messages {
            let packet = match message {
                Message::Text(text) => {
                    is_connect(&text);
                    parser.text(text)
                }
                Message::Binary(bytes) => parser.binary(bytes),
                _ => continue,
            };
            if let Ok(Packet::Event(mut event)) = packet {
                event.credits();
                event.result();
                event.operation_named();
            }
        }
        // Whatever came, at most two packets later all is well again.
        let _ = parser.binary(Bytes::new());
        nothing(text(&mut parser, &header(1, "a")));
        prop_assert!(event(parser.binary(Bytes::from_static(b"x"))).result().is_some());
    }
}
