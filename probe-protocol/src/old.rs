//! What agents of the replaced system say and hear, as texts of a websocket: Socket.IO 5 in Engine.IO 4, from the agent's
//! end. The simulated fleet of `probe` and the tests speak it. The hub has a reader of its own, which must cope with far
//! more than agents say.
//!
//! A session: the agent opens a websocket at [`PATH`] with [`query`], hears [`OldHeard::Open`], says [`JOIN`] and hears
//! [`OldHeard::Joined`]. An operation comes as [`OldHeard::Handed`], a result leaves as [`result`] and is acknowledged.

use serde_json::{Value, json};

/// Where such agents connect.
pub const PATH: &str = "/socket.io/";

/// A sign of life of the hub.
pub const PING: &str = "2";

/// The answer to it.
pub const PONG: &str = "3";

/// Asks for the only namespace there is.
pub const JOIN: &str = "40";

/// An agent takes an operation on; says its credits.
pub const NEW_OPERATION: &str = "new_operation";

/// An operation is over; says its credits.
pub const FINISH_OPERATION: &str = "finish_operation";

/// Header with the credits that an agent has.
pub const TOTAL_CREDITS: &str = "total_credits";

/// Header with the credits that are in use.
pub const IN_USE_CREDITS: &str = "in_use_credits";

/// What the hub says.
#[derive(Debug, Clone, PartialEq)]
pub enum OldHeard {
    /// The session is open; it may be joined.
    Open(Value),
    /// It is joined.
    Joined,
    /// A sign of life; to be answered with [`PONG`].
    Ping,
    /// An operation is handed over.
    Handed(Handed),
    /// A result was acknowledged: the number that it was sent with, and the acknowledgement's arguments.
    Acked(u64, Value),
    /// Anything else.
    Other,
}

/// An operation that the hub hands over.
#[derive(Debug, Clone, PartialEq)]
pub struct Handed {
    /// The event's name.
    pub kind: String,
    /// Its argument.
    pub argument: Value,
    /// The number to acknowledge it with.
    pub ack: u64,
}

impl OldHeard {
    /// Reads a text; `None` where it looks like one of these and is not.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let open = text.strip_prefix('0');
        if let Some(rest) = open.filter(|rest| rest.starts_with('{')) {
            return serde_json::from_str(rest).ok().map(Self::Open);
        }
        if let Some(rest) = text.strip_prefix("42") {
            return read_event(rest);
        }
        if let Some(rest) = text.strip_prefix("43") {
            let (number, arguments) = rest.split_at(rest.find('[')?);
            let arguments = serde_json::from_str(arguments).ok()?;
            return Some(Self::Acked(number.parse().ok()?, arguments));
        }
        Some(if text == PING {
            Self::Ping
        } else if text.starts_with(JOIN) {
            Self::Joined
        } else {
            Self::Other
        })
    }
}

/// An event that asks to be acknowledged hands an operation over.
fn read_event(rest: &str) -> Option<OldHeard> {
    let (number, event) = rest.split_at(rest.find('[')?);
    if number.is_empty() {
        return Some(OldHeard::Other);
    }
    let mut event: Value = serde_json::from_str(event).ok()?;
    Some(OldHeard::Handed(Handed {
        kind: event.get(0)?.as_str()?.to_owned(),
        argument: event.get_mut(1)?.take(),
        ack: number.parse().ok()?,
    }))
}

/// All after the question mark. A token has no character that would have to be escaped there.
#[must_use]
pub fn query(token: &str) -> String {
    // The time is against caches, and does not matter.
    format!("token={token}&transport=websocket&EIO=4&t=1795229050.829278")
}

/// Tells something that nobody acknowledges, as that credits are in use now, or no more.
#[must_use]
pub fn tell(event: &str, credits: i64) -> String {
    format!("42{}", json!([event, {"credits": credits}]))
}

/// Acknowledges an event.
#[must_use]
pub fn ack(number: u64) -> String {
    format!("43{number}[]")
}

/// Announces a result that is to be acknowledged with this number; its bytes follow in a message of their own.
#[must_use]
pub fn result(operation: &str, code: &str, format: &str, number: u64) -> String {
    let content = json!({"_placeholder": true, "num": 0});
    let argument = json!({"operation_id": operation, "content": content, "unique_code": code, "format": format});
    format!("451-{number}{}", json!(["results", argument]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_says_is_read() {
        let read = OldHeard::read;
        let open = json!({"sid": "x"});
        assert_eq!(read(&format!("0{open}")), Some(OldHeard::Open(open)));
        assert_eq!(read("40{\"sid\":\"y\"}"), Some(OldHeard::Joined));
        assert_eq!(read("2"), Some(OldHeard::Ping));
        assert_eq!(read("437[\"a\"]"), Some(OldHeard::Acked(7, json!(["a"]))));
        let handed = Handed {
            kind: "ping".to_owned(),
            argument: json!({"_id": "z"}),
            ack: 3,
        };
        assert_eq!(
            read("423[\"ping\",{\"_id\":\"z\"}]"),
            Some(OldHeard::Handed(handed))
        );
        for other in ["41", "6", "42[\"news\"]", "44{}"] {
            assert_eq!(read(other), Some(OldHeard::Other), "{other}");
        }
        for wrong in ["0{", "42", "42x[1]", "421[5]", "43[", "43x[]", "431[", "43"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_an_agent_says() {
        assert_eq!(ack(4), "434[]");
        assert_eq!(
            tell(NEW_OPERATION, 2),
            "42[\"new_operation\",{\"credits\":2}]"
        );
        assert!(result("o", "c", "warts", 9).starts_with("451-9[\"results\",{"));
    }
}
