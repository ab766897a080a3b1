//! `pladmed check-config`.

use std::process::ExitCode;

use super::{Done, config, show};

/// Runs it.
pub(super) fn run() -> Done {
    for variable in pladmed::VARIABLES {
        let value = std::env::var(variable.name)
            .ok()
            .filter(|value| !value.is_empty());
        let secret = matches!(
            variable.name,
            "SECRET_KEY" | "MONGO_URI" | "MONGO_PASSWORD" | "REDIS_URL"
        );
        let shown = match &value {
            Some(_) if secret => "(set)",
            Some(value) => value,
            None if variable.default.is_empty() => "(unset)",
            None => variable.default,
        };
        let (name, help) = (variable.name, variable.help);
        show(format_args!("{name:18} {shown}\n{:18} {help}", ""))?;
    }
    for warning in config()?.warnings() {
        show(format_args!("\nwarning: {warning}"))?;
    }
    show("\nThe settings are good.")?;
    Ok(ExitCode::SUCCESS)
}
