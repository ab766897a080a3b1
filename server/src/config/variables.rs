//! The one list of settings: names, defaults, and what they do.

/// A setting's name, its value when left out, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Environment variable.
    pub name: &'static str,
    /// Used when it is unset or empty.
    pub default: &'static str,
    /// One line for operators.
    pub help: &'static str,
}

/// All settings, in the order of `.env_server.example`.
pub const VARIABLES: &[Variable] = &[
    variable(
        "ENVIRONMENT",
        "development",
        "development, test, staging or production",
    ),
    variable("HOST", "0.0.0.0", "address to listen on"),
    variable("PORT", "5000", "TCP port to listen on; 0 takes a free one"),
    variable(
        "SECRET_KEY",
        "",
        "signs all tokens, should have 32 characters or more; required in staging and production, else made and kept in DATA_DIR",
    ),
    variable(
        "DATABASE",
        "sqlite",
        "where truth is kept: sqlite, a file under DATA_DIR, or mongo, a replica set of MongoDB",
    ),
    variable("DATA_DIR", "data", "folder of the embedded database"),
    variable(
        "MONGO_URI",
        "",
        "connection string of MongoDB; takes the place of MONGO_HOST, MONGO_PORT, MONGO_USERNAME and MONGO_PASSWORD",
    ),
    variable(
        "MONGO_HOST",
        "",
        "host of MongoDB, or several members of its replica set separated by commas",
    ),
    variable("MONGO_PORT", "27017", "TCP port of MongoDB"),
    variable(
        "MONGO_USERNAME",
        "",
        "who the hub is to MongoDB (in its database admin); unset is nobody",
    ),
    variable("MONGO_PASSWORD", "", "password of MONGO_USERNAME"),
    variable(
        "MONGO_DATABASE",
        "pladmed",
        "database of MongoDB that the hub keeps its data in",
    ),
    variable(
        "REDIS_URL",
        "",
        "Redis, through which hubs on one MongoDB hear each other, as redis://:password@host:6379/0; unset is a hub alone",
    ),
    variable(
        "RESULT_TTL_DAYS",
        "0",
        "days after which results are deleted, 0 to 20000; 0 keeps them for ever",
    ),
    variable(
        "TARGET_POLICY",
        "",
        "any or public: which addresses may be measured; unset is public in staging and production, else any",
    ),
    variable(
        "USER_TOKEN_HOURS",
        "12",
        "hours after which a login ends, 1 to 8760",
    ),
    variable(
        "LEGACY_USER_TOKENS",
        "refuse",
        "accept or refuse: whether logins of the replaced system, which never end, still count",
    ),
    variable(
        "RATE_LIMITS",
        "",
        "on or off: whether it is limited how often someone may try something; unset is on in staging and production, else off",
    ),
    variable(
        "LOGINS_PER_MINUTE",
        "20",
        "logins and registrations a minute from one address, and logins to one account, 1 to 100000",
    ),
    variable(
        "OPERATIONS_PER_MINUTE",
        "120",
        "operations and probes that one user may create a minute, 1 to 100000",
    ),
    variable(
        "TRUSTED_PROXIES",
        "",
        "addresses or networks, separated by commas, whose X-Forwarded-For tells who is calling",
    ),
    variable(
        "MAX_CONNECTIONS_PER_ADDRESS",
        "1024",
        "connections that one address may have at the same time, but for TRUSTED_PROXIES and websockets, 0 to 100000; 0 is no limit",
    ),
    variable(
        "CORS_ORIGINS",
        "*",
        "origins, separated by commas, whose pages may call the hub from a browser; * is all",
    ),
    variable(
        "TLS_CERT",
        "",
        "file with the certificate, and those that lead to its authority, in PEM; with it the hub speaks HTTPS alone",
    ),
    variable("TLS_KEY", "", "file with the key of TLS_CERT, in PEM"),
    variable(
        "PUBLIC_OPERATIONS",
        "true",
        "true or false: whether GET /operation?id= shows an operation to whoever knows its id",
    ),
    variable(
        "STOP_GRACE_SECONDS",
        "300",
        "seconds after the stop time of an operation in which results still count, 0 to 86400",
    ),
    variable(
        "RESOLVE_TARGETS",
        "",
        "hub or probe: who resolves names for agents of the replaced system; unset is hub in staging and production, else probe",
    ),
    variable(
        "NAME_SERVER",
        "",
        "address and port of the name server that the hub asks; unset is the system's",
    ),
    variable(
        "SWEEP_SECONDS",
        "5",
        "seconds within which a hub finds in its database what it was not told, 2 to 60",
    ),
    variable("STOP_SECONDS", "20", "seconds a stop may take, 1 to 600"),
    variable(
        "DRAIN_SECONDS",
        "5",
        "seconds over which a stop with REDIS_URL spreads the closing of its probes' connections, 0 to 600; they come on top of STOP_SECONDS",
    ),
    variable(
        "DIAGNOSE_AT",
        "00:00",
        "time of day in UTC, as 03:30, at which one of the hubs looks whether everything in the database is as it must be; or off",
    ),
    variable(
        "METRICS_ADDRESS",
        "",
        "address and port, as 127.0.0.1:9464, at which alone /metrics is then served, and /healthz and /readyz besides; unset is on HOST and PORT",
    ),
    variable(
        "LOG_LEVEL",
        "info",
        "error, warn, info, debug or trace; also per module, as in info,pladmed::session=debug",
    ),
    variable("LOG_FORMAT", "full", "full, brief or json"),
    variable("LOG_FILE", "", "also log to this file"),
];

const fn variable(name: &'static str, default: &'static str, help: &'static str) -> Variable {
    Variable {
        name,
        default,
        help,
    }
}
