//! Which environment a store belongs to.

use futures::future::join_all;

use super::fixture::{Hub, noon};

pub(super) async fn is_made_once(hub: Hub) {
    assert_eq!(hub.environment().await.unwrap(), None);
    for wanted in ["staging", "production", "staging"] {
        assert_eq!(hub.stamp(wanted).await.unwrap(), "staging");
    }
    assert_eq!(hub.environment().await.unwrap().as_deref(), Some("staging"));
}

pub(super) async fn outlives_everything_else(hub: Hub) {
    hub.stamp("test").await.unwrap();
    hub.begin_move("somewhere", noon()).await.unwrap();
    hub.delete_all().await.unwrap();
    assert_eq!(hub.environment().await.unwrap().as_deref(), Some("test"));
    // What was to come from elsewhere is no longer waited for.
    assert_eq!(hub.unfinished_move().await.unwrap(), None);
}

/// All are told the same, whoever was first.
pub(super) async fn is_made_by_one_of_many(one: Hub, two: Hub) {
    let wishes = (0..10).map(|number| {
        let (one, two) = (one.clone(), two.clone());
        async move {
            let hub = if number % 2 == 0 { one } else { two };
            hub.stamp(&format!("e{number}")).await.unwrap()
        }
    });
    let told = join_all(wishes).await;
    let kept = one.environment().await.unwrap().unwrap();
    assert!(told.iter().all(|stamp| *stamp == kept), "{kept}: {told:?}");
}
