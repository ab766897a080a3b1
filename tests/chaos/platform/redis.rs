//! Whether the platform has Redis. Without it they are three hubs on one store that hear
//! nothing of each other, which must lose nothing either: `PLADMED_CHAOS_WITHOUT_REDIS=1` tries that.

/// The setting that tells hubs where it is.
pub(crate) const SETTING: &str = "REDIS_URL";

/// Environment variable that leaves it away, whatever it holds.
const WITHOUT: &str = "PLADMED_CHAOS_WITHOUT_REDIS";

/// Whether hubs read it.
pub(crate) fn is_known() -> bool {
    std::env::var(WITHOUT).is_err()
        && pladmed::VARIABLES
            .iter()
            .any(|variable| variable.name == SETTING)
}

/// Why there is none for hubs that know it; none where there is, or where they do not.
pub(crate) fn missing() -> Option<String> {
    services::redis::missing().filter(|_| is_known())
}
