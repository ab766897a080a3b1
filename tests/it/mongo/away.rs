//! A hub whose database is away says so, and to a probe never that its token is bad: some would not come back.

use services::Mongod;
use tests::{
    Agent, FakeProbe, Hub, Knock, OldProbe, OldSocket, ProbeSocket, TestProbe, Trial, eventually,
    probe::Refused, wait::SOON,
};

use super::with_mongod;

pub(crate) fn trials() -> Vec<Trial> {
    with_mongod![a_probe_is_told_to_come_back]
}

/// The status with which an upgrade is refused.
fn status<T>(opened: Result<T, Refused>) -> u16 {
    match opened {
        Ok(_) => 101,
        Err(Refused::Status(status, _)) => status,
        Err(Refused::Away(why)) => panic!("{why}"),
    }
}

async fn knock_everywhere(hub: &Hub, probe: &TestProbe, old: &TestProbe) -> (u16, u16) {
    let (url, knock) = (hub.url(), Knock::new(&old.token, 121, 0));
    let (new, old) = tokio::join!(
        ProbeSocket::open(&url, &probe.token),
        OldSocket::open(&url, &knock)
    );
    (status(new), status(old))
}

async fn a_probe_is_told_to_come_back() {
    let mut mongod = Mongod::single().await;
    let hub = Hub::on_mongo(&mongod.uri(), &[]).await;
    let ana = hub.user("ana", 0).await;
    let (probe, old, real) = (
        ana.probe("p").await,
        ana.probe("old").await,
        ana.probe("r").await,
    );
    mongod.kill9().await;
    assert_eq!(hub.api().get("/readyz").await.status, 503);
    assert_eq!(hub.api().get("/healthz").await.status, 200);
    let agent = Agent::missing()
        .is_none()
        .then(|| Agent::start(&hub.url(), &real.token));
    assert_eq!(knock_everywhere(&hub, &probe, &old).await, (503, 503));
    mongod.restart().await;
    let _probe = FakeProbe::connect(&hub, &probe.token).await;
    let _old = OldProbe::connect(&hub, &old.token).await;
    let ids = [
        Some(probe.id),
        Some(old.id),
        agent.as_ref().map(|_| real.id),
    ];
    for id in ids.into_iter().flatten() {
        eventually(SOON, "a connected probe", async || {
            let shown = ana
                .api
                .get(&format!("/api/v1/probes/{id}"))
                .await
                .expect(200);
            (shown["connected"] == true).then_some(())
        })
        .await;
    }
    assert_eq!(hub.api().get("/readyz").await.status, 200);
}
