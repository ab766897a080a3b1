//! Reading operations.

use probe_protocol::{Kind, OperationId, ProbeId, ResultFormat};

use super::fixture::{Hub, nine_runs, once};
use crate::{domain::Plan, store::Brief};

pub(super) async fn finds_what_is_pending(hub: Hub) {
    let (user, first) = hub.pair().await;
    let second = hub.host(user).await;
    let both = nine_runs(user);
    hub.opened(both.clone(), &[first, second]).await;
    let single = once(user);
    hub.opened(single.clone(), &[second]).await;
    hub.send(single.id, second, super::fixture::at(1), "a")
        .await;
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

pub(super) async fn answers(hub: Hub) {
    hub.ping().await.unwrap();
}
