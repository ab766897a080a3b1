//! Whether the target is what the source is now. Reads both, writes nothing.
//!
//! Results, entries of the ledger and idempotency keys never change once they are written, and every one of the source
//! was written: it is enough to count them. Users with their balances, probes, operations and assignments may have changed
//! since they were read, by a hub that uses the source, perhaps between two runs of a copy that was cut off. They are
//! compared one by one.

use super::{CopyError, End, Manner, PAGE_BYTES, PAGE_RECORDS, changed, whole};
use crate::{
    domain::Probe,
    store::{Part, Record},
    transfer::Observer,
};

/// What the observer is told.
const COMPARING: &str = "compared";

/// Compares both; an error where they differ.
pub(super) async fn verify(
    from: End<'_>,
    to: End<'_>,
    manner: Manner<'_>,
    observer: &mut dyn Observer,
) -> Result<(), CopyError> {
    let mut total = 0_u64;
    for part in Part::ALL {
        let here = from.store.count(part).await.map_err(from.source())?;
        let there = to.store.count(part).await.map_err(to.target())?;
        // A store may forget results by itself. That it has new ones shows in their operations' numbers.
        let fits = match part {
            Part::Results => there >= here,
            _ => there == here,
        };
        if !fits {
            return Err(changed(from, to, part.as_str()));
        }
        if may_change(part) {
            total = total.saturating_add(here);
        }
    }
    let mut done = 0_u64;
    for part in Part::ALL.into_iter().filter(|&part| may_change(part)) {
        compare(from, to, manner, part, &mut |more| {
            done = done.saturating_add(more);
            observer.progress(COMPARING, done, total);
        })
        .await?;
    }
    Ok(())
}

fn may_change(part: Part) -> bool {
    match part {
        Part::Users | Part::Probes | Part::Operations | Part::Assignments => true,
        Part::Results | Part::Ledger | Part::Keys => false,
    }
}

/// Compares a part. Both stores keep it in the same order, that of identifiers.
async fn compare(
    from: End<'_>,
    to: End<'_>,
    manner: Manner<'_>,
    part: Part,
    compared: &mut (dyn FnMut(u64) + Send),
) -> Result<(), CopyError> {
    let mut last: Option<Record> = None;
    loop {
        let here = from
            .store
            .records(part, last.as_ref(), PAGE_RECORDS, PAGE_BYTES);
        let mut here = here.await.map_err(from.source())?;
        manner.apply(&mut here);
        if here.is_empty() {
            return Ok(());
        }
        let there = to
            .store
            .records(part, last.as_ref(), here.len(), PAGE_BYTES);
        let there = there.await.map_err(to.target())?;
        let same = here.iter().zip(&there).all(|(one, two)| is_same(one, two));
        // A page that ends earlier, by its bytes, is compared as far as it goes.
        here.truncate(there.len());
        if !same || here.is_empty() {
            return Err(changed(from, to, part.as_str()));
        }
        compared(whole(here.len()));
        last = here.pop();
    }
}

/// Whether two records say the same, as far as it may change. What an operation was made with does not, and a store may
/// write its documents in another way. The load of a probe follows from its assignments.
fn is_same(one: &Record, two: &Record) -> bool {
    match (one, two) {
        (
            Record::Probe { probe, deleted_at },
            Record::Probe {
                probe: other,
                deleted_at: other_deleted_at,
            },
        ) => {
            let other = Probe {
                load: probe.load,
                ..other.clone()
            };
            *probe == other && deleted_at == other_deleted_at
        }
        (
            Record::Operation {
                operation: one,
                open_assignments: open,
            },
            Record::Operation {
                operation: two,
                open_assignments: other_open,
            },
        ) => {
            one.plan.id == two.plan.id
                && one.charged == two.charged
                && one.refunded == two.refunded
                && one.last_seq == two.last_seq
                && one.cancelled_at == two.cancelled_at
                && one.ended_at == two.ended_at
                && open == other_open
        }
        _ => one == two,
    }
}
