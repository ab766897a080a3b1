//! What a hub tells Prometheus, where, and that alerts, dashboard and documentation speak of the same.

use tests::{Trial, process::on_path};

mod addresses;
mod health;
mod life;
mod pages;
mod text;

pub(crate) fn trials() -> Vec<Trial> {
    [
        addresses::trials(),
        health::trials(),
        life::trials(),
        pages::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Why Prometheus's own checks cannot run; in CI they must.
fn promtool_missing() -> Option<String> {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    (on_path("promtool").is_none() && !in_ci)
        .then(|| "promtool is not installed: `make install-tools`".to_owned())
}
