//! Lists in pages: both ways, of everyone and of one owner.

use probe_protocol::{OperationId, ProbeId, UserId};

use super::fixture::{Hub, at, noon, once};
use crate::{
    domain::{Operation, Probe},
    store::Span,
};

/// Entries of a page.
const PAGE: usize = 2;

/// More than any list here has.
const MOST: usize = 100;

/// Turns all pages of a list; what was on them.
async fn turn<Id: Copy, T>(
    span: fn(Option<Id>) -> Span<Id>,
    id: fn(&T) -> Id,
    page: impl AsyncFn(Span<Id>) -> Vec<T>,
) -> Vec<Id> {
    let (mut last, mut seen) = (None, Vec::new());
    loop {
        let found = page(span(last)).await;
        assert!(found.len() <= PAGE && seen.len() <= MOST, "no end");
        last = found.last().map(id);
        if last.is_none() {
            return seen;
        }
        seen.extend(found.iter().map(id));
    }
}

fn of<Id: Copy>(all: &[(Id, UserId)], owner: Option<UserId>) -> Vec<Id> {
    all.iter()
        .filter(|(_, of)| owner.is_none_or(|owner| owner == *of))
        .map(|(id, _)| *id)
        .collect()
}

pub(super) async fn lists_probes_both_ways(hub: Hub) {
    let (one, two, three) = (
        hub.somebody(0).await,
        hub.somebody(0).await,
        hub.somebody(0).await,
    );
    let mut all = Vec::new();
    for owner in [one, two, one, one, two, one] {
        all.push((hub.host(owner).await, owner));
    }
    all.sort();
    // A deleted one is on no page, also where it would have been the first or the last.
    for index in [5, 2, 0] {
        let (gone, _) = all.remove(index);
        hub.delete_probe(gone, at(1)).await.unwrap();
    }
    let id = |probe: &Probe| probe.id;
    for owner in [None, Some(one), Some(two), Some(three)] {
        let page = async |span| hub.probes(owner, span, PAGE).await.unwrap();
        let mut expected = of(&all, owner);
        assert_eq!(turn(Span::After, id, &page).await, expected);
        expected.reverse();
        assert_eq!(turn(Span::Before, id, &page).await, expected);
    }
    let none = hub.probes(None, Span::After(None), 0).await.unwrap();
    assert_eq!(none, []);
}

pub(super) async fn lists_operations_both_ways(hub: Hub) {
    let (one, probe) = hub.pair().await;
    let (two, three) = (hub.somebody(1000).await, hub.somebody(0).await);
    let mut all = Vec::new();
    for owner in [one, two, one, one, two] {
        all.push((hub.opened(once(owner), &[probe]).await, owner));
    }
    all.sort();
    // What has ended stays in the list.
    hub.cancel(all[1].0, at(1)).await.unwrap();
    let id = |operation: &Operation| operation.plan.id;
    for owner in [None, Some(one), Some(two), Some(three)] {
        let page = async |span| hub.operations(owner, span, PAGE).await.unwrap();
        let mut expected = of(&all, owner);
        assert_eq!(turn(Span::After, id, &page).await, expected);
        expected.reverse();
        assert_eq!(turn(Span::Before, id, &page).await, expected);
    }
}

/// An edge need not be in the list: what it named may be gone, or be somebody else's.
pub(super) async fn goes_on_from_any_edge(hub: Hub) {
    let (user, other) = (hub.somebody(0).await, hub.somebody(0).await);
    let mut probes: Vec<ProbeId> = Vec::new();
    for owner in [user, other, user] {
        probes.push(hub.host(owner).await);
    }
    probes.sort();
    let [first, edge, last] = probes[..] else {
        panic!("three were made")
    };
    hub.delete_probe(edge, noon()).await.unwrap();
    let page = async |owner, span| {
        let found = hub.probes(owner, span, 9).await.unwrap();
        found.iter().map(|probe| probe.id).collect::<Vec<_>>()
    };
    for owner in [None, Some(user)] {
        assert_eq!(page(owner, Span::After(Some(edge))).await, [last]);
        assert_eq!(page(owner, Span::Before(Some(edge))).await, [first]);
    }
    assert_eq!(page(None, Span::After(Some(last))).await, []);
    assert_eq!(page(None, Span::Before(Some(first))).await, []);
    let nothing = hub.operations(None, Span::After(Some(OperationId::new())), 9);
    assert_eq!(nothing.await.unwrap(), []);
}
