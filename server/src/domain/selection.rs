//! Which of the probes that were asked for can run an operation.

use std::collections::{HashMap, HashSet};

use probe_protocol::{Kind, ProbeId};
use serde::{Deserialize, Serialize};

use super::{Offline, Plan, Presence, Probe};

/// A probe that was asked for, as the registry knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The probe.
    pub(crate) probe: ProbeId,
    /// What is known of it while it is connected.
    pub(crate) connected: Option<Presence>,
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
    known: Vec<Probe>,
) -> (Vec<ProbeId>, Vec<(ProbeId, LeftOut)>) {
    let known: HashMap<ProbeId, Probe> = known.into_iter().map(|probe| (probe.id, probe)).collect();
    let (mut chosen, mut left_out) = (Vec::with_capacity(candidates.len()), Vec::new());
    let mut seen = HashSet::with_capacity(candidates.len());
    for &candidate in candidates {
        if !seen.insert(candidate.probe) {
            continue;
        }
        let fits = match known.get(&candidate.probe) {
            None => Err(LeftOut::Unknown),
            Some(probe) => fits(probe, candidate, plan.kind, plan.run_price, plan.offline),
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
    probe: &Probe,
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
    let Some(agent) = &probe.agent else {
        return Ok(());
    };
    if !agent.capabilities.contains(&kind) {
        return Err(LeftOut::Incapable);
    }
    let declared = candidate.connected.unwrap_or_default().in_use;
    let in_use = probe.load.max(i64::from(declared));
    if in_use.saturating_add(i64::from(run_price)) > i64::from(agent.total_credits) {
        return Err(LeftOut::Full);
    }
    Ok(())
}
