//! The edge as the settings want it: who is let in, how often, from where, and by which certificate.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{AppError, platform::Platform};
use crate::{
    config::{Config, SecretKey},
    http::cors::Origins,
    listener::{
        Door,
        tls::{Files, Tls},
    },
    throttle::{Rates, Throttle},
};

/// Who is let in; with TLS, also the task that reads a renewed certificate, until `stop`.
///
/// # Errors
/// [`AppError::Input`] where the certificate cannot be used.
pub(super) async fn door(
    config: &Config,
    stop: CancellationToken,
) -> Result<(Door, Option<JoinHandle<()>>), AppError> {
    let (mut tls, mut renewal) = (None, None);
    if let Some(files) = config.edge.tls.clone() {
        let files = Files {
            certificate: files.certificate,
            key: files.key,
        };
        let loaded = Tls::load(files, stop).await;
        let (loaded, watch) = loaded.map_err(|error| AppError::Input(error.to_string()))?;
        (tls, renewal) = (Some(loaded), Some(tokio::spawn(watch)));
    }
    let door = Door {
        per_client: config.edge.connections_per_address,
        excepted: config.trusted_proxies.clone(),
        tls,
    };
    Ok((door, renewal))
}

/// How often someone may try something, where that is limited.
pub(super) fn throttle(config: &Config, key: &SecretKey, platform: &Platform) -> Option<Throttle> {
    let rates = Rates {
        logins: config.logins_per_minute,
        creations: config.edge.operations_per_minute,
    };
    let throttle = || Throttle::new(rates, key.clone(), platform.counters.clone());
    config.edge.rate_limits.then(throttle)
}

/// Whose pages may call.
pub(super) fn origins(config: &Config) -> Origins {
    match config.edge.cors_origins.clone() {
        None => Origins::Any,
        Some(these) => Origins::These(these),
    }
}
