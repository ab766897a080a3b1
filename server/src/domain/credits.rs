//! Prices and rewards, in credits.

use probe_protocol::Kind;

/// What the owner of a probe gets for a result that counts.
pub(crate) const REWARD: i64 = 10;

/// Price of one run on one destination.
pub(crate) const fn unit_price(kind: Kind) -> u32 {
    match kind {
        Kind::Traceroute => 15,
        Kind::Ping | Kind::Dns => 1,
    }
}

/// Price of one run on one probe: what the probe is told and what counts against its capacity.
pub(crate) fn run_price(kind: Kind, destinations: usize) -> u32 {
    u32::try_from(destinations).map_or(u32::MAX, |destinations| {
        unit_price(kind).saturating_mul(destinations)
    })
}

/// Why a balance changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LedgerReason {
    /// A superuser gave credits.
    Grant,
    /// An operation was created.
    Charge,
    /// Runs that were never delivered, refused or cancelled were given back.
    Refund,
    /// One of the user's probes delivered a result.
    Reward,
}

impl LedgerReason {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Reward => "reward",
        }
    }
}
