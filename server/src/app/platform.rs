//! Joins the other hubs, where there are some. Beside `app` the only place that names buses.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::AppError;
use crate::{
    bus::{Arrivals, Bus, InstanceId, local::LocalBus, redis::RedisBus},
    config::Config,
    store::Store,
    throttle::SharedCounters,
};

/// What this hub has in common with others.
pub(super) struct Platform {
    /// This hub.
    pub(super) me: InstanceId,
    /// Where it tells them what happened.
    pub(super) bus: Arc<dyn Bus>,
    /// What it hears.
    pub(super) arrivals: Arrivals,
    /// What they count together; none where there is nobody else.
    pub(super) counters: Option<Arc<dyn SharedCounters>>,
}

/// Joins the hubs that share `store`, or stays alone where no Redis is set.
///
/// # Errors
/// [`AppError::Redis`] when Redis cannot be used.
pub(super) async fn join(
    config: &Config,
    store: &dyn Store,
    me: InstanceId,
) -> Result<Platform, AppError> {
    let Some(settings) = &config.redis else {
        return Ok(alone(me));
    };
    let prefix = format!("{}:{}", config.environment, store.name());
    let joined = RedisBus::connect(settings, &prefix, me).await;
    let (bus, arrivals, counters) = joined.map_err(|error| AppError::Redis(error.to_string()))?;
    Ok(Platform {
        me,
        bus: Arc::new(bus),
        arrivals,
        counters: Some(Arc::new(counters)),
    })
}

fn alone(me: InstanceId) -> Platform {
    // Nobody says anything: the other ends are gone.
    let (_, gossip) = mpsc::channel(1);
    let (_, errands) = mpsc::channel(1);
    Platform {
        me,
        bus: Arc::new(LocalBus::new()),
        arrivals: Arrivals { gossip, errands },
        counters: None,
    }
}
