//! The scene of most tests: a probe at work.

use probe_protocol::OperationId;

use crate::{
    hub::Hub,
    orders,
    probe::FakeProbe,
    user::{TestProbe, TestUser},
};

/// A user with a probe that has taken on an operation with more runs than any test reaches.
pub async fn at_work(hub: &Hub) -> (TestUser, TestProbe, FakeProbe, OperationId) {
    let ana = hub.user("ana", 10_000_000).await;
    let registered = ana.probe("p").await;
    let mut probe = FakeProbe::connect(hub, &registered.token).await;
    let operation = ana
        .launch(&orders::endless(orders::ping(&[registered.id])))
        .await;
    probe.accept().await;
    (ana, registered, probe, operation)
}
