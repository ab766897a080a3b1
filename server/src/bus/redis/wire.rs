//! What instances write to each other, and the names of the channels. JSON, so that an operator can listen in with
//! `redis-cli`; what a newer hub says and this one does not know is ignored.

use probe_protocol::{OperationId, ProbeId};
use serde::{Deserialize, Serialize};

use crate::{
    bus::{Errand, Gossip, InstanceId},
    domain::AssignmentState,
};

/// Names of channels.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    prefix: String,
}

impl Channels {
    /// Channels of hubs that share this prefix.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: format!("pladmed:{prefix}"),
        }
    }

    /// What all instances hear.
    pub(super) fn everyone(&self) -> String {
        format!("{}:all", self.prefix)
    }

    /// What one instance hears.
    pub(super) fn instance(&self, id: InstanceId) -> String {
        format!("{}:hub:{id}", self.prefix)
    }

    /// What instances hear that have somebody who watches this operation.
    pub(super) fn operation(&self, id: OperationId) -> String {
        format!("{}:operation:{id}", self.prefix)
    }

    /// The key of a counter.
    pub(super) fn counter(&self, name: &str) -> String {
        format!("{}:rate:{name}", self.prefix)
    }
}

/// One message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// Who says it.
    pub(super) from: InstanceId,
    /// What.
    pub(super) body: Body,
}

/// What a message says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// Of seats.
    Gossip(Gossip),
    /// Something to do.
    Errand(Errand),
    /// Tokens of this probe became invalid.
    Revoked(ProbeId),
    /// Of an operation.
    News(OperationId, News),
}

/// What happened to an operation since the last message about it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct News {
    /// Number of the last result that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_seq: Option<u64>,
    /// Assignments that changed, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<(ProbeId, AssignmentState)>,
    /// Whether the last of these was the operation's last open one.
    #[serde(default)]
    pub(super) ended: bool,
}

impl Message {
    /// As it travels; `None`, which is logged, for what cannot be written.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self)
            .inspect_err(|error| tracing::error!(%error, "cannot write a message to other hubs"))
            .ok()
    }

    /// A message that came.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .inspect_err(|error| tracing::debug!(%error, "a message on the bus cannot be read"))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus::SeatNote, domain::Presence};

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let (operation, probe) = (OperationId::new(), ProbeId::new());
        let note = SeatNote {
            probe,
            session: 3,
            presence: Presence {
                in_use: 15,
                sick: true,
            },
        };
        let bodies = [
            Body::Gossip(Gossip::Beat { number: 7 }),
            Body::Gossip(Gossip::Seats {
                number: 8,
                taken: vec![note],
                left: vec![probe],
            }),
            Body::Gossip(Gossip::Goodbye),
            Body::Errand(Errand::Cancel {
                operation,
                probes: vec![probe],
            }),
            Body::Revoked(probe),
            Body::News(
                operation,
                News {
                    last_seq: Some(9),
                    changes: vec![(probe, AssignmentState::Accepted)],
                    ended: false,
                },
            ),
        ];
        for body in bodies {
            let sent = Message {
                from: InstanceId::new(),
                body,
            };
            let came = Message::decode(&sent.encode().unwrap()).unwrap();
            assert_eq!((came.from, came.body), (sent.from, sent.body));
        }
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        let from = InstanceId::new();
        for body in ["{\"later\":1}", "{\"gossip\":{\"say\":\"later\"}}", "7"] {
            let text = format!("{{\"from\":\"{from}\",\"body\":{body}}}");
            assert!(Message::decode(text.as_bytes()).is_none());
        }
        let more = format!(
            "{{\"from\":\"{from}\",\"new\":1,\"body\":{{\"gossip\":{{\"say\":\"beat\",\"number\":1,\"x\":2}}}}}}"
        );
        assert!(Message::decode(more.as_bytes()).is_some());
    }
}
