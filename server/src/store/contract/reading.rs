//! Reading operations.

use std::sync::Arc;

use probe_protocol::{Kind, OperationId, ProbeId, ResultFormat, UserId};

use super::fixture::{Hub, RUN_PRICE, agent, at, exactly, nine_runs, once};
use crate::{
    domain::{Plan, Presence},
    store::{Brief, Progress, Span, Standing, Who},
};

pub(super) async fn finds_what_is_pending(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let both = nine_runs(user);
    hub.opened(both.clone(), &[first, second]).await;
    let single = once(user);
    hub.opened(single.clone(), &[second]).await;
    hub.send(single.id, second, at(1), "a").await;
    let asked = vec![second, ProbeId::new(), first];
    let mut pending = hub.pending(asked, 9).await.unwrap();
    pending.sort_by_key(|(probe, _)| *probe);
    let mut expected = vec![(first, both.clone()), (second, both)];
    expected.sort_by_key(|(probe, _)| *probe);
    assert_eq!(pending, expected);
    assert_eq!(hub.pending(vec![], 9).await.unwrap(), []);
}

pub(super) async fn gives_briefs(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let dump = Plan {
        kind: Kind::Dns,
        result_format: ResultFormat::Dump,
        ..once(user)
    };
    let operation = hub.opened(dump, &[probe]).await;
    let asked = vec![OperationId::new(), operation];
    let found = hub.briefs(asked).await.unwrap();
    let brief = Brief {
        operation,
        kind: Kind::Dns,
        result_format: ResultFormat::Dump,
    };
    assert_eq!(found, [brief]);
}

pub(super) async fn shows_an_operation_whole(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let operation = hub.opened(nine_runs(user), &[second, first]).await;
    hub.send(operation, first, at(1), "a").await;
    let expected = hub.operation(operation).await.unwrap().unwrap();
    for reader in [None, Some(user)] {
        let whole = hub.whole_operation(operation, reader).await.unwrap();
        let (found, assignments) = whole.unwrap();
        assert_eq!(found, expected);
        assert_eq!(assignments, hub.assignments(operation).await.unwrap());
        assert_eq!(assignments.len(), 2);
    }
    let stranger = Some(UserId::new());
    let whole = hub.whole_operation(operation, stranger).await.unwrap();
    assert_eq!(whole, Some((expected, Vec::new())));
    let unknown = hub.whole_operation(OperationId::new(), None).await;
    assert_eq!(unknown.unwrap(), None);
}

pub(super) async fn shows_results_with_their_operation(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let operation = hub.opened(nine_runs(user), &[probe]).await;
    for code in ["a", "b", "c"] {
        hub.send(operation, probe, at(1), code).await;
    }
    let expected = hub.operation(operation).await.unwrap().unwrap();
    for reader in [None, Some(user)] {
        let found = hub.operation_with_results(operation, reader, 1, 9, usize::MAX);
        let (of, rows) = found.await.unwrap().unwrap();
        assert_eq!(of, expected);
        assert_eq!(
            rows,
            hub.results(operation, 1, 9, usize::MAX).await.unwrap()
        );
        assert_eq!(rows.len(), 2);
    }
    let stranger = Some(UserId::new());
    let found = hub.operation_with_results(operation, stranger, 0, 9, usize::MAX);
    assert_eq!(found.await.unwrap(), Some((expected, Vec::new())));
    let unknown = hub.operation_with_results(OperationId::new(), None, 0, 9, usize::MAX);
    assert_eq!(unknown.await.unwrap(), None);
}

pub(super) async fn knows_who_is_seen(hub: Hub) {
    let (user, known) = hub.pair().await;
    let other = hub.host(user).await;
    hub.opened(nine_runs(user), &[known, other]).await;
    let presence = Presence {
        in_use: 7,
        sick: true,
    };
    let who: Who = Arc::new(move |ids| {
        let seen = |id: &ProbeId| (*id == known).then_some(presence);
        ids.iter().map(seen).collect()
    });
    let span = Span::Before(None);
    let found = hub.seen_probes(None, span, 9, who).await.unwrap();
    assert_eq!(found.len(), 2);
    for (probe, seen) in found {
        assert_eq!(seen, (probe.id == known).then_some(presence));
        assert!(probe.id != known || probe.load == RUN_PRICE);
    }
}

pub(super) async fn tells_how_far_operations_are(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let waiting = hub.opened(once(user), &[probe]).await;
    let running = hub.opened(nine_runs(user), &[probe]).await;
    let finished = hub.opened(once(user), &[probe]).await;
    let cancelled = hub.opened(nine_runs(user), &[probe]).await;
    for (operation, code) in [(running, "a"), (running, "b"), (finished, "a")] {
        hub.send(operation, probe, at(1), code).await;
    }
    hub.cancel(cancelled, at(1)).await.unwrap();
    let asked = vec![
        waiting,
        OperationId::new(),
        running,
        finished,
        cancelled,
        running,
    ];
    let mut found = hub.progress(asked).await.unwrap();
    let mut expected = [
        (waiting, 0, false),
        (running, 2, false),
        (finished, 1, true),
        (cancelled, 0, true),
    ]
    .map(|(operation, last_seq, ended)| Progress {
        operation,
        last_seq,
        ended,
    });
    found.sort_by_key(|it| it.operation);
    expected.sort_by_key(|it| it.operation);
    assert_eq!(found, expected);
    assert_eq!(hub.progress(vec![]).await.unwrap(), []);
}

pub(super) async fn tells_which_sessions_are_good(hub: Hub) {
    let (user, fresh) = hub.pair().await;
    let (seen, gone) = (hub.host(user).await, hub.host(user).await);
    for probe in [seen, seen, gone] {
        hub.settle(probe, agent(70), exactly(&[]), at(1), 9)
            .await
            .unwrap();
    }
    hub.rotate_token(seen).await.unwrap();
    hub.delete_probe(gone, at(1)).await.unwrap();
    let asked = vec![fresh, seen, ProbeId::new(), gone, seen];
    let mut found = hub.standings(asked).await.unwrap();
    let mut expected =
        [(fresh, 1, 0), (seen, 2, 2)].map(|(probe, token_generation, sessions)| Standing {
            probe,
            token_generation,
            sessions,
        });
    found.sort_by_key(|it| it.probe);
    expected.sort_by_key(|it| it.probe);
    assert_eq!(found, expected);
    assert_eq!(hub.standings(vec![]).await.unwrap(), []);
}

/// Operations or probes that are asked for at once.
const THOUSANDS: usize = 5000;

pub(super) async fn tells_of_thousands(hub: Hub) {
    let (user, probe) = hub.pair().await;
    let operation = hub.opened(once(user), &[probe]).await;
    let mut operations: Vec<_> = (1..THOUSANDS).map(|_| OperationId::new()).collect();
    operations.push(operation);
    let found = hub.progress(operations).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].operation, operation);
    let mut probes = hub.hosts(user, THOUSANDS).await;
    let began = std::time::Instant::now();
    let mut found = hub.standings(probes.clone()).await.unwrap();
    eprintln!("standings, {THOUSANDS} probes: {:?}", began.elapsed());
    probes.sort_unstable();
    found.sort_by_key(|it| it.probe);
    assert!(found.iter().map(|it| it.probe).eq(probes));
}

pub(super) async fn answers(hub: Hub) {
    hub.ping().await.unwrap();
}
