//! Keeps the numbers and writes them down as Prometheus reads them. One recorder a process, as the library has it.

use std::{sync::OnceLock, time::Duration};

use ::metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    begin,
    table::{Kind, METRICS},
};

/// What was recorded in histograms piles up until it is put into its buckets, which is done this often where nobody asks.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("cannot record metrics: {0}")]
pub(crate) struct MetricsError(#[from] BuildError);

/// Begins to record; what was counted before is lost. Does nothing when it was called before.
///
/// # Errors
/// When something else in this process records already.
pub(crate) fn install() -> Result<(), MetricsError> {
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }
    let handle = builder.install_recorder()?;
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
        }
    }
    // Only where two do this at the same time there is one already.
    let _ = RECORDER.set(handle);
    begin();
    Ok(())
}

/// Everything, as Prometheus reads it.
pub(crate) fn text() -> String {
    let handle = RECORDER.get();
    handle.map(PrometheusHandle::render).unwrap_or_default()
}

/// Keeps what is recorded small, until it is aborted.
pub(crate) async fn upkeep() {
    let mut ticks = interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(handle) = RECORDER.get() {
            handle.run_upkeep();
        }
    }
}
