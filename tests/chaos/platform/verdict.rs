//! What the probes' journals and the store say together, when all is quiet: which promises were kept.

use std::collections::{HashMap, HashSet};

use probe_protocol::{OperationId, ProbeId};
use tests::database::{Snapshot, mongo};

use super::{
    journal::{Entry, Fate},
    orders::Placed,
    scene::Scene,
};

/// An assignment as the store has it.
#[derive(Debug)]
struct Assignment {
    operation: OperationId,
    probe: ProbeId,
    state: String,
    planned: usize,
    cancelled: bool,
    scheduled: bool,
}

/// Every assignment in one text each.
const ASSIGNMENTS: &str =
    "select a.operation || ' ' || a.probe || ' ' || a.state || ' ' || a.planned_runs || ' ' ||
    (o.cancelled_at_ms is not null) || ' ' || (o.stop_time_ms is not null)
    from assignments a join operations o on o.id = a.operation";
const CODES: &str = "select operation || ' ' || probe || ' ' || code from results";

/// A promise, and what breaks it.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    pub(crate) name: &'static str,
    pub(crate) broken: Vec<String>,
}

/// Figures that break nothing.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) assignments: usize,
    pub(crate) finished: usize,
    pub(crate) refused: usize,
    pub(crate) cancelled: usize,
    pub(crate) expired: usize,
    pub(crate) results: usize,
    pub(crate) begun_again: usize,
    pub(crate) overtaken: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) promises: Vec<Promise>,
    pub(crate) figures: Figures,
}

/// What is found on the way.
#[derive(Debug, Default)]
struct Findings {
    lost_assignments: Vec<String>,
    lost_results: Vec<String>,
    duplicates: Vec<String>,
    strange: Vec<String>,
    figures: Figures,
}

impl Verdict {
    /// Of a platform that is quiet.
    pub(crate) async fn of(scene: &Scene, placed: &[Placed]) -> Self {
        let store = mongo::snapshot(&scene.database).await;
        let rows = store.texts(ASSIGNMENTS);
        let assignments: Vec<Assignment> = rows.iter().map(|row| read(row)).collect();
        let codes = store.texts(CODES);
        let mut findings = Findings::default();
        let stored = findings.stored(&codes);
        findings.figures.assignments = assignments.len();
        findings.figures.results = codes.len();
        let places: HashMap<ProbeId, usize> =
            scene.probes.iter().map(|probe| probe.id).zip(0..).collect();
        let mut known = HashSet::new();
        for one in &assignments {
            let number = places[&one.probe];
            let codes = stored.get(&(one.operation, one.probe));
            let empty = HashSet::new();
            findings.assignment(scene, number, one, codes.unwrap_or(&empty));
            known.insert((number, one.operation));
        }
        for (number, journal) in scene.journals.iter().enumerate() {
            findings.journal(number, &journal.open(), &known);
        }
        let lost_orders = lost_orders(&store, placed);
        let ledger = store.broken_promises();
        let promise = |name, broken| Promise { name, broken };
        Self {
            promises: vec![
                promise("lost operations", lost_orders),
                promise("lost assignments", findings.lost_assignments),
                promise("lost results", findings.lost_results),
                promise("duplicated effects", findings.duplicates),
                promise("balance = ledger, and what else the store promises", ledger),
                promise("strange things", findings.strange),
            ],
            figures: findings.figures,
        }
    }
}

