//! Looks at everything that the store holds, and at the clocks, and says what is not as it must be: for `pladmed diagnose`
//! and, once a day, for whichever hub takes it on ([`schedule`]). [`walk`] reads the store a piece at a time and asks the
//! rules ([`crate::domain::audit`]); this module makes the report of it, and has put right what may be. Reads only, but for
//! [`mend`] and the report itself.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    domain::audit::{Finding, Repair, Rule},
    store::{Store, Stored},
};

mod clocks;
mod report;
pub(crate) mod schedule;
mod walk;

pub use report::Report;
use report::Totals;

/// Findings that a report tells one by one: more than anybody reads, less than a document of MongoDB holds.
const MOST_TOLD: usize = 1000;
/// Longest text of a finding, bytes: what cannot be read may say why at any length.
const LONGEST_TEXT: usize = 500;
/// Repairs that are made at a time; the next time makes the rest.
const MOST_REPAIRS: usize = 100_000;

/// Goes along with a look at everything, which may take long.
#[async_trait]
pub(crate) trait Company: Send + Sync {
    /// Between two pieces: so many of these things were looked at.
    ///
    /// # Errors
    /// Whoever goes along may end it.
    async fn between(&mut self, what: &'static str, done: u64) -> Stored<()>;
}

/// Who looks, and what they know beside the store.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// Who, for the report.
    pub(crate) by: String,
    /// Whether results are forgotten by age.
    pub(crate) forgets: bool,
}

/// What was found, told or not.
#[derive(Debug, Default)]
struct Found {
    totals: Totals,
    told: Vec<Finding>,
    repairs: Vec<Repair>,
    /// Whether ledgers may have lost or changed something.
    is_ledger_doubtful: bool,
}

impl Found {
    fn add(&mut self, mut finding: Finding) {
        let end = finding.what.floor_char_boundary(LONGEST_TEXT);
        finding.what.truncate(end);
        *self.totals.entry(finding.rule).or_default() += 1;
        match finding.repair {
            Some(repair) if self.repairs.len() < MOST_REPAIRS => self.repairs.push(repair),
            Some(_) => {}
            None => self.is_ledger_doubtful |= finding.rule.is_of_the_ledger(),
        }
        if self.told.len() < MOST_TOLD {
            self.told.push(finding);
        }
    }

    fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }
}

/// A report, and what may be put right.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    /// What was found.
    pub(crate) report: Report,
    /// What may be put right, each once, in an order in which what follows from others comes after them.
    pub(crate) repairs: Vec<Repair>,
}

/// Looks at everything. Nothing is written.
///
/// # Errors
/// When the store fails, or the company does not want to go on.
pub(crate) async fn diagnose(
    store: &dyn Store,
    asking: &Asking,
    company: &mut dyn Company,
) -> Stored<Diagnosis> {
    let started_at = Utc::now();
    let forgets = asking.forgets || has_forgotten(store).await?;
    let host = clocks::host().await;
    let walked = walk::walk(store, forgets, started_at, company).await?;
    let (mut found, looked_at) = (walked.found, walked.looked_at);
    found.extend(clocks::judge_host(&host));
    let furthest_us = clocks::furthest_us(&walked.clocks);
    let probes = walked.clocks.len();
    found.extend(clocks::judge_probes(walked.clocks));
    let mut repairs = found.repairs;
    repairs.sort_unstable();
    repairs.dedup();
    if found.is_ledger_doubtful {
        repairs.retain(|repair| !matches!(repair, Repair::Balance(_)));
        for finding in &mut found.told {
            finding.repairable &= !matches!(finding.repair, Some(Repair::Balance(_)));
        }
    }
    Ok(Diagnosis {
        report: Report {
            by: asking.by.clone(),
            started_at,
            finished_at: Utc::now(),
            looked_at,
            clocks: report::Clocks::of(host, probes, furthest_us),
            total: found.totals.values().sum(),
            by_rule: found.totals,
            findings: found.told,
            repaired: Vec::new(),
            results_are_forgotten: forgets,
        },
        repairs,
    })
}

/// Whether results were forgotten once, by what the last report says: then some are missing for ever.
async fn has_forgotten(store: &dyn Store) -> Stored<bool> {
    let last = store.report().await?;
    let last = last.and_then(|text| Report::read(&text).ok());
    Ok(last.is_some_and(|last| last.results_are_forgotten))
}

/// Puts right what has one right answer; what was done, in words.
///
/// # Errors
/// When the store fails; what was done before stays.
pub(crate) async fn mend(
    store: &dyn Store,
    repairs: &[Repair],
    company: &mut dyn Company,
) -> Stored<Vec<String>> {
    let (mut done, mut looked) = (Vec::new(), 0);
    for repair in repairs {
        done.extend(store.repair(*repair).await?);
        looked += 1;
        company.between("repairs", looked).await?;
    }
    Ok(done)
}

/// The newest report that a hub made on its schedule.
///
/// # Errors
/// When the store fails, or the report cannot be read.
pub(crate) async fn newest(store: &dyn Store) -> Stored<Option<Report>> {
    let text = store.report().await?;
    let report = text.map(|text| Report::read(&text)).transpose();
    report.map_err(|error| crate::store::StoreError::Corrupt(format!("the report: {error}")))
}

/// Every rule with the number of its findings in a report.
pub(crate) fn counts(report: Option<&Report>) -> impl Iterator<Item = (&'static str, u64)> {
    Rule::ALL.into_iter().map(move |rule| {
        let count = report.and_then(|report| report.by_rule.get(&rule));
        (rule.as_str(), count.copied().unwrap_or_default())
    })
}

/// A time as reports tell it to people.
fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
