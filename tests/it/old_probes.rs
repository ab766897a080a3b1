//! Agents of the system that this one replaces, over real frames: what they rely on, and what they cannot be trusted
//! with.

use std::time::Duration;

use probe_protocol::OperationId;
use serde_json::Value;
use tests::{Handed, Hub, OldProbe, TestProbe, TestUser, Trial, eventually, orders, wait::SOON};

mod delivery;
mod ends;
mod fleet;
mod handshake;
mod library;
mod load;
mod names;
mod never_twice;
mod refused;
mod results;
mod tools;
mod wire;

pub(crate) fn trials() -> Vec<Trial> {
    let modules = [
        delivery::trials(),
        ends::trials(),
        fleet::trials(),
        handshake::trials(),
        library::trials(),
        load::trials(),
        names::trials(),
        never_twice::trials(),
        refused::trials(),
        results::trials(),
        tools::trials(),
        wire::trials(),
    ];
    modules.into_iter().flatten().collect()
}

/// After so long without an answer an agent counts as sick.
const SICK_AFTER: Duration = Duration::from_secs(30);

/// A hub with a user who has a probe.
struct Site {
    hub: Hub,
    ana: TestUser,
    probe: TestProbe,
}

impl Site {
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    async fn open_with(settings: &[(&str, &str)]) -> Self {
        let hub = Hub::start_with(settings).await;
        let ana = hub.user("ana", 1_000_000_000).await;
        let probe = ana.probe("p").await;
        Self { hub, ana, probe }
    }

    async fn connect(&self) -> OldProbe {
        OldProbe::connect(&self.hub, &self.probe.token).await
    }

    /// Orders an endless ping from the probe.
    async fn ping(&self) -> OperationId {
        let order = orders::ping(&[self.probe.id]);
        self.ana.launch(&orders::endless(order)).await
    }

    /// The probe as the API shows it.
    async fn shown(&self) -> Value {
        let path = format!("/api/v1/probes/{}", self.probe.id);
        self.ana.api.get(&path).await.expect(200)
    }

    /// Waits until the API shows this of the probe.
    async fn shows(&self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let what = format!("a probe with {key} {value}");
        eventually(SOON, &what, async || {
            (self.shown().await[key] == value).then_some(())
        })
        .await;
    }

    /// Waits until the operation's only assignment is in this state.
    async fn reaches(&self, operation: OperationId, state: &str) {
        eventually(
            SOON,
            &format!("an assignment that is {state}"),
            async || (self.ana.states(operation).await == [state]).then_some(()),
        )
        .await;
    }

    /// Stops the hub and holds its file to all promises.
    async fn close(mut self) {
        assert_eq!(self.hub.terminate().await, 0, "the hub's exit code");
        self.hub.check().await;
    }
}

/// Takes on the next operation, which must be this one.
async fn accept(probe: &mut OldProbe, operation: OperationId) -> Handed {
    let handed = probe.accept().await;
    assert_eq!(handed.id(), operation.to_string());
    handed
}
