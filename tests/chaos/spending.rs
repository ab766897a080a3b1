//! Many spend one balance at the same time.

use std::time::Duration;

use futures::future::join_all;
use tests::{Case, Hub, Trial, orders};

/// What the balance pays for.
const AFFORDABLE: usize = 50;
/// Creations at the same time.
const CREATIONS: usize = 200;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Case::new("chaos::spending::two_hundred_race_for_fifty")
            .within(Duration::from_secs(60))
            .run(two_hundred_race_for_fifty),
    ]
}

async fn two_hundred_race_for_fifty() {
    let hub = Hub::start().await;
    let ana = hub.user("ana", AFFORDABLE as i64).await;
    let probe = ana.probe("p").await;
    let order = orders::queued(orders::ping(&[probe.id]));
    let answers = join_all((0..CREATIONS).map(|_| ana.order(&order))).await;
    let (mut created, mut too_dear) = (0, 0);
    for answer in &answers {
        if answer.status == 201 {
            created += 1;
        } else {
            answer.expect_problem(402, "not_enough_credits");
            too_dear += 1;
        }
    }
    assert_eq!((created, too_dear), (AFFORDABLE, CREATIONS - AFFORDABLE));
    assert_eq!(ana.credits().await, 0);
    assert_eq!(
        hub.number("select count(*) from operations").await,
        AFFORDABLE as i64
    );
    hub.check().await;
}
