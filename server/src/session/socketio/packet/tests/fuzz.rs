//! Whole conversations: messages one after the other, text and attachments.

use ::fuzz::{Target, sort_of};

use super::*;

/// Stands between two messages, as between packets of Engine.IO where they travel together.
const BETWEEN: u8 = 0x1e;
/// First byte of a binary message.
const ATTACHMENT: u8 = b'b';

const WORDS: &[&str] = &[
    "\x1e",
    "\x1eb",
    "\x1e3",
    "\x1e40",
    "\x1e42",
    "\x1e43",
    "\x1e451-",
    "\x1e452-",
    "\x1e461-",
    "450-",
    "4599999999999999999999-",
    "/x,",
    "[\"results\",{",
    "[\"new_operation\",{\"credits\":5}]",
    "[\"finish_operation\",{\"credits\":5}]",
    "{\"_placeholder\":true,\"num\":0}",
    "{\"_placeholder\":true,\"num\":1}",
    "\"num\":18446744073709551615",
    "\"operation_id\":\"0123456789abcdef01234567\"",
    "\"unique_code\":\"1\"",
    "\"format\":\"warts\"",
    "\"format\":\"gzip\"",
    "\"content\":",
    "\"credits\":",
];

/// An event, and what an answer to it would be.
fn check_event(mut event: Event, attachment: Option<&[u8]>) -> String {
    let credits = event.credits();
    let operation = event.operation_named();
    assert!(operation.iter().all(|name| name.len() <= LONGEST_OPERATION));
    let result = event.result();
    if let Some(result) = &result {
        assert_eq!(Some(result.operation.to_string()), operation);
        // It has no other bytes than those that came.
        assert_eq!(Some(result.content.as_slice()), attachment);
    }
    if let Some(number) = event.ack {
        let answer = words(ack(number, operation.as_deref()));
        let (front, arguments) = answer.split_at(answer.find('[').unwrap());
        assert_eq!(front.strip_prefix("43"), Some(number.to_string().as_str()));
        let arguments: Vec<String> = serde_json::from_str(arguments).unwrap();
        assert_eq!(arguments, Vec::from_iter(operation.clone()));
    }
    let known = ["results", "new_operation", "finish_operation"].contains(&event.name.as_str());
    let is_asked = event.ack.is_some();
    format!(
        "{known} {is_asked} {} {} {}",
        credits > 0,
        operation.is_some(),
        result.is_some()
    )
}

fn check_packet(packet: Packet, attachment: Option<&[u8]>) -> String {
    match packet {
        Packet::Event(event) => check_event(event, attachment),
        Packet::Ack(number) => format!("ack {}", number.signum()),
        Packet::OtherNamespace(namespace) => {
            assert!(namespace.len() <= LONGEST_NAMESPACE);
            words(refusal(&namespace));
            "namespace".to_owned()
        }
        Packet::Leave => "leave".to_owned(),
        Packet::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn socketio() {
    let target = Target::new("socketio").words(WORDS).heap(64 * 1024, 512);
    target.run(|input| {
        let mut parser = Parser::default();
        let mut outcomes = Vec::new();
        for message in input.split(|byte| *byte == BETWEEN) {
            let (packet, attachment) = match (message, str::from_utf8(message)) {
                ([ATTACHMENT, bytes @ ..], _) => {
                    let packet = parser.binary(Bytes::copy_from_slice(bytes));
                    (packet, Some(bytes))
                }
                (_, Ok(text)) => {
                    is_connect(&text.into());
                    (parser.text(text.into()), None)
                }
                // A websocket lets no other text through.
                (_, Err(_)) => continue,
            };
            outcomes.push(match packet {
                Ok(packet) => check_packet(packet, attachment),
                Err(error) => sort_of(&error),
            });
        }
        // Whatever came, two packets later all is well.
        let _ = parser.binary(Bytes::new());
        nothing(text(&mut parser, &header(1, "a")));
        let mut last = event(parser.binary(Bytes::from_static(b"x")));
        assert!(last.result().is_some());
        // What came last matters most; of a long conversation not each is a new one.
        let from = outcomes.len().saturating_sub(3);
        outcomes.split_off(from)
    });
}
