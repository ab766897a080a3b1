//! The Pladmed hub: schedules measurements on probes, takes their results and shows them.
//!
//! Two stories, one file each; both write first and tell afterwards:
//! - down, `launch`: `POST → http → launch: plan (domain) → store.open → dispatch → seat.outbox → session → socket`
//! - up, `ingest`: `socket → session → ingest → store.record → ack → bus → live → stream`
//!
//! [`App`] puts everything together. Which module may import which is a table in `tests`, and a test reads it.

mod app;
mod bus;
mod config;
mod decode;
mod diagnosis;
mod dispatch;
mod domain;
mod http;
mod ingest;
mod launch;
mod listener;
mod live;
mod metrics;
mod names;
mod old_words;
mod pages;
mod passwords;
mod pulse;
mod registry;
mod roster;
mod seed;
mod session;
mod store;
mod sweep;
mod telemetry;
mod throttle;
mod tokens;
mod transfer;
mod views;
pub mod warts;

pub use app::{
    App, AppError, Migration, Seeded, SeededFleet, back_up, clone_masked, copy, create_superuser,
    database_name, demand_expendable, diagnose, import, migrate, plan_migration, reset, restore,
    seed, seed_fleet,
};
pub use config::{
    Config, ConfigError, Database, EdgeSettings, Environment, MongoServer, MongoSettings, Password,
    RedisSettings, TlsFiles, VARIABLES, Variable,
};
pub use diagnosis::Report;
pub use telemetry::{TelemetryError, init as init_telemetry};
pub use transfer::{Copied, Count, Imported, Observer};

/// The description of the HTTP API: OpenAPI 3.1 as indented JSON.
///
/// # Errors
/// None in practice.
pub fn openapi() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&http::openapi())
}

/// The same as a collection for Postman (format v2.1.0), as indented JSON.
///
/// # Errors
/// None in practice.
pub fn postman() -> Result<String, serde_json::Error> {
    let api = serde_json::to_value(http::openapi())?;
    serde_json::to_string_pretty(&pages::postman::collection(&api))
}

/// The page on the parameters of operations, in Markdown.
///
/// # Errors
/// None in practice.
pub fn parameters() -> Result<String, serde_json::Error> {
    let api = serde_json::to_value(http::openapi())?;
    Ok(pages::parameters::page(&api))
}
