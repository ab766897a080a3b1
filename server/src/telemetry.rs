//! Sets logging up. What is logged, at which level: `error` a promise is in danger, `warn` someone should look,
//! `info` starts, stops and sessions, `debug` requests and frames. Tokens and passwords never are.

use std::{fs::OpenOptions, io, sync::Mutex};

use tracing_subscriber::{
    EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use crate::config::{Config, LogFormat};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// LOG_FILE cannot be written.
    #[error("LOG_FILE: cannot open {path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// Called twice.
    #[error("logging was set up before")]
    Twice,
}

/// Sets logging up for the whole process.
///
/// # Errors
/// When the log file cannot be opened.
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let stdout = layer(config.log_format, io::stdout);
    let file = match &config.log_file {
        None => None,
        Some(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            let file = opened.map_err(|cause| TelemetryError::File {
                path: path.display().to_string(),
                cause,
            })?;
            Some(layer(config.log_format, Mutex::new(file)))
        }
    };
    registry()
        .with(stdout.and_then(file).with_filter(filter))
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

type BoxedLayer = Box<dyn Layer<registry::Registry> + Send + Sync>;

fn layer<W>(format: LogFormat, writer: W) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(writer);
    match format {
        LogFormat::Full => layer.boxed(),
        LogFormat::Brief => layer.without_time().with_target(false).compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}
