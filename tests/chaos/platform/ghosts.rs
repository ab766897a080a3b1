//! Who is connected, by every hub's word and by the probes' own: nobody else may be shown, and nobody left out.

use std::{collections::BTreeSet, time::Duration};

use probe_protocol::ProbeId;
use tests::{Api, api};
use tokio::time::{Instant, sleep, timeout};

use super::{journal::Journal, player::Go, scene::Scene};

/// Longest until all hubs know who is there.
const AGREE_WITHIN: Duration = Duration::from_secs(5);
/// The same after the end of a hub that could say nothing, which is forgotten when it was not heard for 4 s. The promise is
/// 5 s; the rest is for lists of a thousand from a machine that is busy.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(7);
/// Pause between two looks, and the longest one list may take.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LISTED_WITHIN: Duration = Duration::from_secs(5);

/// What was found: one line for each disagreement, and how long each agreement took.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    pub(crate) broken: Vec<String>,
    pub(crate) took: Vec<(&'static str, Duration)>,
}

/// Compares what each hub shows with who is connected, after the chaos, after half of the probes left, and after the
/// hub with most probes was killed, whose probes do not come back. It stays dead.
pub(crate) async fn ghosts(scene: &Scene) -> Ghosts {
    let mut found = Ghosts::default();
    let mut apis = scene.apis();
    agree(scene, &apis, AGREE_WITHIN, "after the chaos", &mut found).await;
    scene.tell((0..scene.size.probes).step_by(2), Go::Away);
    agree(
        scene,
        &apis,
        AGREE_WITHIN,
        "after half of the probes left",
        &mut found,
    )
    .await;
    scene.tell((1..scene.size.probes).step_by(2), Go::Once);
    let killed = fullest(scene);
    scene.hubs[killed].lock().await.kill9().await;
    apis.remove(killed);
    agree(
        scene,
        &apis,
        FORGOTTEN_WITHIN,
        "after kill -9 of a hub",
        &mut found,
    )
    .await;
    found
}

/// The hub that serves most probes.
fn fullest(scene: &Scene) -> usize {
    let serves = |hub: &usize| {
        let is_there = |journal: &&Journal| journal.open().at == Some(*hub);
        scene.journals.iter().filter(is_there).count()
    };
    (0..scene.hubs.len()).max_by_key(serves).expect("a hub")
}

/// Waits until these hubs show exactly who is connected.
async fn agree(
    scene: &Scene,
    apis: &[Api],
    limit: Duration,
    when: &'static str,
    found: &mut Ghosts,
) {
    let since = Instant::now();
    loop {
        let broken = differences(scene, apis).await;
        if broken.is_empty() {
            found.took.push((when, since.elapsed()));
            return;
        }
        if since.elapsed() > limit {
            let late = broken.into_iter().map(|line| format!("{when}: {line}"));
            return found.broken.extend(late);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn differences(scene: &Scene, apis: &[Api]) -> Vec<String> {
    let mut broken = Vec::new();
    for (place, api) in apis.iter().enumerate() {
        let expected: BTreeSet<ProbeId> = scene
            .probes
            .iter()
            .zip(&scene.journals)
            .filter(|(_, journal)| journal.open().at.is_some())
            .map(|(probe, _)| probe.id)
            .collect();
        let Ok(Some(shown)) = timeout(LISTED_WITHIN, shown(api)).await else {
            broken.push(format!("hub {place} of {} shows no list", apis.len()));
            continue;
        };
        let ghosts: Vec<_> = shown.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&shown).collect();
        if !(ghosts.is_empty() && missing.is_empty()) {
            let some =
                |ids: &[&ProbeId]| ids.first().map(|id| (*id).to_string()).unwrap_or_default();
            broken.push(format!(
                "hub {place} of {} shows {}: {} ghosts {}, {} missing {}",
                apis.len(),
                shown.len(),
                ghosts.len(),
                some(&ghosts),
                missing.len(),
                some(&missing),
            ));
        }
    }
    broken
}

/// All probes that a hub shows as connected.
async fn shown(api: &Api) -> Option<BTreeSet<ProbeId>> {
    let mut shown = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/probes?connected=true&limit=1000{cursor}");
        let answer = api::send(api.request(reqwest::Method::GET, &path))
            .await
            .ok()?;
        if answer.status != 200 {
            return None;
        }
        let page = answer.json();
        for item in page["items"].as_array()? {
            shown.insert(item["id"].as_str()?.parse().ok()?);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(shown),
        }
    }
}