impl Findings {
    /// Codes by assignment; a code that is there twice is a finding.
    fn stored<'a>(
        &mut self,
        codes: &'a [String],
    ) -> HashMap<(OperationId, ProbeId), HashSet<&'a str>> {
        let mut stored: HashMap<_, HashSet<&str>> = HashMap::new();
        for line in codes {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let key = (
                words[0].parse().expect("an id"),
                words[1].parse().expect("an id"),
            );
            if !stored.entry(key).or_default().insert(words[2]) {
                self.duplicates.push(format!("stored twice: {line}"));
            }
        }
        stored
    }

    fn assignment(
        &mut self,
        scene: &Scene,
        number: usize,
        one: &Assignment,
        stored: &HashSet<&str>,
    ) {
        let book = scene.journals[number].open();
        let what = format!(
            "probe {number} ({}), operation {}, {}",
            one.probe, one.operation, one.state
        );
        let entry = book.operations.get(&one.operation);
        match one.state.as_str() {
            "finished" => self.figures.finished += 1,
            "refused" => self.figures.refused += 1,
            "cancelled" => self.figures.cancelled += 1,
            "expired" => self.figures.expired += 1,
            _ => {}
        }
        // What it refused it does not hold, and where that was not heard, it is offered again.
        let twice = entry.filter(|entry| entry.taken && entry.offered > 1);
        if let Some(times) = twice.map(|entry| entry.offered)
            && scene.is_old(number)
        {
            self.duplicates
                .push(format!("{what}: an old agent got it {times} times"));
        }
        let Some(entry) = entry else {
            if !stored.is_empty() {
                self.duplicates
                    .push(format!("{what}: it never got it and has results"));
            }
            // What its stop time overtook on the way was given back.
            let overtaken = one.scheduled && one.state == "expired";
            if !one.cancelled && !overtaken {
                self.lost_assignments
                    .push(format!("{what}: it never got it"));
            }
            return;
        };
        self.figures.begun_again += entry.begun_again;
        self.results(&what, one, entry, stored, scene.is_old(number));
        if one.cancelled {
            return;
        }
        let state = if entry.taken { "finished" } else { "refused" };
        if one.state != state {
            self.lost_assignments
                .push(format!("{what}: should be {state}"));
        }
    }

    /// Holds the results of an assignment to what its probe sent and heard.
    fn results(
        &mut self,
        what: &str,
        one: &Assignment,
        entry: &Entry,
        stored: &HashSet<&str>,
        old: bool,
    ) {
        for code in stored {
            if !entry.runs.contains_key(*code) {
                self.duplicates
                    .push(format!("{what}: {code} came from nowhere"));
            }
        }
        if stored.len() > one.planned {
            let (there, planned) = (stored.len(), one.planned);
            self.duplicates
                .push(format!("{what}: {there} results of {planned}"));
        }
        for (code, run) in &entry.runs {
            match run.fate {
                Fate::Waiting => self
                    .lost_results
                    .push(format!("{what}: {code} was never answered")),
                // Old agents hear the same of what is not taken.
                Fate::Stored if old && one.cancelled => {}
                Fate::Stored if !stored.contains(code.as_str()) => {
                    self.lost_results
                        .push(format!("{what}: {code} was acknowledged and is gone"));
                }
                Fate::Stored => {}
                Fate::Rejected(_) if one.cancelled || entry.begun_again > 0 => {}
                Fate::Rejected(reason) => {
                    self.lost_results
                        .push(format!("{what}: {code} was refused: {reason:?}"));
                }
            }
        }
        let complete = one.scheduled || stored.len() == one.planned;
        if !one.cancelled && entry.taken && !complete {
            let (there, planned) = (stored.len(), one.planned);
            self.lost_results
                .push(format!("{what}: {there} of {planned} results"));
        }
    }

    /// What one probe noted beside its results.
    fn journal(
        &mut self,
        number: usize,
        book: &super::journal::Book,
        known: &HashSet<(usize, OperationId)>,
    ) {
        for operation in book.operations.keys() {
            if !known.contains(&(number, *operation)) {
                self.duplicates.push(format!(
                    "probe {number} got {operation}, which is not its own"
                ));
            }
        }
        self.figures.overtaken += book.overtaken;
        if book.replaced > 0 {
            let times = book.replaced;
            self.strange.push(format!(
                "probe {number} was replaced {times} times by nobody"
            ));
        }
        let wrong = book
            .wrong
            .iter()
            .map(|what| format!("probe {number}: {what}"));
        self.strange.extend(wrong);
    }
}

fn read(row: &str) -> Assignment {
    let words: Vec<&str> = row.split(' ').collect();
    Assignment {
        operation: words[0].parse().expect("an id"),
        probe: words[1].parse().expect("an id"),
        state: words[2].to_owned(),
        planned: words[3].parse().expect("a number"),
        cancelled: words[4] == "1",
        scheduled: words[5] == "1",
    }
}

/// Operations that were confirmed and are not as confirmed, and those that nobody asked for.
fn lost_orders(store: &Snapshot, placed: &[Placed]) -> Vec<String> {
    let there = store.texts("select id || ' ' || (cancelled_at_ms is not null) from operations");
    let there: HashMap<&str, bool> = there
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, cancelled)| (id, cancelled == "1"))
        .collect();
    let mut lost = Vec::new();
    let mut confirmed = HashSet::new();
    for (id, cancelled) in placed.iter().flat_map(|one| &one.receipts.bought) {
        match there.get(id.as_str()) {
            None => lost.push(format!("{id} was confirmed and is gone")),
            Some(true) if !cancelled => lost.push(format!("{id} was cancelled by nobody")),
            // What had ended before cannot be cancelled any more.
            Some(_) => {}
        }
        if !confirmed.insert(id.as_str()) {
            lost.push(format!("{id} was confirmed for two orders"));
        }
    }
    let strangers = there.keys().filter(|id| !confirmed.contains(*id));
    lost.extend(strangers.map(|id| format!("{id} came from nowhere")));
    lost
}
