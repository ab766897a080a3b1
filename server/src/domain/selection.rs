//! Which of the probes that were asked for can run an operation.

use std::collections::{HashMap, HashSet};

use probe_protocol::{Kind, ProbeId};
use serde::{Deserialize, Serialize};

use super::{Offline, Plan, Presence};

/// A probe that was asked for, as the registry knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// What is known of it while it is connected.
    pub(crate) connected: Option<Presence>,
}

/// How much a probe can take, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// What it said at its last hello; none before the first.
    pub(crate) limits: Option<Limits>,
    /// Sum of one run's price over its unfinished assignments, credits. Nobody asks for it without limits.
    pub(crate) load: i64,
}

/// What a probe's agent can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Kinds it can run.
    pub(crate) capabilities: Vec<Kind>,
    /// Credits it can have in use.
    pub(crate) total_credits: u32,
}

/// Why a probe was left out of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeftOut {
    /// There is no such probe.
    Unknown,
    /// It is not connected and the operation does not wait.
    Offline,
    /// It has no credits free for one more run.
    Full,
    /// It cannot run this kind.
    Incapable,
    /// It is connected, but left an operation unanswered.
    Sick,
}

/// Why an operation cannot be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The balance does not pay for it.
    NotEnoughCredits {
        /// What it would cost.
        price: i64,
        /// What there is.
        balance: i64,
    },
    /// No probe is left that could run it.
    NoAvailableProbe(Vec<(ProbeId, LeftOut)>),
}

/// Who of the candidates can run an operation, and who not and why; a candidate that stands twice counts once. `known`
/// are those of them that there are.
pub(crate) fn select(
    plan: &Plan,
    candidates: &[Candidate],
    known: Vec<Capacity>,
) -> (Vec<ProbeId>, Vec<(ProbeId, LeftOut)>) {
    let known: HashMap<ProbeId, Capacity> = known.into_iter().map(|it| (it.probe, it)).collect();
    let (mut chosen, mut left_out) = (Vec::with_capacity(candidates.len()), Vec::new());
    let mut seen = HashSet::with_capacity(candidates.len());
    for &candidate in candidates {
        if !seen.insert(candidate.probe) {
            continue;
        }
        let fits = match known.get(&candidate.probe) {
            None => Err(LeftOut::Unknown),
            Some(capacity) => fits(capacity, candidate, plan.kind, plan.run_price, plan.offline),
        };
        match fits {
            Ok(()) => chosen.push(candidate.probe),
            Err(why) => left_out.push((candidate.probe, why)),
        }
    }
    (chosen, left_out)
}

/// Whether a probe can take one more operation.
///
/// # Errors
/// Why it is left out.
pub(crate) fn fits(
    capacity: &Capacity,
    candidate: Candidate,
    kind: Kind,
    run_price: u32,
    offline: Offline,
) -> Result<(), LeftOut> {
    if candidate.connected.is_none() && offline == Offline::Skip {
        return Err(LeftOut::Offline);
    }
    if candidate.connected.is_some_and(|presence| presence.sick) {
        return Err(LeftOut::Sick);
    }
    // A probe that never said hello has no known limits yet.
    let Some(limits) = &capacity.limits else {
        return Ok(());
    };
    if !limits.capabilities.contains(&kind) {
        return Err(LeftOut::Incapable);
    }
    let declared = candidate.connected.unwrap_or_default().in_use;
    let in_use = capacity.load.max(i64::from(declared));
    if in_use.saturating_add(i64::from(run_price)) > i64::from(limits.total_credits) {
        return Err(LeftOut::Full);
    }
    Ok(())
}
