//! A user with many probes.

use futures::{StreamExt as _, stream};
use tests::{Hub, TestProbe, TestUser};

/// Requests under way while they are registered.
const AT_ONCE: usize = 32;
/// Credits of who pays: more than all operations cost.
pub(crate) const RICH: i64 = 1_000_000_000_000;

/// Registers them.
pub(crate) async fn register(hub: &Hub, probes: usize) -> (TestUser, Vec<TestProbe>) {
    let user = hub.user("user", RICH).await;
    let all = stream::iter(0..probes).map(|number| {
        let user = user.clone();
        async move { user.probe(&format!("probe {number}")).await }
    });
    let probes = all.buffered(AT_ONCE).collect().await;
    (user, probes)
}
